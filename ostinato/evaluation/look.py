"""A look at data before training: the columns, and what would make a model or its score worse than it seems."""

from __future__ import annotations

import os
import shlex
import statistics
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.data.contract import PLAIN, Dialect
from ostinato.data.series import disorder
from ostinato.errors import ConfigError, DataError, nearest
from ostinato.evaluation.errors import similar_labels
from ostinato.notes import Alike
from ostinato.preprocessing.leaks import COPIED, share_given, share_spelt, spelling_note
from ostinato.raw.numbers import MISSING_WORDS
from ostinato.raw.times import times_of
from ostinato.recipe.column_types import held, is_dates, is_id, is_series
from ostinato.recipe.first_rows import LINES, LOOKED_AT, Look, look_at
from ostinato.recipe.schema import opened
from ostinato.registry import component, make

MAJORITY = 0.8
"""A label of a larger share makes accuracy say little."""
ABSENT = {word for word in MISSING_WORDS if word} | {"-", "--"}
"""What stands for a missing label, in small letters."""
MOST_LABELS = 200
SHOWN = 3
SCRIPT_SHARE, SCRIPT_LETTERS = 0.01, 100_000
"""Scripts of a smaller share of these first letters are not named."""


@dataclass(frozen=True)
class ColumnLook:
    """A column of the first rows.

    Args:
        type: as `train` would read it.
        missing: rows without a value.
        different: how many values there are.
        lengths: the shortest, the median and the longest text or list, in characters or steps; empty of others.
        scripts: the scripts of its letters, the commonest first.
    """

    type: str
    missing: int
    different: int
    lengths: list[int] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [self.type, f"{self.different:,} different", *([f"{self.missing:,} missing"] if self.missing else [])]
        if self.lengths:
            shortest, median, longest = self.lengths
            parts.append(f"lengths {shortest:,} to {longest:,}, median {median:,}")
        return "; ".join([*parts, *([", ".join(self.scripts)] if self.scripts else [])])


@dataclass(frozen=True)
class DataLook:
    """What a look at the first rows shows.

    Args:
        source: the file.
        rows: how many rows were looked at.
        columns: by name.
        notes: what to mend, or to know, before training.
    """

    source: str
    rows: int
    columns: dict[str, ColumnLook]
    notes: list[str]

    def lines(self) -> list[str]:
        """The look as text."""
        columns = [f"{name}: {column}" for name, column in self.columns.items()]
        rows = f"{'the first ' * (self.rows == LOOKED_AT)}{self.rows:,} row{'s' * (self.rows != 1)}"
        return [f"{self.source}: {rows}", *columns, *(f"note: {note}" for note in self.notes)]


def look(data: str, outputs: Sequence[str] = (), *, roots: Sequence[Path] = (), dialect: Dialect = PLAIN) -> DataLook:
    """The columns of a file, and notes on duplicated rows, labels and columns.

    Args:
        data: a table, or text with an example a line.
        outputs: the columns of labels, `COLUMN` or `COLUMN:TYPE`; by default the last column.
        roots: folders where the file is looked for after the working folder.
        dialect: how it is written, where that is known.

    Errors:
        ConfigError: there is no such column.
        DataError: the file cannot be read.
    """
    seen = look_at(data, data_root=roots, dialect=dialect)
    names = list(seen.cells)
    asked = [
        name if name in names else name.rpartition(":")[0] or name for name in chain(*(o.split(",") for o in outputs))
    ]
    if wrong := next((name for name in asked if name not in names), None):
        raise ConfigError(f"--out {wrong}: there is no column '{wrong}'{nearest(wrong, names)}{seen.advice}")
    labels = asked or names[-1:] * (len(names) > 1)
    columns = {}
    for name in names:
        held = seen.held(name)
        kind = opened(seen.kind(name).settings)["type"] if held else "empty"
        columns[name] = column_look(kind, held, missing=len(seen.cells[name]) - len(held))
        if name in seen.files and name != LINES:  # of paths, whose letters say nothing
            columns[name] = replace(columns[name], lengths=[], scripts=[])
    classes = [name for name in labels if seen.held(name) and not _is_amount(seen, name)]
    notes = [*seen.notes, *header_notes(seen), *_repeated(seen), *_flaws(seen), *label_notes(seen, classes)]
    notes += _order(seen)
    for name in names:
        held = seen.held(name)
        is_read = name not in labels and name not in seen.files
        if is_read and (why := seen.says_nothing(name)):
            notes.append(f"'{name}' says nothing, since {why}; a model learns nothing of it: leave it out")
        if beside := _beside(seen, name):
            notes.append(beside)
        elif is_read and is_id(held) and not is_dates(held):
            notes.append(
                f"'{name}' has a value of its own in nearly every row, as ids do; a model learns nothing of it"
            )
        for label in labels:
            rows = [{name: cell, label: mark} for cell, mark in zip(seen.cells[name], seen.cells[label])]
            if name in labels:
                continue
            if len(names) - len(labels) > 1 and (share := share_given(rows, name, label)) >= COPIED:
                notes.append(
                    f"'{name}' gives '{label}' almost alone ({share:.1%} of the rows), as a copy of the label would; if"
                    " it is not known when you predict, leave it out"
                )
            elif (share := share_spelt(rows, name, label)) >= COPIED:
                notes.append(spelling_note(f"'{name}'", f"'{label}'", share, "rows"))
    return DataLook(data, seen.rows, columns, notes)


def label_notes(seen: Look, labels: Sequence[str]) -> list[str]:
    """What is to know of columns of labels: one label alone, most rows of one, labels that occur once or are written
    almost alike."""
    notes = []
    for name in labels:
        counts = Counter(str(cell) for cell in seen.held(name) if not isinstance(cell, (list, tuple)))
        if not counts or len(counts) > MOST_LABELS or 2 * len(counts) > counts.total():
            continue
        (first, most), *_ = counts.most_common(1)
        once = [label for label, count in counts.items() if count == 1]
        if len(counts) == 1:
            notes.append(
                f"'{name}' is {first!r} in all {most:,} rows: there is nothing to learn; give rows of others too"
            )
        elif most >= MAJORITY * counts.total():
            notes.append(
                f"'{name}' is {first!r} in {most / counts.total():.0%} of the rows, which a model reaches that says"
                " only that; look at F1 of the others rather than at accuracy, or set head.class_weights: balanced"
            )
        if absent := {label: count for label, count in counts.items() if label.strip().casefold() in ABSENT}:
            listed = ", ".join(f"{label!r} ({count:,})" for label, count in absent.items())
            notes.append(
                f"labels of '{name}' seem to stand for none: {listed}; if they do, empty these cells, and such rows are"
                " not learnt from"
            )
        if once:
            listed = ", ".join(map(repr, once[:SHOWN]))
            occur = "label of '{}' occurs" if len(once) == 1 else "labels of '{}' occur"
            notes.append(
                f"{len(once):,} {occur.format(name)} once ({listed}), too few to learn and to test; give more rows of"
                " them, or join them with others"
            )
        groups = [
            " and ".join(f"{label!r} ({count:,})" for label, count in group.items()) for group in similar_labels(counts)
        ]
        if groups:
            spelt = ", ".join(groups[:SHOWN]) + f" and {len(groups) - SHOWN:,} more" * (len(groups) > SHOWN)
            notes.append(f"labels of '{name}' are written almost alike: {spelt}; write them as one if they are")
    return notes


def _is_amount(seen: Look, column: str) -> bool:
    """Whether the values of a column are no labels but amounts, each of which may well occur once."""
    return component("modalities", opened(seen.output_kind(column).settings)["type"]).numeric


def header_notes(seen: Look) -> list[str]:
    """Rows that hold the names of the columns again, as tables that were joined have them."""
    names = list(seen.cells)
    again = [row for row, cells in enumerate(zip(*seen.cells.values())) if list(cells) == names]
    if not again:
        return _nameless(seen)
    them = "it" if len(again) == 1 else "them"
    rows = "1 row repeats" if len(again) == 1 else f"{len(again):,} rows repeat"
    return [f"{rows} the names of the columns (the first: {seen.place(again[0])}); delete {them}"]


def _nameless(seen: Look) -> list[str]:
    """The first line may be a row, where what names a column is one of its few values."""
    for name in seen.cells:
        counts = Counter(map(repr, seen.held(name)))
        if counts[repr(name)] > 1 and len(counts) <= MOST_LABELS:
            return [
                f"the first line calls a column {name!r}, which is its value in {counts[repr(name)]:,} rows too, so it"
                " seems to be a row; write a line of names before it"
            ]
    return []


def _order(seen: Look) -> list[str]:
    """Where the dates of rows of numbers do not rise, as a forecast needs them."""
    dates = [name for name in seen.cells if is_dates(seen.held(name))]
    others = [name for name in seen.cells if name not in dates]
    if len(dates) != 1 or not others or not all(is_series(seen.held(name)) for name in others):
        return []
    (date,) = dates
    times = times_of(seen.cells[date])
    wrong = None if times is None else disorder(times, date)
    if wrong is not None:
        row, problem = wrong
        return [f"for a forecast, {seen.place(row)}: {problem}"]
    return [
        f"rows of numbers by date: `ostinato train {shlex.quote(seen.source)} --forecast COLUMN` forecasts a column"
    ]


def _flaws(seen: Look) -> list[str]:
    """Files that cannot be read, or that show something by themselves, with the first of each kind."""
    notes = []
    for name in seen.files:
        options = dict(opened(seen.kind(name).settings))
        modality, flaws = make("modalities", options.pop("type"), options=options), Alike()
        for row, cell in enumerate(seen.cells[name]):
            try:
                flaw = None if cell in (None, "") else modality.flaw(cell)
            except DataError as why:
                flaw = f"cannot be read: {why}"
            except ConfigError as why:  # what reads such files is not installed
                notes.append(f"files of '{name}' were not opened: {why}")
                break
            flaws.add(flaw, row)
        notes += flaws.lines(seen.place, f": '{name}' ")
    return notes


def _beside(seen: Look, column: str) -> str:
    """What to know of a column that names files or folders beside the table, while nothing below the working folder
    has these names; nothing of another."""
    folder, first = Path(seen.source).parent, next(iter(seen.held(column)), None)
    if not isinstance(first, str) or os.path.exists(first) or not os.path.exists(folder / first):
        return ""
    kind = "folders" if os.path.isdir(folder / first) else "files"
    return (
        f"'{column}' names {kind} beside the table, and paths are relative to the working folder; change to {folder} to"
        " have them read"
    )


def _repeated(seen: Look) -> list[str]:
    cells = list(zip(*seen.cells.values()))
    empty = [row for row, values in enumerate(cells) if not held(values)]
    rows = Counter(tuple(map(repr, values)) for values in cells if held(values))
    again = rows.total() - len(rows)
    notes = []
    if empty:
        number = "1 row is" if len(empty) == 1 else f"{len(empty):,} rows are"
        notes.append(f"{number} empty, and left out (the first: {seen.place(empty[0])})")
    if not again:
        return notes
    return [
        *notes,
        f"{again:,} of {seen.rows:,} rows occur before; where they fall into two splits a score shows memory in place"
        " of generalization",
    ]


def column_look(kind: str, held: Sequence[Any], *, missing: int) -> ColumnLook:
    """What a column shows.

    Args:
        kind: its type.
        held: its cells, without those that are missing.
        missing: how many are.
    """
    sizes = sorted(len(cell) for cell in held if isinstance(cell, (str, list, tuple, np.ndarray)))
    texts = (cell for cell in held if isinstance(cell, str))
    letters = [letter for letter in "".join(texts)[:SCRIPT_LETTERS] if letter.isalpha()]
    scripts = Counter(unicodedata.name(letter, "UNKNOWN").split()[0].title() for letter in letters)
    named = [script for script, count in scripts.most_common() if count >= SCRIPT_SHARE * len(letters)]
    lengths = [sizes[0], int(statistics.median(sizes)), sizes[-1]] if sizes else []
    return ColumnLook(kind, missing, len(set(map(repr, held))), lengths, named)
