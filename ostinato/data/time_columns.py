"""Which column of a table tells the time, and which one tells series apart: what a guess of a forecast begins with."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ostinato.data.series import Frequency, frequency_of, times_of

STEPS_A_SERIES = 3
"""Rows that a series has at least, in the mean: any order of fewer seems to rise."""


@dataclass(frozen=True)
class Clock:
    """How the rows of a table follow one another.

    Args:
        time: the column of times.
        series: the column that says which series a row belongs to; None where all are one.
        frequency: how far one step is from the next.
        dates: whether times are dates, not counted.
    """

    time: str
    series: str | None
    frequency: Frequency
    dates: bool

    def __str__(self) -> str:
        apart = "" if self.series is None else f" within each {self.series}"
        return f"the time is {self.time}, one {self.frequency} from row to row{apart}"


def clock_of(cells: Mapping[str, Sequence[Any]], taken: Collection[str] = ()) -> Clock | None:
    """The first column whose times rise from row to row, or within the rows of each value of another column.

    Dates go before whole numbers, and one series before several.

    Args:
        cells: of some rows, by column.
        taken: columns that are something else.
    """
    read = {
        name: times_of(column) for name, column in cells.items() if name not in taken and len(column) >= STEPS_A_SERIES
    }
    clocks = {name: times for name, times in read.items() if times is not None}
    apart = _told_apart({name: cells[name] for name in cells if name not in taken}) if clocks else {}
    for dates in (True, False):
        these = {name: times for name, times in clocks.items() if (times.dtype.kind == "M") == dates}
        for name, times in these.items():
            if (frequency := frequency_of(times)) is not None:
                return Clock(name, None, frequency, dates)
        for name, times in these.items():
            counted = times.astype(np.int64).tolist()
            for series, numbers in apart.items():
                if series != name and _rise(counted, numbers):
                    return Clock(
                        name, series, frequency_of(times[np.equal(numbers, np.bincount(numbers).argmax())]), dates
                    )
    return None


def _told_apart(cells: Mapping[str, Sequence[Any]]) -> dict[str, list[int]]:
    """Of each column that may tell series apart, the number of each row's series."""
    found = {}
    for name, column in cells.items():
        number: dict[str, int] = {}
        numbers = [number.setdefault(str(one), len(number)) for one in column]
        if None not in column and len(number) * STEPS_A_SERIES <= len(numbers):
            found[name] = numbers
    return found


def _rise(times: Sequence[int], series: Sequence[int]) -> bool:
    """Whether the times of each series rise. It ends at the first that does not: each column is asked beside each other one."""
    last: dict[int, int] = {}
    for time, one in zip(times, series):
        if time <= last.get(one, time - 1):
            return False
        last[one] = time
    return True
