"""How much of the spread of the true numbers predictions explain: the coefficient of determination."""

from collections.abc import Sequence
from math import inf

import numpy as np

from ostinato.metrics._numbers import pairs
from ostinato.metrics.contract import Metric, Predictions, ratio


class R2(Metric):
    """How much of the spread of the true numbers predictions explain: the coefficient of determination.

        R2 = 1 - sum (true - predicted)^2 / sum (true - mean of all true)^2

    1 is perfect, 0 is as good as the mean of these examples, and there is no worst. Over all values of all examples,
    steps and channels together. A value that is missing in the reference is left out. True values that are all the same
    have no spread: R2 is then 1 if all predictions are right, and else 0.

    The spread comes from sums of squares in float64: where numbers are 10^8 times as large as they differ, nothing of
    it is left.

    Errors:
        DataError: a value is no number, a prediction is not finite, or has another shape than its reference.
    Source: scikit-learn's r2_score, which agrees with it for one number an example.
    """

    higher_is_better = True
    least = -inf
    greatest = 1.0

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        rows: list[Sequence[float]] = []
        for predicted, true in pairs(predictions):
            known = np.isfinite(true)
            values = true[known]
            errors = values - predicted[known]
            rows.append([float((errors**2).sum()), float(values.sum()), float((values**2).sum()), int(known.sum())])
        return rows

    def value(self, total: Sequence[float]) -> float:
        errors, values, squares, count = total
        error, mean_square = (ratio(self, (part, count), "true value") for part in (errors, squares))
        spread = mean_square - (values / count) ** 2
        if spread <= mean_square * 1e-14:
            return 1.0 if error == 0 else 0.0
        return 1 - error / spread
