"""Files whose rows go over several lines, or hold lists: CoNLL columns, CoNLL-U, FASTA, and sktime's series."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ostinato.data.contract import BLOCK_VALUES, Block, Source, values_in
from ostinato.data.lines import BLOCK_BYTES, GLANCE_BYTES, decoded, file_digest, line_blocks
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


def _numbered(path: Path, title: str, size: int) -> Iterator[tuple[int, str]]:
    """The lines of a text file with their numbers, without line ends."""
    for data, line in line_blocks(path, title, size=size):
        # str.splitlines would also cut at U+2028 and its kin, which words contain.
        for at, text in enumerate(decoded(data, title, line).split("\n")[:-1], line):
            yield at, text.removesuffix("\r")


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


class Conll(Source):
    """One word a line with its columns, a blank line after each row: a row is a list per column.

    Columns are separated by tabs, or by spaces where the file's first row has no tab. `-DOCSTART-` lines are left out;
    in CoNLL-U also comments, words of several tokens (`2-3`) and empty nodes (`2.1`).

    Args:
        path: the file.
        shown: its name as the user wrote it.
        where: the path in the recipe that named it.
        names: the columns from left to right, `_` for each that is not read; None: as the file's first line names them.
        universal: whether it is CoNLL-U.
    """

    def __init__(self, path: Path, shown: str, where: str, names: Sequence[str] | None, *, universal: bool = False):
        self.path, self.name, self.title = path, shown, f"{where}: {shown}"
        self.universal = universal
        # Until a row has shown the separator, a line with `#` and no tab is a comment; where spaces part columns its
        # word is `#`.
        self.tabs = True
        lines = _numbered(path, self.title, GLANCE_BYTES)
        first = next(((line, text) for line, text in lines if not self._is_aside(text)), None)
        if first is None:
            raise DataError(f"{self.title} has no rows; give a file with at least one line of columns")
        self.tabs = universal or "\t" in first[1]
        self.names = UNIVERSAL if universal else tuple(names or self._header() or ())
        if not self.names:
            count = len(self._fields(first[1]))
            example = " ".join(["word", *[UNNAMED] * (count - 2), "tag"])
            raise DataError(
                f"{self.title} line {first[0]} has {count} columns, and nothing names them; name them from left to "
                f"right, {UNNAMED} for each that is not needed, such as {where}: {{{example}: {shown}}}, "
                "or in the file's first line: # global.columns = word tag"
            )
        self.columns = tuple(name for name in self.names if name != UNNAMED)
        twice = [column for column, count in Counter(self.columns).items() if count > 1]
        if twice:
            raise DataError(
                f"{self.title}: column '{twice[0]}' is named twice; rename one of them, or write {UNNAMED} for it"
            )
        if not self.columns:
            raise DataError(f"{self.title}: every column is {UNNAMED}; name at least one")

    def _header(self) -> list[str] | None:
        header = HEADER.fullmatch(next(_numbered(self.path, self.title, GLANCE_BYTES))[1].strip())
        return header[1].split() if header else None

    def _is_aside(self, text: str) -> bool:
        """Whether a line belongs to no row: blank, a comment, the mark of a new document."""
        # A tab alone is a blank line too: WNUT 17 ends most of its rows so.
        if not text.strip() or self.tabs and text.startswith("#") and "\t" not in text:
            return True
        return (
            text.startswith("-DOCSTART-") or HEADER.match(text) is not None or self.universal and text.startswith("#")
        )

    def _fields(self, text: str) -> list[str]:
        return text.split("\t") if self.tabs else [field for field in re.split("[ \t]+", text) if field]

    def _rows(self, size: int) -> Iterator[tuple[int, dict[str, list[str]]]]:
        begin, words = 0, []
        for line, text in _numbered(self.path, self.title, size):
            if self._is_aside(text):
                if words and not text.strip():
                    yield begin, self._row(words)
                    words = []
                continue
            fields = self._fields(text)
            if len(fields) != len(self.names):
                raise self._wrong(line, fields)
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

    def _wrong(self, line: int, fields: list[str]) -> DataError:
        apart = "tabs" if self.tabs else "spaces"
        count = f"{len(fields)} column" if len(fields) == 1 else f"{len(fields)} columns"
        return DataError(
            f"{self.title} line {line} has {count} apart by {apart}, and {len(self.names)} are named "
            f"({', '.join(self.names)}); every line needs as many, and rows a blank line between them"
        )

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        return _gathered(self._rows(BLOCK_BYTES), self.name, columns, unit="line", text=False)

    def digest(self, columns: Sequence[str]) -> str:
        return json.dumps(["conllu" if self.universal else "conll", self.names, file_digest(self.path)])


class Fasta(Source):
    """Sequences of letters after a line `>name`; of one file its `name` and `sequence`, of several in parallel a column
    each.

    Args:
        files: column -> (the file, its name as the user wrote it); one file under None offers `name` and `sequence`.
        where: the path in the recipe that named them.
    """

    def __init__(self, files: dict[str | None, tuple[Path, str]], where: str):
        self.files, self.where = files, where
        self.alone = None in files
        self.columns = ("name", "sequence") if self.alone else tuple(files)
        self.name = " + ".join(shown for _, shown in files.values())
        for column in files:
            next(self._records(column, GLANCE_BYTES))

    def _records(self, column: str | None, size: int) -> Iterator[tuple[int, str, str]]:
        """(line, name, sequence) of one file."""
        path, shown = self.files[column]
        title = f"{self.where}: {shown}"
        begin, name, parts = 0, "", []
        for line, text in _numbered(path, title, size):
            if text.startswith(">"):
                if begin:
                    yield begin, name, self._whole(title, begin, parts)
                begin, name, parts = line, text[1:].strip(), []
            elif text.strip():
                if not begin:
                    raise DataError(f"{title} line {line} comes before the first name; give each sequence a line >name")
                parts.append("".join(text.split()))
        if not begin:
            raise DataError(f"{title} has no rows; each sequence needs a line >name before it")
        yield begin, name, self._whole(title, begin, parts)

    def _whole(self, title: str, line: int, parts: list[str]) -> str:
        if not parts:
            raise DataError(f"{title} line {line}: no sequence follows this name; add it, or leave the name out")
        return "".join(parts)

    def _rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        if self.alone:
            for line, name, sequence in self._records(None, BLOCK_BYTES):
                yield line, {"name": name, "sequence": sequence}
            return
        streams = [self._records(column, BLOCK_BYTES) for column in self.columns]
        for number, records in enumerate(zip_longest(*streams), 1):
            if None in records:
                self._uneven(number, [record is not None for record in records], streams)
            (_, first, _), *others = records
            for column, (line, name, _) in zip(self.columns[1:], others):
                if name.split()[:1] != first.split()[:1]:
                    raise DataError(
                        f"{self.where}: {self.files[column][1]} line {line} is {name[:40]!r}, and the other file has "
                        f"{first[:40]!r} of {self.files[self.columns[0]][1]}; record n of one file belongs to record n "
                        "of the others"
                    )
            yield number, {column: sequence for column, (_, _, sequence) in zip(self.columns, records)}

    def _uneven(self, number: int, there: list[bool], streams: list[Iterator]) -> None:
        counts = [number - 1 + more + sum(1 for _ in stream) for more, stream in zip(there, streams)]
        counted = ", ".join(f"{self.files[column][1]} has {count:,}" for column, count in zip(self.columns, counts))
        raise DataError(
            f"{self.where}: {counted} sequences; record n of one file belongs to record n of all, so all need as many"
        )

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        return _gathered(self._rows(), self.name, columns, unit="line" if self.alone else "record", text=True)

    def digest(self, columns: Sequence[str]) -> str:
        return json.dumps(["fasta", {column or "": file_digest(path) for column, (path, _) in self.files.items()}])


class TimeSeries(Source):
    """sktime's `.ts`: lines of `@` words, then a series a line, channels apart by `:`, steps by `,`, its label last.

    Offers `series`, a list of C numbers per step (None where missing), and `label` where the file has labels.

    Args:
        path: the file.
        shown: its name as the user wrote it.
        where: the path in the recipe that named it.

    Source: sktime.net, "The .ts file format".
    """

    def __init__(self, path: Path, shown: str, where: str):
        self.path, self.name, self.title = path, shown, f"{where}: {shown}"
        self.labels: tuple[str, ...] | None = None
        self.columns = ("series",)
        self.begins = self._header()
        next(self._rows(GLANCE_BYTES))

    def _header(self) -> int:
        """Reads the words; the line of `@data`."""
        for line, text in _numbered(self.path, self.title, GLANCE_BYTES):
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
        channels, some = None, False
        for line, text in _numbered(self.path, self.title, size):
            if line <= self.begins or not text.strip() or text.startswith("#"):
                continue
            series, *label = text.rsplit(":", 1) if "label" in self.columns else [text]
            if len(self.columns) != 1 + len(label):
                raise DataError(
                    f"{self.title} line {line} has no label after its last `:`; write channel:channel:label"
                )
            cells = {"label": self._label(line, label[0].strip())} if label else {}
            steps = self._steps(line, series)
            channels = channels or len(steps[0])
            if len(steps[0]) != channels:
                raise DataError(
                    f"{self.title} line {line} has {len(steps[0])} channels, and the first series has {channels}; all "
                    "need as many"
                )
            some = True
            yield line, {"series": steps, **cells}
        if not some:
            raise DataError(f"{self.title} has no rows; give at least one series after @data")

    def _label(self, line: int, label: str) -> str | None:
        if self.labels and label not in (*self.labels, "?"):
            hint = nearest(label, self.labels)
            raise DataError(f"{self.title} line {line}: the label {label[:40]!r} is not one of @classLabel{hint}")
        return label if label and label != "?" else None

    def _steps(self, line: int, series: str) -> list[list[float | None]]:
        channels = []
        for number, channel in enumerate(series.split(":"), 1):
            values: list[float | None] = []
            for step, value in enumerate(channel.split(","), 1):
                try:
                    values.append(as_number(value))
                except DataError as why:
                    raise DataError(f"{self.title} line {line}, channel {number}, step {step}: {why}") from None
            channels.append(values)
        lengths = sorted({len(values) for values in channels})
        if len(lengths) > 1:
            raise DataError(
                f"{self.title} line {line} has channels of {lengths[0]} and of {lengths[-1]} steps; all channels of a "
                "series need as many, with ? for a missing value"
            )
        return [list(step) for step in zip(*channels)]

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        return _gathered(self._rows(BLOCK_BYTES), self.name, columns, unit="line", text=False)

    def digest(self, columns: Sequence[str]) -> str:
        return json.dumps(["ts", file_digest(self.path)])
