"""Adam."""

from collections.abc import Iterable

import torch
from torch import nn

from ostinato.registry import NonNegative, Positive, Rate
from ostinato.training.optimizers.contract import Optimizer


class Adam(Optimizer):
    """A rate for each weight from the running mean of its gradients and of their squares.

        g = g + weight_decay * w                         the decay goes through the moments; see adamw for the other way
        m = beta1 m + (1 - beta1) g                      mean of the gradients
        v = beta2 v + (1 - beta2) g^2                    mean of their squares
        w = w - rate * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)

    Args:
        learning_rate: the peak rate; a schedule multiplies it.
        beta1: share of the old mean kept at each update.
        beta2: share of the old mean of squares kept at each update.
        epsilon: added to the root, so that a weight that never had a gradient is not divided by zero.
        weight_decay: factor of the weights that is added to their gradients.

    Source: Kingma and Ba 2015, arXiv:1412.6980, algorithm 1.
    """

    def __init__(
        self,
        *,
        learning_rate: Positive = 1e-3,
        beta1: Rate = 0.9,
        beta2: Rate = 0.999,
        epsilon: Positive = 1e-8,
        weight_decay: NonNegative = 0.0,
    ):
        self.learning_rate = learning_rate
        self.betas = (beta1, beta2)
        self.epsilon = epsilon
        self.weight_decay = weight_decay

    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, self.learning_rate, self.betas, self.epsilon, self.weight_decay, fused=True)
