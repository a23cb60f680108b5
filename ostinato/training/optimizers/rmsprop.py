"""RMSprop."""

from collections.abc import Iterable

import torch
from torch import nn

from ostinato.registry import NonNegative, Positive, Rate
from ostinato.training.optimizers.contract import Optimizer


class RMSprop(Optimizer):
    """Divides each gradient by the running root mean square of its past.

        g = g + weight_decay * w
        s = smoothing * s + (1 - smoothing) g^2          mean of the squares
        a = smoothing * a + (1 - smoothing) g            mean of the gradients; centered: s - a^2 for s below
        d = g / (sqrt(s) + epsilon)
        v = momentum * v + d
        w = w - rate * v

    Args:
        learning_rate: the peak rate; a schedule multiplies it.
        smoothing: share of the old mean of squares kept at each update.
        epsilon: added to the root.
        momentum: share of the last step that is kept.
        centered: divide by the standard deviation in place of the root mean square.
        weight_decay: factor of the weights that is added to their gradients.

    Source: Tieleman and Hinton 2012, lecture 6.5; centered: Graves 2013, arXiv:1308.0850, equations 38 to 41.
    """

    def __init__(
        self,
        *,
        learning_rate: Positive = 1e-3,
        smoothing: Rate = 0.99,
        epsilon: Positive = 1e-8,
        momentum: Rate = 0.0,
        centered: bool = False,
        weight_decay: NonNegative = 0.0,
    ):
        self.learning_rate = learning_rate
        self.smoothing = smoothing
        self.epsilon = epsilon
        self.momentum = momentum
        self.centered = centered
        self.weight_decay = weight_decay

    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(
            parameters,
            self.learning_rate,
            self.smoothing,
            self.epsilon,
            self.weight_decay,
            self.momentum,
            self.centered,
        )
