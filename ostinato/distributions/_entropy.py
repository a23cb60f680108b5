"""The cross entropy of labels, with what training adds to it."""

from __future__ import annotations

import torch
from torch import Tensor

from ostinato.distributions.contract import NO_COSTS, Costs


def cross_entropy(log_probabilities: Tensor, targets: Tensor, costs: Costs = NO_COSTS) -> Tensor:
    """The sum of weighted, focal and smoothed cross entropies; minus the log-probability where all three are off.

        l[k] = weights[k] * (1 - p[k])^focal * -log p[k]
        loss = (1 - smoothing) * l[target] + smoothing * mean over k of l[k]

    Shapes:
        log_probabilities (M, K); targets (M,) below K; weights, anything that spreads over (M, K); returns a scalar

    Source: smoothing: Szegedy 2016, arXiv:1512.00567, section 7; focal: Lin 2017, arXiv:1708.02002, equation 5, whose
    alpha is our weight; weights and smoothing together: as torch's cross_entropy.
    """
    losses = -log_probabilities
    if costs.focal:
        # a probability of 1 leaves no slope of 0^focal to multiply by, and a slope of infinity where focal < 1
        rest = -torch.expm1(log_probabilities)
        losses = losses * rest.clamp(min=torch.finfo(rest.dtype).eps) ** costs.focal
    if costs.weights is not None:
        losses = losses * costs.weights
    total = losses.gather(1, targets.unsqueeze(1)).sum()
    return total if not costs.smoothing else (1 - costs.smoothing) * total + costs.smoothing * losses.mean(1).sum()


def cross_entropy_of_real(log_probabilities: Tensor, targets: Tensor, real: Tensor, costs: Costs = NO_COSTS) -> Tensor:
    """`cross_entropy` over the targets that are not missing; weights spread over all log-probabilities."""
    if costs.weights is not None:
        weights = costs.weights.to(log_probabilities.dtype).expand_as(log_probabilities)[real]
        costs = costs._replace(weights=weights)
    return cross_entropy(log_probabilities[real], targets[real], costs)
