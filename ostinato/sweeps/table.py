"""The table of a sweep: costs and quality of each combination, paired differences, quality by length of the input."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ostinato.data.examples import Examples
from ostinato.errors import DataError
from ostinato.evaluation.intervals import Compared, corrected, difference, over_seeds
from ostinato.evaluation.predictions import SplitPredictions, metrics_of, predict_all
from ostinato.evaluation.report import Metrics
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
class Measurements:
    """What is known of each example of an output.

    Args:
        metrics: key -> the metric's settings.
        statistics: key -> (examples, width), what the metric is made from.
        lengths: (examples,) steps of the longest input that it reads.
        examples: a hash of the references: equal ones are the same examples.
        steps: a hash of the steps of each reference, where log-probabilities are known.
        order: which examples are neighbours in time; None: they are independent.
    """

    metrics: dict[str, Settings]
    statistics: dict[str, np.ndarray]
    lengths: np.ndarray
    examples: str
    steps: str
    order: Order | None = None


@dataclass(frozen=True)
class Trial:
    """What a table needs to know of one run.

    Args:
        parameters: how many the model has.
        split: what it was measured on.
        training_rows: rows that it was trained on.
        outputs: what is known of the examples of each output.
    """

    parameters: int
    split: str
    training_rows: int
    outputs: dict[str, Measurements]


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
    known = [
        (run / f"{bundles.WEIGHTS}.sha256").read_text(),
        recipe.get("search"),
        recipe.get("calibration"),
        recipe["data"],
        metrics,
    ]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _packed(trial: Trial, key: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What is kept of a trial, for `_unpacked`."""
    arrays: dict[str, np.ndarray] = {}
    facts = {"key": key, "parameters": trial.parameters, "split": trial.split, "training_rows": trial.training_rows}
    outputs = facts["outputs"] = {}
    for output, known in trial.outputs.items():
        arrays |= {f"{output}/{name}": rows for name, rows in known.statistics.items()}
        arrays[f"{output}//lengths"] = known.lengths
        metrics = {name: settings.plain() for name, settings in known.metrics.items()}
        order = None if known.order is None else asdict(known.order)
        outputs[output] = {"metrics": metrics, "examples": known.examples, "steps": known.steps, "order": order}
    return arrays, facts


def _unpacked(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Trial:
    outputs = {}
    for output, known in facts["outputs"].items():
        metrics = {name: settings_class("metrics", plain["type"])(**plain) for name, plain in known["metrics"].items()}
        statistics = {name: arrays[f"{output}/{name}"] for name in metrics}
        order = None if known["order"] is None else Order(**known["order"])
        lengths = arrays[f"{output}//lengths"]
        outputs[output] = Measurements(metrics, statistics, lengths, known["examples"], known["steps"], order)
    return Trial(facts["parameters"], facts["split"], facts["training_rows"], outputs)


def _trial_of(run: Run, split: str, examples: Examples, predictions: SplitPredictions) -> Trial:
    lengths_of, outputs = _lengths(run, examples.raw()), {}
    for output, known in predictions.outputs.items():
        settings, built = settings_of(run.outputs[output]), metrics_of(run, output)
        metrics = {key: settings[key] for key, metric in built.items() if not metric.lacks(known)}
        read = run.outputs[output].reads or list(run.inputs)
        outputs[output] = Measurements(
            metrics,
            {key: np.ascontiguousarray(built[key].statistics(known), dtype=np.float64) for key in metrics},
            np.max([lengths_of[name] for name in read], 0)[predictions.numbers[output]],
            _hash([known.expected, known.alternatives]),
            _hash(known.num_targets),
            known.order,
        )
    return Trial(sum(run.graph.parts().values()), split, run.bundle.data["splits"]["train"]["rows"], outputs)


def _lengths(run: Run, rows: Iterable[Row]) -> dict[str, np.ndarray]:
    """Of each input, how many steps each row has."""
    steps: dict[str, list[int]] = {name: [] for name in run.inputs}
    for row in rows:
        for name, lengths in steps.items():
            raw = run.raw(row, f"inputs.{name}")
            lengths.append(0 if raw is None else len(run.modalities[f"inputs.{name}"].encode(raw)))
    return {name: np.array(lengths, dtype=np.int64) for name, lengths in steps.items()}


def _hash(values: Any) -> str:
    """Of values as JSON, piece by piece: the text of all references at once has no room."""
    digest = hashlib.sha256()
    for piece in json.JSONEncoder(default=_as_json).iterencode(values):
        digest.update(piece.encode())
    return digest.hexdigest()


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


def _known(trials: Iterable[Trial], output: str, name: str) -> list[Measurements]:
    """The output of each trial; none where one of them lacks the metric."""
    known = [trial.outputs.get(output) for trial in trials]
    return known if all(each is not None and name in each.statistics for each in known) else []


def _shared(known: Sequence[Measurements]) -> dict[str, Any]:
    """Whether all seeds were measured on the same examples, and which of these are neighbours in time."""
    orders = [each.order for each in known if each.order is not None]
    return {"shared": len({each.examples for each in known}) == 1, "orders": orders}


def _over_seeds(metric: Metric, known: Sequence[Measurements], name: str) -> Measured:
    return over_seeds(metric, [each.statistics[name] for each in known], **_shared(known))


def _quality(by_seed: Mapping[int, Trial], values: Mapping[str, str], notes: list[str]) -> dict[str, Metrics]:
    """Each metric that the runs of all seeds have; what cannot be measured is left out with a note."""
    measured: dict[str, Metrics] = {}
    trials = list(by_seed.values())
    for output, metrics in _names(trials).items():
        measured[output] = {}
        for key, metric in metrics.items():
            try:
                if known := _known(trials, output, key):
                    measured[output][key] = _over_seeds(metric, known, key)
            except DataError as why:
                where = ", ".join(f"{label} {value}" for label, value in values.items())
                notes.append(f"{output}.{key}: {where}: {why}")
    return measured


def _names(trials: Iterable[Trial]) -> dict[str, dict[str, Metric]]:
    """Outputs and metrics that some of these runs have: a setting that is varied may change which there are."""
    every: dict[str, dict[str, Settings]] = {}
    for trial in trials:
        for output, known in trial.outputs.items():
            every.setdefault(output, {}).update(known.metrics)
    return {
        output: {key: build(settings, "metrics") for key, settings in metrics.items()}
        for output, metrics in every.items()
    }


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
            compared = []
            for pair in pairs:
                result = _compared(metric, by[pair[2]], by[pair[3]], output, key)
                if isinstance(result, Compared):
                    compared.append((pair, result))
                elif (note := f"{output}.{key}: {result}") not in notes:
                    notes.append(note)
            results = corrected(metric, [result for _, result in compared])
            for ((at, axis, first, second), _), result in zip(compared, results):
                others = {other.label: value for other, value in zip(axes, second) if other is not axis}
                differences.append(Difference(axis.label, first[at], second[at], others, output, key, result))
    return differences


def _compared(
    metric: Metric, first: Mapping[int, Trial], second: Mapping[int, Trial], output: str, name: str
) -> Compared | str:
    """The difference, or why there is none."""
    seeds = [seed for seed in first if seed in second]
    if not seeds:
        return "no seed was trained on both sides"
    sides = [_known([by_seed[seed] for seed in seeds], output, name) for by_seed in (first, second)]
    if not all(sides):
        return "not every run has it; differences from those that have none are left out"
    if [known.examples for known in sides[0]] != [known.examples for known in sides[1]]:
        return "measured on different examples, so that differences cannot be paired and are left out"
    if metric.per_step and [known.steps for known in sides[0]] != [known.steps for known in sides[1]]:
        return (
            "numbers per step compare only where references have the same steps (one tokenizer); differences are left"
            " out"
        )
    try:
        statistics = [[known.statistics[name] for known in side] for side in sides]
        return difference(metric, *statistics, **_shared(sides[0]))
    except DataError as why:
        return str(why)


def _by_length(axes: Sequence[Axis], by: Trials) -> dict[str, list[Line]]:
    """The first metric that all runs have of each output, in bins of the input's length; of the most data."""
    lines: dict[str, list[Line]] = {}
    for output, metrics in _names(_every(by)).items():
        key = next((key for key in metrics if _known(_every(by), output, key)), None)
        if key is None:
            continue
        ruler = {seed: trial.outputs[output] for seed, trial in next(iter(by.values())).items()}
        lengths = np.concatenate([known.lengths for known in ruler.values()])
        # Whole steps: each bin takes its upper end, the first its lower end too.
        edges = np.unique(np.floor(np.quantile(lengths, np.linspace(0, 1, BINS + 1))).astype(int))
        if len(edges) < 2:
            continue
        for values, by_seed in by.items():
            at = next((at for at, axis in enumerate(axes) if axis.path == FRACTION), None)
            if at is not None and float(values[at]) != max(map(float, axes[at].values)):
                continue
            bins = []
            for number, (low, high) in enumerate(itertools.pairwise(edges.tolist())):
                low += number > 0
                # Where nothing can be divided by among these examples the picture has a gap.
                with suppress(DataError):
                    if cut := _cut(by_seed, ruler, output, key, low, high):
                        measured = _over_seeds(metrics[key], cut, key)
                        bins.append(Bin(low, high, len(cut[0].lengths), **asdict(measured)))
            labels = {axis.label: value for axis, value in zip(axes, values)}
            lines.setdefault(output, []).append(Line(labels, key, bins))
    return lines


def _cut(
    by_seed: Mapping[int, Trial], ruler: Mapping[int, Measurements], output: str, name: str, low: int, high: int
) -> list[Measurements]:
    """Of each run the examples of this length, as the first combination's tokenizer counts it; none where a run has
    none of them."""
    cut = []
    for seed, trial in by_seed.items():
        known = trial.outputs[output]
        if seed not in ruler or ruler[seed].examples != known.examples:
            return []
        lengths = ruler[seed].lengths
        chosen = np.flatnonzero((lengths >= low) & (lengths <= high))
        if not len(chosen):
            return []
        order = None if known.order is None else known.order.pick(chosen.tolist())
        rows = {name: known.statistics[name][chosen]}
        cut.append(replace(known, statistics=rows, lengths=lengths[chosen], order=order))
    return cut
