"""What a source of rows is: a file, several parallel files or data in memory, read in blocks as often as wanted."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ostinato.data.lines import encoding_of, file_digest, text_blocks
from ostinato.errors import ConfigError, DataError
from ostinato.raw.numbers import Numerals

Numbers = Sequence[int] | np.ndarray
"""Whole numbers, such as those of rows."""
Rows = Numbers | None
"""The numbers of some rows; None: all."""
BLOCK_VALUES = 1 << 20
"""Values of lists in a block: as Python's own objects they take 30 bytes and more."""
LETTERS = 32
"""Letters of a text that take the room of one value in a list."""


def values_in(cell: Any) -> int:
    """Values in a list, or in a list of steps of several channels; of letters as many as take the room of one."""
    if isinstance(cell, list):
        return len(cell) * (len(cell[0]) if cell and isinstance(cell[0], list) else 1)
    return len(cell) // LETTERS if isinstance(cell, str) else 0


class Dialect(NamedTuple):
    """How files of text are written, where the user says so; None: as their ending has it, or as is detected.

    Args:
        delimiter: what divides the fields of a line.
        encoding: the encoding, as Python knows it.
        decimal: the sign before the decimals of a number.
        thousands: the sign between groups of three digits.
        rows: what a row of a text file is: `lines`, `blank` (what lies between blank lines) or `file`.
        passage: of a `file`: the characters of a passage of it, which is the row then; None: the whole.
        header: the line that names the columns, of a sheet the row; None: the first.
    """

    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    rows: str | None = None
    passage: int | None = None
    header: int | None = None

    @staticmethod
    def of(data: Any) -> Dialect:
        """That of a recipe's `data`.

        Errors:
            ConfigError: one sign for decimals and thousands.
        """
        dialect = Dialect(*(getattr(data, name) for name in Dialect._fields))
        if dialect.thousands is not None and dialect.thousands == (dialect.decimal or "."):
            raise ConfigError(
                f"data.thousands: {dialect.thousands!r} stands before decimals already; set data.decimal to the other"
                " sign"
            )
        return dialect

    @property
    def numerals(self) -> Numerals | None:
        """How numbers are written; None: with a decimal point and nothing else."""
        plain = self.decimal is None and self.thousands is None
        return None if plain else Numerals(self.decimal or ".", self.thousands)

    def form(self) -> list[Any]:
        """What decides the rows of a file beside its content and its ending."""
        values = list(self)
        # What was added later is left out where it is not set, so that rows encoded before are found again.
        while len(values) > self._fields.index("passage") and values[-1] is None:
            values.pop()
        return [values] if any(values) else []


PLAIN = Dialect()
"""That of files as their endings have it."""


@dataclass(frozen=True)
class Block:
    """Some rows of a table, one after the other.

    Args:
        source: the file as the user named it, or what holds the rows otherwise.
        unit: what `lines` counts, `line` or `row`.
        lines: for each row, the line on which it begins, from 1.
        columns: the cells of each column that was asked for, one per row.
        text: whether the cells are fields of text that a modality parses; otherwise they are raw values, None where
            missing.
        numerals: how the numbers among fields of text are written; None: with a decimal point.
    """

    source: str
    unit: str
    lines: Numbers
    columns: dict[str, list[Any]]
    text: bool
    numerals: Numerals | None = None

    def __len__(self) -> int:
        return len(self.lines)

    def place(self, row: int) -> str:
        """The place of the block's row number `row`, such as `file.tsv line 17`."""
        return f"{self.source} {self.unit} {self.lines[row]}"


class Source(ABC):
    """Rows that can be read again and again, in flat memory."""

    columns: tuple[str, ...]
    """All that it offers."""
    notes: tuple[str, ...] = ()
    """What was done with it that the user did not ask for."""
    advice: str = ""
    """What to do where it lacks a column."""
    labels: tuple[str, ...] = ()
    """The columns that are labels however few rows there are, such as names of subfolders."""
    no_rows: str = ""
    """Of a source that has columns and no rows: its refusal where rows are needed."""
    csv_dialect: Dialect = PLAIN
    """How csv has to be written to be like it: the signs between fields and before decimals."""

    def named(self) -> Source:
        """The same rows, with the names of files in place of what no table can hold: pictures, sound, tunes."""
        return self

    def occurs_later(self, column: str) -> bool:
        """Whether a column that is none of `columns` occurs in rows not looked at yet; reads on as far as needed."""
        return False

    @abstractmethod
    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """All rows, none of the blocks empty; with no column asked for, the rows are only checked and counted."""

    @abstractmethod
    def digest(self, columns: Sequence[str]) -> str:
        """A hash of the content: equal digests mean equal rows."""


def numbered(path: Path, title: str, size: int, dialect: Dialect) -> Iterator[tuple[int, str]]:
    """The lines of a text file with their numbers, without line ends."""
    for lines, first in text_blocks(path, title, size=size, encoding=dialect.encoding):
        yield from enumerate(lines, first)


class FileSource(Source):
    """One file.

    Args:
        path: the file.
        shown: its name as the user wrote it.
        where: the path in the recipe that named it.
    """

    form: tuple[Any, ...]
    """What decides its rows beside its content and its dialect."""
    is_text: ClassVar[bool] = True

    def __init__(self, path: Path, shown: str, where: str, dialect: Dialect):
        self.path, self.name, self.title, self.dialect = path, shown, f"{where}: {shown}", dialect
        if self.is_text and not dialect.encoding:
            self.notes = encoding_of(path, self.title).notes

    def numbered(self, size: int) -> Iterator[tuple[int, str]]:
        """Its lines with their numbers."""
        return numbered(self.path, self.title, size, self.dialect)

    def digest(self, columns: Sequence[str]) -> str:
        return json.dumps([*self.form, *self.dialect.form(), file_digest(self.path)])


class ParallelFiles(Source):
    """Files of which part n of each (a line, a sequence) belongs together, a column each.

    Args:
        files: column -> (the file, its name as the user wrote it).
        where: the path in the recipe that named them.
    """

    form: ClassVar[str]
    part: str
    """What they are divided into."""

    def __init__(self, files: Mapping[str, tuple[Path, str]], where: str, dialect: Dialect):
        self.files, self.where, self.columns, self.dialect = files, where, tuple(files), dialect
        self.name = " + ".join(shown for _, shown in files.values())
        if not dialect.encoding:
            titled = ((path, self.title(column)) for column, (path, _) in files.items())
            self.notes = tuple(note for path, title in titled for note in encoding_of(path, title).notes)

    def title(self, column: str) -> str:
        return f"{self.where}: {self.files[column][1]}"

    def uneven(self, counts: Mapping[str, int], advice: str = "") -> DataError:
        """That files have so many parts, and not equally many."""
        counted = ", ".join(f"{self.files[column][1]} has {count:,} {self.part}s" for column, count in counts.items())
        rule = f"{self.part} n of one file belongs to {self.part} n of the others, so all need as many"
        return DataError(f"{self.where}: {counted}; {rule}{advice}")

    def digest(self, columns: Sequence[str]) -> str:
        digests = {column: file_digest(path) for column, (path, _) in self.files.items()}
        return json.dumps([self.form, *self.dialect.form(), digests])


def demand_distinct(names: Iterable[str], lead: str, advice: str = "") -> None:
    """Errors:
    DataError: a name occurs twice; `lead` begins the message.
    """
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{lead} '{twice}' twice; rename one of them{advice}")
