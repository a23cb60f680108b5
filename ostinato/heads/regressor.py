"""The head of numbers of a whole example."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.heads._features import Pool, Summaries, mapped, single
from ostinato.heads._losses import described, mean_of_logs, sums
from ostinato.heads.contract import Belief, Head, Loss, Predicted, Predictor, Scored, Sizes
from ostinato.modalities.contract import Values
from ostinato.registry import Count, Rate
from ostinato.steps import Layout, Steps

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
    sums = True
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
            raise ConfigError(
                f"regressor says real numbers, and a step of this output is {described(spec)}; choose another head"
            )
        self.features = Summaries(sizes, pool=pool, layer_size=layer_size)
        self.dropout = dropout
        self.output = nn.Linear(self.features.size, spec.size)
        self.kind = loss

    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        found = self._found(encoded, self.dropout if self.training else 0.0)
        single(len(found), found.device, targets)
        real = ~targets.values.isnan()
        losses = -_log_density(self.kind, targets.values[real].to(found.dtype) - found[real])
        return Loss(losses.sum(), losses.numel())

    def score(self, encoded: Sequence[Encoded], targets: Steps) -> Scored:
        """The logarithm of the density; right is a number that is met exactly, where the density is highest."""
        return self.believe(encoded, targets).score(targets)

    def believe(self, encoded: Sequence[Encoded], targets: Steps | None = None) -> NumberBelief:
        found = self._found(encoded)
        return NumberBelief(single(len(found), found.device, targets), ((found, self.kind),))

    def _found(self, encoded: Sequence[Encoded], dropout: float = 0.0) -> Tensor:
        return mapped(self.features(encoded, dropout), self.output)


@dataclass(frozen=True)
class NumberBelief(Belief):
    """A density around each number; of several heads the mean of their numbers, and the mean of their densities.

        f = mean over heads i of f_i
        p(y) = mean over heads i of p_i(y)

    Args:
        layout: of one answer for each example.
        members: the numbers (B, C) of each head, and the loss that its density is made of.

    Source: Lakshminarayanan 2017, arXiv:1612.01474, section 2.4.
    """

    layout: Layout
    members: tuple[tuple[Tensor, str], ...]

    def mean(self, others: Sequence[NumberBelief]) -> NumberBelief:
        return replace(self, members=sum((one.members for one in others), self.members))

    def answer(self) -> Predicted:
        found = self._found()
        return Predicted(Steps(found, self.layout), self._log_densities(found).sum(1))

    def score(self, targets: Steps) -> Scored:
        found = self._found()
        real = ~targets.values.isnan()
        truth = torch.where(real, targets.values.to(found.dtype), found)
        density = self._log_densities(truth).masked_fill(~real, 0).sum(1)
        right = ((truth == found) & real).sum(1).to(found.dtype)
        return Scored(sums(density, self.layout), sums(real.sum(1), self.layout), sums(right, self.layout))

    def _found(self) -> Tensor:
        return torch.stack([found for found, _ in self.members]).mean(0)

    def _log_densities(self, truth: Tensor) -> Tensor:
        return mean_of_logs([_log_density(kind, truth - found) for found, kind in self.members])


def _log_density(kind: str, apart: Tensor) -> Tensor:
    return -_LOSSES[kind](apart) - _NORMALISERS[kind]
