"""Share of examples whose prediction equals the reference or one of its alternatives."""

from collections.abc import Sequence

from ostinato.metrics.contract import Predictions, Ratio, same


class ExactMatch(Ratio):
    """Share of examples whose prediction equals the reference or one of its alternatives.

    Equality is exact: case, spaces, Unicode form and the items of a list all count.
    """

    higher_is_better = True
    unit = "%"
    greatest = 100.0
    is_share = True
    factor = 100.0
    counted = "example"

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        alternatives = predictions.alternatives or [()] * len(predictions.expected)
        rows = zip(predictions.predicted, predictions.expected, alternatives, strict=True)
        return [
            [int(any(same(predicted, right) for right in (expected, *others))), 1]
            for predicted, expected, others in rows
        ]
