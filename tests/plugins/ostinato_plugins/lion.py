"""Lion: steps of one size, in the direction of the sign of a momentum."""

from collections.abc import Callable, Iterable

import torch
from torch import nn

from ostinato.contracts import NonNegative, Optimizer, Positive, Rate


class Lion(Optimizer):
    """Every parameter moves by the learning rate, in the direction of the sign of an average gradient.

        u = sign(beta1 m + (1 - beta1) g);   m = beta2 m + (1 - beta2) g;   w = w - rate (u + weight_decay w)

    Args:
        learning_rate: the peak rate; a schedule multiplies it.
        beta1: the share of the average gradient in a step.
        beta2: the share of the average that is kept for the next.
        weight_decay: decays weights by this share of the rate.

    Source: Chen et al. 2023, arXiv:2302.06675, algorithm 2.
    """

    def __init__(
        self,
        *,
        learning_rate: Positive = 3e-4,
        beta1: Rate = 0.9,
        beta2: Rate = 0.99,
        weight_decay: NonNegative = 0.0,
    ):
        self.learning_rate = learning_rate
        self._settings = {"lr": learning_rate, "betas": (beta1, beta2), "weight_decay": weight_decay}

    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return _Lion(parameters, self._settings)


class _Lion(torch.optim.Optimizer):
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        for group in self.param_groups:
            first, second = group["betas"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                average = state.setdefault("average", torch.zeros_like(parameter))
                direction = torch.lerp(parameter.grad, average, first).sign_()
                average.lerp_(parameter.grad, 1 - second)
                parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-group["lr"])
