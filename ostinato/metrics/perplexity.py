"""How many equally likely symbols the model hesitates between, on average, at a step of the reference."""

import math
from collections.abc import Sequence

from ostinato.errors import DataError
from ostinato.metrics._raw import ratio
from ostinato.metrics.contract import Judged, Metric

_LARGEST = math.log(1.7e308)


class Perplexity(Metric):
    """How many equally likely symbols the model hesitates between, on average, at a step of the reference.

        perplexity = exp(- sum over examples of log p(reference) / number of their steps)

    Steps are the output's own symbols, the end symbol included, so that two models compare only under one tokenizer.

    Errors:
        DataError: a reference is impossible under the model, or the mean is too large for a number.
    """

    higher_is_better = False
    unit = ""
    is_share = False
    needs_log_probability = True
    per_step = True

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        if judged.log_probability is None or judged.num_targets is None:
            raise DataError(
                "perplexity needs the reference's scores; this model or output gives none: leave the metric out"
            )
        for example, log_probability in enumerate(judged.log_probability):
            if not math.isfinite(log_probability):
                raise DataError(
                    f"perplexity: the log-probability of reference {example + 1} is {log_probability}, so that the metric has no"
                    " finite value; leave the example out, or look for weights that are not finite"
                )
        return [[score, targets] for score, targets in zip(judged.log_probability, judged.num_targets, strict=True)]

    def value(self, total: Sequence[float]) -> float:
        mean = -ratio(total[0], total[1], "perplexity", "target step")
        if mean > _LARGEST:
            raise DataError(
                f"perplexity: the mean of {mean:.4g} nats a step is too large for a number; train with a lower learning rate"
            )
        return math.exp(mean)

    def signature(self) -> str:
        return "per step of the output's tokenizer, end symbol included"
