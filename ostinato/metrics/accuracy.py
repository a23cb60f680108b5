"""Share of examples whose label is right."""

from collections.abc import Sequence

from ostinato.metrics._confusion import chosen
from ostinato.metrics._raw import ratio
from ostinato.metrics.contract import Judged, Metric


class Accuracy(Metric):
    """Share of examples whose label is right; with several labels an example, all of them and no other (subset accuracy).

    The order of several labels does not count. An example without a reference is left out. One label per step is judged by
    `step_accuracy`. Alternatives are not read.
    """

    higher_is_better = True
    unit = "%"
    is_share = True
    needs_log_probability = False

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        return [[0, 0] if pair is None else [int(pair[0] == pair[1]), 1] for pair in chosen(judged)]

    def value(self, total: Sequence[float]) -> float:
        return 100 * ratio(total[0], total[1], "accuracy", "label")

    def signature(self) -> str:
        return "all labels of an example right, no other"
