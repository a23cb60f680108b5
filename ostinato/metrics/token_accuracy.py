"""Share of the reference's steps that the model scores best, given the reference up to there."""

from collections.abc import Sequence

from ostinato.metrics.contract import Predictions, Ratio, without_scores


class TokenAccuracy(Ratio):
    """Share of the reference's steps that the model scores best, given the reference up to there (teacher forcing).

    The end symbol counts as a step. It does not measure how the model continues after its own mistakes.
    """

    higher_is_better = True
    unit = "%"
    greatest = 100.0
    per_step = True
    needs = ("num_right", "num_targets")
    factor = 100.0
    counted = "target step"

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        if self.lacks(predictions):
            raise without_scores(self)
        return list(zip(predictions.num_right, predictions.num_targets, strict=True))
