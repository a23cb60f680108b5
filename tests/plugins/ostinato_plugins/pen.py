"""Drawings: the offset of a pen and whether it is lifted, step by step from a mixture of densities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.contracts import (
    ConfigError,
    Count,
    Distribution,
    Encoded,
    Loss,
    Mixture,
    NextHead,
    Numbers,
    Packed,
    Positive,
    Sizes,
    Steps,
    Values,
)


class Pen(NextHead):
    """A mixture of densities of the next offset (x, y), and of the bit that lifts the pen and so ends the drawing.

        p(x, y, bit) = sum over k of w[k] Normal(x; a[k], s[k]) Normal(y; b[k], t[k]) Bernoulli(bit; q[k])

    w, a, b, s, t and q are linear in the encoder's step, w through a softmax, s and t through a softplus.

    Shapes:
        steps (N, 3): x, y, and a bit of 0 or 1

    Args:
        components: of the mixture.
        least_scale: added to s and t: a density of offsets that repeat exactly would grow without bound.

    Errors:
        ConfigError: steps are not three numbers, or are scaled, which leaves no bit.

    Source: Graves 2013, arXiv:1308.0850, equations 15 to 26, without the correlation of x and y; a bit for each
        component, where his is one for all.
    """

    aligns = frozenset({"next"})
    begin, end, num_symbols = 0.0, math.nan, 0

    def __init__(self, spec: Values, sizes: Sequence[Sizes], *, components: Count = 4, least_scale: Positive = 0.01):
        super().__init__()
        if spec.size != 3 or spec.signs:
            raise ConfigError(f"pen: a step is x, y and whether the pen is lifted, not {spec.size} numbers")
        if not spec.unscaled:
            raise ConfigError("pen: a bit is 0 or 1 and is not scaled; set scale: none for the series")
        if sizes[0].steps is None or any(other.summary is None for other in sizes[1:]):
            raise ConfigError("pen: needs the steps of the input that it continues, and summaries of the others")
        self.components, self.least_scale = components, least_scale
        width = sizes[0].steps + sum(other.summary or 0 for other in sizes[1:])
        self.output = nn.Linear(width, components * 6)

    def prepare_input(self, steps: Steps, starts: Tensor | None = None) -> Steps:
        """With a step of zeros before the first one of a drawing."""
        return steps.prepended(self.begin, starts)

    def as_others_read(self, encoded: Encoded) -> Encoded:
        return encoded if encoded.steps is None else encoded._replace(steps=encoded.steps.without_first())

    def ended(self, steps: Tensor) -> Tensor:
        return steps[:, 2] > 0.5

    def predict_next(
        self, steps: Tensor, beside: Tensor | None = None, packed: Mapping[str, Packed] | None = None
    ) -> Distribution:
        read = steps if beside is None else torch.cat([steps, beside], 1)
        weights, rest = self.output(read).split([self.components, self.components * 5], 1)
        location, scale, bit = rest.view(len(read), self.components, 5).split([2, 2, 1], 2)
        return Mixture(weights, Stroke(location, functional.softplus(scale) + self.least_scale, bit))

    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        return self.piece_loss(encoded, targets, None)

    def piece_loss(self, encoded: Sequence[Encoded], targets: Steps, ends: Tensor | None) -> Loss:
        by_step = self.scores(encoded, targets.appended(self.end, ends).values)
        return Loss(-by_step[:, 0].sum(), int(by_step[:, 2].sum()))


class Stroke(Numbers):
    """Two normal numbers and a bit, each on its own.

    Args:
        location: (..., 2), the means.
        scale: (..., 2), the deviations.
        bit: (..., 1), the logit of 1.
    """

    lacks = {"quantile": "a bit has none"}

    def __init__(self, location: Tensor, scale: Tensor, bit: Tensor):
        self.parameters = (location, scale, bit)
        self.offset = torch.distributions.Normal(location, scale, validate_args=False)
        self.lifted = torch.distributions.Bernoulli(logits=bit, validate_args=False)

    def densities(self, values: Tensor) -> Tensor:
        return torch.cat([self.offset.log_prob(values[..., :2]), self.lifted.log_prob(values[..., 2:])], -1)

    def mode(self) -> Tensor:
        return torch.cat([self.offset.mean, (self.lifted.logits > 0).to(self.offset.mean)], -1)

    def sample(self, uniform: Tensor) -> Tensor:
        offset = self.offset.icdf(uniform[..., :2].to(self.offset.mean))
        lifted = uniform[..., 2:].to(offset) < self.lifted.probs
        return torch.cat([offset, lifted.to(offset)], -1)
