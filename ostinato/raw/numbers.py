"""Real numbers as people and tables write them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from ostinato.errors import DataError, shown

FLOAT32_MAX = float(np.finfo(np.float32).max)
MISSING_WORDS = ("", "na", "n/a", "nan", "null", "none", "?")
"""The signs of a missing number in a field of text, in any case; `?` as in sktime's and Weka's files."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SPACED = re.compile(r"[+-]?\d{1,3}([ \u00a0\u2009\u202f]\d{3})+([.,]\d*)?", re.ASCII)
"""Groups of thousands between spaces, also those that do not break a line."""
_GROUPED = re.compile(
    r"\d{1,3}(?:(?:,\d{3})+(?:\.\d*)?|(?:\.\d{3}){2,}|(?:\.\d{3})+,\d*|(?:'\d{3})+(?:\.\d*)?)", re.ASCII
)
"""Groups of thousands as in 1,234.5, 1.234.567, 1.234,5 and 1'234.5."""
_COMMA = re.compile(r"\d*,\d+", re.ASCII)
_UNIT = r"([%\u2030\u00b0$\u00a2-\u00a5\u20a0-\u20bf]|[^\W\d_]{1,3})"
_UNITS = re.compile(rf"(?<=^[(-]){_UNIT}\s*|^{_UNIT}\s*|\s*{_UNIT}$")
"""What is written before or after an amount: percent, degrees, a currency's sign or letters."""
_MINUS = str.maketrans("\u2212\u2012\u2013\ufe63\uff0d", "-----")
_CODE, _WITH_E = re.compile(r"0\d+|\d{16,}", re.ASCII), re.compile(r"\d+[eE]\d+", re.ASCII)


def as_number(raw: Any) -> float | None:
    """The number of a raw value or a field of text; None where it is missing.

    Errors:
        DataError: it is no real number, or infinite.
    """
    if isinstance(raw, str):
        return _of_text(raw.strip())
    if raw is None:
        return None
    if isinstance(raw, Decimal):
        raw = float(raw)
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
    raise DataError(f"a number is needed, not {text[:40]!r}{_hint(text[:40])}")


def readings(text: str) -> dict[str, str]:
    """How to write a number that a person can read in this text, by what the person must decide; empty where there is
    none, and with two entries where it may be either."""
    plain = text.strip().translate(_MINUS)
    bare = _UNITS.sub("", plain).strip()
    negative = bare.startswith("(") and bare.endswith(")") or bare.startswith("-") or bare.endswith("-")
    digits = bare.strip("()+-").strip()
    sign = "-" if negative else ""
    if _NUMBER.fullmatch(digits) and digits != text:
        return {"write only the number": f"{sign}{digits}"}
    if _SPACED.fullmatch(digits):
        return {"leave out the separators of thousands": sign + re.sub(r"\s", "", digits).replace(",", ".")}
    if re.fullmatch(r"[1-9]\d{0,2},\d{3}", digits):
        thousands, decimal = digits.replace(",", ""), digits.replace(",", ".")
        return {
            "where the comma separates thousands write": f"{sign}{thousands}",
            "where it is a decimal comma write": f"{sign}{decimal}",
        }
    if _GROUPED.fullmatch(digits):
        whole, point, rest = digits.rpartition(max(".,", key=digits.rfind))
        if digits.count(point) > 1 or not point:
            whole, rest = digits, ""
        number = re.sub(r"[.,']", "", whole) + (f".{rest}" if rest else "")
        return {"leave out the separators of thousands": f"{sign}{number}"}
    if _COMMA.fullmatch(digits):
        return {"write a decimal point": sign + digits.replace(",", ".")}
    return {}


def _hint(text: str) -> str:
    ways = [f"{way}: {number}" for way, number in readings(text).items()]
    whole = "; do so in the whole column, or read it as category or text" if ways else ""
    return "".join(f"; {way}" for way in ways) + whole


def are_codes(cells: Sequence[Any]) -> bool:
    """Whether cells are written in digits and would lose something as numbers: leading zeros, digits beyond the 15 that
    64 bits keep, or an E that is no exponent, as in 1E10 and nothing but such."""
    texts = [str(cell).strip() for cell in cells if isinstance(cell, (str, int)) and not isinstance(cell, bool)]
    return any(map(_CODE.fullmatch, texts)) or bool(texts) and all(map(_WITH_E.fullmatch, texts))


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
