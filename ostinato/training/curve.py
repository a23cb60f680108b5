"""How a run went: losses and metrics epoch by epoch, why it ended, which weights were kept."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostinato.notes import Detail
from ostinato.registry import Settings
from ostinato.training.task import Ended

EVENTS = "start", "part", "epoch"
"""What is measured in validation: the first weights, those within an epoch, and those at its end."""
FELL, ROSE = 0.01, 0.05
"""A loss that changed by less than these shares has settled."""
BY_HEART = 0.5
"""Training rows are learnt by heart where their loss fell by so much of the best validation loss, and that no more."""
END, STILL = 0.2, 0.1
"""The share of the updates that is looked at for a loss that still falls, and the share of its whole fall that makes it
one: a density's loss has no natural zero, so that 1 % of its value may be most of what training gained."""
COURSE = 3
"""So many validations show a course: that a loss rises or has settled."""
LINE_SECONDS = 2.0
"""Between the lines of two epochs: a run of 200 epochs of a tenth of a second has no 200 lines to read."""
LEAST_GAIN = 0.002
"""A loss that changed by less than this share of its first value is as good as before."""


@dataclass(frozen=True)
class Curve:
    """The epochs of a run, as its history has them.

    Args:
        epochs: of each epoch, and of each part after which it was validated, its training loss (`train.loss`), what
            validation measured (`valid.NAME`), whether that was the best so far (`best`), and the seconds of training
            until then.
        ended: why training ended: all `epochs` or `updates`, or `patience`.
        best: the epoch whose validation was best, or None.
        kept: the epoch whose weights were kept.
        averaged: whether an average of weights was kept.
        patience: the epochs without a gain that end a run; None for no end.
    """

    epochs: Sequence[Mapping[str, Any]]
    ended: Ended
    best: float | None
    kept: float
    averaged: bool
    patience: float | None = None

    @staticmethod
    def read(folder: Path, training: Settings) -> Curve | None:
        """The curve of a run that has ended; None where its history is gone.

        The first weights are epoch 0, where they were validated too.

        Args:
            folder: of the run.
            training: its settings of training.
        """
        path = folder / "history.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        epochs = [event for event in map(json.loads, lines) if event["event"] in EVENTS]
        if not epochs:
            return None
        last = epochs[-1]
        best = max((event["epoch"] for event in epochs if event.get("best")), default=None)
        ended: Ended = "epochs" if last["epoch"] >= training.epochs else "patience"
        if training.max_updates is not None and last["update"] >= training.max_updates:
            ended = "updates"
        kept = best if training.keep_best and best is not None else last["epoch"]
        averaged = training.average_decay is not None or training.average_last is not None
        patience = None if training.patience is None else training.patience * training.validate_every
        return Curve(epochs, ended, best, kept, averaged, patience)

    def summary(self) -> str:
        """Why training ended and which weights were kept."""
        last = self.epochs[-1]["epoch"]
        kind = "averaged weights" if self.averaged else "weights"
        weights = f"kept: the {kind} {_when(self.kept)}"
        if self.ended == "patience" and self.best is not None:
            since = last - self.best
            no, stale = ("no", since) if self.patience is None or since >= self.patience else ("hardly", self.patience)
            return f"stopped early: {no} better for {stale:g} epochs (best: {_when(self.best, '')}); {weights}"
        return f"{weights}, {'the best' if self.kept == self.best else 'the last'}"

    def validated(self) -> list[Mapping[str, Any]]:
        """The epochs that were validated, with a loss that is finite."""
        return [event for event in self.epochs if event.get("valid.loss") is not None]

    def solved(self) -> bool:
        """Whether nothing was trained, since all weights were solved for."""
        return self.epochs[-1].get("update") == 0

    def least_and_last(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """The validated epochs of the least loss and at the end."""
        known = self.validated()
        return min(known, key=_validation_loss), known[-1]

    def shows_no_course(self) -> bool:
        """Whether all epochs were trained and validated once or twice: a loss that is flat may yet fall."""
        return self.ended == "epochs" and 0 < self.validations() < COURSE

    def validations(self) -> int:
        """How often trained weights were validated."""
        return sum(event["epoch"] > 0 for event in self.validated())

    def overfitted(self) -> bool:
        """Whether the validation loss rose after its least while the training loss fell."""
        if len(self.validated()) < COURSE:
            return False
        least, last = self.least_and_last()
        rose = last["valid.loss"] > least["valid.loss"] + ROSE * abs(least["valid.loss"])
        return rose and _training_loss(last) < _training_loss(least)

    def by_heart(self) -> bool:
        """Whether the training loss fell far after the least validation loss, which it is below."""
        if len(self.validated()) < COURSE:
            return False
        least, last = self.least_and_last()
        fell = _training_loss(least) - _training_loss(last)
        enough = BY_HEART * abs(least["valid.loss"])
        return math.isfinite(fell) and fell > enough and _training_loss(last) < last["valid.loss"]

    def unfinished(self) -> bool:
        """Whether the validation loss was still falling at the end, or was measured once before all epochs were."""
        return self.falling() or (len(self.validated()) < 2 and self.ended == "updates")

    def falling(self) -> bool:
        """Whether the validation loss was still falling at the end."""
        *known, last = self.validated() or [{}]
        if not known:
            return False
        # In updates, since a last epoch that was cut short shows little.
        earlier = [event for event in known if event["update"] <= (1 - END) * last["update"]] or known[:1]
        first, before, end = known[0]["valid.loss"], earlier[-1]["valid.loss"], last["valid.loss"]
        least = max(min(FELL * abs(before), STILL * (first - end)), LEAST_GAIN * abs(first))
        return end <= min(event["valid.loss"] for event in known) and before - end > least


def _when(epoch: float, after: str = "after ") -> str:
    return f"{after}epoch {epoch}" if epoch else "before the first update"


def _validation_loss(event: Mapping[str, Any]) -> float:
    loss: float = event["valid.loss"]
    return loss


def _training_loss(event: Mapping[str, Any]) -> float:
    """Of an epoch; none was measured before the first one."""
    loss = event.get("train.loss")
    return math.inf if loss is None else loss


def line_of(event: Mapping[str, Any], epochs: int, metrics: Mapping[str, str]) -> str:
    """An epoch in a line: training and validation loss, the main metrics, a mark at the best so far.

    Args:
        event: of the history.
        epochs: of the whole run, at most.
        metrics: of each metric that is shown, by its name in the history, what it is called.
    """
    width = len(str(epochs))
    parts = [f"epoch {event['epoch']:{width}}/{epochs}"]
    parts += [f"train loss {event['train.loss']:.4f}"] if "train.loss" in event else []
    if "valid.loss" in event:
        parts.append(f"valid loss {event['valid.loss']:.4f}")
        parts += [f"{called} {event[name]:.4g}" for name, called in metrics.items() if event.get(name) is not None]
        parts += ["* best"] if event["best"] else []
    return "  ".join(parts)


class EpochLines:
    """Says the epochs of a run in their order: the first, one each `LINE_SECONDS` and the best before it, the last.

    The others are details. The first weights are epoch 0, where they were validated too.

    Args:
        say: receives the lines.
        epochs: of the whole run, at most.
        metrics: as in `line_of`.
    """

    def __init__(self, say: Callable[[str], None], epochs: int, metrics: Mapping[str, str]) -> None:
        self.say, self.epochs, self.metrics = say, epochs, metrics
        self.due = -math.inf
        self.waiting: list[Mapping[str, Any]] = []

    def __enter__(self) -> EpochLines:
        return self

    def add(self, event: Mapping[str, Any]) -> None:
        """Says what the loop reports, where it is an epoch or what was validated before or within one."""
        if event["event"] not in EVENTS:
            return
        self.waiting.append(event)
        if (now := time.monotonic()) >= self.due:
            self.say_waiting()
            self.due = now + LINE_SECONDS

    def say_waiting(self) -> None:
        """Says the newest of the events that wait, and the best of them."""
        best = max((place for place, event in enumerate(self.waiting) if event.get("best")), default=None)
        for place, event in enumerate(self.waiting):
            line = line_of(event, self.epochs, self.metrics)
            self.say(line if place in (best, len(self.waiting) - 1) else Detail(line))
        self.waiting.clear()

    def __exit__(self, *_: object) -> None:
        self.say_waiting()
