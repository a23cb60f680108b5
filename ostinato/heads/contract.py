"""What a head is: encoded inputs to a loss and to predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ostinato.decoders.contract import Decoding
from ostinato.encoders.contract import Encoded
from ostinato.encoders.contract import Sizes as Sizes
from ostinato.steps import Steps


class Span(NamedTuple):
    """What a forecast reaches over: `lookback` steps read, `horizon` predicted; and which of the inputs read go on through the
    horizon, being known ahead."""

    lookback: int
    horizon: int
    ahead: tuple[bool, ...]


class Loss(NamedTuple):
    """A loss as a sum and what it is a sum of, so that it can be divided by the number in the whole update.

    Args:
        total: the sum over real targets, a scalar with a gradient, in nats where it is a log-probability.
        count: the number of real targets.
    """

    total: Tensor
    count: int  # type: ignore[assignment]


@dataclass(frozen=True)
class Scored:
    """What a model says of given targets, a number per example.

    Shapes:
        log_probability (B,) natural logarithm; num_targets (B,), the end symbol included; num_right (B,) best-scored targets;
        by_step (N, 2) log-probability of each target and whether it scored best, where it is told
    """

    log_probability: Tensor
    num_targets: Tensor
    num_right: Tensor
    by_step: Steps | None = None


@dataclass(frozen=True)
class Predicted:
    """What a head answers where nothing is searched.

    Args:
        steps: the answers, a sequence per example, in the form of encoded targets: the modality decodes them.
        log_probability: of the whole answer of each example, natural logarithm.
        probabilities: a row for each answered step with the probability of each label, or None where there are no labels.
        quantiles: of a distribution of numbers, level -> values in the form of `steps`, levels rising; or None.

    Shapes:
        log_probability (B,); probabilities (N, V); quantiles (N, ...) each
    """

    steps: Steps
    log_probability: Tensor
    probabilities: Tensor | None = None
    quantiles: dict[float, Tensor] | None = None


class Head(nn.Module, ABC):
    """Turns encoded inputs into one output; a final class is a `Generator` or a `Predictor` too.

    Every example that it is given has a target; those of a batch that have none are left out before. A single step of a target
    may be missing: `MISSING` among labels, NaN among values.

    Args:
        spec: what one step of the output is, by position.
        sizes: one `Sizes` for each input that it reads, by position.
    """

    aligns: ClassVar[frozenset[str]]
    """The alignments that it serves."""
    generates: ClassVar[bool]
    """Whether predictions come from a search through `Generator`, or straight from `Predictor.predict`."""

    gives: ClassVar[frozenset[str]] = frozenset({"log_probability", "num_targets", "num_right"})
    """What it may know of an output beside its predictions: columns of `metrics.contract.Predictions`."""
    metrics: ClassVar[tuple[str | dict[str, Any], ...]] = ()
    """Metrics by default beside those of the modality, each a name, or a mapping with its `type` and options."""
    sums: ClassVar[bool] = False
    """Whether its answer is a sum over all that it reads, such as a number: what dropout leaves out moves it, so that none is chosen."""
    targets_rule: ClassVar[str] = ""
    """What `targets_allowed` demands, in words for a message: `ctc needs a step for each symbol and one between equal ones`; empty:
    the alignment alone decides how many targets there may be."""

    attended: Sequence[int] = ()
    """Which of the inputs that it reads it attends to, by position."""

    @classmethod
    def targets_allowed(cls, source_lengths: Tensor, targets: Steps) -> Tensor:
        """Whether sources of so many steps (B,) allow each of these targets: (B,) bool, asked where there is a `targets_rule`."""
        return torch.ones(len(targets.layout), dtype=torch.bool)

    def obstacle(self) -> str | None:
        """Why its targets are computed step by step in Python, or None where they are not."""
        return None

    @abstractmethod
    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        """The training loss of a batch; what is missing in the targets is neither summed nor counted."""

    @abstractmethod
    def score(self, encoded: Sequence[Encoded], targets: Steps) -> Scored:
        """The log-probability of given targets: no smoothing, no weights, no dropout, no sampling. Of a real number it is the
        logarithm of its density."""


ANSWERED = "answered"
"""The name of a value in the state of a generator that first says a prompt's end again: how many of the symbols said are of the
answer; -1 before it begins. Without it all are."""


class Belief(ABC):
    """What a head thinks of the answers to a batch, a distribution for each: its own, or the mean of several heads' of its kind."""

    @abstractmethod
    def mean(self, others: Sequence[Any]) -> Belief:
        """The average of this and others of its class; its docstring says of what. Beside equal ones it is what it was."""

    @abstractmethod
    def answer(self) -> Predicted:
        """The best answer for each example; for `each` one label per step of the input."""

    @abstractmethod
    def score(self, targets: Steps) -> Scored:
        """What it says of given targets, by the same distribution."""


class Predictor(ABC):
    """A head whose answer is computed at once, from what it believes."""

    @abstractmethod
    def believe(self, encoded: Sequence[Encoded], targets: Steps | None = None) -> Belief:
        """What it thinks of each example; with `targets`, a step that goes on from answers goes on from the true ones."""

    def predict(self, encoded: Sequence[Encoded]) -> Predicted:
        """The best answer for each example."""
        return self.believe(encoded).answer()


class Generator(ABC):
    """What can be searched: a `free` head over its memory, or a `next` output together with its encoder.

    Law: `extend` over a prompt gives the logits of `step` called symbol by symbol.
    """

    begin: int
    end: int
    num_symbols: int

    @abstractmethod
    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        """One hypothesis per example, nothing said yet."""

    @abstractmethod
    def extend(self, steps: Steps, state: Decoding) -> tuple[Tensor, Decoding]:
        """Says a whole prompt at once: logits (N, V) of what follows each of its steps, and the state after it."""

    @abstractmethod
    def step(self, symbols: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        """Says one symbol (R,) each: logits (R, V) of what follows, and the state after it."""
