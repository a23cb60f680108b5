"""Items to insert, delete or replace until the predictions are right, per item of the references."""

from collections.abc import Sequence

import rapidfuzz

from ostinato.metrics._raw import edits, items, ratio
from ostinato.metrics.contract import Judged, Metric


class TokenErrorRate(Metric):
    """Items to insert, delete or replace until the predictions are right, per item of the references.

        TER = 100 * sum of edits / sum of reference items     may pass 100 %

    An item is a member of a list, or a word between white space of a text. Over lists of sounds this is the phoneme error
    rate, over texts the word error rate of speech recognition. Alternatives are not read.

    Source: Levenshtein 1966.
    """

    higher_is_better = False
    unit = "%"
    is_share = False
    needs_log_probability = False

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        return edits(judged, items)

    def value(self, total: Sequence[float]) -> float:
        return 100 * ratio(total[0], total[1], "token_error_rate", "reference item")

    def signature(self) -> str:
        return f"RapidFuzz {rapidfuzz.__version__} Levenshtein over items"
