"""How far predictions are from the true numbers, large errors weighing most: the root of the mean squared error."""

import math
from collections.abc import Sequence

from ostinato.metrics._numbers import summed
from ostinato.metrics._raw import ratio
from ostinato.metrics.contract import Judged, Metric


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
    unit = ""
    is_share = False
    needs_log_probability = False

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        return summed(judged, lambda said, right: (said - right) ** 2)

    def value(self, total: Sequence[float]) -> float:
        return math.sqrt(ratio(total[0], total[1], "rmse", "true value"))

    def signature(self) -> str:
        return "root of the mean over values, missing ones left out"
