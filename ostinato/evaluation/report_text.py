"""Reports as text and as HTML."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import chain, repeat
from typing import TYPE_CHECKING

from ostinato.evaluation.by_label import LabelScores
from ostinato.evaluation.confusion import Confusion
from ostinato.metrics.contract import Measured

if TYPE_CHECKING:
    from ostinato.evaluation.report import Backtest, Report, Spread

SHOWN_ROWS = 20
"""Of labels and groups the worst so many are shown."""
SHOWN_LABELS = 12
"""A table of more labels does not fit a terminal."""


def text_of(report: Report, every: bool = True, rest: str = "--all") -> str:
    """The report: the main metric of each output and what baselines reach, a table of its labels, the confusion matrix.

    Args:
        report: of one split.
        every: whether all metrics are shown.
        rest: where the others are, of a report that names no run.
    """
    lines, hidden, methods = [], 0, dict[str, dict[str, list[str]]]()
    for output, metrics in report.outputs.items():
        main = report.main.get(output, next(iter(metrics), ""))
        keys = [main, *(key for key in metrics if key != main and every)] if metrics else []
        hidden += len(metrics) - len(keys)
        width = max(map(len, keys), default=0)
        for key in keys:
            lines.append(f"{output}  {key:{width}}  {_value(metrics[key])}")
            methods.setdefault(metrics[key].method, {}).setdefault(output, []).append(key)
        for name, own in report.baselines.get(output, {}).items():
            values = {key: measured for key, measured in own.items() if key in keys}
            lines += [f"{output}  {key:{width}}  {_value(value)}  baseline: {name}" for key, value in values.items()]
    for output, labels in report.labels.items():
        lines += ["", *_label_lines(output, labels)]
    lines += _confusion_lines(report.confusion) + report.notes
    lines += _group_lines(report, every) + _origin_lines(report.backtest)
    lines += [] if report.swaps is None else ["", *report.swaps.lines()]
    several = len(report.outputs) > 1
    named = [method if len(methods) == 1 else f"{method} ({_of(keys, several)})" for method, keys in methods.items()]
    lines.append(f"{report.counted()}; intervals of 95 %{': ' * bool(named)}{'; '.join(named)}")
    if hidden:
        command = rest if report.run is None else shlex.join(["ostinato", "evaluate", report.run, "--all"])
        lines.append(f"{hidden} more metric{'s' * (hidden > 1)}: {command}")
    return "\n".join(lines + ([f"run: {report.run}"] if report.run is not None else []))


def _of(keys: Mapping[str, list[str]], several: bool) -> str:
    """The metrics of each output; outputs with the same ones together."""
    together = dict[tuple[str, ...], list[str]]()
    for output, listed in keys.items():
        together.setdefault(tuple(listed), []).append(output)
    return "; ".join(
        f"{', '.join(outputs)}: {', '.join(listed)}" if several else ", ".join(listed)
        for listed, outputs in together.items()
    )


def _label_lines(output: str, labels: Mapping[str, LabelScores]) -> list[str]:
    """A row for each label, the lowest F1 first."""
    return [*_aligned(_label_rows(output, labels)), *_rest(len(labels), "labels")]


def _label_rows(output: str, labels: Mapping[str, LabelScores]) -> list[Sequence[str]]:
    """The first has the names of the columns."""
    cells = [
        (label, f"{scores.precision:.1f}", f"{scores.recall:.1f}", f"{scores.f1:.1f}", f"{scores.support:,}")
        for label, scores in list(labels.items())[:SHOWN_ROWS]
    ]
    return [(output, "precision", "recall", "F1", "support"), *cells]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A table, its first column aligned to the left, the others to the right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
        for row in rows
    ]


def _rest(count: int, noun: str) -> list[str]:
    """How many more there are than are shown."""
    more = count - SHOWN_ROWS
    return [f"and {more:,} more {noun if more > 1 else noun.removesuffix('s')}, no worse: --json"] if more > 0 else []


def _value(measured: Measured) -> str:
    return f"{measured.value:.4g}  [{measured.low:.4g}, {measured.high:.4g}]"


def _confusion_lines(matrices: Mapping[str, Confusion]) -> list[str]:
    """A row for each true label, a column for each predicted one; larger matrices are for --json."""
    lines = []
    for output, matrix in matrices.items():
        if len(matrix.labels) <= SHOWN_LABELS:
            lines += ["", *_aligned(_confusion_rows(output, matrix))]
    return lines


def _confusion_rows(output: str, matrix: Confusion) -> list[Sequence[str]]:
    rows = [[label, *map(str, row)] for label, row in zip(matrix.labels, matrix.counts)]
    return [[f"{output}: true \\ predicted", *matrix.labels], *rows]


def html_of(report: Report) -> str:
    """Every metric beside the baselines', then the tables that the text has too, for a notebook."""
    notes = [report.counted(), *report.notes]
    return "".join([*map(html_table, tables_of(report).values()), *(f"<p>{escape(note)}</p>" for note in notes)])


def tables_of(report: Report) -> dict[str, list[Sequence[str]]]:
    """By their names every metric beside the baselines', the labels of each output and its confusion matrix; the
    first row of each names its columns."""
    rows: list[Sequence[str]] = [("output", "metric", "value", "95 % interval", "baseline")]
    for output, metrics in report.outputs.items():
        systems = {"": metrics, **report.baselines.get(output, {})}
        rows += [
            (output, key, f"{own[key].value:.4g}", f"{own[key].low:.4g} to {own[key].high:.4g}", name)
            for key in metrics
            for name, own in systems.items()
            if key in own
        ]
    tables = {"metrics": rows}
    tables |= {f"labels of {output}": _label_rows(output, labels) for output, labels in report.labels.items()}
    return tables | {
        f"confusion matrix of {output}": _confusion_rows(output, matrix)
        for output, matrix in report.confusion.items()
        if len(matrix.labels) <= SHOWN_LABELS
    }


def html_table(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row has the names of the columns."""
    head, *body = [
        "".join(f"<{tag}>{escape(cell)}</{tag.split()[0]}>" for cell in row)
        for tag, row in zip(chain(['th scope="col"'], repeat("td")), rows)
    ]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in body)}</tbody></table>"


def _origin_lines(backtest: Backtest | None) -> list[str]:
    """A line for each origin and metric, then a line for each metric over all origins."""
    if backtest is None:
        return []
    lines = []
    for number, part in enumerate(backtest.origins, 1):
        lines.append(f"origin {number}: forecasts from {part.first} to {part.last}, {part.examples:,} windows")
        for output, metrics in part.outputs.items():
            for key, measured in metrics.items():
                others = [
                    f"{name} {own[key].value:.4g}" for name, own in part.baselines.get(output, {}).items() if key in own
                ]
                spread = backtest.summary[output].get(key)
                worst = "  (the worst)" if spread is not None and spread.worst == part.first else ""
                lines.append(f"origin {number}  {output}  {key}  {'; '.join([_value(measured), *others])}{worst}")
    for output, spreads in backtest.summary.items():
        for key, spread in spreads.items():
            worst_of = [f"worst from {spread.worst}"] if spread.worst is not None else []
            others = [f"{name} {_spread(own)}" for name, own in spread.baselines.items()]
            over = f"{len(backtest.origins)} origins"
            lines.append(f"{over}  {output}  {key}  mean {'; '.join([_spread(spread), *worst_of, *others])}")
    return [
        *lines,
        *backtest.notes,
        "each origin: the model as trained, without retraining on the rows before the origin",
    ]


def _spread(spread: Spread) -> str:
    return f"{spread.mean:.4g}, deviation {spread.deviation:.4g}"


def _group_lines(report: Report, every: bool) -> list[str]:
    """For each output and metric a table of the groups, the worst first."""
    lines = []
    for rows, groups in group_tables(report, every):
        lines += ["", *_aligned(rows), *_rest(groups, "groups")]
    return [*lines, *(report.by.notes if report.by else ())]


def group_tables(report: Report, every: bool) -> Iterator[tuple[list[Sequence[str]], int]]:
    """For each output and metric a table of the groups, the worst first, and how many groups there are."""
    by = report.by
    if by is None:
        return
    for output, metrics in report.outputs.items():
        for key in metrics if every else [report.main.get(output, next(iter(metrics), ""))]:
            known = {
                name: group.outputs[output][key]
                for name, group in by.groups.items()
                if key in group.outputs.get(output, {})
            }
            worst = by.worst.get(output, {}).get(key)
            falling = worst is not None and known[worst].value == max(measured.value for measured in known.values())
            order = sorted(known, key=lambda name: -known[name].value if falling else known[name].value)
            cells = [(name, f"{by.groups[name].examples:,}", _value(known[name])) for name in order[:SHOWN_ROWS]]
            yield [(by.column, "rows", f"{output} {key}"), *cells], len(known)
