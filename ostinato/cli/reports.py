"""Reports and predictions as text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from ostinato.cli.options import table
from ostinato.evaluation.by_label import LabelScores
from ostinato.evaluation.confusion import Confusion
from ostinato.evaluation.errors import ErrorReport, HeldOut
from ostinato.evaluation.report import Backtest, Report, Spread
from ostinato.evaluation.verdict import Verdict
from ostinato.metrics.contract import Measured
from ostinato.run.predictions import Prediction
from ostinato.sweeps.effort import Portfolio

SHOWN_ROWS = 20
"""Of labels and groups the worst so many are shown."""
SHOWN_LABELS = 12
"""A table of more labels does not fit a terminal."""


def text_of(report: Report, every: bool = True) -> str:
    """The report: the main metric of each output and what baselines reach, a table of its labels, the confusion matrix.

    Args:
        report: of one split.
        every: whether all metrics are shown.
    """
    lines, hidden, methods = [], 0, dict[str, list[str]]()
    for output, metrics in report.outputs.items():
        main = report.main.get(output, next(iter(metrics), ""))
        keys = [main, *(key for key in metrics if key != main and every)] if metrics else []
        hidden += len(metrics) - len(keys)
        width = max(map(len, keys), default=0)
        for key in keys:
            lines.append(f"{output}  {key:{width}}  {_value(metrics[key])}")
            methods.setdefault(metrics[key].method, []).append(key)
        for name, own in report.baselines.get(output, {}).items():
            values = {key: measured for key, measured in own.items() if key in keys}
            lines += [f"{output}  {key:{width}}  {_value(value)}  baseline: {name}" for key, value in values.items()]
    for output, labels in report.labels.items():
        lines += ["", *_label_lines(output, labels)]
    lines += _confusion_lines(report.confusion) + report.notes
    lines += _group_lines(report, every) + _origin_lines(report.backtest)
    named = [method if len(methods) == 1 else f"{method} ({', '.join(keys)})" for method, keys in methods.items()]
    lines.append(
        f"{report.examples:,} examples of {report.split}; intervals of 95 %{': ' * bool(named)}{'; '.join(named)}"
    )
    if hidden:
        command = "--all" if report.run is None else shlex.join(["ostinato", "evaluate", report.run, "--all"])
        lines.append(f"{hidden} more metric{'s' * (hidden > 1)}: {command}")
    return "\n".join(lines + ([f"run: {report.run}"] if report.run is not None else []))


def _label_lines(output: str, labels: Mapping[str, LabelScores]) -> list[str]:
    """A row for each label, the lowest F1 first."""
    cells = [
        (label, f"{scores.precision:.1f}", f"{scores.recall:.1f}", f"{scores.f1:.1f}", f"{scores.support:,}")
        for label, scores in list(labels.items())[:SHOWN_ROWS]
    ]
    return [*_aligned([(output, "precision", "recall", "F1", "support"), *cells]), *_rest(len(labels), "labels")]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A table, its first column aligned to the left, the others to the right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
        for row in rows
    ]


def _rest(count: int, noun: str) -> list[str]:
    """How many more there are than are shown."""
    return [f"and {count - SHOWN_ROWS:,} more {noun}, which are better: --json"] if count > SHOWN_ROWS else []


def _value(measured: Measured) -> str:
    return f"{measured.value:.4g}  [{measured.low:.4g}, {measured.high:.4g}]"


def _confusion_lines(matrices: Mapping[str, Confusion]) -> list[str]:
    """A row for each true label, a column for each predicted one; larger matrices are for --json."""
    lines = []
    for output, matrix in matrices.items():
        if len(matrix.labels) <= SHOWN_LABELS:
            rows = [[label, *map(str, row)] for label, row in zip(matrix.labels, matrix.counts)]
            lines += ["", *_aligned([[f"{output}: true \\ predicted", *matrix.labels], *rows])]
    return lines


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
    by = report.by
    if by is None:
        return []
    lines = []
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
            lines += ["", *_aligned([(by.column, "rows", f"{output} {key}"), *cells]), *_rest(len(known), "groups")]
    return [*lines, *by.notes]


def lines_of(prediction: Prediction, *, ranked: bool, escape: bool = True) -> Iterator[str]:
    """A line of the best answer of each output, separated by tabs; if `ranked`, rank, score and text of each answer.

    Without `escape` a text that is the only answer keeps its line breaks.
    """
    if not ranked:
        best = list(prediction.best.values())
        timed = [f"{a:g}\t{b:g}\t{word}" for answer in best for word, a, b in answer.symbol_times or ()]
        as_it_is = not escape and len(best) == 1 and isinstance(best[0].value, str)
        yield best[0].value if as_it_is else "\t".join(answer.text for answer in best)
        yield from timed
        return
    for output, answers in prediction.outputs.items():
        lead = f"{output}\t" if len(prediction.outputs) > 1 else ""
        yield from (f"{lead}{rank}\t{answer.score:.6f}\t{answer.text}" for rank, answer in enumerate(answers, 1))


def tried_lines(portfolio: Portfolio | None) -> list[str]:
    """The candidates of a portfolio, and what was gained by them."""
    if portfolio is None:
        return []
    heads, *rows = portfolio.rows()
    return [table(rows, heads), portfolio.summary(), ""]


def error_lines(report: ErrorReport, top: int) -> list[str]:
    """The rows of the highest loss, those whose label is likely wrong, and labels that are written almost alike."""
    lines = []
    for output in {output: None for row in report.rows for output in row.outputs}:
        rows = sorted((row for row in report.rows if output in row.outputs), key=lambda row: -row.outputs[output].loss)
        wrong = [row.outputs[output].wrong for row in rows if row.outputs[output].wrong is not None]
        counted = f"{sum(wrong):,} of {len(wrong):,} rows of {report.split} are predicted wrongly"
        lines += [f"{output}: {counted if wrong else f'{len(rows):,} rows of {report.split}'}; loss in nats per target"]
        heads = ("loss", "where", "text {true>predicted}")
        if any(row.outputs[output].marked is None for row in rows):
            answered = any(row.outputs[output].predicted is not None for row in rows)
            heads = ("loss", "true", *(["predicted"] if answered else []), "where", "read")
        lines += [table([_error_cells(row, output) for row in rows[:top]], heads)]
        likely = report.likely(output)
        if likely:
            lines += ["", f"{output}: labels that are likely wrong in the data, {len(likely):,} by confident learning:"]
            cells = [
                (row.outputs[output].expected, "->", row.outputs[output].likely or "", row.place, _excerpt(row))
                for row in likely[:top]
            ]
            lines += [table(cells)]
        groups = report.similar.get(output, [])
        if groups:
            lines += [
                "",
                f"{output}: labels that are written almost alike (rows of training); mend the data if they are one:",
            ]
            lines += ["  ".join(f"{label!r} ({count:,})" for label, count in group.items()) for group in groups]
        lines.append("")
    more = max(0, len(report.rows) - top)
    lines += report.notes
    return [*lines, *([f"{more:,} more rows: --top N, or --output FILE for all of them"] if more else [])]


def _error_cells(row: HeldOut, output: str) -> tuple[str, ...]:
    judged = row.outputs[output]
    if judged.marked is not None:
        return f"{judged.loss:.3f}", row.place, judged.marked
    texts = [_short(text) for text in (judged.expected, judged.predicted) if text is not None]
    return f"{judged.loss:.3f}", *texts, row.place, _excerpt(row)


def _excerpt(row: HeldOut) -> str:
    return _short("  ".join(str(value) for value in row.prediction.inputs.values()), 80)


def _short(text: str, width: int = 30) -> str:
    """A text on one line of bounded width."""
    text = " ".join(text.split())
    return text if len(text) <= width else f"{text[: width - 3]}..."


def verdict_lines(verdict: Verdict | None, following: str | None) -> list[str]:
    """The verdict on a run, and the command to try next."""
    lines = [] if verdict is None else ["", *verdict.lines]
    return lines if following is None else [*lines, f"next: {following}"]
