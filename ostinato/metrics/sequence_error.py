"""Share of examples whose prediction differs from the reference and from all its alternatives."""

from collections.abc import Sequence

from ostinato.metrics._raw import ratio, same
from ostinato.metrics.contract import Judged, Metric


class SequenceError(Metric):
    """Share of examples whose prediction differs from the reference and from all its alternatives.

    What work on pronunciation calls the word error rate: a word is wrong when any of its sounds is.
    """

    higher_is_better = False
    unit = "%"
    is_share = True
    needs_log_probability = False

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        alternatives = [()] * len(judged.expected) if judged.alternatives is None else judged.alternatives
        return [
            [int(not any(same(predicted, right) for right in (expected, *others))), 1]
            for predicted, expected, others in zip(judged.predicted, judged.expected, alternatives, strict=True)
        ]

    def value(self, total: Sequence[float]) -> float:
        return 100 * ratio(total[0], total[1], "sequence_error", "example")

    def signature(self) -> str:
        return "different from the reference and all listed alternatives"
