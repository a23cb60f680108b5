"""Share of the true values that lie inside the predicted interval; it should be the interval's own level."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from ostinato.errors import DataError
from ostinato.metrics._numbers import distributions
from ostinato.metrics.contract import Predictions, Ratio


class IntervalCoverage(Ratio):
    """Share of the true values that lie inside the predicted interval; it should be the interval's own level.

        100 * number of true values with q[(1 - level) / 2] <= true <= q[(1 + level) / 2] / number of true values

    Neither end is good: above its level an interval is too wide, below it too narrow. A value that is missing in the
    reference is left out.

    Args:
        level: of the interval; 0.9 lies between the quantiles of 5 and 95 %, which must have been predicted.

    Errors:
        DataError: there are no quantiles or not those two, examples have different levels, or values that are no
            numbers, not finite, or of another shape than the reference.
    """

    higher_is_better = None
    unit = "%"
    greatest = 100.0
    needs = ("quantiles", "expected")
    factor = 100.0
    counted = "true value"

    def __init__(self, *, level: Annotated[float, Field(gt=0, lt=1)] = 0.9):
        self.level = level

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        rows = []
        for quantiles, true in distributions(predictions, "interval_coverage"):
            low, high = (self._at(quantiles, (1 + sign * self.level) / 2) for sign in (-1, 1))
            rows.append([((low <= true) & (true <= high)).sum(), np.isfinite(true).sum()])
        return rows

    def _at(self, quantiles: Mapping[float, np.ndarray], wanted: float) -> np.ndarray:
        # 0.05 and (1 - 0.9) / 2 are not the same float.
        nearest = min(quantiles, key=lambda level: abs(level - wanted))
        if abs(nearest - wanted) > 1e-6:
            levels = ", ".join(f"{level:g}" for level in quantiles)
            raise DataError(
                f"interval_coverage: the interval of {self.level:g} needs the quantile {wanted:g}, but the levels are"
                f" {levels}; have"
                " the head predict it, or choose another level"
            )
        return quantiles[nearest]
