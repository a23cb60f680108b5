"""A run folder from a recipe: data prepared, model trained, everything kept for evaluation and prediction."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ostinato.data.examples import Examples
from ostinato.data.read import existing
from ostinato.data.variation import Variation
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError, placed
from ostinato.files import PARTIAL, explained, sweep, write
from ostinato.kernels.half import products
from ostinato.modalities.contract import Modality
from ostinato.model.columns import traits_of
from ostinato.model.graph import Graph, of_rows
from ostinato.notes import Detail
from ostinato.preprocessing.checks import demands
from ostinato.preprocessing.duration import Pace, smaller, within
from ostinato.preprocessing.forecasting import warm_windows
from ostinato.preprocessing.prepare import Prepared, prepare
from ostinato.recipe.columns import continued
from ostinato.recipe.metrics import main_metric
from ostinato.recipe.migrate import tensor_names
from ostinato.recipe.read import Recipe
from ostinato.recipe.rules import monitorable
from ostinato.recipe.yaml_text import flow
from ostinato.registry import Settings
from ostinato.run import bundle as bundles
from ostinato.run.resume import as_it_began, demand_same_data, filled, named_alike
from ostinato.run.run import Run
from ostinato.run.solve import batches_of, solve
from ostinato.run.transfer import Transfer, transfer_of
from ostinato.steps import Steps
from ostinato.training import repeatable
from ostinato.training.checkpoints import Checkpoints, model_tensors, restore_model
from ostinato.training.curve import Curve, EpochLines
from ostinato.training.layers import by_layer, refuse_one_layer
from ostinato.training.loop import Training
from ostinato.training.task import Listeners, Outcome, Task

Validate = Callable[[Run, Prepared, str], Mapping[str, float]]
"""From a run, its prepared data and a device to the metrics of the validation split."""
Costs = Callable[[Run, Prepared, str], tuple[float, float]]
"""From a run that is not trained yet, its prepared data and a device to the seconds of a validation and of the
evaluation."""
START_SECONDS = 4.0
"""What a command takes before it looks at the data: Python, torch and the packages are imported."""
MARGIN = 0.9
"""The share of given minutes that is planned with: batches differ, and other programs use the machine too."""
SHRINKS, FASTER = 3, 1.5
"""How often a model is made smaller at most, and how much faster an epoch has to be by narrower layers."""
MEASURED = 0.02, 5.0
"""Updates are measured for this share of given minutes, and no longer than so many seconds."""
OVER = 0.25
"""The share of given minutes by which a run may be longer, where that is what a first epoch takes."""
CALIBRATED_ROWS = 1000
"""Validation rows that intervals are calibrated on."""
HISTORY = "history.jsonl"
KEPT = (bundles.CHECKPOINTS, "tensorboard", HISTORY, "log.txt", "attention.png", bundles.MEMBERS, bundles.EFFORT)
ANOTHER = "another folder: --run DIR"


class Budget(NamedTuple):
    """How long a run may take.

    Args:
        seconds: from a recipe and what its training costs to the seconds that are left for it, evaluation included;
            None: as long as the recipe says.
        measured: for how many of them updates are measured.
        over: how many more there are for a first epoch.
    """

    seconds: Callable[[Recipe, Pace], float | None]
    measured: float = MEASURED[1]
    over: float = 0.0


def within_minutes(minutes: float) -> Budget:
    """The time that is left of minutes that begin now."""
    end = time.monotonic() + MARGIN * 60 * minutes - START_SECONDS

    def seconds(*_: Any) -> float:
        return end - time.monotonic()

    return Budget(seconds, min(MEASURED[0] * 60 * minutes, MEASURED[1]), OVER * 60 * minutes)


@dataclass(frozen=True)
class Session:
    """A run whose data are prepared and whose model is built, so that all is ready for training.

    Args:
        run: in memory; its folder holds the description.
        began: the bundle of the run that is resumed, or None.
        training: the loop.
        task: what the loop trains on.
        listeners: receive progress and notes.
        resume: whether the loop continues from a checkpoint.
        valid: the validation split.
    """

    run: Run
    began: bundles.Bundle | None
    training: Training
    task: Task
    listeners: Listeners
    resume: bool
    valid: Examples


def begin(
    recipe: Recipe,
    folder: Path,
    *,
    resume: bool,
    overwrite: bool,
    device: str,
    roots: Sequence[Path],
    data: Mapping[str, Any],
    validate: Validate,
    listeners: Listeners,
    budget: Budget | None = None,
    costs: Costs | None = None,
) -> Session:
    """Prepares the data, builds the model and describes the run in its folder.

    Args:
        recipe: as the user gave it.
        folder: of the run.
        resume: whether to continue the run of the folder.
        overwrite: whether to delete it first.
        device: to train on.
        roots: folders where paths are looked up after the recipe's own.
        data: rows by split, in place of the recipe's.
        validate: measures the validation split.
        listeners: receive progress, a line for each epoch, and notes.
        budget: the time that all may take; None: as long as the recipe says. A run that is resumed keeps what was
            decided when it began.
        costs: measures what validation and evaluation take; needed with a budget.

    Errors:
        ConfigError: the folder holds a run and neither `resume` nor `overwrite` is given; a setting of the resumed run
            cannot change.
        DataError: the data cannot be used, or are not those that the run began with.
    """
    say = listeners.notes
    began = claim(folder, resume, overwrite)
    sweep(folder)
    start = began is None or Checkpoints(folder / bundles.CHECKPOINTS).newest() is None
    transfer = transfer_of(recipe, roots, began, start=start)
    if transfer is not None:
        recipe = transfer.recipe
        for note in transfer.notes:
            say(f"note: {note}")
    if began is not None:
        recipe = as_it_began(recipe, began, folder)
    known = {} if transfer is None else transfer.facts
    facts = began.modalities if began else None
    begun = [
        name for name in recipe.settings.inputs if transfer and transfer.begins(f"inputs.{name}.encoder.embedding")
    ]
    prepared = prepare(recipe, roots=roots, data=data, facts=facts, known=known, begun=begun, start=start, say=say)
    if began is not None:
        demand_same_data(began, prepared, folder)
        if budget is not None:
            say("note: --resume keeps what was decided when the run began, whatever --minutes is")
    for note in prepared.notes:
        say(f"note: {note}")

    if began is None and budget is not None and transfer is None and not prepared.starts:
        prepared = _small_enough(prepared, budget, device)
    settings = prepared.recipe.settings
    repeatable.prepare(settings.training.seed)
    graph = Graph(settings.inputs, settings.outputs, prepared.modalities).to(device)
    for name, vectors in prepared.starts.items():
        graph.embedding(name).start_from(vectors.table, vectors.added)
    for name, encoder in graph.encoders.items() if start else ():
        if transfer is not None and transfer.begins(f"inputs.{name}.encoder"):
            continue
        with placed(f"inputs.{name}.encoder"):
            encoder.start(partial(existing, base=recipe.base, data_root=roots))
    examples, warm = prepared.splits["train"], []
    for name, head in graph.heads.items() if start else ():
        source = f"inputs.{graph.continues.get(name)}"
        found = head.warm_start(partial(warm_windows, examples, source, f"outputs.{name}"))
        if found is not None:
            warm.append(name)
            say(Detail(f"start of outputs.{name}: {found}"))
    if start:
        solve(graph, examples, settings.training.seed, say)
    is_model = start and transfer is not None and transfer.start(graph, prepared.modalities, say)
    graph.hold()
    graph.freeze(settings.training.freeze)
    if began is None and budget is not None and costs is not None and _is_trained(graph):
        prepared = _within(prepared, graph, budget, device, costs, say)
        settings = prepared.recipe.settings
    training = Training(**settings.training.arguments())
    learnt = {name: weight for name, weight in graph.named_parameters() if weight.requires_grad}
    refuse_one_layer(by_layer(learnt, graph.distances()), training.unfreeze_every, training.layer_factor)
    bundle = _bundle(prepared, roots, transfer)
    if began is None:
        for path, why in prepared.recipe.reasons.items():
            say(Detail(f"chosen: {path} = {flow(prepared.recipe.at(path))} ({why})"))
        if overwrite:
            clear(folder)
        _describe(folder, bundle, prepared.recipe)
    reasons = len(prepared.recipe.reasons)
    chosen = f"; {folder / bundles.RECIPE} has {reasons} settings chosen for it, each with its reason" * bool(reasons)
    say(f"{sum(graph.parts().values()):,} parameters on {device}{chosen}")
    with products(torch.device(device), settings.training.precision == "bfloat16"):
        for place, kernel in graph.recurrences().items():
            say(Detail(f"kernel of {place}: {kernel}"))

    run = Run(prepared.recipe, bundle, prepared.modalities, graph, folder)
    if settings.training.tbptt is not None and len(examples) < settings.training.batch_rows:
        say(
            f"note: {len(examples):,} rows make as many streams, fewer than training.batch_rows"
            f" ({settings.training.batch_rows:,})"
        )
    task = _task(run, prepared, device, validate, warm=bool(warm) or is_model, keep_start=transfer is not None)
    return Session(run, began, training, task, listeners, resume, prepared.splits["valid"])


def untrained(recipe: Recipe, *, roots: Sequence[Path], data: Mapping[str, Any], say: Callable[[str], None]) -> Run:
    """A model as its seed draws it, in memory, before what has a closed form is solved for."""
    prepared = prepare(recipe, roots=roots, data=data, say=say)
    graph = initial(prepared.recipe, prepared.modalities)
    for name, vectors in prepared.starts.items():
        graph.embedding(name).start_from(vectors.table, vectors.added)
    return Run(prepared.recipe, _bundle(prepared, roots), prepared.modalities, graph)


def initial(recipe: Recipe, modalities: Mapping[str, Modality]) -> Graph:
    """The network as the recipe's seed draws it; what is drawn elsewhere stays what it would be."""
    settings = recipe.settings
    with torch.random.fork_rng():
        torch.manual_seed(settings.training.seed)
        return Graph(settings.inputs, settings.outputs, modalities).eval()


def _task(
    run: Run, prepared: Prepared, device: str, validate: Validate, *, warm: bool = False, keep_start: bool = False
) -> Task:
    """What the loop trains on."""
    examples, settings, valid = prepared.splits["train"], prepared.recipe.settings, prepared.splits["valid"]
    varying = [name for name, column in settings.inputs.items() if traits_of(column).varies]
    modalities = {name: prepared.modalities[f"inputs.{name}"] for name in varying}
    demanded = demands(settings) if varying else ()
    vary = Variation(modalities, demanded, settings.training.seed, continued(settings))
    held_out = partial(batches_of, valid, valid.evaluation_batches(settings.training), device)

    def validated(_: Any) -> Mapping[str, float]:
        run.graph.settle(held_out)
        return validate(run, prepared, device)

    return Task(
        model=run.graph,
        batches=examples.batches(settings.training),
        fetch=lambda part, epoch: vary(examples.fetch(part), examples.part_rows(part), epoch).to(device),
        validate=validated,
        higher=monitorable(settings),
        part_steps=examples.part_steps,
        part_rows=examples.part_rows,
        facts={
            **prepared.recipe.plain(),
            "data": {name: source["digest"] for name, source in prepared.sources.items()},
        },
        free=("search", "calibration"),
        names=tensor_names(settings),
        warm=warm,
        distances=run.graph.distances(),
        keep_start=keep_start,
        filled=lambda facts: {**filled({**facts, "data": prepared.recipe.plain()["data"]}), "data": facts["data"]},
    )


def _small_enough(prepared: Prepared, budget: Budget, device: str) -> Prepared:
    """The prepared data with widths and batches that learn something in the time that there is, where they are open.

    Steps that cost no less when layers are narrower are paid for elsewhere: the layers stay as they are.
    """
    wider, step_seconds = prepared, math.inf
    for _ in range(SHRINKS):
        recipe = prepared.recipe
        training = recipe.settings.training
        repeatable.prepare(training.seed)
        graph = initial(recipe, prepared.modalities).to(device)
        if not _is_trained(graph):
            return prepared
        pace = _pace(recipe, _measurable(prepared, graph, device)[1], budget)
        now = pace.update_seconds * pace.updates
        if now > step_seconds / FASTER:
            return wider
        left = budget.seconds(recipe, pace)
        chosen = {} if left is None else smaller(recipe, left, pace, len(prepared.splits["train"]))
        if not chosen:
            return prepared
        batch = {path: value for path, value in chosen.items() if path.startswith("training.")}
        wider, step_seconds = replace(prepared, recipe=recipe.with_chosen(batch)), math.inf if batch == chosen else now
        prepared = replace(prepared, recipe=recipe.with_chosen(chosen))
    return prepared


def _measurable(prepared: Prepared, graph: Graph, device: str) -> tuple[Run, Task]:
    """A run whose updates are measured, and what they are made on."""
    run = Run(prepared.recipe, _bundle(prepared, ()), prepared.modalities, graph)
    return run, _task(run, prepared, device, lambda *_: {})


def _pace(recipe: Recipe, task: Task, budget: Budget, validation: float = 0.0, evaluation: float = 0.0) -> Pace:
    """What training costs, by a few updates of real batches; the model is left as it was."""
    training = recipe.settings.training
    seconds = Training(**training.arguments()).seconds_of_update(task, budget.measured)
    updates = -(-len(task.batches.epoch(0)) // training.accumulate)
    return Pace(updates, seconds, validation, evaluation)


def _within(
    prepared: Prepared, graph: Graph, budget: Budget, device: str, costs: Costs, say: Callable[[str], None]
) -> Prepared:
    """The prepared data with epochs, updates, validations and patience such that the run ends in time.

    A few updates of real batches, a validation and an evaluation of a few rows are measured; the model is left as it
    was. What is chosen is part of the full recipe, which gives the same run on any machine.
    """
    recipe = prepared.recipe
    run, task = _measurable(prepared, graph, device)
    pace = _pace(recipe, task, budget, *costs(run, prepared, device))
    updates = pace.updates
    left = budget.seconds(recipe, pace)
    if left is None:
        return prepared
    first = updates * pace.update_seconds + 2 * pace.validation_seconds + pace.evaluation_seconds
    rest = f"{max(0.0, left):,.0f} s of the minutes are left, after reading the data and measuring this machine"
    if left < first <= budget.over:
        say(f"note: {rest}; about an epoch is trained all the same, which takes {first:,.0f} s with what follows it")
        left = first
    chosen = within(recipe, left, pace)
    now = recipe.with_chosen(chosen).settings.training
    total = min(now.epochs * updates, now.max_updates or now.epochs * updates)
    if total < updates:
        say(
            f"note: the minutes are too few for an epoch: {total:,} of its {updates:,} updates are made; {rest}, and an"
            f" epoch takes about {first:,.0f} s with what follows it"
        )
    elif total < recipe.settings.training.epochs * updates:
        enough = f"{total / updates:.3g}"
        of = f"epoch{'s' * (enough != '1')} of {recipe.settings.training.epochs}"
        say(f"note: the minutes are enough for {enough} {of}")
    return replace(prepared, recipe=recipe.with_chosen(chosen))


def _lines(say: Callable[[str], None], settings: Settings) -> EpochLines:
    """Lines of the epochs, with the main metric of each output."""
    mains = {output: main_metric(column) for output, column in settings.outputs.items()}
    called = {
        f"valid.{output}.{key}": key if len(mains) == 1 else f"{output}.{key}"
        for output, key in mains.items()
        if key is not None
    }
    return EpochLines(say, settings.training.epochs, called)


def trained(session: Session, until: int | None = None) -> Outcome:
    """Runs the loop; where all weights were solved for there is nothing to train, and validation alone is run.

    Args:
        session: that was begun.
        until: the epoch to pause after; None: until training ends.
    """
    run, task, listeners = session.run, session.task, session.listeners
    if session.began is not None and (ended := _ended_without_checkpoints(run, session.began)) is not None:
        return ended
    if _is_trained(run.graph):
        with _lines(listeners.notes, run.recipe.settings) as lines:
            also = replace(listeners, reports=lambda event: (listeners.reports(event), lines.add(event)))
            return session.training.run(task, run.folder, also, resume=session.resume, until=until)
    began = time.monotonic()
    listeners.notes("all weights were solved for: there is nothing to train")
    run.graph.eval()
    with torch.no_grad():
        valid = {name: float(value) for name, value in task.validate(run.graph).items()}
    seconds = time.monotonic() - began
    report = {"event": "epoch", "epoch": 0, "update": 0, **{f"valid.{name}": value for name, value in valid.items()}}
    write(run.folder / HISTORY, json.dumps({**report, "seconds": seconds}) + "\n")
    return Outcome("epochs", False, 0, 0, seconds, None, valid)


def _ended_without_checkpoints(run: Run, began: bundles.Bundle) -> Outcome | None:
    """The end of a run whose weights are there and whose checkpoints were deleted; None of any other.

    Errors:
        ConfigError: it shall train longer, which needs a checkpoint.
    """
    folder, now = run.folder, run.recipe.settings.training
    weights_are_there = os.path.isfile(folder / bundles.WEIGHTS)
    if (
        not weights_are_there
        or not _is_trained(run.graph)
        or Checkpoints(folder / bundles.CHECKPOINTS).newest() is not None
    ):
        return None
    for name in ("epochs", "max_updates"):
        was, wanted = began.recipe["training"].get(name), getattr(now, name)
        if was != wanted:
            raise ConfigError(
                f"{folder}: training.{name} was {was}, is {wanted}, and the checkpoints that training would continue "
                f"from are deleted; start anew with --overwrite, or choose {ANOTHER}"
            )
    renamed = tensor_names(run.recipe.settings)
    weights = {renamed(name): tensor for name, tensor in bundles.load_weights(folder).items()}
    restore_model(run.graph, weights, folder)
    return Outcome("epochs", True, now.epochs, 0, 0.0, None, {})


def _is_trained(graph: Graph) -> bool:
    """Whether there is a weight that was not solved for."""
    return any(weight.requires_grad for weight in graph.parameters())


def finish(session: Session, outcome: Outcome) -> Run:
    """Writes the trained weights to the run folder.

    A run that had ended before keeps its metrics, unless its search, its calibration or the names of its data have
    changed.
    """
    run, began, say = session.run, session.began, session.listeners.notes
    folder, bundle = run.folder, run.bundle
    had_ended = outcome.before and os.path.isfile(folder / bundles.WEIGHTS)
    is_tempered = run.recipe.settings.calibration == "temperature"
    for name, head in run.graph.heads.items():
        due = not had_ended if head.temperature is None else is_tempered
        found = head.calibrate(partial(_read_by, run, name, session.valid)) if due else None
        if found is not None:
            say(f"outputs.{name}: {found}")
        if head.temperature is not None and is_tempered:
            bundle.temperatures[name] = head.temperature
    if had_ended:
        say(f"{folder}: this run is finished ({outcome.epochs} epochs); raise training.epochs to train on")
        searched = began is None or bundle.recipe.get("search") == began.recipe.get("search")
        named = began is None or named_alike(run.recipe, began)
        calibrated = began is None or bundle.temperatures.keys() == began.temperatures.keys()
        for is_alike, change in (
            (searched, "the search has changed"),
            (calibrated, "the calibration has changed"),
            (named, "the data have other names, or lie elsewhere"),
        ):
            if not is_alike:
                say(f"{change}: the run takes this over and is measured again")
        if searched and calibrated and named and began is not None:
            bundle.metrics = began.metrics
        else:
            publish(folder, run)
        return run
    publish(folder, run)
    bundles.save_weights(folder, model_tensors(run.graph))
    curve = Curve.read(folder, run.recipe.settings.training)
    if curve is None or not curve.solved():
        how = "" if curve is None else f"; {curve.summary()}"
        counted = f"{_number(outcome.epochs, 'epoch')}, {_number(outcome.updates, 'update')}"
        say(f"trained {counted}, {outcome.seconds:,.0f} s{how}")
    return run


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _read_by(run: Run, output: str, examples: Examples) -> Iterator[tuple[list[Encoded], Steps]]:
    """What an output reads of some examples, and its targets, batch by batch."""
    some = examples.pick(np.arange(0, len(examples), max(1, len(examples) // CALIBRATED_ROWS)))
    for numbers in some.evaluation_batches(run.recipe.settings.training):
        batch = some.batch(numbers).to(run.device)
        yield of_rows(run.graph.read(output, batch.inputs), batch.given.get(output)), batch.targets[output]


def claim(folder: Path, resume: bool | None, overwrite: bool) -> bundles.Bundle | None:
    """The bundle of the run to resume, if there is one; otherwise the folder is free for a new run.

    Args:
        folder: of the run.
        resume: whether to continue it; None: what makes a run at once cannot.
        overwrite: whether to delete what is there.

    Errors:
        ConfigError: it holds a run that is neither continued nor deleted, or something else.
    """
    if resume and overwrite:
        raise ConfigError("--resume continues a run and --overwrite deletes it; give one of them")
    is_effort = os.path.isfile(folder / bundles.EFFORT)
    if is_effort or bundles.exists(folder):
        if resume and is_effort:
            raise ConfigError(
                f"{folder}: holds a run of --effort; continue it with the same --effort, or choose {ANOTHER}"
            )
        if resume:
            return bundles.load(folder)
        if not overwrite and resume is None:
            raise ConfigError(f"{folder}: holds a run already; start anew with --overwrite, or choose {ANOTHER}")
        if not overwrite:
            raise ConfigError(
                f"{folder}: holds a run already; continue it with --resume, start anew with --overwrite,"
                f" or choose {ANOTHER}"
            )
    elif os.path.exists(folder) and (
        not os.path.isdir(folder) or any(not path.name.endswith(PARTIAL) for path in folder.iterdir())
    ):
        raise ConfigError(f"{folder}: exists and is no run; choose {ANOTHER}")
    return None


def clear(folder: Path) -> None:
    """Deletes a run's files, the description last, so that an interrupted deletion leaves a run to overwrite."""
    with explained(folder):
        for name in (
            bundles.WEIGHTS,
            f"{bundles.WEIGHTS}.sha256",
            bundles.METRICS,
            bundles.CARD,
            bundles.RECIPE,
            bundles.BASELINES,
            *KEPT,
            bundles.DESCRIPTION,
        ):
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _describe(folder: Path, bundle: bundles.Bundle, recipe: Recipe) -> None:
    """What is known without the weights: the description first, since it makes the folder a run."""
    bundles.describe(folder, bundle)
    paths = (
        ""
        if recipe.settings.data == type(recipe.settings.data)()
        else f"# Paths are relative to {bundle.data['base']}\n"
    )
    write(folder / bundles.RECIPE, paths + recipe.yaml())


def publish(folder: Path, run: Run) -> None:
    """All of a bundle but the weights, nothing measured yet."""
    _describe(folder, run.bundle, run.recipe)
    bundles.save_metrics(folder, {})
    bundles.write_card(folder, run.bundle, run.graph.parts())


def _bundle(prepared: Prepared, roots: Sequence[Path], transfer: Transfer | None = None) -> bundles.Bundle:
    return bundles.Bundle(
        recipe=prepared.recipe.plain(),
        modalities={place: modality.facts() for place, modality in prepared.modalities.items()},
        lengths=prepared.lengths,
        data={
            "base": str(prepared.recipe.base.resolve()),
            "roots": [str(root.resolve()) for root in roots],
            "splits": prepared.sources,
            "notes": prepared.notes,
            "vectors": {name: vectors.digest for name, vectors in prepared.starts.items()},
            **({} if transfer is None else {"from": transfer.record()}),
        },
        reasons=prepared.recipe.reasons,
        versions=bundles.versions(),
    )
