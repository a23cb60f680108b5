"""The verbs, a function each, for the commands and for Python."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import torch

from ostinato import files
from ostinato.data.contract import Dialect
from ostinato.data.write import told, write_table, writer_of
from ostinato.errors import ConfigError, DataError
from ostinato.evaluation import errors as error_analysis
from ostinato.evaluation import evaluate as evaluation
from ostinato.evaluation import look as looking
from ostinato.evaluation import single_score as single_scores
from ostinato.evaluation.compare import compare as compare_runs
from ostinato.evaluation.costs import costs
from ostinato.evaluation.doubts import doubts
from ostinato.evaluation.errors import ErrorReport
from ostinato.evaluation.look import DataLook
from ostinato.evaluation.predictions import chunks, predict_all
from ostinato.evaluation.report import Comparison, Report
from ostinato.evaluation.validate import validate
from ostinato.evaluation.verdict import Verdict
from ostinato.evaluation.verdict import verdict as verdict_of
from ostinato.notes import Detail
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe import first_rows, infer
from ostinato.recipe import guessed as guesses
from ostinato.recipe.read import Recipe
from ostinato.registry import Settings, build, component
from ostinato.run import average as run_average
from ostinato.run import bundle as bundles
from ostinato.run import check as run_check
from ostinato.run import complete as run_complete
from ostinato.run import follow as run_follow
from ostinato.run import generate as run_generate
from ostinato.run import importing as run_importing
from ostinato.run import rows as row_sources
from ostinato.run import score as run_score
from ostinato.run import train as run_train
from ostinato.run.adjusted import adjusted
from ostinato.run.check import Check
from ostinato.run.entities import with_entities
from ostinato.run.fusion import Adapt, fused_with
from ostinato.run.predict import Answer, answers
from ostinato.run.predictions import LogProbabilities, Prediction, Suggestions
from ostinato.run.run import Row, Run
from ostinato.run.search import search_of
from ostinato.sweeps import effort as efforts
from ostinato.sweeps import sweep as sweeping
from ostinato.sweeps import table as comparing
from ostinato.sweeps.effort import Portfolio
from ostinato.sweeps.report import SweepReport
from ostinato.training.curve import Curve
from ostinato.training.task import Listeners, Progress

if TYPE_CHECKING:
    from ostinato.probes.kinds.contract import Finding
    from ostinato.probes.pairs import PairsFinding
    from ostinato.probes.summaries import Embedding

OneRun = Run | Path | str
Runs = OneRun | Sequence[OneRun]
"""A run in memory or the folder of one; several predict as an ensemble."""


def _silent(note: str) -> None:
    """Drops a note."""


TURN = threading.RLock()
"""Held by a run that trains: torch draws from one generator for the whole process, so threads train in turn."""


def _ignore(progress: Progress) -> None:
    """Drops an event."""


def device_of(name: str) -> str:
    """cpu, cuda or cuda:1 from the option; auto takes a GPU where there is one.

    Errors:
        ConfigError: there is no such device here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as why:
        allowed = "cpu, cuda" if torch.cuda.is_available() else "cpu"
        raise ConfigError(f"--device {name}: {str(why).splitlines()[0]}; allowed here: {allowed}") from None
    return name


def check(recipe: Recipe, *, roots: Sequence[Path] = (), say: Callable[[str], None] = _silent) -> Check:
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
    say: Callable[[str], None] = _silent,
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
    run: Run, *, roots: Sequence[Path] = (), examples: Path | None = None, say: Callable[[str], None] = _silent
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
        _keep(run, report)
        if examples is not None:
            comparing.keep(run, split, measured, predictions, examples)
        # Last, since an interruption here loses nothing of the run's own.
        _keep(run, evaluation.beside_baselines(run, report, predictions, measured, roots, say), whole=True)
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
    say: Callable[[str], None] = _silent,
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
    say: Callable[[str], None] = _silent,
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


def loaded_runs(runs: Runs, device: str, say: Callable[[str], None] = _silent) -> list[Run]:
    """The runs of these folders; one that is in memory stays on its device."""
    listed = [runs] if isinstance(runs, (str, Path, Run)) else runs
    loaded = [run if isinstance(run, Run) else Run.load(run, device_of(device)) for run in listed]
    for run, source in zip(loaded, listed):
        for note in run.recipe.notes if run is not source else ():
            say(f"note: {note}")
    return loaded


def _keep(run: Run, report: Report, *, whole: bool = False) -> None:
    """Writes a report into the run and its card; a whole one has baselines, even if none could be measured."""
    run.bundle.metrics[report.split] = ({"baselines": {}} if whole else {}) | report.to_json()
    bundles.save_metrics(run.folder, run.bundle.metrics)
    bundles.write_card(run.folder, run.bundle, run.graph.parts())


def evaluate(
    runs: Runs,
    *,
    split: str | None = None,
    data: Any = None,
    by: str | None = None,
    origins: int | None = None,
    swap: Path | None = None,
    language_model: OneRun | None = None,
    language_weight: float = 0.5,
    sets: Iterable[str] = (),
    roots: Sequence[Path] = (),
    device: str = "auto",
    say: Callable[[str], None] = _silent,
) -> Report:
    """Every metric of a run, or of several as an ensemble, with 95 % intervals; kept in the run if nothing was changed
    and its training has ended.

    Args:
        by: a column of the data: every metric for each of its values too, and which of them is worst.
        origins: of forecasts: a backtest from so many origins (`evaluation.backtest`).
        swap: a file with two words a line: how often answers flip when they are swapped (`evaluation.swaps`).
        language_model: a run whose output continues a text; it judges the symbols of the answers, as in `predict`.
        language_weight: of its log-probabilities beside the model's.
        sets: changes of the search, and of settings of heads that no weight depends on (`Head.after_training`).
    """
    loaded, sets = loaded_runs(runs, device, say), list(sets)
    changed = [adjusted(run, sets) for run in loaded]
    loaded, search = [run for run, _ in changed], search_of(loaded[0], changed[0][1])
    report = evaluation.evaluate(
        loaded,
        split=split,
        data=data,
        by=by,
        origins=origins,
        swap=swap,
        search=search,
        adapt=_judged(loaded[0], language_model, language_weight, device, say),
        roots=roots,
        say=say,
    )
    changes = by, origins, swap, language_model
    is_own = len(loaded) == 1 and data is None and not sets and all(change is None for change in changes)
    if is_own and loaded[0].folder is not None and bundles.has_weights(loaded[0].folder):
        _keep(loaded[0], report)
        if report.confusion:
            from ostinato.probes.run_pictures import confusions, write

            say(f"pictures: {', '.join(map(str, write(loaded[0], confusions(report))))}")
    return report


def single_score(
    run: OneRun, *, data: Any = None, output: str | None = None, say: Callable[[str], None] = _silent
) -> float:
    """How good a run is in one number of which more is better (`evaluation.single_score`).

    Args:
        run: that is measured.
        data: rows with its columns; by default its own test split, or valid where there is none.
        output: that is scored; None: all.
        say: receives notes.
    """
    (loaded,) = loaded_runs(run, "auto", say)
    examples = row_sources.of_split(loaded, row_sources.default_split(loaded, None, data), data, ())
    return single_scores.single_score(loaded, examples, output)


def errors(
    run: OneRun,
    *,
    split: str | None = None,
    data: Any = None,
    output: Path | None = None,
    roots: Sequence[Path] = (),
    device: str = "auto",
    say: Callable[[str], None] = _silent,
) -> ErrorReport:
    """The held-out rows by their loss, with likely label errors and labels that are written almost alike.

    Args:
        run: whose held-out rows they are.
        split: valid or test; test by default where there is one.
        data: other rows with the same columns.
        output: a table that all of them are written to.
        roots: folders of data sets.
        device: to compute on, where the run is loaded.
        say: receives notes.

    Errors:
        ConfigError: the run knows no such split, or no table has the ending of `output`.
        DataError: the rows cannot be read, or `output` cannot be written.
    """
    if output is not None:
        writer_of(output, "--output")
    (loaded,) = loaded_runs(run, device, say)
    report = error_analysis.errors(loaded, split=split, data=data, roots=roots)
    if output is not None:
        count = write_table(output, report.records(loaded), csv_dialect=report.csv_dialect)
        say(told(output, count, report.csv_dialect, "the data"))
    return report


def report(
    run: OneRun,
    output: Path | None = None,
    *,
    examples: Sequence[str] = (),
    split: str | None = None,
    data: Any = None,
    by: str | None = None,
    roots: Sequence[Path] = (),
    device: str = "auto",
    say: Callable[[str], None] = _silent,
) -> dict[str, Any]:
    """Writes all that is known of a run as one HTML page; `file` and `bytes`.

    Args:
        run: that was trained.
        output: the file; None: report.html in its folder.
        examples: texts to look into beside those that are chosen.
        split: valid or test; test by default where there is one.
        data: other rows with the same columns.
        by: a column of the data, each value of which is measured by itself too.
        roots: folders of data sets.
        device: to compute on, where the run is loaded.
        say: receives notes.

    Errors:
        ConfigError: the run knows no such split or is in memory alone; it reads no single text.
        DataError: the rows are not there, or the file cannot be written.
    """
    from ostinato.reporting.run_report import run_report

    (loaded,) = loaded_runs(run, device, say)
    if output is None and loaded.folder is None:
        raise ConfigError("report: a model that is in memory alone has no folder; give the file as output")
    output = output or Path(loaded.folder) / "report.html"
    split = row_sources.default_split(loaded, split, data)
    kept = loaded.bundle.metrics.get(split, {})
    if data is None and by is None and "baselines" in kept:
        measured = Report.from_json(kept)
    else:
        measured = evaluate(loaded, split=split, data=data, by=by, roots=roots, say=say)
    html = run_report(loaded, measured, curve_of(loaded), data=data, examples=examples, roots=roots, say=say)
    return {"file": str(output), "bytes": _write_page(output, html, _silent)}


def probe(
    source: OneRun | Recipe,
    name: str,
    *,
    at: Literal["start", "end"] | None = None,
    rows: int | None = None,
    steps: int = 256,
    split: str | None = None,
    data: Any = None,
    picture: Path | None = None,
    options: Mapping[str, Any] = MappingProxyType({}),
    roots: Sequence[Path] = (),
    device: str = "auto",
    say: Callable[[str], None] = _silent,
) -> Finding:
    """What a probe sees of a model, which stays as it is.

    Args:
        source: a run, or a recipe, whose model is looked at before training.
        name: of the probe, such as `gradients`.
        at: start: with the weights that the seed draws; end: the trained ones. By default what there is.
        rows: how many examples are read; None: as many as the probe needs.
        steps: the longest example that is read whole.
        split: of the examples; test by default where there is one, of a recipe valid.
        data: other rows with the same columns; of a recipe in place of its own, by split.
        picture: a file for the picture.
        options: settings of the probe.
        roots: folders of data sets.
        device: to compute on, where a run is loaded.
        say: receives notes.

    Errors:
        ConfigError: a recipe has no trained weights; an option is refused; the model has nothing to see.
        DataError: no example can be read, or the picture cannot be written.
    """
    from ostinato.probes.probe import made
    from ostinato.probes.probe import probe as put

    kind = made(name, options)
    if isinstance(source, Recipe):
        if at == "end":
            raise ConfigError(f"--at end: {source.origin} is not trained; give the folder of its run, or --at start")
        roots = [*roots, *source.roots]
        run = run_train.untrained(source, roots=roots, data=data or {}, say=say)
        split, data = split or "valid", (data or {}).get(split or "valid")
    else:
        (run,) = loaded_runs(source, device, say)
        if at == "start":
            graph = run_train.initial(run.recipe, run.modalities).to(run.device)
            run = Run(run.recipe, run.bundle, run.modalities, graph)
    split = row_sources.default_split(run, split, data)
    examples = row_sources.of_split(run, split, data, roots, extra=kind.columns)
    finding = put(run, examples, kind, rows=rows or kind.rows, steps=steps, say=say)
    if picture is not None:
        finding.draw(picture)
        say(f"picture: {picture}")
    return finding


def probe_course(
    recipe: Recipe,
    name: str,
    epochs: Sequence[int],
    *,
    rows: int | None = None,
    steps: int = 256,
    picture: Path | None = None,
    options: Mapping[str, Any] = MappingProxyType({}),
    roots: Sequence[Path] = (),
    device: str = "auto",
    say: Callable[[str], None] = _silent,
) -> dict[int, Finding]:
    """What a probe sees of a model while it is trained, after each of these epochs; the run is not kept.

    The weights are those of the epoch where the recipe has `training.keep_best: false`, else the best so far.

    Args:
        recipe: that is trained.
        name: of the probe.
        epochs: 0 is before training.
        rows: how many examples of validation are read; None: as many as the probe needs.
        steps: the longest example that is read whole.
        picture: a file; each epoch has a picture beside it, `NAME_epoch_N`.
        options: settings of the probe.
        roots: folders of data sets.
        device: to train on.
        say: receives notes.

    Errors:
        ConfigError: the recipe trains fewer epochs; others as of `probe`.
    """
    from ostinato.probes.probe import made
    from ostinato.probes.probe import probe as put

    kind, last = made(name, options), recipe.settings.training.epochs
    if not epochs or min(epochs) < 0 or max(epochs) > last:
        raise ConfigError(f"--epochs {', '.join(map(str, epochs))}: from 0 to {last}, the recipe's training.epochs")
    findings: dict[int, Finding] = {}
    roots = [*roots, *recipe.roots]
    with tempfile.TemporaryDirectory() as folder:
        session = run_train.begin(
            recipe,
            Path(folder) / "run",
            resume=False,
            overwrite=False,
            device=device_of(device),
            roots=roots,
            data={},
            validate=validate,
            listeners=Listeners(notes=say),
        )
        examples = row_sources.of_split(session.run, "valid", None, roots, extra=kind.columns)
        for epoch in sorted(set(epochs)):
            if epoch:
                run_train.trained(session, until=epoch)
                session = replace(session, resume=True)
            findings[epoch] = put(session.run, examples, kind, rows=rows or kind.rows, steps=steps, say=say)
            if picture is not None:
                findings[epoch].draw(picture.with_name(f"{picture.stem}_epoch_{epoch}{picture.suffix}"))
    return findings


def pairs(
    run: OneRun,
    file: str,
    *,
    picture: Path | None = None,
    device: str = "auto",
    say: Callable[[str], None] = _silent,
) -> PairsFinding:
    """Which text of each minimal pair a language model finds likelier, and how often it is the right one, by gap.

    Args:
        run: with an output that continues a text.
        file: a table with columns `right`, `wrong` and, if wanted, `gap`.
        picture: a file for a picture of accuracy against the gap.
        device: to compute on, where the run is loaded.
        say: receives notes.

    Errors:
        ConfigError: the run continues no text.
        DataError: the table cannot be read, or the picture cannot be written.
    """
    from ostinato.probes.pairs import judged, read_pairs

    (loaded,) = loaded_runs(run, device, say)
    finding = judged(loaded, read_pairs(file))
    if picture is not None:
        finding.draw(picture)
        say(f"picture: {picture}")
    return finding


def compare(
    first: OneRun,
    second: OneRun,
    *,
    split: str | None = None,
    data: Any = None,
    html: Path | None = None,
    roots: Sequence[Path] = (),
    device: str = "auto",
    say: Callable[[str], None] = _silent,
) -> Comparison:
    """Two runs on the same rows, each metric's difference with its interval and whether it is real.

    Args:
        html: a file for all of it as one page, with how the runs differ and were trained.
    """
    runs = loaded_runs([first, second], device)
    comparison = compare_runs(*runs, split=split, data=data, roots=roots)
    if html is not None:
        from ostinato.reporting.comparison import comparison_page

        _write_page(html, comparison_page(comparison, runs, [curve_of(run) for run in runs]), say)
    return comparison


def _write_page(file: Path, html: str, say: Callable[[str], None]) -> int:
    """Writes it, and tells where and how many bytes."""
    files.write(file, html)
    size = len(html.encode())
    say(f"page: {file} ({size / 1e6:.2f} MB)")
    return size


def predict(
    runs: Runs,
    texts: Sequence[str] | None = None,
    *,
    source: str | None = None,
    rows: Any = None,
    n_best: int | None = None,
    stop: Sequence[str] = (),
    sets: Iterable[str] = (),
    seed: int = 0,
    device: str = "auto",
    attention: Path | None = None,
    times: bool = False,
    language_model: OneRun | None = None,
    language_weight: float = 0.5,
    cells: bool = False,
    say: Callable[[str], None] = _silent,
) -> Iterator[Prediction]:
    """The predictions for each row, in the order of the rows.

    Args:
        runs: a run, or several that predict as an ensemble.
        texts: a row each, as the command line gives them.
        source: a table or a file of lines in place of texts; `-` reads standard input.
        rows: in place of texts, as Python has them: dicts by column, a data frame, a path, or with one input its raw
            values.
        n_best: answers to each row; None: as many as the search gives.
        stop: texts before which an answer ends, in place of the search's own.
        sets: `search.x=y`, as --set takes them.
        seed: of a search that samples.
        device: to compute on, where runs are loaded.
        attention: the file of a picture of what the first answer attends to.
        times: whether the best answers tell where in the source each symbol begins and ends.
        language_model: a run whose output continues a text; it judges the symbols that are generated.
        language_weight: of its log-probabilities beside the model's.
        cells: whether each prediction holds all cells of its row of a table.
        say: receives notes.

    Errors:
        ConfigError: settings that a trained run cannot change; no attention to draw, no times to tell; no language
            model.
        DataError: a row cannot be read.
    """
    loaded = loaded_runs(runs, device, say)
    search = search_of(loaded[0], sets, n_best, stop)
    adapt = _judged(loaded[0], language_model, language_weight, device, say)
    again = recipe_columns.second_readings(loaded[0].recipe.settings)
    asked = row_sources.asked(loaded[0], texts, source) if rows is None else row_sources.of_python(loaded[0], rows)
    for note in asked.notes:
        say(f"note: {note}")
    if attention is not None and not any(head.attended for head in loaded[0].graph.heads.values()):
        raise ConfigError(
            f"--attention needs an output with an attention decoder; {loaded[0].folder} has none; leave the option out"
        )
    drawn, done = False, 0
    for chunk in chunks(asked.rows):
        place, more = partial(_place_after, asked.place, done), attention is not None or adapt is not None
        long = {
            number
            for number, row in enumerate(chunk)
            if run_follow.reads_along(loaded, row, search, place(number), whole=more)
        }
        rest = [number for number in range(len(chunk)) if number not in long]
        held = iter(
            answers(
                loaded,
                [chunk[number] for number in rest],
                search=search,
                seed=seed,
                n_best=n_best or 1,
                attention=attention is not None,
                times=times,
                adapt=adapt,
                place=partial(_place_of, place, rest),
                say=say,
            )
        )
        for number, row in enumerate(chunk):
            own = _read_along(loaded[0], row, search, place(number), times, say) if number in long else next(held)
            (dated,) = asked.dated([own], done + number)
            by_output = with_entities(loaded[0], row, dated)
            inputs = {place.partition(".")[2] or place: value for place, value in row.items() if place not in again}
            whole = next(asked.table) if cells and asked.table is not None else {}
            yield Prediction(inputs, by_output, asked.ahead is not None, whole)
            if attention is not None and not drawn:
                from ostinato.probes.attention import draw_first

                drawn = draw_first(by_output, attention)
                if drawn:
                    say(f"attention: {attention}")
        done += len(chunk)
    if attention is not None and not drawn:
        say(f"attention: {attention} is not drawn, since every input is empty")


def _read_along(
    run: Run, row: Row, search: Settings, place: str, times: bool, say: Callable[[str], None]
) -> dict[str, list[Answer]]:
    """The answer to a row that is answered while it is read."""
    if (note := run_follow.note_on(search, place)) is not None:
        say(note)
    return {next(iter(run.outputs)): [run_follow.followed(run, partial(run_follow.parts_of, run, row), times=times)]}


def _place_of(place: Callable[[int], str], rows: Sequence[int], row: int) -> str:
    """Where one of these rows is."""
    return place(rows[row])


def _judged(
    run: Run, language_model: OneRun | None, weight: float, device: str, say: Callable[[str], None]
) -> Adapt | None:
    """What puts a language model beside a run, where there is one."""
    if language_model is None:
        return None
    (language,) = loaded_runs(language_model, device, say)
    return fused_with(language, weight, run)


def _place_after(place: Callable[[int], str], done: int, row: int) -> str:
    """Where a row of a chunk is, after so many rows of other chunks."""
    return place(done + row)


def stream(
    run: OneRun,
    text: str,
    on_piece: Callable[[str], None],
    *,
    stop: Sequence[str] = (),
    sets: Iterable[str] = (),
    seed: int = 0,
    device: str = "auto",
    say: Callable[[str], None] = _silent,
) -> str:
    """The answer to one text, handed over piece by piece while it is generated, or of a long recording while it is
    read; returns the whole.

    Errors:
        ConfigError: the run reads several inputs, or its search follows several answers at once.
    """
    (loaded,) = loaded_runs(run, device)
    asked = row_sources.asked(loaded, [text], None)
    (row,), place = asked.rows, asked.place(0)
    settings = search_of(loaded, sets, stop=stop)
    if run_follow.reads_along([loaded], row, settings, place):
        if (note := run_follow.note_on(settings, place)) is not None:
            say(note)
        return _spelled(run_follow.followed(loaded, partial(run_follow.parts_of, loaded, row), on_piece))
    search = build(settings, "searches")
    return run_complete.streamed(loaded, row, search, seed=seed, hear=on_piece)


def listen(run: OneRun, read: Callable[[], bytes], on_piece: Callable[[str], None], *, device: str = "auto") -> str:
    """The answer to what arrives as bytes, such as the samples of a microphone, handed over piece by piece as soon as
    it is final; returns the whole.

    Args:
        run: a causal one with one input that may arrive so, and a head that labels its steps.
        read: gives the bytes, and none at the end.
        on_piece: gets the text.
        device: to compute on, where the run is loaded.

    Errors:
        ConfigError: the run answers after its whole input alone: why.
    """
    (loaded,) = loaded_runs(run, device)
    return _spelled(run_follow.followed(loaded, partial(run_follow.parts_arriving, loaded, read), on_piece))


def _spelled(answer: Answer) -> str:
    """The text that was handed over."""
    return answer.value if isinstance(answer.value, str) else answer.text


def drawing_page(
    folder: Path,
    run: OneRun | None = None,
    *,
    port: int = 0,
    device: str = "auto",
    say: Callable[[str], None] = _silent,
) -> Any:
    """A server of the page of `ostinato draw`, not started: drawings are saved in the folder, and a run reads them.

    Errors:
        ConfigError: the run does not read drawings alone.
    """
    from ostinato.reporting.drawing import PROBE, Drawings, serve

    answer = None
    if run is not None:
        (loaded,) = loaded_runs(run, device, say)
        try:
            next(predict(loaded, rows=[PROBE]))
        except DataError as why:
            raise ConfigError(
                f"{loaded.folder}: reads no drawings: {why}; give a run with one input of strokes"
            ) from None

        def answer(steps: list[list[float]]) -> str:
            (prediction,) = predict(loaded, rows=[steps])
            return "\t".join(best.text for best in prediction.best.values())

    return serve(Drawings(folder), answer, port)


def suggest(
    run: OneRun, texts: Sequence[str], *, words: int = 5, completions: int = 3, device: str = "auto"
) -> list[Suggestions]:
    """For each text its likeliest next words and whole completions, each with its probability."""
    (loaded,) = loaded_runs(run, device)
    return [
        Suggestions(
            text,
            run_complete.next_words(loaded, row, words),
            run_complete.completions(loaded, row, completions),
        )
        for text, row in zip(texts, row_sources.asked(loaded, texts, None).rows)
    ]


def generate(
    run: OneRun,
    number: int = 10,
    *,
    between: tuple[str, str] | None = None,
    sets: Iterable[str] = (),
    seed: int = 0,
    device: str = "auto",
) -> list[Answer]:
    """Answers of a run with a latent code: to codes that are drawn, or on the line between those of two inputs.

    Errors:
        ConfigError: the run has no such code.
    """
    (loaded,) = loaded_runs(run, device)
    search = build(search_of(loaded, sets), "searches")
    if between is None:
        return run_generate.generated(loaded, number, search, seed=seed)
    return run_generate.between(loaded, list(row_sources.asked(loaded, between, None).rows), number, search)


def score(run: OneRun, source: str, *, device: str = "auto") -> dict[str, LogProbabilities]:
    """The log-probability of the outputs that a table gives, by output."""
    (loaded,) = loaded_runs(run, device)
    asked = row_sources.asked(loaded, None, source, outputs=True)
    columns: dict[str, tuple[list, list]] = {output: ([], []) for output in loaded.outputs}
    done = 0
    for chunk in chunks(asked.rows):
        scores = run_score.scores([loaded], chunk, place=partial(_place_after, asked.place, done))
        for output, result in scores.items():
            for values, numbers in zip(columns[output], (result.scored.log_probability, result.scored.num_targets)):
                by_row = dict(zip(result.rows, numbers.tolist()))
                values += [by_row.get(row) for row in range(len(chunk))]
        done += len(chunk)
    return {output: LogProbabilities(*lists) for output, lists in columns.items()}


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
    say: Callable[[str], None] = _silent,
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

        _write_page(html, sweep_page(report), say)
    return report


def look(data: str, outputs: Sequence[str] = (), *, sets: Sequence[str] = (), roots: Sequence[Path] = ()) -> DataLook:
    """What the first rows of a file show before anything is trained (`evaluation.look`)."""
    return looking.look(data, outputs, roots=roots, dialect=infer.dialect_of(sets))


def label_notes(data: str, recipe: Recipe, *, roots: Sequence[Path] = ()) -> list[str]:
    """What is to know of the labels of a file, and of rows that are none, before they are learnt."""
    kinds = {name: component("modalities", column.type) for name, column in recipe.settings.outputs.items()}
    labels = [
        recipe_columns.column_of(f"outputs.{name}", recipe.settings.outputs[name])
        for name, kind in kinds.items()
        if not kind.is_sequence and not kind.numeric
    ]
    seen = first_rows.look_at(data, data_root=roots, dialect=Dialect.of(recipe.settings.data))
    return [*looking.header_notes(seen), *looking.label_notes(seen, labels)]


def init(
    data: str,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    *,
    sets: Sequence[str] = (),
    file: Path | None = None,
    roots: Sequence[Path] = (),
    say: Callable[[str], None] = _silent,
) -> str:
    """A commented recipe inferred from a data file; written to `file` if that is given.

    Args:
        data: a table, or text with one example a line.
        inputs: `COLUMN` or `COLUMN:TYPE`; what is missing is inferred.
        outputs: likewise.
        sets: how the file is written, such as `data.header=3`.
        file: the recipe's file, which must not exist yet.
        roots: folders where the data are looked for after the working folder.
        say: receives each guess with its reason.

    Errors:
        ConfigError: a column or a type does not exist, or the recipe file exists already.
        DataError: the file cannot be read.
    """
    if file is not None and file.exists():
        raise ConfigError(
            f"{file}: exists already, and init overwrites nothing; give another --recipe FILE, or delete it"
        )
    dialect = infer.dialect_of(sets)
    guessed = infer.guess_aloud(data, inputs, outputs, roots=roots, say=say, dialect=dialect)
    text = guesses.text_of(guessed, inputs, outputs, file, sets)
    if file is not None:
        files.write(file, text)
    return text


def embed(
    run: OneRun,
    texts: Sequence[str] | None = None,
    *,
    source: str | None = None,
    rows: Any = None,
    of: str | None = None,
    nearest: int = 0,
    picture: Path | None = None,
    device: str = "auto",
) -> Embedding:
    """The summary vector of each row, computed by an input's encoder; its nearest rows; a picture of all in a plane.

    Args:
        run: whose encoder embeds.
        texts: the rows, where one input is read from lines of text.
        source: a table or a file of lines, in their place; outputs whose columns it has come with the rows.
        rows: as in `predict`, in their place.
        of: the input whose encoder embeds; needed where there are several.
        nearest: number of neighbours of each row, by cosine.
        picture: where the picture is written, coloured by the first such output that is a label or a number.
        device: to compute on, where the run is loaded.

    Errors:
        ConfigError: no such input, or an encoder without a summary.
        DataError: a row cannot be read.
    """
    from ostinato.probes import summaries

    (loaded,) = loaded_runs(run, device)
    name = summaries.encoded_input(loaded, of)
    if rows is None:
        outputs = row_sources.outputs_there(loaded, source)
        asked = row_sources.asked(loaded, texts, source, only=[f"inputs.{name}", *outputs])
    else:
        outputs, asked = [], row_sources.of_python(loaded, rows)
    return summaries.embedding(
        loaded, list(asked.rows), name, outputs, asked.place, neighbours=nearest, picture_to=picture
    )
