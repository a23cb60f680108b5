"""The head of numbers of a whole example."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.encoders._contract import Encoded
from ostinato.errors import ConfigError
from ostinato.heads._contract import Head, Loss, Predicted, Predictor, Scored, Sizes
from ostinato.heads._features import Pool, Summaries, mapped, single
from ostinato.heads._losses import described, sums
from ostinato.modalities._contract import Values
from ostinato.registry import Count, Rate
from ostinato.steps import Steps

_LOSSES = {
    "squared": lambda apart: apart**2 / 2,
    "absolute": torch.abs,
    "huber": lambda apart: functional.huber_loss(apart, torch.zeros_like(apart), reduction="none"),
}
# The logarithm of the integral of exp(-loss): what makes a density of it. Huber's is normal up to 1 and exponential beyond.
_NORMALISERS = {
    "squared": math.log(2 * math.pi) / 2,
    "absolute": math.log(2),
    "huber": math.log(math.sqrt(2 * math.pi) * math.erf(math.sqrt(0.5)) + 2 * math.exp(-0.5)),
}


class Regressor(Head, Predictor):
    """Says what number a whole example has, or which vector of numbers.

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
        pool: how the steps of an input become one vector; last: the encoder's own summary.
        layer_size: the width of a layer between the vectors and the numbers; null: none.
        dropout: on the vectors and on the layer.
        loss: how distance counts.

    Errors:
        ConfigError: the output is none of numbers, or an input lacks what is pooled.
        DataError: the targets are not one for each example.

    Source: Huber 1964, doi:10.1214/aoms/1177703732, with k = 1.
    """

    aligns = frozenset({"summary"})
    generates = False

    def __init__(
        self,
        spec: Values,
        sizes: Sequence[Sizes],
        *,
        pool: Pool = "last",
        layer_size: Count | None = None,
        dropout: Rate = 0.0,
        loss: Literal["squared", "absolute", "huber"] = "squared",
    ):
        super().__init__()
        if not isinstance(spec, Values):
            raise ConfigError(f"regressor says real numbers, and a step of this output is {described(spec)}; choose another head")
        self.features = Summaries(sizes, pool=pool, layer_size=layer_size)
        self.dropout = dropout
        self.output = nn.Linear(self.features.size, spec.size)
        self.kind = loss

    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        found = self._found(encoded, self.dropout if self.training else 0.0)
        single(len(found), found.device, targets)
        real = ~targets.values.isnan()
        losses = self._losses(targets.values[real].to(found.dtype) - found[real])
        return Loss(losses.sum(), losses.numel())

    def score(self, encoded: Sequence[Encoded], targets: Steps) -> Scored:
        """The logarithm of the density; right is a number that is met exactly, where the density is highest."""
        found = self._found(encoded)
        layout = single(len(found), found.device, targets)
        real = ~targets.values.isnan()
        truth = torch.where(real, targets.values.to(found.dtype), found)
        density = -self._losses(truth - found).masked_fill(~real, 0).sum(1)
        right = ((truth == found) & real).sum(1).to(found.dtype)
        return Scored(sums(density, layout), sums(real.sum(1), layout), sums(right, layout))

    def predict(self, encoded: Sequence[Encoded]) -> Predicted:
        found = self._found(encoded)
        layout = single(len(found), found.device)
        return Predicted(Steps(found, layout), self._losses(torch.zeros_like(found)).neg().sum(1))

    def _found(self, encoded: Sequence[Encoded], dropout: float = 0.0) -> Tensor:
        return mapped(self.features(encoded, dropout), self.output)

    def _losses(self, apart: Tensor) -> Tensor:
        return _LOSSES[self.kind](apart) + _NORMALISERS[self.kind]
