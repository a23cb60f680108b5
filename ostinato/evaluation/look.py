"""A look at data before training: the columns, and what would make a model or its score worse than it seems."""

from __future__ import annotations

import os
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
from ostinato.errors import ConfigError, DataError, nearest
from ostinato.evaluation.errors import similar_labels
from ostinato.notes import Alike
from ostinato.preprocessing.leaks import COPIED, share_given
from ostinato.recipe import infer
from ostinato.recipe.column_types import is_id
from ostinato.recipe.schema import opened
from ostinato.registry import component, make

MAJORITY = 0.8
"""A label of a larger share makes accuracy say little."""
MOST_LABELS = 200
SHOWN = 3
SCRIPT_SHARE, SCRIPT_LETTERS = 0.01, 100_000
"""Scripts of a smaller share of these first letters are not named."""


@dataclass(frozen=True)
class ColumnLook:
    """A column of the first rows.

    Args:
        type: as `train` would read it, with its reason.
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
        return [f"{self.source}: {self.rows:,} rows", *columns, *(f"note: {note}" for note in self.notes)]


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
    seen = infer.look_at(data, data_root=roots, dialect=dialect)
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
        if name in seen.files and name != infer.LINES:  # of paths, whose letters say nothing
            columns[name] = replace(columns[name], lengths=[], scripts=[])
    classes = [name for name in labels if seen.held(name) and not _is_amount(seen, name)]
    notes = [*seen.notes, *header_notes(seen), *_repeated(seen), *_flaws(seen), *label_notes(seen, classes)]
    for name in names:
        if beside := _beside(seen, name):
            notes.append(beside)
        elif name not in labels and name not in seen.files and is_id(seen.held(name)):
            notes.append(
                f"'{name}' has a value of its own in nearly every row, as ids do; a model learns nothing of it"
            )
        for label in labels:
            rows = [{name: cell, label: mark} for cell, mark in zip(seen.cells[name], seen.cells[label])]
            is_one_of_several = name not in labels and len(names) - len(labels) > 1
            if is_one_of_several and (share := share_given(rows, name, label)) >= COPIED:
                notes.append(
                    f"'{name}' gives '{label}' almost alone ({share:.1%} of the rows), as a copy of the label would; if"
                    " it is not known when you predict, leave it out"
                )
    return DataLook(data, seen.rows, columns, notes)


def label_notes(seen: infer.Look, labels: Sequence[str]) -> list[str]:
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


def _is_amount(seen: infer.Look, column: str) -> bool:
    """Whether the values of a column are no labels but amounts, each of which may well occur once."""
    return component("modalities", opened(seen.output_kind(column).settings)["type"]).numeric


def header_notes(seen: infer.Look) -> list[str]:
    """Rows that hold the names of the columns again, as tables that were joined have them."""
    names = list(seen.cells)
    again = [row for row, cells in enumerate(zip(*seen.cells.values())) if list(cells) == names]
    if not again:
        return []
    them = "it" if len(again) == 1 else "them"
    rows = "1 row repeats" if len(again) == 1 else f"{len(again):,} rows repeat"
    return [f"{rows} the names of the columns (the first: {seen.place(again[0])}); delete {them}"]


def _flaws(seen: infer.Look) -> list[str]:
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


def _beside(seen: infer.Look, column: str) -> str:
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


def _repeated(seen: infer.Look) -> list[str]:
    rows = Counter(zip(*(map(repr, cells) for cells in seen.cells.values())))
    again = seen.rows - len(rows)
    if not again:
        return []
    return [
        f"{again:,} of {seen.rows:,} rows occur before; where they fall into two splits a score shows memory in place"
        " of generalization"
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
