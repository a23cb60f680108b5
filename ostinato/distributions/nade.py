"""Bits that depend on each other: a vector of 0 and 1, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from ostinato.distributions.contract import Distribution, mean_of_logs
from ostinato.steps import Layout


class Nade(Distribution):
    """A vector of V bits, each given those before it, by a neural autoregressive density estimator.

        p(y)               = product over k of p(y[k] | y[<k])
        p(y[k] = 1 | y[<k]) = sigmoid(b[k] + O[k] . sigmoid(c + sum over i < k of y[i] W[i]))
        mean of several:   p(y) = mean over i of p_i(y)

    b and c differ from row to row, W and O do not. The likeliest bits have no closed form: the mode takes each bit as
    it is likelier after those before it; of several the mode that all together find likeliest. A target of which a bit
    is missing counts as missing.

    Shapes:
        visible (R, V); hidden (R, K); reading and writing (V, K); targets (R, V) of 0, 1 and NaN

    Args:
        visible: b.
        hidden: c.
        reading: W.
        writing: O.
        layout: of the targets.
        others: that it is averaged with.

    Source: Larochelle and Murray 2011, AISTATS, equations 5 to 9, tied weights apart; b and c from a recurrent state:
        Boulanger-Lewandowski, Bengio and Vincent 2012, arXiv:1206.6392, section 4.
    """

    lacks: ClassVar[Mapping[str, str]] = {"quantile": "labels have no order"}

    def __init__(
        self,
        visible: Tensor,
        hidden: Tensor,
        reading: Tensor,
        writing: Tensor,
        layout: Layout | None = None,
        others: Sequence[Nade] = (),
    ):
        self.visible, self.hidden, self.reading, self.writing = visible, hidden, reading, writing
        self.layout, self.members = layout, (self, *others)

    def log_prob(self, target: Tensor) -> Tensor:
        known = self._known(target)
        bits = target.masked_fill(~known.unsqueeze(1), 0).to(self.visible)
        return mean_of_logs([member._of_bits(bits) for member in self.members]).masked_fill(~known, 0)

    def _of_bits(self, bits: Tensor) -> Tensor:
        """(R,) the log-probability under this member alone."""
        read = bits.unsqueeze(2) * self.reading
        before = self.hidden.unsqueeze(1) + read.cumsum(1) - read
        logits = self.visible + (before.sigmoid() * self.writing).sum(2)
        return -functional.binary_cross_entropy_with_logits(logits, bits, reduction="none").sum(1)

    def _one_by_one(self, choose: Callable[[Tensor, int], Tensor]) -> Tensor:
        """Bits (R, V), each chosen from the probability that it is 1 and its number."""
        bits, before = torch.zeros_like(self.visible), self.hidden
        for place, (reads, writes) in enumerate(zip(self.reading, self.writing)):
            bit = choose((self.visible[:, place] + before.sigmoid() @ writes).sigmoid(), place)
            bits[:, place] = bit
            before = before + bit.to(before).unsqueeze(1) * reads
        return bits

    def mode(self) -> Tensor:
        with torch.no_grad():
            modes = torch.stack([member._one_by_one(lambda odds, _: odds > 0.5) for member in self.members])
            if len(modes) == 1:
                return modes[0]
            best = torch.stack([self.log_prob(bits) for bits in modes]).argmax(0)
            return modes[best, torch.arange(len(best), device=best.device)]

    def sample(self, uniform: Tensor) -> Tensor:
        # The first number tells the member too, and what is left of it is uniform again.
        first = uniform[:, 0] * len(self.members)
        chosen = first.long().clamp(max=len(self.members) - 1)
        uniform = torch.cat([(first - chosen).unsqueeze(1), uniform[:, 1:]], 1)
        drawn = torch.stack([member._one_by_one(lambda odds, at: uniform[:, at] < odds) for member in self.members])
        return drawn[chosen, torch.arange(len(chosen), device=chosen.device)]

    def counts(self, target: Tensor) -> Tensor:
        return self._known(target).long()

    def right(self, target: Tensor) -> Tensor:
        """A row is right where all its bits are."""
        return ((self.mode() == target).all(1) & self._known(target)).to(self.visible.dtype)

    def mean_of(self, others: Sequence[Nade]) -> Nade:
        every = [member for other in (self, *others) for member in other.members]
        parameters = (self.visible, self.hidden, self.reading, self.writing)
        return Nade(*parameters, self.layout, every[1:])

    def _known(self, target: Tensor) -> Tensor:
        return ~target.isnan().any(1)
