"""How many equally likely symbols the model hesitates between, on average, at a step of the reference."""

import math
from collections.abc import Sequence

from ostinato.errors import TRAIN_AGAIN, DataError
from ostinato.metrics.contract import Metric, Predictions, ratio, reference_scores

_LARGEST = math.log(1.7e308)


class Perplexity(Metric):
    """How many equally likely symbols the model hesitates between, on average, at a step of the reference.

        perplexity = exp(- sum over examples of log p(reference) / number of their steps)

    Steps are the output's own symbols, the end symbol included, so that two models compare only under one tokenizer.

    Errors:
        DataError: a reference is impossible under the model, or the mean is too large for a number.
    """

    higher_is_better = False
    per_step = True
    needs = ("log_probability", "num_targets")

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        return list(zip(reference_scores(self, predictions), predictions.num_targets, strict=True))

    def value(self, total: Sequence[float]) -> float:
        mean = -ratio(self, total, "target step")
        if mean > _LARGEST:
            raise DataError(f"perplexity: the mean of {mean:.4g} nats a step is too large for a number; {TRAIN_AGAIN}")
        return math.exp(mean)
