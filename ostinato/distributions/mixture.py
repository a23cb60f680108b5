"""Vectors of numbers from one of several components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ostinato.distributions.categorical import Categorical
from ostinato.distributions.contract import Loss, Numbers
from ostinato.steps import Layout


class Mixture(Numbers):
    """A vector of numbers, all of them from one component.

        p(y) = sum over k of softmax(scores)[k] * product over numbers c of p_k(y_c)
        mean of several: a mixture of all their components, of equal weight

    The mode is the center of a component, the one of highest density under the whole mixture: the true maximum lies
    close to it where components do not overlap.

    Shapes:
        scores (N, K); components of (N, K, C); targets (N, C)

    Args:
        scores: logits of the components.
        components: of one kind, K for each row.
        layout: of the targets.

    Source: Bishop 1994, Mixture density networks, NCRG/94/004; as torch's MixtureSameFamily, with numbers missing.
    """

    lacks: ClassVar[Mapping[str, str]] = {"quantile": "a mixture has no quantiles in closed form"}

    def __init__(self, scores: Tensor, components: Numbers, layout: Layout | None = None):
        self.weights, self.components, self.layout = Categorical(scores), components, layout

    @property
    def draws(self) -> int:
        """The component's, and one that chooses it: that of the first number of a row."""
        return 1 + self.components.draws

    def densities(self, values: Tensor) -> Tensor:
        """(N, K, C)"""
        return self.components.densities(values.unsqueeze(1))

    def score(self, target: Tensor) -> Tensor:
        densities, real = self._known(target)
        of_components = densities.masked_fill(~real.unsqueeze(1), 0).sum(2)
        known = torch.logsumexp(self.weights.log_probabilities + of_components, 1)
        return known.masked_fill(~real.any(1), 0)  # the sum of the weights is 1 to rounding alone

    def loss(self, target: Tensor) -> Loss:
        return Loss(-self.score(target).sum(), int(self.counts(target).sum()))

    def mode(self) -> Tensor:
        centers = self.components.mode()
        scores = torch.stack([self.score(center) for center in centers.unbind(1)], 1)
        return self._of(centers, scores.argmax(1))

    def sample(self, uniform: Tensor) -> Tensor:
        component = self.weights.sample(uniform[:, 0, 0])
        inner = uniform[..., 1:] if self.components.draws > 1 else uniform[..., 1]
        drawn = self.components.sample(inner.unsqueeze(1))
        return self._of(drawn, component)

    def biased(self, bias: float) -> Mixture:
        scores = self.weights.log_probabilities * (1 + bias)
        return Mixture(scores, self.components.biased(bias), self.layout)

    def mean_of(self, others: Sequence[Mixture]) -> Mixture:
        every = [self, *others]
        scores = torch.cat([other.weights.log_probabilities for other in every], 1)
        parameters = zip(*(other.components.parameters for other in every))
        return Mixture(scores, type(self.components)(*(torch.cat(parts, 1) for parts in parameters)), self.layout)

    def _of(self, values: Tensor, component: Tensor) -> Tensor:
        """The values (N, C) of one component for each row, from those of all (N, K, C)."""
        return values[torch.arange(len(values), device=values.device), component]
