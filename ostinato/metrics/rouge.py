"""ROUGE: what predictions and references share, single words, pairs of words, or a subsequence."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from rapidfuzz.distance import LCSseq

from ostinato.metrics._raw import text
from ostinato.metrics.contract import Predictions, Ratio

_NO_WORD = re.compile(r"[^a-z0-9]+")


class ROUGE(Ratio):
    """ROUGE-1, -2 or -L: the F1 of what a prediction and its reference share, as a mean over examples.

        P  = shared / predicted        R = shared / of the reference        F1 = 2 P R / (P + R)
        ROUGE = 100 * mean F1

        unigrams, bigrams   words, or pairs of neighbours, each as often as both sides have it
        longest             the words of the longest common subsequence

    Words are runs of a to z and 0 to 9 in lower case, as in Google's rouge-score, without stemming; all else divides
    them. So it is for English. An example counts 0 where either side has nothing to share.

    Args:
        overlap: unigrams for ROUGE-1, bigrams for ROUGE-2, longest for ROUGE-L.
        alternatives: whether the best of the reference and its alternatives counts, in place of the reference alone.

    Source: Lin 2004, W04-1013; sentence level, one reference or the best of several, without the original's jackknife.
    """

    higher_is_better = True
    greatest = 100.0
    factor = 100.0
    counted = "example"

    def __init__(self, *, overlap: Literal["unigrams", "bigrams", "longest"] = "unigrams", alternatives: bool = False):
        self._words = {"unigrams": 1, "bigrams": 2}.get(overlap)
        self._alternatives = alternatives

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        others = predictions.alternatives if self._alternatives else None
        rows = zip(predictions.predicted, predictions.expected, others or [()] * len(predictions.expected), strict=True)
        return [
            [
                max(
                    self._f1(*(_words(text(raw, example)) for raw in (predicted, right))) for right in (expected, *more)
                ),
                1,
            ]
            for example, (predicted, expected, more) in enumerate(rows)
        ]

    def _f1(self, predicted: list[str], expected: list[str]) -> float:
        if self._words is None:
            shared, sizes = LCSseq.similarity(predicted, expected), len(predicted) + len(expected)
        else:
            grams = [Counter(zip(*(words[start:] for start in range(self._words)))) for words in (predicted, expected)]
            shared, sizes = (grams[0] & grams[1]).total(), grams[0].total() + grams[1].total()
        return 2 * shared / sizes if sizes else 0.0


def _words(line: str) -> list[str]:
    return _NO_WORD.sub(" ", line.lower()).split()
