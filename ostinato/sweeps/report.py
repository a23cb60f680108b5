"""The result of a sweep: costs and quality of each combination, paired differences, quality by length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ostinato.evaluation.intervals import Compared
from ostinato.evaluation.report import Metrics, to_json


@dataclass(frozen=True)
class SweepAxis:
    """A setting that is varied: its path in the recipe, and its values as they were written."""

    path: str
    values: list[str]


@dataclass(frozen=True)
class SweepRow:
    """One combination of values.

    Args:
        values: by the axis.
        runs: the names of its runs, one per seed.
        parameters: of the model, the mean over seeds as all costs but memory.
        training_rows: rows that it was trained on.
        epochs: of training.
        seconds_per_epoch: validation counted.
        peak_memory: the most memory of a run's process in bytes; None where it is unknown.
        outputs: the metrics of each output over all seeds.
    """

    values: dict[str, str]
    runs: list[str]
    parameters: int
    training_rows: int
    epochs: float
    seconds_per_epoch: float
    peak_memory: int | None
    outputs: dict[str, Metrics]


@dataclass(frozen=True)
class Difference:
    """A value of an axis compared with the axis's first value, the other axes as they are.

    Args:
        axis: which.
        first: its first value.
        second: the value compared with it.
        others: the values of the other axes.
        output: whose metric.
        metric: its key.
        compared: the values of both and their difference; p is corrected for the number of differences of this metric.
    """

    axis: str
    first: str
    second: str
    others: dict[str, str]
    output: str
    metric: str
    compared: Compared


@dataclass(frozen=True)
class Bin:
    """The examples whose input has from `first` to `last` steps, and a metric of them with its interval."""

    first: int = field(metadata={"key": "from"})
    last: int = field(metadata={"key": "to"})
    examples: int
    value: float
    low: float
    high: float
    method: str


@dataclass(frozen=True)
class Line:
    """A combination's metric by the length of the input."""

    values: dict[str, str]
    metric: str
    bins: list[Bin]


@dataclass(frozen=True)
class SweepReport:
    """What a sweep found.

    Args:
        recipe: the recipe's file.
        axes: by their labels.
        seeds: of each combination.
        split: what the runs were measured on; None where all failed.
        rows: the combinations.
        differences: along each axis.
        by_length: for each output a line per combination.
        failed: the message of each run that failed, by name.
        notes: what limits the result.
        commands: of each run, by name.
        pictures: the files drawn.
    """

    recipe: str
    axes: dict[str, SweepAxis]
    seeds: list[int]
    split: str | None
    rows: list[SweepRow]
    differences: list[Difference]
    by_length: dict[str, list[Line]]
    failed: dict[str, str]
    notes: list[str]
    commands: dict[str, str]
    pictures: list[str]

    def noted(self, notes: Sequence[str]) -> SweepReport:
        """The report with further notes."""
        return replace(self, notes=[*self.notes, *notes])

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values: sweep.json."""
        plain = to_json(self)
        for difference in plain["differences"]:
            compared = difference.pop("compared")
            difference |= {"values": [compared.pop("first"), compared.pop("second")], **compared}
        return plain

    def tables(self, *, briefly: bool = False) -> list[tuple[str, list[str], list[list[str]]]]:
        """The report as tables of text: title, heads, rows; `briefly` with differences in first metrics alone."""
        quality = list(
            dict.fromkeys(
                (output, key) for row in self.rows for output, metrics in row.outputs.items() for key in metrics
            )
        )
        several = len({output for output, _ in quality}) > 1
        names = [f"{output}.{key}" if several else key for output, key in quality]
        heads = [*self.axes, "seeds", "rows", "parameters", "s/epoch", "peak memory", *names]
        tables = [("", heads, [self._cells(row, quality) for row in self.rows])]
        if self.differences:
            first = {difference.output: difference.metric for difference in reversed(self.differences)}
            rows = [
                _difference_cells(difference, several)
                for difference in self.differences
                if not briefly or first[difference.output] == difference.metric
            ]
            heads = ["difference", "metric", "by", "95 % interval", "p (Holm)", "difference is"]
            tables.append(("differences", heads, rows))
        return tables

    def _cells(self, row: SweepRow, quality: Sequence[tuple[str, str]]) -> list[str]:
        measured = [row.outputs.get(output, {}).get(key) for output, key in quality]
        memory = "?" if row.peak_memory is None else f"{row.peak_memory / 2**20:,.0f} MiB"
        return [
            *(row.values[label] for label in self.axes),
            str(len(row.runs)),
            f"{row.training_rows:,}",
            f"{row.parameters:,}",
            f"{row.seconds_per_epoch:.3g}",
            memory,
            *("" if value is None else f"{value.value:.4g} [{value.low:.4g}, {value.high:.4g}]" for value in measured),
        ]

    def footnotes(self) -> list[str]:
        """What a reader of the tables has to know."""
        seeds = ", ".join(map(str, self.seeds))
        notes = [
            f"measured on {self.split}, seed{'s' * (len(self.seeds) > 1)} {seeds}; intervals of 95 %",
            "s/epoch with validation; memory is the most that the process held, libraries counted",
        ]
        if self.differences:
            first = self.differences[0]
            number = sum(
                (difference.output, difference.metric) == (first.output, first.metric)
                for difference in self.differences
            )
            method = first.compared.method.partition(";")[0]
            notes.append(f"{method}; p corrected (Holm) for the {number} differences of each metric")
        return notes + self.notes

    def markdown(self) -> str:
        """The report as sweep.md."""
        lines = [f"# Sweep of {self.recipe}", ""]
        for title, heads, rows in self.tables():
            lines += [f"## {title.capitalize()}", ""] if title else []
            lines += [f"| {' | '.join(map(_cell, row))} |" for row in (heads, ["---"] * len(heads), *rows)]
            lines.append("")
        lines += [f"- {note}" for note in self.footnotes()]
        lines += [f"- {name} failed: {' '.join(why.split())}" for name, why in self.failed.items()]
        lines += ["", *(f"![{Path(picture).stem.replace('_', ' ')}]({picture})" for picture in self.pictures)]
        lines += ["", "## Commands", "", "```", *self.commands.values(), "```", ""]
        return "\n".join(lines)


def _difference_cells(difference: Difference, several: bool) -> list[str]:
    where = ", ".join(f"{label} {value}" for label, value in difference.others.items())
    what = f"{difference.axis}: {difference.second} - {difference.first}" + (f" ({where})" if where else "")
    metric = f"{difference.output}.{difference.metric}" if several else difference.metric
    compared = difference.compared
    return [
        what,
        metric,
        f"{compared.difference:+.4g}",
        f"[{compared.low:+.4g}, {compared.high:+.4g}]",
        f"{compared.p_value:.3f}",
        "real" if compared.real else "may be chance",
    ]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
