"""One real number for a whole row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from ostinato.errors import DataError, shown
from ostinato.modalities.contract import Array, Features, Modality, Values
from ostinato.raw.numbers import FLOAT32_MAX, as_number


class Number(Modality):
    """A real number for the whole row, in the unit of the data outside and scaled for the network inside.

        y = x, or log(1 + x) with `log`
        z = (y - shift) / spread

        standard   shift = mean of y,    spread = its standard deviation (of the training split)
        minmax     shift = smallest y,   spread = largest y - smallest y
        none       shift = 0,            spread = 1

    Where all training values are equal the spread is 1. `decode` gives the number with fewest decimals whose z is the
    one given, so that what float32 rounded comes back as it was written.
    A raw value is a real number or its text with a decimal point; an empty field, `NA` or `NaN` is a missing value.

    Args:
        scale: how values are scaled for the network.
        log: whether the network sees log(1 + x): for counts and prices, whose mistakes matter by ratio; needs x > -1.
        unit: what the numbers count, such as `EUR`, for pictures and the card.

    Errors:
        DataError: a value is no number, infinite, or with `log` not above -1; or no row of the training split has a
            number.
    """

    aligns = frozenset({"summary"})
    default_align = "summary"
    default_encoder = "feed_forward"
    is_sequence = False
    numeric = True
    default_head = {"summary": "regressor"}
    single_score = "r2"
    metrics = {"summary": ("mae", "rmse")}

    def __init__(
        self, *, scale: Literal["standard", "minmax", "none"] = "standard", log: bool = False, unit: str | None = None
    ):
        self._scale = scale
        self._log = log
        self._unit = unit
        self._facts: dict[str, Any] = {}
        self._shift, self._spread = 0.0, 1.0

    def _read(self, raw: Any) -> float:
        """The number of a raw value, as the network's scale counts it."""
        value = as_number(raw)
        if value is None:
            raise DataError(f"a number is needed, not {shown(raw)}; leave the cell empty (null) where a row has none")
        if not self._log:
            return value
        if value <= -1:
            raise DataError(f"log: {value:g} has no log(1 + x), which needs x > -1; leave out `log`, or mend the value")
        return math.log1p(value)

    def fit(self, column: Iterable[Any]) -> None:
        count, mean, squares, low, high = 0, 0.0, 0.0, math.inf, -math.inf
        for raw in column:
            if raw is not None:
                value = self._read(raw)
                count += 1
                # Welford's update: sums of squares would lose all digits of a small spread around a large mean.
                step = value - mean
                mean += step / count
                squares += step * (value - mean)
                low, high = min(low, value), max(high, value)
        if not count:
            raise DataError(
                "nothing to learn: no row of the training split has a number; check that this is the right column"
            )
        constant = low == high
        if not (math.isfinite(squares) and math.isfinite(high - low)):
            raise DataError(
                f"numbers from {low:g} to {high:g} are too far apart to be scaled; mend {max(low, high, key=abs):g}"
            )
        deviation = 0.0 if constant else math.sqrt(squares / count)
        mean = low if constant else mean
        self._set(
            {"count": count, "mean": mean, "deviation": deviation, "low": low, "high": high, "constant": constant}
        )

    def _set(self, facts: dict[str, Any]) -> None:
        self._facts = facts
        shift, spread = {
            "standard": (facts["mean"], facts["deviation"]),
            "minmax": (facts["low"], facts["high"] - facts["low"]),
            "none": (0.0, 1.0),
        }[self._scale]
        # Where all values are equal every spread would do; 1 can be divided by.
        self._shift, self._spread = shift, spread if spread > 0 else 1.0

    def encode(self, raw: Any) -> np.ndarray:
        value = (self._read(raw) - self._shift) / self._spread
        if abs(value) > FLOAT32_MAX:
            raise DataError(
                f"{raw} lies {value:g} times the training split's spread away, too far for float32; mend the value"
            )
        return np.array([[value]], dtype=np.float32)

    def decode(self, array: Array) -> float | None:
        """The number in the data's unit; None where it is missing."""
        z = np.float32(np.asarray(array).reshape(-1)[0])
        if np.isnan(z):
            return None
        y = float(z) * self._spread + self._shift
        # Above 700 the exponential has no float64; the largest there is keeps the order of predictions.
        value = math.expm1(min(y, 700.0)) if self._log else y
        if not math.isfinite(value):
            return value
        first = -math.floor(math.log10(max(abs(value), self._spread)))
        shorter = (round(value, decimals) + 0.0 for decimals in range(first, first + 17))
        return next((candidate for candidate in shorter if self._scaled(candidate) == z), value)

    def _scaled(self, value: float) -> np.float32:
        y = math.log1p(max(value, np.nextafter(-1.0, 0.0))) if self._log else value
        return np.float32((y - self._shift) / self._spread)

    def labels(self, array: Array) -> list[str]:
        value = self.decode(array)
        number = "NA" if value is None else f"{value:.6g}"
        return [number if self._unit is None else f"{number} {self._unit}"]

    @property
    def spec(self) -> Values:
        return Values(1)

    def features(self, cells: Sequence[Any]) -> Features:
        """The number itself, in the data's unit."""
        return Features("numbers", [np.array([np.nan if raw is None else raw]) for raw in cells])

    def facts(self) -> dict:
        return {**self._facts, "unit": self._unit}

    def restore(self, facts: dict) -> None:
        self._set({name: fact for name, fact in facts.items() if name != "unit"})

    def parse(self, field: str) -> float | None:
        return as_number(field)

    def take(self, raw: Any) -> float | None:
        return as_number(raw)

    def write(self, raw: float | None) -> str:
        return "" if raw is None else repr(float(raw))
