"""How good a run is: predictions beside references, every metric with its interval, two runs compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ostinato import fitting
from ostinato.data.read import Table
from ostinato.errors import DataError
from ostinato.metrics._contract import Judged, Metric
from ostinato.metrics._intervals import measure, paired
from ostinato.predicting import Row, Run, answers, scores
from ostinato.recipe import align_of
from ostinato.registry import Settings, component, make

CHUNK_ROWS = 4096
"""Rows taken up at once: enough to sort by length, few enough to stay small."""


@dataclass(frozen=True)
class Examined:
    """A run's answers on some rows.

    Args:
        rows: how many.
        outputs: what is known of each output.
    """

    rows: int
    outputs: dict[str, Judged]


def metrics_of(run: Run, output: str) -> dict[str, Metric]:
    """The metrics that judge an output, by name."""
    settings = run.outputs[output]
    names = component("modalities", settings.type).metrics[align_of(settings)]
    return {name: make("metrics", name) for name in names}


def rows_of(run: Run, table: Table, rows: np.ndarray | None = None) -> Iterator[dict[str, Any]]:
    """The raw values of a table's rows by column, in the table's order."""
    columns: dict[str, Any] = {}
    for place, settings in fitting.places(run.recipe.settings):
        column = fitting.column_of(place, settings)
        columns.setdefault(column, table.values(column, run.modalities[place], rows))
        extra = getattr(settings, "alternatives", None)
        if extra is not None and place.startswith("outputs."):
            listed = table.column(extra, rows)
            columns[extra] = iter([one or "" for one in listed])
    names = list(columns)
    for values in zip(*columns.values()):
        yield dict(zip(names, values))


def examine(
    runs: Sequence[Run], table: Table, *, rows: np.ndarray | None = None, search: Settings | None = None, seed: int = 0
) -> Examined:
    """Answers and scores for every row of a table; a row whose output is missing is left out.

    Errors:
        DataError: no row has all of its outputs.
    """
    run = runs[0]
    needed = [fitting.column_of(f"outputs.{name}", settings) for name, settings in run.outputs.items()]
    found: dict[str, dict[str, list]] = {
        output: {key: [] for key in ("predicted", "expected", "alternatives", "log_probability", "num_targets", "num_right")}
        for output in run.outputs
    }
    total = 0
    chunk: list[Row] = []

    def take_in() -> None:
        nonlocal total
        told = answers(runs, chunk, search=search, seed=seed)
        scored = scores(run, chunk)
        for output, settings in run.outputs.items():
            kept, column = found[output], fitting.column_of(f"outputs.{output}", settings)
            kept["predicted"] += [one[output][0].value for one in told]
            kept["expected"] += [row[column] for row in chunk]
            kept["alternatives"] += [_alternatives(run, output, settings, row) for row in chunk]
            for key in ("log_probability", "num_targets", "num_right"):
                kept[key] += getattr(scored[output], key).tolist()
        total += len(chunk)
        chunk.clear()

    for row in rows_of(run, table, rows):
        if any(row[column] is None for column in needed):
            continue
        chunk.append(row)
        if len(chunk) == CHUNK_ROWS:
            take_in()
    if chunk:
        take_in()
    if not total:
        raise DataError(f"{table.where}: no row holds {', '.join(needed)}; there is nothing to measure against")
    judged = {}
    for output, kept in found.items():
        if run.outputs[output].alternatives is None:
            kept["alternatives"] = None
        judged[output] = Judged(**kept)
    return Examined(total, judged)


def _alternatives(run: Run, output: str, settings: Settings, row: Row) -> list[Any]:
    if settings.alternatives is None:
        return []
    modality = run.modalities[f"outputs.{output}"]
    return [modality.parse(one) for one in row[settings.alternatives].split(" | ") if one]


def report(run: Run, examined: Examined, split: str) -> dict[str, Any]:
    """What `evaluate --json` prints."""
    outputs = {
        output: {name: asdict(measure(metric, judged)) for name, metric in metrics_of(run, output).items()}
        for output, judged in examined.outputs.items()
    }
    return {"split": split, "examples": examined.rows, "outputs": outputs}


def compare(first: Run, second: Run, examined: tuple[Examined, Examined], split: str) -> dict[str, Any]:
    """Each metric that both runs have, with the difference and whether it is real.

    Errors:
        DataError: the runs share no output.
    """
    shared = [name for name in first.outputs if name in second.outputs]
    if not shared:
        raise DataError(f"{first.folder} gives {', '.join(first.outputs)}, {second.folder} gives {', '.join(second.outputs)}: none in common")
    outputs, method = {}, ""
    for output in shared:
        both = metrics_of(first, output).keys() & metrics_of(second, output).keys()
        outputs[output] = {}
        for name, metric in metrics_of(first, output).items():
            if name in both:
                found = asdict(paired(metric, examined[0].outputs[output], examined[1].outputs[output]))
                method = found.pop("method")
                outputs[output][name] = found
    return {"split": split, "examples": examined[0].rows, "outputs": outputs, "method": method}
