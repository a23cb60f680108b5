"""How far predictions are from the true numbers, large errors weighing most: the mean squared error."""

from collections.abc import Sequence

from ostinato.metrics._numbers import squared, summed
from ostinato.metrics.contract import Predictions, Ratio


class MSE(Ratio):
    """How far predictions are from the true numbers, large errors weighing most: the mean squared error.

        MSE = sum (predicted - true)^2 / number of true values

    Over all values of all examples: steps and channels. A value that is missing in the reference is left out. Of
    numbers that were scaled before they came here it is the error in that scale.

    Units:
        the square of the output's own

    Errors:
        DataError: a value is no number, a prediction is not finite, or has another shape than its reference.
    """

    higher_is_better = False
    counted = "true value"

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        return summed(predictions, squared)
