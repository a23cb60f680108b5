"""Share of the predicted spans that are right."""

from collections.abc import Sequence

from ostinato.metrics._spans import rows, share
from ostinato.metrics.contract import Judged, Metric


class SpanPrecision(Metric):
    """Share of the predicted spans that are right.

        precision = 100 * right / predicted

    A span is right if label, first and last step are. Tags in IOB1, IOB2 or BIOES are read as conlleval reads them, legal or not;
    with plain labels a span is a longest run of one label other than `O`. A step without a reference ends spans on both sides.
    0 where only the references have spans. Alternatives are not read.

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
        return share(total[0], total[1], total, "span_precision")

    def signature(self) -> str:
        return "conlleval's spans, or runs of plain labels; label and both ends right"
