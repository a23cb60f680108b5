"""Share of examples whose prediction equals the reference or one of its alternatives."""

from collections.abc import Sequence

from ostinato.metrics._raw import ratio, same
from ostinato.metrics.contract import Judged, Metric


class ExactMatch(Metric):
    """Share of examples whose prediction equals the reference or one of its alternatives.

    Equality is exact: case, spaces, Unicode form and the items of a list all count.
    """

    higher_is_better = True
    unit = "%"
    is_share = True
    needs_log_probability = False

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        alternatives = [()] * len(judged.expected) if judged.alternatives is None else judged.alternatives
        return [
            [int(same(predicted, expected) or any(same(predicted, other) for other in others)), 1]
            for predicted, expected, others in zip(judged.predicted, judged.expected, alternatives, strict=True)
        ]

    def value(self, total: Sequence[float]) -> float:
        return 100 * ratio(total[0], total[1], "exact_match", "example")

    def signature(self) -> str:
        return "equal to the reference or a listed alternative"
