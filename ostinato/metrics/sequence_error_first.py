"""Share of examples whose prediction differs from the reference, whatever alternatives are listed."""

from collections.abc import Sequence

from ostinato.metrics._raw import ratio, same
from ostinato.metrics.contract import Judged, Metric


class SequenceErrorFirst(Metric):
    """Share of examples whose prediction differs from the reference, whatever alternatives are listed.

    The stricter word error rate of work on pronunciation: only the first listed answer is right.
    """

    higher_is_better = False
    unit = "%"
    is_share = True
    needs_log_probability = False

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        return [
            [int(not same(predicted, expected)), 1]
            for predicted, expected in zip(judged.predicted, judged.expected, strict=True)
        ]

    def value(self, total: Sequence[float]) -> float:
        return 100 * ratio(total[0], total[1], "sequence_error_first", "example")

    def signature(self) -> str:
        return "different from the reference, alternatives not read"
