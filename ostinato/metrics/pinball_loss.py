"""How good predicted quantiles are: the mean pinball loss over their levels."""

from collections.abc import Sequence

import numpy as np

from ostinato.metrics._numbers import pinball_losses
from ostinato.metrics.contract import Predictions, Ratio


class PinballLoss(Ratio):
    """How good predicted quantiles are: the mean pinball loss over their levels.

        loss = (true - q) * level          where true >= q, the predicted quantile at that level
               (q - true) * (1 - level)    where true < q
        mean over levels and true values

    The true quantiles have the least; at level 0.5 it is half the absolute error. Two models compare only at the same
    levels. A value that is missing in the reference is left out.

    Units:
        the output's own

    Errors:
        DataError: there are no quantiles, examples have different levels, or values that are no numbers, not finite, or
            of another shape than the reference.

    Source: Koenker and Bassett 1978 (Econometrica 46:33).
    """

    higher_is_better = False
    needs = ("quantiles", "expected")
    counted = "true value"

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        return [[np.mean(losses), count] for _, losses, count in pinball_losses(predictions, "pinball_loss")]
