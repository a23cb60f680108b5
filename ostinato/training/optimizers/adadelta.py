"""Adadelta."""

from collections.abc import Iterable

import torch
from torch import nn

from ostinato.registry import NonNegative, Positive, Rate
from ostinato.training.optimizers.contract import Optimizer


class Adadelta(Optimizer):
    """Steps in the unit of the weights: the gradient times the size of past steps over that of past gradients.

        g = g + weight_decay * w
        s = smoothing * s + (1 - smoothing) g^2          mean of the squared gradients
        d = g * sqrt(u + epsilon) / sqrt(s + epsilon)
        u = smoothing * u + (1 - smoothing) d^2          mean of the squared steps
        w = w - rate * d

    Args:
        learning_rate: the peak rate; 1 is the published method, a schedule multiplies it.
        smoothing: share of the old means kept at each update.
        epsilon: added under the roots; it sets the size of the first steps.
        weight_decay: factor of the weights that is added to their gradients.

    Source: Zeiler 2012, arXiv:1212.5701, algorithm 1; smoothing 0.95 and epsilon 1e-6 as in its section 4.
    """

    def __init__(
        self,
        *,
        learning_rate: Positive = 1.0,
        smoothing: Rate = 0.95,
        epsilon: Positive = 1e-6,
        weight_decay: NonNegative = 0.0,
    ):
        self.learning_rate = learning_rate
        self.smoothing = smoothing
        self.epsilon = epsilon
        self.weight_decay = weight_decay

    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adadelta(parameters, self.learning_rate, self.smoothing, self.epsilon, self.weight_decay)
