"""Stochastic gradient descent."""

from collections.abc import Iterable

import torch
from torch import nn

from ostinato.errors import ConfigError
from ostinato.registry import NonNegative, Positive, Rate
from ostinato.training.optimizers.contract import Optimizer


class SGD(Optimizer):
    """Steps along the gradient, with momentum if wanted.

        g = g + weight_decay * w
        v = momentum * v + g                             v = g at the first update
        w = w - rate * v                                 with nesterov: w - rate * (g + momentum * v)

    Args:
        learning_rate: the peak rate; a schedule multiplies it.
        momentum: share of the last step's direction that is kept.
        nesterov: look one step of momentum ahead.
        weight_decay: factor of the weights that is added to their gradients.

    Errors:
        ConfigError: nesterov without momentum.

    Source: Sutskever, Martens, Dahl and Hinton 2013, section 2, with the rate outside the velocity, as torch does.
    """

    def __init__(
        self,
        *,
        learning_rate: Positive = 0.1,
        momentum: Rate = 0.9,
        nesterov: bool = False,
        weight_decay: NonNegative = 0.0,
    ):
        if nesterov and not momentum:
            raise ConfigError(
                "training.optimizer.nesterov: looks along the momentum, which is 0; set momentum, such as 0.9"
            )
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.nesterov = nesterov
        self.weight_decay = weight_decay

    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            parameters,
            self.learning_rate,
            self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.nesterov,
            fused=True,
        )
