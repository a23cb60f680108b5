"""Real numbers over time, in one channel or many."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from ostinato.errors import ConfigError, DataError
from ostinato.modalities._fields import array_of, content_of, is_missing
from ostinato.modalities._varied import Masks, at_speed, factor
from ostinato.modalities.contract import Array, Features, Modality, Traits, Values
from ostinato.raw.numbers import FLOAT32_MAX, as_array, number_at
from ostinato.registry import Count, NonNegative, Rate, Whole

ROUNDING = 1e-6
"""The share of the deviation below which a value that was scaled and back again is 0."""


class Series(Modality):
    """Measurements over time: a vector of C numbers per step, with gaps where nothing was measured.

        z[t, c] = (x[t, c] - mean[c]) / deviation[c]
        step    = z[t, :], then for each channel that has gaps in the training split 1 where it is missing and 0
                  elsewhere; z is NaN where x is missing, which an encoder reads as 0 and a head leaves out

        dataset   mean and deviation of the training split, per channel
        row       of the row itself, per channel: its level and size are not seen, and `decode` cannot give them back
        none      0 and 1

    A channel that never changes has deviation 1. A gap in a channel that had none in training is read as 0 alone, since
    the network has learnt no sign for it. A raw value is a list of numbers (one channel), of lists of C numbers, or an
    array (T,) or (T, C), also one of a file of numpy (.npy, or .npz with one array); None, NaN and `NA` are missing. A
    field of text holds the numbers of one channel, a list of lists as JSON, or the path of such a file.

    Args:
        scale: over what each channel is scaled.
        known_future: whether it is known through the horizon of a forecast too, as a calendar or a weather forecast is;
            else up to the step from which the forecast is made.
        separator: the text between two numbers of a field; blanks around them do not count.
        tempo_change: in training, how much faster or slower a series is at most, as a share: 0.2 draws a factor from
            1 / 1.2 to 1.2, uniform in its logarithm, another one in each epoch; steps lie on the lines between those
            that were measured.
        noise: in training, the deviation of what is added to each number, in scaled units.
        step_masks: in training, how many stretches of steps are masked: set to the mean.
        step_width: the most steps of one, which is no longer than half of the example; 20 by default.
        band_masks: likewise of the channels, neighbours among them.
        band_width: the most numbers of one; a fifth of them by default.

    Shapes:
        encoded (T, C + channels with gaps)

    Errors:
        ConfigError: the separator could be a part of a number; a width without masks.
        DataError: a value is no series, a step has another number of channels, a number is infinite or no number; or no
            row of the training split has a number in some channel.
    """

    aligns = frozenset({"ahead", "next"})
    default_align = "ahead"
    default_encoder = "recurrent"
    variants = (
        {"head": "linear_forecast"},
        {"encoder": {"type": "convolutional"}},
        {"head": "naive_forecast"},
    )
    default_head = {"ahead": "forecast"}
    metrics = {
        "ahead": ("mae", "mse", "rmse", "smape", "mase", "pinball_loss", "crps", "interval_coverage"),
        "next": ("log_loss",),
    }
    array_endings = (".npy", ".npz")
    over_time = "channels"
    examples = tuple(np.add.outer(np.arange(count), np.arange(20.0) ** 2).tolist() for count in (12, 7))

    def __init__(
        self,
        *,
        scale: Literal["dataset", "row", "none"] = "dataset",
        known_future: bool = False,
        separator: str = " ",
        tempo_change: Rate = 0.0,
        noise: NonNegative = 0.0,
        step_masks: Whole = 0,
        step_width: Count | None = None,
        band_masks: Whole = 0,
        band_width: Count | None = None,
    ):
        if not separator or any(sign.isalnum() or sign in ".+-[]/?" for sign in separator):
            raise ConfigError(
                f"separator: {separator!r} could be a part of a number or of a list; give a sign such as ',' or ';'"
            )
        self._scale, self._separator, self._tempo_change, self._noise = scale, separator, tempo_change, noise
        self._masks = Masks.of("series", step_masks, step_width, band_masks, band_width)
        self._set([], [], [])

    @staticmethod
    def traits(settings: Any) -> Traits:
        varies = max(settings.tempo_change, settings.noise, settings.step_masks, settings.band_masks) > 0
        return Traits(known_future=settings.known_future, varies=varies)

    def varied(self, steps: np.ndarray, chance: np.random.Generator) -> np.ndarray:
        steps = at_speed(steps, factor(chance, self._tempo_change))
        # Between a number and a gap lies a gap.
        noisy = steps[:, : len(self._mean)] + chance.normal(0, self._noise, (len(steps), len(self._mean)))
        masked = self._masks.over(noisy, self.blank(), chance)
        return np.concatenate([masked, np.isnan(masked)[:, self._gaps]], 1).astype(np.float32)

    def _set(self, mean: Sequence[float], deviation: Sequence[float], gaps: Sequence[bool]) -> None:
        self._mean, self._deviation = np.array(mean, dtype=np.float64), np.array(deviation, dtype=np.float64)
        self._gaps = np.array(gaps, dtype=bool)

    def _read(self, raw: Any, channels: int | None) -> np.ndarray:
        """A raw value as (T, C) float64, NaN where it is missing; C must be `channels` where they are known."""
        array = as_array(self.parse(raw) if isinstance(raw, str) else raw)
        if not len(array):
            return np.empty((0, channels or 0))
        array = array[:, None] if array.ndim == 1 else array
        if array.shape[1] != (channels or max(1, array.shape[1])):
            wanted = f"rows of the training split have {_counted(channels)}" if channels else "at least one is needed"
            raise DataError(
                f"each step has {_counted(array.shape[1])}, and {wanted}; give all rows the same, in one order"
            )
        infinite = np.argwhere(np.isinf(array))
        if len(infinite):
            step, channel = infinite[0] + 1
            raise DataError(
                f"step {step}, channel {channel} is an infinite number; mend it, or leave it out (null) where it is"
                " missing"
            )
        return array

    def fit(self, column: Iterable[Any]) -> None:
        moments: _Moments | None = None
        for raw in column:
            if raw is not None:
                array = self._read(raw, None if moments is None else len(moments.count))
                if len(array):
                    moments = moments or _Moments(array.shape[1])
                    moments.add(array)
        if moments is None:
            raise DataError(
                "nothing to learn: no row of the training split has a step; check that this is the right column"
            )
        for channel, (count, squares) in enumerate(zip(moments.count, moments.squares), 1):
            if not count:
                raise DataError(
                    f"channel {channel} has no number in the training split, only missing values; leave it out"
                )
            if not np.isfinite(squares):
                largest = max(moments.low[channel - 1], moments.high[channel - 1], key=abs)
                raise DataError(f"channel {channel} has numbers too far apart to be scaled; mend {largest:g}")
        self._set(*moments.scaling(), moments.gaps)

    def encode(self, raw: Any) -> np.ndarray:
        array = self._read(raw, len(self._mean))
        missing = np.isnan(array)
        mean, deviation = _Moments.of(array).scaling() if self._scale == "row" else self.scaling()
        with np.errstate(over="ignore"):
            scaled = (array - mean) / deviation
        far = np.argwhere(np.abs(scaled) > FLOAT32_MAX)
        if len(far):
            step, channel = far[0] + 1
            value = array[step - 1, channel - 1]
            raise DataError(f"step {step}, channel {channel}: {value:g} is too far from the others; mend it")
        return np.concatenate([scaled, missing[:, self._gaps]], axis=1).astype(np.float32)

    def scaling(self) -> tuple[Any, Any]:
        """Mean and deviation that encoded steps are scaled by, where these are not of the row."""
        return (self._mean, self._deviation) if self._scale == "dataset" else (0.0, 1.0)

    def blank(self) -> np.ndarray | float:
        """What masked numbers are: the mean of the training split, or of the row, in scaled units."""
        return self._mean if self._scale == "none" else 0.0

    def decode(self, array: Array) -> list[float | None] | list[list[float | None]]:
        """The numbers of one channel, or a list of C per step, None where they are missing; with `scale: row` still
        scaled."""
        steps = np.asarray(array, dtype=np.float64).reshape(-1, self.spec.size)
        mean, deviation = self.scaling()
        values = (steps[:, : len(self._mean)] * deviation + mean).astype(object)
        sign = np.zeros(values.shape, dtype=bool)
        sign[:, self._gaps] = steps[:, len(self._mean) :] >= 0.5
        values[sign | np.isnan(steps[:, : len(self._mean)])] = None
        return values[:, 0].tolist() if len(self._mean) == 1 else values.tolist()

    def labels(self, array: Array) -> list[str]:
        values = self.decode(array)
        steps = [[step] for step in values] if len(self._mean) == 1 else values
        # A 0 that was scaled and back again is as near to it as 32 bits are.
        least = (ROUNDING * self._deviation).tolist()
        steps = [
            [0.0 if value is not None and abs(value) < own else value for value, own in zip(step, least)]
            for step in steps
        ]
        return [" ".join("NA" if value is None else f"{value:.3g}" for value in step) for step in steps]

    @property
    def spec(self) -> Values:
        signs = int(self._gaps.sum())
        return Values(len(self._mean) + signs, signs, unscaled=self._scale == "none")

    def facts(self) -> dict:
        return {"mean": self._mean.tolist(), "deviation": self._deviation.tolist(), "gaps": self._gaps.tolist()}

    def restore(self, facts: dict) -> None:
        self._set(**facts)

    def features(self, cells: Sequence[Any]) -> Features:
        """Of each channel its mean, its deviation, its first and its last number; zeros where there is no step."""
        return Features("numbers", [self._looked_at(raw) for raw in cells])

    def _looked_at(self, raw: Any) -> np.ndarray:
        values = as_array([] if raw is None else raw)
        if not len(values):
            return np.zeros(4 * len(self._mean))
        return np.concatenate([np.atleast_1d(part) for part in (values.mean(0), values.std(0), values[0], values[-1])])

    def parse(self, field: str) -> Any:
        if field.lower().endswith(self.array_endings):
            return self.take(content_of(field, "file"))
        if field.lstrip().startswith("["):
            try:
                return json.loads(field)
            except (json.JSONDecodeError, RecursionError) as why:
                raise DataError(f"a list of lists is needed as JSON, such as [[1, 2.5], [3, null]]: {why}") from None
        parts = field.split(None if self._separator.isspace() else self._separator) if field.strip() else []
        return [number_at(part, f"number {place}") for place, part in enumerate(parts, 1)]

    def take(self, raw: Any) -> Any:
        if isinstance(raw, bytes):
            return array_of(raw, "a series is one (T,) or (T, C); write a file for each series")
        return None if is_missing(raw) else raw

    def closing(self) -> str:
        return "]" if len(self._mean) > 1 else ""

    def write(self, raw: Any) -> str:
        """One channel as numbers with the separator between them, `NA` where one is missing; several as JSON."""
        array = as_array(self.parse(raw) if isinstance(raw, str) else raw)
        if array.ndim == 2:
            return json.dumps(np.where(np.isnan(array), None, array).tolist())
        return self._separator.join("NA" if np.isnan(value) else repr(value) for value in array.tolist())


class _Moments:
    """Mean and sum of squared differences of each channel, from rows one after the other.

    Chan's update joins those of a piece to those before it; a sum of squares alone would lose the digits of a small
    spread.
    """

    def __init__(self, channels: int):
        self.count, self.mean, self.squares = np.zeros(channels), np.zeros(channels), np.zeros(channels)
        self.low, self.high = np.full(channels, np.inf), np.full(channels, -np.inf)
        self.gaps = np.zeros(channels, dtype=bool)

    @staticmethod
    def of(array: np.ndarray) -> _Moments:
        moments = _Moments(array.shape[1])
        moments.add(array)
        return moments

    def add(self, array: np.ndarray) -> None:
        there = ~np.isnan(array)
        count = there.sum(0)
        total = np.maximum(self.count + count, 1)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.where(there, array, 0).sum(0) / np.maximum(count, 1)
            apart = np.where(count > 0, mean - self.mean, 0)
            own = (np.where(there, array - mean, 0) ** 2).sum(0)
            self.squares = self.squares + own + apart**2 * self.count * count / total
            self.mean = self.mean + apart * count / total
        self.count = self.count + count
        self.low = np.minimum(self.low, np.where(there, array, np.inf).min(0, initial=np.inf))
        self.high = np.maximum(self.high, np.where(there, array, -np.inf).max(0, initial=-np.inf))
        self.gaps |= ~there.all(0)

    def scaling(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation to scale by: of a channel that never changes its value and 1, whatever rounding made of
        them."""
        constant, deviation = self.low >= self.high, np.sqrt(self.squares / np.maximum(self.count, 1))
        mean = np.where(constant & np.isfinite(self.low), self.low, self.mean)
        return mean, np.where(constant | (deviation == 0), 1.0, deviation)


def _counted(channels: int) -> str:
    return f"{channels} channel" if channels == 1 else f"{channels} channels"
