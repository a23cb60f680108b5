"""Numbers of windows of series, each window in a unit of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from ostinato.distributions.contract import Numbers
from ostinato.steps import Layout


class Affine(Numbers):
    """Windows of numbers whose distribution is known in each window's unit.

        y = m + d (l + x)                      x has the distribution `base`
        log p(y) = log p((y - m) / d - l) - log d

    Shapes:
        base of (B, horizon, C); m and d (B, 1, C), l that or (B, horizon, C); targets (B * horizon, C + signs)

    Args:
        base: of x.
        mean: m.
        deviation: d, above 0.
        last: l.
        horizon: steps of each window.
        signs: how many signs of gaps a target has beside its numbers; they are not predicted, and 0 in a mode.

    Source: normalized windows: Kim 2022 (RevIN, ICLR).
    """

    joint: ClassVar[bool] = True

    def __init__(self, base: Numbers, mean: Tensor, deviation: Tensor, last: Tensor, horizon: int, signs: int = 0):
        self.base, self.mean, self.deviation, self.last, self.signs = base, mean, deviation, last, signs
        self.shape = (len(mean), horizon, mean.shape[2])
        self.layout = Layout.equal(len(mean), horizon, mean.device)
        self.lacks: Mapping[str, str] = base.lacks

    @property
    def draws(self) -> int:
        return self.base.draws

    def densities(self, values: Tensor) -> Tensor:
        return self.base.densities((values - self.mean) / self.deviation - self.last) - self.deviation.log()

    def values_of(self, target: Tensor) -> Tensor:
        return target[:, : self.shape[2]].reshape(self.shape)

    def mode(self) -> Tensor:
        return self._target_of(self.base.mode())

    def sample(self, uniform: Tensor) -> Tensor:
        return self._target_of(self.base.sample(uniform))

    def quantile(self, levels: Sequence[float]) -> Tensor:
        return self._target_of(self.base.quantile(levels))

    def right(self, target: Tensor) -> Tensor:
        """None: a value of a series is never met exactly."""
        return torch.zeros(self.shape[0], device=target.device)

    def _target_of(self, x: Tensor) -> Tensor:
        values = self.mean + self.deviation * (x + self.last)
        return functional.pad(values, (0, self.signs)).flatten(-3, -2)
