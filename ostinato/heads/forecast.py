"""The head that predicts the next steps of a series."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ostinato.distributions.affine import Affine
from ostinato.distributions.contract import LEVELS, Distribution, Numbers
from ostinato.distributions.paths import Paths
from ostinato.distributions.point import Point
from ostinato.distributions.quantile_levels import QuantileLevels
from ostinato.distributions.student_t import StudentT
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.heads._windows import Level, Relative, chosen_unit, fitted, unit_of, widened, widening
from ostinato.heads.contract import Outlook, PairsByTime, Predictor, Sizes, Span
from ostinato.layers.dropout import dropped
from ostinato.modalities.contract import Values
from ostinato.registry import Count, Rate, Settings
from ostinato.steps import Layout, Steps

LEAST_FREEDOM = 2.0
"""Below it a t distribution has no variance, and one far value could draw it there for good."""
FREEDOM = 4.0
"""Above the least, where a t begins from the errors of a linear map."""
MEDIAN = LEVELS.index(0.5)
FROM_MEDIAN = "from_median"
MOST_LINEAR = 512
"""Steps that a linear map reads by default: of more its closed form is slow."""


class Forecast(Predictor):
    """Predicts the next `horizon` steps of a series, all at once or one after the other.

        m, d   = mean and deviation of the window that was read        normalize: window; else 0 and 1
        z      = (x - m) / d                                           what the encoder reads
        l      = the window's last value of z                          relative: last. Recursive: of z[k-1]
                 the last season's, z[T - s + 1 + (k - 1) mod s]       relative: season; else 0

        direct         x       = the summaries of all inputs that end with the window
                       p[k]    = U_k x + b_k + V relu(W [x; a[k]] + c)          a[k]: known ahead; without it no V
        recursive      h[k]    = the step of the encoder after z[k-1], its own answer where it predicts
                       p[k]    = U h[k] + b + V relu(W [h[k]; a[k]; the other summaries] + c)
        linear         p[k]   += sum over j < linear of L[k, j] (z[T-j] - z[T]) to its place, for each channel alike

        point       f = m + d (l + p)                                  squared: rho(r) = r^2 / 2; absolute: |r|
                    -log p(y) = rho((y - f) / d) + log d + log of the integral of exp(-rho)
        quantile    q = m + d (l + sorted of p_median and p_median + p_level), levels 0.05 ... 0.95
                    loss(y) = mean over levels of pinball((y - q) / d) - log(level (1 - level)) + log d
        student_t   location m + d (l + p_1), scale d softplus(p_2), 2 + softplus(p_3) degrees of freedom

    Of a window that never changes d is 1, the unit of a scaled series; of an unscaled one |m|.

    With `start: fitted` U and V begin at 0, L at the ridge regression on the training windows (or at 0, where that is
    not clearly better than l on the last fifth of them), and b at the quantiles of what is left: before the first
    update the forecast is the naive or the linear one, with its intervals, and the encoders only add to it.

    The summary of the series is its encoder's last step. A prediction is the median: of a t its location. In the
    recursive strategy a t is sampled: `samples` paths for each example, with the same draws for every example, so that
    company changes nothing; the median and the quantiles are those of the paths. Medians and points are read again as
    they are.

    Shapes:
        targets (B * horizon, C + signs of gaps, which are not predicted); p[k] (C, 1, 19 or 3)

    Args:
        strategy: direct: all steps from one summary; recursive: one after the other.
        distribution: what is predicted of each value.
        loss: of a point: squared for the mean, absolute for the median.
        normalize: window: each window less its mean, divided by its deviation, on both sides.
        relative: last: what is predicted is the difference from the window's last value, recursively from the value
            before; season: from the value a season before. Season: direct only.
        season: steps of a season, for `relative: season`.
        linear: a linear map of so many last steps is added, one for all channels; null: none. Direct only.
        calibrate: whether, after training, quantiles move away from the median until central intervals cover in
            validation what they promise.
        start: fitted: from the closed form of the linear map and of the spread on; random: small random weights.
            Fitted: direct only.
        hidden_size: the width of the layer that reads what is known ahead, or recursively the encoder's step.
        dropout: on what the layers read.
        samples: paths of a t, recursively.

    Errors:
        ConfigError: the output is none of numbers; an input lacks what is read; more linear steps than are read; or a
            setting that could do nothing.

    Source: normalize: Kim 2022 (RevIN, ICLR); relative: Zeng 2023, arXiv:2205.13504 (NLinear); linear: Lai 2018,
    arXiv:1703.07015, equation 6; student_t, recursive: Salinas 2020, arXiv:1704.04110, whose normal or negative
    binomial it replaces.
    """

    aligns = frozenset({"ahead"})
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
        relative: Relative = "last",
        season: Count | None = None,
        linear: Count | None = None,
        start: Literal["random", "fitted"] = "random",
        calibrate: bool = False,
        hidden_size: Count = 64,
        dropout: Rate = 0.0,
        samples: Annotated[int, Field(ge=20)] = 100,
    ):
        super().__init__()
        self.unit = unit_of("forecast", spec, span, normalize, relative, season)
        if distribution != "point" and loss != "squared":
            raise ConfigError(
                f"forecast: loss: {loss} is of a point, and distribution: {distribution} has its own; leave it out"
            )
        self.recursive, self.sampled = strategy == "recursive", distribution == "student_t"
        if samples != 100 and not (self.recursive and self.sampled):
            raise ConfigError("forecast: samples are drawn of a t, recursively; leave them out")
        if linear is not None and (self.recursive or linear > span.lookback):
            why = "is of direct forecasts" if self.recursive else f"{linear} is more than the lookback, {span.lookback}"
            raise ConfigError(f"forecast: linear: {why}; leave it out, or lower it")
        if self.recursive and (season is not None or start == "fitted"):
            what = "start: fitted" if season is None else "relative: season"
            raise ConfigError(f"forecast: {what} is of direct forecasts; leave it out")
        if calibrate and distribution != "quantile":
            raise ConfigError("forecast: calibrate: true moves quantiles; set distribution: quantile, or leave it out")
        self.calibrated = calibrate
        self.spec, self.span, self.distribution, self.distance = spec, span, distribution, loss
        self.dropout, self.samples, self.fitted = dropout, samples, start == "fitted"
        self.preparation = {"normalize": normalize}
        ahead = _width("steps", sizes, span.ahead)
        own = _width("steps", sizes[:1], [True]) if self.recursive else 0
        others = [not known and not (self.recursive and not place) for place, known in enumerate(span.ahead)]
        summaries = _width("summary", sizes, others)
        self.per_value = {"point": 1, "quantile": len(LEVELS), "student_t": 3}[distribution]
        answers = spec.channels * self.per_value
        self.straight = nn.Linear(own, answers) if self.recursive else nn.Linear(summaries, span.horizon * answers)
        self.reader = self.output = None
        if self.recursive or ahead:
            self.reader = nn.Linear(summaries + ahead + own, hidden_size)
            self.output = nn.Linear(hidden_size, answers)
        self.linear = None if linear is None else nn.Linear(linear, span.horizon, bias=False)
        with torch.no_grad():
            if self.linear is not None:
                self.linear.weight.zero_()
            self.straight.weight.mul_(0.0 if self.fitted else 0.1)
            if self.fitted and self.output is not None:
                self.output.weight.zero_()
                self.output.bias.zero_()
            if distribution == "quantile":
                # All levels move with the median, which learns from each of them: of many series it errs a tenth less
                # after as many updates. Of runs before there is no such mark: there each level was an answer alone.
                self.register_buffer(FROM_MEDIAN, torch.ones(()))
                # Apart, as a normal distribution of deviation 1/2 has them: equal ones would be sorted at random.
                apart = torch.special.ndtri(torch.tensor(LEVELS).double()).to(self.straight.bias) / 2
                self.straight.bias.copy_(apart.repeat(len(self.straight.bias) // len(apart)))

    def prepare_input(self, steps: Steps, starts: Tensor | None = None) -> Steps:
        """In the window's unit."""
        return steps if self.unit.normalize == "none" else self.unit.scaled(steps, self.unit.level(steps))

    @classmethod
    def choose(cls, settings: Settings, outlook: Outlook) -> Mapping[str, tuple[Any, str]]:
        quantiles = settings.distribution == "quantile"
        if settings.strategy == "recursive":
            return {"normalize": ("window", "levels of series move")}
        steps = settings.linear
        if "linear" not in settings.model_fields_set:
            steps = min(outlook.span.lookback, MOST_LINEAR)
        power = 2 if settings.distribution == "point" and settings.loss == "squared" else 1
        return {
            **({"calibrate": (True, "training errors are smaller than later ones")} if quantiles else {}),
            "start": ("fitted", "it begins at its closed form, and the encoders only add to it"),
            "linear": (steps, "the window" if steps == outlook.span.lookback else "as many as are solved in seconds"),
            **chosen_unit(settings, outlook, steps or 0, power),
        }

    @torch.no_grad()
    def warm_start(self, windows: PairsByTime) -> str | None:
        if not self.fitted:
            return None
        power = 2 if self.distribution == "point" and self.distance == "squared" else 1
        steps = 0 if self.linear is None else self.linear.in_features
        start = fitted(self.unit, steps, *windows(), power=power, drifts=True)
        middle = start.drift if start.drift is not None else torch.zeros(start.spread.shape[:2])
        if self.linear is not None:
            self.linear.weight.copy_(start.weight)
        if self.distribution == "quantile":
            start.spread[..., MEDIAN] = middle
            self.straight.bias.copy_(start.spread.flatten())
        elif self.sampled:
            # The middle half of a t of so many degrees of freedom is 1.44 scales wide.
            scale = (start.spread[..., LEVELS.index(0.75)] - start.spread[..., LEVELS.index(0.25)]) / 1.44
            parts = [middle, _unsoftened(scale), _unsoftened(torch.full_like(scale, FREEDOM))]
            self.straight.bias.copy_(torch.stack(parts, -1).flatten())
        elif start.drift is not None:
            self.straight.bias.copy_(middle.flatten())
        return start.note

    @torch.no_grad()
    def calibrate(self, batches: Callable[[], Iterator[tuple[Sequence[Encoded], Steps]]]) -> str | None:
        if not self.calibrated:
            return None
        known = ((self.predict_distribution(encoded), targets) for encoded, targets in batches())
        factors = widening(self.spec.channels, known)
        if factors is None:
            return None
        # Distances from the median are linear in the weights of the last layers.
        for layer in filter(None, (self.straight, self.output)):
            for weight in (layer.weight, layer.bias):
                by_level = weight.view(-1, len(LEVELS), *weight.shape[1:])
                by_level.mul_(factors.to(weight).view(-1, *[1] * (weight.ndim - 1)))
        return widened(factors)

    def of_earlier(self, saved: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The same quantiles by their distances from the median."""
        if self.distribution != "quantile" or FROM_MEDIAN in saved:
            return saved
        apart = {}
        for name in ("straight.weight", "straight.bias", "output.weight", "output.bias"):
            if name in saved:
                by_level = saved[name].unflatten(0, (-1, len(LEVELS)))
                median = by_level[:, MEDIAN, None]
                distances = by_level - median
                distances[:, MEDIAN] = median[:, 0]
                apart[name] = distances.flatten(0, 1)
        return {**saved, **apart, FROM_MEDIAN: torch.ones(())}

    def predict_distribution(
        self, encoded: Sequence[Encoded], targets: Steps | None = None, training: bool = False
    ) -> Distribution:
        level = self.unit.level(encoded[0].source.values)
        dropout = self.dropout if training else 0.0
        if not self.recursive:
            base = self._base(self._at_once(encoded, level, dropout))
        elif targets is None:
            base, level = self._generated(encoded, level)
        else:
            answers, level = self._taught(encoded, level, targets, dropout)
            base = self._base(answers)
        return Affine(base, *level[:3], self.span.horizon, self.spec.signs)

    def _base(self, answers: Tensor) -> Numbers:
        """The distribution in the unit of the window, from (..., C, P)."""
        if self.distribution == "quantile":
            median = answers[..., MEDIAN, None]
            return QuantileLevels(
                torch.cat([answers[..., :MEDIAN] + median, median, answers[..., MEDIAN + 1 :] + median], -1)
            )
        if self.distribution == "point":
            return Point(answers[..., 0], self.distance)
        scale, freedom = functional.softplus(answers[..., 1]) + 1e-4, functional.softplus(answers[..., 2])
        return StudentT(answers[..., 0], scale, LEAST_FREEDOM + freedom)

    # What is predicted from.

    def _beside(self, encoded: Sequence[Encoded]) -> tuple[list[Tensor], list[Tensor]]:
        """What is known ahead, (B, horizon, A), nothing or one tensor; and the summaries."""
        ahead = [
            read.steps.values.unflatten(0, (len(read.steps.layout), -1))[:, -self.span.horizon :]
            for read, known in zip(encoded, self.span.ahead)
            if known
        ]
        own = 1 if self.recursive else 0
        summaries = [read.summary for read, known in list(zip(encoded, self.span.ahead))[own:] if not known]
        return [torch.cat(ahead, 2)] if ahead else [], summaries

    # The direct strategy.

    def _at_once(self, encoded: Sequence[Encoded], level: Level, dropout: float) -> Tensor:
        """(B, horizon, C, P) in the unit of the window, relative to its last value."""
        ahead, summaries = self._beside(encoded)
        read = dropped(torch.cat(summaries, 1), dropout)
        answers = self.straight(read).unflatten(1, (self.span.horizon, -1))
        if ahead:
            beside = read.unsqueeze(1).expand(-1, self.span.horizon, -1)
            answers = answers + self._read([beside, dropped(ahead[0], dropout)])
        answers = answers.unflatten(2, (self.spec.channels, self.per_value))
        if self.linear is None:
            return answers
        window = self.unit.window(encoded[0].source.values, level, self.linear.in_features)
        place = self.linear(window).transpose(1, 2).unsqueeze(3)
        middle = MEDIAN if self.distribution == "quantile" else 0
        return answers + functional.pad(place, (middle, self.per_value - 1 - middle))

    # The recursive strategy.

    def _of_step(self, hidden: Tensor, beside: Sequence[Tensor], dropout: float) -> Tensor:
        """(..., C, P) from the encoder's steps (..., H), the other summaries and what is known ahead, all of one
        shape."""
        answers = self.straight(dropped(hidden, dropout)) + self._read([hidden, *beside], dropout)
        return answers.unflatten(-1, (self.spec.channels, self.per_value))

    def _read(self, parts: Sequence[Tensor], dropout: float = 0.0) -> Tensor:
        return self.output(torch.relu(self.reader(dropped(torch.cat([*parts], -1), dropout))))

    def _taught(self, encoded: Sequence[Encoded], level: Level, targets: Steps, dropout: float) -> tuple[Tensor, Level]:
        """The answers where each step reads the true values before it, and what they are relative to."""
        first, batch, horizon = encoded[0], len(targets.layout), self.span.horizon
        hidden = first.steps.values.unflatten(0, (batch, -1))[:, -1:]
        if horizon > 1:
            before = targets.values.unflatten(0, (batch, horizon))[:, :-1].flatten(0, 1)
            steps = self.unit.scaled(Steps(before, Layout.equal(batch, horizon - 1, before.device)), level)
            if self.unit.relative == "last":
                values = steps.values.unflatten(0, (batch, -1))[..., : self.spec.channels]
                level = level._replace(last=_carried(torch.cat([level.last, values], 1)))
            after = first.source.encoder.encode(steps, first.state).steps.values.unflatten(0, (batch, -1))
            hidden = torch.cat([hidden, after], 1)
        ahead, summaries = self._beside(encoded)
        beside = [summary.unsqueeze(1).expand(-1, horizon, -1) for summary in summaries]
        return self._of_step(hidden, [*beside, *ahead], dropout), level

    def _generated(self, encoded: Sequence[Encoded], level: Level) -> tuple[Numbers, Level]:
        """The distribution where each step reads the median before it, or the sample of its path; and what it is
        relative to."""
        first, batch, paths = encoded[0], len(level.mean), self.samples if self.sampled else 1
        hidden = first.steps.values.unflatten(0, (batch, -1))[:, -1].repeat_interleave(paths, 0)
        state = tuple(part.repeat_interleave(paths, 0) for part in first.state)
        ahead, summaries = ([part.repeat_interleave(paths, 0) for part in parts] for parts in self._beside(encoded))
        last = level.last[:, 0].repeat_interleave(paths, 0)
        uniform = self._uniform(last) if self.sampled else None
        answers, values, starts = [], [], []
        for k in range(self.span.horizon):
            answers.append(self._of_step(hidden, [*summaries, *(part[:, k] for part in ahead)], 0.0))
            base = self._base(answers[-1])
            drawn = base.mode() if uniform is None else base.sample(uniform[:, k].repeat(batch, 1, 1))
            starts.append(last)
            values.append(drawn + last)
            if k + 1 < self.span.horizon:
                last = values[-1] if self.unit.relative == "last" else last
                read = functional.pad(values[-1], (0, self.spec.signs))
                after = first.source.encoder.encode(Steps(read, Layout.equal(len(read), 1, read.device)), state)
                hidden, state = after.steps.values, after.state
        # The density of a t is that of the distribution in the middle of an example's paths; one path is its own
        # middle.
        level = level._replace(last=_by_path(starts, paths).median(1).values)
        base = self._base(_by_path(answers, paths).median(1).values)
        return (Paths(_by_path(values, paths).movedim(1, -1), level.last, base) if self.sampled else base), level

    def _uniform(self, like: Tensor) -> Tensor:
        """(paths, horizon, C, draws) uniform numbers, the same for every example."""
        generator = torch.Generator().manual_seed(0)
        shape = self.samples, self.span.horizon, self.spec.channels, StudentT.draws
        uniform = torch.rand(*shape, generator=generator, dtype=torch.float64)
        return uniform.clamp(1e-6, 1 - 1e-6).to(like)


def _by_path(steps: Sequence[Tensor], paths: int) -> Tensor:
    """(B, paths, horizon, ...) from the steps of all paths (B * paths, ...)."""
    return torch.stack([*steps], 1).unflatten(0, (len(steps[0]) // paths, paths))


def _unsoftened(positive: Tensor) -> Tensor:
    """What softplus makes these numbers of."""
    positive = positive.clamp(min=1e-3)
    return positive + torch.log(-torch.expm1(-positive))


def _carried(values: Tensor) -> Tensor:
    """(B, T, C), each gap filled with the value before it; the first step has none."""
    places = torch.arange(values.shape[1], device=values.device)[:, None]
    last = torch.where(values.isnan(), 0, places).cummax(1).values
    return values.gather(1, last)


def _width(what: Literal["steps", "summary"], sizes: Sequence[Sizes], chosen: Sequence[bool]) -> int:
    """The sum of these inputs' widths.

    Errors:
        ConfigError: one of them gives none.
    """
    widths = {place: getattr(size, what) for place, (size, is_read) in enumerate(zip(sizes, chosen), 1) if is_read}
    for place, width in widths.items():
        if width is None:
            raise ConfigError(
                f"forecast: input {place} that it reads gives no {what}; choose a recurrent or convolutional encoder"
            )
    return sum(widths.values())
