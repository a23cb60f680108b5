"""A report of what was measured, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ostinato.run.predictions import Prediction

SHOWN_LABELS = 12
"""A table of more labels does not fit a terminal."""


def text_of(report: dict[str, Any]) -> str:
    """A report as a person reads it."""
    lines = []
    for output, metrics in report["outputs"].items():
        width = max(map(len, metrics), default=0)
        for name, one in metrics.items():
            lines.append(
                f"{output}  {name:{width}}  {one['value']:.4g}  [{one['low']:.4g}, {one['high']:.4g}]  {one['method']}"
            )
        for rival, own in report.get("rivals", {}).get(output, {}).items():
            for name, one in own.items():
                lines.append(
                    f"{output}  {name:{width}}  {one['value']:.4g}  [{one['low']:.4g}, {one['high']:.4g}]  plain rival: {rival}"
                )
    lines += report.get("notes", [])
    lines += _confusion_lines(report.get("confusion", {})) + _group_lines(report.get("by"))
    lines += _origin_lines(report.get("backtest"))
    lines.append(f"{report['examples']:,} examples of {report['split']}; intervals of 95 %")
    return "\n".join(lines + ([f"run: {report['run']}"] if "run" in report else []))


def _confusion_lines(tables: Mapping[str, Any]) -> list[str]:
    """A row for each true label, a column for what it was taken for; larger tables are for --json."""
    lines = []
    for output, one in tables.items():
        if len(one["labels"]) > SHOWN_LABELS:
            continue
        cells = [
            ["true \\ said", *one["labels"]],
            *([label, *map(str, row)] for label, row in zip(one["labels"], one["counts"])),
        ]
        widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
        lines += [f"{output}  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in cells]
    return lines


def _origin_lines(backtest: Mapping[str, Any] | None) -> list[str]:
    """A line for each origin and metric, then a line for each metric over all origins."""
    if backtest is None:
        return []
    lines = []
    for number, part in enumerate(backtest["origins"], 1):
        lines.append(f"origin {number}: forecasts from {part['from']} to {part['to']}, {part['examples']:,} windows")
        for output, metrics in part["outputs"].items():
            for name, one in metrics.items():
                beside = [
                    f"{rival} {own[name]['value']:.4g}"
                    for rival, own in part["rivals"].get(output, {}).items()
                    if name in own
                ]
                is_worst = backtest["summary"][output].get(name, {}).get("worst") == part["from"]
                told = "; ".join([f"{one['value']:.4g}  [{one['low']:.4g}, {one['high']:.4g}]", *beside])
                lines.append(f"origin {number}  {output}  {name}  {told}{'  (the worst)' if is_worst else ''}")
    spread = lambda one: f"{one['mean']:.4g}, deviation {one['deviation']:.4g}"  # noqa: E731
    for output, metrics in backtest["summary"].items():
        for name, one in metrics.items():
            beside = [f"{rival} {spread(own)}" for rival, own in one.get("rivals", {}).items()]
            worst = [f"worst from {one['worst']}"] if "worst" in one else []
            lines.append(
                f"{len(backtest['origins'])} origins  {output}  {name}  mean {'; '.join([spread(one), *worst, *beside])}"
            )
    return [
        *lines,
        *backtest["notes"],
        "each origin: the model as it was trained, not trained anew with what lies before",
    ]


def _group_lines(by: Mapping[str, Any] | None) -> list[str]:
    lines = []
    for group, found in (by or {}).get("groups", {}).items():
        for output, metrics in found["outputs"].items():
            for name, one in metrics.items():
                is_worst = by["worst"].get(output, {}).get(name) == group
                told = f"{output}  {name}  {one['value']:.4g}  [{one['low']:.4g}, {one['high']:.4g}]  {found['examples']:,} rows"
                lines.append(f"{by['column']}={group}  {told}{'  (the worst)' if is_worst else ''}")
    return [*lines, *by["notes"]] if by else lines


def lines_of(prediction: Prediction, *, ranked: bool) -> Iterator[str]:
    """A line with the best answer of each output, separated by tabs; where `ranked`, a line of rank, score and text for each answer."""
    if not ranked:
        yield "\t".join(answer.text for answer in prediction.best.values())
        return
    for output, answers in prediction.outputs.items():
        lead = f"{output}\t" if len(prediction.outputs) > 1 else ""
        yield from (f"{lead}{rank}\t{answer.score:.6f}\t{answer.text}" for rank, answer in enumerate(answers, 1))
