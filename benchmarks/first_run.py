"""How good is a first run with nothing but types, on many data sets, beside baselines and tuned recipes?

    python benchmarks/first_run.py --data-root DATA                   every set, measured on its valid part
    python benchmarks/first_run.py --data-root DATA --part test       on its test part: once, when defaults are settled
    python benchmarks/first_run.py --data-root DATA --estimate        minutes of training, by its first two epochs
    python benchmarks/first_run.py --page --part test                 docs/first_run.md from the rows that there are
    python benchmarks/first_run.py --list                             the sets
    python benchmarks/first_run.py --data-root DATA --rows 200 --minutes 0.2 --out FILE    a look at whether all works

A set is written as a table and trained by the command line as a user would do it:

    ostinato train TABLE --in COLUMN --out COLUMN --minutes 3

Types of columns are inferred and nothing is set, save what states the task of a forecast: the horizon, the season, how
many steps at the end of each series are the test. Training sees the training rows alone and sets aside its own
validation rows from them. The run is then measured on the valid or the test part of the set. A set without a valid part
has one set aside from its training rows, which go back to training for the test. Where a run takes less than a minute
it is trained with three seeds.

A row holds the metric with its 95 % interval, the baselines on the same rows, the paired difference to the best of
them, and how long it took. Baselines are those of `ostinato evaluate`. Where it has none, as for generated outputs, the
baseline is the output of the nearest training row, by the cosine of tf-idf n-grams of the inputs. Rows are appended to
a file of JSON lines as they are measured. A row that is there for this state of the package and these settings is not
measured again.

An epoch may take longer than the budget, and earlier versions have no --minutes: such a run is interrupted as Ctrl-C
does it, finished with the epochs that it has done, and marked.
"""

import argparse
import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import os
import re
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _first_run_page import page, title
from _first_run_sets import SETS, Files, Measure, Set, written

import ostinato
from ostinato.cli.train_command import train as train_command
from ostinato.data.examples import Examples
from ostinato.errors import OstinatoError, nearest
from ostinato.evaluation import baselines
from ostinato.evaluation.intervals import difference, over_seeds
from ostinato.evaluation.label_baseline import CHARACTERS
from ostinato.evaluation.predictions import predict_all
from ostinato.files import cache_folder, write
from ostinato.metrics.contract import Metric, Predictions
from ostinato.registry import make
from ostinato.run import bundle as bundles
from ostinato.run.rows import of_split
from ostinato.run.run import Run
from ostinato.training.repeatable import surroundings

HOME = Path(__file__).resolve().parent.parent
PACKAGE = Path(ostinato.__file__).resolve().parent
ROWS, PAGE = HOME / "docs" / "first_run.jsonl", HOME / "docs" / "first_run.md"
SHORT_SECONDS, MOST_SEEDS = 60.0, 3
"""A run that takes less is trained with more seeds."""
POLL_SECONDS, STOP_SECONDS = 0.2, 120.0
"""Between two looks at a run, and what it has to end once it is interrupted."""
GRACE = 2.0
"""How many budgets a run may take that keeps its own: reading and measuring come on top of it."""
FINISHING = 10.0
"""How many budgets the first epoch may take where none ends within one."""
EPOCHS_LOOKED_AT = 2
RUN_OPTION = "--run" if any("--run" in option.opts for option in train_command.params) else "--folder"
"""Of this package: earlier ones had another word."""
NEAREST_ROWS = 256
"""Rows whose nearest training rows are looked for at once."""
NEAREST = "nearest training row"
PROGRESS = re.compile(r"update ([\d,]+)/([\d,]+)")


class Failed(Exception):
    """A run that did not end well, in a few lines."""


@dataclasses.dataclass(frozen=True)
class Options:
    """How sets are run.

    Args:
        part: `valid` or `test`.
        minutes: the budget of each set in place of its own; None: its own.
        rows: the most rows of a table; None: all.
        seeds: the most seeds.
        threads: of training.
        work: the folder of tables and runs.
        root: the folder of the data sets.
    """

    part: str
    minutes: float | None
    rows: int | None
    seeds: int
    threads: int
    work: Path
    root: Path

    def key(self) -> dict[str, Any]:
        """What a row depends on beside the set and the package."""
        return {"minutes": self.minutes, "most_rows": self.rows, "seeds": self.seeds, "threads": self.threads}

    def budget(self, chosen: Set) -> float:
        """Seconds of training."""
        return 60 * (self.minutes if self.minutes is not None else chosen.minutes)

    def environment(self) -> dict[str, str]:
        """Of the command line, so that it runs this package."""
        paths = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": str(self.threads)}


@dataclasses.dataclass(frozen=True)
class Trained:
    """A run of one seed.

    Args:
        folder: of the run.
        seconds: of the whole command: reading, training, measuring.
        processor_seconds: those that it had a processor, divided by its threads: what `seconds` are where nothing else
            runs.
        training_seconds: of its epochs.
        epochs: that were trained.
        best_epoch: the epoch whose weights were best in validation.
        interrupted: whether it was stopped from outside.
    """

    folder: Path
    seconds: float
    processor_seconds: float
    training_seconds: float
    epochs: int
    best_epoch: int | None
    interrupted: bool

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "folder"}


def state_of_package() -> str:
    """The tree of the package in git, with a hash of what is not committed; its version where there is no git."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=PACKAGE, check=True, capture_output=True, text=True).stdout.strip()

    try:
        changes = git("diff", "HEAD", "--", ".") + git("ls-files", "--others", "--exclude-standard", "--", ".")
        tree = git("rev-parse", "HEAD:./")[:12]
    except (OSError, subprocess.CalledProcessError):
        return importlib.metadata.version("ostinato")
    return f"{tree}+{hashlib.sha256(changes.encode()).hexdigest()[:8]}" if changes else tree


def command_of(chosen: Set, files: Files, minutes: float | None) -> list[str]:
    """The words after `ostinato` that a user would type."""
    named = [word for option, columns in (("--in", chosen.inputs), ("--out", chosen.outputs)) for column in columns
             for word in (option, column)]  # fmt: skip
    stated = [word for setting in files.settings for word in ("--set", setting)]
    return ["train", str(files.train), *named, *stated, *([] if minutes is None else ["--minutes", f"{minutes:g}"])]


def keeps_its_budget() -> bool:
    """Whether this version of `train` has --minutes."""
    return any(option.name == "minutes" for option in train_command.params)


def trained(chosen: Set, files: Files, seed: int, options: Options) -> Trained:
    """Trains a run, or takes the one that there is for the same package, table and settings.

    Errors:
        Failed: the command failed, or did not end.
    """
    budget, own = options.budget(chosen), keeps_its_budget()
    words = command_of(chosen, files, budget / 60 if own else None)
    table = hashlib.sha256(files.train.read_bytes()).hexdigest()
    facts = json.dumps([state_of_package(), words[2:], table, budget, options.threads])
    folder = options.work / "runs" / f"{chosen.name}-{seed}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"
    kept = folder.with_suffix(".json")
    if kept.is_file():
        return Trained(folder, **json.loads(kept.read_text(encoding="utf-8")))
    words += ["--seed", str(seed), RUN_OPTION, str(folder), "--resume", "--device", "cpu", "--json"]
    began, before = time.monotonic(), children_seconds(options)
    limit = GRACE * budget + STOP_SECONDS if own else budget
    interrupted = not _ended(words, folder, options, limit)
    if interrupted:
        done = len(_epochs(folder))
        more = ["--set", f"training.epochs={max(1, done)}"]
        longest = FINISHING * limit + STOP_SECONDS
        if not _ended(words + more, folder, options, longest):
            raise Failed(f"not ended {longest:,.0f} s after it was interrupted after epoch {done}")
    epochs = _epochs(folder)
    best = [event["epoch"] for event in _history(folder) if event.get("best")]
    run = Trained(
        folder,
        time.monotonic() - began,
        children_seconds(options) - before,
        epochs[-1]["seconds"] if epochs else 0.0,
        len(epochs),
        best[-1] if best else None,
        interrupted,
    )
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    write(kept, json.dumps(run.to_json()) + "\n")
    return run


def _ended(words: Sequence[str], folder: Path, options: Options, limit: float, epochs: int | None = None) -> bool:
    """Runs the command; False where it was interrupted, after `limit` seconds of a processor or `epochs` epochs.

    Errors:
        Failed: it ended with an error.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    log, began = folder.with_suffix(".log"), time.monotonic()
    with log.open("a", encoding="utf-8") as notes, folder.with_suffix(".report").open("w") as report:
        print("+ ostinato", shlex.join(words), file=notes, flush=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "ostinato", *words],
            stdout=report,
            stderr=notes,
            cwd=options.work,
            env=options.environment(),
        )
        try:
            while process.poll() is None:
                passed = running_seconds(process.pid, options) or time.monotonic() - began
                if passed > limit or (epochs is not None and len(_epochs(folder)) >= epochs):
                    process.terminate()
                    process.wait(STOP_SECONDS)
                    return process.returncode == 0
                time.sleep(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failed(f"still running {STOP_SECONDS:,.0f} s after it was interrupted; see {log}") from None
        finally:
            if process.poll() is None:
                process.kill()
    if process.returncode != 0:
        *_, last = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
        raise Failed(f"exit {process.returncode}: {last}; see {log}")
    return True


def children_seconds(options: Options) -> float:
    """Processor seconds of all commands that have ended, divided by their threads."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) / options.threads


def running_seconds(pid: int, options: Options) -> float | None:
    """Those of a command that is running; None where the system does not tell."""
    try:
        *_, user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:13]
    except OSError:
        return None
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK") / options.threads


def _history(folder: Path) -> list[dict[str, Any]]:
    """The reports of a run so far; a line that is being written is left out."""
    path = folder / "history.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]] if path.is_file() else []


def _epochs(folder: Path) -> list[dict[str, Any]]:
    """The reports of whole epochs."""
    return [event for event in _history(folder) if event["event"] == "epoch"]


def estimated(chosen: Set, options: Options) -> dict[str, Any]:
    """The minutes that training would take: the median of the first two epochs' seconds times the epochs of the recipe.

    Where no epoch ends within the budget, the seconds of the updates that did, times all of them.

    Errors:
        Failed: the command failed.
    """
    files = written(options.part, chosen, options.root, tables_of(chosen, options), options.rows)
    folder = options.work / "runs" / f"{chosen.name}-estimate"
    shutil.rmtree(folder, ignore_errors=True)
    words = [*command_of(chosen, files, None), "--seed", "1", RUN_OPTION, str(folder), "--device", "cpu"]
    began, before = time.monotonic(), children_seconds(options)
    _ended(words, folder, options, options.budget(chosen), EPOCHS_LOOKED_AT)
    wall = time.monotonic() - began
    share = (children_seconds(options) - before) / wall
    ends = [0.0, *(event["seconds"] for event in _epochs(folder))][: 1 + EPOCHS_LOOKED_AT]
    epochs = bundles.load(folder).recipe["training"]["epochs"]
    if len(ends) > 1:
        seconds = statistics.median(np.diff(ends)) * epochs
    else:
        lines = PROGRESS.findall(folder.with_suffix(".log").read_text(encoding="utf-8"))
        if not lines:
            raise Failed(f"no progress within {wall:,.0f} s; give more --minutes")
        done, total = (int(number.replace(",", "")) for number in lines[-1])
        seconds = wall / done * total
    shutil.rmtree(folder, ignore_errors=True)
    measured = {"epoch_seconds": np.diff(ends).round(2).tolist(), "epochs": epochs}
    return {**measured, "minutes": seconds / 60, "processor_minutes": share * seconds / 60}


def tables_of(chosen: Set, options: Options) -> Path:
    """The folder of a set's tables, another one for each part whose training rows differ."""
    own = f"-{options.part}" if chosen.held_out else ""
    return options.work / "tables" / f"{chosen.name}{own}{'' if options.rows is None else f'-{options.rows}'}"


def measured(chosen: Set, options: Options) -> dict[str, Any]:
    """Trains and measures a set.

    Errors:
        Failed, OstinatoError: what went wrong.
    """
    files = written(options.part, chosen, options.root, tables_of(chosen, options), options.rows)
    runs: list[Trained] = []
    own: dict[int, list[Predictions]] = {}
    beside: dict[int, list[dict[str, Predictions]]] = {}
    metrics: dict[int, Metric] = {number: _metric(measure) for number, measure in enumerate(chosen.measures)}
    types: dict[str, str] = {}
    while not runs or (len(runs) < options.seeds and runs[0].seconds < SHORT_SECONDS):
        runs.append(trained(chosen, files, len(runs) + 1, options))
        run = Run.load(runs[-1].folder)
        types = {name: settings.type for side in (run.inputs, run.outputs) for name, settings in side.items()}
        extra = [measure.alternatives for measure in chosen.measures if measure.alternatives is not None]
        source = None if files.measured is None else str(files.measured)
        examples = of_split(run, "test", source, (), extra=extra)
        predictions = predict_all([run], examples)
        by_output = baselines.predictions(run, lambda run=run: of_split(run, "train", None, ()), examples)
        for number, measure in enumerate(chosen.measures):
            known = predictions.outputs[measure.output]
            further = _alternatives(run, measure, examples, predictions.numbers[measure.output])
            simple = by_output.get(measure.output) or _nearest(run, measure.output, examples, known)
            own.setdefault(number, []).append(dataclasses.replace(known, alternatives=further))
            beside.setdefault(number, []).append(
                {name: dataclasses.replace(one, alternatives=further) for name, one in simple.items()}
            )
    shown = {
        number: _figures(measure, metrics[number], own[number], beside[number])
        for number, measure in enumerate(chosen.measures)
    }
    return {
        "rows": files.rows,
        "examples": len(own[0][0].expected),
        "types": types,
        "command": " ".join(["ostinato", "train", "TABLE", *command_of(chosen, files, None)[2:]]),
        "budget": options.budget(chosen) / 60,
        "runs": [run.to_json() for run in runs],
        "measures": [shown[number] for number in range(len(chosen.measures))],
    }


def _metric(measure: Measure) -> Metric:
    settings = {"type": measure.metric} if isinstance(measure.metric, str) else dict(measure.metric)
    return make("metrics", settings.pop("type"), (), settings)


def _alternatives(run: Run, measure: Measure, examples: Examples, numbers: Sequence[int]) -> list[list[Any]] | None:
    """The further right answers of each example."""
    if measure.alternatives is None:
        return None
    cells, parse = examples.column(measure.alternatives), run.modalities[f"outputs.{measure.output}"].parse
    return [[parse(text) for text in cells[number].split(" | ")] for number in numbers]


def _nearest(run: Run, output: str, examples: Examples, known: Predictions) -> dict[str, Predictions]:
    """The output of the training row whose inputs are most alike: the cosine of tf-idf n-grams, as baselines count
    them."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    train = list(of_split(run, "train", None, ()).raw())
    asked = [row for row in examples.raw() if row[f"outputs.{output}"] is not None and run.lacks(row) is None]
    texts = [[_as_text(run, row) for row in rows] for rows in (train, asked)]
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=CHARACTERS, sublinear_tf=True)
    there = vectorizer.fit_transform(texts[0]).T.tocsr()
    answers = []
    for begin in range(0, len(asked), NEAREST_ROWS):
        alike = vectorizer.transform(texts[1][begin : begin + NEAREST_ROWS]) @ there
        answers += [train[int(place)][f"outputs.{output}"] for place in np.asarray(alike.argmax(1)).ravel()]
    return {NEAREST: Predictions(answers, known.expected)}


def _as_text(run: Run, row: dict[str, Any]) -> str:
    """The inputs of a row as one text."""
    cells = [row[f"inputs.{name}"] for name in run.inputs]
    return "\n".join(" ".join(map(str, cell)) if isinstance(cell, list) else str(cell or "") for cell in cells)


def _figures(
    measure: Measure, metric: Metric, own: Sequence[Predictions], beside: Sequence[dict[str, Predictions]]
) -> dict[str, Any]:
    """A metric over all seeds, with the baselines and the paired difference to the best of them."""
    statistics_of = [np.asarray(metric.statistics(known), np.float64) for known in own]
    orders = [known.order for known in own if known.order is not None]
    value = over_seeds(metric, statistics_of, shared=True, orders=orders)
    simple = {
        # Where a name tells a share of the rows, all seeds tell the same.
        name: [np.asarray(metric.statistics(seed[name]), np.float64) for seed in beside]
        for name in beside[0]
    }
    values = {name: over_seeds(metric, rows, shared=True, orders=orders).value for name, rows in simple.items()}
    figures = {
        "output": measure.output,
        "metric": title(measure.metric),
        "unit": metric.unit,
        "higher_is_better": metric.higher_is_better,
        **dataclasses.asdict(value),
        "seeds": [metric.value(rows.sum(0).tolist()) for rows in statistics_of],
        "baselines": values,
    }
    if values:
        best = (max if metric.higher_is_better else min)(values, key=lambda name: values[name])
        compared = difference(metric, simple[best], statistics_of, shared=True, orders=orders)
        figures |= {"best": best, "difference": dataclasses.asdict(compared)}
    return figures


def machine(threads: int) -> dict[str, Any]:
    """What times depend on."""
    known = surroundings("cpu")
    return {"cores": os.cpu_count(), "threads": threads, **{name: known[name] for name in ("processor", "torch")}}


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def run_set(chosen: Set, options: Options, kind: str) -> dict[str, Any]:
    """The row of a set: measured, estimated, or why it failed."""
    head = {"kind": kind, "set": chosen.name, "part": options.part, "package": state_of_package(), **options.key()}
    began = time.monotonic()
    try:
        found = measured(chosen, options) if kind == "row" else estimated(chosen, options)
    except (Failed, OstinatoError) as why:
        found = {"error": str(why)}
    except Exception as why:  # One set may not end the others; its row says where it arose.
        place = traceback.extract_tb(why.__traceback__)[-1]
        found = {"error": f"{type(why).__name__}: {why} ({Path(place.filename).name} line {place.lineno})"}
    about = {"machine": machine(options.threads), "date": datetime.datetime.now(datetime.UTC).date().isoformat()}
    return {**head, **found, "all_seconds": round(time.monotonic() - began, 1), **about}


def line_of(row: dict[str, Any]) -> str:
    """A row for the screen."""
    if "error" in row:
        return f"{row['set']}: FAILED: {row['error']}"
    if row["kind"] == "estimate":
        return (
            f"{row['set']}: {row['minutes']:.1f} minutes by {row['epoch_seconds']} s an epoch, {row['epochs']} epochs"
        )
    last = row["runs"][0]
    parts = []
    for figures in row["measures"]:
        beside = f", {figures['best']} {figures['baselines'][figures['best']]:.4g}" if "best" in figures else ""
        ends = f"({figures['low']:.4g} to {figures['high']:.4g})"
        parts.append(f"{figures['output']} {figures['metric']} {figures['value']:.4g} {ends}{beside}")
    epochs = f"{last['epochs']} epochs, best {last['best_epoch']}, {last['seconds']:.0f} s x {len(row['runs'])}"
    return f"{row['set']}: {'; '.join(parts)}; {epochs}{', interrupted' * last['interrupted']}"


def _chosen(names: Sequence[str] | None) -> list[Set]:
    known = {chosen.name: chosen for chosen in SETS}
    for name in names or ():
        if name not in known:
            sys.exit(f"--sets {name}: there is no such set{nearest(name, known)}; --list prints them")
    return [known[name] for name in names] if names else [chosen for chosen in SETS if chosen.listed]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, default=os.environ.get("OSTINATO_DATA"), metavar="DATA")
    parser.add_argument("--sets", nargs="+", metavar="NAME", help="some of the sets; all by default")
    parser.add_argument("--list", action="store_true", help="print the sets")
    parser.add_argument("--part", choices=("valid", "test"), default="valid", help="what is measured (default valid)")
    parser.add_argument("--minutes", type=float, help="the budget of each set in place of its own (mostly 3)")
    parser.add_argument("--seeds", type=int, default=MOST_SEEDS, help="the most seeds of a run (default 3)")
    parser.add_argument("--rows", type=int, help="the most rows of a table, for a look")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--estimate", action="store_true", help="how long training would take, by two epochs")
    parser.add_argument("--again", action="store_true", help="measure rows that failed again")
    parser.add_argument(
        "--out", type=Path, default=ROWS, metavar="FILE", help="the rows (default docs/first_run.jsonl)"
    )
    parser.add_argument("--work", type=Path, default=cache_folder() / "first_run", help="the folder of tables and runs")
    parser.add_argument("--page", action="store_true", help="write the page from the rows, and nothing else")
    parser.add_argument("--page-file", type=Path, default=PAGE, metavar="FILE")
    parser.add_argument("--any-package", action="store_true", help="rows of other states of the package count too")
    asked = parser.parse_args()
    sets = _chosen(asked.sets)
    if asked.list:
        for chosen in sets:
            print(f"{chosen.name:20} {chosen.task}")
        return
    if asked.page:
        write(asked.page_file, page(rows_of(asked.out), asked.part))
        return
    if asked.data_root is None:
        parser.error("--data-root names the folder of the data sets' folders (`ostinato data list`)")
    torch.set_num_threads(asked.threads)
    work = asked.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    options = Options(
        asked.part, asked.minutes, asked.rows, asked.seeds, asked.threads, work, asked.data_root.resolve()
    )
    kind, package = "estimate" if asked.estimate else "row", state_of_package()
    for chosen in sets:
        wanted = {"kind": kind, "set": chosen.name, "part": options.part, **options.key()}
        wanted |= {} if asked.any_package else {"package": package}
        there = [row for row in rows_of(asked.out) if wanted.items() <= row.items()]
        if any("error" not in row or not asked.again for row in there):
            print(f"{chosen.name}: there already")
            continue
        row = run_set(chosen, options, kind)
        with asked.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        print(line_of(row), flush=True)


if __name__ == "__main__":
    main()
