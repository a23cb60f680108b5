"""Heads of labels that take what was counted for scores, and put them together with what is learnt."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ostinato.distributions.contract import Distribution, Loss
from ostinato.encoders.contract import Encoded
from ostinato.heads.contract import Predictor, Sizes
from ostinato.layers.temperature import fitted_temperature
from ostinato.modalities.contract import Labels
from ostinato.steps import Layout, Steps

MOST_COSTS = 2_000_000
"""Numbers that are made in a step of the search for the weights of a pool, whose tens of steps come before each
validation. Of the 20,000 words that validate on CoNLL 2003 (17 labels, a CRF), every third batch is asked then."""
CLOSE = 1e-7
"""The share of the loss by which the last step of that search still changes it: weights to two or three digits."""


class OpinionPool(nn.Module):
    """The weights of several distributions of the same labels in their logarithmic opinion pool.

    They are fitted on held-out targets, since on those that the distributions were fitted on the one that memorized
    them would get all the weight. What was counted comes last, and first has a weight alone. A prior then holds the
    weights near that where targets are few, so that what is learnt changes answers as far as targets speak for it:

        v = argmin  - sum_i log p(y_i) + PRIOR / 2 (v - 1)^2,              p ~ p_K^v,                 v >= 0
        w = argmin  - sum_i log p(y_i) + PRIOR / 2 |w - (0, ..., 0, v)|^2,  p ~ p_1^w[1] .. p_K^w[K],  w >= 0

    A single distribution gets v: the inverse of a temperature, which calibrates it.

    Args:
        number: K, of distributions.

    Source: Heskes 1998, "Selecting weighting factors in logarithmic opinion pools"; temperature: Guo et al. 2017,
    arXiv:1706.04599, section 4.2.
    """

    PRIOR = 10.0

    def __init__(self, number: int):
        super().__init__()
        self.register_buffer("weights", torch.full((number,), 1 / number))

    def fit(self, log_probability: Callable[[Tensor], Tensor]) -> None:
        """Fits the weights.

        Args:
            log_probability: of all held-out targets, from weights in float64.
        """
        from scipy.optimize import minimize

        def fitted(center: np.ndarray, free: np.ndarray) -> np.ndarray:
            def objective(vector: np.ndarray) -> tuple[float, np.ndarray]:
                weights = torch.from_numpy(vector).clone().requires_grad_()
                value = self.PRIOR / 2 * (weights - torch.from_numpy(center)).square().sum()
                value = value - log_probability(weights).cpu().double()
                # The gradient of the weights alone: those of the distributions are for training.
                return value.item(), torch.autograd.grad(value, weights)[0].numpy()

            bounds = [(0, None if varied else 0) for varied in free]
            close = {"ftol": CLOSE}
            return minimize(objective, center, jac=True, method="L-BFGS-B", bounds=bounds, options=close).x

        number = len(self.weights)
        with torch.enable_grad():
            counted = np.eye(number)[-1]
            weights = fitted(counted, counted)
            if number > 1:
                weights = fitted(weights, np.ones(number))
        self.weights.copy_(torch.from_numpy(weights))


class _Held(NamedTuple):
    """Distributions of some held-out targets."""

    members: list[Distribution]
    targets: Tensor


class ScoredLabels(Predictor):
    """Predicts labels from what is learnt, from scores that were solved for, or from both.

        s = sum of the steps, or summaries, of all inputs that give scores
        q = softmax(s), or sigmoid(s) with several labels
        p ~ p^w[1] q^w[2]      where other inputs are read too: p of these alone

    Each part is fitted alone, and before each validation w is fitted on the validation split. Once calibrated, all is
    divided by a temperature: p_T ~ p^(1 / T).

    Args:
        spec: what one answer is.
        sizes: of each input.
        widths: of what would be scores, for each input.
    """

    takes_scores = True
    temperature = 1.0
    settling_cost: int
    """Numbers that are made for a held-out target."""

    def __init__(self, spec: Labels, sizes: Sequence[Sizes], widths: Sequence[int | None]):
        super().__init__()
        pairs = enumerate(zip(sizes, widths, strict=True))
        self.scored = tuple(at for at, (size, width) in pairs if size.counted and width == spec.size)
        self.others = [at for at in range(len(sizes)) if at not in self.scored]
        self.learns = bool(self.others or not self.scored)
        self.pool = OpinionPool(1 + self.learns) if self.scored else None
        self.settling_cost = spec.size

    @abstractmethod
    def learnt(self, encoded: Sequence[Encoded], targets: Steps | None, training: bool) -> Distribution:
        """What is predicted with weights that are learnt."""

    @abstractmethod
    def scores(self, encoded: Sequence[Encoded], targets: Steps | None) -> Steps:
        """The sum of the scores that are read, those of an answer a step."""

    @abstractmethod
    def of_scores(self, scores: Tensor, layout: Layout, training: bool = False) -> Distribution:
        """The distribution that has these scores."""

    def predict_distribution(
        self, encoded: Sequence[Encoded], targets: Steps | None = None, training: bool = False
    ) -> Distribution:
        if self.pool is None or (training and self.learns):
            distribution = self.learnt(encoded, targets, training)
        else:
            members = self._members(encoded, targets)
            distribution = members[0] if training else members[0].pooled(members[1:], self.pool.weights)
        return distribution if training or self.temperature == 1 else _tempered(distribution, self.temperature)

    @torch.no_grad()
    def calibrate(self, batches: Callable[[], Iterator[tuple[Sequence[Encoded], Steps]]]) -> str | None:
        self.temperature = 1.0
        held = [_Held([self.predict_distribution(encoded, targets)], targets.values) for encoded, targets in batches()]
        count = sum(int(members[0].counts(targets).sum()) for members, targets in held)
        if not count:
            return None

        def loss(temperature: float) -> float:
            own = (_tempered(members[0], temperature).log_prob(targets).sum() for members, targets in held)
            return -float(sum(own)) / count

        self.temperature = fitted_temperature(loss)
        return (
            f"temperature {self.temperature:.3g} fitted on {count:,} targets of valid, whose loss it brings from "
            f"{loss(1):.4g} to {loss(self.temperature):.4g} nats"
        )

    def _members(self, encoded: Sequence[Encoded], targets: Steps | None) -> list[Distribution]:
        """What is learnt, where something is, then the scores."""
        members = [self.learnt(encoded, targets, False)] if self.learns else []
        scores = self.scores(encoded, targets)
        return [*members, self.of_scores(scores.values, scores.layout)]

    def score_loss(self, scores: Tensor, targets: Steps) -> Loss:
        return self.of_scores(scores, targets.layout, training=True).loss(targets.values)

    @torch.no_grad()
    def settle(self, held_out: Iterable[tuple[Sequence[Encoded], Steps]]) -> None:
        if self.pool is None:
            return
        held = [_Held(self._members(encoded, targets), targets.values) for encoded, targets in held_out]
        costs = sum(len(targets) for _, targets in held) * self.settling_cost
        held = held[:: math.ceil(costs / MOST_COSTS) or 1]

        def log_probability(weights: Tensor) -> Tensor:
            return torch.stack(
                [members[0].pooled(members[1:], weights).log_prob(targets).sum() for members, targets in held]
            ).sum()

        self.pool.fit(log_probability)


def _tempered(distribution: Distribution, temperature: float) -> Distribution:
    return distribution.pooled((), torch.tensor([1 / temperature]))
