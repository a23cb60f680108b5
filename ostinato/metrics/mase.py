"""Error in errors of the seasonal naive forecast within the past of the series: MASE."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ostinato.errors import DataError
from ostinato.metrics._numbers import pairs
from ostinato.metrics.contract import Predictions, Ratio


class MASE(Ratio):
    """Error in errors of the seasonal naive forecast within the past of the series: MASE; below 1 is better than it.

        scale = mean over the past of |y[t] - y[t - season]|                       per series and channel
        MASE  = sum of |predicted - true| / scale / number of true values

    Over all values of all examples, which is M4's mean over series where all have one horizon. A value that is missing
    in the reference is left out, and a series whose scale is not known (NaN).

    Errors:
        DataError: there are no scales, a scale is 0, negative or infinite, a value is no number, a prediction is not
            finite, or has another shape than its reference.

    Source: Hyndman and Koehler 2006 (International Journal of Forecasting 22:679); seasonal as in M4, Makridakis et al.
        2020.
    """

    higher_is_better = False
    needs = ("predicted", "expected", "scales")
    counted = "true value of a series with a scale"

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        if predictions.scales is None:
            raise DataError(
                "mase needs the past of each series, and these examples have none; leave the metric out, or use mae"
            )
        rows = []
        for example, (predicted, true) in enumerate(pairs(predictions)):
            scaled = abs(predicted - true) / _checked(predictions.scales[example], true, example)
            rows.append([np.nansum(scaled), np.isfinite(scaled).sum()])
        return rows


def _checked(raw: Any, true: np.ndarray, example: int) -> np.ndarray:
    scale = np.asarray(raw, dtype=np.float64)
    if scale.shape not in ((), true.shape[-1:] if true.ndim == 2 else ()):
        raise DataError(
            f"mase: example {example + 1} has a scale of shape {scale.shape} for values of shape {true.shape};"
            " give one per channel"
        )
    wrong = scale[np.isinf(scale) | (scale <= 0)]
    if wrong.size:
        raise DataError(
            f"mase: the scale of example {example + 1} is {wrong.flat[0]:g}, where a finite number above 0 is needed;"
            " a past that"
            " repeats itself from season to season has 0: leave that series out, or take mae or smape"
        )
    return scale
