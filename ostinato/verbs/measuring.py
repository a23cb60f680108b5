"""The verbs that look at a trained run: evaluate, errors, report, probe, compare."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from ostinato.data.write import told, write_table, writer_of
from ostinato.errors import ConfigError
from ostinato.evaluation import errors as error_analysis
from ostinato.evaluation import evaluate as evaluation
from ostinato.evaluation import single_score as single_scores
from ostinato.evaluation.compare import compare as compare_runs
from ostinato.evaluation.errors import ErrorReport
from ostinato.evaluation.report import Comparison, Report
from ostinato.evaluation.validate import validate
from ostinato.recipe.read import Recipe
from ostinato.run import bundle as bundles
from ostinato.run import rows as row_sources
from ostinato.run import train as run_train
from ostinato.run.adjusted import adjusted
from ostinato.run.run import Run
from ostinato.run.search import search_of
from ostinato.training.task import Listeners
from ostinato.verbs.runs import OneRun, Runs, adapted_by, device_of, keep_report, loaded_runs, silent, write_page
from ostinato.verbs.training import curve_of

if TYPE_CHECKING:
    from ostinato.probes.kinds.contract import Finding
    from ostinato.probes.pairs import PairsFinding


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
    words: Path | None = None,
    sets: Iterable[str] = (),
    roots: Sequence[Path] = (),
    device: str = "auto",
    say: Callable[[str], None] = silent,
) -> Report:
    """Every metric of a run, or of several as an ensemble, with 95 % intervals; kept in the run if nothing was changed
    and its training has ended.

    Args:
        by: a column of the data: every metric for each of its values too, and which of them is worst.
        origins: of forecasts: a backtest from so many origins (`evaluation.backtest`).
        swap: a file with two words a line: how often answers flip when they are swapped (`evaluation.swaps`).
        language_model: a run whose output continues a text; it judges the symbols of the answers, as in `predict`.
        language_weight: of its log-probabilities beside the model's.
        words: a file of words: generated texts hold no others.
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
        adapt=adapted_by(loaded[0], language_model, language_weight, words, device, say),
        roots=roots,
        say=say,
    )
    changes = by, origins, swap, language_model, words
    is_own = len(loaded) == 1 and data is None and not sets and all(change is None for change in changes)
    if is_own and loaded[0].folder is not None and bundles.has_weights(loaded[0].folder):
        keep_report(loaded[0], report)
        if report.confusion:
            from ostinato.probes.run_pictures import confusions, write

            say(f"pictures: {', '.join(map(str, write(loaded[0], confusions(report))))}")
    return report


def single_score(
    run: OneRun, *, data: Any = None, output: str | None = None, say: Callable[[str], None] = silent
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
    say: Callable[[str], None] = silent,
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
    say: Callable[[str], None] = silent,
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
    return {"file": str(output), "bytes": write_page(output, html, silent)}


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
    say: Callable[[str], None] = silent,
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
    say: Callable[[str], None] = silent,
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
    say: Callable[[str], None] = silent,
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
    say: Callable[[str], None] = silent,
) -> Comparison:
    """Two runs on the same rows, each metric's difference with its interval and whether it is real.

    Args:
        html: a file for all of it as one page, with how the runs differ and were trained.
    """
    runs = loaded_runs([first, second], device)
    comparison = compare_runs(*runs, split=split, data=data, roots=roots)
    if html is not None:
        from ostinato.reporting.comparison import comparison_page

        write_page(html, comparison_page(comparison, runs, [curve_of(run) for run in runs]), say)
    return comparison
