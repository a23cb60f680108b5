"""Numbers around a location, with tails as heavy as the data ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ostinato.distributions.contract import Numbers, levels_like
from ostinato.steps import Layout


class StudentT(Numbers):
    """Student's t distribution of each number.

    Quantiles are exact to 2e-5 from 3 degrees of freedom up and to 2e-3 at 2, between levels of 0.05 and 0.95.

    Args:
        location: of each number.
        scale: above 0.
        freedom: degrees of freedom, 2 or more.
        layout: of the targets.

    Source: quantiles: Hill 1970, CACM algorithm 396 (doi:10.1145/355598.355600), whose tail probability is two-sided; a
    draw from two uniform numbers: Bailey 1994, doi:10.2307/2153537.
    """

    draws: ClassVar[int] = 2

    def __init__(self, location: Tensor, scale: Tensor, freedom: Tensor, layout: Layout | None = None):
        self.location, self.scale, self.freedom, self.layout = location, scale, freedom, layout
        self.parameters = (location, scale, freedom)

    def densities(self, values: Tensor) -> Tensor:
        freedom, scale, apart = self.freedom, self.scale, values - self.location
        normal = (
            torch.lgamma((freedom + 1) / 2) - torch.lgamma(freedom / 2) - (freedom * math.pi).log() / 2 - scale.log()
        )
        return normal - (freedom + 1) / 2 * torch.log1p((apart / scale).square() / freedom)

    def mode(self) -> Tensor:
        return self.location

    def sample(self, uniform: Tensor) -> Tensor:
        radius = (self.freedom * (uniform[..., 0].pow(-2 / self.freedom) - 1)).sqrt()
        return self.location + self.scale * (radius * torch.cos(2 * math.pi * uniform[..., 1]))

    def quantile(self, levels: Sequence[float]) -> Tensor:
        return self.location + self.scale * _quantile(self.freedom, levels_like(levels, self.scale))


def _quantile(freedom: Tensor, level: Tensor) -> Tensor:
    """The quantile of the t distribution of location 0 and scale 1."""
    tails = (2 * torch.minimum(level, 1 - level)).clamp(min=1e-12, max=1.0)
    n = freedom
    a = 1 / (n - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * (a * math.pi / 2).sqrt() * n
    y = (d * tails).pow(2 / n)
    x = torch.special.ndtri(tails.double() / 2).to(y)
    near = x**2
    c = torch.where(n < 5, c + 0.3 * (n - 4.5) * (x + 0.6), c)
    c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c
    inner = (((((0.4 * near + 6.3) * near + 36) * near + 94.5) / c - near - 3) / b + 1) * x
    large = torch.expm1(a * inner**2)
    middle = 1 / (((n + 6) / (n * y) - 0.089 * d - 0.822) * (n + 2) * 3) + 0.5 / (n + 4)
    small = (middle * y - 1) * (n + 1) / (n + 2) + 1 / y
    distance = (n * torch.where(y > 0.05 + a, large, small)).clamp(min=0).sqrt()
    return torch.where(level < 0.5, -distance, torch.where(level > 0.5, distance, torch.zeros_like(distance)))
