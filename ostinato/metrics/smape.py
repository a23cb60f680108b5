"""Error in percent of the size of the numbers, after the M4 competition: sMAPE."""

from collections.abc import Sequence

import numpy as np

from ostinato.metrics._numbers import summed
from ostinato.metrics._raw import ratio
from ostinato.metrics.contract import Judged, Metric


class SMAPE(Metric):
    """Error in percent of the size of the numbers, after the M4 competition: sMAPE, from 0 to 200 %.

        sMAPE = 200 / n * sum |predicted - true| / (|predicted| + |true|)     0 / 0 counts as 0; n true values

    Over all values of all examples, which is M4's mean over series where all have one horizon. A value that is missing in the
    reference is left out.

    Errors:
        DataError: a value is no number, a prediction is not finite, or has another shape than its reference.

    Source: Makridakis, Spiliotis and Assimakopoulos 2020 (International Journal of Forecasting 36:54), equation for sMAPE.
    """

    higher_is_better = False
    unit = "%"
    is_share = False
    needs_log_probability = False

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        return summed(judged, _share)

    def value(self, total: Sequence[float]) -> float:
        return 200 * ratio(total[0], total[1], "smape", "true value")

    def signature(self) -> str:
        return "M4: 200 |f - y| / (|f| + |y|), mean over values, missing ones left out"


def _share(said: np.ndarray, right: np.ndarray) -> np.ndarray:
    size = abs(said) + abs(right)
    return abs(said - right) / np.where(size == 0, 1, size)
