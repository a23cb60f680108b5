"""Length of the predictions over the length of the references: 1 is best, below it the model predicts too little."""

from collections.abc import Sequence

from ostinato.metrics._raw import length
from ostinato.metrics.contract import Predictions, Ratio


class LengthRatio(Ratio):
    """Length of the predictions over the length of the references: 1 is best, below it the model predicts too little.

        ratio = sum of predicted lengths / sum of reference lengths

    Units: characters (Unicode code points) of texts, items of lists. Alternatives are not read.
    """

    higher_is_better = None
    counted = "reference character or item"

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        return [
            [length(predicted, example), length(expected, example)]
            for example, (predicted, expected) in enumerate(
                zip(predictions.predicted, predictions.expected, strict=True)
            )
        ]
