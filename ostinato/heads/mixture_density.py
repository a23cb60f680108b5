"""Drawings: the offset of a pen and whether it is lifted, step by step from a mixture of densities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.distributions import mixture
from ostinato.distributions.contract import Distribution, Numbers
from ostinato.errors import ConfigError
from ostinato.heads._vectors import NextVector
from ostinato.heads.contract import Sizes
from ostinato.kernels.packed import Packed
from ostinato.modalities.contract import Values
from ostinato.registry import Count, Positive

STEEPEST = 0.99
"""The largest correlation: at 1 the density of a straight line would be infinite."""


class MixtureDensity(NextVector):
    """A mixture of densities of the next offset (x, y), and of the bit that lifts the pen and so ends the drawing.

        p(x, y, bit) = sum over k of w[k] N(x, y; a[k], b[k], s[k], t[k], r[k]) Bernoulli(bit; q[k])

    N is the bivariate normal of means a, b, deviations s, t and correlation r. All are linear in the encoder's step: w
    through a softmax, s and t through a softplus, r through a tanh.

    Shapes:
        steps (N, 3): x, y, and a bit of 0 or 1

    Args:
        components: of the mixture.
        least_scale: added to s and t: a density of offsets that repeat exactly would grow without bound.

    Errors:
        ConfigError: steps are not three numbers, or are scaled, which leaves no bit.

    Source: Graves 2013, arXiv:1308.0850, equations 15 to 26; a bit for each component, where his is one for all.
    """

    def __init__(self, spec: Values, sizes: Sequence[Sizes], *, components: Count = 20, least_scale: Positive = 0.01):
        if not isinstance(spec, Values) or spec.size != 3 or spec.signs:
            raise ConfigError(f"mixture_density: a step is x, y and whether the pen is lifted, not {spec.size} numbers")
        if not spec.unscaled:
            raise ConfigError("mixture_density: a bit is 0 or 1 and is not scaled; set scale: none for the series")
        super().__init__("mixture_density", sizes)
        self.components, self.least_scale = components, least_scale
        self.output = nn.Linear(self.width, components * 7)

    def ended(self, steps: Tensor) -> Tensor:
        return steps[:, 2] > 0.5

    def predict_next(
        self, steps: Tensor, beside: Tensor | None = None, packed: Mapping[str, Packed] | None = None
    ) -> Distribution:
        read = steps if beside is None else torch.cat([steps, beside], 1)
        weights, rest = self.output(read).split([self.components, self.components * 6], 1)
        location, scale, correlation, bit = rest.view(len(read), self.components, 6).split([2, 2, 1, 1], 2)
        scale, correlation = functional.softplus(scale) + self.least_scale, STEEPEST * correlation.tanh()
        return mixture.Mixture(weights, Stroke(location, scale, correlation, bit))


class Stroke(Numbers):
    """Two correlated normal numbers, the second given the first, and a bit.

        N(x, y) = N(x; a, s) N(y; b + r t (x - a) / s, t sqrt(1 - r^2))

    Args:
        location: (..., 2) a and b.
        scale: (..., 2) s and t.
        correlation: (..., 1) r.
        bit: (..., 1) the logit of 1.
    """

    lacks = {"quantile": "a bit has none"}

    def __init__(self, location: Tensor, scale: Tensor, correlation: Tensor, bit: Tensor):
        self.parameters = (location, scale, correlation, bit)
        (self.mean_x, self.mean_y), (scale_x, scale_y) = location.split(1, -1), scale.split(1, -1)
        self.slope, self.width = correlation * scale_y / scale_x, scale_y * (1 - correlation**2).sqrt()
        self.x = torch.distributions.Normal(self.mean_x, scale_x, validate_args=False)
        self.lifted = torch.distributions.Bernoulli(logits=bit, validate_args=False)

    def _y(self, x: Tensor) -> torch.distributions.Normal:
        return torch.distributions.Normal(self.mean_y + self.slope * (x - self.mean_x), self.width, validate_args=False)

    def densities(self, values: Tensor) -> Tensor:
        x, y, bit = values.split(1, -1)
        return torch.cat([self.x.log_prob(x), self._y(x).log_prob(y), self.lifted.log_prob(bit)], -1)

    def mode(self) -> Tensor:
        return torch.cat([self.mean_x, self.mean_y, (self.lifted.logits > 0).to(self.mean_x)], -1)

    def sample(self, uniform: Tensor) -> Tensor:
        first, second, third = uniform.split(1, -1)
        x = self.x.icdf(first.to(self.mean_x))
        y = self._y(x).icdf(second.to(x))
        return torch.cat([x, y, (third.to(x) < self.lifted.probs).to(x)], -1)
