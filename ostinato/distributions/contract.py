"""What a distribution is: what a model predicts of each target of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, NoReturn

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


class Distribution(ABC):
    """A distribution of the target of each row; rows are independent of each other.

    A row is one step of the targets, or one hypothesis of a search; where `joint`, one whole example. What is missing in a target
    (MISSING among labels, NaN among numbers) is left out of losses, scores and counts.

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

    @abstractmethod
    def mode(self) -> Tensor:
        """(N, ...) the best target, as this distribution defines it: the most probable one, or the median of numbers."""

    @abstractmethod
    def mean_of(self, others: Sequence[Any]) -> Distribution:
        """The average of this and others of its kind; the docstring of the class defines it. Averaged with equals it stays the same.

        Errors:
            ConfigError: the others have no average with this one.
        """

    @abstractmethod
    def counts(self, target: Tensor) -> Tensor:
        """(R,) how many real targets a row has."""

    @abstractmethod
    def right(self, target: Tensor) -> Tensor:
        """(R,) how many of them the mode equals."""

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

    def score(self, target: Tensor) -> Tensor:
        """(R,) what is reported of a target, higher for a better prediction: its log-probability where there is one."""
        return self.log_prob(target)

    def loss(self, target: Tensor) -> Loss:
        """The training loss of all rows."""
        return Loss(-self.score(target).sum(), int(self.counts(target).sum()))

    def refuse(self, what: str) -> NoReturn:
        raise ConfigError(f"a distribution {type(self).__name__} has no {what}: {self.lacks.get(what, 'not defined')}")
