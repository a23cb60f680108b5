"""Predictions, portfolios, errors and verdicts as text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ostinato.cli.options import table
from ostinato.data.write import plain
from ostinato.evaluation.errors import ErrorReport, HeldOut
from ostinato.evaluation.verdict import Verdict
from ostinato.raw.numbers import short_decimals
from ostinato.run.predictions import Prediction
from ostinato.sweeps.effort import Portfolio


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
            lines += [table([_likely_cells(row, output) for row in likely[:top]])]
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


def _likely_cells(row: HeldOut, output: str) -> tuple[str, ...]:
    judged = row.outputs[output]
    if judged.likely_steps:
        return row.place, "  ".join(judged.likely_steps)
    return judged.expected, "->", judged.likely or "", row.place, _excerpt(row)


def _error_cells(row: HeldOut, output: str) -> tuple[str, ...]:
    judged = row.outputs[output]
    if judged.marked is not None:
        return f"{judged.loss:.3f}", row.place, judged.marked
    both = [text for text in (judged.expected, judged.predicted) if text is not None]
    texts = [short(short_decimals(text) if judged.are_numbers else text) for text in both]
    return f"{judged.loss:.3f}", *texts, row.place, _excerpt(row)


def _excerpt(row: HeldOut) -> str:
    values = map(plain, row.prediction.named_inputs.values())
    return short(
        "  ".join(" ".join(map(_cell, value)) if isinstance(value, list) else str(value) for value in values), 80
    )


def _cell(value: Any) -> str:
    """An item of a list; a number that is missing as it is written in a field."""
    return "NA" if isinstance(value, float) and math.isnan(value) else str(value)


def short(text: str, width: int = 30) -> str:
    """A text on one line of bounded width."""
    text = " ".join(text.split())
    return text if len(text) <= width else f"{text[: width - 3]}..."


def verdict_lines(verdict: Verdict | None, following: str | None) -> list[str]:
    """The verdict on a run, and the command to try next."""
    lines = [] if verdict is None else ["", *verdict.lines]
    return lines if following is None else [*lines, f"next: {following}"]
