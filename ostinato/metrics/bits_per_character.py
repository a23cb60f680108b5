"""How many bits the model needs for a character of the references, whatever its symbols are."""

import math
from collections.abc import Sequence

from ostinato.errors import DataError
from ostinato.metrics._raw import ratio, text
from ostinato.metrics.contract import Judged, Metric


class BitsPerCharacter(Metric):
    """How many bits the model needs for a character of the references, whatever its symbols are.

        bits per character = - sum over examples of log2 p(reference) / number of their characters

    Characters are Unicode code points of the raw reference, so that models with different tokenizers compare. What the end
    symbol costs is counted, as a character it is not. Lists are joined by spaces first.

    Units:
        bits; uniform guessing among V characters gives log2 V

    Errors:
        DataError: a reference is impossible under the model.
    """

    higher_is_better = False
    unit = "bits"
    is_share = False
    needs_log_probability = True
    needs = ("expected",)

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        if judged.log_probability is None:
            raise DataError(
                "bits_per_character needs the reference's scores; this model or output gives none: leave the metric out"
            )
        rows = []
        for example, (score, expected) in enumerate(zip(judged.log_probability, judged.expected, strict=True)):
            if not math.isfinite(score):
                raise DataError(
                    f"bits_per_character: the log-probability of reference {example + 1} is {score}, so that the metric has no"
                    " finite value; leave the example out, or look for weights that are not finite"
                )
            rows.append([score, len(text(expected, example))])
        return rows

    def value(self, total: Sequence[float]) -> float:
        return -ratio(total[0], total[1], "bits_per_character", "character") / math.log(2)

    def signature(self) -> str:
        return "code points of the raw reference, end symbol's cost included"
