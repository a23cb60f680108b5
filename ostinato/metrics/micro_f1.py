"""F1 of all labels of all examples together: a frequent label counts more than a rare one."""

from collections.abc import Sequence

from ostinato.metrics._confusion import chosen
from ostinato.metrics._raw import ratio
from ostinato.metrics.contract import Judged, Metric


class MicroF1(Metric):
    """F1 of all labels of all examples together: a frequent label counts more than a rare one.

        micro F1 = 100 * 2 right / (labels predicted + labels expected)

    One label an example, where this is accuracy, or a list of any number. An example without a reference is left out.
    Alternatives are not read.
    """

    higher_is_better = True
    unit = "%"
    is_share = False
    needs_log_probability = False

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        return [
            [0, 0] if pair is None else [len(pair[0] & pair[1]), len(pair[0]) + len(pair[1])] for pair in chosen(judged)
        ]

    def value(self, total: Sequence[float]) -> float:
        return 200 * ratio(total[0], total[1], "micro_f1", "label")

    def signature(self) -> str:
        return "over all labels together"
