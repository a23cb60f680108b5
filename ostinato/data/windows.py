"""Windows: a series and the step at which a forecast begins, what is read before it and what follows; never copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from ostinato.data.batches import Batches
from ostinato.data.cache import Dataset
from ostinato.data.contract import Rows
from ostinato.data.series import Gathered, seasonal_error, shown
from ostinato.errors import DataError
from ostinato.metrics.contract import Order
from ostinato.raw.times import Times, moment
from ostinato.steps import Steps

Reach = Literal["past", "ahead", "target", "whole"]
"""The steps of a column in a window: before the origin, before and after, after; or the one value of the series."""
VALID_SHARE = 10
"""One step in ten is kept for validation by default."""


class Border(NamedTuple):
    """The steps of each series in which forecasts may lie: (series,) first and one past the last."""

    begins: np.ndarray
    ends: np.ndarray


@dataclass(eq=False)
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
        notes: what was done that the user did not ask for.
    """

    series: Gathered
    reach: Mapping[str, Reach]
    columns: Mapping[str, str]
    border: Border
    _: KW_ONLY
    lookback: int
    horizon: int
    season: int
    where: str
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.first = np.maximum(self.border.begins, self.lookback)
        counts = np.maximum(self.border.ends - self.horizon - self.first + 1, 0)
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

    def at(self, rows: Rows = None) -> tuple[np.ndarray, np.ndarray]:
        """(series, origin) of these windows; None: of all."""
        rows = np.arange(self.num_rows) if rows is None else np.asarray(rows, dtype=np.int64)
        series = np.searchsorted(self.starts, rows, side="right") - 1
        return series, self.first[series] + rows - self.starts[series]

    def _pairs(self, rows: Rows) -> list[list[int]]:
        return np.transpose(self.at(rows)).tolist()

    def _ends(self, place: str, origins: Any) -> tuple[Any, Any]:
        """The first step of windows at a place, and the step after the last."""
        begins = origins if self.reach[place] == "target" else origins - self.lookback
        return begins, begins + self.length(place)

    def steps(self, dataset: Dataset, place: str, rows: Rows) -> Steps:
        """The steps of these windows at a place, cut from the encoded series."""
        series, origins = self.at(rows)
        ends = () if self.reach[place] == "whole" else self._ends(place, origins)
        return dataset.steps(place, series, *ends)

    def with_target(self) -> np.ndarray:
        """The windows whose target has a number for some output."""
        keep = np.zeros(self.num_rows, dtype=bool)
        for place in [place for place, reach in self.reach.items() if reach == "target"]:
            for series, cells in enumerate(self.series.cells[self.columns[place]]):
                first, last = self.starts[series : series + 2]
                known = np.concatenate([[0], np.cumsum(_known(cells))])
                origins = self.first[series] + np.arange(last - first)
                keep[first:last] |= known[origins + self.horizon] > known[origins]
        return np.flatnonzero(keep)

    def place(self, row: int) -> str:
        """The place of a window for messages, such as `load.csv series a, from 2014-01-01 13:00`."""
        ((series, origin),) = self._pairs([row])
        return f"{self.series.title(series)}, from {self.series.shown(series, origin)}"

    def raw(self, rows: Rows = None) -> Iterator[dict[str, Any]]:
        """The raw values of windows by place; views of the series."""
        for series, origin in self._pairs(rows):
            yield {place: self._cut(place, series, origin) for place in self.reach}

    def _cut(self, place: str, series: int, origin: int) -> Any:
        cell = self.series.cells[self.columns[place]][series]
        return cell if self.reach[place] == "whole" else cell[slice(*self._ends(place, origin))]

    def scales(self, place: str, rows: Rows = None) -> list[Any] | None:
        """For each window the error of the seasonal naive forecast before the split begins; NaN where it is 0.

        None where it is 0 or unknown in every series.
        """
        cells, numbers = self.series.cells[self.columns[place]], self.at(rows)[0].tolist()
        own: dict[int, Any] = {}
        for series in set(numbers):
            scale = seasonal_error(cells[series][: max(int(self.first[series]), self.season + 1)], self.season)
            own[series] = np.where(scale > 0, scale, np.nan)
        return None if np.isnan([*own.values()]).all() else [own[series] for series in numbers]

    def steps_ahead(self, row: int) -> tuple[str, Times | None]:
        """The name of a window's series, and the times of the steps that are forecast, where the data have times."""
        ((series, origin),) = self._pairs([row])
        return self.series.names[series], self.series.span(series, origin, self.horizon)

    def order(self, rows: Rows) -> Order:
        """Which windows are neighbors: those of one series; as many as the horizon has steps overlap."""
        times = None if self.series.times is None else self._times(rows).tolist()
        return Order(self.at(rows)[0].tolist(), self.horizon, "window", "series", times)

    def _times(self, rows: Rows) -> np.ndarray:
        """When each forecast begins, as a number that compares between series; its step where data have no times."""
        series, origins = self.at(rows)
        if self.series.times is None:
            return origins
        begins = np.cumsum([0, *map(len, self.series.times)])[series]
        return np.concatenate(self.series.times)[begins + origins].astype(np.int64)

    def parts(self, count: int) -> np.ndarray:
        """(windows,) the part of each window: those of a series are cut into `count` equal parts in time order."""
        counts = np.diff(self.starts)
        within = np.arange(self.num_rows) - np.repeat(self.starts[:-1], counts)
        return within * count // np.repeat(counts, counts)

    def extent(self, rows: Rows) -> tuple[str, str]:
        """The first and the last origin of these windows over all series, for messages."""
        times, pairs = self._times(rows), self._pairs(rows)
        return self.series.shown(*pairs[times.argmin()]), self.series.shown(*pairs[times.argmax()])

    def naive(self, place: str, rows: Rows, season: int) -> list[np.ndarray]:
        """Seasonal naive forecasts: the last `season` steps repeat; gaps are filled from a season before."""
        cells = self.series.cells[self.columns[place]]
        back = season - np.arange(self.horizon) % season
        forecasts, filled = [], {}
        for series, origin in self._pairs(rows):
            if series not in filled:
                filled = {series: _filled(cells[series], season)}
            forecasts.append(filled[series][np.maximum(origin - back, 0)])
        return forecasts

    def column(self, name: str, rows: Rows = None) -> list[Any]:
        """The value of a column for the series of each window."""
        return [self.series.cells[name][series] for series in self.at(rows)[0].tolist()]

    def digest(self) -> str:
        return self.series.digest(())


def _known(cells: np.ndarray) -> np.ndarray:
    """(T,) which steps of a series have a number in some channel."""
    return ~np.isnan(np.atleast_2d(cells.T)).all(0)


def _known_end(cells: np.ndarray) -> int:
    """One past the last step with a number; all steps where none has."""
    known = np.flatnonzero(_known(cells))
    return int(known[-1]) + 1 if len(known) else len(cells)


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
        drawn = int(np.random.PCG64(np.random.SeedSequence([self.seed, cycle, 2])).random_raw())
        offset = (drawn + turn) % self.stride
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
    lengths = np.array(list(map(len, series.cells[columns[0]])), dtype=np.int64)
    end = ends = np.max([list(map(_known_end, series.cells[column])) for column in columns], 0)
    begins, notes = {}, []
    if (late := lengths - ends).any():
        steps = f"{late.max():,} steps" if len(ends) == 1 else f"up to {late.max():,} steps of each series"
        notes.append(f"the last {steps} have no target: splits are counted back from the last step that has one")
    for name in ("test", "valid"):
        begin = split.get(name)
        if isinstance(begin, int):
            begins[name] = end = end - begin
        elif begin is not None:
            begins[name] = end = _steps_at(series, begin, f"data.split.{name}", ends)
        elif name == "valid":
            notes.append(
                "no valid split given: the last tenth of each series before "
                f"{'test' if begins else 'its end'}, at least {horizon} steps, is kept for validation"
            )
            begins[name] = end - np.maximum(end // VALID_SHARE, horizon)
    if "test" in begins and (begins["test"] < begins["valid"]).any():
        raise DataError(
            f"data.split: test begins at {split['test']} before valid at {split['valid']}; valid comes first in time"
        )
    edges = pairwise([np.zeros_like(ends), *reversed(begins.values()), ends])
    return {name: Border(*edge) for name, edge in zip(("train", *reversed(begins)), edges)}, notes


def _steps_at(series: Gathered, date: str, title: str, ends: np.ndarray) -> np.ndarray:
    """(series,) the first step of each that is not before a date."""
    if series.times is None or series.times[0].dtype.kind != "M":
        raise DataError(
            f"{title}: {date} is a date, and nothing tells the dates of these series; name their column in data.time,"
            " or give so many steps"
        )
    try:
        steps = np.array([np.searchsorted(times, moment(date)) for times in series.times], dtype=np.int64)
    except DataError as why:
        raise DataError(f"{title}: {why}, or so many steps") from None
    late = (steps >= ends).all()
    if late or (steps <= 0).all():
        outside = "comes after" if late else "leaves no step before it, since it comes before"
        first, last = min(times[0] for times in series.times), max(times[-1] for times in series.times)
        raise DataError(
            f"{title}: {date} {outside} all steps, which go from {shown(first)} to {shown(last)};"
            " name a date among them"
        )
    return steps


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
            f"{windows.series.title(first)}: has {len(windows.series.cells[target][first])} steps, {steps} of them for"
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
    ahead = [place for place, steps in reach.items() if steps == "ahead"]
    cells = {column: list(values) for column, values in series.cells.items()}
    inputs = {place: steps for place, steps in reach.items() if steps != "target"}
    begins = np.array([_last_known(values) + 1 for values in cells[columns[of]]], dtype=np.int64)
    empty = np.array(list(map(len, cells[columns[of]])), dtype=np.int64) - begins
    for number, origin in enumerate(begins.tolist()):
        if origin < lookback:
            raise DataError(
                f"{series.title(number)}: has {origin} steps, and the forecast looks back at {lookback}; give a longer"
                " past"
            )
        for place in ahead:
            of_place = cells[columns[place]]
            of_place[number] = _through_horizon(series, number, place, of_place[number], origin, horizon)
    extended = Gathered(series.name, series.names, cells, series.times, series.frequency, series.digest(()))
    size = {"lookback": lookback, "horizon": horizon, "season": season}
    windows = Windows(extended, inputs, columns, Border(begins, begins + horizon), **size, where=where)
    windows.notes += [*series.notes, *_unequal(windows, empty)]
    return windows


def _last_known(cells: np.ndarray) -> int:
    """The last step at which some channel has a number; -1 where none has."""
    return int(np.flatnonzero(_known(cells)).max(initial=-1))


def _through_horizon(series: Gathered, number: int, place: str, cell: Any, origin: int, horizon: int) -> Any:
    """What is known ahead of a series through the last step of its forecast: dates are continued, numbers are there."""
    if np.asarray(cell).dtype.kind != "f":
        if series.frequency is None:
            raise DataError(
                f"{series.title(number)}: has one step, and nothing tells how far the next one is; give at least two"
            )
        there = cell[:origin]
        return np.concatenate([there, series.frequency.after(there, horizon).astype(there.dtype)])
    missing = np.isnan(np.atleast_2d(cell[origin : origin + horizon].T)).any(0)
    if missing.any() or len(missing) < horizon:
        at = origin + int(missing.argmax() if missing.any() else len(missing))
        raise DataError(
            f"{series.title(number)}: {place} is known ahead and missing at {series.shown(number, at)}; give it for"
            f" {horizon} steps from {series.shown(number, origin)}"
        )
    return cell


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
                f"{windows.series.title(first)}: {empty[first]:,} {kind} at the end are empty, and"
                f" {what.format(windows.horizon)}{others}"
            )
