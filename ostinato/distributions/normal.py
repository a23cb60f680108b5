"""Numbers around a location, with a scale."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, distributions

from ostinato.distributions.contract import Numbers, levels_like
from ostinato.steps import Layout


class Normal(Numbers):
    """A normal distribution of each number.

    Args:
        location: the mean.
        scale: the deviation, above 0.
        layout: of the targets.
    """

    def __init__(self, location: Tensor, scale: Tensor, layout: Layout | None = None):
        self.parameters, self.layout = (location, scale), layout
        self._normal = distributions.Normal(location, scale, validate_args=False)

    def densities(self, values: Tensor) -> Tensor:
        return self._normal.log_prob(values)

    def mode(self) -> Tensor:
        return self._normal.mean

    def sample(self, uniform: Tensor) -> Tensor:
        return self._normal.icdf(uniform.to(self._normal.mean))

    def biased(self, bias: float) -> Normal:
        location, scale = self.parameters
        return Normal(location, scale * math.exp(-bias), self.layout)

    def quantile(self, levels: Sequence[float]) -> Tensor:
        return self._normal.icdf(levels_like(levels, self._normal.mean))
