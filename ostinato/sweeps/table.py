"""The table of a sweep: what each combination costs and reaches, paired differences, and quality by the length of the input."""

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
from ostinato.evaluation.seeds import corrected, difference, over_seeds
from ostinato.files import write
from ostinato.metrics.contract import Metric, Order
from ostinato.recipe.metrics import settings_of
from ostinato.registry import Settings, build, settings_class
from ostinato.run import bundle as bundles
from ostinato.run import rows as row_sources
from ostinato.run.run import Row, Run
from ostinato.sweeps.sweep import Axis, Planned, examples_file, peak_memory

BINS = 5
"""Groups of inputs by length, each with as many examples as far as lengths allow."""
FRACTION = "data.fraction"


@dataclass(frozen=True)
class Trial:
    """What a table needs to know of one run.

    Args:
        parameters: how many the model has.
        split: what it was judged on.
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


def trial(one: Planned, folder: Path, *, device: str, roots: Sequence[Path], say: Callable[[str], None]) -> Trial:
    """A trained run judged row by row, from what is kept beside it where its weights and its search are still the same.

    Errors:
        DataError: the split's files are not there, or cannot be measured.
    """
    path = examples_file(folder, one.name)
    try:
        with safe_open(path, "numpy") as kept:
            facts = json.loads(kept.metadata()["facts"])
            if facts["key"] == _key(one.folder):
                return _unpacked(facts, {name: kept.get_tensor(name) for name in kept.keys()})  # noqa: SIM118 (no dict)
    except (FileNotFoundError, SafetensorError, KeyError, TypeError, ValueError):
        pass  # Never kept, or damaged: it is made anew.
    say(f"judging {one.name} row by row")
    run = Run.load(one.folder, device)
    split = row_sources.default_split(run, None, None)
    examples = row_sources.of_split(run, split, None, roots)
    return keep(run, split, examples, predict_all([run], examples, say=say), path)


def keep(run: Run, split: str, examples: Examples, examined: SplitPredictions, path: Path) -> Trial:
    """Writes what the metrics of a run are made of, example by example, so that no comparison has to decode the split again.

    Args:
        run: that was judged.
        split: on what.
        examples: of the split.
        examined: its answers.
        path: a file for `trial`.
    """
    made = _judged(run, split, examples, examined)
    arrays, facts = _packed(made, _key(run.folder))
    write(path, save(arrays, {"facts": json.dumps(facts)}))
    return made


def _key(run: Path) -> str:
    """What a run's answers depend on."""
    recipe = bundles.load(run).recipe
    known = [(run / f"{bundles.WEIGHTS}.sha256").read_text(), recipe.get("search"), recipe["data"]]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _packed(made: Trial, key: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What is kept of a trial, for `_unpacked`."""
    arrays = {f"{output}/{name}": rows for output, metrics in made.statistics.items() for name, rows in metrics.items()}
    arrays |= {f"{output}//lengths": steps for output, steps in made.lengths.items()}
    arrays |= {f"{output}//stretch": np.asarray(one.stretch, dtype=np.int64) for output, one in made.orders.items()}
    facts = {name: getattr(made, name) for name in ("parameters", "split", "training_rows", "examples", "steps")}
    facts |= {"key": key, "metrics": _plain(made.metrics)}
    timed = {output: one.time for output, one in made.orders.items() if one.time is not None}
    arrays |= {f"{output}//time": np.asarray(time, dtype=np.int64) for output, time in timed.items()}
    facts |= {
        "orders": {output: (one.least, one.unit, one.whole, output in timed) for output, one in made.orders.items()}
    }
    return arrays, facts


def _plain(metrics: Mapping[str, Mapping[str, Settings]]) -> dict[str, dict[str, Any]]:
    return {output: {key: settings.plain() for key, settings in by_key.items()} for output, by_key in metrics.items()}


def _unpacked(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Trial:
    told = {name: value for name, value in facts.items() if name not in ("key", "metrics", "orders")}
    told["orders"] = {
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
    return Trial(**told, metrics=metrics, statistics=statistics, lengths=lengths)


def _judged(run: Run, split: str, examples: Examples, examined: SplitPredictions) -> Trial:
    lengths_of = _lengths(run, examples.raw())
    metrics: dict[str, dict[str, Settings]] = {}
    statistics: dict[str, dict[str, np.ndarray]] = {}
    lengths, references, steps = {}, {}, {}
    for output, judged in examined.outputs.items():
        settings, built = settings_of(run.outputs[output]), metrics_of(run, output)
        metrics[output] = {key: settings[key] for key, metric in built.items() if not metric.lacks(judged)}
        statistics[output] = {
            key: np.ascontiguousarray(built[key].statistics(judged), dtype=np.float64) for key in metrics[output]
        }
        read = run.outputs[output].reads or list(run.inputs)
        lengths[output] = np.max([lengths_of[name] for name in read], 0)[examined.numbers[output]]
        references[output] = _hash([judged.expected, judged.alternatives], 2)
        steps[output] = _hash(judged.num_targets, 1)
    training_rows = run.bundle.data["splits"]["train"]["rows"]
    orders = {output: judged.order for output, judged in examined.outputs.items() if judged.order is not None}
    return Trial(
        sum(run.graph.parts().values()), split, training_rows, metrics, statistics, lengths, references, steps, orders
    )


def _lengths(run: Run, rows: Iterable[Row]) -> dict[str, np.ndarray]:
    """Of each input, how many steps each row has."""
    found: dict[str, list[int]] = {name: [] for name in run.inputs}
    for row in rows:
        for name, lengths in found.items():
            raw = run.raw(row, f"inputs.{name}")
            lengths.append(0 if raw is None else len(run.modalities[f"inputs.{name}"].encode(raw)))
    return {name: np.array(lengths, dtype=np.int64) for name, lengths in found.items()}


def _hash(values: Any, depth: int) -> str:
    """Of values as JSON, lists of so many levels item by item: the text of all references at once has no room."""
    digest = hashlib.sha256()
    for piece in _pieces(values, depth):
        digest.update(piece.encode())
    return digest.hexdigest()


def _pieces(values: Any, depth: int) -> Iterator[str]:
    if depth == 0 or not isinstance(values, list):
        plain = lambda one: one.tolist() if isinstance(one, (np.ndarray, np.generic)) else str(one)  # noqa: E731
        yield json.dumps(values, default=plain)
        return
    yield "["
    for at, one in enumerate(values):
        yield ", " if at else ""
        yield from _pieces(one, depth - 1)
    yield "]"


Combination = tuple[str, ...]
Trials = Mapping[Combination, Mapping[int, Trial]]
"""By the values of a combination, by seed."""


def report(
    lines: Sequence[Axis],
    planned: Sequence[Planned],
    trials: Mapping[str, Trial],
    failed: Mapping[str, str],
    folder: Path,
) -> dict[str, Any]:
    """What sweep.json holds.

    Args:
        lines: the axes.
        planned: all runs.
        trials: those that are trained, by name.
        failed: what the others said, by name.
        folder: of the sweep.
    """
    by: dict[Combination, dict[int, Trial]] = {}
    for one in planned:
        if one.name in trials:
            by.setdefault(tuple(one.values.values()), {})[one.seed] = trials[one.name]
    seeds, notes = sorted({one.seed for one in planned}), []
    rows = []
    for values, found in by.items():
        runs = [one for one in planned if tuple(one.values.values()) == values and one.name in trials]
        about = {"values": runs[0].values, "runs": [one.name for one in runs]}
        rows.append({**about, **_cost(runs, found, folder), "outputs": _quality(found, runs[0].values, notes)})
    differences = _differences(lines, by, notes)
    if len(seeds) == 1:
        notes.append("one seed: these differences are between runs, not between methods; --seeds 3 tells them apart")
    missing = len(planned) - len(trials)
    if missing:
        notes.append(f"{missing} of {len(planned)} runs failed and are left out")
    return {
        "axes": {axis.label: {"path": axis.path, "values": list(axis.values)} for axis in lines},
        "seeds": seeds,
        "split": next((one.split for one in trials.values()), None),
        "rows": rows,
        "differences": differences,
        "by_length": _by_length(lines, by),
        "failed": dict(failed),
        "notes": notes,
        "commands": {one.name: one.command for one in planned},
    }


def _cost(runs: Sequence[Planned], found: Mapping[int, Trial], folder: Path) -> dict[str, Any]:
    """The mean over seeds; memory is the most of all."""
    times = [_epochs(one.folder) for one in runs]
    memory = [most for one in runs if (most := peak_memory(folder, one.name)) is not None]
    return {
        "parameters": round(np.mean([one.parameters for one in found.values()])),
        "training_rows": round(np.mean([one.training_rows for one in found.values()])),
        "epochs": float(np.mean([epochs for epochs, _ in times])),
        "seconds_per_epoch": float(np.mean([seconds / max(1, epochs) for epochs, seconds in times])),
        "peak_memory": max(memory, default=None),
    }


def _epochs(folder: Path) -> tuple[int, float]:
    """Epochs of a run and the seconds they took, validation counted."""
    told = (json.loads(line) for line in (folder / "history.jsonl").read_text(encoding="utf-8").splitlines())
    last = [one for one in told if one["event"] == "epoch"][-1:]
    return (last[0]["epoch"], last[0]["seconds"]) if last else (0, 0.0)


def _shared(found: Mapping[int, Trial], output: str) -> bool:
    """Whether all seeds were judged on the same examples."""
    return len({one.examples[output] for one in found.values()}) == 1


def _orders(found: Iterable[Trial], output: str) -> list[Order]:
    return [one.orders[output] for one in found if output in one.orders]


def _quality(found: Mapping[int, Trial], values: Mapping[str, str], notes: list[str]) -> dict[str, Any]:
    """Each metric that the runs of all seeds have; what cannot be measured is left out with a note."""
    measured: dict[str, Any] = {}
    for output, metrics in _names(found.values()).items():
        measured[output] = {}
        for name, metric in metrics.items():
            if not all(_has(one, output, name) for one in found.values()):
                continue
            runs = [one.statistics[output][name] for one in found.values()]
            orders = _orders(found.values(), output)
            try:
                told = over_seeds(metric, runs, shared=_shared(found, output), orders=orders)
            except DataError as why:
                notes.append(
                    f"{output}.{name}: {', '.join(f'{label} {value}' for label, value in values.items())}: {why}"
                )
                continue
            measured[output][name] = asdict(told)
    return measured


def _names(trials: Iterable[Trial]) -> dict[str, dict[str, Metric]]:
    """Outputs and metrics that some of these runs have: a setting that is varied may change which there are."""
    every: dict[str, dict[str, Settings]] = {}
    for one in trials:
        for output, metrics in one.metrics.items():
            every[output] = {**every.get(output, {}), **metrics}
    return {
        output: {key: build(settings, "metrics") for key, settings in metrics.items()}
        for output, metrics in every.items()
    }


def _has(one: Trial, output: str, name: str) -> bool:
    return name in one.statistics.get(output, {})


def _every(by: Trials) -> list[Trial]:
    return [one for found in by.values() for one in found.values()]


def _differences(lines: Sequence[Axis], by: Trials, notes: list[str]) -> list[dict[str, Any]]:
    """Along each axis every value beside its first, the other axes as they are; corrected within each metric."""
    pairs = []
    for at, axis in enumerate(lines):
        for values in by:
            beside = (*values[:at], axis.values[0], *values[at + 1 :])
            if values[at] != axis.values[0] and beside in by:
                pairs.append((at, axis, beside, values))
    made: list[dict[str, Any]] = []
    for output, metrics in _names(_every(by)).items():
        for name, metric in metrics.items():
            compared, told = [], []
            for at, axis, first, second in pairs:
                found = _compared(metric, by[first], by[second], output, name)
                if isinstance(found, Compared):
                    others = {one.label: value for one, value in zip(lines, second) if one is not axis}
                    sides = {"axis": axis.label, "first": first[at], "second": second[at], "others": others}
                    told.append({**sides, "output": output, "metric": name})
                    compared.append(found)
                elif (note := f"{output}.{name}: {found}") not in notes:
                    notes.append(note)
            for about, one in zip(told, corrected(metric, compared)):
                plain = asdict(one)
                made.append(about | {"values": [plain.pop("first"), plain.pop("second")]} | plain)
    return made


def _compared(
    metric: Metric, first: Mapping[int, Trial], second: Mapping[int, Trial], output: str, name: str
) -> Compared | str:
    """The difference, or why there is none."""
    seeds = [seed for seed in first if seed in second]
    pairs = [(first[seed], second[seed]) for seed in seeds]
    if not all(_has(one, output, name) for pair in pairs for one in pair):
        return "not every run has it; differences from those that have none are left out"
    if any(one.examples[output] != other.examples[output] for one, other in pairs):
        return "judged on different examples, so that differences cannot be paired and are left out"
    if metric.per_step and any(one.steps[output] != other.steps[output] for one, other in pairs):
        return "numbers per step compare only where references have the same steps (one tokenizer); differences are left out"
    if not seeds:
        return "no seed was trained on both sides"
    sides = [[one.statistics[output][name] for one in side] for side in zip(*pairs)]
    shared = len({one.examples[output] for one, _ in pairs}) == 1
    try:
        return difference(metric, *sides, shared=shared, orders=_orders((one for one, _ in pairs), output))
    except DataError as why:
        return str(why)


def _by_length(lines: Sequence[Axis], by: Trials) -> dict[str, list[dict[str, Any]]]:
    """The first metric that all runs have of each output, in bins of the input's length; where data are varied, of the most."""
    made: dict[str, list[dict[str, Any]]] = {}
    for output, metrics in _names(_every(by)).items():
        name = next((name for name in metrics if all(_has(one, output, name) for one in _every(by))), None)
        if name is None:
            continue
        ruler = next(iter(by.values()))
        edges = np.unique(
            np.quantile(np.concatenate([one.lengths[output] for one in ruler.values()]), np.linspace(0, 1, BINS + 1))
        )
        # Whole steps: each bin takes its upper end, the first its lower end too.
        edges = np.unique(np.floor(edges).astype(int))
        if len(edges) < 2:
            continue
        for values, found in by.items():
            at = next((at for at, axis in enumerate(lines) if axis.path == FRACTION), None)
            if at is not None and float(values[at]) != max(map(float, lines[at].values)):
                continue
            bins = []
            for number, (low, high) in enumerate(itertools.pairwise(edges.tolist())):
                cut = _cut(found, ruler, output, name, low + (number > 0), high)
                if cut and (told := _measured(metrics[name], cut, _shared(found, output))):
                    bins.append({"from": low + (number > 0), "to": high, "examples": len(cut[0][0]), **told})
            told_values = {axis.label: value for axis, value in zip(lines, values)}
            made.setdefault(output, []).append({"values": told_values, "metric": name, "bins": bins})
    return made


def _cut(
    found: Mapping[int, Trial], ruler: Mapping[int, Trial], output: str, name: str, low: int, high: int
) -> list[tuple[np.ndarray, Order | None]]:
    """The statistics of each run for the examples of this length, as the first combination's tokenizer counts it."""
    cut = []
    for seed, one in found.items():
        if seed not in ruler or ruler[seed].examples[output] != one.examples[output]:
            return []
        lengths = ruler[seed].lengths[output]
        chosen = np.flatnonzero((lengths >= low) & (lengths <= high))
        order = one.orders.get(output)
        cut.append((one.statistics[output][name][chosen], None if order is None else order.pick(chosen.tolist())))
    return cut if all(len(rows) for rows, _ in cut) else []


def _measured(metric: Metric, cut: Sequence[tuple[np.ndarray, Order | None]], shared: bool) -> dict[str, Any] | None:
    orders = [order for _, order in cut if order is not None]
    try:
        return asdict(over_seeds(metric, [rows for rows, _ in cut], shared=shared, orders=orders))
    except DataError:
        return None  # Nothing to divide by among these examples: the picture has a gap there.


def tables(report: Mapping[str, Any], *, briefly: bool = False) -> list[tuple[str, list[str], list[list[str]]]]:
    """The report as tables of text: title, heads, rows; `briefly` with the differences in each output's first metric alone."""
    labels = list(report["axes"])
    every = ((output, name) for row in report["rows"] for output, metrics in row["outputs"].items() for name in metrics)
    quality = list(dict.fromkeys(every))
    several = len({output for output, _ in quality}) > 1
    heads = [
        *labels,
        "seeds",
        "rows",
        "parameters",
        "s/epoch",
        "peak memory",
        *(f"{o}.{n}" if several else n for o, n in quality),
    ]
    rows = []
    for one in report["rows"]:
        measured = [one["outputs"].get(output, {}).get(name) for output, name in quality]
        memory = "?" if one["peak_memory"] is None else f"{one['peak_memory'] / 2**20:,.0f} MiB"
        rows.append([
            *(one["values"][label] for label in labels), str(len(one["runs"])), f"{one['training_rows']:,}", f"{one['parameters']:,}",
            f"{one['seconds_per_epoch']:.3g}", memory, *(f"{m['value']:.4g} [{m['low']:.4g}, {m['high']:.4g}]" if m else "" for m in measured),
        ])  # fmt: skip
    made = [("", heads, rows)]
    if report["differences"]:
        told = []
        first = {one["output"]: one["metric"] for one in reversed(report["differences"])}
        for one in report["differences"]:
            if briefly and first[one["output"]] != one["metric"]:
                continue
            where = ", ".join(f"{label} {value}" for label, value in one["others"].items())
            what = f"{one['axis']}: {one['second']} - {one['first']}" + (f" ({where})" if where else "")
            metric = f"{one['output']}.{one['metric']}" if several else one["metric"]
            sure = "real" if one["real"] else "may be chance"
            span = f"[{one['low']:+.4g}, {one['high']:+.4g}]"
            told.append([what, metric, f"{one['difference']:+.4g}", span, f"{one['p_value']:.3f}", sure])
        made.append(("differences", ["difference", "metric", "by", "95 % interval", "p (Holm)", "difference is"], told))
    return made


def markdown(report: Mapping[str, Any]) -> str:
    """The report as sweep.md."""
    lines = [f"# Sweep of {report['recipe']}", ""]
    for title, heads, rows in tables(report):
        lines += [f"## {title.capitalize()}", ""] if title else []
        lines += [f"| {' | '.join(_cell(one) for one in row)} |" for row in (heads, ["---"] * len(heads), *rows)]
        lines.append("")
    lines += [f"- {note}" for note in footnotes(report)]
    lines += [f"- {name} failed: {' '.join(why.split())}" for name, why in report["failed"].items()]
    lines += ["", *(f"![{Path(picture).stem.replace('_', ' ')}]({picture})" for picture in report["pictures"])]
    lines += ["", "## Commands", "", "```", *report["commands"].values(), "```", ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def footnotes(report: Mapping[str, Any]) -> list[str]:
    """What has to be known to read the tables."""
    seeds = ", ".join(map(str, report["seeds"]))
    told = [
        f"measured on {report['split']}, seed{'s' * (len(report['seeds']) > 1)} {seeds}; intervals of 95 %",
        "s/epoch with validation; memory is the most that the process held, libraries counted",
    ]
    if report["differences"]:
        first = report["differences"][0]
        number = sum(
            (one["output"], one["metric"]) == (first["output"], first["metric"]) for one in report["differences"]
        )
        told.append(f"{first['method']}; p corrected (Holm) for the {number} differences of each metric")
    return told + report["notes"]
