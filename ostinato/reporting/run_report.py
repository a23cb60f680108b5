"""The report of a run as one HTML file that loads nothing: task, data, results, errors, a look inside, costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ostinato import alignments
from ostinato.data.examples import Examples
from ostinato.data.split import evenly
from ostinato.errors import ConfigError, DataError
from ostinato.evaluation import errors as error_analysis
from ostinato.evaluation.errors import ErrorReport, HeldOut
from ostinato.evaluation.predictions import predict_all
from ostinato.evaluation.report import Report
from ostinato.evaluation.report_text import SHOWN_LABELS, group_tables, tables_of
from ostinato.evaluation.verdict import verdict
from ostinato.probes import attention, run_pictures
from ostinato.probes.kinds.contract import Probe, Subject
from ostinato.probes.pictures import short_numbers
from ostinato.probes.probe import made, subject_of
from ostinato.recipe import columns as recipe_columns
from ostinato.registry import names, summaries
from ostinato.reporting.costs import cost_rows
from ostinato.reporting.data_card import data_card
from ostinato.reporting.page import Section, figure, heading, items, page, paragraph, preformatted, table
from ostinato.run import rows as row_sources
from ostinato.run.predict import answers
from ostinato.run.run import Row, Run
from ostinato.training.curve import Curve

MOST_ROWS = 1000
"""Held-out rows whose errors are shown."""
MOST_PROBED = 256
"""Held-out rows that are read by probes of many."""
WORST, CHOSEN, STEPS, MOST_STEPS = 12, 6, 64, 4096
"""Rows of the highest loss that are shown; examples that are looked into; the longest of these, and of windows."""
LETTERS = 300
"""Of a cell."""
BUCKETS = 5


def run_report(
    run: Run,
    report: Report,
    curve: Curve | None,
    *,
    data: Any = None,
    examples: Sequence[str] = (),
    roots: Sequence[Path] = (),
    say: Callable[[str], None] = lambda _: None,
) -> str:
    """The report as HTML.

    Args:
        run: that was trained.
        report: of its evaluation, with baselines.
        curve: of its training; None: there is none.
        data: rows that the report is of, in place of the run's own.
        examples: texts to look into beside those that are chosen.
        roots: folders of data sets.
        say: receives notes.

    Errors:
        ConfigError: a text is given and the model reads more than one, or none.
        DataError: the held-out rows are not there.
    """
    held_out = error_analysis.errors(run, split=report.split, data=data, roots=roots, most=MOST_ROWS)
    rows = row_sources.of_split(run, report.split, data, roots)
    inside = _chosen(run, rows, held_out.rows, examples)
    pictures = {**run_pictures.learning_curve(run, curve), **run_pictures.confusions(report)}
    if rows.windows is not None:
        pictures |= run_pictures.forecasts(run, predict_all([run], rows, say=say), rows)
    subject = _subject(run, inside)
    sections = [
        Section("Task", _task(run)),
        Section("Result", _result(run, report, curve)),
        Section("Data", data_card(run, roots)),
        Section("Training and predictions", [figure(drawing) for drawing in pictures.values()]),
        Section("By length and group", [*_by_length(run, rows, held_out), *_by_group(report)]),
        Section("Worst errors", _worst(run, held_out)),
        Section("Examples", _examples(run, inside)),
        Section("Inside", list(_inside(run, rows, inside, say))),
        Section("Cost", [table("costs", cost_rows(subject.graph, subject.batch, curve))]),
        Section("Recipe", [preformatted(run.recipe.yaml().splitlines())]),
    ]
    return page(f"Ostinato: {', '.join(run.outputs)} from {', '.join(run.inputs)}", sections)


def _task(run: Run) -> list[str]:
    lines = []
    for name, settings in run.outputs.items():
        read = ", ".join(run.graph.reads[name])
        lines.append(f"{name} ({settings.type}): {alignments.of(settings).meaning}, from {read}")
    return [items(lines), paragraph(run.described())]


def _result(run: Run, report: Report, curve: Curve | None) -> list[str]:
    parts = [items(verdict(run, report, curve).lines)]
    tables = tables_of(report)
    parts += [heading(name) + table(name, rows) for name, rows in tables.items()]
    parts += [
        paragraph(f"The confusion matrix of {output} is a picture: it has {len(matrix.labels)} labels.", note=True)
        for output, matrix in report.confusion.items()
        if len(matrix.labels) > SHOWN_LABELS
    ]
    method = next((measured.method for metrics in report.outputs.values() for measured in metrics.values()), "")
    ending = f"{report.examples:,} examples of {report.split}; intervals of 95 %: {method}"
    return [*parts, items(report.notes), paragraph(ending, note=True)]


def _by_group(report: Report) -> list[str]:
    parts = []
    for rows, _ in group_tables(report, every=False):
        name = f"{rows[0][2]} by {rows[0][0]}"
        parts.append(heading(name) + table(name, rows))
    return [*parts, items(report.by.notes if report.by else [])]


def _by_length(run: Run, rows: Examples, held_out: ErrorReport) -> list[str]:
    """Of each output a table of its errors by the length of what it reads first."""
    parts = []
    for output in run.outputs:
        place = f"inputs.{run.graph.reads[output][0]}"
        known = [row for row in held_out.rows if output in row.outputs]
        if not run.modalities[place].is_sequence or not known or rows.windows is not None:
            continue
        lengths = _lengths(run, known, place)
        bounds = np.unique(np.quantile(lengths, np.linspace(0, 1, BUCKETS + 1), method="nearest"))
        cells = [(f"steps of {place}", "rows", "wrong", "loss (nats per target)")]
        for low, high in zip(bounds[:-1], bounds[1:]) if len(bounds) > 1 else [(bounds[0], bounds[0])]:
            inside = (lengths > low if low > bounds[0] else lengths >= low) & (lengths <= high)
            judged = [row.outputs[output] for row, there in zip(known, inside) if there]
            wrong = [_wrong(one) for one in judged]
            share = f"{np.mean([w for w in wrong if w is not None]):.1%}" if any(w is not None for w in wrong) else ""
            first = low if low == bounds[0] else low + 1
            cells.append((f"{first} to {high}", f"{len(judged):,}", share, f"{np.mean([j.loss for j in judged]):.3g}"))
        parts.append(heading(f"{output} by length") + table(f"{output} by length", cells))
    return parts


def _first_readings(run: Run) -> list[str]:
    """The inputs, without those whose column another one reads before."""
    again = recipe_columns.second_readings(run.recipe.settings)
    return [place for name in run.inputs if (place := f"inputs.{name}") not in again]


def _lengths(run: Run, rows: Sequence[HeldOut], place: str) -> np.ndarray:
    """The steps of one input of each row."""
    raw = [row.prediction.inputs for row in rows]
    return np.array([len(steps) for steps in run.encoded(raw, place, lambda at: rows[at].place)])


def _wrong(judged: error_analysis.Judged) -> bool | None:
    """Whether the answer differs from the truth; None where nothing is predicted that could be compared."""
    return None if judged.predicted is None else judged.predicted != judged.expected


def _worst(run: Run, held_out: ErrorReport) -> list[str]:
    cells = [("output", "loss (nats per target)", "true", "predicted", "read", "where")]
    for row in held_out.rows[:WORST]:
        output, judged = max(row.outputs.items(), key=lambda pair: pair[1].loss)
        read = _read(run, {f"inputs.{name}": value for name, value in row.prediction.inputs.items()})
        true, predicted = (_shown(run, output, text) for text in (judged.expected, judged.predicted or ""))
        true = judged.marked or ("" if true == read else true)
        cells.append((output, f"{judged.loss:.3g}", *map(_cut, (true, predicted, read, row.place))))
    note = f"The highest losses of {len(held_out.rows):,} rows of {held_out.split}."
    likely = [
        f"{row.place}: {judged.expected} is likely {judged.likely} in truth"
        for row in held_out.rows
        for judged in row.outputs.values()
        if judged.likely is not None
    ]
    parts = [paragraph(note, note=True), table("rows of the highest loss", cells)]
    return [*parts, *([heading("Labels that are likely wrong in the data"), items(likely[:WORST])] if likely else [])]


def _read(run: Run, row: Row) -> str:
    """The inputs of a row as text, a column that is read twice once."""
    places = [place for place in _first_readings(run) if row.get(place) is not None]
    return "; ".join(short_numbers(run.modalities[place], run.modalities[place].write(row[place])) for place in places)


def _shown(run: Run, output: str, text: str) -> str:
    return short_numbers(run.modalities[f"outputs.{output}"], text)


def _cut(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}\u2026"


def _chosen(run: Run, rows: Examples, held_out: Sequence[HeldOut], texts: Sequence[str]) -> Examples:
    """Two rows of the highest loss, two of the median and two of the lowest, then these texts with the model's own
    answers."""
    places = [] if rows.windows is not None else _first_readings(run)
    longest = np.max([np.zeros(len(held_out)), *(_lengths(run, held_out, place) for place in places)], axis=0)
    short = [row for row, length in zip(held_out, longest) if length <= STEPS] or held_out
    middle = len(short) // 2
    picked = [*short[:2], *short[middle : middle + 2], *short[-2:]]
    chosen = rows.pick(np.array(sorted({row.number for row in picked})[:CHOSEN]))
    return _with_texts(run, chosen, texts) if texts else chosen


def _with_texts(run: Run, chosen: Examples, texts: Sequence[str]) -> Examples:
    columns = row_sources.columns_of(run.recipe.settings)
    read = {columns[f"inputs.{name}"] for name in run.inputs}
    if len(read) > 1 or chosen.windows is not None:
        raise ConfigError(
            f"--example: the model reads {', '.join(sorted(read))}, and a text is one column; leave the option out"
        )
    asked = list(row_sources.asked(run, texts, None).rows)
    given = [dict(row) for row in chosen.raw()]
    for row, by_output in zip(asked, answers([run], asked)):
        own = {f"outputs.{output}": listed[0].value for output, listed in by_output.items()}
        whole = {**own, **row}
        given.append({place: whole.get(place, next(iter(row.values()))) for place in columns} | own)
        for output, of in run.graph.continues.items():
            given[-1][f"outputs.{output}"] = given[-1][f"inputs.{of}"]
    named = [{columns[place]: row[place] for place in columns} for row in given]
    return row_sources.of_split(run, "data", named, ())


def _examples(run: Run, chosen: Examples) -> list[str]:
    """What the model answers to each, and what its answer attends to."""
    rows: list[Row] = list(chosen.raw())
    cells, maps = [("read", "true", "predicted")], []
    for row, by_output in zip(rows, answers([run], rows, attention=True)):
        read = _read(run, row)
        for output, (best, *_) in by_output.items():
            truth = row[f"outputs.{output}"]
            expected = "" if truth is None else run.modalities[f"outputs.{output}"].write(truth)
            expected, predicted = (_shown(run, output, text) for text in (expected, best.text))
            cells.append(tuple(map(_cut, (read, "" if expected == read else expected, predicted))))
            if best.attention is not None and best.source:
                focus = float(best.attention.max(1).values.mean())
                title = f"{_cut(best.text)}: {focus:.0%} of a symbol's attention goes to one step on average"
                maps.append(figure(partial(attention.draw, best, title=title)))
    return [table("answers to the examples", cells), *maps]


def _subject(run: Run, chosen: Examples) -> Subject:
    longest = STEPS if chosen.windows is None else MOST_STEPS
    return subject_of(run, chosen, rows=len(chosen), steps=longest)


def _inside(run: Run, rows: Examples, chosen: Examples, say: Callable[[str], None]) -> Iterator[str]:
    """What each probe sees of the model while it reads the chosen examples, or many where it needs these."""
    unseen: list[str] = []
    for name in names("probes"):
        try:
            kind = made(name, {})
            few = kind.rows <= Probe.rows
            finding = kind.look(_subject(run, chosen if few else rows.pick(evenly(len(rows), MOST_PROBED))))
        except (ConfigError, DataError) as why:
            unseen.append(str(why))
            continue
        say(f"probe {name}: {finding.title}")
        yield heading(f"{name.replace('_', ' ').capitalize()}: {finding.title}")
        yield paragraph(summaries("probes")[name], note=True)
        yield figure(finding.draw)
        yield f"<details><summary>Numbers</summary>{preformatted(finding.lines()[1:])}</details>"
    yield items(unseen)
