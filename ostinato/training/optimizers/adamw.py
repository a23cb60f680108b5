"""AdamW."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

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

    Source: Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2; the decay is multiplied by the rate, as torch
        does.
    """

    variants = ({"learning_rate": 1e-3}, {"learning_rate": 1e-2}, {"weight_decay": 0.1})

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
        return _FusedAdamW(parameters, self.learning_rate, self.betas, self.epsilon, self.weight_decay, fused=True)


class _FusedAdamW(torch.optim.AdamW):
    """torch's AdamW whose step is torch's two kernels and nothing around them, where that is all that it would run.

    The kernels are torch's own, since equal bits could not be promised otherwise: what a weight is rounded to depends
    on whether torch computes it in a vector or in the rest behind the last one, on the instruction set and on the
    version.
    """

    def __init__(self, *arguments: Any, fused: bool):
        super().__init__(*arguments, fused=fused)
        self._gathered: tuple[Any, list[nn.Parameter], list[Tensor], list[Tensor], list[Tensor]] | None = None

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One update; the first after a start or a restored state is torch's own, which checks and makes its state."""
        gradients = [parameter.grad for parameter in self.param_groups[0]["params"]]
        if not self._is_gathered(gradients):
            self._gathered = None
            super().step(closure)
            self._gather()
            return
        _, parameters, means, squares, steps = self._gathered
        group = self.param_groups[0]
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            parameters,
            gradients,
            means,
            squares,
            [],
            steps,
            amsgrad=False,
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )

    # torch wraps a step that lacks this mark, for its profiler and for hooks, of which nobody here makes use.
    step.hooked = True

    def _is_gathered(self, gradients: list[Tensor | None]) -> bool:
        """Whether the tensors of the last update are those of this one, and every weight has a gradient."""
        if self._gathered is None or self._gathered[0] is not self.state or any(grad is None for grad in gradients):
            return False
        return len(self._gathered[1]) == len(gradients)

    def _gather(self) -> None:
        parameters = self.param_groups[0]["params"]
        if len(self.param_groups) > 1 or any(parameter not in self.state for parameter in parameters):
            return
        if len({(parameter.device, parameter.dtype) for parameter in parameters}) != 1 or not parameters[0].is_cpu:
            return
        kept = [[self.state[parameter][key] for parameter in parameters] for key in ("exp_avg", "exp_avg_sq", "step")]
        self._gathered = (self.state, parameters, *kept)
