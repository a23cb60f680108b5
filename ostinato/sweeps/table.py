"""The table of a sweep: costs and quality of each combination, paired differences, quality by length of the input."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ostinato.data.examples import Examples
from ostinato.errors import DataError
from ostinato.evaluation.intervals import Compared
from ostinato.evaluation.predictions import SplitPredictions, metrics_of, predict_all
from ostinato.evaluation.report import Metrics
from ostinato.evaluation.seeds import corrected, difference, over_seeds
from ostinato.files import write
from ostinato.metrics.contract import Measured, Metric, Order
from ostinato.recipe.metrics import settings_of
from ostinato.registry import Settings, build, settings_class
from ostinato.run import bundle as bundles
from ostinato.run import rows as row_sources
from ostinato.run.run import Row, Run
from ostinato.sweeps.report import Bin, Difference, Line, SweepAxis, SweepReport, SweepRow
from ostinato.sweeps.sweep import Axis, Planned, examples_file, peak_memory

BINS = 5
"""Groups of inputs by length, each with as many examples as far as lengths allow."""
FRACTION = "data.fraction"


@dataclass(frozen=True)
class Trial:
    """What a table needs to know of one run.

    Args:
        parameters: how many the model has.
        split: what it was measured on.
        training_rows: rows that it was trained on.
        metrics: output -> key -> the metric's settings.
        statistics: output -> key -> (examples, width), what the metric is made from.
        lengths: output -> (examples,) steps of the longest input that it reads.
        examples: output -> a hash of the references: equal ones are the same examples.
        steps: output -> a hash of the steps of each reference, where log-probabilities are known.
        orders: output -> which examples are neighbours in time, where they are not independent.
    """

    parameters: int
    split: str
    training_rows: int
    metrics: dict[str, dict[str, Settings]]
    statistics: dict[str, dict[str, np.ndarray]]
    lengths: dict[str, np.ndarray]
    examples: dict[str, str]
    steps: dict[str, str]
    orders: dict[str, Order] = field(default_factory=dict)


def trial(planned: Planned, folder: Path, *, device: str, roots: Sequence[Path], say: Callable[[str], None]) -> Trial:
    """The trial of a trained run, from its file where weights and search are still the same, else measured row by row.

    Errors:
        DataError: the split's files are not there, or cannot be measured.
    """
    path = examples_file(folder, planned.name)
    try:
        with safe_open(path, "numpy") as kept:
            facts = json.loads(kept.metadata()["facts"])
            if facts["key"] == _key(planned.folder):
                return _unpacked(facts, {name: kept.get_tensor(name) for name in kept.keys()})  # noqa: SIM118 (no dict)
    except (FileNotFoundError, SafetensorError, KeyError, TypeError, ValueError):
        pass  # Never kept, or damaged: measured anew.
    say(f"measuring {planned.name} row by row")
    run = Run.load(planned.folder, device)
    split = row_sources.default_split(run, None, None)
    examples = row_sources.of_split(run, split, None, roots)
    return keep(run, split, examples, predict_all([run], examples, say=say), path)


def keep(run: Run, split: str, examples: Examples, predictions: SplitPredictions, path: Path) -> Trial:
    """Writes what the metrics of a run are made from, example by example, so that no comparison decodes them again.

    Args:
        run: that was measured.
        split: on what.
        examples: of the split.
        predictions: of the run.
        path: a file for `trial`.
    """
    trial = _trial_of(run, split, examples, predictions)
    arrays, facts = _packed(trial, _key(run.folder))
    write(path, save(arrays, {"facts": json.dumps(facts)}))
    return trial


def _key(run: Path) -> str:
    """What a run's predictions and their metrics depend on."""
    recipe = bundles.load(run).recipe
    metrics = {output: settings.get("metrics") for output, settings in recipe["outputs"].items()}
    known = [(run / f"{bundles.WEIGHTS}.sha256").read_text(), recipe.get("search"), recipe["data"], metrics]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _packed(trial: Trial, key: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What is kept of a trial, for `_unpacked`."""
    arrays = {
        f"{output}/{name}": rows for output, metrics in trial.statistics.items() for name, rows in metrics.items()
    }
    arrays |= {f"{output}//lengths": steps for output, steps in trial.lengths.items()}
    arrays |= {
        f"{output}//stretch": np.asarray(order.stretch, dtype=np.int64) for output, order in trial.orders.items()
    }
    facts = {name: getattr(trial, name) for name in ("parameters", "split", "training_rows", "examples", "steps")}
    facts |= {"key": key, "metrics": _plain(trial.metrics)}
    timed = {output: order.time for output, order in trial.orders.items() if order.time is not None}
    arrays |= {f"{output}//time": np.asarray(time, dtype=np.int64) for output, time in timed.items()}
    facts |= {
        "orders": {
            output: (order.least, order.unit, order.whole, output in timed) for output, order in trial.orders.items()
        }
    }
    return arrays, facts


def _plain(metrics: Mapping[str, Mapping[str, Settings]]) -> dict[str, dict[str, Any]]:
    return {output: {key: settings.plain() for key, settings in by_key.items()} for output, by_key in metrics.items()}


def _unpacked(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Trial:
    values = {name: value for name, value in facts.items() if name not in ("key", "metrics", "orders")}
    values["orders"] = {
        output: Order(
            arrays[f"{output}//stretch"].tolist(),
            least,
            unit,
            whole,
            arrays[f"{output}//time"].tolist() if is_timed else None,
        )
        for output, (least, unit, whole, is_timed) in facts["orders"].items()
    }
    kept = facts["metrics"].items()
    metrics = {
        output: {key: settings_class("metrics", plain["type"])(**plain) for key, plain in by_key.items()}
        for output, by_key in kept
    }
    statistics = {output: {key: arrays[f"{output}/{key}"] for key in by_key} for output, by_key in kept}
    lengths = {output: arrays[f"{output}//lengths"] for output in metrics}
    return Trial(**values, metrics=metrics, statistics=statistics, lengths=lengths)


def _trial_of(run: Run, split: str, examples: Examples, predictions: SplitPredictions) -> Trial:
    lengths_of = _lengths(run, examples.raw())
    metrics: dict[str, dict[str, Settings]] = {}
    statistics: dict[str, dict[str, np.ndarray]] = {}
    lengths, references, steps = {}, {}, {}
    for output, known in predictions.outputs.items():
        settings, built = settings_of(run.outputs[output]), metrics_of(run, output)
        metrics[output] = {key: settings[key] for key, metric in built.items() if not metric.lacks(known)}
        statistics[output] = {
            key: np.ascontiguousarray(built[key].statistics(known), dtype=np.float64) for key in metrics[output]
        }
        read = run.outputs[output].reads or list(run.inputs)
        lengths[output] = np.max([lengths_of[name] for name in read], 0)[predictions.numbers[output]]
        references[output] = _hash([known.expected, known.alternatives], 2)
        steps[output] = _hash(known.num_targets, 1)
    training_rows = run.bundle.data["splits"]["train"]["rows"]
    orders = {output: known.order for output, known in predictions.outputs.items() if known.order is not None}
    return Trial(
        sum(run.graph.parts().values()), split, training_rows, metrics, statistics, lengths, references, steps, orders
    )


def _lengths(run: Run, rows: Iterable[Row]) -> dict[str, np.ndarray]:
    """Of each input, how many steps each row has."""
    steps: dict[str, list[int]] = {name: [] for name in run.inputs}
    for row in rows:
        for name, lengths in steps.items():
            raw = run.raw(row, f"inputs.{name}")
            lengths.append(0 if raw is None else len(run.modalities[f"inputs.{name}"].encode(raw)))
    return {name: np.array(lengths, dtype=np.int64) for name, lengths in steps.items()}


def _hash(values: Any, depth: int) -> str:
    """Of values as JSON, lists of so many levels item by item: the text of all references at once has no room."""
    digest = hashlib.sha256()
    for piece in _pieces(values, depth):
        digest.update(piece.encode())
    return digest.hexdigest()


def _pieces(values: Any, depth: int) -> Iterator[str]:
    if depth == 0 or not isinstance(values, list):
        yield json.dumps(values, default=_as_json)
        return
    yield "["
    for at, piece in enumerate(values):
        yield ", " if at else ""
        yield from _pieces(piece, depth - 1)
    yield "]"


def _as_json(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else str(value)


Combination = tuple[str, ...]
Trials = Mapping[Combination, Mapping[int, Trial]]
"""By the values of a combination, by seed."""


def report(
    recipe: str,
    axes: Sequence[Axis],
    planned: Sequence[Planned],
    trials: Mapping[str, Trial],
    failed: Mapping[str, str],
    folder: Path,
) -> SweepReport:
    """What a sweep found, its pictures not drawn yet.

    Args:
        recipe: the recipe's file.
        axes: what is varied.
        planned: all runs.
        trials: those that are trained, by name.
        failed: the messages of the others, by name.
        folder: of the sweep.
    """
    by: dict[Combination, dict[int, Trial]] = {}
    for run in planned:
        if run.name in trials:
            by.setdefault(tuple(run.values.values()), {})[run.seed] = trials[run.name]
    seeds, notes = sorted({run.seed for run in planned}), []
    rows = []
    for values, by_seed in by.items():
        runs = [run for run in planned if tuple(run.values.values()) == values and run.name in trials]
        rows.append(_row(runs, by_seed, folder, notes))
    differences = _differences(axes, by, notes)
    if len(seeds) == 1:
        notes.append("one seed: these differences are between runs, not between methods; --seeds 3 tells them apart")
    missing = len(planned) - len(trials)
    if missing:
        notes.append(f"{missing} of {len(planned)} runs failed and are left out")
    return SweepReport(
        recipe,
        {axis.label: SweepAxis(axis.path, list(axis.values)) for axis in axes},
        seeds,
        next((trial.split for trial in trials.values()), None),
        rows,
        differences,
        _by_length(axes, by),
        dict(failed),
        notes,
        {run.name: run.command for run in planned},
        [],
    )


def _row(runs: Sequence[Planned], by_seed: Mapping[int, Trial], folder: Path, notes: list[str]) -> SweepRow:
    """One combination: the mean over seeds; memory is the most of all."""
    times = [_epochs(run.folder) for run in runs]
    memory = [most for run in runs if (most := peak_memory(folder, run.name)) is not None]
    return SweepRow(
        runs[0].values,
        [run.name for run in runs],
        round(np.mean([trial.parameters for trial in by_seed.values()])),
        round(np.mean([trial.training_rows for trial in by_seed.values()])),
        float(np.mean([epochs for epochs, _ in times])),
        float(np.mean([seconds / max(1, epochs) for epochs, seconds in times])),
        max(memory, default=None),
        _quality(by_seed, runs[0].values, notes),
    )


def _epochs(folder: Path) -> tuple[int, float]:
    """Epochs of a run and the seconds they took, validation counted."""
    events = (json.loads(line) for line in (folder / "history.jsonl").read_text(encoding="utf-8").splitlines())
    last = [event for event in events if event["event"] == "epoch"][-1:]
    return (last[0]["epoch"], last[0]["seconds"]) if last else (0, 0.0)


def _shared(by_seed: Mapping[int, Trial], output: str) -> bool:
    """Whether all seeds were measured on the same examples."""
    return len({trial.examples[output] for trial in by_seed.values()}) == 1


def _orders(trials: Iterable[Trial], output: str) -> list[Order]:
    return [trial.orders[output] for trial in trials if output in trial.orders]


def _quality(by_seed: Mapping[int, Trial], values: Mapping[str, str], notes: list[str]) -> dict[str, Metrics]:
    """Each metric that the runs of all seeds have; what cannot be measured is left out with a note."""
    measured: dict[str, Metrics] = {}
    trials = list(by_seed.values())
    for output, metrics in _names(trials).items():
        measured[output] = {}
        for key, metric in metrics.items():
            if not all(_has(trial, output, key) for trial in trials):
                continue
            runs = [trial.statistics[output][key] for trial in trials]
            try:
                measured[output][key] = over_seeds(
                    metric, runs, shared=_shared(by_seed, output), orders=_orders(trials, output)
                )
            except DataError as why:
                where = ", ".join(f"{label} {value}" for label, value in values.items())
                notes.append(f"{output}.{key}: {where}: {why}")
    return measured


def _names(trials: Iterable[Trial]) -> dict[str, dict[str, Metric]]:
    """Outputs and metrics that some of these runs have: a setting that is varied may change which there are."""
    every: dict[str, dict[str, Settings]] = {}
    for trial in trials:
        for output, metrics in trial.metrics.items():
            every[output] = {**every.get(output, {}), **metrics}
    return {
        output: {key: build(settings, "metrics") for key, settings in metrics.items()}
        for output, metrics in every.items()
    }


def _has(trial: Trial, output: str, name: str) -> bool:
    return name in trial.statistics.get(output, {})


def _every(by: Trials) -> list[Trial]:
    return [trial for by_seed in by.values() for trial in by_seed.values()]


def _differences(axes: Sequence[Axis], by: Trials, notes: list[str]) -> list[Difference]:
    """Along each axis every value compared with its first, the other axes as they are; corrected within each metric."""
    pairs = []
    for at, axis in enumerate(axes):
        for values in by:
            beside = (*values[:at], axis.values[0], *values[at + 1 :])
            if values[at] != axis.values[0] and beside in by:
                pairs.append((at, axis, beside, values))
    differences: list[Difference] = []
    for output, metrics in _names(_every(by)).items():
        for key, metric in metrics.items():
            compared: list[Compared] = []
            compared_pairs = []
            for pair in pairs:
                result = _compared(metric, by[pair[2]], by[pair[3]], output, key)
                if isinstance(result, Compared):
                    compared.append(result)
                    compared_pairs.append(pair)
                elif (note := f"{output}.{key}: {result}") not in notes:
                    notes.append(note)
            for (at, axis, first, second), tested in zip(compared_pairs, corrected(metric, compared)):
                others = {other.label: value for other, value in zip(axes, second) if other is not axis}
                about = (axis.label, first[at], second[at], others, output, key, [tested.first, tested.second])
                interval = (
                    tested.difference,
                    tested.low,
                    tested.high,
                    tested.p_value,
                    tested.real,
                    tested.better,
                    tested.method,
                )
                differences.append(Difference(*about, *interval))
    return differences


def _compared(
    metric: Metric, first: Mapping[int, Trial], second: Mapping[int, Trial], output: str, name: str
) -> Compared | str:
    """The difference, or why there is none."""
    seeds = [seed for seed in first if seed in second]
    pairs = [(first[seed], second[seed]) for seed in seeds]
    if not all(_has(trial, output, name) for pair in pairs for trial in pair):
        return "not every run has it; differences from those that have none are left out"
    if any(trial.examples[output] != other.examples[output] for trial, other in pairs):
        return "measured on different examples, so that differences cannot be paired and are left out"
    if metric.per_step and any(trial.steps[output] != other.steps[output] for trial, other in pairs):
        return (
            "numbers per step compare only where references have the same steps (one tokenizer); differences are left"
            " out"
        )
    if not seeds:
        return "no seed was trained on both sides"
    sides = [[trial.statistics[output][name] for trial in side] for side in zip(*pairs)]
    shared = len({trial.examples[output] for trial, _ in pairs}) == 1
    try:
        return difference(metric, *sides, shared=shared, orders=_orders((trial for trial, _ in pairs), output))
    except DataError as why:
        return str(why)


def _by_length(axes: Sequence[Axis], by: Trials) -> dict[str, list[Line]]:
    """The first metric that all runs have of each output, in bins of the input's length; of the most data."""
    lines: dict[str, list[Line]] = {}
    for output, metrics in _names(_every(by)).items():
        key = next((key for key in metrics if all(_has(trial, output, key) for trial in _every(by))), None)
        if key is None:
            continue
        ruler = next(iter(by.values()))
        lengths = np.concatenate([trial.lengths[output] for trial in ruler.values()])
        edges = np.unique(np.quantile(lengths, np.linspace(0, 1, BINS + 1)))
        # Whole steps: each bin takes its upper end, the first its lower end too.
        edges = np.unique(np.floor(edges).astype(int))
        if len(edges) < 2:
            continue
        for values, by_seed in by.items():
            at = next((at for at, axis in enumerate(axes) if axis.path == FRACTION), None)
            if at is not None and float(values[at]) != max(map(float, axes[at].values)):
                continue
            bins = []
            for number, (low, high) in enumerate(itertools.pairwise(edges.tolist())):
                low += number > 0
                cut = _cut(by_seed, ruler, output, key, low, high)
                if cut and (measured := _measured(metrics[key], cut, _shared(by_seed, output))):
                    bins.append(Bin(low, high, len(cut[0][0]), **asdict(measured)))
            labels = {axis.label: value for axis, value in zip(axes, values)}
            lines.setdefault(output, []).append(Line(labels, key, bins))
    return lines


def _cut(
    by_seed: Mapping[int, Trial], ruler: Mapping[int, Trial], output: str, name: str, low: int, high: int
) -> list[tuple[np.ndarray, Order | None]]:
    """The statistics of each run for the examples of this length, as the first combination's tokenizer counts it."""
    cut = []
    for seed, trial in by_seed.items():
        if seed not in ruler or ruler[seed].examples[output] != trial.examples[output]:
            return []
        lengths = ruler[seed].lengths[output]
        chosen = np.flatnonzero((lengths >= low) & (lengths <= high))
        order = trial.orders.get(output)
        cut.append((trial.statistics[output][name][chosen], None if order is None else order.pick(chosen.tolist())))
    return cut if all(len(rows) for rows, _ in cut) else []


def _measured(metric: Metric, cut: Sequence[tuple[np.ndarray, Order | None]], shared: bool) -> Measured | None:
    orders = [order for _, order in cut if order is not None]
    try:
        return over_seeds(metric, [rows for rows, _ in cut], shared=shared, orders=orders)
    except DataError:
        return None  # Nothing to divide by among these examples: the picture has a gap there.
