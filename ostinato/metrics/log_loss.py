"""The mean negative log-probability of a target: how surprised the model is by the right answer."""

from collections.abc import Sequence
from math import inf

from ostinato.metrics.contract import Predictions, Ratio, reference_scores


class LogLoss(Ratio):
    """The mean negative log-probability of a target: how surprised the model is by the right answer.

        log loss = - sum over examples of log p(reference) / number of targets

    A target is a label, or a step that has one. Of real numbers it is the density that counts, so that the metric may
    be below 0.

    Units:
        nats per target; guessing among V equal labels gives log V

    Errors:
        DataError: a reference is impossible under the model.
    """

    higher_is_better = False
    unit = "nats"
    least = -inf
    per_step = True
    needs = ("log_probability", "num_targets")
    factor = -1.0
    counted = "target"

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        return list(zip(reference_scores(self, predictions), predictions.num_targets, strict=True))
