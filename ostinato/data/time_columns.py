"""Which column of a table holds the time of each row, and which one tells series apart: what an inferred forecast
begins with."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ostinato.data.series import Frequency, frequency_of
from ostinato.raw.times import times_of

STEPS_A_SERIES = 3
"""The fewest rows of a series, on average: any order of fewer seems to rise."""


@dataclass(frozen=True)
class TimeColumns:
    """How the rows of a table follow one another.

    Args:
        time: the column of times.
        series: the column with the series of each row; None where all are one.
        frequency: how far one step is from the next.
        dates: whether times are dates, not whole numbers.
    """

    time: str
    series: str | None
    frequency: Frequency
    dates: bool

    def __str__(self) -> str:
        within = "" if self.series is None else f" within each {self.series}"
        return (
            f"the time is {self.time}, {'one ' * (self.frequency.count == 1)}{self.frequency} from row to row{within}"
        )


def time_columns_of(cells: Mapping[str, Sequence[Any]], taken: Collection[str] = ()) -> TimeColumns | None:
    """The first column whose times rise from row to row, or within the rows of each value of another column.

    Dates go before whole numbers, and one series before several.

    Args:
        cells: of some rows, by column.
        taken: columns that are something else.
    """
    free = {name: column for name, column in cells.items() if name not in taken}
    read = {name: times_of(column) for name, column in free.items() if len(column) >= STEPS_A_SERIES}
    timed = {name: times for name, times in read.items() if times is not None}
    series = _series_columns(free) if timed else {}
    for dates in (True, False):
        candidates = {name: times for name, times in timed.items() if (times.dtype.kind == "M") == dates}
        for name, times in candidates.items():
            if (frequency := frequency_of(times)) is not None:
                return TimeColumns(name, None, frequency, dates)
        for name, times in candidates.items():
            counted = times.astype(np.int64).tolist()
            for column, numbers in series.items():
                if column != name and _rise(counted, numbers):
                    longest = np.equal(numbers, np.bincount(numbers).argmax())
                    return TimeColumns(name, column, frequency_of(times[longest]), dates)
    return None


def _series_columns(cells: Mapping[str, Sequence[Any]]) -> dict[str, list[int]]:
    """For each column that may tell series apart the number of each row's series."""
    columns = {}
    for name, column in cells.items():
        known: dict[str, int] = {}
        numbers = [known.setdefault(str(cell), len(known)) for cell in column]
        if None not in column and len(known) * STEPS_A_SERIES <= len(numbers):
            columns[name] = numbers
    return columns


def _rise(times: Sequence[int], series: Sequence[int]) -> bool:
    """Whether the times of each series rise. Stops at the first that does not: every pair of columns is tried."""
    last: dict[int, int] = {}
    for time, number in zip(times, series):
        if time <= last.get(number, time - 1):
            return False
        last[number] = time
    return True
