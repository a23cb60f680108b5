"""What heads of windows share: the unit of a window, its naive forecast, a linear map of it, and where these begin."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.distributions.contract import LEVELS, Distribution
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.heads._losses import misfit
from ostinato.heads.contract import Outlook, Pairs, Predictor, Sizes, Span
from ostinato.modalities.contract import Spec, Values
from ostinato.registry import Settings
from ostinato.steps import Steps

STEADY = 1e-5
"""A window that moves less than this share of its size is a constant one, whose deviation is rounding."""
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Of the ridge, in units of the mean square of the window's steps."""
LEAST_GAIN, CLEAR, BLOCKS = 0.01, 2.0, 20
"""By what share, and by how many standard errors over blocks of windows, a linear map must beat the naive forecast
where it was not fitted: of a random walk the best of several maps is a little better there by chance, and worse
later."""
REWEIGHTED, LEAST_FAR = 4, 0.05
"""How often windows are weighted anew, and the least distance that counts, as a share of the mean one."""
FAR = 10.0
"""Deviations of a window beyond which a number counts as so far: after a steady window a jump is as large as any, and
one of them would decide a least-squares fit."""
WIDENED = 0.8, 3.0
"""The least and the largest factor of an interval's width: a short validation part may be calmer, or wilder, than what
follows."""
FEW = 20
"""Fewer windows than this choose no strength and have no quantiles of their own."""

Relative = Literal["last", "season", "none"]
Normalize = Literal["window", "none"]


class Level(NamedTuple):
    """The unit that a window is predicted in: (B, 1, C) each; what is predicted is relative to `last`, in the recursive
    strategy and of a season (B, horizon, C). A linear map reads the window relative to `anchor`."""

    mean: Tensor
    deviation: Tensor
    last: Tensor
    anchor: Tensor


class Unit(NamedTuple):
    """How the unit of a window is made.

    Args:
        spec: of a step.
        horizon: steps that are predicted.
        normalize: window: mean and deviation of the window; none: 0 and 1.
        relative: what is predicted is the difference from the last value, from the last season or from 0.
        season: steps of a season, where it is relative to one.
    """

    spec: Values
    horizon: int
    normalize: Normalize
    relative: Relative
    season: int | None

    def channels(self, steps: Steps) -> Tensor:
        """(B, T, C) the numbers of B sequences of one length."""
        return steps.values[:, : self.spec.channels].unflatten(0, (len(steps.layout), -1))

    def level(self, steps: Steps) -> Level:
        values = self.channels(steps)
        there = ~values.isnan()
        known = torch.where(there, values, 0)
        count = there.sum(1, keepdim=True).clamp(min=1)
        mean = known.sum(1, keepdim=True) / count
        deviation = torch.where(there, values - mean, 0).square().sum(1, keepdim=True).div(count).sqrt()
        size = mean.abs()
        steady = deviation <= STEADY * size
        # What is scaled has lost its own size: near the data set's mean |m| would make a steady window's next move
        # enormous.
        unit = torch.where(size > 0, size, 1) if self.spec.unscaled else torch.ones_like(size)
        deviation = torch.where(steady | (deviation == 0), unit, deviation)
        if self.normalize == "none":
            mean, deviation = torch.zeros_like(mean), torch.ones_like(deviation)
        places = torch.arange(values.shape[1], device=values.device)[:, None]
        place = torch.where(there, places, -1).amax(1, keepdim=True)
        last = torch.where(place < 0, mean, known.gather(1, place.clamp(min=0)))
        anchor = (last - mean) / deviation if self.relative != "none" else torch.zeros_like(mean)
        if self.season is None:
            return Level(mean, deviation, anchor, anchor)
        return Level(mean, deviation, (self._last_season(values, last) - mean) / deviation, anchor)

    def _last_season(self, values: Tensor, last: Tensor) -> Tensor:
        """(B, horizon, C): each step's value a season before, in the last of the seasons read that has it; else the
        last value."""
        assert self.season is not None
        seasons = values[:, -(values.shape[1] // self.season * self.season) :].unflatten(1, (-1, self.season))
        there = ~seasons.isnan()
        places = torch.arange(seasons.shape[1], device=values.device)[:, None, None]
        place = torch.where(there, places, -1).amax(1, keepdim=True)
        phases = seasons.nan_to_num().gather(1, place.clamp(min=0)).squeeze(1)
        phases = torch.where(place.squeeze(1) < 0, last, phases)
        return phases[:, torch.arange(self.horizon, device=values.device) % self.season]

    def scaled(self, steps: Steps, level: Level) -> Steps:
        """Steps of B sequences of one length less their level; signs of gaps stay as they are."""
        values = steps.values.unflatten(0, (len(steps.layout), -1))
        channels = (values[..., : self.spec.channels] - level.mean) / level.deviation
        return steps.with_values(torch.cat([channels, values[..., self.spec.channels :]], 2).flatten(0, 1))

    def window(self, steps: Steps, level: Level, count: int) -> Tensor:
        """(B, C, count) what a linear map reads: the last steps in the unit of the window, relative to its last."""
        values = (self.channels(steps) - level.mean) / level.deviation - level.anchor
        return values[:, -count:].nan_to_num().transpose(1, 2)

    def apart(self, targets: Steps, level: Level) -> Tensor:
        """(B, horizon, C) how far targets are from the naive forecast, in the unit of the window; NaN where missing."""
        return (self.channels(targets) - level.mean) / level.deviation - level.last


def unit_of(head: str, spec: Spec, span: Span, normalize: Normalize, relative: Relative, season: int | None) -> Unit:
    """Errors:
    ConfigError: the output is none of numbers, or there is a season without need, none, or a longer one than is read.
    """
    if not isinstance(spec, Values):
        raise misfit(head, "numbers", spec)
    if (relative == "season") != (season is not None):
        what = "needs a season, the steps after which the series repeats" if season is None else "has no season"
        raise ConfigError(f"{head}: relative: {relative} {what}; set season and relative: season, or leave both out")
    if season is not None and season > span.lookback:
        raise ConfigError(f"{head}: season: {season} is more than the lookback, {span.lookback}; set a longer lookback")
    return Unit(spec, span.horizon, normalize, relative, season)


def refuse_others(head: str, sizes: Sequence[Sizes]) -> None:
    """Errors:
    ConfigError: there is an input beside the series.
    """
    if len(sizes) > 1:
        raise ConfigError(
            f"{head} reads the series that it continues and no other of its {len(sizes)} inputs; name that one alone in"
            " the output's `reads`"
        )


class Start(NamedTuple):
    """Where a linear map of the window and the spread around it begin.

    Args:
        weight: (horizon, steps), zeros where the naive forecast is as good.
        spread: (horizon, C, levels) quantiles of what is left, in the unit of the window; 0 at the median, which is the
            forecast, and on its side of it elsewhere.
        errors: (N,) the mean of |error|^power of each later window, in the unit of the data.
        note: what was found.
        drift: (horizon, C) what is added to the naive forecast, in the unit of the window; None: nothing.
    """

    weight: Tensor
    spread: Tensor
    errors: Tensor
    note: str
    drift: Tensor | None = None


def fitted(unit: Unit, steps: int, early: Pairs, late: Pairs, power: int, *, drifts: bool = False) -> Start:
    """The start by ridge regression on the differences from the naive forecast.

        W = argmin sum over windows and channels |r - W w|^2 + strength n |W|^2 mean(w^2)

    The strength is the one whose mean of |r - W w|^power is least on the windows that end later than those it was
    fitted on. Where errors count and not their squares, maps of the windows reweighted are compared too. W = 0, the
    naive forecast, remains where none gains; what it errs by in the middle is then added, the drift of a series that
    grows, where this gains on the later windows. The best is fitted anew on all windows.

    Args:
        unit: of the windows.
        steps: how many last steps the map reads; 0: there is none.
        early: windows, and what follows each.
        late: of later ones.
        power: 1 for a median, 2 for a mean.
        drifts: whether a drift may be added.

    Source: Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634; the linear map: Zeng 2023, arXiv:2205.13504.
    """
    first, then = (_read(unit, max(1, steps), pairs) for pairs in (early, late))
    weight = torch.zeros(unit.horizon, max(1, steps), dtype=torch.float64)
    both = [part for part in (first, then) if part is not None]
    if not both:
        spread = torch.zeros(unit.horizon, unit.spec.channels, len(LEVELS))
        return Start(weight, spread, spread.new_zeros(1), "no training window has a whole target, so nothing is fitted")
    every = both[0] if len(both) == 1 else both[0].with_more(both[1])

    def as_naive(errors: Tensor, note: str) -> Start:
        start = Start(weight, every.spread(), errors, note)
        may_drift = drifts and first is not None and then is not None
        return _drifting(start, first, then, every, power) if may_drift else start

    if first is None or then is None or min(len(first.window), len(then.window)) < FEW:
        return as_naive(every.errors(weight, power), "too few windows to fit a linear map")
    naive = then.errors(weight, power)
    if not steps:
        return as_naive(naive, "intervals from the errors of the naive forecast")
    fits = [_ridge, _reweighted] if power == 1 else [_ridge]
    maps = [(fit, k, map_) for fit in fits for k, map_ in enumerate(fit(first))]
    # In the unit of each window, as the loss counts: of many series the largest would decide otherwise.
    fit, best, chosen = min(maps, key=lambda option: then.left(option[2]).pow(power).mean().item())
    left = then.errors(chosen, power)
    share, clear = gain(naive, left)
    note = f"a linear map of the last {steps} steps is {100 * share:.1f} % better than the naive forecast"
    if not clear:
        return as_naive(naive, f"{note}, so it begins as the naive forecast")
    spread = then._replace(apart=then.apart - then.window @ chosen.T).spread()
    return Start(fit(every)[best], spread, left, f"{note} (ridge {STRENGTHS[best]:g})")


def _drifting(start: Start, first: _Windows, then: _Windows, every: _Windows, power: int) -> Start:
    """The naive forecast with its drift, where the earlier windows' one gains on the later ones."""
    moved = then.moved(first.middle(power)).errors(start.weight, power)
    share, clear = gain(then.errors(start.weight, power), moved)
    if not clear:
        return start
    drift = every.middle(power)
    note = f"{start.note}; with a drift, which is {100 * share:.1f} % better"
    return Start(start.weight, every.moved(drift).spread(), moved, note, drift)


def gain(naive: Tensor, other: Tensor) -> tuple[float, bool]:
    """By what share of the naive error another one is less, and whether that is more than chance: by LEAST_GAIN, and
    by CLEAR standard errors of the mean over BLOCKS blocks of consecutive windows."""
    share = 1 - other.mean().item() / max(naive.mean().item(), 1e-300)
    blocks = torch.stack([part.mean() for part in (naive - other).tensor_split(min(BLOCKS, len(naive)))])
    error = blocks.std().item() / len(blocks) ** 0.5 if len(blocks) > 1 else math.inf
    return share, share >= LEAST_GAIN and blocks.mean().item() > CLEAR * error


class _Windows(NamedTuple):
    """Windows of all channels, without those that lack a target.

    Shapes:
        window (N, steps); apart (N, horizon); channel, deviation (N,)
    """

    window: Tensor
    apart: Tensor
    channel: Tensor
    deviation: Tensor
    channels: int

    def with_more(self, other: _Windows) -> _Windows:
        joined = (torch.cat(parts) for parts in zip(self[:4], other[:4]))
        return _Windows(*joined, self.channels)

    def left(self, weight: Tensor) -> Tensor:
        """(N, horizon) how far targets are from the map, in the unit of the window."""
        return (self.apart - self.window @ weight.T).abs()

    def errors(self, weight: Tensor, power: int) -> Tensor:
        """(N,) of each window, in the unit of the data."""
        return (self.left(weight) * self.deviation[:, None]).pow(power).mean(1)

    def spread(self) -> Tensor:
        """(horizon, C, levels): of each channel, or of all together where it has few windows."""
        return self._by_channel(self._quantiles)

    def middle(self, power: int) -> Tensor:
        """(horizon, C) the median, or the mean, of what is apart."""
        return self._by_channel(lambda apart: apart.quantile(0.5, 0) if power == 1 else apart.mean(0))

    def moved(self, middle: Tensor) -> _Windows:
        """The same, apart from a forecast that is so much greater."""
        return self._replace(apart=self.apart - middle[:, self.channel].T)

    def _by_channel(self, summed: Callable[[Tensor], Tensor]) -> Tensor:
        every = summed(self.apart)
        own = [self.apart[self.channel == channel] for channel in range(self.channels)]
        return torch.stack([summed(part) if len(part) >= FEW else every for part in own], 1)

    def _quantiles(self, apart: Tensor) -> Tensor:
        quantiles, middle = torch.from_numpy(np.quantile(apart.numpy(), LEVELS, axis=0)).T, LEVELS.index(0.5)
        sides = quantiles[:, :middle].clamp(max=0), quantiles[:, middle + 1 :].clamp(min=0)
        return torch.cat([sides[0], torch.zeros_like(quantiles[:, :1]), sides[1]], 1)


def _read(unit: Unit, steps: int, pairs: Pairs) -> _Windows | None:
    """The windows of all batches in float64; None where none has a whole target."""
    windows, aparts, channels, deviations = [], [], [], []
    for source, targets in pairs:
        level = unit.level(source)
        apart = unit.apart(targets, level).transpose(1, 2)
        whole = ~apart.isnan().any(2)
        windows.append(unit.window(source, level, steps)[whole].double().clamp(-FAR, FAR))
        aparts.append(apart[whole].double().clamp(-FAR, FAR))
        channels.append(whole.nonzero()[:, 1])
        deviations.append(level.deviation.squeeze(1)[whole].double())
    if not any(map(len, windows)):
        return None
    joined = (torch.cat(parts).cpu() for parts in (windows, aparts, channels, deviations))
    return _Windows(*joined, unit.spec.channels)


def _reweighted(windows: _Windows) -> list[Tensor]:
    """Maps of least absolute errors in place of squared ones: each window weighs the inverse of how far it was from
    the last map, REWEIGHTED times.

    Source: iteratively reweighted least squares: Holland and Welsch 1977, doi:10.1080/03610927708827533.
    """
    maps = _ridge(windows)
    for _ in range(REWEIGHTED):
        far = windows.left(maps[0]).mean(1)
        maps = _ridge(windows, 1 / far.clamp(min=LEAST_FAR * far.mean().item() + 1e-12))
    return maps


def _ridge(windows: _Windows, weights: Tensor | None = None) -> list[Tensor]:
    """The map for each strength, by one decomposition."""
    weighted = windows.window if weights is None else windows.window * (weights / weights.mean())[:, None]
    count = len(weighted)
    gram, cross = weighted.T @ windows.window / count, weighted.T @ windows.apart / count
    sizes, vectors = torch.linalg.eigh(gram)
    turned, size = vectors.T @ cross, sizes.mean().clamp(min=1e-12)
    return [(vectors @ (turned / (sizes.clamp(min=0) + strength * size)[:, None])).T for strength in STRENGTHS]


def chosen_unit(
    settings: Settings, outlook: Outlook, steps: int, power: int, normalized: Sequence[Normalize] = ("window", "none")
) -> dict[str, tuple[Any, str]]:
    """`normalize`, `relative` and `season` where they are not given: those whose closed form is best on the later
    windows.

    Args:
        settings: of the head.
        outlook: the training windows.
        steps: that the linear map reads; 0: there is none.
        power: of the error.
        normalized: values of `normalize` to compare, the preferred one first.
    """
    if max(steps, settings.season or 0) > outlook.span.lookback:
        return {}  # The head refuses it, with its own message.
    given, season = settings.model_fields_set, outlook.season
    if "normalize" in given:
        normalized = [settings.normalize]
    elif outlook.num_series > 1:
        normalized = ["window"]  # series of several sizes
    relatives: list[tuple[Relative, int | None]] = [("last", None)]
    if 1 < season <= outlook.span.lookback:
        relatives.append(("season", season))
    if settings.season is not None:
        relatives = [("season", settings.season)]
    elif "relative" in given:
        relatives = [pair for pair in relatives if pair[0] == settings.relative] or [(settings.relative, None)]
    early, late = outlook.windows()
    errors: dict[tuple[Normalize, Relative, int | None], Tensor] = {}
    for normalize in normalized:
        for relative, steps_back in relatives:
            unit = Unit(outlook.spec, outlook.span.horizon, normalize, relative, steps_back)
            errors[normalize, relative, steps_back] = fitted(unit, steps, early, late, power).errors
    # What is preferred, the first, is left only for what is better beyond chance.
    first = next(iter(errors))
    best = min(errors, key=lambda choice: errors[choice].mean().item())
    best = best if gain(errors[first], errors[best])[1] else first
    compared = ", ".join(
        f"{'each window in its own unit' if normalize == 'window' else 'one unit for all'}, from the last"
        f" {'value' if steps_back is None else 'season'}: {own.mean().item():.4g}"
        for (normalize, relative, steps_back), own in errors.items()
    )
    why = f"errors on the last fifth of the training windows: {compared}" if len(errors) > 1 else ""
    normalize, relative, steps_back = best
    chosen: dict[str, tuple[Any, str]] = {"normalize": (normalize, why or "series differ in size, and levels move")}
    if relative != settings.relative or steps_back is not None:
        chosen |= {"relative": (relative, why or "a season was given"), "season": (steps_back, "of the data")}
    return chosen


def widened(factors: Tensor) -> str:
    factor = factors[LEVELS.index(0.95)].item()
    return f"90 % intervals are {factor:.2f} times as wide as they were, so that they cover as much in validation"


class Spread(nn.Module):
    """Quantiles around a median that others give, in the unit of the window.

        q[k, c, level] = -softplus(w) below the median, 0 there, softplus(w) above

    Shapes:
        returns (horizon, C, levels), rising from level to level once they are sorted

    Args:
        horizon: steps that are predicted.
        channels: C.
    """

    def __init__(self, horizon: int, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(horizon, channels, len(LEVELS) - 1))
        middle = LEVELS.index(0.5)
        self.register_buffer("sides", torch.ones(len(LEVELS) - 1), persistent=False)
        self.sides[:middle] = -1
        self.middle = middle
        # As a normal distribution of deviation 1/2 has them.
        self.start_from((torch.special.ndtri(torch.tensor(LEVELS).double()) / 2).expand(horizon, channels, -1))

    def forward(self) -> Tensor:
        apart = functional.softplus(self.weight) * self.sides
        below, above = apart[..., : self.middle], apart[..., self.middle :]
        return torch.cat([below, torch.zeros_like(apart[..., :1]), above], -1)

    @torch.no_grad()
    def start_from(self, spread: Tensor) -> None:
        """From these quantiles on."""
        size = torch.cat([spread[..., : self.middle], spread[..., self.middle + 1 :]], -1).abs().clamp(1e-3, 20)
        self.weight.copy_(size + torch.log(-torch.expm1(-size)))

    def widen(self, known: Iterable[tuple[Distribution, Steps]]) -> str | None:
        """Makes intervals cover what they promise."""
        factors = widening(self.weight.shape[1], known)
        if factors is None:
            return None
        self.start_from(self().detach().double() * factors.to(self.weight.device))
        return widened(factors)


class OfOneSeries(Predictor):
    """What a forecast from one series alone, with a spread around its median, has whatever the median."""

    aligns = frozenset({"ahead"})
    gives = frozenset({"log_probability", "num_targets", "quantiles"})
    alone = True

    spread: Spread

    @torch.no_grad()
    def calibrate(self, batches: Callable[[], Iterator[tuple[Sequence[Encoded], Steps]]]) -> str | None:
        return self.spread.widen((self.predict_distribution(encoded), targets) for encoded, targets in batches())


def widening(channels: int, known: Iterable[tuple[Distribution, Steps]]) -> Tensor | None:
    """(levels,) by how much the distance of each quantile from the median has to grow, so that central intervals cover
    what they promise; None where no target is known.

        s = max((y - m) / (q[1 - a] - m), (m - y) / (m - q[a]))         of each target
        f = the quantile of s at 1 - 2 a, for the levels a and 1 - a

    Args:
        channels: numbers of a step that are predicted.
        known: distributions, and what came true.

    Source: Romano, Patterson and Candes 2019, arXiv:1905.03222, with the distance from the median as the unit.
    """
    scores = []
    for distribution, targets in known:
        quantiles = distribution.quantile(LEVELS)[..., :channels]
        median = quantiles[len(LEVELS) // 2]
        apart, widths = targets.values[:, :channels] - median, (quantiles - median).abs().clamp(min=1e-9)
        sides = [torch.maximum(apart / widths[-1 - k], -apart / widths[k]) for k in range(len(LEVELS) // 2)]
        stacked = torch.stack(sides).flatten(1)
        scores.append(stacked[:, ~stacked.isnan().any(0)])
    if not sum(part.shape[1] for part in scores):
        return None
    every = torch.cat(scores, 1).double().cpu().numpy()
    factors = [np.quantile(own, 1 - 2 * level) for own, level in zip(every, LEVELS)]
    return torch.tensor([*factors, 1.0, *reversed(factors)]).clamp(*WIDENED)
