"""Series over time, one row for each: from a long table with a row per step, or from a table of whole series."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from ostinato.data.contract import Block, Source
from ostinato.data.read import Table
from ostinato.errors import DataError
from ostinato.raw.numbers import as_array, as_number
from ostinato.raw.times import TimeReader, Times, why_no_time

UNITS = {"day": 86_400, "hour": 3600, "minute": 60, "second": 1}
SEASONS = {"month": {1: 12, 3: 4}, "day": {1: 7, 7: 52}}
BLOCK_SERIES = 64
MOST_MISSING = 0.05
"""The share of a series' times that may be missing from a table, such as the days that an instrument was off: with more
it is rather another frequency, or several series."""


@dataclass(frozen=True)
class Frequency:
    """How far one step is from the next.

    Args:
        unit: second, minute, hour, day or month; step where time is counted.
        count: so many of them.
    """

    unit: str
    count: int

    def __str__(self) -> str:
        return self.unit if self.count == 1 else f"{self.count} {self.unit}s"

    @staticmethod
    def read(text: str) -> Frequency:
        """What `str` wrote."""
        count, _, unit = text.rpartition(" ")
        return Frequency(unit.removesuffix("s"), int(count or 1))

    @property
    def season(self) -> int | None:
        """Steps of the usual season: a day of hours or minutes, a week of days, a year of weeks, months or quarters."""
        if self.unit in SEASONS:
            return SEASONS[self.unit].get(self.count)
        steps, rest = divmod(UNITS["day"], self.count * UNITS.get(self.unit, UNITS["day"]))
        return steps if steps > 1 and not rest else None

    @property
    def size(self) -> int:
        """How far one step is from the next as a number: months, seconds, or steps that are counted."""
        return self.count * UNITS.get(self.unit, 1)

    def after(self, times: Times, steps: int) -> Times:
        """The times of so many steps after these; where all are last days of months, so are the next."""
        ahead, last = np.arange(1, steps + 1) * self.size, times[-1]
        if self.unit == "step":
            return int(last) + ahead
        if self.unit == "month":
            month = last.astype("datetime64[M]") + int(_are_last_days(times))
            return (month + ahead).astype("datetime64[s]") + (last - month.astype("datetime64[s]"))
        return last + ahead.astype("timedelta64[s]")

    def fits(self, times: Times) -> bool:
        """Whether each of these is one step after the one before. Few times fit several: 28 days and a month."""
        if (self.unit == "step") == (times.dtype.kind == "M"):
            return False
        steps = _months_apart(times) if self.unit == "month" else np.diff(times).astype(np.int64)
        return steps is not None and bool((steps == self.size).all())


@dataclass(eq=False)
class Gathered(Source):
    """Series as rows: of each column an array over time, or one value for the whole series.

    Args:
        name: of what they came from.
        names: of each series, by position.
        cells: for each column an array (T,) or (T, C) for each series, NaN where a number is missing; or raw values.
        times: of each series' steps, or None where nothing tells them.
        frequency: what all of them share, or None where nothing tells it.
        content: a hash of all of it.
        notes: what was done that the user did not ask for.
        form: how the times are written, of `raw.times.FORMS`; None where nothing tells them.
    """

    name: str
    names: Sequence[str]
    cells: dict[str, list[Any]]
    times: Sequence[Times] | None
    frequency: Frequency | None
    content: str
    notes: list[str] = field(default_factory=list)
    form: str | None = None

    def __post_init__(self) -> None:
        self.columns = tuple(self.cells)

    def __len__(self) -> int:
        return len(self.names)

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        for start in range(0, len(self), BLOCK_SERIES):
            part = slice(start, start + BLOCK_SERIES)
            cells = {column: self.cells[column][part] for column in columns}
            yield Block(self.name, "series", self.names[part], cells, False)

    def digest(self, columns: Sequence[str]) -> str:
        return self.content

    def times_digest(self) -> str | None:
        """A hash of the series and their times, whatever columns are read; None where nothing tells times."""
        if self.times is None:
            return None
        content = hashlib.sha256(json.dumps(list(self.names)).encode())
        for own in self.times:
            content.update(f"{own.dtype}{len(own)}".encode() + np.ascontiguousarray(own).tobytes())
        return content.hexdigest()

    def has_frequency(self, trained: Frequency | None) -> bool:
        """Whether its steps are as far apart as those of training; where they fit several frequencies, it is this."""
        if self.times is None or trained is None:
            return True
        if all(map(trained.fits, self.times)):
            self.frequency = trained
        return self.frequency in (None, trained)

    def title(self, series: int) -> str:
        """A series for messages."""
        return f"{self.name} series {self.names[series]}"

    def shown(self, series: int, step: int) -> str:
        """A step of a series for messages, also after its last: by its time, or counted from 1."""
        times = self.span(series, step, 1)
        return f"step {step + 1}" if times is None else shown(times[0])

    def span(self, series: int, begin: int, count: int) -> Times | None:
        """The times of so many steps of a series, also after its last; None where nothing tells them."""
        if self.times is None:
            return None
        times, end = self.times[series], begin + count
        if end > len(times):
            if self.frequency is None:
                return None
            times = np.concatenate([times, self.frequency.after(times, end - len(times)).astype(times.dtype)])
        return times[begin:end]


def shown(time: Any) -> str:
    """A time without what is nothing: seconds of 0, then midnight."""
    return str(time).replace("T", " ").removesuffix(":00").removesuffix(" 00:00")


def seasonal_error(past: Any, season: int) -> np.ndarray:
    """The error of the seasonal naive forecast, which scales MASE, per channel; NaN where it is not known.

        error = mean over t of |y[t] - y[t - season]|

    Shapes:
        past (T,) or (T, C); result () or (C,)

    Args:
        past: the series before the forecast, NaN where a value is missing.
        season: steps of a season; 1 where there is none.
    """
    values = np.asarray(past, dtype=np.float64)
    differences = abs(values[season:] - values[:-season])
    known = np.isfinite(differences).sum(0)
    return np.where(known > 0, np.nansum(differences, 0) / np.maximum(known, 1), np.nan)


def long_table(
    table: Table,
    *,
    time: str,
    series: str | None,
    numbers: Mapping[str, Sequence[str]],
    constants: Sequence[str],
    times: Sequence[str] = (),
    several: Callable[[], str] = lambda: "",
    form: str | None = None,
) -> Gathered:
    """The series of a table with a row per step; a few times that no row has become steps without numbers, with a note.

    Args:
        table: read with all these columns.
        time: the column of dates, or of whole numbers.
        series: the column that names the series a row belongs to; None: there is one.
        numbers: column of the result -> the columns of the table that are its channels.
        constants: columns with one value for the whole series.
        times: columns of the result that hold the times themselves.
        several: advice where the rows of one series seem to be of several, for messages.
        form: how times are written where that may be meant in several ways.

    Errors:
        DataError: a time cannot be read, is out of order or occurs twice, or more than a few are missing between two; a
            number cannot be read or is infinite; a constant changes within a series; or series differ in frequency.
    """
    wanted = list(dict.fromkeys(chain.from_iterable(numbers.values())))
    names: dict[str, int] = {}
    groups: list[int] = []
    stamps, arrays = TimeReader(form), []
    kept: dict[str, dict[int, Any]] = {column: {} for column in constants}
    for block in table.blocks():
        own = block.columns[series] if series is not None else [1] * len(block)
        empty = next((at for at, name in enumerate(own) if name is None or name == ""), None)
        if empty is not None:
            raise DataError(
                f"{block.place(empty)}: '{series}' is empty, and it names the series of the row; fill it in"
            )
        here = [names.setdefault(str(name), len(names)) for name in own]
        groups += here
        if (wrong := stamps.add(block.columns[time])) is not None:
            why = why_no_time(block.columns[time][wrong])
            raise DataError(f"{block.place(wrong)}, column '{time}': {why}")
        arrays.append(
            np.array([_column(block, column) for column in wanted], dtype=np.float64).reshape(len(wanted), len(block)).T
        )
        for column, values in kept.items():
            for at, (group, cell) in enumerate(zip(here, block.columns[column])):
                if (first := values.setdefault(group, cell)) != cell:
                    raise DataError(
                        f"{block.place(at)}: '{column}' is {str(cell)[:40]!r} and was {str(first)[:40]!r} in this "
                        "series before; an input that is no series has one value for a whole series; make it a "
                        f"series, or mend the row{several()}"
                    )
    if not names:
        raise DataError(f"{table.where}: has no rows; give at least one series")
    rows = np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))[:-1])
    try:
        every, array = stamps.times(), np.concatenate(arrays)
    except DataError as why:
        raise DataError(f"{table.where}, column '{time}': {why}") from None
    whole, parts = [every[own] for own in rows], [array[own] for own in rows]
    notes = _fill_gaps(list(names), whole, parts, series is not None)
    frequency = _frequency(table, time, list(names), whole, rows, series is not None, several)
    columns: dict[str, list[Any]] = {column: list(values.values()) for column, values in kept.items()}
    for column, channels in numbers.items():
        index = list(map(wanted.index, channels))
        columns[column] = [part[:, index[0]] if len(index) == 1 else part[:, index] for part in parts]
    columns |= dict.fromkeys(times, whole)
    content = [table.digest(), time, series, {k: list(v) for k, v in numbers.items()}, list(constants), list(times)]
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return Gathered(next(table.blocks()).source, list(names), columns, whole, frequency, digest, notes, stamps.form)


def _fill_gaps(names: Sequence[str], times: list[Times], arrays: list[np.ndarray], named: bool) -> list[str]:
    """Adds the steps that are missing within each series, without numbers; notes on them."""
    notes = []
    for number, (name, known) in enumerate(zip(names, times)):
        every = _without_gaps(known)
        if every is None:
            continue
        first = every[~np.isin(every, known)][0]
        filled = np.full((len(every), arrays[number].shape[1]), np.nan)
        filled[np.searchsorted(every, known)] = arrays[number]
        of = f" of series '{name}'" if named else ""
        missing = f"{len(every) - len(known):,} of {len(every):,} times{of} have no row (the first: {shown(first)})"
        notes.append(f"{missing}; they are steps without numbers")
        times[number], arrays[number] = every, filled
    return notes


def _without_gaps(times: Times) -> Times | None:
    """These times with those that are missing between them; None where none or more than a few are, or where some are
    not whole steps apart."""
    frequency, wrong = _own_frequency(times)
    if frequency is None or wrong is None:
        return None
    apart = _months_apart(times) if frequency.unit == "month" else np.diff(times).astype(np.int64)
    steps, rest = divmod(int(apart.sum()), frequency.size)
    if rest or (steps + 1) * (1 - MOST_MISSING) > len(times):
        return None
    # From the first time on, last days of months where all are: what `after` takes for the last of its times.
    every = np.concatenate([times[:1], frequency.after(np.roll(times, -1), steps).astype(times.dtype)])
    return every if np.isin(times, every).all() else None


def whole_series(
    table: Table,
    columns: Mapping[str, Iterator[Any]],
    *,
    series: str | None,
    numbers: Sequence[str],
    ahead: Sequence[str] = (),
) -> Gathered:
    """The series of a table with a row for each: its lists of numbers as arrays.

    Args:
        table: the rows.
        columns: column -> its raw values, row after row.
        series: the column that names them; None: they are counted.
        numbers: which of the columns hold a list of numbers.
        ahead: which of these are known ahead, and may continue after the others.

    Errors:
        DataError: a row lacks a series, has one that cannot be read or is infinite, or its series are not equally long.
    """
    cells = {
        column: [_whole(table, column, row, raw) for row, raw in enumerate(values)]
        if column in numbers
        else list(values)
        for column, values in columns.items()
    }
    count = len(next(iter(cells.values()), []))
    for row in range(count):
        _demand_equal_steps(table, row, {column: len(cells[column][row]) for column in numbers}, ahead)
    named = table.column(series) if series is not None else range(1, count + 1)
    first = next(table.blocks(), None)
    if first is None:
        raise DataError(f"{table.where}: has no rows; give at least one series")
    return Gathered(first.source, list(map(str, named)), cells, None, None, table.digest())


def _whole(table: Table, column: str, row: int, raw: Any) -> np.ndarray:
    """The series of one row as an array."""
    if raw is None:
        raise DataError(f"{table.place(row)}: '{column}' is empty, and a series is needed; leave that row out")
    try:
        array = as_array(raw)
    except DataError as why:
        raise DataError(f"{table.place(row)}, column '{column}': {why}") from None
    infinite = np.argwhere(np.isinf(array))
    if len(infinite):
        problem = (
            f"the number of step {infinite[0, 0] + 1} is infinite; mend it, or leave it out (null) where it is missing"
        )
        raise DataError(f"{table.place(row)}, column '{column}': {problem}")
    return array


def _demand_equal_steps(table: Table, row: int, counts: Mapping[str, int], ahead: Sequence[str]) -> None:
    """Step n of each series of a row is the same time."""
    first, steps = next(((column, count) for column, count in counts.items() if column not in ahead), ("", 0))
    for column, count in counts.items():
        problem = f"{count} steps, and '{first}' {steps}"
        if column not in ahead and count != steps:
            raise DataError(
                f"{table.place(row)}: '{column}' has {problem}; give both as many, null where a number is missing"
            )
        if count < steps:
            raise DataError(f"{table.place(row)}: '{column}' is known ahead and has {problem}; give at least as many")


def _column(block: Block, column: str) -> list[float]:
    values = []
    for at, cell in enumerate(block.columns[column]):
        try:
            number = as_number(cell if block.numerals is None else block.numerals.plain(cell))
        except DataError as why:
            raise DataError(f"{block.place(at)}, column '{column}': {why}") from None
        values.append(np.nan if number is None else number)
    return values


def _frequency(
    table: Table,
    time: str,
    names: Sequence[str],
    times_by_series: Sequence[Times],
    lines: Sequence[np.ndarray],
    named: bool,
    several: Callable[[], str],
) -> Frequency | None:
    """The frequency of all series: the commonest distance in the longest; an error names the first that differs."""
    frequencies: list[Frequency | None] = []
    for name, times, rows in zip(names, times_by_series, lines):
        own, wrong = _own_frequency(times)
        frequencies.append(own)
        if wrong is None:
            continue
        if times[wrong] <= times[wrong - 1]:
            problem = f"{_disorder(times, wrong, time)}{several()}"
        else:
            problem = (
                f"comes after {shown(times[wrong - 1])}, and one step is one {own}; add a row for each missing time, "
                "its cells empty, or leave out what is between"
            )
        of = f" of series '{name}'" if named else ""
        raise DataError(f"{table.place(int(rows[wrong]))}: {shown(times[wrong])}{of} {problem}")
    longest = int(np.argmax(list(map(len, times_by_series))))
    common = frequencies[longest]
    for name, times, rows, own in zip(names, times_by_series, lines, frequencies):
        if own is not None and common is not None and own != common and not common.fits(times):
            raise DataError(
                f"{table.place(int(rows[0]))}: series '{name}' has one step each {own}, and series '{names[longest]}'"
                f" each {common}; train them apart"
            )
    return common


def disorder(times: Times, time: str) -> tuple[int, str] | None:
    """The first of some times that does not come after the one before, and what is to be done; None where all do.

    Args:
        times: of one series.
        time: their column.
    """
    own, wrong = _own_frequency(times)
    return (
        None if own is not None or wrong is None else (wrong, f"{shown(times[wrong])} {_disorder(times, wrong, time)}")
    )


def _disorder(times: Times, wrong: int, time: str) -> str:
    """What is to be done where a time does not come after the one before."""
    if times[wrong] == times[wrong - 1]:
        return f"occurs twice; keep one row for each time{_clocks(times, wrong)}"
    return f"comes after {shown(times[wrong - 1])}; sort the rows by '{time}'{_clocks(times, wrong)}"


def _clocks(times: Times, wrong: int) -> str:
    """Advice where clocks may have gone back by an hour or less between this time and the one before."""
    if times.dtype.kind != "M" or times[wrong] == times[wrong].astype("datetime64[D]"):
        return ""
    back = int((times[wrong - 1] - times[wrong]).astype(np.int64)) <= UNITS["hour"]
    return f"; where clocks went back, write times with their zone: {shown(times[wrong])}+01:00" if back else ""


def frequency_of(times: Times) -> Frequency | None:
    """The commonest distance of rising times; None where they do not rise, or are fewer than two."""
    return _own_frequency(times)[0]


def _own_frequency(times: Times) -> tuple[Frequency | None, int | None]:
    """The frequency of one series, None where it does not rise or has one time; and the first of its times that is not
    one step after the time before."""
    apart = np.diff(times).astype(np.int64)
    if (apart <= 0).any():
        return None, int((apart <= 0).argmax()) + 1
    if not len(apart):
        return None, None
    units, steps = {"step": 1}, None
    if times.dtype.kind == "M":
        steps = _months_apart(times)
        units = UNITS if steps is None else {"month": 1}
    steps = apart if steps is None else steps
    sizes, counts = np.unique(steps, return_counts=True)
    common = int(sizes[counts.argmax()])
    size, unit = next((size, unit) for unit, size in units.items() if common % size == 0)
    wrong = np.flatnonzero(steps != common)
    return Frequency(unit, common // size), int(wrong[0]) + 1 if len(wrong) else None


def _months_apart(times: Times) -> np.ndarray | None:
    """Months from each time to the next, where all are at one day and hour of the month, or its last day; else None."""
    months = times.astype("datetime64[M]")
    within = times - months.astype("datetime64[s]")
    same = bool((within == within[:1]).all())
    return np.diff(months.astype(np.int64)) if same or _are_last_days(times) else None


def _are_last_days(times: Times) -> bool:
    """Whether all are the last day of their month, at one hour."""
    left = (times.astype("datetime64[M]") + 1).astype("datetime64[s]") - times
    return bool((left == left[:1]).all()) and bool((left <= np.timedelta64(86_400, "s")).all())
