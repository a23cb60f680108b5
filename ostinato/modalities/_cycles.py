"""Dates as places on circles: what modalities of dates share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ostinato.errors import ConfigError

Cycle = Literal["hour", "weekday", "month", "yearday"]


def demand_cycles(cycles: Sequence[Cycle]) -> None:
    """Errors:
    ConfigError: there is none, or one twice.
    """
    if not cycles or len(set(cycles)) < len(cycles):
        raise ConfigError(
            f"cycles: {', '.join(cycles) or 'nothing'}; give at least one of hour, weekday, month, yearday, each once"
        )


def circles(dates: np.ndarray, cycles: Sequence[Cycle]) -> np.ndarray:
    """The sine and cosine of the place in each cycle, so that 23:00 lies beside 0:00.

        hour     p = hours and minutes since midnight / 24
        weekday  p = days since Monday / 7
        month    p = months since January / 12
        yearday  p = days since 1 January / 365.25

    Shapes:
        dates   (T,) datetime64
        returns (T, 2 for each cycle)
    """
    days, months, years = (dates.astype(f"datetime64[{unit}]") for unit in "DMY")
    parts = {
        "hour": (dates - days).astype(np.int64) / 86_400,
        # 1970 began on a Thursday.
        "weekday": (days.astype(np.int64) + 3) % 7 / 7,
        "month": months.astype(np.int64) % 12 / 12,
        "yearday": (days - years.astype("datetime64[D]")).astype(np.int64) / 365.25,
    }
    turns = 2 * np.pi * np.stack([parts[cycle] for cycle in cycles], 1)
    return np.stack([np.sin(turns), np.cos(turns)], 2).reshape(len(dates), 2 * len(cycles)).astype(np.float32)


def places(circle: np.ndarray, cycles: Sequence[Cycle]) -> list[list[float]]:
    """The place in each cycle, from 0 to 1: what `circles` made circles of."""
    pairs = np.asarray(circle, dtype=np.float64).reshape(-1, len(cycles), 2)
    return (np.arctan2(pairs[..., 0], pairs[..., 1]) / (2 * np.pi) % 1).tolist()
