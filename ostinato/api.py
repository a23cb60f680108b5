"""One verb, one function: what the commands call and what Python users call."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ostinato import files
from ostinato.errors import ConfigError
from ostinato.evaluation import evaluate as evaluation
from ostinato.evaluation.compare import compare as compare_runs
from ostinato.evaluation.predictions import chunks, predict_all
from ostinato.evaluation.report import Comparison, Report
from ostinato.evaluation.validate import validate
from ostinato.kernels import dispatch
from ostinato.model.graph import Graph
from ostinato.preprocessing.prepare import Prepared, prepare
from ostinato.recipe import infer as guessing
from ostinato.recipe.paths import parse_set, set_path
from ostinato.recipe.read import Recipe
from ostinato.recipe.read import check as check_recipe
from ostinato.registry import Settings, build
from ostinato.run import bundle as bundles
from ostinato.run import complete as prompting
from ostinato.run import predict as run_predict
from ostinato.run import rows as row_sources
from ostinato.run import score as run_score
from ostinato.run.predict import answers
from ostinato.run.predictions import Prediction
from ostinato.run.run import Run
from ostinato.run.train import train as train_run
from ostinato.sweeps import sweep as sweeping
from ostinato.sweeps import table as comparing
from ostinato.sweeps.report import SweepReport
from ostinato.training.task import Progress

OneRun = Run | Path | str
Runs = OneRun | Sequence[OneRun]
"""A run in memory or the folder of one; several answer as an ensemble."""


def device_of(name: str) -> str:
    """cpu, cuda or cuda:1 from what the user said; auto takes a GPU where there is one.

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


def check(recipe: Recipe, *, roots: Sequence[Path] = (), say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """What a recipe will build: parameters by part, kernels, the cost of an update, steps to wait before the first answer.

    The data are read, the vocabularies fitted and the examples encoded as for training, which then finds them in the cache.
    """
    prepared = prepare(recipe, roots=roots, say=say)
    settings = prepared.recipe.settings
    graph = Graph(settings.inputs, settings.outputs, prepared.modalities)
    steps, flops = _update_cost(prepared, graph)
    return {
        "recipe": recipe.origin,
        "parameters": graph.parts(),
        "kernels": graph.recurrences(),
        "update_steps": steps,
        "update_flops": flops,
        "look_ahead": {name: graph.encoder(name).look_ahead for name in settings.inputs},
        "chosen": [(path, prepared.recipe.at(path), why) for path, why in prepared.recipe.reasons.items()],
        "notes": prepared.notes,
        "yaml": prepared.recipe.yaml(),
    }


def _update_cost(prepared: Prepared, graph: Graph) -> tuple[int, int]:
    """Real steps of the first update, and its products' multiplications and additions, forward and backward, as torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    training, examples = prepared.recipe.settings.training, prepared.splits["train"]
    steps, carried = 0, ()
    graph.train()
    # The counter sees torch's products alone: the native kernel does the same ones, out of its sight.
    with FlopCounterMode(display=False) as counter, dispatch.forced("reference"):
        for part in examples.batches(training).epoch(0)[: training.accumulate]:
            batch = examples.fetch(part)
            losses, carried = (graph.losses(batch), ()) if batch.pieces is None else graph.losses_from(batch, carried)
            sum(loss.total for loss in losses.values()).backward()
            steps += sum(one.layout.total for one in (*batch.inputs.values(), *batch.targets.values()))
    return steps, counter.get_total_flops()


def train(
    recipe: Recipe,
    folder: Path | str,
    *,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    roots: Sequence[Path] = (),
    examples: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    on_event: Callable[[Progress], None] = lambda _: None,
) -> Report:
    """Trains the model of a recipe into a run folder and measures it on the test split, or on valid where there is none.

    Args:
        examples: a .safetensors file for what the metrics are made of, example by example.

    Errors:
        ConfigError: the folder holds a run and neither `resume` nor `overwrite` is given; a setting would change the past.
        DataError: the data cannot be used, or are not those that the run began with.
    """
    folder = Path(folder)
    run, _ = train_run(
        recipe,
        folder,
        resume=resume,
        overwrite=overwrite,
        device=device_of(device),
        roots=roots,
        data={},
        validate=validate,
        say=say,
        on_event=on_event,
    )
    if not run.bundle.metrics:
        say("measuring")
        split = row_sources.default_split(run, None, None)
        measured = row_sources.of_split(run, split, None, roots)
        predictions = predict_all([run], measured, say=say)
        report = evaluation.report_of(run, predictions, split)
        _keep(run, report)
        if examples is not None:
            comparing.keep(run, split, measured, predictions, examples)
        # Last, since whoever is stopped here has lost nothing of the run's own.
        _keep(run, replace(report, baselines=evaluation.baselines_of(run, measured, roots, say)))
    return replace(Report.from_json(list(run.bundle.metrics.values())[-1]), run=str(folder))


def _loaded(runs: Runs, device: str, say: Callable[[str], None] = lambda _: None) -> list[Run]:
    """The runs of these folders; one that is in memory stays on its device."""
    listed = [runs] if isinstance(runs, (str, Path, Run)) else runs
    loaded = [run if isinstance(run, Run) else Run.load(run, device_of(device)) for run in listed]
    for run, given in zip(loaded, listed):
        for note in run.recipe.notes if run is not given else ():
            say(f"note: {note}")
    return loaded


def _keep(run: Run, report: Report) -> None:
    """Writes a report into the run and its card."""
    run.bundle.metrics[report.split] = report.to_json()
    bundles.save_metrics(run.folder, run.bundle.metrics)
    bundles.write_card(run.folder, run.bundle, run.graph.parts())


def search_of(run: Run, sets: Iterable[str], n_best: int | None = None, stop: Sequence[str] = ()) -> Settings:
    """The run's search with `search.x=y` overrides, for so many answers.

    Args:
        run: whose search it is.
        sets: `search.x=y`, as --set takes them.
        n_best: answers to each row; None: as the search says.
        stop: texts before which an answer ends; none: as the search says.

    Errors:
        ConfigError: a setting that cannot change once a model is trained, or a search that cannot give so many answers.
    """
    plain, origin = run.recipe.plain(), []
    if isinstance(stop, str):
        raise ConfigError(f"stop: {stop!r} is one text; give a list of texts: [{stop!r}]")
    for one in [*sets, *([f"search.stop={json.dumps(list(stop), ensure_ascii=False)}"] if stop else [])]:
        path, value = parse_set(one)
        if path.split(".")[0] != "search":
            raise ConfigError(
                f"--set {one}: of a trained run only the search can be changed: search.width=5, search=greedy ..."
            )
        if path == "search.type":
            plain["search"] = {"type": value}
        else:
            set_path(plain, path, value)
        origin.append(f"--set {one}")
    if n_best is not None and "search" in plain:
        search = check_recipe(plain, " ".join(origin) or str(run.folder)).search
        if "n_best" not in type(search).model_fields:
            if n_best > 1:
                advice = f"--set search=beam --set search.width={max(5, n_best)}"
                raise ConfigError(f"--n-best {n_best}: search '{search.type}' gives one answer; add {advice}")
        else:
            set_path(plain, "search.n_best", n_best)
            origin.append(f"--n-best {n_best}")
    elif n_best is not None and n_best > 1 and not any(run_predict.ranks_labels(run, output) for output in run.outputs):
        told = ", ".join(run.outputs)
        raise ConfigError(
            f"--n-best {n_best}: {told}: one answer to each row, since it is no label and nothing is searched; leave it out"
        )
    return check_recipe(plain, " ".join(origin)).search if origin else run.recipe.settings.search


def evaluate(
    runs: Runs,
    *,
    split: str | None = None,
    data: Any = None,
    by: str | None = None,
    origins: int | None = None,
    sets: Iterable[str] = (),
    roots: Sequence[Path] = (),
    device: str = "auto",
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Every metric of a run, or of several as an ensemble, with 95 % intervals; kept in the run if nothing was changed.

    Args:
        by: a column of the data: every metric for each of its values too, and which of them is worst.
        origins: of forecasts: a backtest from so many origins (`evaluation.backtest`).
    """
    loaded, sets = _loaded(runs, device, say), list(sets)
    search = search_of(loaded[0], sets)
    report = evaluation.evaluate(
        loaded, split=split, data=data, by=by, origins=origins, search=search, roots=roots, say=say
    )
    if len(loaded) == 1 and data is None and not sets and by is None and origins is None:
        _keep(loaded[0], report)
    return report


def compare(
    first: OneRun,
    second: OneRun,
    *,
    split: str | None = None,
    data: Any = None,
    roots: Sequence[Path] = (),
    device: str = "auto",
) -> Comparison:
    """Two runs on the same rows, each metric's difference with its interval and whether it is real."""
    one, other = _loaded([first, second], device)
    return compare_runs(one, other, split=split, data=data, roots=roots)


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
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Prediction]:
    """The answers to each row, in the order of the rows.

    Args:
        runs: one, or several of one vocabulary that answer as an ensemble.
        texts: a row each, as the command line gives them.
        source: a table or a file of lines in place of texts; `-` reads standard input.
        rows: as Python gives them in place of texts: dicts by column, a data frame, a path, or with one input its raw values.
        n_best: answers to each row; None: one, or as many as the search gives.
        stop: texts before which an answer ends, in place of the search's own.
        sets: `search.x=y`, as --set takes them.
        seed: of a search that samples.
        device: to compute on, where runs are loaded.
        attention: the file of a picture of what the first answer attends to.
        say: receives notes.

    Errors:
        ConfigError: settings that a trained run cannot change, or no attention to draw.
        DataError: a row cannot be read.
    """
    loaded = _loaded(runs, device, say)
    search = search_of(loaded[0], sets, n_best, stop)
    asked = row_sources.asked(loaded[0], texts, source) if rows is None else row_sources.of_python(loaded[0], rows)
    for note in asked.notes:
        say(f"note: {note}")
    if attention is not None and not any(head.attended for head in loaded[0].graph.heads.values()):
        raise ConfigError(
            f"--attention needs an output with an attention decoder; {loaded[0].folder} has none; leave the option out"
        )
    drawn, done = False, 0
    for chunk in chunks(asked.rows):
        answered = answers(
            loaded,
            chunk,
            search=search,
            seed=seed,
            n_best=n_best or 1,
            attention=attention is not None,
            place=partial(_place_after, asked.place, done),
            say=say,
        )
        for row, by_output in zip(chunk, asked.dated(answered, done)):
            inputs = {place.partition(".")[2] or place: value for place, value in row.items()}
            yield Prediction(inputs, by_output, asked.ahead is not None)
            if attention is not None and not drawn:
                from ostinato.probes.attention import draw_first

                drawn = draw_first(by_output, attention)
                if drawn:
                    say(f"attention: {attention}")
        done += len(chunk)
    if attention is not None and not drawn:
        say(f"attention: {attention} is not drawn, since every input is empty")


def _place_after(place: Callable[[int], str], done: int, row: int) -> str:
    """Where a row of a chunk is, after so many rows of other chunks."""
    return place(done + row)


def stream(
    run: OneRun,
    text: str,
    hear: Callable[[str], None],
    *,
    stop: Sequence[str] = (),
    sets: Iterable[str] = (),
    seed: int = 0,
    device: str = "auto",
) -> str:
    """The answer to one text, told piece by piece while it is said; returns the whole.

    Errors:
        ConfigError: the run reads several inputs, or its search follows several answers at once.
    """
    (loaded,) = _loaded(run, device)
    (row,) = row_sources.asked(loaded, [text], None).rows
    return prompting.streamed(loaded, row, build(search_of(loaded, sets, stop=stop), "searches"), seed=seed, hear=hear)


def suggest(
    run: OneRun, texts: Sequence[str], *, words: int = 5, completions: int = 3, device: str = "auto"
) -> list[dict[str, Any]]:
    """For each text its likeliest next words and whole completions, each with its probability."""
    (loaded,) = _loaded(run, device)
    found = []
    for text, row in zip(texts, row_sources.asked(loaded, texts, None).rows):
        listed = {
            "words": prompting.next_words(loaded, row, words),
            "completions": prompting.completions(loaded, row, completions),
        }
        found.append({"text": text} | {name: [one._asdict() for one in each] for name, each in listed.items()})
    return found


def score(run: OneRun, source: str, *, device: str = "auto") -> dict[str, dict[str, list]]:
    """The log-probability of the outputs that a file gives, a number per row; null where the row has none."""
    (loaded,) = _loaded(run, device)
    given = row_sources.asked(loaded, None, source, outputs=True)
    found: dict[str, dict[str, list]] = {
        output: {"log_probability": [], "num_targets": []} for output in loaded.outputs
    }
    done = 0
    for chunk in chunks(given.rows):
        for output, one in run_score.scores([loaded], chunk, place=partial(_place_after, given.place, done)).items():
            for name, values in found[output].items():
                by_row = dict(zip(one.rows, getattr(one.scored, name).tolist()))
                values += [by_row.get(row) for row in range(len(chunk))]
        done += len(chunk)
    return found


def sweep(
    recipe: Path | str,
    overs: Sequence[str],
    folder: Path | str,
    *,
    seeds: int = 1,
    jobs: int = 1,
    overwrite: bool = False,
    sets: Sequence[str] = (),
    device: str = "auto",
    data_root: str | None = None,
    start: sweeping.Start | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> SweepReport:
    """Trains all combinations of some settings' values into a folder and compares them; what is finished there is not trained again.

    Args:
        recipe: the recipe's file.
        overs: `PATH=VALUE,VALUE`, an axis each.
        folder: of the runs, sweep.json, sweep.md and the pictures.
        seeds: so many seeds of each combination.
        jobs: runs at once.
        overwrite: whether all is trained anew.
        sets: `PATH=VALUE` for all runs.
        device: to train and measure on.
        data_root: folders of data sets, as the command line takes them.
        start: what trains one run; a process of its own by default.
        say: hears what is going on.

    Errors:
        ConfigError: an axis or one of the recipes is wrong, or a run that stands there was made otherwise.
        Interrupted: Ctrl-C; the same call goes on.
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
    roots = [Path(one) for one in (data_root or "").split(os.pathsep) if one]
    trained = [one for one in planned if one.name not in failed]
    trials = {one.name: comparing.trial(one, folder, device=device_of(device), roots=roots, say=say) for one in trained}
    report = comparing.report(str(recipe), lines, planned, trials, failed, folder)
    if jobs > 1:
        report = report.noted([f"{jobs} runs at once slow each other: seconds per epoch are not those of one alone"])
    report = replace(report, pictures=draw(report, folder))
    files.write(folder / "sweep.json", files.as_json(report.to_json(), indent=1))
    files.write(folder / "sweep.md", report.markdown())
    return report


def init(
    data: str,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    *,
    file: Path | None = None,
    roots: Sequence[Path] = (),
    say: Callable[[str], None] = lambda _: None,
) -> str:
    """A commented recipe for a file, from a look at it; written to `file` where that is given.

    Args:
        data: a table, or text with one example a line.
        inputs: `COLUMN` or `COLUMN:TYPE`; what is missing is guessed.
        outputs: likewise.
        file: the recipe's file, which must not be there yet.
        roots: folders where the data are looked for after the working folder.
        say: hears each guess with its reason.

    Errors:
        ConfigError: a column or a type that there is not, or a recipe that is there already.
        DataError: the file cannot be read.
    """
    if file is not None and file.exists():
        raise ConfigError(
            f"{file}: is there already, and init writes over nothing; give another --recipe FILE, or delete it"
        )
    text = guessing.text_of(guessing.guess_aloud(data, inputs, outputs, roots=roots, say=say), inputs, outputs, file)
    if file is not None:
        files.write(file, text)
    return text


def embed(
    run: OneRun,
    texts: Sequence[str] | None = None,
    *,
    source: str | None = None,
    of: str | None = None,
    nearest: int = 0,
    picture: Path | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """The summary vector of each row, what its encoder makes of the whole input; its nearest rows; a picture of all in a plane.

    Args:
        run: the run folder.
        texts: the rows, where one input is read from lines of text.
        source: a table or a file of lines, in their place; outputs whose columns it has come with the rows.
        of: the input whose encoder is asked; needed where there are several.
        nearest: so many neighbours of each row, by cosine.
        picture: where the picture is written, coloured by the first such output that is a label or a number.
        device: to compute on.

    Errors:
        ConfigError: no such input, or an encoder that sums nothing up.
        DataError: a row cannot be read.
    """
    from ostinato.probes import summaries

    (loaded,) = _loaded(run, device)
    name = summaries.encoded_input(loaded, of)
    with_outputs = row_sources.outputs_there(loaded, source)
    given = row_sources.asked(loaded, texts, source, only=[f"inputs.{name}", *with_outputs])
    return summaries.described(
        loaded, list(given.rows), name, with_outputs, given.place, neighbours=nearest, picture_to=picture
    )
