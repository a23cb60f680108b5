"""Items to insert, delete or replace until the predictions are right, per item of the references."""

from collections.abc import Sequence

from ostinato.metrics._raw import edits, items
from ostinato.metrics.contract import Predictions, Ratio


class TokenErrorRate(Ratio):
    """Items to insert, delete or replace until the predictions are right, per item of the references.

        TER = 100 * sum of edits / sum of reference items     may pass 100 %

    An item is a member of a list, or a word between white space of a text. Over lists of sounds this is the phoneme
    error rate, over texts the word error rate of speech recognition. Alternatives are not read.

    Source: Levenshtein 1966.
    """

    higher_is_better = False
    unit = "%"
    factor = 100.0
    counted = "reference item"

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        return edits(predictions, items)
