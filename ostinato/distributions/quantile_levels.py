"""Numbers by their quantiles at given levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ostinato.distributions.contract import LEVELS, Numbers
from ostinato.errors import ConfigError
from ostinato.steps import Layout


class QuantileLevels(Numbers):
    """The quantiles of each number, with nothing assumed of the distribution between and beyond them.

        pinball(r) = level r where r >= 0, (level - 1) r below
        loss       = mean over levels of pinball(y - q) - log(level (1 - level))

    The loss is the mean over levels of -log of a Laplace density with two slopes around q. Minus the loss is reported
    as score, in the unit of a logarithm of a density; but no density has that logarithm, so there is no log_prob.

    Args:
        values: (..., levels), in any order; sorted here, so that quantiles never cross.
        layout: of the targets.

    Source: Koenker and Bassett 1978, doi:10.2307/1913643.
    """

    lacks: ClassVar[Mapping[str, str]] = {
        "log_prob": "quantiles say nothing about the density between them; `score` is minus the pinball loss",
        "sample": "quantiles say nothing about values beyond the outer ones",
    }

    def __init__(self, values: Tensor, layout: Layout | None = None):
        self.values, self.layout = values.sort(-1).values, layout

    def densities(self, values: Tensor) -> Tensor:
        apart = values.unsqueeze(-1) - self.values
        levels = torch.tensor(LEVELS).to(apart)
        return ((levels * (1 - levels)).log() - torch.maximum(levels * apart, (levels - 1) * apart)).mean(-1)

    def mode(self) -> Tensor:
        """The median."""
        return self.values[..., LEVELS.index(0.5)]

    def quantile(self, levels: Sequence[float]) -> Tensor:
        other = next((level for level in levels if level not in LEVELS), None)
        if other is not None:
            raise ConfigError(f"quantiles: level {other} is not predicted; predicted are {', '.join(map(str, LEVELS))}")
        return self.values[..., [LEVELS.index(level) for level in levels]].movedim(-1, 0)
