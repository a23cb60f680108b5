"""The share of predictions that are as long as their reference."""

from collections.abc import Sequence

from ostinato.contracts import Metric, Predictions, Whole


class SameLength(Metric):
    """Share of predictions that are as long as their reference.

    Args:
        within: how far the two lengths may be apart.

    Units: characters of texts, items of lists.
    """

    higher_is_better = True
    unit = "%"
    greatest = 100.0
    is_share = True

    def __init__(self, *, within: Whole = 0):
        self.within = within

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        pairs = zip(predictions.predicted, predictions.expected, strict=True)
        return [[int(abs(len(predicted) - len(expected)) <= self.within), 1] for predicted, expected in pairs]

    def value(self, total: Sequence[float]) -> float:
        return 100 * total[0] / total[1]
