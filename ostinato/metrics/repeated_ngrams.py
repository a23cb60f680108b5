"""Share of the predictions' n-grams that occur earlier in the same prediction."""

from collections.abc import Sequence

from ostinato.metrics._raw import items
from ostinato.metrics.contract import Metric, Predictions
from ostinato.registry import Count


class RepeatedNGrams(Metric):
    """Share of the predictions' n-grams that occur earlier in the same prediction: how much a model stutters.

        100 * (n-grams - different n-grams) / n-grams     each summed over predictions; 0 where all are too short

    An item is a member of a list, or a word between white space of a text. References are not read; what they repeat
    themselves is the level to expect of a good model.

    Args:
        n: items of an n-gram.

    Source: 1 - distinct-n within a text, after Welleck et al. 2020 (arXiv:1908.04319), seq-rep-n, here over the whole
        split.
    """

    higher_is_better = False
    unit = "%"
    greatest = 100.0
    needs = ("predicted",)

    def __init__(self, *, n: Count = 4):
        self.n = n

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        rows = []
        for example, raw in enumerate(predictions.predicted):
            words = items(raw, example)
            grams = list(zip(*(words[start:] for start in range(self.n))))
            rows.append([len(grams) - len(set(grams)), len(grams)])
        return rows

    def value(self, total: Sequence[float]) -> float:
        # Nothing can repeat in answers shorter than n: dates and single words are measured by this metric too.
        return 100 * total[0] / total[1] if total[1] else 0.0
