"""Real numbers as people and tables write them."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from ostinato.errors import DataError, shown

FLOAT32_MAX = float(np.finfo(np.float32).max)
MISSING_WORDS = ("", "na", "n/a", "nan", "null", "none", "?")
"""The signs of a missing number in a field of text, in any case; `?` as in sktime's and Weka's files."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SPACED = re.compile(r"[+-]?\d{1,3}([ \u00a0\u2009\u202f]\d{3})+([.,]\d*)?", re.ASCII)
"""Groups of thousands between spaces, also those that do not break a line."""
_GROUPED = re.compile(
    r"\d{1,3}(?:(?:(?:,\d{3})+|(?:,\d{2})+,\d{3})(?:\.\d*)?|(?:\.\d{3}){2,}|(?:\.\d{3})+,\d*|(?:'\d{3})+(?:\.\d*)?)",
    re.ASCII,
)
"""Groups of thousands as in 1,234.5, 12,34,567, 1.234.567, 1.234,5 and 1'234.5."""
_COMMA = re.compile(r"\d*,\d+", re.ASCII)
_UNIT = r"([%\u2030\u00b0$\u00a2-\u00a5\u20a0-\u20bf]|[^\W\d_]{1,3})"
_UNITS = re.compile(rf"(?<=^[(-]){_UNIT}\s*|^{_UNIT}\s*|\s*{_UNIT}$")
"""What is written before or after an amount: percent, degrees, a currency's sign or letters."""
_SIGNS = str.maketrans(
    "\u2212\u2012\u2013\ufe63\uff0d\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19", "-----0123456789"
)
"""Other signs of minus, and digits as wide as letters of Chinese."""
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


class Numerals(NamedTuple):
    """How numbers are written.

    Args:
        decimal: the sign before the decimals.
        thousands: the sign between groups of three digits; a blank means any space. None: there is none.
    """

    decimal: str = "."
    thousands: str | None = None

    def plain(self, text: str) -> str:
        """A number in digits, with a point before its decimals; signs of a missing one as they are.

        Errors:
            DataError: it is no number that is written so.
        """
        number = _written(self).fullmatch(_UNITS.sub("", text.strip().translate(_SIGNS)).strip())
        if number is None or not (number["whole"] or number["rest"]):
            if text.strip().casefold() in MISSING_WORDS:
                return text
            between = f"{self.thousands!r} between thousands" if self.thousands else "nothing between thousands"
            raise DataError(
                f"a number with {self.decimal!r} before its decimals and {between} is needed, not {text[:40]!r}; mend"
                " it, or train with another data.decimal or data.thousands"
            )
        sign, whole = "-" if number["open"] else number["sign"], re.sub(r"\D", "", number["whole"] or "0")
        return f"{sign}{whole}{'.' if number['rest'] else ''}{number['rest'] or ''}{number['power'] or ''}"


@functools.cache
def _written(numerals: Numerals) -> re.Pattern[str]:
    groups = numerals.thousands and (r"\s" if numerals.thousands.isspace() else re.escape(numerals.thousands))
    whole = rf"\d{{1,3}}(?:(?:{groups}\d{{3}})+|(?:{groups}\d{{2}})+{groups}\d{{3}})|\d+" if groups else r"\d+"
    return re.compile(
        rf"(?P<open>\()?(?P<sign>[+-]?)(?P<whole>{whole})?(?:{re.escape(numerals.decimal)}(?P<rest>\d*))?"
        r"(?P<power>[eE][+-]?\d+)?(?(open)\))"
    )


WRITTEN = tuple(Numerals(*signs) for signs in ((",", None), (".", " "), (".", "'"), (".", ","), (",", "."), (",", " ")))
"""How numbers are written that have no plain decimal point alone."""


def numerals_of(columns: Sequence[Sequence[str]]) -> Numerals | None:
    """How the numbers of some columns are written that are no plain ones; None where there are none, or where they may
    be read in two ways.

    Args:
        columns: the fields of each.
    """
    plain = [all(_is_plain(cell) for cell in cells) for cells in columns]
    by_reading: dict[tuple[Any, ...], Numerals] = {}
    for numerals in WRITTEN:
        signs = (numerals.thousands or "") + ("" if numerals.decimal == "." else numerals.decimal)
        between, reading = re.compile(rf"\d[{re.escape(signs)}]\d"), []
        for number, cells in enumerate(columns):
            try:
                read = tuple(map(numerals.plain, cells))
            except DataError:
                if plain[number]:
                    break
                continue
            if not plain[number] and any(map(between.search, cells)):
                reading.append((number, read))
        else:
            if reading:
                by_reading.setdefault(tuple(reading), numerals)
    most = max(map(len, by_reading), default=0)
    best = [numerals for reading, numerals in by_reading.items() if len(reading) == most]
    return best[0] if len(best) == 1 else None


def _is_plain(cell: str) -> bool:
    return cell.strip().casefold() in MISSING_WORDS or _NUMBER.fullmatch(cell.strip()) is not None


def readings(text: str) -> dict[str, str]:
    """How to write a number that a person can read in this text, by what the person must decide; empty where there is
    none, and with two entries where it may be either."""
    plain = text.strip().translate(_SIGNS)
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
    ways = [f"; {way}: {number}{_settings(text, number)}" for way, number in readings(text).items()]
    ends = ("do so in the whole column", "") if ways else ("mend it", ", leave the cell empty where it is missing")
    return f"{''.join(ways)}; {ends[0]}{ends[1]}, or read it as category or text"


def _settings(text: str, number: str) -> str:
    """The settings that read a text as this number, for a message."""
    for numerals in (Numerals(), *WRITTEN):
        with suppress(DataError):
            if as_number(numerals.plain(text)) == as_number(number):
                signs = {"decimal": numerals.decimal, "thousands": numerals.thousands}
                named = [f"data.{name}={sign!r}" for name, sign in signs.items() if sign is not None]
                return f" (or set {' and '.join(named)})"
    return ""


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


def short_decimals(text: str) -> str:
    """A text for people: the real numbers in it to five digits."""
    return re.sub(r"-?\d+\.\d+(e[+-]?\d+)?", lambda number: f"{float(number[0]):.5g}", text)
