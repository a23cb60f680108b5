"""The kinds of file that rows are read from: lines of text, csv and tsv, JSON lines, parquet; each with its guards."""

from __future__ import annotations

import csv
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ostinato.data.contract import BLOCK_VALUES, Block, Dialect, FileSource, Numbers, ParallelFiles, demand_distinct
from ostinato.data.header import LOOKED_AT, SURE, is_title, named_in, title_advice
from ostinato.data.lines import BLOCK_BYTES, GLANCE_BYTES, decoded, last_line, line_blocks, text_blocks
from ostinato.errors import DataError

if TYPE_CHECKING:
    import polars

RECORD_BYTES = 32 << 20
"""A longer record of a table is a quote that nobody closed, or no row of a table: it takes many times its size."""
PARQUET_ROWS = 1 << 16
LIST_ROWS = 1 << 10
"""Rows of lists that are read before anything tells how long these are."""
LIST_VALUES = 1 << 22
"""Values of lists that are read at once: each slice of a parquet file is unpacked anew, which took half the time of the
whole file."""
NEWLINE, RETURN, QUOTE = 10, 13, 34
DELIMITERS = ";\t|"
"""What divides fields in other files that are called csv."""
FASTA_NAME, FASTA_LETTERS = re.compile(r">\s*\S"), re.compile(r"[A-Za-z*.-]+")


class Lines(ParallelFiles):
    """One text file per column, one text per line, or as the dialect has it; text n of each belongs together."""

    form = "lines"

    def __init__(self, files: Mapping[str, tuple[Path, str]], where: str, dialect: Dialect):
        super().__init__(files, where, dialect)
        whole = "text" if dialect.passage is None else "passage"
        self.part = "line" if dialect.rows in (None, "lines") else whole
        for column in self.columns:
            first, *others = next(
                text_blocks(files[column][0], self.title(column), size=GLANCE_BYTES, encoding=dialect.encoding)
            )[0]
            if others and FASTA_NAME.match(first) and FASTA_LETTERS.fullmatch(others[0]):
                raise DataError(
                    f"{self.title(column)} begins as FASTA does ({first[:40]!r}), and would be read as text with one "
                    "example a line; name it .fasta, or give the text as a column of a table"
                )

    def _texts(self, column: str, size: int) -> Iterator[list[str]]:
        path, title = self.files[column][0], self.title(column)
        blocks = (lines for lines, _ in text_blocks(path, title, size=size, encoding=self.dialect.encoding))
        return (
            blocks if self.part == "line" else self._joined(blocks) if self.part == "text" else self._passages(blocks)
        )

    def _joined(self, blocks: Iterator[list[str]]) -> Iterator[list[str]]:
        """Texts of several lines, those of the whole file or what lies between blank ones."""
        by_blank, text = self.dialect.rows == "blank", list[str]()
        for lines in blocks:
            whole = []
            for line in lines:
                if line.strip() or not by_blank:
                    text.append(line)
                elif text:
                    whole.append("\n".join(text))
                    text = []
            if whole:
                yield whole
        if text:
            yield ["\n".join(text)]

    def _passages(self, blocks: Iterator[list[str]]) -> Iterator[list[str]]:
        """Passages of about so many characters, which are the whole text together: they end with a line, those of a
        longer line with a word."""
        size, waiting = self.dialect.passage or 1, ""
        for lines in blocks:
            whole = []
            for line in lines:
                waiting, start = f"{waiting}{line}\n", 0
                while len(waiting) - start >= 2 * size:
                    end = waiting.rfind(" ", start, start + size) + 1 or start + size
                    whole.append(waiting[start:end])
                    start = end
                waiting = waiting[start:]
                if len(waiting) >= size:
                    whole.append(waiting)
                    waiting = ""
            if whole:
                yield whole
        if waiting.strip():
            yield [waiting]

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        streams = {column: self._texts(column, BLOCK_BYTES) for column in self.columns}
        waiting: dict[str, list[str]] = {column: [] for column in self.columns}
        line = 1
        while True:
            waiting = {column: lines or next(streams[column], []) for column, lines in waiting.items()}
            size = min(map(len, waiting.values()))
            if not size:
                break
            cells = {column: waiting[column][:size] for column in columns}
            yield Block(self.name, self.part, range(line, line + size), cells, True, self.dialect.numerals)
            waiting = {column: lines[size:] for column, lines in waiting.items()}
            line += size
        if any(waiting.values()):
            counts = {column: line - 1 + sum(map(len, [lines, *streams[column]])) for column, lines in waiting.items()}
            raise self.uneven(counts, "; an example without a text still needs its empty line")


class Delimited(FileSource):
    """csv (standard quotes) or tsv (no quotes): a header, then a record a line; a blank line is a row of empty fields.

    A csv file whose header has no comma and another delimiter is read by that, with a note.

    Args:
        separator: one character, where the dialect names none.
        quoted: whether `"` quotes a field.
    """

    def __init__(self, path: Path, shown: str, where: str, dialect: Dialect, *, separator: str, quoted: bool):
        super().__init__(path, shown, where, dialect)
        self.separator, self.quoted, self.header = dialect.delimiter or separator, quoted, dialect.header or 1
        self.form: tuple[Any, ...] = ("csv" if quoted else "tsv",)
        if quoted and dialect.delimiter is None:
            first, _ = next(self._blocks(GLANCE_BYTES, last_line))
            bare = re.sub(r'"[^"]*"', "", decoded(first.partition(b"\n")[0], self.title, self.header))
            if "," not in bare and (delimiter := next((sign for sign in DELIMITERS if sign in bare), None)):
                self.separator, self.form = delimiter, (*self.form, delimiter)
                divided = f"{self.title}: its fields are divided by {delimiter!r}, as its header shows"
                self.notes = (*self.notes, f"{divided}; data.delimiter names another")
        data, _ = next(self._blocks(GLANCE_BYTES, self._cut))
        header = decoded(data[: self._ends(data, self.header)[0] + 1], self.title, self.header).rstrip("\r\n")
        try:
            fields = next(csv.reader([header], delimiter=self.separator), []) if quoted else None
            self.columns = tuple(header.split(self.separator) if fields is None else fields)
        except csv.Error as error:
            raise DataError(f"{self.title} line {self.header}: the header cannot be read ({error}); mend it") from error
        if not header.strip():
            which = "the first line must name the columns, or data.header says which line does"
            raise DataError(f"{self.title} line {self.header} is blank; {which}")
        if quoted:
            self.csv_dialect = Dialect(delimiter=self.separator, decimal=dialect.decimal)
        if self.separator == "," and ";" in "".join(self.columns):
            self.advice = "; where ';' divides them set data.delimiter: ';'"
        advice = ""
        if (named := self._named(data)) is not None:
            advice = title_advice(self.header, "line", named)
            self.advice += advice
            self.notes = (*self.notes, f"{self.title}: line {self.header} names one column alone{advice}")
        demand_distinct(self.columns, f"{self.title} line {self.header}: the header names column", advice)
        if next(self._records(GLANCE_BYTES), None) is None:
            header = ", ".join(self.columns)
            self.no_rows = f"{self.title} has a header ({header}) and no rows; give a file with at least one row"

    def _blocks(self, size: int, cut: Callable[[bytes, int], int]) -> Iterator[tuple[bytes, int]]:
        encoding = self.dialect.encoding
        return line_blocks(
            self.path, self.title, size=size, cut=cut, encoding=encoding, most=RECORD_BYTES, first=self.header
        )

    def _named(self, data: bytes) -> int | None:
        """The line that may name the columns, where the header seems to be a title."""
        lines = decoded(data, self.title, self.header).splitlines()[1 : 1 + LOOKED_AT]
        signs = self.separator if len(self.columns) > 1 else DELIMITERS if self.quoted else ""
        if len(self.columns) > 1 and not is_title(self.columns):
            return None
        for sign in signs:
            # Of one column alone: what divides all lines below it alike.
            counts = {line.count(sign) for line in lines if line.strip()}
            if len(self.columns) > 1 or (len(counts) == 1 and counts != {0} and len(lines) >= SURE):
                return named_in((self.header + at, line.split(sign)) for at, line in enumerate(lines, 1))
        return None

    def _records(self, size: int) -> Iterator[tuple[bytes, int]]:
        """Blocks of whole records after the header, each with the number of its first line."""
        for data, line in self._blocks(size, self._cut):
            if line == self.header:
                end = self._ends(data, line)[0] + 1
                data, line = data[end:], line + data.count(b"\n", 0, end)
            if data:
                yield data, line

    def _wrong(self, data: bytes, line: int, place: int, problem: str) -> DataError:
        """What is wrong at a place of a block whose first line has this number."""
        at = line + data.count(b"\n", 0, place)
        return DataError(f"{self.title} line {at}{problem}")

    def _quotes(self, data: bytes, line: int) -> np.ndarray:
        """The places of quotes: each even one opens a field or doubles the quote before it, or it is an error."""
        if not self.quoted or b'"' not in data:
            return np.empty(0, dtype=np.int64)
        raw, separator = np.frombuffer(data, np.uint8), ord(self.separator)
        quotes = np.flatnonzero(raw == QUOTE)
        opening, closing = quotes[::2], quotes[1::2]
        closing = closing[closing + 1 < len(raw)]
        stray = np.concatenate([
            opening[(opening > 0) & ~np.isin(raw[opening - 1], (separator, NEWLINE, QUOTE))],
            closing[~np.isin(raw[closing + 1], (separator, NEWLINE, RETURN, QUOTE))],
        ])  # fmt: skip
        if len(stray):
            problem = (
                ': a quote (") inside a field; in csv, quote the whole field and double the quotes inside it, or give '
                "the file as tsv, where quotes mean nothing"
            )
            raise self._wrong(data, line, int(stray.min()), problem)
        return quotes

    def _outside(self, data: bytes, sign: int, quotes: np.ndarray) -> np.ndarray:
        """The places of a sign outside quotes."""
        places = np.flatnonzero(np.frombuffer(data, np.uint8) == sign)
        return places[np.searchsorted(quotes, places) % 2 == 0] if len(quotes) else places

    def _ends(self, data: bytes, line: int) -> np.ndarray:
        """The newlines that end a record."""
        quotes = self._quotes(data, line)
        ends = self._outside(data, NEWLINE, quotes)
        if len(quotes) % 2 and (not len(ends) or data.endswith(b"\n") and ends[-1] != len(data) - 1):
            problem = ': a quote (") opens a field here and is never closed; close it'
            raise self._wrong(data, line, int(quotes[-1]), problem)
        return ends

    def _cut(self, data: bytes, line: int) -> int:
        quotes = self._quotes(data, line)
        if not len(quotes):
            return data.rfind(b"\n") + 1
        ends = self._outside(data, NEWLINE, quotes)
        if not len(ends) and len(data) >= RECORD_BYTES:
            problem = f': a quote (") opens a field of more than {RECORD_BYTES >> 20} MB; close it'
            raise self._wrong(data, line, int(quotes[-1]), problem)
        return int(ends[-1]) + 1 if len(ends) else 0

    def _lines(self, data: bytes, line: int) -> Numbers:
        """The line on which each record begins, once all records are known to have as many fields as the header."""
        raw, ends = np.frombuffer(data, np.uint8), self._ends(data, line)
        starts = np.concatenate([[0], ends[:-1] + 1])
        separators = self._outside(data, ord(self.separator), self._quotes(data, line))
        fields = np.diff(np.searchsorted(separators, ends), prepend=0) + 1
        wrong = np.flatnonzero(fields != len(self.columns))
        size = ends[wrong] - starts[wrong]
        wrong = wrong[(size > 1) | ((size == 1) & (raw[starts[wrong]] != RETURN))]
        if len(wrong):
            count, start = int(fields[wrong[0]]), int(starts[wrong[0]])
            at = line + data.count(b"\n", 0, start)
            # Where the first of all rows has other fields than the header, the header may be none.
            is_first = line - self.header <= LOOKED_AT and not data[:start].strip()
            title = title_advice(self.header, "line", at) if is_first else ""
            problem = (
                f" has {count} field{'s' * (count != 1)}, and the header names {len(self.columns)} "
                f"({', '.join(self.columns)}){self.advice}{title}; "
                + (
                    f"quote a field that holds {self.separator!r}"
                    if self.quoted
                    else f"a field of a tsv file cannot hold {self.separator!r}"
                )
                + ", and write an empty field for a missing value"
            )
            raise self._wrong(data, line, start, problem)
        if data.count(b"\n") == len(ends):
            return range(line, line + len(ends))
        return line + np.searchsorted(np.flatnonzero(raw == NEWLINE), starts)

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        for data, line in self._records(BLOCK_BYTES):
            decoded(data, self.title, line)
            lines = self._lines(data, line)
            cells: dict[str, list[Any]] = {}
            if columns:
                import polars

                # Of a block that begins with a blank line Polars would see one column.
                blank = data.startswith((b"\n", b"\r\n"))
                try:
                    frame = polars.read_csv(
                        self.separator.encode() * (len(self.columns) - 1) * blank + data,
                        has_header=False,
                        separator=self.separator,
                        quote_char='"' if self.quoted else None,
                        schema=dict.fromkeys(self.columns, polars.String),
                        columns=[self.columns.index(column) for column in dict.fromkeys(columns)],
                        infer_schema=False,
                    )
                except polars.exceptions.PolarsError as error:
                    last = line + data.count(b"\n") - 1
                    raise DataError(
                        f"{self.title} lines {line} to {last}: Polars cannot read them ({error}); mend them"
                    ) from error
                assert frame.height == len(lines), f"Polars reads {frame.height} rows of {len(lines)}"
                cells = {column: frame[column].fill_null("").to_list() for column in columns}
            yield Block(self.name, "line", lines, cells, True, self.dialect.numerals)


class JsonLines(FileSource):
    """One JSON object per line; a key that a line does not have is a missing value."""

    form = ("jsonl",)

    def __init__(self, path: Path, shown: str, where: str, dialect: Dialect):
        super().__init__(path, shown, where, dialect)
        self._scan = json.JSONDecoder().raw_decode
        data, line = next(self._blocks(GLANCE_BYTES))
        first = decoded(data, self.title, line).split("\n", 1)[0]
        if first.strip() and self._row(first, line):
            json.loads(first, object_pairs_hook=self._demand_distinct)
        self.columns = self._keys(data, line)

    def _blocks(self, size: int) -> Iterator[tuple[bytes, int]]:
        return line_blocks(self.path, self.title, size=size, encoding=self.dialect.encoding, most=RECORD_BYTES)

    def _demand_distinct(self, pairs: list[tuple[str, Any]]) -> None:
        demand_distinct((key for key, _ in pairs), f"{self.title} line 1 has the key")

    def _keys(self, data: bytes, line: int) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key for row in self._rows(data, line) for key in row))

    def _row(self, text: str, line: int) -> dict[str, Any]:
        place = f"{self.title} line {line}"
        try:
            row = json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{place} is no JSON: {error.msg} at character {error.pos + 1}; "
                'each line must be one whole object, such as {"de": "Hund", "en": "dog"}'
            ) from error
        except ValueError as error:
            raise DataError(f"{place} holds a number that is too long ({error}); write it as a string") from error
        except RecursionError as error:
            raise DataError(f"{place} is nested too deeply; each line must be one flat object") from error
        if not isinstance(row, dict):
            raise DataError(f"{place} is a JSON {type(row).__name__}; each line must be one object {{column: value}}")
        return row

    def _rows(self, data: bytes, line: int) -> list[dict[str, Any]]:
        texts = decoded(data, self.title, line).split("\n")
        texts.pop()
        rows = []
        for at, text in enumerate(texts):
            try:
                row, end = self._scan(text)
            except (ValueError, RecursionError):
                row, end = None, -1
            # What is not one object from end to end is looked at again, for its mistake or its spaces.
            whole = end == len(text) and type(row) is dict
            rows.append(row if whole else self._row(text, line + at) if text and not text.isspace() else {})
        return rows

    def occurs_later(self, column: str) -> bool:
        return any(column in self._keys(*block) for block in self._blocks(BLOCK_BYTES))

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        for data, line in self._blocks(BLOCK_BYTES):
            rows = self._rows(data, line)
            cells = {column: [row.get(column) for row in rows] for column in columns}
            if b"\\ud" in data or b"\\uD" in data:
                self._check_surrogates(cells, line)
            yield Block(self.name, "line", range(line, line + len(rows)), cells, False)

    def _check_surrogates(self, cells: dict[str, list[Any]], line: int) -> None:
        for column, values in cells.items():
            for at, value in enumerate(values):
                if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
                    raise DataError(
                        f"{self.title} line {line + at}: '{column}' holds half of a surrogate pair, which is no "
                        "Unicode text; write the whole pair, or the character itself"
                    )


class Parquet(FileSource):
    """A parquet file."""

    form = ("parquet",)
    is_text = False

    def __init__(self, path: Path, shown: str, where: str, dialect: Dialect):
        import polars

        super().__init__(path, shown, where, dialect)
        if path.suffix.lower() == ".gz":
            raise DataError(
                f"{self.title} is parquet within gzip; parquet is compressed already, so unpack it with `gunzip`"
            )
        try:
            schema = polars.read_parquet_schema(path)
        except (polars.exceptions.PolarsError, OSError) as error:
            raise DataError(f"{self.title} is no whole parquet file ({error}); write or fetch it again") from error
        self.columns = tuple(schema)
        self.lists = [column for column, kind in schema.items() if isinstance(kind, (polars.List, polars.Array))]
        if not self.num_rows:
            self.no_rows = f"{self.title} has no rows in it; give a file with at least one row"

    @functools.cached_property
    def num_rows(self) -> int:
        import polars

        return polars.scan_parquet(self.path).select(polars.len()).collect().item()

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        import polars

        wanted = list(dict.fromkeys(columns))
        lists = [column for column in wanted if column in self.lists]
        start, size = 0, min(LIST_ROWS, PARQUET_ROWS) if lists else PARQUET_ROWS
        while start < self.num_rows:
            size = min(size, self.num_rows - start)
            try:
                frame = polars.scan_parquet(self.path).select(wanted).slice(start, size).collect() if wanted else None
            except (polars.exceptions.PolarsError, OSError) as error:
                raise DataError(
                    f"{self.title} rows {start + 1} to {start + size}: damaged ({error}); write or fetch the file again"
                ) from error
            values = sum((_values(frame[column]) for column in lists), np.zeros(size, np.int64))
            for begin, end in _cut(values, BLOCK_VALUES):
                cells = {column: frame[column][begin:end].to_list() for column in columns}
                yield Block(self.name, "row", range(start + begin + 1, start + end + 1), cells, False)
            start += size
            if lists:
                size = min(PARQUET_ROWS, max(1, LIST_VALUES * size // max(1, int(values.sum()))))


def _values(column: polars.Series) -> np.ndarray:
    """Values in each list of a column, those of lists within it together."""
    import polars

    if isinstance(column.dtype, polars.Array):
        column = column.arr.to_list()
    if isinstance(column.dtype.inner, polars.Array):
        column = column.cast(polars.List(polars.List(column.dtype.inner.inner)))
    nested = isinstance(column.dtype.inner, polars.List)
    counts = column.list.eval(polars.element().list.len()).list.sum() if nested else column.list.len()
    return counts.fill_null(0).to_numpy().astype(np.int64)


def _cut(values: np.ndarray, most: int) -> Iterator[tuple[int, int]]:
    """(begin, end) of rows one after the other that hold so many values together at most, or are one row."""
    ends = np.cumsum(values)
    begin = 0
    while begin < len(values):
        before = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield begin, end
        begin = end
