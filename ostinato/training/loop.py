"""Training: batches to gradients to weights, validated, averaged, kept, and resumable at any moment."""

from __future__ import annotations

import math
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import numpy as np
import torch
from pydantic import Field, Strict
from torch import Tensor

from ostinato.data.examples import Part
from ostinato.errors import ConfigError, DataError, nearest
from ostinato.heads.contract import Loss
from ostinato.kernels.half import products
from ostinato.layers.vocabulary import tables_of
from ostinato.notes import Detail
from ostinato.registry import Count, Positive, Rate, Room, Settings, Whole, build, component, names
from ostinato.training.averages import MovingAverage, mean, worn
from ostinato.training.blame import first_not_finite
from ostinato.training.checkpoints import (
    KEPT,
    Checkpoints,
    model_tensors,
    optimizer_tensors,
    refuse_changes,
    restore_model,
    restore_optimizer,
)
from ostinato.training.clip import clip
from ostinato.training.history import History
from ostinato.training.layers import by_layer, optimizer_of, refuse_one_layer
from ostinato.training.repeatable import differences, draw_from, prepare, surroundings
from ostinato.training.task import Ended, Interrupted, Listeners, Outcome, Place, Progress, Task

FREE = (
    "training.epochs",
    "training.checkpoint_seconds",
    "training.keep_checkpoints",
    "training.report_every",
    "training.tensorboard",
)
"""What may change on resuming. More epochs touch the future only: a schedule over all updates is stretched."""
PartOfEpoch = Annotated[float, Field(gt=0, le=0.5)]
NOWHERE = "none has an output that is not finite; it arose in the loss or on the way back"
WARM_GAIN = 0.003
"""How much better than a warm start training has to be, in units of a loss, or as a share of another metric. Of a
random walk, whose best forecast is the last value, the best of 145 epochs was 0.002 better in validation, and 0.3 %
worse later."""
SMALL = 0.05
"""A loss below this, in nats or squared deviations of a target, is nearly 0 where training began with more: a gain is a
share of this then. Tags that were all right after one epoch went on for 30 of them, since 0.0001 fell to 0.00005."""
WRITTEN = 50_000_000
"""Bytes that a checkpoint may have for each second of work since the last one, or none follows a short epoch. Where a
frozen model of 90 MB has 400 epochs of one batch each, all but a few seconds of five minutes went into checkpoints."""
STOPS = (signal.SIGINT, signal.SIGTERM)
"""What asks a run to stop: a person, and a machine that ends its processes."""


class Training:
    """How a model is trained.

        loss = sum over outputs of weight * (sum of the losses of its real targets) / (their number in the update)
        g    = gradient of loss, clipped
        w    = optimizer(w, g, learning_rate * factor(update))

    An update is `accumulate` batches, exactly as if they were one. Validation measures the weights that would be kept:
    the average where there is one. Without `keep_best` the weights after the last epoch are kept.

    With `tbptt` a batch is a chunk of streams (`data.streams`): `tbptt` steps of each of `batch_rows` streams. A longer
    sequence continues in the next chunk from the state that it reached. The gradient ends where the chunk begins. What
    is carried from chunk to chunk is part of the checkpoint.

    Args:
        batch_steps: real steps in a batch, all columns together.
        batch_rows: examples in a batch, in place of `batch_steps`; with `tbptt` the number of streams.
        tbptt: the most steps through which a gradient goes back: batches are chunks of so many steps of `batch_rows`
            streams; for outputs of align next on symbols. A sequence that is not longer is never cut.
        max_steps: the longest example trained on; longer ones are left out and counted.
        epochs: how often each example is seen.
        max_updates: stop after so many updates, within an epoch where they end there.
        accumulate: batches per update.
        optimizer: how gradients move the weights.
        schedule: how the learning rate changes.
        clip_norm: the greatest norm of all gradients together; none to leave it.
        clip_value: the greatest size of one number of a gradient; none to leave it.
        average_decay: keep a moving average of the weights, which counts older updates less by this factor.
        average_last: keep the mean of the weights after this many last epochs.
        validate_every: epochs from one validation to the next, or a part of one, such as 0.25; the end of the last one
            is always validated.
        monitor: the metric that decides which epoch is best: loss, OUTPUT.loss or OUTPUT.METRIC.
        patience: stop after so many validations in a row without a better one.
        least_gain: how much the best must gain until patience counts anew, as a share of the first validation's value;
            where that is a loss below 0.05, as a share of 0.05, or of the training loss if this is less.
        keep_best: keep the weights of the best validation, not of the end.
        checkpoint_seconds: the most work, in seconds, that a kill can cost.
        keep_checkpoints: how many of the newest checkpoints, one after each epoch among them, are kept; `ostinato
            average` makes one model of them. With the default an epoch that was shorter than the write has none.
        report_every: updates from one report to the next.
        tensorboard: write TensorBoard's files too.
        freeze: parts that stay as they start, by their places and with `*` for any name: inputs.text.encoder,
            inputs.*.encoder.embedding.
        layer_factor: discriminative rates: the rate of a layer is that of the layer above divided by this; heads have
            the full rate, embeddings the lowest.
        unfreeze_every: gradual unfreezing: only what is nearest to the output is trained for so many epochs, then the
            next layer below too, and so on.
        seed: what the first weights, the order of batches and all that is random come from.
        precision: type of the products; auto takes bfloat16 on a GPU that has it, float32 elsewhere. With bfloat16 on a
            CPU training alone rounds, in native products, where the library has them (`ostinato doctor`); elsewhere
            torch's autocast does.

    Errors:
        ConfigError: two settings exclude each other, or one of them could do nothing.

    Source: discriminative rates and gradual unfreezing: Howard and Ruder 2018, arXiv:1801.06146, sections 3.2 and 3.3,
        with a factor of 2.6.
    """

    def __init__(
        self,
        *,
        batch_steps: Count | None = None,
        batch_rows: Count | None = None,
        tbptt: Count | None = None,
        max_steps: Count | None = None,
        epochs: Count = 20,
        max_updates: Count | None = None,
        accumulate: Count = 1,
        optimizer: Annotated[Settings, Room("optimizers")] = "adamw",
        schedule: Annotated[Settings, Room("schedules")] = "cosine",
        clip_norm: Positive | None = 1.0,
        clip_value: Positive | None = None,
        average_decay: Rate | None = None,
        average_last: Count | None = None,
        validate_every: Count | PartOfEpoch = 1,
        monitor: str = "loss",
        patience: Count | None = None,
        least_gain: Annotated[float, Field(ge=0)] = 0.0,
        keep_best: bool = True,
        checkpoint_seconds: Positive = 60.0,
        keep_checkpoints: Annotated[int, Field(ge=2)] = KEPT,
        report_every: Count = 100,
        tensorboard: bool = False,
        freeze: Annotated[tuple[str, ...], Strict(False)] = (),
        layer_factor: Annotated[float, Field(ge=1)] = 1.0,
        unfreeze_every: Count | None = None,
        seed: Whole = 1,
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
    ):
        if batch_steps is not None and batch_rows is not None:
            raise ConfigError("training: batch_steps and batch_rows exclude each other; leave one of them out")
        if tbptt is not None and batch_steps is not None:
            raise ConfigError(
                "training: with tbptt a batch is tbptt steps of each of batch_rows streams; leave batch_steps out, and"
                " give batch_rows"
            )
        if average_decay is not None and average_last is not None:
            raise ConfigError("training: average_decay and average_last exclude each other; leave one of them out")
        if average_last is not None and validate_every < 1:
            raise ConfigError(
                f"training: validate_every {validate_every:g} validates within epochs, and average_last keeps the mean"
                " of weights after epochs; give whole epochs, or average_decay in its place"
            )
        if monitor != "loss" and not keep_best and patience is None and not _observes(schedule.type):
            others = " or ".join(filter(_observes, names("schedules")))
            raise ConfigError(
                f"training.monitor: '{monitor}' would decide nothing with keep_best false, no patience and schedule"
                f" {schedule.type}; leave it out, or set keep_best, patience or schedule {others}"
            )
        self.batch_steps = batch_steps
        self.batch_rows = batch_rows
        self.tbptt = tbptt
        self.max_steps = max_steps
        self.epochs = epochs
        self.max_updates = max_updates
        self.accumulate = accumulate
        self.optimizer = optimizer
        self.schedule = schedule
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.average_decay = average_decay
        self.average_last = average_last
        self.validate_every = validate_every
        self.monitor = monitor
        self.patience = patience
        self.least_gain = least_gain
        self.keep_best = keep_best
        self.checkpoint_seconds = checkpoint_seconds
        self.keep_checkpoints = keep_checkpoints
        self.report_every = report_every
        self.tensorboard = tensorboard
        self.freeze = freeze
        self.layer_factor = layer_factor
        self.unfreeze_every = unfreeze_every
        self.seed = seed
        self.precision = precision

    def run(
        self,
        task: Task,
        folder: str | Path,
        listeners: Listeners | None = None,
        *,
        resume: bool = False,
        until: int | None = None,
    ) -> Outcome:
        """Trains, or continues a run, and leaves the weights to keep in the model.

        Writes `history.jsonl` and `checkpoints/` in the folder. With `resume` and no checkpoint the run starts; with
        `resume` and a run that has ended, nothing is trained. After the epoch `until` it pauses, and resumes with the
        same bits.

        Errors:
            ConfigError: the monitored metric is not measured, a changed setting would change the past, or a loss or
                gradient is not finite. (There is no class of its own for that: what helps is a change of the recipe.)
            DataError: the folder holds a run and `resume` is false, or the disk refuses.
            BundleError: no checkpoint is whole.
            Interrupted: Ctrl-C or SIGTERM, after a checkpoint was written.
        """
        session = _Session(self, task, Path(folder), listeners or Listeners(), resume)
        before = session.ended() is not None
        with session.opened():
            if task.keep_start and not session.place.updates:
                session.save()
            if task.warm and not session.place.updates:
                session.report({"event": "start", "epoch": 0, **session.validate(0, [])})
            while session.ended() is None and (until is None or session.place.epoch < until):
                session.unfreeze()
                for parts in session.rest_of_epoch():
                    session.update(parts)
                session.end_epoch()
            session.save()
        return session.outcome(before)

    def seconds_of_update(self, task: Task, seconds: float) -> float:
        """Seconds of an update on this machine, over the first batches of an epoch; the model is left as it was.

        Args:
            task: as `run` takes it.
            seconds: how long updates are measured; the second half of them counts, since the first ones prepare much.
        """
        before = {name: tensor.clone() for name, tensor in model_tensors(task.model).items()}
        with tempfile.TemporaryDirectory() as folder:
            session = _Session(self, task, Path(folder), Listeners(), False)
            session.model.train()
            ends = [time.monotonic()]
            batches, size = task.batches.epoch(0), self.accumulate
            for begin in range(0, len(batches), size):
                session.update(batches[begin : begin + size])
                ends.append(time.monotonic())
                if len(ends) > 3 and ends[-1] - ends[1] >= seconds:
                    break
            session.history.close()
        restore_model(task.model, before, "the measured model")
        task.model.zero_grad(set_to_none=True)
        first = (len(ends) - 1) // 2
        return (ends[-1] - ends[first]) / (len(ends) - 1 - first)


def _observes(schedule: str) -> bool:
    return component("schedules", schedule).observes


class _Session:
    """One session of a run: from a start or a checkpoint to the end or an interruption."""

    def __init__(self, training: Training, task: Task, folder: Path, listeners: Listeners, resume: bool):
        if training.monitor not in task.higher:
            raise ConfigError(
                f"training.monitor: '{training.monitor}' is not measured{nearest(training.monitor, task.higher)}"
            )
        self.training, self.task, self.listeners = training, task, listeners
        self.checkpoints = Checkpoints(folder / "checkpoints", task.names, training.keep_checkpoints)
        saved = self.checkpoints.latest(listeners.notes)
        if saved is not None and not resume:
            raise DataError(f"{folder}: holds a run already; continue it with --resume, or start anew with --overwrite")
        self.model = task.model
        self.losses: Callable[[Any], dict[str, Loss]] = (
            task.model.losses if training.tbptt is None else self.chunk_losses
        )
        self.named = {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}
        self.weights = list(self.named.values())
        self.device = self.weights[0].device
        prepare(training.seed, saved and saved.state["surroundings"]["threads"], self.device)
        self.surroundings = surroundings(self.device)
        profits = self.device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        bfloat16 = training.precision == "bfloat16" or (training.precision == "auto" and profits)
        self.products = products(self.device, bfloat16)
        optimizer = build(training.optimizer, "optimizers")
        optimizer.set_apart(tables_of(self.model))
        self.layers = by_layer(self.named, task.distances)
        self.check_layers()
        self.optimizer, self.shares = optimizer_of(optimizer, self.layers, self.weights, training.layer_factor)
        self.schedule = build(training.schedule, "schedules")
        self.moving = MovingAverage(self.named, training.average_decay) if training.average_decay is not None else None
        self.place = Place()
        self.carried: tuple[Tensor, ...] = ()
        length = 0
        if saved is not None:
            before = saved.state["facts"] if task.filled is None else task.filled(saved.state["facts"])
            refuse_changes(before, task.facts, (*FREE, *task.free), folder)
            for line in differences(saved.state["surroundings"], self.surroundings):
                listeners.notes(line)
            self.place = Place(**saved.state["place"])
            self.schedule.restore(saved.state["schedule"])
            restore_model(self.model, saved.tensors["model"], self.checkpoints.folder)
            restore_optimizer(self.optimizer, self.named, saved.tensors["optimizer"])
            if self.moving is not None:
                self.moving.restore(saved.tensors["average"])
            if training.tbptt is not None:
                carried = saved.tensors["carried"]
                self.carried = tuple(carried[str(place)].to(self.device) for place in range(len(carried)))
            length = saved.state["history_length"]
            if self.ended() is None:
                listeners.notes(
                    f"continuing after update {self.place.updates}, epoch {self.place.epoch + 1} of {training.epochs}"
                )
        listeners.notes(Detail(f"products in {'bfloat16' if bfloat16 else 'float32'} on {self.surroundings['device']}"))
        board = folder / "tensorboard" if training.tensorboard else None
        self.history = History(folder / "history.jsonl", length, self.place.updates, board, listeners.notes)
        self.total = training.epochs * math.ceil(len(task.batches.epoch(0)) / training.accumulate)
        if training.max_updates is not None:
            self.total = min(self.total, training.max_updates)
        self.started = (time.monotonic(), self.place.updates)
        self.clock = self.saved_at = time.monotonic()
        self.speed = 0.0
        self.interrupted = self.may_break = False

    def check_layers(self) -> None:
        """Refuses a single layer where layers differ; notes those that no epoch reaches."""
        every, epochs = self.training.unfreeze_every, self.training.epochs
        refuse_one_layer(self.layers, every, self.training.layer_factor)
        if every is not None and len(self.layers) > -(-epochs // every):
            reached = f"{-(-epochs // every)} of {len(self.layers)}"
            self.listeners.notes(f"note: training.unfreeze_every {every}: {epochs} epochs reach {reached} layers")

    def unfreeze(self) -> None:
        """Trains the layers whose turn has come: a function of the epoch alone, so that a resumed run agrees."""
        every = self.training.unfreeze_every
        for number, layer in enumerate(self.layers if every is not None else ()):
            for weight in layer:
                weight.requires_grad_(number <= self.place.epoch // every)

    def ended(self) -> Ended | None:
        place, training = self.place, self.training
        # A part of an epoch ends where its end was reported: until then its batches are counted.
        if self.updated_enough() and not place.batch:
            return "updates"
        if place.epoch >= training.epochs:
            return "epochs"
        return "patience" if self.waited_enough() and not place.batch else None

    def waited_enough(self) -> bool:
        return self.training.patience is not None and self.place.stale >= self.training.patience

    def updated_enough(self) -> bool:
        return self.training.max_updates is not None and self.place.updates >= self.training.max_updates

    def rest_of_epoch(self) -> Iterator[Sequence[Part]]:
        """The parts of each update left in the epoch; reports, checkpoints and validations within the epoch are made
        between two of them."""
        place, training = self.place, self.training
        batches = self.task.batches.epoch(place.epoch)
        validated = self.validated_within(len(batches))
        while place.batch < len(batches) and not self.updated_enough():
            if place.batch in validated and place.validated != place.updates:
                valid = self.validate(validated[place.batch], place.averaged_epochs)
                means = self.means(place.whole_epoch)
                self.report({"event": "part", "epoch": validated[place.batch], **means, **valid})
                self.save()
            if self.waited_enough():
                return
            parts = batches[place.batch : place.batch + training.accumulate]
            yield parts
            place.batch += len(parts)
            if place.updates % training.report_every == 0:
                self.report({"event": "update", **self.means(place.lately), "gradient_norm": self.norm})
                place.lately = {}
            self.stop_if_asked()
            if time.monotonic() - self.saved_at >= training.checkpoint_seconds:
                self.save()

    def validated_within(self, num_batches: int) -> dict[int, float]:
        """After how many batches of the epoch validation is due within it, and how many epochs are done then."""
        training, parts = self.training, round(1 / self.training.validate_every)
        updates = math.ceil(num_batches / training.accumulate)
        ends = {part: math.ceil(part * updates / parts) * training.accumulate for part in range(1, parts)}
        return {end: self.place.epoch + part / parts for part, end in ends.items()}

    def end_epoch(self) -> None:
        """Validates where it is due, reports the epoch and writes a checkpoint, unless the epoch was short."""
        place, training = self.place, self.training
        number = place.epoch + 1
        averaged = place.averaged_epochs
        if training.average_last is not None:
            self.checkpoints.save_weights("epoch", number, model_tensors(self.model))
            averaged = [*averaged, number][-training.average_last :]
        valid = {}
        is_due = training.validate_every < 1 or number % training.validate_every == 0 or number == training.epochs
        if (is_due or self.updated_enough()) and place.validated != place.updates:
            valid = self.validate(number, averaged)
        self.count_seconds()
        self.report({"event": "epoch", **self.means(place.whole_epoch), **valid, "seconds": place.seconds})
        place.epoch, place.batch, place.averaged_epochs = number, 0, averaged
        self.carried = ()
        place.lately, place.whole_epoch = {}, {}
        if self.is_worth_a_checkpoint():
            self.save()
        self.stop_if_asked()

    def is_worth_a_checkpoint(self) -> bool:
        """Whether the work since the last checkpoint would cost more than to write one."""
        size = sum(tensor.nbytes for tensor in model_tensors(self.model).values())
        return self.training.keep_checkpoints > KEPT or time.monotonic() - self.saved_at >= size / WRITTEN

    def outcome(self, before: bool) -> Outcome:
        """How the run ended, with the weights to keep in the model."""
        place = self.place
        if self.training.keep_best and place.best_epoch is not None:
            kept = self.checkpoints.load_weights("best", place.best_epoch)
        else:
            kept = self.kept_weights(place.averaged_epochs)
        restore_model(self.model, kept or {}, self.checkpoints.folder, whole=False)
        for weight in self.weights:
            weight.requires_grad_(True)
        self.model.eval()
        return Outcome(self.ended(), before, place.epoch, place.updates, place.seconds, place.best_epoch, place.best)

    def update(self, parts: Sequence[Part]) -> None:
        """One step of the optimizer, on the gradient of all parts together."""
        place, training, model = self.place, self.training, self.model
        carried = self.carried
        began = time.monotonic()
        place.learning_rate = training.optimizer.learning_rate * self.schedule.factor(place.updates, self.total)
        for group, share in zip(self.optimizer.param_groups, self.shares):
            group["lr"] = place.learning_rate * share
        batches = [self.task.fetch(part, place.epoch) for part in parts]
        # One output: divided once all are counted. Several: each by its own number, which must be known before they are
        # added.
        known = self.counted(batches) if len(parts) > 1 and len(model.weights) > 1 else None
        counts: Counter[str] = Counter()
        totals: dict[str, Tensor] = {}
        weights = model.weights_at(place.updates)
        self.optimizer.zero_grad(set_to_none=True)
        for part, batch in enumerate(batches):
            draw_from(training.seed, place.updates, part, self.device)
            with self.products:
                losses = self.losses(batch)
            real = {name: loss for name, loss in losses.items() if loss.count}
            divisors = known or {name: loss.count if len(parts) == 1 else 1 for name, loss in real.items()}
            if real:
                sum(loss.total * (weights[name] / divisors[name]) for name, loss in real.items()).backward()
            for name, loss in real.items():
                counts[name] += loss.count
                totals[name] = totals[name] + loss.total.detach() if name in totals else loss.total.detach()
        if len(parts) > 1 and known is None and counts:
            torch._foreach_mul_([weight.grad for weight in self.weights if weight.grad is not None], 1 / counts.total())
        norm = clip(self.weights, norm=training.clip_norm, value=training.clip_value)
        *values, self.norm = torch.stack(
            [*(total.float() for total in totals.values()), norm.float().to(self.device)]
        ).tolist()
        if not all(map(math.isfinite, (*values, self.norm))):
            self.blame(parts, batches, dict(zip(totals, values)), carried)
        self.optimizer.step()
        place.updates += 1
        if self.moving is not None:
            self.moving.update(place.updates)
        self.report_progress(sum(map(self.task.part_steps, parts)), dict(zip(totals, values)), counts, began)

    def chunk_losses(self, batch: Any) -> dict[str, Loss]:
        """The losses of a chunk of streams, which continues the one before and carries its states to the next."""
        losses, self.carried = self.model.losses_from(batch, self.carried)
        return losses

    @torch.no_grad()
    def counted(self, batches: Sequence[Any]) -> Counter[str]:
        """Real targets of each output in an update: one more forward pass, in evaluation mode, without a trace."""
        self.model.eval()
        counts: Counter[str] = Counter()
        carried = self.carried
        for batch in batches:
            with self.products:
                counts.update({name: loss.count for name, loss in self.losses(batch).items()})
        self.carried = carried
        self.model.train()
        return counts

    def kept_weights(self, averaged: Sequence[int]) -> dict[str, Tensor] | None:
        """The weights that would be kept if training ended here, or None where they are the model's own."""
        if self.moving is not None:
            return self.moving.weights() if self.place.updates else None
        return mean(self.checkpoints.load_weights("epoch", number) for number in averaged) if averaged else None

    def validate(self, number: float, averaged: Sequence[int]) -> dict[str, Any]:
        """Measures the weights that would be kept, and remembers and keeps them if they are the best so far."""
        place, training = self.place, self.training
        higher = self.task.higher[training.monitor]
        with worn(self.model, self.kept_weights(averaged)):
            self.model.eval()
            try:
                self.may_break = True
                with torch.no_grad():
                    valid = {name: float(value) for name, value in self.task.validate(self.model).items()}
            except KeyboardInterrupt:
                self.interrupted = True
            finally:
                self.may_break = False
                self.model.train()
            if not self.interrupted:
                value, best = valid[training.monitor], place.best_value
                ahead = 0.0 if best is None else value - best if higher else best - value
                better = math.isfinite(value) and (best is None or ahead > self.warm_gain())
                if better and training.keep_best:
                    self.checkpoints.save_weights("best", number, model_tensors(self.model))
        self.stop_if_asked()
        place.validated = place.updates
        if better:
            place.best_value, place.best_epoch, place.best = value, number, valid
            place.first_value = self.extent(value) if place.first_value is None else place.first_value
            last = place.patient_value
            gained = last is None or abs(value - last) > training.least_gain * abs(place.first_value)
            place.patient_value, place.stale = (value, 0) if gained else (last, place.stale + 1)
        else:
            place.stale += 1
        self.schedule.observe(value, higher_is_better=higher)
        return {**{f"valid.{name}": value for name, value in valid.items()}, "best": better}

    def extent(self, value: float) -> float:
        """What a gain is a share of: the first validation's value, or, where that is a loss near 0, `SMALL`."""
        is_loss = self.training.monitor == "loss"
        trained = abs(self.means(self.place.whole_epoch)["train.loss"]) if is_loss else 0.0
        return max(abs(value), min(SMALL, trained))

    def warm_gain(self) -> float:
        """By how much a validation must beat the best one so far: 0, but for a warm start, which is a model already."""
        place = self.place
        if place.best_epoch != 0 or place.best_value is None:
            return 0.0
        return WARM_GAIN * (1.0 if self.training.monitor.endswith("loss") else abs(place.best_value))

    def save(self) -> None:
        """A checkpoint between two updates."""
        self.count_seconds()
        state = {
            "epoch": self.place.epoch,
            "best_epoch": self.place.best_epoch,
            "averaged_epochs": self.place.averaged_epochs,
            "place": asdict(self.place),
            "schedule": self.schedule.facts(),
            "history_length": self.history.length(),
            "surroundings": self.surroundings,
            "facts": self.task.facts,
        }
        tensors = {"model": model_tensors(self.model), "optimizer": optimizer_tensors(self.optimizer, self.named)}
        if self.moving is not None:
            tensors["average"] = self.moving.weights()
        if self.training.tbptt is not None:
            tensors["carried"] = {str(place): state for place, state in enumerate(self.carried)}
        self.checkpoints.save(self.place.epoch, self.place.batch, state, tensors)
        self.saved_at = time.monotonic()

    def count_seconds(self) -> None:
        now = time.monotonic()
        self.place.seconds += now - self.clock
        self.clock = now

    def means(self, tally: Mapping[str, float]) -> dict[str, float]:
        """A report of sums: losses per target, of each output and penalty where there are several, and the speed."""
        counted = [name for name in self.model.weights if tally.get(f"{name}.count")]
        losses = {name: tally[f"{name}.total"] / tally[f"{name}.count"] for name in counted}
        means = {"train.loss": sum(self.model.weights[name] * value for name, value in losses.items())}
        if len(self.model.weights) > 1:
            means |= {f"train.{name}.loss": value for name, value in losses.items()}
        speed = tally["steps"] / tally["seconds"] if tally.get("seconds") else 0.0
        return {**means, "learning_rate": self.place.learning_rate, "steps_per_second": speed}

    def report(self, event: Mapping[str, Any]) -> None:
        whole = {"update": self.place.updates, "epoch": self.place.epoch + 1, **event}
        self.history.append(whole)
        self.listeners.reports(whole)

    def report_progress(self, steps: int, totals: Mapping[str, float], counts: Mapping[str, int], began: float) -> None:
        """Adds an update to the sums, and reports it to the listener."""
        place, now = self.place, time.monotonic()
        added: dict[str, float] = {"steps": steps, "seconds": now - began}
        for name, total in totals.items():
            added |= {f"{name}.total": total, f"{name}.count": counts[name]}
        for tally in (place.lately, place.whole_epoch):
            for name, value in added.items():
                tally[name] = tally.get(name, 0) + value
        speed = steps / max(1e-9, now - began)
        # Batches differ in shape: a mean over about the last twenty is steadier than the last one.
        self.speed = speed if not self.speed else self.speed + 0.05 * (speed - self.speed)
        since, before = self.started
        left = (now - since) / (place.updates - before) * max(0, self.total - place.updates)
        loss = sum(self.model.weights[name] * total / counts[name] for name, total in totals.items())
        epochs, rate = self.training.epochs, place.learning_rate
        total = max(self.total, place.updates)  # Another order may make a batch more of an epoch than the first has.
        self.listeners.progress(Progress(place.updates, total, place.epoch + 1, epochs, loss, self.speed, rate, left))

    def blame(
        self, parts: Sequence[Part], batches: Sequence[Any], totals: Mapping[str, float], carried: tuple[Tensor, ...]
    ) -> NoReturn:
        """Stops at a loss or gradient that is not finite, before it touches a weight, and names where it arose."""
        place = self.place
        rows = np.concatenate([self.task.part_rows(part) for part in parts]).tolist()
        arose = None
        self.carried = carried
        for part, batch in enumerate(batches):
            draw_from(self.training.seed, place.updates, part, self.device)
            with self.products, torch.no_grad():
                arose = arose or first_not_finite(self.model, self.losses, batch)
        norms = {
            name: weight.grad.double().norm().item() for name, weight in self.named.items() if weight.grad is not None
        }
        bad = [name for name, norm in norms.items() if not math.isfinite(norm)]
        largest = sorted((name for name in norms if name not in bad), key=norms.__getitem__, reverse=True)[:3]
        wrong = [f"the loss of {name} is {total}" for name, total in totals.items() if not math.isfinite(total)]
        last = self.checkpoints.newest()
        raise ConfigError(
            f"training stopped at update {place.updates + 1} (epoch {place.epoch + 1}, batch {place.batch + 1}):"
            f" {', '.join(wrong) or 'the loss is finite, its gradient is not'}."
            f"\n  rows of the batch: {', '.join(map(str, rows[:20]))}{_and_more(rows, 20)}"
            f"\n  first layer: {arose or NOWHERE}"
            f"\n  gradient norms: {', '.join(f'{name} {norms[name]:.3g}' for name in largest) or 'none is finite'}"
            "\n  gradients not finite:"
            f" {', '.join(bad[:5]) or 'none, but the sum of their squares is'}{_and_more(bad, 5)}"
            f"\n  last good checkpoint, kept: {last or 'none was written yet'}"
            f"\n  what helps: a smaller learning_rate (now {place.learning_rate:.3g}), a smaller clip_norm"
            f" (now {self.training.clip_norm}), a schedule with warmup, precision float32; or look at these rows of the"
            " data"
        )

    def stop_if_asked(self) -> None:
        if self.interrupted:
            self.save()
            raise Interrupted(f"stopped after update {self.place.updates} and saved; to continue, resume")

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Ctrl-C or SIGTERM stops the run after its update; a second one, or one during validation, at once."""
        self.model.train()
        before = {}
        if threading.current_thread() is threading.main_thread():  # signals belong to it
            before = {number: signal.signal(number, self.stop_asked) for number in STOPS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
            self.history.close()

    def stop_asked(self, number: int, frame: Any) -> None:
        if self.interrupted or self.may_break:
            raise KeyboardInterrupt
        self.interrupted = True


def _and_more(listed: Sequence[Any], shown: int) -> str:
    return f" and {len(listed) - shown} more" if len(listed) > shown else ""
