"""The verbs that make a run: check, fit, measure, train, average, import, sweep."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ostinato import files
from ostinato.errors import ConfigError
from ostinato.evaluation import evaluate as evaluation
from ostinato.evaluation.costs import costs
from ostinato.evaluation.doubts import doubts
from ostinato.evaluation.predictions import predict_all
from ostinato.evaluation.report import Report
from ostinato.evaluation.validate import validate
from ostinato.evaluation.verdict import Verdict
from ostinato.evaluation.verdict import verdict as verdict_of
from ostinato.notes import Detail
from ostinato.recipe.read import Recipe
from ostinato.registry import component
from ostinato.run import average as run_average
from ostinato.run import check as run_check
from ostinato.run import importing as run_importing
from ostinato.run import rows as row_sources
from ostinato.run import train as run_train
from ostinato.run.check import Check
from ostinato.run.run import Run
from ostinato.sweeps import effort as efforts
from ostinato.sweeps import sweep as sweeping
from ostinato.sweeps import table as comparing
from ostinato.sweeps.effort import Portfolio
from ostinato.sweeps.report import SweepReport
from ostinato.training.curve import Curve
from ostinato.training.task import Listeners, Progress
from ostinato.verbs.runs import Runs, device_of, keep_report, loaded_runs, silent, write_page

TURN = threading.RLock()
"""Held by a run that trains: torch draws from one generator for the whole process, so threads train in turn."""


def _ignore(progress: Progress) -> None:
    """Drops an event."""


def check(recipe: Recipe, *, roots: Sequence[Path] = (), say: Callable[[str], None] = silent) -> Check:
    """What a recipe will build: parameters by part, kernels, the cost of an update, steps of look-ahead.

    Data are read, vocabularies fitted and examples encoded as for training, which then finds them in the cache.
    """
    return run_check.check(recipe, [*roots, *recipe.roots], say)


def fit(
    recipe: Recipe,
    folder: Path | str,
    *,
    data: Mapping[str, Any] = MappingProxyType({}),
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    roots: Sequence[Path] = (),
    minutes: float | None = None,
    effort: int = 1,
    say: Callable[[str], None] = silent,
    on_event: Callable[[Progress], None] = _ignore,
) -> Run:
    """Trains the model of a recipe into a run folder; the run is also in memory, ready for the other verbs.

    Calls from several threads train one after another, each to the bits that it would reach alone.

    Args:
        recipe: with paths of data, or without.
        folder: of the run.
        data: rows by split, in place of the recipe's.
        resume: whether to continue the run of the folder.
        overwrite: whether to delete it first.
        device: to train on.
        roots: folders where paths are looked up after the recipe's own.
        minutes: in which all has to be over, evaluation included: epochs, updates and validations are chosen by what a
            few of them take on this machine, and written into the run's recipe.
        effort: 1, this run alone, or up to 5: more and more other settings are tried too, and the best model, or an
            ensemble of the best, is kept (`sweeps.effort`).
        say: receives notes, and a line for each epoch.
        on_event: receives the progress after each update.

    Errors:
        ConfigError: the folder holds a run and neither `resume` nor `overwrite` is given; a setting of the resumed run
            cannot change.
        DataError: the data cannot be used, or are not those that the run began with.
    """
    listeners = Listeners(progress=on_event, notes=say)
    if effort != 1 and getattr(recipe.settings, "from") is not None:
        raise ConfigError("--effort tries models of other forms, which cannot start from an earlier run; leave one out")
    roots = [*roots, *recipe.roots]
    with TURN:
        if effort != 1:
            return efforts.train(
                recipe,
                Path(folder),
                effort,
                minutes=minutes,
                resume=resume,
                overwrite=overwrite,
                device=device_of(device),
                roots=roots,
                data=data,
                listeners=listeners,
            )
        session = run_train.begin(
            recipe,
            Path(folder),
            resume=resume,
            overwrite=overwrite,
            device=device_of(device),
            roots=roots,
            data=data,
            validate=validate,
            listeners=listeners,
            budget=None if minutes is None else run_train.within_minutes(minutes),
            costs=partial(costs, roots=roots),
        )
        return run_train.finish(session, run_train.trained(session))


def measure(
    run: Run, *, roots: Sequence[Path] = (), examples: Path | None = None, say: Callable[[str], None] = silent
) -> Report:
    """The metrics of a run that was just trained, on its test split, or on valid where there is none; kept in the run.

    Pictures of what it learnt are drawn into its folder. A run that is measured already keeps its report, unless
    examples are asked for too.

    Args:
        run: in memory.
        roots: folders where paths are looked up after the recipe's own.
        examples: a .safetensors file for what the metrics are computed from, example by example.
        say: receives notes.
    """
    if not run.bundle.is_measured or examples is not None:
        say(Detail("measuring"))
        split = row_sources.default_split(run, None, None)
        measured = row_sources.of_split(run, split, None, roots)
        predictions = predict_all([run], measured, say=say)
        report = evaluation.report_of(run, predictions, split)
        curve = curve_of(run)
        report = report if curve is None else report.noted(doubts(run, report, measured, curve, roots))
        keep_report(run, report)
        if examples is not None:
            comparing.keep(run, split, measured, predictions, examples)
        # Last, since an interruption here loses nothing of the run's own.
        keep_report(run, evaluation.beside_baselines(run, report, predictions, measured, roots, say), whole=True)
        from ostinato.probes.run_pictures import draw

        if paths := draw(run, report, curve, predictions, measured):
            say(f"pictures: {', '.join(map(str, paths))}")
    return replace(Report.from_json(list(run.bundle.metrics.values())[-1]), run=str(run.folder))


def draw_held_out(run: Run, data: Mapping[str, Any]) -> list[Path]:
    """Draws what `measure` draws, of the validation rows, into the folder of a run that was trained on these sources;
    of a run that generates its answers the learning curve alone.

    Args:
        run: that was trained.
        data: its rows by split, where they are no files of its recipe.
    """
    from ostinato.probes.run_pictures import draw, learning_curve, write

    curve = curve_of(run)
    if any(component("heads", output.head.type).generates for output in run.outputs.values()):
        return write(run, learning_curve(run, curve))
    examples = row_sources.held_out(run, data)
    predictions = predict_all([run], examples)
    return draw(run, evaluation.report_of(run, predictions, "valid"), curve, predictions, examples)


def average(runs: Runs, folder: Path, *, last: int | None = None, overwrite: bool = False, device: str = "auto") -> Run:
    """A run whose weights are the mean of those of a run's checkpoints, or of several runs; see `run.average`."""
    return run_average.average(loaded_runs(runs, device), folder, last=last, overwrite=overwrite)


def import_model(
    source: Path | str,
    folder: Path | str,
    *,
    format: str | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] = silent,
) -> Run:
    """A run folder of a model that another tool trained; see `run.importing`."""
    return run_importing.import_model(Path(source), Path(folder), format=format, overwrite=overwrite, say=say)


def verdict(run: Run, report: Report) -> Verdict | None:
    """What the results of a run mean, in words, and what to try next; None where its history is gone.

    Args:
        run: that was trained.
        report: as `measure` gave it.
    """
    curve = curve_of(run)
    return None if curve is None and not run.bundle.members else verdict_of(run, report, curve)


def portfolio(run: Run) -> Portfolio | None:
    """What was tried for a run, where it was trained with effort."""
    return None if run.folder is None else Portfolio.read(run.folder)


def curve_of(run: Run) -> Curve | None:
    """The losses and metrics of each epoch, why training ended and what was kept; None where the history is gone."""
    return None if run.folder is None else Curve.read(run.folder, run.recipe.settings.training)


def train(
    recipe: Recipe,
    folder: Path | str,
    *,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    roots: Sequence[Path] = (),
    minutes: float | None = None,
    effort: int = 1,
    examples: Path | None = None,
    say: Callable[[str], None] = silent,
    on_event: Callable[[Progress], None] = _ignore,
) -> Report:
    """`fit`, then `measure`."""
    run = fit(
        recipe,
        folder,
        resume=resume,
        overwrite=overwrite,
        device=device,
        roots=roots,
        minutes=minutes,
        effort=effort,
        say=say,
        on_event=on_event,
    )
    return measure(run, roots=roots, examples=examples, say=say)


def sweep(
    recipe: Path | str,
    overs: Sequence[str],
    folder: Path | str,
    *,
    seeds: int = 1,
    jobs: int = 1,
    overwrite: bool = False,
    html: Path | None = None,
    sets: Sequence[str] = (),
    device: str = "auto",
    data_root: str | None = None,
    start: sweeping.Start | None = None,
    say: Callable[[str], None] = silent,
) -> SweepReport:
    """Trains all combinations of settings' values into a folder and compares them; finished runs are not trained again.

    Args:
        recipe: the recipe's file.
        overs: `PATH=VALUE,VALUE`, an axis each.
        folder: of the runs, sweep.json, sweep.md and the pictures.
        seeds: number of seeds of each combination.
        jobs: runs at once.
        overwrite: whether all is trained anew.
        html: a file for the report as one page.
        sets: `PATH=VALUE` for all runs.
        device: to train and measure on.
        data_root: folders of data sets, as the command line takes them.
        start: what trains one run; a process of its own by default.
        say: receives notes.

    Errors:
        ConfigError: an axis or one of the recipes is wrong, or a run in the folder has other settings.
        Interrupted: Ctrl-C; the same call continues.
    """
    from ostinato.sweeps.pictures import draw

    device_of(device)
    folder = Path(folder)
    options = ["--device", device, *(["--data-root", data_root] if data_root else [])]
    lines, planned = sweeping.plan(
        Path(recipe), overs, seeds=seeds, folder=folder, sets=sets, options=options, overwrite=overwrite
    )
    start = start or sweeping.process(jobs)
    failed = sweeping.train_all(planned, folder, jobs=jobs, start=start, say=say, overwrite=overwrite)
    roots = [Path(root) for root in (data_root or "").split(os.pathsep) if root]
    trained = [run for run in planned if run.name not in failed]
    trials = {run.name: comparing.trial(run, folder, device=device_of(device), roots=roots, say=say) for run in trained}
    report = comparing.report(str(recipe), lines, planned, trials, failed, folder)
    if jobs > 1:
        report = report.noted(
            [f"{jobs} parallel runs slow each other down: seconds per epoch are higher than those of a single run"]
        )
    report = replace(report, pictures=draw(report, folder))
    files.write(folder / "sweep.json", files.as_json(report.to_json(), indent=1))
    files.write(folder / "sweep.md", report.markdown())
    if html is not None:
        from ostinato.sweeps.page import sweep_page

        write_page(html, sweep_page(report), say)
    return report
