"""Real numbers as people and tables write them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ostinato.errors import DataError, shown

FLOAT32_MAX = float(np.finfo(np.float32).max)
MISSING_WORDS = ("", "na", "n/a", "nan", "null", "none", "?")
"""The signs of a missing number in a field of text, in any case; `?` as in sktime's and Weka's files."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+\.\d+", re.ASCII)
_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)


def as_number(raw: Any) -> float | None:
    """The number of a raw value or a field of text; None where it is missing.

    Errors:
        DataError: it is no real number, or infinite.
    """
    if isinstance(raw, str):
        return _of_text(raw.strip())
    if raw is None:
        return None
    if isinstance(raw, np.generic):
        raw = raw.item()
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        raise DataError(f"a number is needed, not {shown(raw)}")
    return None if isinstance(raw, float) and math.isnan(raw) else _finite(raw)


def _of_text(text: str) -> float | None:
    if text.casefold() in MISSING_WORDS:
        return None
    if _NUMBER.fullmatch(text):
        return _finite(float(text))
    if text.casefold().lstrip("+-") in ("inf", "infinity"):
        return _finite(math.inf)
    hint = ""
    if _THOUSANDS.fullmatch(text) or text.count(",") > 1 and text.replace(",", "").isdecimal():
        hint = f"; leave out the separators of thousands: {text.replace(',', '')}"
    elif _COMMA.fullmatch(text):
        hint = f"; write a decimal point: {text.replace(',', '.')}"
    raise DataError(f"a number is needed, not {text[:40]!r}{hint}")


def _finite(number: float) -> float:
    try:
        if math.isfinite(number):
            return float(number)
    except OverflowError:
        pass
    raise DataError(
        "a number is infinite or too large for 64 bits; mend it, or leave the cell empty where it is missing"
    )


def as_array(raw: Any) -> np.ndarray:
    """A raw value as (T,) or (T, C) float64, NaN where it is missing."""
    if not isinstance(raw, (list, tuple, np.ndarray)):
        raise DataError(f"a list of numbers, or of lists of numbers, is needed, not {shown(raw)}")
    try:
        array = np.asarray(raw)
    except ValueError:  # lists of unequal length
        return _cell_by_cell(raw)
    # Only plain numbers go the fast way: numpy would quietly take truth values and strings for numbers.
    plain = array.dtype.kind in "fiu" and array.ndim in (1, 2)
    return array.astype(np.float64) if plain else _cell_by_cell(raw)


def _cell_by_cell(raw: Sequence[Any] | np.ndarray) -> np.ndarray:
    steps = raw.tolist() if isinstance(raw, np.ndarray) else list(raw)
    if not isinstance(steps, list):
        raise DataError(f"a list of numbers, or of lists of numbers, is needed, not {shown(raw)}")
    first = next((step for step in steps if isinstance(step, (list, tuple, np.ndarray))), None)
    if first is None:
        return np.array([number_at(value, f"step {place}") for place, value in enumerate(steps, 1)], dtype=np.float64)
    rows = []
    for place, step in enumerate(steps, 1):
        row = [None] * len(first) if step is None else step
        if not isinstance(row, (list, tuple, np.ndarray)):
            raise DataError(f"step {place} is no list, and others are lists of one number per channel: {shown(step)}")
        if len(row) != len(first):
            raise DataError(
                f"step {place} has {len(row)} numbers, and others have {len(first)}; each needs one per channel, "
                "null where it is missing"
            )
        rows.append([number_at(value, f"step {place}, channel {channel}") for channel, value in enumerate(row, 1)])
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(first))


def number_at(value: Any, place: str) -> float:
    try:
        number = as_number(value)
    except DataError as why:
        raise DataError(f"{place}: {why}") from None
    return np.nan if number is None else number
