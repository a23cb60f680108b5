"""How good a predicted distribution is, in the unit of the data: the continuous ranked probability score."""

from collections.abc import Sequence

import numpy as np

from ostinato.metrics._numbers import pinball_losses
from ostinato.metrics.contract import Predictions, Ratio


class CRPS(Ratio):
    """How good a predicted distribution is, in the unit of the data: the continuous ranked probability score.

        CRPS = integral of (F(x) - [x >= true])^2 dx = 2 * integral from 0 to 1 of pinball(level) dlevel
             ~ 2 * sum over levels of width * pinball(level)
        width = from halfway to the level below to halfway to that above, 0 and 1 at the ends
        mean over true values

    Of a point it is the absolute error. At the levels (k - 1/2) / K it is exact for the K values taken as a sample. Two
    models compare only at the same levels. A value that is missing in the reference is left out.

    Units:
        the output's own

    Errors:
        DataError: there are no quantiles, examples have different levels, or values that are no numbers, not finite, or
            of another shape than the reference.

    Source: Gneiting and Raftery 2007 (JASA 102:359), equation 20; Laio and Tamea 2007 (HESS 11:1267) for the quantile
        form.
    """

    higher_is_better = False
    needs = ("quantiles", "expected")
    counted = "true value"

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        rows = []
        for levels, losses, count in pinball_losses(predictions, "crps"):
            widths = np.diff([0, *(levels[1:] + levels[:-1]) / 2, 1])
            rows.append([2 * widths @ losses, count])
        return rows
