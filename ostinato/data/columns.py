"""Files whose rows go over several lines, or hold lists: CoNLL columns, CoNLL-U, FASTA, and sktime's series."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby, zip_longest
from pathlib import Path
from typing import Any

from ostinato.data.contract import (
    BLOCK_VALUES,
    Block,
    Dialect,
    FileSource,
    ParallelFiles,
    demand_distinct,
    numbered,
    values_in,
)
from ostinato.data.lines import BLOCK_BYTES, GLANCE_BYTES
from ostinato.errors import DataError, nearest
from ostinato.raw.numbers import as_number

BLOCK_ROWS = 1024
"""Sentences and series are lists, which take several times the room of their text."""
UNIVERSAL = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
"""The columns of CoNLL-U. Source: universaldependencies.org/format.html."""
HEADER = re.compile(r"#\s*global\.columns\s*=\s*(\S.*)")
"""The first line that names the columns of a file, as in CoNLL-U Plus. Source:
universaldependencies.org/ext-format.html."""
UNNAMED = "_"
WORD_COLUMN = re.compile("form|(word|token)s?", re.IGNORECASE)
"""What the first column is called where the first line of a file in CoNLL's form names its columns."""
FEWEST = 3
"""Rows that a file of text has at least to be taken for one in CoNLL's form."""


def _gathered(
    rows: Iterator[tuple[int, dict[str, Any]]], name: str, columns: Sequence[str], *, unit: str, text: bool
) -> Iterator[Block]:
    """(line, cells) one after the other as blocks."""
    lines: list[int] = []
    cells: dict[str, list[Any]] = {column: [] for column in columns}
    values = 0
    for line, row in rows:
        lines.append(line)
        for column in columns:
            cells[column].append(row[column])
            values += values_in(row[column])
        if len(lines) == BLOCK_ROWS or values >= BLOCK_VALUES:
            yield Block(name, unit, lines, cells, text)
            lines, cells, values = [], {column: [] for column in columns}, 0
    if lines:
        yield Block(name, unit, lines, cells, text)


def columns_in(lines: Sequence[str]) -> str:
    """Names for the columns of lines in CoNLL's form: as many fields in each, and blank lines between rows of several.
    Empty where the lines are not so. The names are those of the first line where it has any."""
    words = (line for line in lines if not line.startswith(("#", "-DOCSTART-")))
    rows = [[*row] for filled, row in groupby(words, key=lambda line: bool(line.strip())) if filled]
    filled = [line for row in rows for line in row]
    separator = "\t" if filled and "\t" in filled[0] else None
    counts = {len(line.strip().split(separator)) for line in filled}
    if len(rows) < FEWEST or len(filled) < 2 * len(rows) or len(counts) > 1 or 1 in counts:
        return ""
    first, *others = ([*map(str.strip, line.strip().split(separator))] for line in filled)
    return " ".join(first) if _are_names(first, [line[-1] for line in others]) else _example(counts.pop())


def _are_names(fields: Sequence[str], labels: Sequence[str]) -> bool:
    """Whether the first line of words and labels names their columns: the first as columns of words are called, the
    last as no label is; labels occur several times, and are no numbers."""
    known = set(labels)
    named = bool(WORD_COLUMN.fullmatch(fields[0])) and fields[-1] not in known and len(set(fields)) == len(fields)
    some = 2 * len(known) <= len(labels) and not all(re.fullmatch(r"[-+]?[\d.,]+", label) for label in known)
    return named and some and all(re.fullmatch(r"[^\W\d][\w.-]*", field) for field in fields)


def _example(count: int) -> str:
    return " ".join(["word", *[UNNAMED] * (count - 2), "tag"][:count])


class Conll(FileSource):
    """One word a line with its columns, a blank line after each row: a row is a list per column.

    Columns are separated by tabs, or by spaces where the file's first row has no tab. `-DOCSTART-` lines are left out,
    and a first line that holds the names that are given; in CoNLL-U also comments, words of several tokens (`2-3`) and
    empty nodes (`2.1`).

    Args:
        names: the columns from left to right, `_` for each that is not read; None: as the file's first line names them.
        universal: whether it is CoNLL-U.
    """

    def __init__(
        self,
        path: Path,
        shown: str,
        where: str,
        dialect: Dialect,
        names: Sequence[str] | None = None,
        *,
        universal: bool = False,
    ):
        super().__init__(path, shown, where, dialect)
        self.universal = universal
        # Until a row has shown the separator, a line with `#` and no tab is a comment; where spaces part columns its
        # word is `#`.
        self.tabs = True
        rows = ((line, text) for line, text in self.numbered(GLANCE_BYTES) if not self._is_aside(text))
        line, first = next(rows, (0, ""))
        no_rows = f"{self.title} has no rows; give a file with at least one line of columns"
        if not line:
            raise DataError(no_rows)
        self.tabs = universal or "\t" in first
        if universal:
            names = UNIVERSAL
        elif not names:
            header = HEADER.fullmatch(next(self.numbered(GLANCE_BYTES))[1].strip())
            names = header[1].split() if header else ()
        if not names:
            count = len(self._fields(first))
            example = _example(count)
            raise DataError(
                f"{self.title} line {line} has {count} column{'s' * (count != 1)}, and nothing names them; name them "
                f"from left to right, {UNNAMED} for each that is not needed, such as '{{{example}: {shown}}}' in place "
                f"of the file, or in its first line: # global.columns = {example}"
            )
        self.names, self.form = tuple(names), ("conllu" if universal else "conll", names)
        self.columns = tuple(name for name in names if name != UNNAMED)
        demand_distinct(self.columns, f"{self.title} names column", f", or write {UNNAMED} for it")
        if not self.columns:
            raise DataError(f"{self.title}: every column is {UNNAMED}; name at least one")
        fields, self.header = self._fields(first), 0
        alike = len(fields) == len(names) and all(name in (UNNAMED, field) for name, field in zip(names, fields))
        if alike and not universal:
            if next(rows, None) is None:
                raise DataError(no_rows)
            self.header, self.form = line, (*self.form, "header")
            self.notes = (*self.notes, f"{self.title}: line {line} holds the names of the columns, and is no word")

    def _is_aside(self, text: str) -> bool:
        """Whether a line belongs to no row: blank, a comment, the mark of a new document."""
        # A tab alone is a blank line too: WNUT 17 ends most of its rows so.
        if not text.strip() or text.startswith("-DOCSTART-") or HEADER.match(text):
            return True
        return text.startswith("#") and (self.universal or self.tabs and "\t" not in text)

    def _fields(self, text: str) -> list[str]:
        return text.split("\t") if self.tabs else [field for field in re.split("[ \t]+", text) if field]

    def _rows(self, size: int) -> Iterator[tuple[int, dict[str, list[str]]]]:
        begin, words = 0, []
        for line, text in self.numbered(size):
            if self._is_aside(text) or line == self.header:
                if words and not text.strip():
                    yield begin, self._row(words)
                    words = []
                continue
            fields = self._fields(text)
            if len(fields) != len(self.names):
                apart = "tabs" if self.tabs else "spaces"
                raise DataError(
                    f"{self.title} line {line} has {len(fields)} column{'s' * (len(fields) != 1)} apart by {apart}, "
                    f"and {len(self.names)} are named ({', '.join(self.names)}); every line needs as many, and rows a "
                    "blank line between them"
                )
            if "" in fields and self.names[empty := fields.index("")] != UNNAMED:
                raise DataError(
                    f"{self.title} line {line}: the column '{self.names[empty]}' is empty; fill it in, or leave the "
                    "whole line blank where a row ends"
                )
            if self.universal and not fields[0].isdecimal():
                if not re.fullmatch(r"\d+[-.]\d+", fields[0]):
                    raise DataError(
                        f"{self.title} line {line}: the id {fields[0][:20]!r} is not like 1, 2-3 or 4.1; mend it"
                    )
                continue
            begin = begin if words else line
            words.append(fields)
        if words:
            yield begin, self._row(words)

    def _row(self, words: list[list[str]]) -> dict[str, list[str]]:
        return {name: list(cells) for name, cells in zip(self.names, zip(*words)) if name != UNNAMED}

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        return _gathered(self._rows(BLOCK_BYTES), self.name, columns, unit="line", text=False)


class Fasta(ParallelFiles):
    """Sequences of letters after a line `>name`; of one file its `name` and `sequence`, of several in parallel a column
    each.

    Args:
        files: one file under the empty name offers `name` and `sequence`.
    """

    form = "fasta"
    part = "sequence"
    advice = (
        "; FASTA holds no more: for labels give a table (csv, tsv, jsonl) with the sequences in one column and labels"
        " in another"
    )

    def __init__(self, files: Mapping[str, tuple[Path, str]], where: str, dialect: Dialect):
        super().__init__(files, where, dialect)
        for column in files:
            next(self._records(column, GLANCE_BYTES))
        self.alone = "" in files
        if self.alone:
            self.columns = ("name", "sequence")

    def _records(self, column: str, size: int) -> Iterator[tuple[int, str, str]]:
        """(line, name, sequence) of one file."""
        title = self.title(column)
        begin, name, parts = 0, "", []
        # A name after the last line ends the last sequence.
        for line, text in chain(numbered(self.files[column][0], title, size, self.dialect), [(0, ">")]):
            if text.startswith(">"):
                if begin and not parts:
                    raise DataError(
                        f"{title} line {begin}: no sequence follows this name; add it, or leave the name out"
                    )
                if begin:
                    yield begin, name, "".join(parts)
                elif not line:
                    raise DataError(f"{title} has no rows; each sequence needs a line >name before it")
                begin, name, parts = line, text[1:].strip(), []
            elif text.strip():
                if not begin:
                    raise DataError(f"{title} line {line} comes before the first name; give each sequence a line >name")
                parts.append("".join(text.split()))

    def _rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        if self.alone:
            for line, name, sequence in self._records("", BLOCK_BYTES):
                yield line, {"name": name, "sequence": sequence}
            return
        streams = [self._records(column, BLOCK_BYTES) for column in self.columns]
        for number, records in enumerate(zip_longest(*streams), 1):
            if None in records:
                counts = [
                    number - (record is None) + sum(1 for _ in stream) for record, stream in zip(records, streams)
                ]
                raise self.uneven(dict(zip(self.columns, counts)))
            (_, first, _), *others = records
            for column, (line, name, _) in zip(self.columns[1:], others):
                if name.split()[:1] != first.split()[:1]:
                    raise DataError(
                        f"{self.title(column)} line {line} is {name[:40]!r}, and the other file has {first[:40]!r} of "
                        f"{self.files[self.columns[0]][1]}; record n of one file belongs to record n of the others"
                    )
            yield number, {column: sequence for column, (_, _, sequence) in zip(self.columns, records)}

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        return _gathered(self._rows(), self.name, columns, unit="line" if self.alone else "record", text=True)


class TimeSeries(FileSource):
    """sktime's `.ts`: lines of `@` words, then a series a line, channels apart by `:`, steps by `,`, its label last.

    Offers `series`, a list of C numbers per step (None where missing), and `label` where the file has labels.

    Source: sktime.net, "The .ts file format".
    """

    form = ("ts",)

    def __init__(self, path: Path, shown: str, where: str, dialect: Dialect):
        super().__init__(path, shown, where, dialect)
        self.labels: tuple[str, ...] | None = None
        self.columns = ("series",)
        self.begins = self._header()
        next(self._rows(GLANCE_BYTES))

    def _header(self) -> int:
        """Reads the words; the line of `@data`."""
        for line, text in self.numbered(GLANCE_BYTES):
            if not text.startswith("@"):
                if text.strip() and not text.startswith("#"):
                    raise DataError(
                        f"{self.title} line {line} comes before @data, which must come before the first series"
                    )
                continue
            word, *values = text.split()
            word, truth = word.lower(), [value.lower() for value in values[:1]] == ["true"]
            if word == "@timestamps" and truth:
                raise DataError(
                    f"{self.title} line {line}: series with time stamps are not read; give equal steps without stamps"
                )
            if word in ("@classlabel", "@targetlabel") and truth:
                self.columns = ("series", "label")
                self.labels = tuple(values[1:]) if word == "@classlabel" else None
            if word == "@data":
                return line
        raise DataError(f"{self.title} has no line @data, after which the series follow; fetch the file again")

    def _rows(self, size: int) -> Iterator[tuple[int, dict[str, Any]]]:
        num_channels = 0
        for line, text in self.numbered(size):
            if line <= self.begins or not text.strip() or text.startswith("#"):
                continue
            place = f"{self.title} line {line}"
            series, *label = text.rsplit(":", 1) if "label" in self.columns else [text]
            if len(self.columns) != 1 + len(label):
                raise DataError(f"{place} has no label after its last `:`; write channel:channel:label")
            cells = {"label": self._label(place, label[0].strip())} if label else {}
            channels = [
                self._numbers(channel, f"{place}, channel {at}") for at, channel in enumerate(series.split(":"), 1)
            ]
            lengths = sorted({len(channel) for channel in channels})
            if len(lengths) > 1:
                raise DataError(
                    f"{place} has channels of {lengths[0]} and of {lengths[-1]} steps; all channels of a series need "
                    "as many, with ? for a missing value"
                )
            num_channels = num_channels or len(channels)
            if len(channels) != num_channels:
                raise DataError(
                    f"{place} has {len(channels)} channels, and the first series has {num_channels}; all need as many"
                )
            yield line, {"series": [list(step) for step in zip(*channels)], **cells}
        if not num_channels:
            raise DataError(f"{self.title} has no rows; give at least one series after @data")

    def _label(self, place: str, label: str) -> str | None:
        if self.labels and label not in (*self.labels, "?"):
            hint = nearest(label, self.labels)
            raise DataError(f"{place}: the label {label[:40]!r} is not one of @classLabel{hint}")
        return label if label and label != "?" else None

    def _numbers(self, channel: str, place: str) -> list[float | None]:
        numbers: list[float | None] = []
        try:
            for field in channel.split(","):
                numbers.append(as_number(field))
        except DataError as why:
            raise DataError(f"{place}, step {len(numbers) + 1}: {why}") from None
        return numbers

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        return _gathered(self._rows(BLOCK_BYTES), self.name, columns, unit="line", text=False)
