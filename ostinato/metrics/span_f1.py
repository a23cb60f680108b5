"""F1 of spans, such as named entities: the harmonic mean of their precision and recall."""

from collections.abc import Sequence

from ostinato.metrics._spans import rows, share
from ostinato.metrics.contract import Judged, Metric


class SpanF1(Metric):
    """F1 of spans, such as named entities: the harmonic mean of their precision and recall.

        F1 = 100 * 2 right / (predicted + spans of the references)

    A span is right if label, first and last step are. Tags in IOB1, IOB2 or BIOES are read as conlleval reads them, legal or not;
    with plain labels a span is a longest run of one label other than `O`. A step without a reference ends spans on both sides.
    0 where only one side has spans. Alternatives are not read.

    Errors:
        DataError: a prediction has not as many steps as its reference, or there is no span at all.

    Source: Tjong Kim Sang and Buchholz 2000 (W00-0726), conlleval, over the labels of all spans together.
    """

    higher_is_better = True
    unit = "%"
    is_share = False
    needs_log_probability = False

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        return rows(judged)

    def value(self, total: Sequence[float]) -> float:
        return share(2 * total[0], total[1] + total[2], total, "span_f1")

    def signature(self) -> str:
        return "conlleval's spans, or runs of plain labels; label and both ends right"
