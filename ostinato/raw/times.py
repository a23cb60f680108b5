"""Columns of times as people and programs write them, read to seconds, or to counted steps."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np

from ostinato.errors import DataError

Times = np.ndarray
"""(T,) datetime64[s], or int64 where time is counted."""
WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
ISO = re.compile(r"\d{4}-\d{2}(-\d{2}([ T]\d{2}(:\d{2}(:\d{2}(\.0+)?)?)?)?)?", re.ASCII)
FRACTION = re.compile(r".*:\d{2}\.\d*[1-9]\d*\D*.*", re.ASCII)
_HOURS = (
    r"(?:[ T]+(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.0+)?)?)?\s?(?P<half>[AaPp]\.?[Mm]\.?)?)?"
)
MONTHS = "january february march april may june july august september october november december".split()
_NAME = r"(?P<name>[A-Za-z]{3,9})\.?"
_ZONE = r"\s?(?P<zone>Z|UTC|GMT|(?P<sign>[+-])(?P<east>\d{2}):?(?P<past>\d{2})?)?"
SHAPES = {
    "year first": r"(?P<year>\d{4})(?P<sep>[-/.])(?P<month>\d{1,2})(?:(?P=sep)(?P<day>\d{1,2})|(?<!\.\d)(?<!\.\d\d))",
    "day first": r"(?P<day>\d{1,2})(?P<sep>[-/.])(?P<month>\d{1,2})(?P=sep)(?P<year>\d{4})",
    "month first": r"(?P<month>\d{1,2})(?P<sep>[-/])(?P<day>\d{1,2})(?P=sep)(?P<year>\d{4})",
    "day and name": rf"(?:[A-Za-z]{{3,9}},? )?(?:(?P<day>\d{{1,2}})(?P<sep>[- ]))?{_NAME}[- ](?P<year>\d{{4}})",
    "name and day": rf"(?:[A-Za-z]{{3,9}},? )?{_NAME} (?P<day>\d{{1,2}}),? (?P<year>\d{{4}})",
}
PATTERNS = {name: re.compile(shape + _HOURS + _ZONE, re.ASCII) for name, shape in SHAPES.items()}
QUARTER = re.compile(r"(?:(?P<year>\d{4})[- ]?)?Q(?P<quarter>[1-4])(?(year)|[- /]?(?P<after>\d{4}))", re.ASCII)
WEEK = re.compile(r"(\d{4})-?W(\d{2})(?:-?([1-7]))?", re.ASCII)
PERIOD = re.compile(r"(\d{4}-\d{2}-\d{2})/\d{4}-\d{2}-\d{2}", re.ASCII)
FIELDS = "%Y%m%d%H%M%S"
UNIX_SECONDS = 946_684_800, 2_524_608_000
"""The years 2000 to 2049: whole numbers that all lie between are counted from 1970 and not from a first step."""


def _iso(cells: Sequence[Any]) -> Times | None:
    """2013-01, 2013-01-31, 2013-01-31 14:00 and the like."""
    if not all(isinstance(cell, str) and ISO.fullmatch(cell) for cell in cells):
        return None
    try:
        return np.array([cell.replace(" ", "T") for cell in cells], dtype="datetime64[s]")
    except ValueError:
        return None


def _each(read: Callable[[str], datetime | date | None], cells: Sequence[Any]) -> Times | None:
    """Cells read one by one; None where one is no such time."""
    times = []
    for cell in cells:
        try:
            time = read(cell) if isinstance(cell, str) else None
        except (ValueError, OverflowError):
            time = None
        if time is None:
            return None
        times.append(time)
    return np.array(times, dtype="datetime64[s]")


def _written(shape: str, cell: str) -> datetime | None:
    """A date in the order of `shape`, with hours of 12 or 24; in UTC where it names a zone."""
    match = PATTERNS[shape].fullmatch(cell)
    if match is None:
        return None
    part = match.groupdict()
    if "name" in part:
        name = part["name"].lower()
        part["month"] = next((number for number, month in enumerate(MONTHS, 1) if month.startswith(name)), None)
        if part["month"] is None:
            return None
    hour = int(part["hour"] or 0)
    if part["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (part["half"][0] in "pP")
    numbers = int(part["year"]), int(part["month"]), int(part["day"] or 1)
    time = datetime(*numbers, hour, int(part["minute"] or 0), int(part["second"] or 0))
    east = timedelta(hours=int(part["east"] or 0), minutes=int(part["past"] or 0))
    return time + east if part["sign"] == "-" else time - east


def _quarter(cell: str) -> date | None:
    part = QUARTER.fullmatch(cell)
    return None if part is None else date(int(part["year"] or part["after"]), 3 * int(part["quarter"]) - 2, 1)


def _week(cell: str) -> date | None:
    """The first day of a week: 2022-W01, or as pandas writes it, 2022-01-03/2022-01-09."""
    if (part := WEEK.fullmatch(cell)) is not None:
        return date.fromisocalendar(int(part[1]), int(part[2]), int(part[3] or 1))
    return None if (part := PERIOD.fullmatch(cell)) is None else date.fromisoformat(part[1])


def _counted(cells: Sequence[Any]) -> Times | None:
    return np.array(list(map(int, cells)), dtype=np.int64) if all(map(_is_whole, cells)) else None


def _is_whole(cell: Any) -> bool:
    if isinstance(cell, str):
        return WHOLE.fullmatch(cell) is not None
    return isinstance(cell, (int, np.integer)) and not isinstance(cell, bool)


def _digits(cells: Sequence[Any]) -> Times | None:
    """Dates that are written as whole numbers: 202101, 20210131, 2021013114 and on to seconds, or seconds or
    milliseconds since 1970."""
    numbers = _counted(cells)
    if numbers is None or not len(numbers):
        return None
    written = list(map(str, numbers.tolist()))
    size = len(written[0])
    if size in (6, 8, 10, 12, 14) and all(len(text) == size and "1900" <= text[:4] <= "2100" for text in written):
        dates = _each(lambda cell: datetime.strptime(cell, FIELDS[: size - 2]), written)
        if dates is not None:
            return dates
    first, last = UNIX_SECONDS
    for size in (1, 1000):
        if (first * size <= numbers.min()) and (numbers.max() < last * size) and not (numbers % size).any():
            return (numbers // size).astype("datetime64[s]")
    return None


FORMS: Mapping[str, Callable[[Sequence[Any]], Times | None]] = {
    "iso": _iso,
    **{shape: partial(_each, partial(_written, shape)) for shape in SHAPES},
    "quarter": partial(_each, _quarter),
    "week": partial(_each, _week),
    "digits": _digits,
    "counted": _counted,
}
"""How a column of times may be written; the first that all its cells have is read."""


class TimeReader:
    """Reads a column block after block, in each form that all cells so far have.

    Args:
        form: of FORMS, that is meant where cells may be read in several; None: it must not matter.
    """

    def __init__(self, form: str | None = None) -> None:
        self._wanted = form
        self._read: dict[str, list[Times]] = {form: [] for form in FORMS}

    def add(self, cells: Sequence[Any]) -> int | None:
        """Reads further cells; the number of the one that is no time, or not as those before, or None.

        After a number nothing of the block is kept.
        """
        texts = [_as_text(cell) for cell in cells]
        parts = {form: times for form in self._read if (times := FORMS[form](texts)) is not None}
        if not parts:
            return max(next(at for at, text in enumerate(texts) if FORMS[form]([text]) is None) for form in self._read)
        self._read = {form: [*self._read[form], times] for form, times in parts.items()}
        return None

    @property
    def form(self) -> str:
        """The one of FORMS that the cells are read in."""
        return self._wanted if self._wanted in self._read else next(iter(self._read))

    def times(self) -> Times:
        """All cells as times.

        Errors:
            DataError: the days and months of all could be meant either way round.
        """
        read = {form: np.concatenate(parts) for form, parts in self._read.items()}
        both = [read[form] for form in ("day first", "month first") if form in read]
        if self._wanted not in read and len(both) == 2 and (wrong := np.flatnonzero(both[0] != both[1])).size:
            day, month = (str(times[wrong[0]].astype("datetime64[D]")) for times in both)
            raise DataError(f"a time may be {day} or {month}: which is the month? write it as {day}")
        return read[self.form]


def times_of(cells: Sequence[Any]) -> Times | None:
    """Cells as times, all of one form; None where they are none, or may be meant in two ways."""
    reader = TimeReader()
    try:
        return reader.times() if reader.add(cells) is None else None
    except DataError:
        return None


def why_no_time(cell: Any) -> str:
    """What is wrong with a cell that cannot be read as a time, or not with those before it."""
    text = _as_text(cell)
    if text is None or text == "":
        seen = "is empty"
    elif isinstance(text, str) and FRACTION.fullmatch(text):
        return f"{text[:40]!r} has a fraction of a second; give whole seconds, or number the steps: 1, 2, 3"
    elif any(read([text]) is not None for read in FORMS.values()):
        return f"{str(text)[:40]!r} is not written as the times before it; write all in one form"
    elif isinstance(text, str) and any(shape.fullmatch(text) for shape in (ISO, WEEK, *PATTERNS.values())):
        return f"there is no date {text!r}; mend it"
    else:
        seen = f"is {str(text)[:40]!r}"
    return f"{seen}, and a date such as 2013-01, 2013-01-31 14:00 or 31 Jan 2013, or a whole number is needed"


def moment(text: str) -> np.datetime64:
    """The date that a recipe names.

    Errors:
        DataError: it is none.
    """
    times = _iso([text.strip()])
    if times is None:
        raise DataError(f"{text!r} is no date; write 2013-01-31, or 2013-01-31 14:00")
    return times[0]


def _as_text(cell: Any) -> Any:
    if isinstance(cell, str):
        return cell.strip()
    return cell.isoformat() if isinstance(cell, date) else cell
