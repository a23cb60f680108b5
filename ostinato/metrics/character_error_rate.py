"""Characters to insert, delete or replace until the predictions are right, per character of the references."""

from collections.abc import Sequence

from ostinato.metrics._raw import edits, text
from ostinato.metrics.contract import Predictions, Ratio


class CharacterErrorRate(Ratio):
    """Characters to insert, delete or replace until the predictions are right, per character of the references.

        CER = 100 * sum of edits / sum of reference characters     may pass 100 %

    Characters are Unicode code points, spaces included; nothing is normalised. Lists are joined by spaces first.
    Alternatives are not read.

    Source: Levenshtein 1966.
    """

    higher_is_better = False
    unit = "%"
    factor = 100.0
    counted = "reference character"

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        return edits(predictions, text)
