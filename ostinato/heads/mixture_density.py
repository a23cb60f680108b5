"""Drawings: the offset of a pen and whether it is lifted, step by step from a mixture of densities."""

from __future__ import annotations

import math
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
    """A mixture of densities of the next offset (x, y), and of bits, the last of which ends the drawing.

        p(x, y, bits) = sum over k of w[k] N(x, y; a[k], b[k], s[k], t[k], r[k]) product of Bernoulli(bit; q[k])

    N is the bivariate normal of means a, b, deviations s, t and correlation r. All are linear in the encoder's step: w
    through a softmax, s and t through a softplus, r through a tanh.

    Shapes:
        steps (N, 3): x, y, and a bit that lifts the pen; or (N, 4), `strokes`: x, y, a bit that lifts it, and one that
        ends the drawing and is not read, so that a drawing can be continued

    Args:
        components: of the mixture.
        least_scale: added to s and t: a density of offsets that repeat exactly would grow without bound.

    Errors:
        ConfigError: steps are neither three numbers nor four, or are scaled, which leaves no bit.

    Source: Graves 2013, arXiv:1308.0850, equations 15 to 26, and 61 and 62 (bias); bits for each component, where his
        is one for all, and sharpened by a bias as weights are, so that a drawing does not end by chance.
    """

    def __init__(self, spec: Values, sizes: Sequence[Sizes], *, components: Count = 20, least_scale: Positive = 0.01):
        if not isinstance(spec, Values) or spec.size not in (3, 4) or spec.signs:
            raise ConfigError(f"mixture_density: a step is x, y and whether the pen is lifted, not {spec.size} numbers")
        if not spec.unscaled:
            raise ConfigError("mixture_density: a bit is 0 or 1 and is not scaled; set scale: none for the series")
        super().__init__("mixture_density", sizes)
        self.components, self.least_scale, self.bits = components, least_scale, spec.size - 2
        self.output = nn.Linear(self.width, components * (6 + self.bits))

    def seen(self, values: Tensor) -> Tensor:
        return values if self.bits == 1 else functional.pad(values[:, :3], (0, 1))

    def ended(self, steps: Tensor) -> Tensor:
        return steps[:, -1] > 0.5

    def predict_next(
        self, steps: Tensor, beside: Tensor | None = None, packed: Mapping[str, Packed] | None = None
    ) -> Distribution:
        read = steps if beside is None else torch.cat([steps, beside], 1)
        weights, rest = self.output(read).split([self.components, self.components * (5 + self.bits)], 1)
        parts = rest.view(len(read), self.components, 5 + self.bits)
        location, scale, correlation, bits = parts.split([2, 2, 1, self.bits], 2)
        scale, correlation = functional.softplus(scale) + self.least_scale, STEEPEST * correlation.tanh()
        return mixture.Mixture(weights, Stroke(location, scale, correlation, bits))


class Stroke(Numbers):
    """Two correlated normal numbers, the second given the first, and bits.

        N(x, y) = N(x; a, s) N(y; b + r t (x - a) / s, t sqrt(1 - r^2))

    Args:
        location: (..., 2) a and b.
        scale: (..., 2) s and t.
        correlation: (..., 1) r.
        bits: (..., 1 or 2) the logits of 1.
    """

    lacks = {"quantile": "a bit has none"}

    def __init__(self, location: Tensor, scale: Tensor, correlation: Tensor, bits: Tensor):
        self.parameters = (location, scale, correlation, bits)
        (self.mean_x, self.mean_y), (scale_x, scale_y) = location.split(1, -1), scale.split(1, -1)
        self.slope, self.width = correlation * scale_y / scale_x, scale_y * (1 - correlation**2).sqrt()
        self.x = torch.distributions.Normal(self.mean_x, scale_x, validate_args=False)
        self.lifted = torch.distributions.Bernoulli(logits=bits, validate_args=False)

    def _y(self, x: Tensor) -> torch.distributions.Normal:
        return torch.distributions.Normal(self.mean_y + self.slope * (x - self.mean_x), self.width, validate_args=False)

    def densities(self, values: Tensor) -> Tensor:
        x, y, bits = values.split([1, 1, values.shape[-1] - 2], -1)
        return torch.cat([self.x.log_prob(x), self._y(x).log_prob(y), self.lifted.log_prob(bits)], -1)

    def mode(self) -> Tensor:
        return torch.cat([self.mean_x, self.mean_y, (self.lifted.logits > 0).to(self.mean_x)], -1)

    def sample(self, uniform: Tensor) -> Tensor:
        first, second, rest = uniform.split([1, 1, uniform.shape[-1] - 2], -1)
        x = self.x.icdf(first.to(self.mean_x))
        y = self._y(x).icdf(second.to(x))
        return torch.cat([x, y, (rest.to(x) < self.lifted.probs).to(x)], -1)

    def biased(self, bias: float) -> Stroke:
        location, scale, correlation, bits = self.parameters
        return Stroke(location, scale * math.exp(-bias), correlation, bits * (1 + bias))
