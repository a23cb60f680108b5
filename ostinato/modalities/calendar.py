"""The place of each step in the day, the week and the year, from its date."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ostinato.errors import DataError, shown
from ostinato.modalities._cycles import Cycle, circles, demand_cycles, places
from ostinato.modalities.contract import Array, Modality, Traits, Values


class Calendar(Modality):
    """The place of each step in the day, the week and the year, known ahead by nature.

        step = sin(2 pi p), cos(2 pi p) for each cycle

        hour     p = hours and minutes since midnight / 24
        weekday  p = days since Monday / 7
        month    p = months since January / 12
        yearday  p = days since 1 January / 365.25

    As circles, so that 23:00 lies beside 0:00. A raw value is an array of dates (datetime64) or a list of texts such as
    2013-01-31 14:00.

    Args:
        cycles: which.

    Shapes:
        encoded (T, 2 for each cycle)

    Errors:
        ConfigError: no cycle, or one twice.
        DataError: a value is no date.
    """

    aligns = frozenset()
    default_align = "ahead"
    default_encoder = "recurrent"
    default_head = {}
    metrics = {}
    over_time = "dates"

    def __init__(self, *, cycles: list[Cycle] = ["hour", "weekday", "yearday"]):  # noqa: B006
        demand_cycles(cycles)
        self.cycles = list(cycles)

    @staticmethod
    def traits(settings: Any) -> Traits:
        return Traits(known_future=True)

    def fit(self, column: Iterable[Any]) -> None:
        """Nothing is learnt; every date is looked at."""
        for raw in column:
            if raw is not None:
                self._read(raw)

    def _read(self, raw: Any) -> np.ndarray:
        if isinstance(raw, np.ndarray) and raw.dtype.kind == "M":
            return raw.astype("datetime64[s]")
        if not isinstance(raw, (list, tuple)):
            raise DataError(
                f"dates are needed, and there is {shown(raw)}; name the column of dates, not of a counted time"
            )
        try:
            return np.array([str(date).strip().replace(" ", "T") for date in raw], dtype="datetime64[s]")
        except ValueError as why:
            raise DataError(f"dates such as 2013-01-31 14:00 are needed: {why}") from None

    def encode(self, raw: Any) -> np.ndarray:
        return circles(self._read(raw), self.cycles)

    def decode(self, array: Array) -> list[list[float]]:
        """The place in each cycle, from 0 to 1: the date itself is not kept."""
        return places(array, self.cycles)

    def labels(self, array: Array) -> list[str]:
        return [
            " ".join(f"{name} {place:.2f}" for name, place in zip(self.cycles, step)) for step in self.decode(array)
        ]

    @property
    def spec(self) -> Values:
        return Values(2 * len(self.cycles))

    def facts(self) -> dict:
        return {}

    def restore(self, facts: dict) -> None:
        """There are none."""

    def parse(self, field: str) -> list[str]:
        return [date for date in field.split(";") if date]

    def take(self, raw: Any) -> Any:
        return raw

    def write(self, raw: Any) -> str:
        return ";".join(str(date) for date in raw)
