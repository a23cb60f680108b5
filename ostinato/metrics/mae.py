"""How far predictions are from the true numbers, on average: the mean absolute error."""

from collections.abc import Sequence

import numpy as np

from ostinato.metrics._numbers import summed
from ostinato.metrics.contract import Predictions, Ratio


class MAE(Ratio):
    """How far predictions are from the true numbers, on average: the mean absolute error.

        MAE = sum |predicted - true| / number of true values

    Over all values of all examples: steps and channels. A value that is missing in the reference is left out.

    Units:
        the output's own

    Errors:
        DataError: a value is no number, a prediction is not finite, or has another shape than its reference.
    """

    higher_is_better = False
    counted = "true value"

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        return summed(predictions, _distance)


def _distance(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    return abs(predicted - true)
