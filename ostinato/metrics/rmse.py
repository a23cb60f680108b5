"""How far predictions are from the true numbers, large errors weighing most: the root of the mean squared error."""

import math
from collections.abc import Sequence

from ostinato.metrics._numbers import squared, summed
from ostinato.metrics.contract import Metric, Predictions, ratio


class RMSE(Metric):
    """How far predictions are from the true numbers, large errors weighing most: the root of the mean squared error.

        RMSE = sqrt(sum (predicted - true)^2 / number of true values)

    Over all values of all examples: steps and channels. A value that is missing in the reference is left out.

    Units:
        the output's own

    Errors:
        DataError: a value is no number, a prediction is not finite, or has another shape than its reference.
    """

    higher_is_better = False

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        return summed(predictions, squared)

    def value(self, total: Sequence[float]) -> float:
        return math.sqrt(ratio(self, total, "true value"))
