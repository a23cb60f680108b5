"""Share of examples whose prediction differs from the reference and from all its alternatives."""

from collections.abc import Sequence

from ostinato.metrics.contract import Predictions, Ratio, same


class SequenceError(Ratio):
    """Share of examples whose prediction differs from the reference and from all its alternatives.

    Work on pronunciation calls it the word error rate: a word is wrong when any of its sounds is.

    Args:
        first: whether only the first listed answer, the reference itself, is right: the stricter word error rate.
    """

    higher_is_better = False
    unit = "%"
    greatest = 100.0
    is_share = True
    factor = 100.0
    counted = "example"

    def __init__(self, *, first: bool = False):
        self.first = first

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        alternatives = None if self.first else predictions.alternatives
        rows = zip(
            predictions.predicted, predictions.expected, alternatives or [()] * len(predictions.expected), strict=True
        )
        return [
            [int(not any(same(predicted, right) for right in (expected, *others))), 1]
            for predicted, expected, others in rows
        ]
