"""A date of a whole row: its place in the day, the week and the year, and how late it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import numpy as np

from ostinato.errors import DataError, shown
from ostinato.modalities._cycles import Cycle, circles, demand_cycles, places
from ostinato.modalities._fields import is_missing
from ostinato.modalities.contract import Array, Features, Modality, Values
from ostinato.raw.times import FORMS, TimeReader, why_no_time


class Date(Modality):
    """A date of a whole row, as an input: when a ticket was opened, when a bill is due.

        x = [sin(2 pi p), cos(2 pi p) for each cycle; (t - mean) / deviation]

        t is the time, mean and deviation those of the training split; p the place in a cycle:

        hour     p = hours and minutes since midnight / 24
        weekday  p = days since Monday / 7
        month    p = months since January / 12
        yearday  p = days since 1 January / 365.25

    A raw value is a date of Python, NumPy or pandas, or its text in any form that a column of times may have, one form
    in the whole column. The steps of a series have `calendar`.

    Args:
        cycles: which.

    Shapes:
        encoded (1, 2 for each cycle, and 1)

    Errors:
        ConfigError: no cycle, or one twice.
        DataError: a value is no date, or of another form than those of training; or days and months of all could be
            meant either way round; or no row of the training split has a date.
    """

    aligns = frozenset()
    default_align = "summary"
    default_encoder = "feed_forward"
    is_sequence = False
    default_head = {}
    metrics = {}
    examples = ["2024-01-31 14:00", "2023-07-15 00:00", "2024-02-01 09:30"]

    def __init__(self, *, cycles: list[Cycle] = ["hour", "weekday", "yearday"]):  # noqa: B006
        demand_cycles(cycles)
        self.cycles = list(cycles)
        self._form, self._mean, self._deviation = "iso", 0.0, 1.0

    def fit(self, column: Iterable[Any]) -> None:
        texts = [_text(raw) for raw in column if raw is not None]
        if not texts:
            raise DataError(
                "nothing to learn: no row of the training split has a date; check that this is the right column"
            )
        reader = TimeReader()
        if (wrong := reader.add(texts)) is not None:
            raise DataError(why_no_time(texts[wrong]))
        times = reader.times()
        if times.dtype.kind != "M":
            raise DataError(f"a date is needed, not {texts[0]!r}; read it as number")
        alike = (form for form, read in FORMS.items() if (own := read(texts)) is not None and (own == times).all())
        seconds = times.astype("datetime64[s]").astype(np.int64).astype(np.float64)
        self._form, self._mean, self._deviation = next(alike), float(seconds.mean()), float(seconds.std()) or 1.0

    def encode(self, raw: Any) -> np.ndarray:
        time = FORMS[self._form]([_text(raw)])
        if time is None or time.dtype.kind != "M":
            why = why_no_time(_text(raw)) if time is None else f"{raw!r} is counted"
            raise DataError(f"{why}; dates of this column are written as in training")
        late = (time.astype("datetime64[s]").astype(np.int64) - self._mean) / self._deviation
        return np.concatenate([circles(time, self.cycles), late[:, None].astype(np.float32)], 1)

    def decode(self, array: Array) -> list[float]:
        """The place in each cycle, from 0 to 1, and how late in deviations: the date itself is not kept."""
        row = np.asarray(array).reshape(-1)
        return [*places(row[:-1], self.cycles)[0], float(row[-1])]

    def labels(self, array: Array) -> list[str]:
        parts = zip([*self.cycles, "time"], self.decode(array))
        return [" ".join(f"{name} {place:.2f}" for name, place in parts)]

    @property
    def spec(self) -> Values:
        return Values(2 * len(self.cycles) + 1)

    def features(self, cells: Sequence[Any]) -> Features:
        """What the network reads."""
        none = np.full(self.spec.size, math.nan)
        return Features("numbers", [none if raw is None else self.encode(raw)[0] for raw in cells])

    def facts(self) -> dict:
        return {"form": self._form, "mean": self._mean, "deviation": self._deviation}

    def restore(self, facts: dict) -> None:
        self._form, self._mean, self._deviation = facts["form"], facts["mean"], facts["deviation"]

    def parse(self, field: str) -> str | None:
        return field.strip() or None

    def take(self, raw: Any) -> Any:
        return None if is_missing(raw) else raw

    def write(self, raw: Any) -> str:
        return "" if raw is None else str(raw)


def _text(raw: Any) -> str:
    """A date as text."""
    if isinstance(raw, (str, date, np.datetime64)):
        return str(raw).strip()
    raise DataError(f"a date is needed, not {shown(raw)}")
