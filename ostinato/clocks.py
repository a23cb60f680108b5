"""Which column of a table tells the time, and which one tells series apart: what a guess of a forecast begins with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ostinato.data.series import Frequency, Times, frequency_of, times_of

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
    read = {name: times_of(column) for name, column in cells.items() if name not in taken and len(column) >= STEPS_A_SERIES}
    clocks = {name: times for name, times in read.items() if times is not None}
    for dates in (True, False):
        for name, times in clocks.items():
            if (times.dtype.kind == "M") == dates and (frequency := frequency_of(times)) is not None:
                return Clock(name, None, frequency, dates)
        for name, times in clocks.items():
            if (times.dtype.kind == "M") != dates:
                continue
            for series in cells:
                if series != name and series not in taken and (frequency := _within(times, cells[series])) is not None:
                    return Clock(name, series, frequency, dates)
    return None


def _within(times: Times, series: Sequence[Any]) -> Frequency | None:
    """How far apart the times of each series are, if they rise in every one of them."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, one in enumerate(series):
        rows[str(one)].append(row)
    if None in series or len(rows) * STEPS_A_SERIES > len(series):
        return None
    if any((np.diff(times[part]).astype(np.int64) <= 0).any() for part in rows.values()):
        return None
    return frequency_of(times[max(rows.values(), key=len)])
