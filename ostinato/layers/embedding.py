"""The first layer of an encoder: one vector per step, whatever a step is."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from ostinato.errors import ConfigError
from ostinato.modalities._contract import Spec
from ostinato.steps import Steps


class Embedding(nn.Module):
    """One vector per step, learnt or one-hot.

        learnt, symbols:    e[t] = E[x[t]]                      a row of a table
        learnt, values:     e[t] = W x[t] + b
        one-hot, symbols:   e[t] = 1 at x[t], 0 elsewhere       no parameters, as wide as there are symbols

    Labels, one each, are symbols; several at once are values.

    Shapes:
        symbols (N,) whole numbers, or values (N, C); returns (N, E)

    Args:
        spec: what one step is.
        size: E; None: as wide as there are symbols, or values.
        kind: learnt, or one-hot.

    Errors:
        ConfigError: one-hot steps of real numbers, or of another size than there are symbols.
    """

    def __init__(self, spec: Spec, size: int | None, *, kind: Literal["learnt", "one_hot"] = "learnt"):
        super().__init__()
        self.size = spec.size if size is None else size
        self.learnt = None
        self.numbered = spec.stored[0] == "int32"
        if kind == "learnt":
            self.learnt = nn.Embedding(spec.size, self.size) if self.numbered else nn.Linear(spec.size, self.size)
        elif not self.numbered:
            raise ConfigError("embedding: one_hot: each step of this input is a vector of real numbers; allowed here: learnt")
        elif self.size != spec.size:
            raise ConfigError(
                f"embedding_size: {size} with embedding: one_hot, which is as wide as there are symbols ({spec.size}); "
                "leave embedding_size out, or set embedding: learnt"
            )
        # A one-hot embedding has no parameters; this tells the type that the module was moved to.
        self.register_buffer("one", torch.ones(()), persistent=False)

    def forward(self, steps: Steps) -> Steps:
        if self.learnt is None:
            return steps.with_values(functional.one_hot(steps.values.long(), self.size).to(self.one.dtype))
        values = steps.values if self.numbered else steps.values.to(self.one.dtype)
        return steps.with_values(self.learnt(values))
