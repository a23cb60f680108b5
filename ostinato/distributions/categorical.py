"""One label, or one symbol of a vocabulary, for each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from ostinato.distributions._entropy import cross_entropy_of_real
from ostinato.distributions.contract import NO_COSTS, Costs, Distribution, Loss, mean_of_logs
from ostinato.errors import ConfigError
from ostinato.modalities.contract import MISSING
from ostinato.steps import Layout

_EXACT = (torch.float32, torch.float64)


class Categorical(Distribution):
    """One of V labels or symbols.

        p(v) = softmax(scores)[v]
        mean of several: p(v) = mean over i of p_i(v)

    With a support, place k of row r means the symbol support[r, k]: a decoder that copies words of its source gives
    each row symbols of its own. A symbol may have several places, whose probabilities add up.

    Shapes:
        scores (R, V), rows of a search or packed steps; targets (R,), MISSING where there is none; support (R, V)

    Args:
        scores: logits, or log-probabilities; normalized at their first use, in float32 at least.
        layout: of the targets.
        support: the symbol of each place.
        costs: what training adds to the log-probability.
        normalized: whether the scores are log-probabilities that need no softmax.

    Source: the mean: Lakshminarayanan 2017, arXiv:1612.01474, section 2.4.
    """

    lacks: ClassVar[Mapping[str, str]] = {"quantile": "labels have no order"}

    def __init__(
        self,
        scores: Tensor,
        layout: Layout | None = None,
        support: Tensor | None = None,
        costs: Costs = NO_COSTS,
        normalized: bool = False,
    ):
        self.scores, self.layout, self.support, self.costs, self.normalized = scores, layout, support, costs, normalized

    @cached_property
    def log_probabilities(self) -> Tensor:
        """(R, V) by place, kept: a caller that changes it changes this distribution."""
        if self.normalized:
            return self.scores
        scores = self.scores if self.scores.dtype in _EXACT else self.scores.float()
        return torch.log_softmax(scores, 1)

    @property
    def probabilities(self) -> Tensor:
        return self.log_probabilities.exp()

    def symbols(self, places: Tensor) -> Tensor:
        """What these places mean; (R,) or (R, K), one row of places for each row."""
        if self.support is None:
            return places
        return (
            self.support.gather(1, places.unsqueeze(1)).squeeze(1)
            if places.ndim == 1
            else self.support.gather(1, places)
        )

    def by_symbol(self, size: int) -> Tensor:
        if self.support is not None:
            return self._added_up(self.support, self.probabilities, size).log_()
        if self.normalized:
            return self.scores.clone()
        return torch.log_softmax(self.scores if self.scores.dtype in _EXACT else self.scores.float(), 1)

    @staticmethod
    def _added_up(support: Tensor, shares: Tensor, size: int) -> Tensor:
        """(R, size or more) the probability of each symbol, all its places added up."""
        size = max(size, int(support.max()) + 1 if len(support) else 0)
        return shares.new_zeros(len(support), size).scatter_add_(1, support, shares)

    def mode(self) -> Tensor:
        if self.support is None:
            return self.log_probabilities.argmax(1)
        return self._added_up(self.support, self.probabilities, 1).argmax(1)

    def log_prob(self, target: Tensor) -> Tensor:
        labels, logs = target.long().unsqueeze(1), self.log_probabilities
        if self.support is None:
            chosen = logs.gather(1, labels.clamp(min=0))
        else:
            chosen = logs.masked_fill(self.support != labels, -torch.inf).logsumexp(1, keepdim=True)
        return chosen.masked_fill(labels == MISSING, 0).squeeze(1)

    def sample(self, uniform: Tensor) -> Tensor:
        """The first place whose running sum of probabilities exceeds `uniform`; one of probability 0 is never drawn."""
        sums = self.probabilities.cumsum(1, dtype=torch.float64)
        # uniform is at most 1 - 2**-53, and no float64 times that rounds back to itself: the place is below
        # the whole sum
        return self.symbols(torch.searchsorted(sums, uniform.unsqueeze(1) * sums[:, -1:], right=True).squeeze(1))

    def loss(self, target: Tensor) -> Loss:
        if self.support is not None:
            return super().loss(target)
        labels = target.long()
        real = labels != MISSING
        return Loss(cross_entropy_of_real(self.log_probabilities, labels, real, self.costs), int(real.sum()))

    def counts(self, target: Tensor) -> Tensor:
        return (target != MISSING).long()

    def right(self, target: Tensor) -> Tensor:
        return (self.mode() == target).to(self.log_probabilities.dtype)

    def mean_of(self, others: Sequence[Categorical]) -> Categorical:
        every = self._alike(others)
        return Categorical(
            mean_of_logs([other.log_probabilities for other in every]), self.layout, self.support, normalized=True
        )

    def pooled(self, others: Sequence[Categorical], weights: Tensor) -> Categorical:
        logs = [member.log_probabilities for member in self._alike(others)]
        return Categorical(sum(weight.to(log) * log for weight, log in zip(weights, logs)), self.layout, self.support)

    def ensemble_of(self, others: Sequence[Categorical]) -> Categorical:
        """The normalized geometric mean, p(v) = exp(mean over i of log p_i(v)) / Z, of whole symbols whatever places
        they have."""
        every, support = self._alike(others), self.support
        if support is None:
            logs = torch.stack([member.log_probabilities for member in every])
        else:
            # In float64 hardly a probability is too small for a logarithm.
            shares = [self._added_up(support, member.log_probabilities.double().exp(), 1) for member in every]
            logs = torch.stack(shares).log_().to(self.log_probabilities.dtype)
            support = torch.arange(logs.shape[2], device=logs.device).expand(logs.shape[1:])
        return Categorical(torch.log_softmax(logs.mean(0), 1), self.layout, support)

    def _alike(self, others: Sequence[Categorical]) -> list[Categorical]:
        for other in others:
            supports = self.support, other.support
            if supports[0] is not supports[1] and (None in supports or not torch.equal(*supports)):
                raise ConfigError("distributions of different symbols have no average; give runs of one vocabulary")
        return [self, *others]
