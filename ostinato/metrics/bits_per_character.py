"""How many bits the model needs for a character of the references, whatever its symbols are."""

import math
from collections.abc import Sequence

from ostinato.metrics._raw import text
from ostinato.metrics.contract import Metric, Predictions, ratio, reference_scores


class BitsPerCharacter(Metric):
    """How many bits the model needs for a character of the references, whatever its symbols are.

        bits per character = - sum over examples of log2 p(reference) / number of their characters

    Characters are Unicode code points of the raw reference, so that models with different tokenizers compare. What the
    end symbol costs is counted, as a character it is not. Lists are joined by spaces first.

    Units:
        bits; uniform guessing among V characters gives log2 V

    Errors:
        DataError: a reference is impossible under the model.
    """

    higher_is_better = False
    unit = "bits"
    needs = ("log_probability", "expected")

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        rows = enumerate(zip(reference_scores(self, predictions), predictions.expected, strict=True))
        return [[score, len(text(expected, example))] for example, (score, expected) in rows]

    def value(self, total: Sequence[float]) -> float:
        return -ratio(self, total, "character") / math.log(2)
