"""The first layer of an encoder: one vector per step, whatever a step is."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.errors import ConfigError
from ostinato.layers.characters import Characters
from ostinato.modalities._contract import MISSING, Labels, Spec, Symbols
from ostinato.steps import Steps


class Embedding(nn.Module):
    """One vector per step, learnt or one-hot.

        learnt, symbols:    e[t] = E[x[t]]                      a row of a table
        learnt, values:     e[t] = W x[t] + b
        one-hot, symbols:   e[t] = 1 at x[t], 0 elsewhere       no parameters, as wide as there are symbols

    Labels, one each, are symbols; several at once are values. A step that nobody gave a label is zeros; of several, none is set.
    A missing value is 0.
    Words with their spelling have a vector of their characters beside (`Characters`): E is then as much wider.

    Shapes:
        symbols (N,) whole numbers, words with characters (N, 1 + L), or values (N, C); returns (N, E)

    Args:
        spec: what one step is.
        size: E without characters; None: as wide as there are symbols, or values.
        kind: learnt, or one-hot.

    The attribute `size` is the whole E.

    Errors:
        ConfigError: one-hot steps of real numbers, or of another size than there are symbols.
    """

    def __init__(self, spec: Spec, size: int | None, *, kind: Literal["learnt", "one_hot"] = "learnt"):
        super().__init__()
        width = spec.size if size is None else size
        self.num_symbols = spec.size
        self.learnt = None
        self.numbered = spec.stored[0] == "int32"
        self.may_miss = not isinstance(spec, Symbols)
        if kind == "learnt":
            self.learnt = nn.Embedding(spec.size, width) if self.numbered else nn.Linear(spec.size, width)
        elif not self.numbered:
            raise ConfigError("embedding: one_hot: each step of this input is a vector of real numbers; allowed here: learnt")
        elif width != spec.size:
            raise ConfigError(
                f"embedding_size: {size} with embedding: one_hot, which is as wide as there are symbols ({spec.size}); "
                "leave embedding_size out, or set embedding: learnt"
            )
        self.characters = Characters(spec.characters) if isinstance(spec, Symbols) and spec.characters else None
        self.size = width if self.characters is None else width + self.characters.size
        # A one-hot embedding has no parameters; this tells the type that the module was moved to.
        self.register_buffer("one", torch.ones(()), persistent=False)

    def forward(self, steps: Steps) -> Steps:
        values = steps.values
        if not self.numbered:
            return steps.with_values(self.learnt((values.nan_to_num() if self.may_miss else values).to(self.one.dtype)))
        if self.characters is not None:
            return steps.with_values(torch.cat([self._numbered(values[:, 0]), self.characters(values[:, 1:])], 1))
        if not self.may_miss:
            return steps.with_values(self._numbered(values))
        given = (values != MISSING).unsqueeze(1)
        return steps.with_values(self._numbered(values.clamp(min=0)) * given)

    def _numbered(self, numbers: Tensor) -> Tensor:
        if self.learnt is None:
            return functional.one_hot(numbers.long(), self.num_symbols).to(self.one.dtype)
        return self.learnt(numbers)
