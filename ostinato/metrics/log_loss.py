"""How surprised the model is by the right answer, on average: the mean negative log-probability of a target."""

import math
from collections.abc import Sequence

from ostinato.errors import DataError
from ostinato.metrics._raw import ratio
from ostinato.metrics.contract import Judged, Metric


class LogLoss(Metric):
    """How surprised the model is by the right answer, on average: the mean negative log-probability of a target.

        log loss = - sum over examples of log p(reference) / number of targets

    A target is a label, or a step that has one. Of real numbers it is the density that counts, so that the metric may be below 0.

    Units:
        nats per target; guessing among V equal labels gives log V

    Errors:
        DataError: a reference is impossible under the model.
    """

    higher_is_better = False
    unit = "nats"
    is_share = False
    needs_log_probability = True
    per_step = True

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        if judged.log_probability is None or judged.num_targets is None:
            raise DataError(
                "log_loss needs the reference's scores; this model or output gives none: leave the metric out"
            )
        for example, log_probability in enumerate(judged.log_probability):
            if not math.isfinite(log_probability):
                raise DataError(
                    f"log_loss: the log-probability of reference {example + 1} is {log_probability}, so that the metric has no"
                    " finite value; leave the example out, or look for weights that are not finite"
                )
        return [[score, targets] for score, targets in zip(judged.log_probability, judged.num_targets, strict=True)]

    def value(self, total: Sequence[float]) -> float:
        return -ratio(total[0], total[1], "log_loss", "target")

    def signature(self) -> str:
        return "natural logarithm, per target"
