"""chrF of the whole corpus, by sacreBLEU."""

from collections.abc import Sequence
from typing import Literal

from ostinato.metrics._raw import text
from ostinato.metrics.contract import Metric, Predictions


class ChrF(Metric):
    """chrF of the whole corpus, by sacreBLEU: agreement in n-grams of 1 to 6 characters, white space left out.

        chrF = 100 * (1 + 2^2) P R / (2^2 P + R)     P, R: precision and recall of n-grams, averaged over the orders

    One reference per example; alternatives are not read. Lists are joined by spaces first.

    Args:
        word_order: longest n-gram of words that counts too; 2 makes it chrF++.

    Source: Popović 2015 (W15-3049), 2017 (W17-4770); Post 2018 (arXiv:1804.08771).
    """

    higher_is_better = True
    greatest = 100.0

    def __init__(self, *, word_order: Literal[0, 1, 2] = 0):
        from sacrebleu.metrics import CHRF  # here, since it is heavy and every recipe's schema reads this file

        self._scorer = CHRF(word_order=word_order)

    # sacreBLEU gives chrF's sums through underscored methods alone; a test holds them equal to its corpus_score.
    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        predicted = [text(raw, example) for example, raw in enumerate(predictions.predicted)]
        expected = [text(raw, example) for example, raw in enumerate(predictions.expected)]
        return self._scorer._extract_corpus_statistics(predicted, [expected])

    def value(self, total: Sequence[float]) -> float:
        return min(100.0, self._scorer._compute_score_from_stats(list(total)).score)
