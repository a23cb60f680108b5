"""What a training run is given and what it tells: the task, its listeners, its place and its outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from torch import Tensor, nn

from ostinato.data.examples import Epochs, Part
from ostinato.heads.contract import Loss


class Trainable(Protocol):
    """What the loop asks of a model beside being an nn.Module."""

    weights: dict[str, float]
    """The weight of each output's loss."""

    def losses(self, batch: Any) -> dict[str, Loss]: ...

    def losses_from(self, batch: Any, carried: tuple[Tensor, ...]) -> tuple[dict[str, Loss], tuple[Tensor, ...]]:
        """With `training.tbptt` alone: the losses of a chunk that continues what the one before carried over, and
        what it carries over itself, without gradients."""


@dataclass(frozen=True)
class Task:
    """What is trained on what.

    Args:
        model: on its device, with its first weights.
        batches: the parts of each batch of an epoch.
        fetch: rows, or a chunk, and the epoch to a batch on the model's device.
        validate: the metrics of a model in evaluation mode.
        higher: for each metric that `validate` gives, whether higher is better.
        part_steps: real steps of a part, for the speed.
        part_rows: numbers of the rows of a part, for messages.
        facts: what decides the run, as JSON values: the recipe (its training under `training`) and hashes of its data.
        free: dotted paths in `facts` that may change on resuming, beside `FREE`.
        filled: facts that a checkpoint kept, with what settings have been added since; None leaves them as they are.
        names: from the name of a tensor in a checkpoint of an earlier version to its name today.
        warm: whether the first weights are a model already, so that they are validated too, as epoch 0.
        distances: of each weight from the output, in layers; 0 of those that are not named.
        keep_start: whether the first weights are kept in a checkpoint, since what they came from may be gone later.
    """

    model: nn.Module
    batches: Epochs
    fetch: Callable[[Part, int], Any]
    validate: Callable[[nn.Module], Mapping[str, float]]
    higher: Mapping[str, bool]
    part_steps: Callable[[Part], int]
    part_rows: Callable[[Part], np.ndarray]
    facts: Mapping[str, Any]
    free: tuple[str, ...] = ()
    filled: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    names: Callable[[str], str] = str
    warm: bool = False
    distances: Mapping[str, int] = field(default_factory=dict)
    keep_start: bool = False


class Progress(NamedTuple):
    """The position of a run after an update; `loss` is that update's, epochs count from 1."""

    update: int
    total_updates: int
    epoch: int
    epochs: int
    loss: float
    steps_per_second: float
    learning_rate: float
    seconds_left: float


def _nobody(_: Any) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Listeners:
    """Who gets what: progress after each update, reports as in history.jsonl, notes for a person."""

    progress: Callable[[Progress], None] = _nobody
    reports: Callable[[dict[str, Any]], None] = _nobody
    notes: Callable[[str], None] = _nobody


Ended = Literal["epochs", "updates", "patience"]
"""Why a run ended: all epochs or updates were done, or validation was no better for too long."""


class Outcome(NamedTuple):
    """How a run ended; its model holds the weights to keep.

    Args:
        ended: `epochs` or `updates` when all were done, `patience` when validation was hardly better for too long; None
            when it pauses.
        before: whether it had ended before this call, so that nothing was trained.
        epochs, updates, seconds: how long it trained, all sessions together.
        best_epoch: the epochs after which validation was best, or None.
        best: the metrics of that validation.
    """

    ended: Ended | None
    before: bool
    epochs: int
    updates: int
    seconds: float
    best_epoch: float | None
    best: dict[str, float]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM came, the update was finished and a checkpoint written, from which resuming continues."""


@dataclass
class Place:
    """The position of a run and what it remembers; all of it is in the checkpoint.

    Args:
        epoch: epochs done.
        batch: batches of the next epoch trained on.
        learning_rate: of the last update.
        first_value: of the first validation, or what gains are a share of where that is nearly 0.
        patient_value: the best value when patience last began to count.
        stale: validations since then.
        validated: updates before the last validation.
        averaged_epochs: epochs whose last weights are in the average of the last ones.
        lately, whole_epoch: sums since the last report and since the epoch began: `NAME.total`, `NAME.count`, `steps`,
            `seconds`.
    """

    epoch: int = 0
    batch: int = 0
    updates: int = 0
    learning_rate: float = 0.0
    seconds: float = 0.0
    best_value: float | None = None
    best_epoch: float | None = None
    best: dict[str, float] = field(default_factory=dict)
    first_value: float | None = None
    patient_value: float | None = None
    stale: int = 0
    validated: int = 0
    averaged_epochs: list[int] = field(default_factory=list)
    lately: dict[str, float] = field(default_factory=dict)
    whole_epoch: dict[str, float] = field(default_factory=dict)
