"""How surprised a model is by the right answer once it knows its code: what a variational autoencoder reconstructs."""

from collections.abc import Sequence
from math import inf

from ostinato.metrics.contract import Predictions, Ratio, distances, reference_scores


class ReconstructionLoss(Ratio):
    """The mean negative log-probability of a target, given a code z that is drawn for its example.

        reconstruction loss = - sum over examples of log p(reference | z) / number of targets

    With the distances of the codes (`kl_divergence`) it makes the evidence lower bound (ELBO) of an example,
    log p(reference | z) - kl, whose negative mean over targets is `log_loss`.

    Units:
        nats per target; of real numbers it is the density that counts, so that the metric may be below 0

    Errors:
        DataError: a reference is impossible under the model, or the model draws no code.

    Source: Kingma and Welling 2014, arXiv:1312.6114, equation 3.
    """

    higher_is_better = False
    unit = "nats"
    least = -inf
    per_step = True
    needs = ("log_probability", "num_targets", "distance")
    factor = -1.0
    counted = "target"

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        scores = zip(reference_scores(self, predictions), distances(self, predictions), strict=True)
        return list(zip((score + paid for score, paid in scores), predictions.num_targets, strict=True))
