"""Windows: a series and the step at which a forecast begins, what is read before it and what follows; never copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from ostinato.data.batches import Batches
from ostinato.data.cache import Dataset, to_steps
from ostinato.data.series import Gathered, Times, moment, seasonal_error, shown
from ostinato.errors import DataError
from ostinato.metrics.contract import Order
from ostinato.steps import Steps

Reach = Literal["past", "ahead", "target", "whole"]
"""The steps of a column in a window: before the origin, before and after, after; or the one value of the series."""
VALID_SHARE = 10
"""One step in ten is kept for validation by default."""


class Border(NamedTuple):
    """The steps of each series in which forecasts may lie: (series,) first and one past the last."""

    begins: np.ndarray
    ends: np.ndarray


class Windows:
    """The windows of one split, by number: series after series, in the order of time.

        window n = (series s, origin o)      begins[s] <= o, lookback <= o, o + horizon <= ends[s]
        past     = steps o - lookback up to o
        ahead    = steps o - lookback up to o + horizon
        target   = steps o up to o + horizon

    Nothing here grows with the number of windows times their length.

    Args:
        series: the raw series.
        reach: for each place of a recipe (`inputs.load`) which steps a window holds of it.
        columns: for each place its column.
        border: where forecasts may lie.
        lookback: steps that are read before the origin.
        horizon: steps that are predicted.
        season: steps of a season, for the scale of an ordinary error.
        where: the path in the recipe that named the data.
    """

    def __init__(
        self,
        series: Gathered,
        reach: Mapping[str, Reach],
        columns: Mapping[str, str],
        border: Border,
        *,
        lookback: int,
        horizon: int,
        season: int,
        where: str,
    ):
        self.series, self.reach, self.columns, self.border = series, dict(reach), dict(columns), border
        self.lookback, self.horizon, self.season, self.where = lookback, horizon, season, where
        self.notes: list[str] = []
        self.first = np.maximum(border.begins, lookback)
        counts = np.maximum(border.ends - horizon - self.first + 1, 0)
        self.starts = np.concatenate([[0], np.cumsum(counts)])
        self.num_rows = int(self.starts[-1])

    @property
    def empty(self) -> np.ndarray:
        """The series without a window."""
        return np.flatnonzero(np.diff(self.starts) == 0)

    def length(self, place: str) -> int:
        """Steps of each window at a place; 1 where it is a value of the whole series."""
        past, after = {"past": (1, 0), "ahead": (1, 1), "target": (0, 1), "whole": (0, 0)}[self.reach[place]]
        return past * self.lookback + after * self.horizon or 1

    def at(self, rows: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(series, origin) of these windows."""
        rows = np.asarray(rows, dtype=np.int64)
        series = np.searchsorted(self.starts, rows, side="right") - 1
        return series, self.first[series] + rows - self.starts[series]

    def _begin(self, place: str, origins: Any) -> Any:
        reach = self.reach[place]
        return origins if reach == "target" else origins - self.lookback

    def steps(self, dataset: Dataset, place: str, rows: Sequence[int] | np.ndarray) -> Steps:
        """The steps of these windows at a place, cut from the encoded series."""
        series, origins = self.at(rows)
        if self.reach[place] == "whole":
            return dataset.steps(place, series)
        values, offsets = dataset.mapped(place)
        length = self.length(place)
        begins = offsets[series] + self._begin(place, origins)
        index = (begins[:, None] + np.arange(length)).ravel()
        return to_steps(values[index], np.full(len(series), length, dtype=np.int64))

    def with_target(self) -> np.ndarray:
        """The windows whose target has a number for some output."""
        targets = [place for place, reach in self.reach.items() if reach == "target"]
        keep = np.zeros(self.num_rows, dtype=bool)
        for series in range(len(self.series)):
            first, last = self.starts[series : series + 2]
            if first == last:
                continue
            for place in targets:
                cells = self.series.cells[self.columns[place]][series]
                there = ~np.isnan(cells if cells.ndim == 1 else cells.T).all(0) if cells.ndim > 1 else ~np.isnan(cells)
                known = np.concatenate([[0], np.cumsum(there)])
                origins = self.first[series] + np.arange(last - first)
                keep[first:last] |= known[origins + self.horizon] > known[origins]
        return np.flatnonzero(keep)

    def place(self, row: int) -> str:
        """The place of a window for messages, such as `load.csv series a, from 2014-01-01 13:00`."""
        (series,), (origin,) = self.at([row])
        return f"{self.title(int(series))}, from {self.series.shown(int(series), int(origin))}"

    def title(self, series: int) -> str:
        return f"{self.series.name} series {self.series.names[series]}"

    def raw(self, rows: Sequence[int] | np.ndarray | None = None) -> Iterator[dict[str, Any]]:
        """The raw values of windows by place; views of the series."""
        numbers = np.arange(self.num_rows) if rows is None else np.asarray(rows, dtype=np.int64)
        for series, origin in np.transpose(self.at(numbers)).tolist():
            yield {place: self._cut(place, series, origin) for place in self.reach}

    def _cut(self, place: str, series: int, origin: int) -> Any:
        cell = self.series.cells[self.columns[place]][series]
        if self.reach[place] == "whole":
            return cell
        begin = self._begin(place, origin)
        return cell[begin : begin + self.length(place)]

    def scales(self, place: str, rows: Sequence[int] | np.ndarray | None = None) -> list[Any] | None:
        """For each window the error of the seasonal naive forecast before the split begins; NaN where it is 0.

        None where it is 0 or unknown in every series.
        """
        cells = self.series.cells[self.columns[place]]
        numbers = np.arange(self.num_rows) if rows is None else rows
        own: dict[int, Any] = {}
        for series in np.unique(self.at(numbers)[0]).tolist():
            scale = seasonal_error(cells[series][: max(int(self.first[series]), self.season + 1)], self.season)
            own[series] = np.where(scale > 0, scale, np.nan)
        if all(np.isnan(scale).all() for scale in own.values()):
            return None
        return [own[series] for series in self.at(numbers)[0].tolist()]

    def steps_ahead(self, row: int) -> tuple[str, Times | None]:
        """The name of a window's series, and the times of the steps that are forecast, where the data have times."""
        (series,), (origin,) = self.at([row])
        return self.series.names[int(series)], self.series.span(int(series), int(origin), self.horizon)

    def order(self, rows: Sequence[int] | np.ndarray) -> Order:
        """Which windows are neighbors: those of one series; as many as the horizon has steps overlap."""
        return Order(self.at(rows)[0].tolist(), self.horizon, "window", "series", self.times(rows))

    def times(self, rows: Sequence[int] | np.ndarray) -> list[int] | None:
        """When each forecast begins, as a number that compares between series; None where the data have no times."""
        if self.series.times is None:
            return None
        series, origins = self.at(rows)
        begins = np.cumsum([0, *map(len, self.series.times)])[series]
        return np.concatenate(self.series.times)[begins + origins].astype(np.int64).tolist()

    def parts(self, count: int) -> np.ndarray:
        """(windows,) the part of each window: those of a series are cut into `count` equal parts in time order."""
        counts = np.diff(self.starts)
        within = np.arange(self.num_rows) - np.repeat(self.starts[:-1], counts)
        return within * count // np.repeat(counts, counts)

    def extent(self, rows: Sequence[int] | np.ndarray) -> tuple[str, str]:
        """The first and the last origin of these windows over all series, for messages."""
        times = self.series.times

        def when(series_and_step: tuple[int, int]) -> Any:
            series, step = series_and_step
            return step if times is None else times[series][step]

        series, origins = self.at(rows)
        pairs = []
        for number in np.unique(series).tolist():
            own = origins[series == number]
            pairs += [(number, int(own.min())), (number, int(own.max()))]
        return self.series.shown(*min(pairs, key=when)), self.series.shown(*max(pairs, key=when))

    def naive(self, place: str, rows: Sequence[int] | np.ndarray | None, season: int) -> list[np.ndarray]:
        """Seasonal naive forecasts: the last `season` steps repeat; gaps are filled from a season before."""
        cells = self.series.cells[self.columns[place]]
        back = season - np.arange(self.horizon) % season
        forecasts, filled = [], {}
        for series, origin in np.transpose(self.at(np.arange(self.num_rows) if rows is None else rows)).tolist():
            if series not in filled:
                filled = {series: _filled(cells[series], season)}
            forecasts.append(filled[series][np.maximum(origin - back, 0)])
        return forecasts

    def column(self, name: str, rows: Sequence[int] | np.ndarray | None = None) -> list[Any]:
        """The value of a column for the series of each window."""
        cells = self.series.cells[name]
        return [cells[series] for series in self.at(np.arange(self.num_rows) if rows is None else rows)[0].tolist()]

    def digest(self) -> str:
        return self.series.digest(())


def _filled(cells: np.ndarray, season: int) -> np.ndarray:
    """The series with each gap filled from a season before, else from the step before it, else with 0."""
    whole = cells.copy()
    for begin in range(season, len(whole), season):
        part = whole[begin : begin + season]
        np.copyto(part, whole[begin - season : begin][: len(part)], where=np.isnan(part))
    there = ~np.isnan(whole)
    steps = np.arange(len(whole)).reshape(-1, *[1] * (whole.ndim - 1))
    last = np.maximum.accumulate(np.where(there, steps, -1), 0)
    return np.where(last >= 0, np.take_along_axis(whole, np.maximum(last, 0), 0), 0.0)


class WindowBatches:
    """Batches of training windows: each epoch takes one window in `stride`, with another offset.

        windows of an epoch = those n with (n - offset) % stride == 0      offset: drawn by (seed, epoch // stride),
                                                                            one further with each epoch

    After `stride` epochs every window was seen once; all of it is a pure function of (seed, epoch).

    Args:
        steps: (windows,) real steps of each window, all places together.
        stride: steps from one origin to the next.
    """

    def __init__(
        self,
        steps: np.ndarray,
        *,
        stride: int,
        batch_steps: int | None,
        batch_rows: int | None,
        seed: int,
    ):
        self.steps, self.stride, self.seed = steps, min(stride, len(steps)), seed
        self.limits = {"batch_steps": batch_steps, "batch_rows": batch_rows}

    def epoch(self, number: int) -> list[np.ndarray]:
        cycle, turn = divmod(number, self.stride)
        offset = (
            int(np.random.PCG64(np.random.SeedSequence([self.seed, cycle, 2])).random_raw()) % self.stride + turn
        ) % self.stride
        batches = Batches(self.steps[offset :: self.stride], **self.limits, seed=self.seed).epoch(number)
        return [np.sort(batch) * self.stride + offset for batch in batches]


def borders(
    series: Gathered, columns: Sequence[str], split: Mapping[str, str | int | None], *, horizon: int
) -> tuple[dict[str, Border], list[str]]:
    """Train, valid and, where asked for, test, one after the other in each series; and notes on what was chosen.

    Args:
        series: whole.
        columns: what is predicted: its steps are divided.
        split: where `valid` and `test` begin: a date, or a number of steps at the end of each series.
        horizon: steps of a forecast; a default validation split has at least as many.

    Errors:
        DataError: a date where the data have no dates, or outside all of them; or splits in the wrong order.
    """
    ends = np.array(list(map(len, series.cells[columns[0]])), dtype=np.int64)
    notes = []
    begins: dict[str, np.ndarray] = {}
    end = ends
    for name in ("test", "valid"):
        begin = split.get(name)
        if begin is None and name == "test":
            continue
        if begin is None:
            size = np.maximum(end // VALID_SHARE, horizon)
            begins[name] = end - size
            notes.append(
                "no valid split given: the last tenth of each series before "
                f"{'test' if 'test' in begins else 'its end'}, at least {horizon} steps, is kept for validation"
            )
        elif isinstance(begin, int):
            begins[name] = end - begin
        elif series.times is None or series.times[0].dtype.kind != "M":
            raise DataError(
                f"data.split.{name}: {begin} is a date, and nothing tells the dates of these series; name their column"
                " in data.time, or give so many steps"
            )
        else:
            try:
                date = moment(begin)
            except DataError as why:
                raise DataError(f"data.split.{name}: {why}, or so many steps") from None
            begins[name] = np.array([np.searchsorted(times, date) for times in series.times], dtype=np.int64)
            late = (begins[name] >= ends).all()
            if late or (begins[name] <= 0).all():
                outside = "comes after" if late else "leaves no step before it, since it comes before"
                first, last = min(times[0] for times in series.times), max(times[-1] for times in series.times)
                raise DataError(
                    f"data.split.{name}: {begin} {outside} all steps, which go from {shown(first)} to {shown(last)};"
                    " name a date among them"
                )
        end = begins[name]
    splits = {
        "train": Border(np.zeros_like(ends), begins["valid"]),
        "valid": Border(begins["valid"], begins.get("test", ends)),
    }
    if "test" in begins:
        splits["test"] = Border(begins["test"], ends)
        if (begins["test"] < begins["valid"]).any():
            raise DataError(
                f"data.split: test begins at {split['test']} before valid at {split['valid']}; valid comes first in"
                " time"
            )
    return splits, notes


def check_training(windows: Windows) -> None:
    """Errors:
    DataError: a series is too short for one window in the training part.
    """
    if len(windows.empty):
        first = int(windows.empty[0])
        steps = max(0, int(windows.border.ends[first]))
        target = next(windows.columns[place] for place, reach in windows.reach.items() if reach == "target")
        most = steps - windows.horizon
        way = (
            f"set a lookback of at most {most}, or a smaller horizon"
            if most > 0
            else "set a smaller horizon, or let valid begin later"
        )
        raise DataError(
            f"{windows.title(first)}: has {len(windows.series.cells[target][first])} steps, {steps} of them for"
            f" training, and lookback {windows.lookback} + horizon {windows.horizon} need"
            f" {windows.lookback + windows.horizon} ({len(windows.empty):,} series like this); {way}, or leave the"
            " series out"
        )


def to_predict(
    series: Gathered,
    reach: Mapping[str, Reach],
    columns: Mapping[str, str],
    *,
    of: str,
    lookback: int,
    horizon: int,
    season: int,
    where: str,
) -> Windows:
    """One window for each series, whose forecast begins after its last known step.

        origin = 1 + the last step at which some channel of what is predicted has a number

    Rows at the end where that is empty are forecast, whether anything is known ahead or not, and so are missing numbers
    at the end of a list. The table has `horizon` further steps of a series that is known ahead; dates are continued. A
    note tells where the empty rows are more or fewer than the steps of the forecast.

    Errors:
        DataError: a series is shorter than `lookback`, or a value known ahead is missing, with the first date.
    """
    origins = []
    ahead = [place for place, steps in reach.items() if steps == "ahead"]
    numbers = [place for place in ahead if np.asarray(series.cells[columns[place]][0]).dtype.kind == "f"]
    cells = {column: list(values) for column, values in series.cells.items()}
    for number, values in enumerate(series.cells[columns[of]]):
        known = ~np.isnan(values) if values.ndim == 1 else ~np.isnan(values).all(1)
        origin = int(np.flatnonzero(known)[-1]) + 1 if known.any() else 0
        title = f"{series.name} series {series.names[number]}"
        if origin < lookback:
            raise DataError(
                f"{title}: has {origin} steps, and the forecast looks back at {lookback}; give a longer past"
            )
        origins.append(origin)
        for place in ahead:
            column = columns[place]
            cell = cells[column][number]
            if place not in numbers:
                if series.frequency is None:
                    raise DataError(
                        f"{title}: has one step, and nothing tells how far the next one is; give at least two"
                    )
                there = cell[:origin]
                cells[column][number] = np.concatenate(
                    [there, series.frequency.after(there, horizon).astype(there.dtype)]
                )
                continue
            missing = np.isnan(cell[origin : origin + horizon])
            missing = missing if missing.ndim == 1 else missing.any(1)
            if missing.any() or len(cell) < origin + horizon:
                at = origin + int(missing.argmax()) if missing.any() else len(cell)
                raise DataError(
                    f"{title}: {place} is known ahead and missing at {series.shown(number, at)}; give it for {horizon}"
                    f" steps from {series.shown(number, origin)}"
                )
    begins = np.array(origins, dtype=np.int64)
    empty = np.array(list(map(len, series.cells[columns[of]])), dtype=np.int64) - begins
    extended = Gathered(series.name, series.names, cells, series.times, series.frequency, series.digest(()))
    inputs = {place: steps for place, steps in reach.items() if steps != "target"}
    border, size = Border(begins, begins + horizon), {"lookback": lookback, "horizon": horizon, "season": season}
    windows = Windows(extended, inputs, columns, border, **size, where=where)
    windows.notes += _unequal(windows, empty)
    return windows


def _unequal(windows: Windows, empty: np.ndarray) -> Iterator[str]:
    """A note where more rows at the end of series are empty than are forecast, and one where fewer are."""
    kind = "rows" if windows.series.times is not None else "numbers"
    for here, what in (
        (empty > windows.horizon, "only the first {0}, the horizon, are forecast"),
        ((empty > 0) & (empty < windows.horizon), "{0} steps, the horizon, are forecast all the same"),
    ):
        if here.any():
            first = int(here.argmax())
            others = f" ({int(here.sum()):,} series like this)" if here.sum() > 1 else ""
            yield (
                f"{windows.title(first)}: {empty[first]:,} {kind} at the end are empty, and"
                f" {what.format(windows.horizon)}{others}"
            )
