"""The vector of bits that follows each step: which keys of a piano sound next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ostinato.distributions.bernoulli import Bernoulli
from ostinato.distributions.contract import Distribution
from ostinato.distributions.nade import Nade
from ostinato.distributions.rbm import Rbm
from ostinato.errors import ConfigError
from ostinato.heads._features import mapped
from ostinato.heads._vectors import NextVector
from ostinato.heads.contract import Sizes
from ostinato.kernels.packed import Packed
from ostinato.layers.dropout import dropped
from ostinato.modalities.contract import Labels
from ostinato.registry import Count, Rate

HIDDEN_UNITS = 64
GIBBS_STEPS = 15
ANNEALING_STEPS = 200


class NextBits(NextVector):
    """Predicts at each step which of V bits are set in the next one.

        independent   p(y) = product over k of sigmoid(b[k])^y[k] (1 - sigmoid(b[k]))^(1 - y[k])
        nade          each bit given those before it, see `distributions.nade`
        rbm           all bits given hidden ones, which are summed out, see `distributions.rbm`
        b = W_b h[t] + b_b,   h[t] the encoder's step, beside it the summaries of the other inputs read
        c = W_c h[t] + b_c    of the hidden units of a nade or rbm, whose other weights are the same at all steps

    A target is a step, however many bits it has: log_loss is in nats for a step. Nothing tells where a sequence ends,
    so that a generated one is as long as the search allows.

    Shapes:
        targets (N, V) of 0 and 1; the steps read (N + B, H): one more of each sequence

    Args:
        bits: whether they are independent of each other, or each depends on those before it, or all on hidden ones.
        hidden_units: the width of c; 64 by default.
        dropout: the probability of dropping a value of what is read.
        gibbs_steps: k of the contrastive divergence that trains an rbm; 15 by default.
        annealing_steps: of the estimate of an rbm's log-probability; 200 by default.

    Errors:
        ConfigError: a step of the output is no set of labels; the first input read gives no steps, or another one no
            summary; an option of other bits than these; annealing steps where V or the hidden units are so few that
            the log-probability is exact.

    Source: Boulanger-Lewandowski, Bengio and Vincent 2012, arXiv:1206.6392; hidden units do not read bits of the step
        before directly, since the encoder does. 15 Gibbs steps: its authors' code, deeplearning.net/tutorial/rnnrbm.
    """

    variants = ({"bits": "nade"},)
    after_training = frozenset({"annealing_steps"})

    def __init__(
        self,
        spec: Labels,
        sizes: Sequence[Sizes],
        *,
        bits: Literal["independent", "nade", "rbm"] = "independent",
        hidden_units: Count | None = None,
        dropout: Rate = 0.0,
        gibbs_steps: Count | None = None,
        annealing_steps: Count | None = None,
    ):
        if not isinstance(spec, Labels) or not spec.multilabel:
            raise ConfigError("next_bits: a step of the output is a set of labels, such as the keys of a piano_roll")
        if bits == "independent" and hidden_units is not None:
            raise ConfigError("next_bits: hidden_units belongs to bits: nade; set it, or leave hidden_units out")
        if bits != "rbm" and gibbs_steps is not None:
            raise ConfigError("next_bits: gibbs_steps belongs to bits: rbm; set it, or leave gibbs_steps out")
        if bits != "rbm" and annealing_steps is not None:
            raise ConfigError("next_bits: annealing_steps belongs to bits: rbm; set it, or leave annealing_steps out")
        super().__init__("next_bits", sizes)
        self.bits, self.dropout = bits, dropout
        self.visible = nn.Linear(self.width, spec.size)
        self.hidden: nn.Linear | None = None
        if bits == "independent":
            return
        hidden_units = hidden_units or HIDDEN_UNITS
        if annealing_steps is not None and Rbm.is_exact(spec.size, hidden_units):
            raise ConfigError(
                "next_bits: annealing_steps belongs to an estimate, and with so few bits or hidden units the "
                "log-probability is exact; leave annealing_steps out"
            )
        self.gibbs_steps, self.annealing_steps = gibbs_steps or GIBBS_STEPS, annealing_steps or ANNEALING_STEPS
        if bits == "rbm" and not Rbm.is_exact(spec.size, hidden_units):
            self.estimated = Rbm.estimated(self.annealing_steps)
        self.hidden = nn.Linear(self.width, hidden_units)
        self.reading = nn.Parameter(torch.randn(spec.size, hidden_units) * 0.1)
        if bits == "nade":
            self.writing = nn.Parameter(torch.randn(spec.size, hidden_units) * 0.1)

    def predict_next(
        self, steps: Tensor, beside: Tensor | None = None, packed: Mapping[str, Packed] | None = None
    ) -> Distribution:
        read = steps if beside is None else torch.cat([steps, beside], 1)
        read = dropped(read, self.dropout) if self.dropout and self.training else read
        visible = mapped(read, self.visible)
        if self.hidden is None:
            return Bernoulli(visible)
        hidden = mapped(read, self.hidden)
        if self.bits == "nade":
            return Nade(visible, hidden, self.reading, self.writing)
        contrast = self.gibbs_steps if self.training else None
        return Rbm(visible, hidden, self.reading, contrast=contrast, annealing=self.annealing_steps)
