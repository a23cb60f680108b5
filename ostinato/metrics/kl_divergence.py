"""How much a variational autoencoder says of an example in its code: the distance from the standard normal."""

from collections.abc import Sequence

from ostinato.metrics.contract import Predictions, Ratio, distances


class KlDivergence(Ratio):
    """The mean Kullback-Leibler divergence of an example's code from the standard normal.

        kl divergence = sum over examples of KL(q(z | example) || N(0, 1)) / number of examples

    Near 0 the code says nothing and the decoder does without it (posterior collapse). Neither end is best: the more a
    code says, the better the reconstruction (`reconstruction_loss`), and the worse what is made from a drawn code.

    Units:
        nats per example

    Errors:
        DataError: the model draws no code.

    Source: Kingma and Welling 2014, arXiv:1312.6114, appendix B; collapse: Bowman et al. 2016, arXiv:1511.06349.
    """

    higher_is_better = None
    unit = "nats"
    needs = ("distance",)
    counted = "example"

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        return [(paid, 1.0) for paid in distances(self, predictions)]
