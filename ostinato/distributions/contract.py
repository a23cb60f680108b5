"""What a distribution is: what a model predicts of each target of a batch."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, NoReturn

import torch
from torch import Tensor

from ostinato.errors import ConfigError
from ostinato.steps import Layout

LEVELS = tuple(round(0.05 * k, 2) for k in range(1, 20))
"""The levels of the quantiles that predictions report."""


class Loss(NamedTuple):
    """A loss as a sum and what it is a sum of, so that it can be divided by the number in the whole update.

    Args:
        total: the sum over real targets, a scalar with a gradient, in nats where it is a log-probability.
        count: the number of real targets.
        penalties: what is added to the loss beside it, by name: a sum, and the count that divides it.
    """

    total: Tensor
    count: int  # type: ignore[assignment]
    penalties: Mapping[str, tuple[Tensor, int]] = {}


class Costs(NamedTuple):
    """What training asks of labels beside their log-probability.

    Args:
        smoothing: the share of each target's probability that is spread over all labels.
        focal: the power of (1 - p) that each loss is multiplied by.
        weights: of labels, in a form that spreads over their log-probabilities; None: all 1.
    """

    smoothing: float = 0.0
    focal: float = 0.0
    weights: Tensor | None = None


NO_COSTS = Costs()


class Distribution(ABC):
    """A distribution of the target of each row; rows are independent of each other.

    A row is one step of the targets, or one hypothesis of a search; where `joint`, one whole example. What is missing
    in a target (MISSING among labels, NaN among numbers) is left out of losses, scores and counts.

    Shapes:
        R rows; targets, modes and samples have the form of encoded targets: (N, ...), a step each
    """

    joint: ClassVar[bool] = False
    """Whether a row is a whole example, whose steps depend on each other."""
    draws: ClassVar[int] = 1
    """How many uniform numbers one sampled value takes."""

    lacks: Mapping[str, str] = {}
    """Which of `log_prob`, `sample` and `quantile` mean nothing here, and why."""
    layout: Layout | None = None
    """Of the targets: which steps belong to which example; None for the rows of a search."""

    @property
    def probabilities(self) -> Tensor | None:
        """(N, V) of each label at each step, or None where there are no labels."""
        return None

    def by_symbol(self, size: int) -> Tensor:
        """(R, size) log-probabilities of the symbols of a vocabulary, a new tensor, of which a search may change any.

        Where rows have symbols beyond the vocabulary, they follow.
        """
        self.refuse("symbols")

    @abstractmethod
    def mode(self) -> Tensor:
        """(N, ...) the best target, as this distribution defines it: the most probable one, or the median of
        numbers."""

    @abstractmethod
    def mean_of(self, others: Sequence[Any]) -> Distribution:
        """The average of this and others of its kind; the docstring of the class defines it. Averaged with equals it
        stays the same.

        Errors:
            ConfigError: the others have no average with this one.
        """

    @abstractmethod
    def counts(self, target: Tensor) -> Tensor:
        """(R,) how many real targets a row has."""

    @abstractmethod
    def right(self, target: Tensor) -> Tensor:
        """(R,) how many of them the mode equals."""

    def pooled(self, others: Sequence[Any], weights: Tensor) -> Distribution:
        """The logarithmic opinion pool of this and others of the same targets.

            p(y) ~ p_0(y)^w[0] p_1(y)^w[1] ...

        Args:
            others: distributions that are no less independent from step to step.
            weights: (1 + len(others),) w.

        Source: Genest and Zidek 1986, doi:10.1214/ss/1177013825, section 3.
        """
        self.refuse("pool")

    def ensemble_of(self, others: Sequence[Any]) -> Distribution:
        """What several members of an ensemble predict together at a step of a generation: their mean."""
        return self.mean_of(others)

    def log_prob(self, target: Tensor) -> Tensor:
        """(R,) the logarithm of the probability, or of the density, of a target; 0 where all of it is missing."""
        self.refuse("log_prob")

    def sample(self, uniform: Tensor) -> Tensor:
        """A target drawn for each row, a function of uniform numbers in [0, 1).

        Shapes:
            uniform has the form of the target; where a value takes several `draws`, they are its last dimension
        """
        self.refuse("sample")

    def quantile(self, levels: Sequence[float]) -> Tensor:
        """(levels, N, ...) the quantiles of each number."""
        self.refuse("quantile")

    def biased(self, bias: float) -> Distribution:
        """The same at bias 0, narrower above: what is drawn of it lies closer to the likeliest."""
        self.refuse("bias")

    def score(self, target: Tensor) -> Tensor:
        """(R,) what is reported of a target, higher for a better prediction: its log-probability where there is one."""
        return self.log_prob(target)

    def loss(self, target: Tensor) -> Loss:
        """The training loss of all rows."""
        return Loss(-self.score(target).sum(), int(self.counts(target).sum()))

    def refuse(self, what: str) -> NoReturn:
        raise ConfigError(f"a distribution {type(self).__name__} has no {what}: {self.lacks.get(what, 'not defined')}")


class Numbers(Distribution):
    """Real numbers, each with a density of its own; those of a row are added up."""

    parameters: tuple[Tensor, ...] = ()
    """What the densities are made of, each of the shape of the values or spread over it; by position, as the class
    takes them."""

    @abstractmethod
    def densities(self, values: Tensor) -> Tensor:
        """The logarithm of the density of each number."""

    def values_of(self, target: Tensor) -> Tensor:
        """A target in the shape of the parameters, NaN where a number is missing."""
        return target

    def mean_of(self, others: Sequence[Numbers]) -> Numbers:
        return Average((self, *others)) if others else self

    def counts(self, target: Tensor) -> Tensor:
        return (~self.values_of(target).isnan()).flatten(1).sum(1)

    def right(self, target: Tensor) -> Tensor:
        return (self.mode() == target).flatten(1).sum(1).to(target.dtype)

    def log_prob(self, target: Tensor) -> Tensor:
        if "log_prob" in self.lacks:
            self.refuse("log_prob")
        return self.score(target)

    def score(self, target: Tensor) -> Tensor:
        densities, real = self._known(target)
        return densities.masked_fill(~real, 0).sum(tuple(range(1, densities.ndim)))

    def loss(self, target: Tensor) -> Loss:
        densities, real = self._known(target)
        return Loss(-densities[real].sum(), int(real.sum()))

    def _known(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """The density of each number, of 0 where it is missing, and which are not."""
        values = self.values_of(target)
        # A gap that is only left out of the sum would still make the gradient NaN: 0 times NaN.
        return self.densities(values.nan_to_num()), ~values.isnan()


class Average(Numbers):
    """The average of several distributions of numbers, whatever their kinds.

        q(level) = mean over i of q_i(level),  and so the mode
        p(y)     = mean over i of p_i(y)

    A mean of quantiles is as sharp as its members are on average, where a mixture is wider; of distributions that
    differ in place and scale alone it has the mean place and the mean scale. Its density has no closed form, so that of
    the mixture is reported.

    Args:
        members: of one shape.

    Errors:
        ConfigError: some have quantiles and others have none.

    Source: Lichtendahl, Grushka-Cockayne and Winkler 2013, doi:10.1287/mnsc.1120.1667; the density: Lakshminarayanan
    2017, arXiv:1612.01474, section 2.4.
    """

    def __init__(self, members: Sequence[Numbers]):
        self.members, self.layout = members, members[0].layout
        self.lacks: Mapping[str, str] = {"sample": "an average of quantiles is not a mixture"}
        for member in members:
            self.lacks = {**self.lacks, **member.lacks}
        if len({"quantile" in member.lacks for member in members}) > 1:
            raise ConfigError("points cannot be averaged with quantiles; give runs of one distribution")

    @property
    def joint(self) -> bool:  # type: ignore[override]
        return self.members[0].joint

    def densities(self, values: Tensor) -> Tensor:
        return mean_of_logs([member.densities(values) for member in self.members])

    def values_of(self, target: Tensor) -> Tensor:
        return self.members[0].values_of(target)

    def mode(self) -> Tensor:
        return torch.stack([member.mode() for member in self.members]).mean(0)

    def quantile(self, levels: Sequence[float]) -> Tensor:
        return torch.stack([member.quantile(levels) for member in self.members]).mean(0)

    def right(self, target: Tensor) -> Tensor:
        return self.members[0].right(target) if self.joint else super().right(target)


def mean_of_logs(logs: Sequence[Tensor]) -> Tensor:
    """The logarithm of the mean of the numbers whose logarithms these are; of one alone itself."""
    return logs[0] if len(logs) == 1 else torch.stack(tuple(logs)).logsumexp(0) - math.log(len(logs))


def levels_like(levels: Sequence[float], values: Tensor) -> Tensor:
    """(levels, 1, ...) numbers that spread over these values."""
    return torch.tensor(levels, dtype=values.dtype, device=values.device).view(-1, *[1] * values.ndim)
