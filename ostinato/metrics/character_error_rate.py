"""Characters to insert, delete or replace until the predictions are right, per character of the references."""

from collections.abc import Sequence

import rapidfuzz

from ostinato.metrics._raw import edits, ratio, text
from ostinato.metrics.contract import Judged, Metric


class CharacterErrorRate(Metric):
    """Characters to insert, delete or replace until the predictions are right, per character of the references.

        CER = 100 * sum of edits / sum of reference characters     may pass 100 %

    Characters are Unicode code points, spaces included; nothing is normalised. Lists are joined by spaces first.
    Alternatives are not read.

    Source: Levenshtein 1966.
    """

    higher_is_better = False
    unit = "%"
    is_share = False
    needs_log_probability = False

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        return edits(judged, text)

    def value(self, total: Sequence[float]) -> float:
        return 100 * ratio(total[0], total[1], "character_error_rate", "reference character")

    def signature(self) -> str:
        return f"RapidFuzz {rapidfuzz.__version__} Levenshtein over code points"
