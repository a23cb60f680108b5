"""Results of evaluation: frozen classes with attributes, and JSON for files and `--json`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ostinato.evaluation.by_label import LabelScores
from ostinato.evaluation.confusion import Confusion
from ostinato.evaluation.intervals import Compared
from ostinato.evaluation.report_text import html_of, text_of
from ostinato.evaluation.swaps import Swaps
from ostinato.metrics.contract import Measured

Metrics = dict[str, Measured]
"""By the metric's key, such as `bleu(lowercase)`."""
Baselines = dict[str, dict[str, Metrics]]
"""By output, by the baseline's name."""


@dataclass(frozen=True)
class Group:
    """The examples of one group.

    Args:
        examples: how many.
        outputs: the metrics of each output.
    """

    examples: int
    outputs: dict[str, Metrics]


@dataclass(frozen=True)
class Groups:
    """Every metric for the examples of each group alone.

    Args:
        column: the column that the examples are grouped by.
        groups: by the value of the column.
        worst: output -> metric -> the group with the worst value.
        notes: what could not be measured for a group alone.
    """

    column: str
    groups: dict[str, Group]
    worst: dict[str, dict[str, str]]
    notes: list[str]


@dataclass(frozen=True)
class Origin:
    """The forecasts that begin in one part of time.

    Args:
        first: the step from which the first of them is predicted.
        last: the step from which the last is.
        examples: how many windows.
        outputs: the metrics of each output.
        baselines: those of the baselines on the same windows.
    """

    first: str = field(metadata={"key": "from"})
    last: str = field(metadata={"key": "to"})
    examples: int
    outputs: dict[str, Metrics]
    baselines: Baselines


@dataclass(frozen=True)
class Spread:
    """A value over origins.

    Args:
        mean: over the origins.
        deviation: the standard deviation over them.
        worst: the first step of the worst origin; None where neither end of the metric is best.
        baselines: the spread of the baselines.
    """

    mean: float
    deviation: float
    worst: str | None = None
    baselines: dict[str, Spread] = field(default_factory=dict)


@dataclass(frozen=True)
class Backtest:
    """Forecasts from several origins, each measured by itself.

    Args:
        origins: in the order of time.
        summary: output -> metric -> its spread over the origins.
        refitted: whether the model was trained anew for each origin.
        notes: what could not be measured for an origin alone.
    """

    origins: list[Origin]
    summary: dict[str, dict[str, Spread]]
    refitted: bool
    notes: list[str]


@dataclass(frozen=True)
class Report:
    """What `evaluate` measured.

    Args:
        split: on which rows.
        examples: how many.
        outputs: the metrics of each output.
        notes: what could not be measured, and what limits the result.
        main: the metric that sums up each output.
        labels: of each output of labels the precision, recall and F1 of each, the lowest F1 first.
        confusion: the confusion matrix of each output that has one label per example.
        baselines: what simple methods reach on the same examples.
        compared: output -> baseline -> the model's difference from it in the output's main metric.
        by: the same metrics by group.
        backtest: the same metrics by origin.
        swaps: how often answers flip when words are swapped.
        run: the folder of the run that was just trained.
    """

    split: str
    examples: int
    outputs: dict[str, Metrics]
    notes: list[str] = field(default_factory=list)
    confusion: dict[str, Confusion] = field(default_factory=dict)
    main: dict[str, str] = field(default_factory=dict)
    labels: dict[str, dict[str, LabelScores]] = field(default_factory=dict)
    baselines: Baselines = field(default_factory=dict)
    compared: dict[str, dict[str, Compared]] = field(default_factory=dict)
    by: Groups | None = None
    backtest: Backtest | None = None
    swaps: Swaps | None = None
    run: str | None = None

    def __repr__(self) -> str:
        return text_of(self, every=False, rest="report.outputs")

    def _repr_html_(self) -> str:
        """For notebooks."""
        return html_of(self)

    def counted(self) -> str:
        """How many examples of which split were measured, in words."""
        return f"{self.examples:,} example{'s' * (self.examples != 1)} of {self.split}"

    def noted(self, notes: Sequence[str]) -> Report:
        """The report with further notes."""
        return replace(self, notes=[*self.notes, *notes])

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return to_json(self)

    @staticmethod
    def from_json(plain: Mapping[str, Any]) -> Report:
        """The report that a run keeps: metrics, notes, confusion matrices, baselines and the differences from them."""
        return Report(
            plain["split"],
            plain["examples"],
            {output: _metrics(metrics) for output, metrics in plain["outputs"].items()},
            list(plain.get("notes", ())),
            {output: Confusion(**matrix) for output, matrix in plain.get("confusion", {}).items()},
            dict(plain.get("main", {})),
            {
                output: {label: LabelScores(**scores) for label, scores in by_label.items()}
                for output, by_label in plain.get("labels", {}).items()
            },
            {
                output: {name: _metrics(metrics) for name, metrics in by_name.items()}
                for output, by_name in plain.get("baselines", {}).items()
            },
            {
                output: {name: Compared(**compared) for name, compared in by_name.items()}
                for output, by_name in plain.get("compared", {}).items()
            },
        )


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same examples.

    Args:
        split: on which rows.
        examples: how many.
        outputs: output -> metric -> the difference.
        method: how the intervals of all differences were computed.
        notes: what could not be compared, and what limits the result.
    """

    split: str
    examples: int
    outputs: dict[str, dict[str, Compared]]
    method: str
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """The comparison as JSON values; the method of all differences once."""
        plain = to_json(self)
        for metrics in plain["outputs"].values():
            for compared in metrics.values():
                compared.pop("method")
        return plain


def to_json(result: Any) -> Any:
    """A result as JSON values; of a report what is empty is left out."""
    if dataclasses.is_dataclass(result):
        plain = {}
        for part in fields(result):
            value = getattr(result, part.name)
            if part.default is dataclasses.MISSING and part.default_factory is dataclasses.MISSING or value:
                plain[part.metadata.get("key", part.name)] = to_json(value)
        return plain
    if isinstance(result, Mapping):
        return {key: to_json(value) for key, value in result.items()}
    return [to_json(value) for value in result] if isinstance(result, list) else result


def _metrics(plain: Mapping[str, Mapping[str, Any]]) -> Metrics:
    return {key: Measured(**measured) for key, measured in plain.items()}
