"""How good a run is: predictions beside references, every metric with its interval, two runs compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np

from ostinato import alignments
from ostinato.data.examples import Examples
from ostinato.errors import DataError
from ostinato.evaluation.confusion import confusion
from ostinato.evaluation.intervals import measure, paired
from ostinato.metrics.contract import Metric, Order, Predictions
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe import metrics as recipe_metrics
from ostinato.registry import Settings
from ostinato.run.predict import answers
from ostinato.run.run import Row, Run
from ostinato.run.score import scores

MOST_LABELS = 50
"""A table of what was taken for what is read by people."""
FEW_TEXTS, PIECES, LEAST_PIECE = 100, 1000, 50
"""Fewer texts than that are cut into about so many pieces, each of so many characters or items at least."""
CHUNK_ROWS = 4096
"""Rows taken up at once: enough to sort by length, few enough to stay small."""


@dataclass(frozen=True)
class Examined:
    """A run's answers on some rows.

    Args:
        rows: how many.
        outputs: what is known of each output.
        numbers: of each output, where its examples stand among all rows of the split.
    """

    rows: int
    outputs: dict[str, Predictions]
    numbers: dict[str, list[int]]


def metrics_of(run: Run, output: str) -> dict[str, Metric]:
    """The metrics that judge an output, by name."""
    return recipe_metrics.metrics_of(run.outputs[output])


def chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows by CHUNK_ROWS, the last chunk as long as it is."""
    rows = iter(rows)
    while chunk := list(islice(rows, CHUNK_ROWS)):
        yield chunk


def examine(
    runs: Sequence[Run],
    examples: Examples,
    *,
    search: Settings | None = None,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> Examined:
    """Answers and scores for every example; one that lacks an output is left out there, one that lacks an input that is
    no sequence everywhere, with a count.

    Errors:
        DataError: there is an output that no row has.
    """
    run = runs[0]
    needed = {name: recipe_columns.column_of(f"outputs.{name}", settings) for name, settings in run.outputs.items()}
    has = lambda row, output: run.raw(row, f"outputs.{output}") is not None  # noqa: E731
    found: dict[str, dict[str, list]] = {
        output: {
            key: []
            for key in (
                "predicted",
                "expected",
                "alternatives",
                "log_probability",
                "num_targets",
                "num_right",
                "quantiles",
            )
        }
        for output in run.outputs
    }
    stand: dict[str, list[int]] = {output: [] for output in run.outputs}
    by_step: dict[str, list] = {output: [] for output, one in run.outputs.items() if alignments.of(one).streams}
    listed = enumerate(examples.raw())
    left_out: dict[str, list[int]] = {}

    def usable() -> Iterator[tuple[int, Row]]:
        for number, row in listed:
            lack = run.lacks(row)
            if lack is not None:
                left_out.setdefault(lack, []).append(number)
            elif any(has(row, output) for output in needed):
                yield number, row

    # What goes on from an input is judged by what the model thinks of the truth: a continuation of its own has no reference.
    answered = [
        name
        for name in run.outputs
        if any({"predicted", "quantiles"} & set(one.needs) for one in metrics_of(run, name).values())
    ]
    total = 0
    for pairs in chunks(usable()):
        numbers, chunk = [number for number, _ in pairs], [row for _, row in pairs]
        place = lambda at, numbers=numbers: examples.place(numbers[at])  # noqa: E731
        told = answers(runs, chunk, search=search, seed=seed, outputs=answered, place=place, say=say)
        scored = scores(runs, chunk, place=place)
        for output, settings in run.outputs.items():
            kept = found[output]
            given = [at for at, row in enumerate(chunk) if has(row, output)]
            stand[output] += [numbers[at] for at in given]
            kept["predicted"] += [told[at][output][0].value if output in answered else None for at in given]
            kept["quantiles"] += [told[at][output][0].quantiles if output in answered else None for at in given]
            kept["expected"] += [run.raw(chunk[at], f"outputs.{output}") for at in given]
            kept["alternatives"] += [_alternatives(run, output, settings, chunk[at]) for at in given]
            if output in by_step and output in scored:
                by_step[output] += scored[output].by_step or [None] * len(given)
            for key in ("log_probability", "num_targets", "num_right"):
                kept[key] += getattr(scored[output].scored, key).tolist()
        total += len(chunk)
    for lack, numbers in left_out.items():
        say(f"{len(numbers):,} rows left out, {lack} is missing (the first: {examples.place(numbers[0])})")
    lacking = [column for column, kept in zip(needed.values(), found.values()) if not kept["expected"]]
    if lacking:
        raise DataError(f"{examples.where}: no row holds {', '.join(lacking)}; there is nothing to measure against")
    judged = {}
    for output, kept in found.items():
        unknown = {"alternatives"} if run.outputs[output].alternatives is None else set()
        unknown |= {"quantiles"} if None in kept["quantiles"] else set()
        unknown |= set() if output in answered else {"predicted"}
        scales, order = examples.scales(f"outputs.{output}", stand[output]), examples.order(stand[output])
        if examples.windows is not None:
            if scales is None:
                say(
                    f"outputs.{output}: mase is left out, since the past of every series is too short, or repeats itself season by season"
                )
        elif alignments.of(run.outputs[output]).streams:
            # Rows of a file that is read on and on are often pieces of one text; where they are not, blocks come out short.
            rows_there = len(stand[output])
            kept, stand[output] = _in_pieces(kept, by_step[output], stand[output])
            order = Order([0] * len(stand[output]), 1, "row" if len(stand[output]) == rows_there else "piece", "texts")
        known = {name: None if name in unknown else values for name, values in kept.items()}
        judged[output] = Predictions(**known, scales=scales, order=order)
    return Examined(total, judged, stand)


def _in_pieces(
    kept: dict[str, list], by_step: Sequence[np.ndarray | None], numbers: list[int]
) -> tuple[dict[str, list], list[int]]:
    """A few long texts as many short pieces, whose neighbours a bootstrap can draw in blocks; more texts as they are.

    Each text is cut at equal shares of its characters (of a list: items), and the same shares of its steps. Sums over all pieces are those
    over all texts; where a step has many characters a cut may be off by one step, which an interval does not notice.

    Args:
        kept: of each text what is judged, by name.
        by_step: of each text the log-probability of every target and whether it scored best, or None.
        numbers: where the texts stand.
    """
    lengths = [len(one) for one in kept["expected"]]
    if not 0 < len(lengths) < FEW_TEXTS or any(one is None for one in by_step):
        return kept, numbers
    whole = sum(lengths)
    made: dict[str, list] = {name: [] for name in kept}
    stand: list[int] = []
    for text, (length, steps) in enumerate(zip(lengths, by_step)):
        count = max(1, min(length // LEAST_PIECE, round(PIECES * length / max(1, whole))))
        cut, cut_steps = (np.linspace(0, size, count + 1).round().astype(int).tolist() for size in (length, len(steps)))
        parts = [steps[slice(*ends)].astype(np.float64) for ends in pairwise(cut_steps)]
        own = {
            "expected": [kept["expected"][text][slice(*ends)] for ends in pairwise(cut)],
            "log_probability": [float(one[:, 0].sum()) for one in parts],
            "num_targets": [len(one) for one in parts],
            "num_right": [float(one[:, 1].sum()) for one in parts],
        }
        for name, values in made.items():
            values += own.get(name) or [kept[name][text]] * count
        stand += [numbers[text]] * count
    return made, stand


def _alternatives(run: Run, output: str, settings: Settings, row: Row) -> list[Any]:
    if settings.alternatives is None:
        return []
    modality = run.modalities[f"outputs.{output}"]
    return [modality.parse(one) for one in row[settings.alternatives].split(" | ") if one]


def report(run: Run, examined: Examined, split: str) -> dict[str, Any]:
    """What `evaluate --json` prints; for labels with the table of what was taken for what.

    A metric that these examples cannot be judged by, such as spans where there is none, is left out with a note.

    Errors:
        DataError: an output cannot be judged by any metric.
    """
    outputs, notes = {}, []
    for output, judged in examined.outputs.items():
        outputs[output], refused = measured(run, output, judged)
        if refused and not outputs[output]:
            raise next(iter(refused.values()))
        notes += [f"{output}.{name} is left out: {why}" for name, why in refused.items()]
    found = {"split": split, "examples": examined.rows, "outputs": outputs} | ({"notes": notes} if notes else {})
    tables = {}
    for output, judged in examined.outputs.items():
        settings = run.outputs[output]
        if settings.type == "category" and not settings.multilabel and settings.align == "summary":
            modality = run.modalities[f"outputs.{output}"]
            order = modality.labels(np.arange(modality.spec.size)) if modality.spec.ordinal else ()
            texts = [[modality.write(raw) for raw in column] for column in (judged.expected, judged.predicted)]
            matrix = confusion(*texts, order)
            if len(matrix.labels) <= MOST_LABELS:
                tables[output] = asdict(matrix)
    return found | ({"confusion": tables} if tables else {})


def noted(report: dict[str, Any], notes: Sequence[str]) -> dict[str, Any]:
    """A report with further notes."""
    return report | {"notes": [*report.get("notes", []), *notes]} if notes else report


def measured(run: Run, output: str, judged: Predictions) -> tuple[dict[str, Any], dict[str, DataError]]:
    """Every metric that there is all for, and why one cannot be measured on these examples."""
    found, refused = {}, {}
    for name, metric in metrics_of(run, output).items():
        if is_known(metric, judged):
            try:
                found[name] = asdict(measure(metric, judged))
            except DataError as why:
                refused[name] = why
    return found, refused


def measured_alone(run: Run, output: str, judged: Predictions, who: str, notes: list[str]) -> dict[str, Any]:
    """Every metric of some of the examples; what these cannot be judged by is left out with a note that names them."""
    found, refused = measured(run, output, judged)
    if refused and not found:
        notes.append(f"{who} cannot be judged alone: {next(iter(refused.values()))}")
    else:
        notes += [f"{who}: {output}.{name} is left out: {why}" for name, why in refused.items()]
    return found


def by_group(run: Run, examined: Examined, column: str, groups: Sequence[Any]) -> dict[str, Any]:
    """Every metric for the rows of each group alone, and which group is worst by each; notes of what cannot be judged alone.

    Args:
        run: whose outputs they are.
        examined: its answers.
        column: what the rows are grouped by.
        groups: the group of each row of the split.
    """
    made: dict[str, Any] = {}
    notes: list[str] = []
    for group in sorted({str(one) for one in groups}):
        outputs = {}
        for output, judged in examined.outputs.items():
            chosen = [at for at, number in enumerate(examined.numbers[output]) if str(groups[number]) == group]
            if chosen:
                who = f"--by {column}: the {len(chosen)} row{'s' * (len(chosen) > 1)} of '{group}'"
                outputs[output] = measured_alone(run, output, judged.pick(chosen), who, notes)
        made[group] = {"examples": sum(str(one) == group for one in groups), "outputs": outputs}
    worst: dict[str, dict[str, str]] = {}
    for output in examined.outputs:
        for name, metric in metrics_of(run, output).items():
            values = {
                group: one["outputs"][output][name]["value"]
                for group, one in made.items()
                if name in one["outputs"].get(output, {})
            }
            if values and metric.higher_is_better is not None:
                pick = min if metric.higher_is_better else max
                worst.setdefault(output, {})[name] = pick(values, key=values.get)
    return {"column": column, "groups": made, "worst": worst, "notes": notes}


def is_known(metric: Metric, judged: Predictions) -> bool:
    """Whether there is all that the metric needs."""
    return not metric.lacks(judged)


def compare(first: Run, second: Run, examined: tuple[Examined, Examined], split: str) -> dict[str, Any]:
    """Each metric that both runs have, with the difference and whether it is real; what cannot be paired is left out with a note.

    Errors:
        DataError: the runs share no output, or nothing of it can be paired.
    """
    shared = [name for name in first.outputs if name in second.outputs]
    if not shared:
        told = (f"{run.folder} gives {', '.join(run.outputs)}" for run in (first, second))
        raise DataError(f"{', '.join(told)}: none in common; compare runs of one task")
    outputs, method, notes = {}, "", []
    for output in shared:
        both = metrics_of(first, output).keys() & metrics_of(second, output).keys()
        judged = [one.outputs[output] for one in examined]
        outputs[output] = {}
        for name, metric in metrics_of(first, output).items():
            known = [is_known(metric, one) for one in judged]
            if name not in both or not any(known):
                continue
            if not all(known):
                side = known.index(False)
                lacking, needed = (first, second)[side], " and ".join(metric.lacks(judged[side]))
                told = f"{name}: {lacking.folder} gives no {needed}, which it is made from; compare by the others"
                notes.append(f"{output}.{name} is left out: {told}")
                continue
            try:
                found = asdict(paired(metric, *judged))
            except DataError as why:
                notes.append(f"{output}.{name} is left out: {why}")
                continue
            method = found.pop("method")
            outputs[output][name] = found
    if not any(outputs.values()):
        raise DataError(
            notes[0] if notes else f"{', '.join(shared)}: the runs have no metric in common; compare runs of one task"
        )
    return {"split": split, "examples": examined[0].rows, "outputs": outputs, "method": method, "notes": notes}
