"""The vector of bits that follows each step: which keys of a piano sound next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ostinato.distributions.bernoulli import Bernoulli
from ostinato.distributions.contract import Distribution
from ostinato.distributions.nade import Nade
from ostinato.errors import ConfigError
from ostinato.heads._features import mapped
from ostinato.heads._vectors import NextVector
from ostinato.heads.contract import Sizes
from ostinato.kernels.packed import Packed
from ostinato.layers.dropout import dropped
from ostinato.modalities.contract import Labels
from ostinato.registry import Count, Rate


class NextBits(NextVector):
    """Predicts at each step which of V bits are set in the next one.

        independent   p(y) = product over k of sigmoid(b[k])^y[k] (1 - sigmoid(b[k]))^(1 - y[k])
        nade          each bit given those before it, see `distributions.nade`; c = W_c h[t] + b_c
        b = W_b h[t] + b_b,   h[t] the encoder's step, beside it the summaries of the other inputs read

    A target is a step, however many bits it has: log_loss is in nats for a step. Nothing tells where a sequence ends,
    so that a generated one is as long as the search allows.

    Shapes:
        targets (N, V) of 0 and 1; the steps read (N + B, H): one more of each sequence

    Args:
        bits: whether they are independent of each other, or each depends on those before it.
        hidden_units: the width of c; 64 by default.
        dropout: the probability of dropping a value of what is read.

    Errors:
        ConfigError: a step of the output is no set of labels; the first input read gives no steps, or another one no
            summary; hidden units of independent bits.

    Source: Boulanger-Lewandowski, Bengio and Vincent 2012, arXiv:1206.6392; hidden units do not read bits of the step
        before directly, since the encoder does.
    """

    variants = ({"bits": "nade"},)

    def __init__(
        self,
        spec: Labels,
        sizes: Sequence[Sizes],
        *,
        bits: Literal["independent", "nade"] = "independent",
        hidden_units: Count | None = None,
        dropout: Rate = 0.0,
    ):
        if not isinstance(spec, Labels) or not spec.multilabel:
            raise ConfigError("next_bits: a step of the output is a set of labels, such as the keys of a piano_roll")
        if bits == "independent" and hidden_units is not None:
            raise ConfigError("next_bits: hidden_units belongs to bits: nade; set it, or leave hidden_units out")
        super().__init__("next_bits", sizes)
        self.dropout = dropout
        self.visible = nn.Linear(self.width, spec.size)
        self.hidden: nn.Linear | None = None
        if bits == "nade":
            hidden_units = hidden_units or 64
            self.hidden = nn.Linear(self.width, hidden_units)
            self.reading = nn.Parameter(torch.randn(spec.size, hidden_units) * 0.1)
            self.writing = nn.Parameter(torch.randn(spec.size, hidden_units) * 0.1)

    def predict_next(
        self, steps: Tensor, beside: Tensor | None = None, packed: Mapping[str, Packed] | None = None
    ) -> Distribution:
        read = steps if beside is None else torch.cat([steps, beside], 1)
        read = dropped(read, self.dropout) if self.dropout and self.training else read
        visible = mapped(read, self.visible)
        if self.hidden is None:
            return Bernoulli(visible)
        return Nade(visible, mapped(read, self.hidden), self.reading, self.writing)
