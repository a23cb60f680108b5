"""AdamW."""

from collections.abc import Iterable

import torch
from torch import nn

from ostinato.registry import NonNegative, Positive, Rate
from ostinato.training.optimizers.contract import Optimizer


class AdamW(Optimizer):
    """Adam whose weight decay acts on the weights themselves, not through the gradient's moments.

        m = beta1 m + (1 - beta1) g                      mean of the gradients
        v = beta2 v + (1 - beta2) g^2                    mean of their squares
        w = w - rate * weight_decay * w
        w = w - rate * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)

    Args:
        learning_rate: the peak rate; a schedule multiplies it.
        beta1: share of the old mean kept at each update.
        beta2: share of the old mean of squares kept at each update.
        epsilon: added to the root, so that a weight that never had a gradient is not divided by zero.
        weight_decay: share of each weight taken away per update, times the rate.

    Source: Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2; the decay is multiplied by the rate, as torch does.
    """

    def __init__(
        self,
        *,
        learning_rate: Positive = 1e-3,
        beta1: Rate = 0.9,
        beta2: Rate = 0.999,
        epsilon: Positive = 1e-8,
        weight_decay: NonNegative = 0.01,
    ):
        self.learning_rate = learning_rate
        self.betas = (beta1, beta2)
        self.epsilon = epsilon
        self.weight_decay = weight_decay

    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            parameters, self.learning_rate, self.betas, self.epsilon, self.weight_decay, fused=True
        )
