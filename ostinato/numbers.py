"""Real numbers as people and tables write them."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from ostinato.errors import DataError, shown

FLOAT32_MAX = float(np.finfo(np.float32).max)
MISSING_WORDS = ("", "na", "n/a", "nan", "null", "none", "?")
"""What stands for a missing number in a field of text, in any case; `?` as in sktime's and Weka's files."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+\.\d+", re.ASCII)
_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)


def as_number(raw: Any) -> float | None:
    """The number that a raw value or a field of text stands for; None where it says that it is missing.

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
