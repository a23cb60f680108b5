"""The first rows of a file, and what kind of values each column of them seems to hold."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ostinato.data.columns import columns_in
from ostinato.data.contract import PLAIN, Dialect
from ostinato.data.kinds import ending_of
from ostinato.data.manifest import endings, rows_of_file
from ostinato.data.read import Roots, is_table, open_table
from ostinato.errors import DataError
from ostinato.raw.numbers import Numerals, numerals_of
from ostinato.recipe.column_types import (
    Guess,
    held,
    is_dates,
    kind_of,
    kind_of_files,
    output_kind,
)
from ostinato.recipe.schema import opened

LOOKED_AT = 5000
"""Rows that are looked at: enough to know a column's kind, few enough to be read at once."""
FOLDERS = 100
"""Cells that are looked up as folders."""
TSV = (".tsv", ".tsv.gz")
LINES = "text"
"""The column of a file that names none."""
PATHS_ALONE = "to read the paths themselves write text"
DATED = Guess("date", "dates: hour, weekday and day of the year, and how late each is")


@dataclass(frozen=True)
class Look:
    """The first rows of a file.

    Args:
        source: the file as it was named.
        cells: of these rows, by column.
        place: the place of a row in its file, by the row's number.
        numerals: how numbers are written, where that was seen in the cells, which hold plain numbers in their place.
        notes: what was detected of the file.
        files: of each column whose cells are the bytes of files or their paths, or that is a file of texts in a
            modality's own form, how these end; of folders of files likewise.
        folders: the columns whose cells are paths of folders.
        in_columns: how to name the columns of a file in CoNLL's form that is called otherwise, and why; else empty.
        labels: the columns that are labels however few rows there are.
        advice: what to do where a column is not there.
    """

    source: str
    cells: Mapping[str, list[Any]]
    place: Callable[[int], str]
    numerals: Numerals | None = None
    notes: Sequence[str] = ()
    files: Mapping[str, Collection[str]] = field(default_factory=dict)
    in_columns: str = ""
    labels: Collection[str] = ()
    advice: str = ""
    folders: Collection[str] = ()
    _held: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return len(next(iter(self.cells.values())))

    def held(self, column: str) -> list[Any]:
        """The cells of a column that hold something."""
        if column not in self._held:
            self._held[column] = held(self.cells[column])
        return self._held[column]

    def says_nothing(self, column: str) -> str:
        """Why a model learns nothing of a column: it is empty, or the same in each row; nothing where it may."""
        cells = self.held(column)
        if not cells:
            return "it is empty"
        is_one = self.rows > 1 and len(cells) == self.rows and len(set(map(repr, cells))) == 1
        return "it is the same in each row" if is_one and not isinstance(cells[0], bytes) else ""

    def kind(self, column: str, told: str | None = None) -> Guess:
        """The kind that the caller named, or that a column's cells look like."""
        cells, guess = self.held(column), self._label(column, told)
        if guess is not None:
            return guess
        if told is None and column in self.files:
            in_rows = column == LINES and rows_of_file(self.source) is not None
            guess = kind_of_files(self.files[column], binary=not in_rows, folders=column in self.folders)
            if guess is not None and column in self.folders:
                guess = replace(guess, reason=f"paths of folders of {guess.reason}", instead=PATHS_ALONE)
            elif guess is not None and not in_rows and not any(isinstance(cell, bytes) for cell in cells):
                guess = _of_paths(guess, cells)
        elif told is None and is_dates(cells):
            guess = DATED
        return kind_of(told, cells) if guess is None else guess

    def output_kind(self, column: str, told: str | None = None) -> Guess:
        """As `kind`, for an output."""
        return self._label(column, told) or output_kind(told, self.held(column))

    def _label(self, column: str, told: str | None) -> Guess | None:
        return Guess("category", "names of subfolders") if told is None and column in self.labels else None


def look_at(source: str, *, base: Path | None = None, data_root: Roots = None, dialect: Dialect = PLAIN) -> Look:
    """The first rows of a file, numbers in digits with a decimal point.

    Args:
        source: the file.
        base: the folder that the path is relative to; the working folder by default.
        data_root: further folders.
        dialect: how it is written, where that is known.
    """
    columns = None if is_table(source) or dialect.delimiter is not None else [LINES]
    opened = partial(open_table, base=base or Path.cwd(), data_root=data_root, where="DATA", dialect=dialect)
    table = opened(source, columns=columns)
    cells = table.first(LOOKED_AT)
    fields = {name: held for name, held in cells.items() if table.is_text and all(map(is_text, held))}
    numerals = dialect.numerals or numerals_of(list(fields.values()))
    if numerals is not None:
        for name, column in fields.items():
            with suppress(DataError):
                cells[name] = list(map(numerals.plain, column))
    binary = [name for name, column in cells.items() if any(isinstance(cell, bytes) for cell in column)]
    named = table.named().first(LOOKED_AT) if binary else {}
    files = {name: {Path(cell).suffix.lower() for cell in named[name] if cell} for name in binary}
    is_lines = columns is not None and dialect.rows is None
    if is_lines and rows_of_file(str(source)) is not None:
        files[LINES] = {ending_of(Path(source))}
    in_columns = columns_in(cells[LINES]) if is_lines else _in_tabs(cells) if str(source).lower().endswith(TSV) else ""
    if in_columns:
        in_columns = (
            f"every line of {source} has as many words and blank lines divide them, as in CoNLL's form; to read it so"
            f" name its columns in place of the file: '{{{in_columns}: {source}}}'"
        )
    notes = [*table.notes, *([in_columns] if in_columns else [])]
    files |= {name: endings for name, column in cells.items() if name not in files and (endings := _endings(column))}
    folders = {name: seen for name, column in cells.items() if name not in files and (seen := _in_folders(column))}
    numerals = numerals if dialect.numerals is None else None
    files |= folders
    return Look(source, cells, table.place, numerals, notes, files, in_columns, table.labels, table.advice, folders)


def _in_tabs(cells: Mapping[str, Sequence[Any]]) -> str:
    """Names for the columns of a table in CoNLL's form, whose header is the first line of its first row, or names its
    columns."""
    header, *lines = ("\t".join(map(str, row)) for row in (list(cells), *zip(*cells.values())))
    labels = {line.split()[-1] for line in lines if line.strip()}
    names = columns_in([header, *lines])
    return names if header.strip() and (header.split()[-1] in labels or header.split() == names.split()) else ""


def is_text(cell: Any) -> bool:
    return isinstance(cell, str)


def _endings(cells: Sequence[Any]) -> set[str]:
    """How the files end that all cells name, where a modality reads them; else nothing."""
    there = [cell for cell in cells if cell]
    if not all(map(is_text, there)):
        return set()
    found = {Path(cell).suffix.lower() for cell in there if "\n" not in cell}
    return found if found and found <= set(endings()) and kind_of_files(found) is not None else set()


def _in_folders(cells: Sequence[Any]) -> set[str]:
    """How the files end in the folders that most of the first cells name, where a modality reads such folders; else
    nothing."""
    named = [cell for cell in cells if cell][:FOLDERS]
    folders = [cell for cell in named if is_text(cell) and os.path.isdir(cell)]
    if not folders or 2 * len(folders) < len(named):
        return set()
    found = {Path(name).suffix.lower() for name in os.listdir(folders[0])} & set(endings())
    return found if found and kind_of_files(found, folders=True) is not None else set()


def _of_paths(guess: Guess, cells: Sequence[str]) -> Guess:
    """The kind of a column of paths, by the kind of the files."""
    kind = opened(guess.settings)["type"]
    if not Path(cells[0]).is_file():
        away = f"they name {guess.reason}, and there is none such below the working folder; where they are write {kind}"
        return replace(kind_of(None, cells), instead=away)
    return replace(guess, reason=f"paths of {guess.reason}", instead=PATHS_ALONE)
