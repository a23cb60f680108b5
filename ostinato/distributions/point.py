"""One number, and what its distance costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from ostinato.distributions.contract import Numbers
from ostinato.steps import Layout

Distance = Literal["squared", "absolute", "huber"]


class Point(Numbers):
    """One number for each target, the best under a distance.

        -log p(y) = rho(y - f) + log of the integral of exp(-rho)
        squared:  rho(r) = r^2 / 2             a normal density of scale 1: f is the mean
        absolute: rho(r) = |r|                 Laplace's: f is the median
        huber:    rho(r) = r^2 / 2 up to |r| = 1, |r| - 1/2 beyond

    The scale is 1 in the unit of the targets: not learnt, so quantiles and samples would claim a spread that nobody
    estimated.

    Args:
        location: f.
        distance: rho.
        layout: of the targets.

    Source: Huber 1964, doi:10.1214/aoms/1177703732, with k = 1.
    """

    lacks: ClassVar[Mapping[str, str]] = {
        "quantile": "a point has no spread of its own",
        "sample": "a point has no spread of its own",
    }

    def __init__(self, location: Tensor, distance: Distance, layout: Layout | None = None):
        self.location, self.distance, self.layout = location, distance, layout
        self.parameters = (location,)

    def densities(self, values: Tensor) -> Tensor:
        apart = values - self.location
        if self.distance == "squared":
            return -(apart.square() / 2) - math.log(2 * math.pi) / 2
        if self.distance == "absolute":
            return -apart.abs() - math.log(2)
        huber = functional.huber_loss(apart, torch.zeros_like(apart), reduction="none")
        return -huber - math.log(math.sqrt(2 * math.pi) * math.erf(math.sqrt(0.5)) + 2 * math.exp(-0.5))

    def mode(self) -> Tensor:
        return self.location
