"""Error in percent of the size of the numbers, after the M4 competition: sMAPE."""

from collections.abc import Sequence

import numpy as np

from ostinato.metrics._numbers import summed
from ostinato.metrics.contract import Predictions, Ratio


class SMAPE(Ratio):
    """Error in percent of the size of the numbers, after the M4 competition: sMAPE, from 0 to 200 %.

        sMAPE = 200 / n * sum |predicted - true| / (|predicted| + |true|)     0 / 0 counts as 0; n true values

    Over all values of all examples, which is M4's mean over series where all have one horizon. A value that is missing
    in the reference is left out.

    Errors:
        DataError: a value is no number, a prediction is not finite, or has another shape than its reference.

    Source: Makridakis, Spiliotis and Assimakopoulos 2020 (International Journal of Forecasting 36:54), equation for
        sMAPE.
    """

    higher_is_better = False
    unit = "%"
    greatest = 200.0
    factor = 200.0
    counted = "true value"

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        return summed(predictions, _relative)


def _relative(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    size = abs(predicted) + abs(true)
    return abs(predicted - true) / np.where(size == 0, 1, size)
