"""Length of the predictions in lengths of the references: 1 is best, below it the model says too little."""

from collections.abc import Sequence

from ostinato.metrics._raw import length, ratio
from ostinato.metrics.contract import Judged, Metric


class LengthRatio(Metric):
    """Length of the predictions in lengths of the references: 1 is best, below it the model says too little.

        ratio = sum of predicted lengths / sum of reference lengths

    Units: characters (Unicode code points) of texts, items of lists. Alternatives are not read.
    """

    higher_is_better = None
    unit = ""
    is_share = False
    needs_log_probability = False

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        return [
            [length(predicted, example), length(expected, example)]
            for example, (predicted, expected) in enumerate(zip(judged.predicted, judged.expected, strict=True))
        ]

    def value(self, total: Sequence[float]) -> float:
        return ratio(total[0], total[1], "length_ratio", "reference character or item")

    def signature(self) -> str:
        return "characters of texts, items of lists"
