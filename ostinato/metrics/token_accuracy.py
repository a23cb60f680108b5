"""Share of the reference's steps that the model scores best, given the reference up to there."""

from collections.abc import Sequence

from ostinato.errors import DataError
from ostinato.metrics._raw import ratio
from ostinato.metrics.contract import Judged, Metric


class TokenAccuracy(Metric):
    """Share of the reference's steps that the model scores best, given the reference up to there (teacher forcing).

    The end symbol counts as a step. It says nothing of what the model would make of its own mistakes.
    """

    higher_is_better = True
    unit = "%"
    is_share = False
    needs_log_probability = True
    per_step = True

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        if judged.num_right is None or judged.num_targets is None:
            raise DataError(
                "token_accuracy needs the reference's scores; this model or output gives none: leave the metric out"
            )
        return [[right, targets] for right, targets in zip(judged.num_right, judged.num_targets, strict=True)]

    def value(self, total: Sequence[float]) -> float:
        return 100 * ratio(total[0], total[1], "token_accuracy", "target step")

    def signature(self) -> str:
        return "teacher forcing, end symbol included"
