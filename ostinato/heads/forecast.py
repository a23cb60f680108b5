"""The head that says how a series goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.heads._losses import described, mean_of_logs
from ostinato.heads.contract import Belief, Head, Loss, Predicted, Predictor, Scored, Sizes, Span
from ostinato.layers.dropout import dropped
from ostinato.modalities.contract import Values
from ostinato.registry import Count, Rate
from ostinato.steps import Layout, Steps

LEVELS = tuple(round(0.05 * k, 2) for k in range(1, 20))
LEAST_FREEDOM = 2.0
"""Below it a t distribution has no variance, and one far value could draw it there for good."""
STEADY = 1e-5
"""A window that moves less than this share of its size is a constant one, whose deviation is rounding."""


class Level(NamedTuple):
    """From what and in what unit a window is predicted: (B, 1, C) each, `last` step by step (B, horizon, C)."""

    mean: Tensor
    deviation: Tensor
    last: Tensor


class Forecast(Head, Predictor):
    """Says the next `horizon` steps of a series, all at once or one after the other.

        m, d   = mean and deviation of the window that was read        normalize: window; else 0 and 1
        z      = (x - m) / d                                           what the encoder reads
        l      = the window's last value of z                          relative: last; else 0. Step by step: of z[k-1]

        direct         x       = the summaries of all inputs that end with the window
                       p[k]    = U_k x + b_k + V relu(W [x; a[k]] + c)          a[k]: the steps known ahead; without them no V
        recursive      h[k]    = the step of the encoder after z[k-1], its own answer where it predicts
                       p[k]    = U h[k] + b + V relu(W [h[k]; a[k]; the other summaries] + c)
        linear         p[k]   += sum over j < linear of L[k, j] (z[T-j] - l)    to its place, for each channel alike

        point       f = m + d (l + p)                                  squared: rho(r) = r^2 / 2; absolute: |r|
                    -log p(y) = rho((y - f) / d) + log d + log of the integral of exp(-rho)
        quantile    q = m + d (l + p sorted), levels 0.05 ... 0.95     -log p(y) = mean over levels of
                    pinball((y - q) / d) - log(level (1 - level)) + log d       of Laplace densities with two slopes
        student_t   location m + d (l + p_1), scale d softplus(p_2), 2 + softplus(p_3) degrees of freedom

    Of a window that never changes d is 1, the unit of a scaled series; of an unscaled one |m|.

    The summary of the input that goes on is its encoder's last step. A forecast of several answers is their median: of a t its
    location. Step by step, a t is sampled: `samples` paths for each example, with the same draws for every example, so that
    company changes nothing; the median and the quantiles are those of the paths. Quantiles and points are read again as they are.

    Shapes:
        targets (B * horizon, C + signs of gaps, which are not predicted); p[k] (C, 1, 19 or 3)

    Args:
        strategy: direct: all steps from one summary; recursive: one after the other.
        distribution: what is said of each value.
        loss: of a point: squared for the mean, absolute for the median.
        normalize: window: each window less its mean, divided by its deviation, on both sides.
        relative: last: what is predicted is the difference from the window's last value, step by step from the value before.
        linear: a linear map of so many last steps is added, one for all channels; null: none. Direct only.
        hidden_size: the width of the layer that reads what is known ahead, or step by step the encoder's step.
        dropout: on what the layers read.
        samples: paths of a t, step by step.

    Errors:
        ConfigError: the output is none of numbers; an input lacks what is read; more linear steps than are read; or a setting that
            could do nothing.

    Source: normalize: Kim 2022 (RevIN, ICLR); relative: Zeng 2023, arXiv:2205.13504 (NLinear); linear: Lai 2018, arXiv:1703.07015,
    equation 6; student_t step by step: Salinas 2020, arXiv:1704.04110, whose normal or negative binomial it replaces; a t from two
    uniform draws: Bailey 1994, doi:10.2307/2153537.
    """

    aligns = frozenset({"ahead"})
    generates = False
    gives = frozenset({"log_probability", "num_targets", "quantiles"})

    def __init__(
        self,
        spec: Values,
        sizes: Sequence[Sizes],
        span: Span,
        *,
        strategy: Literal["direct", "recursive"] = "direct",
        distribution: Literal["point", "quantile", "student_t"] = "quantile",
        loss: Literal["squared", "absolute"] = "squared",
        normalize: Literal["window", "none"] = "none",
        relative: Literal["last", "none"] = "last",
        linear: Count | None = None,
        hidden_size: Count = 64,
        dropout: Rate = 0.0,
        samples: Annotated[int, Field(ge=20)] = 100,
    ):
        super().__init__()
        if not isinstance(spec, Values):
            raise ConfigError(
                f"forecast says numbers, and a step of this output is {described(spec)}; choose next_step"
            )
        if distribution != "point" and loss != "squared":
            raise ConfigError(
                f"forecast: loss: {loss} is of a point, and distribution: {distribution} has its own; leave it out"
            )
        if samples != 100 and (strategy, distribution) != ("recursive", "student_t"):
            raise ConfigError("forecast: samples are drawn of a t, step by step; leave them out")
        stepwise = strategy == "recursive"
        if linear is not None and (stepwise or linear > span.lookback):
            told = "is of direct forecasts" if stepwise else f"{linear} is more than the lookback, {span.lookback}"
            raise ConfigError(f"forecast: linear: {told}; leave it out, or lower it")
        for place, (one, ahead) in enumerate(zip(sizes, span.ahead), 1):
            if (one.steps if ahead or stepwise and place == 1 else one.summary) is None:
                what = "steps" if ahead or stepwise and place == 1 else "summary"
                raise ConfigError(
                    f"forecast: input {place} that it reads gives no {what}; choose a recurrent or convolutional encoder"
                )
        self.spec, self.span, self.stepwise, self.distribution = spec, span, stepwise, distribution
        self.kind, self.normalize, self.relative, self.dropout, self.samples = (
            loss,
            normalize,
            relative,
            dropout,
            samples,
        )
        self.per_value = {"point": 1, "quantile": len(LEVELS), "student_t": 3}[distribution]
        self.register_buffer("levels", torch.tensor(LEVELS), persistent=False)
        ahead = sum(one.steps for one, on in zip(sizes, span.ahead) if on)
        summaries = sum(
            one.summary
            for place, (one, on) in enumerate(zip(sizes, span.ahead))
            if not on and not (stepwise and not place)
        )
        answers = spec.channels * self.per_value
        self.straight = nn.Linear(sizes[0].steps, answers) if stepwise else nn.Linear(summaries, span.horizon * answers)
        self.reader = self.output = None
        if stepwise or ahead:
            self.reader = nn.Linear(summaries + ahead + (sizes[0].steps if stepwise else 0), hidden_size)
            self.output = nn.Linear(hidden_size, answers)
        self.linear = None if linear is None else nn.Linear(linear, span.horizon, bias=False)
        with torch.no_grad():
            if self.linear is not None:
                self.linear.weight.zero_()
            self._spread(self.straight)

    def _spread(self, layer: nn.Linear) -> None:
        """Quantiles begin apart, as a normal distribution of deviation 1/2 has them: equal ones would be sorted at random."""
        layer.weight.mul_(0.1)
        if self.distribution == "quantile":
            apart = torch.special.ndtri(self.levels.double()).to(layer.bias) / 2
            layer.bias.copy_(apart.repeat(len(layer.bias) // len(apart)))

    def seen(self, steps: Steps) -> Steps:
        """What the encoder reads of the input that goes on."""
        if self.normalize == "none":
            return steps
        return self._scaled(steps, self._level(steps))

    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        truth = self._truth(targets)
        real = ~truth.isnan()
        losses = -self._density(*self._taught(encoded, targets), truth)
        return Loss(losses[real].sum(), int(real.sum()))

    def score(self, encoded: Sequence[Encoded], targets: Steps) -> Scored:
        """The logarithm of the density; nothing counts as right, since no value is met exactly."""
        return self.believe(encoded, targets).score(targets)

    def believe(self, encoded: Sequence[Encoded], targets: Steps | None = None) -> ForecastBelief:
        if targets is not None:
            (answers, level), paths = self._taught(encoded, targets), None
        elif self.stepwise:
            answers, level, paths = self._said(encoded, self._level(encoded[0].source.values))
        else:
            level, paths = self._level(encoded[0].source.values), None
            answers = self._at_once(encoded, level)
        density = partial(self._density, answers, level)
        return ForecastBelief(self._quantiles(answers, paths, level), (density,), self.spec.signs)

    # --- what is predicted from

    def _level(self, steps: Steps) -> Level:
        values = steps.values[:, : self.spec.channels].unflatten(0, (len(steps.layout), -1))
        there = ~values.isnan()
        known = torch.where(there, values, 0)
        count = there.sum(1, keepdim=True).clamp(min=1)
        mean = known.sum(1, keepdim=True) / count
        deviation = torch.where(there, values - mean, 0).square().sum(1, keepdim=True).div(count).sqrt()
        size = mean.abs()
        steady = deviation <= STEADY * size
        # What is scaled has lost its own size: near the data set's mean |m| would make a steady window's next move enormous.
        unit = torch.where(size > 0, size, 1) if self.spec.unscaled else torch.ones_like(size)
        deviation = torch.where(steady | (deviation == 0), unit, deviation)
        if self.normalize == "none":
            mean, deviation = torch.zeros_like(mean), torch.ones_like(deviation)
        place = torch.where(there, torch.arange(values.shape[1], device=values.device)[:, None], -1).amax(
            1, keepdim=True
        )
        last = torch.where(place < 0, mean, known.gather(1, place.clamp(min=0)))
        last = (last - mean) / deviation if self.relative == "last" else torch.zeros_like(mean)
        return Level(mean, deviation, last)

    def _scaled(self, steps: Steps, level: Level) -> Steps:
        """Steps of B sequences of one length less their level; signs of gaps stay as they are."""
        values = steps.values.unflatten(0, (len(steps.layout), -1))
        channels = (values[..., : self.spec.channels] - level.mean) / level.deviation
        return steps.with_values(torch.cat([channels, values[..., self.spec.channels :]], 2).flatten(0, 1))

    def _truth(self, targets: Steps) -> Tensor:
        return targets.values[:, : self.spec.channels].unflatten(0, (len(targets.layout), self.span.horizon))

    # --- the network

    def _beside(self, encoded: Sequence[Encoded]) -> tuple[Tensor | None, list[Tensor]]:
        """What is known ahead, (B, horizon, A), and the summaries."""
        ahead = [
            one.steps.values.unflatten(0, (len(one.steps.layout), -1))[:, -self.span.horizon :]
            for one, on in zip(encoded, self.span.ahead)
            if on
        ]
        own = 1 if self.stepwise else 0
        summaries = [one.summary for one, on in list(zip(encoded, self.span.ahead))[own:] if not on]
        return torch.cat(ahead, 2) if ahead else None, summaries

    def _drop(self, values: Tensor) -> Tensor:
        return dropped(values, self.dropout) if self.dropout and self.training else values

    def _at_once(self, encoded: Sequence[Encoded], level: Level) -> Tensor:
        """(B, horizon, C, P) in the unit of the window, relative to its last value."""
        ahead, summaries = self._beside(encoded)
        read = self._drop(torch.cat(summaries, 1))
        answers = self.straight(read).unflatten(1, (self.span.horizon, -1))
        if ahead is not None:
            beside = read.unsqueeze(1).expand(-1, self.span.horizon, -1)
            answers = answers + self.output(torch.relu(self.reader(torch.cat([beside, self._drop(ahead)], 2))))
        answers = answers.unflatten(2, (self.spec.channels, self.per_value))
        if self.linear is None:
            return answers
        values = encoded[0].source.values.values[:, : self.spec.channels].unflatten(0, (len(read), -1))
        window = ((values - level.mean) / level.deviation - level.last)[:, -self.linear.in_features :].nan_to_num()
        place = self.linear(window.transpose(1, 2)).transpose(1, 2).unsqueeze(3)
        return answers + (place if self.distribution != "student_t" else functional.pad(place, (0, 2)))

    def _of_step(self, hidden: Tensor, ahead: Tensor | None, summaries: Sequence[Tensor]) -> Tensor:
        """(..., C, P) from the encoder's steps (..., H), what is known ahead there and the summaries, all of one shape."""
        read = torch.cat([hidden, *summaries, *([] if ahead is None else [ahead])], -1)
        answers = self.straight(self._drop(hidden)) + self.output(torch.relu(self.reader(self._drop(read))))
        return answers.unflatten(-1, (self.spec.channels, self.per_value))

    def _taught(self, encoded: Sequence[Encoded], targets: Steps) -> tuple[Tensor, Level]:
        """The answers where each step is told the true ones before it."""
        first = encoded[0]
        level = self._level(first.source.values)
        if not self.stepwise:
            return self._at_once(encoded, level), level
        batch, horizon = len(targets.layout), self.span.horizon
        hidden = first.steps.values.unflatten(0, (batch, -1))[:, -1:]
        if horizon > 1:
            told = targets.values.unflatten(0, (batch, horizon))[:, :-1].flatten(0, 1)
            steps = self._scaled(Steps(told, Layout.equal(batch, horizon - 1, told.device)), level)
            if self.relative == "last":
                values = steps.values.unflatten(0, (batch, -1))[..., : self.spec.channels]
                level = level._replace(last=_carried(torch.cat([level.last, values], 1)))
            after = first.source.encoder.encode(steps, first.state).steps.values.unflatten(0, (batch, -1))
            hidden = torch.cat([hidden, after], 1)
        ahead, summaries = self._beside(encoded)
        return self._of_step(hidden, ahead, [one.unsqueeze(1).expand(-1, horizon, -1) for one in summaries]), level

    def _said(self, encoded: Sequence[Encoded], level: Level) -> tuple[Tensor, Level, Tensor | None]:
        """The answers where each step is told its own before it, what they are relative to, and of a t the paths of z,
        (B, horizon, C, samples)."""
        first = encoded[0]
        batch, paths = len(level.mean), self.samples if self.distribution == "student_t" else 1
        spread = lambda one: one.repeat_interleave(paths, 0)  # noqa: E731
        hidden, state = spread(first.steps.values.unflatten(0, (batch, -1))[:, -1]), tuple(map(spread, first.state))
        ahead, summaries = self._beside(encoded)
        ahead, summaries = None if ahead is None else spread(ahead), [spread(one) for one in summaries]
        last = spread(level.last[:, 0])
        draws = self._draws(paths, last) if paths > 1 else None
        answers, told, before = [], [], []
        for k in range(self.span.horizon):
            answer = self._of_step(hidden, None if ahead is None else ahead[:, k], summaries)
            answers.append(answer)
            if draws is not None:
                scale, freedom = _t(answer)
                value = answer[..., 0] + scale * _drawn_t(freedom, draws[:, k].repeat(batch, 1, 1))
            else:
                value = self._sorted(answer)[..., LEVELS.index(0.5)] if self.per_value > 1 else answer[..., 0]
            before.append(last)
            value = value + last
            told.append(value)
            if k + 1 < self.span.horizon:
                last = value if self.relative == "last" else last
                read = functional.pad(value, (0, self.spec.signs))
                after = first.source.encoder.encode(Steps(read, Layout.equal(len(read), 1, read.device)), state)
                hidden, state = after.steps.values, after.state
        by_path = lambda steps: torch.stack(steps, 1).unflatten(0, (batch, paths))  # noqa: E731
        # What is scored of a t is the distribution in the middle of an example's paths; of one path it is its own.
        level = level._replace(last=by_path(before).median(1).values)
        return by_path(answers).median(1).values, level, None if draws is None else by_path(told).movedim(1, -1)

    def _draws(self, paths: int, like: Tensor) -> Tensor:
        """(paths, horizon, C, 2) uniform numbers, the same for every example."""
        generator = torch.Generator().manual_seed(0)
        drawn = torch.rand(paths, self.span.horizon, self.spec.channels, 2, generator=generator, dtype=torch.float64)
        return drawn.clamp(1e-6, 1 - 1e-6).to(like)

    # --- the distribution

    def _sorted(self, answers: Tensor) -> Tensor:
        return answers.sort(-1).values

    def _quantiles(self, answers: Tensor, paths: Tensor | None, level: Level) -> Tensor:
        """(B, horizon, C, levels or 1) in the unit of the targets."""
        unit = lambda one: one.unsqueeze(-1)  # noqa: E731
        if self.distribution == "point":
            found = answers
        elif self.distribution == "quantile":
            found = self._sorted(answers)
        elif paths is not None:
            found = torch.quantile(paths, self.levels.to(paths), dim=-1).movedim(0, -1) - unit(level.last)
        else:
            scale, freedom = _t(answers)
            found = answers[..., :1] + scale.unsqueeze(-1) * t_quantile(freedom.unsqueeze(-1), self.levels.to(scale))
        return unit(level.mean) + unit(level.deviation) * (found + unit(level.last))

    def _density(self, answers: Tensor, level: Level, truth: Tensor) -> Tensor:
        """The logarithm of the density of each value, of any number where it is missing: (B, horizon, C)."""
        # A gap that is only left out of the sum would still make the gradient NaN: 0 times NaN.
        wanted = ((truth - level.mean) / level.deviation - level.last).nan_to_num()
        return self._log_density(answers, wanted) - level.deviation.log()

    def _log_density(self, answers: Tensor, wanted: Tensor) -> Tensor:
        if self.distribution == "quantile":
            apart = wanted.unsqueeze(-1) - self._sorted(answers)
            levels = self.levels.to(apart)
            return ((levels * (1 - levels)).log() - torch.maximum(levels * apart, (levels - 1) * apart)).mean(-1)
        apart = wanted - answers[..., 0]
        if self.distribution == "point":
            return (
                -apart.square() / 2 - math.log(2 * math.pi) / 2
                if self.kind == "squared"
                else -apart.abs() - math.log(2)
            )
        scale, freedom = _t(answers)
        normal = (
            torch.lgamma((freedom + 1) / 2) - torch.lgamma(freedom / 2) - (freedom * math.pi).log() / 2 - scale.log()
        )
        return normal - (freedom + 1) / 2 * torch.log1p((apart / scale).square() / freedom)


@dataclass(frozen=True)
class ForecastBelief(Belief):
    """The quantiles of each value, or a point; of several heads the mean of theirs level by level, whatever their distributions.

        q(level) = mean over heads i of q_i(level)
        p(y)     = mean over heads i of p_i(y)

    A mean of quantiles is as sharp as its members are on average, where a mixture is wider; of distributions that differ in place
    and scale alone it has the mean place and the mean scale. Its density has no closed form, so that of the mixture is told.

    Args:
        quantiles: (B, horizon, C, levels), rising, or of points (B, horizon, C, 1).
        densities: of each head the logarithm of the density of values (B, horizon, C).
        signs: of gaps, which are told beside the values as 0.

    Errors:
        ConfigError: points are averaged with quantiles.

    Source: Lichtendahl, Grushka-Cockayne and Winkler 2013, doi:10.1287/mnsc.1120.1667.
    """

    quantiles: Tensor
    densities: tuple[Callable[[Tensor], Tensor], ...]
    signs: int

    def mean(self, others: Sequence[ForecastBelief]) -> ForecastBelief:
        every = [self, *others]
        if len({one.quantiles.shape[3] for one in every}) > 1:
            raise ConfigError("forecast: points cannot be averaged with quantiles; give runs of one distribution")
        quantiles = torch.stack([one.quantiles for one in every]).mean(0)
        return replace(self, quantiles=quantiles, densities=sum((one.densities for one in others), self.densities))

    def answer(self) -> Predicted:
        rows, horizon, _, levels = self.quantiles.shape
        middle = self.quantiles[..., LEVELS.index(0.5) if levels > 1 else 0]
        layout = Layout.equal(rows, horizon, middle.device)
        form = lambda values: functional.pad(values, (0, self.signs)).flatten(0, 1)  # noqa: E731
        quantiles = {one: form(self.quantiles[..., k]) for k, one in enumerate(LEVELS)} if levels > 1 else None
        return Predicted(Steps(form(middle), layout), self._log_density(middle).sum((1, 2)), quantiles=quantiles)

    def score(self, targets: Steps) -> Scored:
        rows, horizon, channels, _ = self.quantiles.shape
        truth = targets.values[:, :channels].unflatten(0, (rows, horizon))
        real = ~truth.isnan()
        density = self._log_density(truth).masked_fill(~real, 0)
        return Scored(density.sum((1, 2)), real.sum((1, 2)), torch.zeros(rows, device=truth.device))

    def _log_density(self, values: Tensor) -> Tensor:
        return mean_of_logs([density(values) for density in self.densities])


def _carried(values: Tensor) -> Tensor:
    """(B, T, C), each gap filled with the value before it; the first step has none."""
    places = torch.arange(values.shape[1], device=values.device)[:, None]
    last = torch.where(values.isnan(), 0, places).cummax(1).values
    return values.gather(1, last)


def _t(answers: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and degrees of freedom."""
    return functional.softplus(answers[..., 1]) + 1e-4, LEAST_FREEDOM + functional.softplus(answers[..., 2])


def _drawn_t(freedom: Tensor, uniform: Tensor) -> Tensor:
    """A value of a t distribution from two uniform ones, (..., 2)."""
    radius = (freedom * (uniform[..., 0].pow(-2 / freedom) - 1)).sqrt()
    return radius * torch.cos(2 * math.pi * uniform[..., 1])


def t_quantile(freedom: Tensor, level: Tensor) -> Tensor:
    """The quantile of Student's t between levels of 0.05 and 0.95: to 2e-5 from 3 degrees of freedom up, to 2e-3 at 2.

    Source: Hill 1970, CACM algorithm 396 (doi:10.1145/355598.355600), whose tail probability is two-sided.
    """
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
    small = ((1 / (((n + 6) / (n * y) - 0.089 * d - 0.822) * (n + 2) * 3) + 0.5 / (n + 4)) * y - 1) * (n + 1) / (
        n + 2
    ) + 1 / y
    found = (n * torch.where(y > 0.05 + a, large, small)).clamp(min=0).sqrt()
    return torch.where(level < 0.5, -found, torch.where(level > 0.5, found, torch.zeros_like(found)))
