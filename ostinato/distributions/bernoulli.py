"""Any number of labels for each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from ostinato.distributions._entropy import cross_entropy_of_real
from ostinato.distributions.contract import NO_COSTS, Costs, Distribution, Loss, mean_of_logs
from ostinato.modalities.contract import MISSING
from ostinato.steps import Layout


class Bernoulli(Distribution):
    """Whether a row has each of V labels, each on its own.

        p[k] = sigmoid(scores[k])
        mean of several: p[k] = mean over i of p_i[k]

    A row is one target, however many labels it has; it counts where one of its labels is known.

    Shapes:
        scores (R, V); targets (R, V) of 0, 1 and NaN; log_probabilities (R, V, 2): of no and of yes

    Args:
        scores: logits; or log-probabilities of no and of yes.
        layout: of the targets.
        costs: what training adds to the log-probability; smoothing spreads over yes and no.
        normalized: whether the scores are log-probabilities (R, V, 2).

    Source: the mean: Lakshminarayanan 2017, arXiv:1612.01474, section 2.4.
    """

    lacks: ClassVar[Mapping[str, str]] = {"quantile": "labels have no order"}

    def __init__(self, scores: Tensor, layout: Layout | None = None, costs: Costs = NO_COSTS, normalized: bool = False):
        self.scores, self.layout, self.costs, self.normalized = scores, layout, costs, normalized

    @cached_property
    def log_probabilities(self) -> Tensor:
        return self.scores if self.normalized else functional.logsigmoid(torch.stack((-self.scores, self.scores), 2))

    @property
    def probabilities(self) -> Tensor:
        return self.log_probabilities[..., 1].exp()

    def mode(self) -> Tensor:
        return self.log_probabilities.argmax(2).to(self.log_probabilities.dtype)

    def log_prob(self, target: Tensor) -> Tensor:
        answers = _answers(target)
        chosen = self.log_probabilities.gather(2, answers.clamp(min=0).unsqueeze(2)).squeeze(2)
        return chosen.masked_fill(answers == MISSING, 0).sum(1)

    def sample(self, uniform: Tensor) -> Tensor:
        return (uniform < self.probabilities).to(self.log_probabilities.dtype)

    def loss(self, target: Tensor) -> Loss:
        answers = _answers(target)
        real = answers != MISSING
        total = cross_entropy_of_real(self.log_probabilities, answers, real, self.costs)
        return Loss(total, int(real.any(1).sum()))

    def counts(self, target: Tensor) -> Tensor:
        return (~target.isnan()).any(1).long()

    def right(self, target: Tensor) -> Tensor:
        """A row is right where all labels that are known are."""
        right = ((self.mode() == target) | target.isnan()).all(1) & ~target.isnan().all(1)
        return right.to(self.log_probabilities.dtype)

    def mean_of(self, others: Sequence[Bernoulli]) -> Bernoulli:
        logs = mean_of_logs([other.log_probabilities for other in (self, *others)])
        return Bernoulli(logs, self.layout, normalized=True)

    def pooled(self, others: Sequence[Bernoulli], weights: Tensor) -> Bernoulli:
        odds = [member.log_probabilities.diff(dim=2).squeeze(2) for member in (self, *others)]
        return Bernoulli(sum(weight.to(odd) * odd for weight, odd in zip(weights, odds)), self.layout)


def _answers(target: Tensor) -> Tensor:
    """(R, V) 1 for yes, 0 for no, MISSING where it is unknown."""
    return torch.where(target.isnan(), MISSING, target).long()
