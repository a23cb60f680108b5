"""The head of numbers of a whole example."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ostinato.distributions.contract import Distribution
from ostinato.distributions.point import Distance, Point
from ostinato.encoders.contract import Encoded
from ostinato.heads._features import Summaries, mapped, single
from ostinato.heads._losses import misfit
from ostinato.heads.contract import Predictor, Sizes
from ostinato.layers.pooling import Pool
from ostinato.modalities.contract import Values
from ostinato.registry import Count, Rate
from ostinato.steps import Steps


class Regressor(Predictor):
    """Predicts the number of a whole example, or a vector of numbers.

        x = [p_1; ...; p_n]                    a pooled vector for each input that is read
        x = relu(W x + b)                      with a layer
        f = W x + b
        -log p(y) = rho(y - f) + log of the integral of exp(-rho)     for each number
        squared:  rho(r) = r^2 / 2             a normal density of scale 1: f is the mean
        absolute: rho(r) = |r|                 Laplace's: f is the median
        huber:    rho(r) = r^2 / 2 up to |r| = 1, |r| - 1/2 beyond

    The scale is 1 in the units of the encoded targets, which their modality scales. Numbers that are NaN are left out.

    Shapes:
        targets (B, C)

    Args:
        pool: how the steps of an input become one vector; last: the encoder's own summary, which an input without
            steps always gives.
        layer_size: the width of a layer between the vectors and the numbers; null: none.
        dropout: on the vectors and on the layer.
        loss: how distance counts.

    Errors:
        ConfigError: the output is none of numbers, or an input lacks what is pooled.
        DataError: the targets are not one for each example.

    Source: Huber 1964, doi:10.1214/aoms/1177703732, with k = 1.
    """

    aligns = frozenset({"summary"})
    gives = frozenset({"log_probability", "num_targets"})
    sums = True

    def __init__(
        self,
        spec: Values,
        sizes: Sequence[Sizes],
        *,
        pool: Pool = "last",
        layer_size: Count | None = None,
        dropout: Rate = 0.0,
        loss: Distance = "squared",
    ):
        super().__init__()
        if not isinstance(spec, Values):
            raise misfit("regressor", "real numbers", spec)
        self.features = Summaries(sizes, pool=pool, layer_size=layer_size)
        self.dropout = dropout
        self.output = nn.Linear(self.features.size, spec.size)
        self.distance: Distance = loss

    def predict_distribution(
        self, encoded: Sequence[Encoded], targets: Steps | None = None, training: bool = False
    ) -> Distribution:
        location = mapped(self.features(encoded, self.dropout if training else 0.0), self.output)
        return Point(location, self.distance, single(len(location), location.device, targets))
