"""How far predictions are from the true numbers, on average: the mean absolute error."""

from collections.abc import Sequence

from ostinato.metrics._numbers import summed
from ostinato.metrics._raw import ratio
from ostinato.metrics.contract import Judged, Metric


class MAE(Metric):
    """How far predictions are from the true numbers, on average: the mean absolute error.

        MAE = sum |predicted - true| / number of true values

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
        return summed(judged, lambda said, right: abs(said - right))

    def value(self, total: Sequence[float]) -> float:
        return ratio(total[0], total[1], "mae", "true value")

    def signature(self) -> str:
        return "mean over values, missing ones left out"
