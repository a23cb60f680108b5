"""Tables: rows from files, parallel text files or memory, streamed in blocks as often as wanted, each with its
place."""

from __future__ import annotations

import bisect
import difflib
import functools
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ostinato.data.columns import Conll, Fasta, columns_in
from ostinato.data.contract import PLAIN, Block, Dialect, Rows, Source, values_in
from ostinato.data.files import Delimited, Lines
from ostinato.data.folders import TEXT, files_in, manifest_in
from ostinato.data.kinds import CONLLU, FASTA, FOREIGN, TABLES, ending_of
from ostinato.data.manifest import MARK, Manifest, rows_of_file
from ostinato.data.memory import Memory, is_frame
from ostinato.errors import DataError, nearest

if TYPE_CHECKING:
    from ostinato.modalities.contract import Modality


COLUMNS = re.compile(r"\{\s*([^:{}]+?)\s*:\s*([^{}]+?)\s*\}")
"""The columns of a file in CoNLL's form from left to right, and the file, as a recipe and a command line name them."""
PAIR = re.compile(r"([^:]+?)\s*:\s*(.+?)\s*(?:,\s*(?=[^:,]+:\s)|$)")
"""Each of the columns within these braces, with its file: `de: train.de, en: train.en`."""
KEPT, KEPT_VALUES = 8, 1 << 17
"""How many selections of a column's rows are kept, each of fewer values: what validates is read after each epoch, and
may be a tenth of a file."""
Roots = Path | Sequence[Path] | None


class Table:
    """Some columns of one or more sources, their rows one after the other.

    Args:
        sources: what holds the rows, by position.
        columns: the columns that are read, by position.
        where: the path in the recipe that named the data, by position.

    Errors:
        DataError: a pass over the rows meets a line that breaks the file's form; it names file, line and what to do.
    """

    def __init__(self, sources: Sequence[Source], columns: Sequence[str], where: str):
        self.columns = tuple(columns)
        self.where = where
        self._sources = tuple(sources)
        self._starts: list[int] = []
        self._seen: list[Block] = []
        self._kept: dict[tuple[str, bytes], list[Block]] = {}

    @property
    def notes(self) -> list[str]:
        """What was done that the user did not ask for."""
        return [note for source in self._sources for note in source.notes]

    @property
    def csv_dialect(self) -> Dialect:
        """How csv has to be written to be like its first source."""
        return self._sources[0].csv_dialect

    @property
    def is_text(self) -> bool:
        """Whether cells are fields of text."""
        return next(self.blocks()).text

    def blocks(self) -> Iterator[Block]:
        """All rows in order, in flat memory; may be called again and again."""
        return (block for _, block in self._pass(self.columns))

    def _pass(self, columns: Sequence[str]) -> Iterator[tuple[int, Block]]:
        """(the first row's number, block); keeps where each block begins, so that `place` need not read again."""
        row = 0
        for source in self._sources:
            for block in source.blocks(columns):
                if not self._starts or row > self._starts[-1]:
                    self._starts.append(row)
                    # Line numbers that take room (breaks within quotes) are not kept; such a block is read again
                    # instead.
                    lines = block.lines if isinstance(block.lines, range) else ()
                    self._seen.append(replace(block, lines=lines, columns={}))
                yield row, block
                row += len(block)

    @functools.cached_property
    def num_rows(self) -> int:
        """How many rows there are: counted once, every line checked."""
        return sum(len(block) for _, block in self._pass(()))

    def place(self, row: int) -> str:
        """The place of a row for messages, such as `file.tsv line 17`."""
        at = bisect.bisect_right(self._starts, row) - 1
        if at >= 0 and row - self._starts[at] < len(self._seen[at]):
            return self._seen[at].place(row - self._starts[at])
        for start, block in self._pass(()):
            if row < start + len(block):
                return block.place(row - start)
        raise IndexError(f"no row {row} in a table of {self.num_rows} rows")

    def first(self, count: int) -> dict[str, list[Any]]:
        """The cells of the first `count` rows by column; arrays as lists."""
        first: dict[str, list[Any]] = {name: [] for name in self.columns}
        for block in self.blocks():
            for name, cells in first.items():
                listed = block.columns[name][: count - len(cells)]
                cells += [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in listed]
            if len(cells) == count:
                break
        return first

    def column(self, name: str, rows: Rows = None) -> list[Any]:
        """The cells of one column, unparsed, in row order; of `rows` alone where they are given."""
        return list(self.cells(name, rows))

    def cells(self, name: str, rows: Rows = None) -> Iterator[Any]:
        """What `column` lists, streamed."""
        for block in self._some(name, rows):
            yield from block.columns[name]

    @property
    def advice(self) -> str:
        """What to do where it lacks a column."""
        return self._sources[0].advice

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns that are labels however few rows there are."""
        return self._sources[0].labels

    def named(self) -> Table:
        """The same rows, with the names of files in place of what no table can hold."""
        return Table([source.named() for source in self._sources], self.columns, self.where)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The cells of each row by column, unparsed, streamed."""
        for block in self.blocks():
            for cells in zip(*block.columns.values()):
                yield dict(zip(block.columns, cells))

    def values(self, name: str, modality: Modality, rows: Rows = None) -> Iterator[Any]:
        """The cells of one column as raw values of a modality, None where one is missing, streamed in row order."""
        for block in self._some(name, rows):
            yield from raw_values(block, name, modality)

    def _some(self, name: str, rows: Rows) -> Iterator[Block]:
        """One column in blocks that hold these rows alone, each once; None: all."""
        if rows is None:
            yield from (block for _, block in self._pass((name,)))
            return
        wanted = np.unique(np.asarray(rows, dtype=np.int64))
        key = name, hashlib.sha256(wanted.tobytes()).digest()
        if key in self._kept:
            yield from self._kept[key]
            return
        some: list[Block] = []
        found = room = 0
        for start, block in self._pass((name,)) if len(wanted) else ():
            first, last = np.searchsorted(wanted, (start, start + len(block)))
            if first < last:
                here = (wanted[first:last] - start).tolist()
                lines, cells = ([column[row] for row in here] for column in (block.lines, block.columns[name]))
                part = replace(block, lines=lines, columns={name: cells})
                found += len(part)
                if room < KEPT_VALUES:
                    room += _room(cells)
                    some.append(part)
                # Before the last part is given: who reads several columns side by side asks for nothing after it.
                if found == len(wanted) and room < KEPT_VALUES:
                    self._keep(key, some)
                yield part
                if found == len(wanted):
                    return

    def _keep(self, key: tuple[str, bytes], blocks: list[Block]) -> None:
        """Rows that validation reads again after each epoch; those that were kept first go first."""
        self._kept[key] = blocks
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]

    def digest(self) -> str:
        """The sha256 of what the sources hold; a file is read again only when its size or time has changed."""
        parts = [source.digest(self.columns) for source in self._sources]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _room(cells: Sequence[Any]) -> int:
    """The values of cells of texts, lists and numbers; what may take any room counts as too large to be kept."""
    is_known = all(cell is None or isinstance(cell, (str, int, float, list)) for cell in cells)
    return sum(1 + values_in(cell) for cell in cells) if is_known else KEPT_VALUES


def raw_values(block: Block, name: str, modality: Modality) -> list[Any]:
    """One column of a block as raw values of a modality.

    A field of text is parsed. A string among raw values (JSON, parquet, memory) is kept where the modality would parse
    it to a string, and parsed otherwise: `"a b c"` serves as a list of tokens, and `""` is a missing label or an empty
    text as in a field. Any other cell the modality takes as it is. Each cell is read alike, whatever the others are.
    """
    cells = block.columns[name]
    values: list[Any] = []
    plain = block.numerals.plain if block.numerals is not None and modality.numeric else None
    try:
        for cell in cells:
            is_string = isinstance(cell, str)
            cell = plain(cell) if plain is not None and is_string else cell
            value = modality.parse(cell) if is_string else modality.take(cell)
            values.append(cell if is_string and not block.text and isinstance(value, str) else value)
    except DataError as error:
        raise DataError(f"{block.place(len(values))}, column '{name}': {error}") from error
    return values


def open_table(
    source: Any,
    *,
    columns: Sequence[str] | None,
    base: Path,
    data_root: Roots,
    where: str,
    dialect: Dialect = PLAIN,
    empty: bool = False,
) -> Table:
    """A table from whatever names or holds its rows; of the files only the first rows are read.

    Args:
        source: a file (csv, tsv, jsonl, parquet, conll, conllu, fasta, ts, or text with one example a line; also .gz);
            a list of files, their rows one after the other; a folder with a table called `manifest`, or of texts or
            files that one modality reads, or of one ending, whose columns are `text` and, where they lie in subfolders,
            `label`, the subfolder's name; `{column: file}` of text, whose lines n belong together, or of FASTA, whose
            sequences n do; `{word _ tag: file}`, which names the columns of a file in CoNLL's form from left to right,
            `_` for each that is not read (in both a list of files in place of each file); or data in memory: an
            iterable of dicts, a pandas or Polars frame, a Hugging Face data set.
        columns: the columns to read; None reads all.
        base: the folder that paths are relative to.
        data_root: the folder, or folders in turn, where a path is looked for next, or None.
        where: the path in the recipe, for messages.
        dialect: how files of text are written.
        empty: whether it may have columns and no rows.

    Errors:
        DataError: a file is missing, empty, of no known form, or lacks a column.
    """
    sources = _Opener(columns, base, data_root, where, dialect).sources(as_columns(source))
    for part in sources:
        if part.no_rows and not empty:
            raise DataError(part.no_rows)
    wanted = tuple(dict.fromkeys(columns if columns is not None else sources[0].columns))
    for part in sources:
        for column in wanted:
            if column not in part.columns and not part.occurs_later(column):
                hint = nearest(column, part.columns)
                raise DataError(f"{where}: {part.name} has no column '{column}'{hint}{part.advice}")
    return Table(sources, wanted, where)


class _Opener(NamedTuple):
    """What the sources of a table have in common, as `open_table` takes it."""

    columns: Sequence[str] | None
    base: Path
    data_root: Roots
    where: str
    dialect: Dialect

    def sources(self, source: Any) -> list[Source]:
        if not is_frame(source):
            if isinstance(source, (str, Path)):
                return [self.file(source)]
            if isinstance(source, Mapping):
                return [self.parallel(part) for part in self.parts(source)]
            if isinstance(source, (list, tuple)) and source and all(isinstance(part, (str, Path)) for part in source):
                return [self.file(part) for part in source]
        return [Memory(source, self.where)]

    def found(self, name: str | Path) -> Path:
        return found_file(name, self.base, self.data_root, self.where)

    def parts(self, source: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """`{column: file}` for each place in lists of files: their rows come one after the other."""
        counts = {column: len(files) for column, files in source.items() if isinstance(files, (list, tuple))}
        if not counts:
            return [source]
        if len(counts) < len(source) or len(set(counts.values())) > 1 or 0 in counts.values():
            counted = ", ".join(f"{column} {counts.get(column, 'one that is in no list')}" for column in source)
            raise DataError(
                f"{self.where}: each column needs a list of as many files, and there are: {counted}; file n of one "
                "belongs to file n of all"
            )
        return [dict(zip(source, files)) for files in zip(*source.values())]

    def parallel(self, source: Mapping[str, Any]) -> Source:
        columns, where = self.columns, self.where
        for column, name in source.items():
            if not isinstance(name, (str, Path)):
                raise DataError(
                    f"{where}.{column} is a {type(name).__name__}; {{column: ...}} names one text file per column; "
                    "give data in memory as a list of dicts or a frame"
                )
            kind = ending_of(Path(name))
            if TABLES.get(kind) is Conll or len(column.split()) > 1 and kind != CONLLU:
                if len(source) > 1:
                    raise DataError(
                        f"{where}: '{column}' names the columns of one file in CoNLL's form, and {len(source)} files "
                        "are given; name the columns of one alone, or give each file one column"
                    )
                return Conll(self.found(name), str(name), where, self.dialect, column.split())
            if kind in TABLES and kind not in FASTA:
                raise DataError(
                    f"{where}.{column}: {name} is a table, and {{column: ...}} names text files with one example a "
                    f"line; name the table itself: {where}: {name}"
                )
        missing = [column for column in columns or () if column not in source]
        if missing:
            raise DataError(f"{where} has no column '{missing[0]}'{nearest(missing[0], source)}")
        files = {
            column: (self.found(name), str(name))
            for column, name in source.items()
            if columns is None or column in columns
        }
        if not files:
            raise DataError(f"{where} names no file; give {{column: text file}}")
        for column, (_, name) in files.items():
            _demand_known(name, f"{where}.{column}")
        are_fasta = {ending_of(Path(name)) in FASTA for name in source.values()}
        if len(are_fasta) > 1:
            raise DataError(
                f"{where} names FASTA files beside text with one example a line; give all of them in one form"
            )
        if True in are_fasta:
            return Fasta(files, where, self.dialect)
        return Lines(files, where, self.of_text(source.values()))

    def manifest(self, name: str | Path) -> Source:
        path = self.found(name)
        table = TABLES[ending_of(path)](path, str(name), self.where, self.dialect)
        return Manifest(table, path.parent, self.where, encoding=self.dialect.encoding)

    def file(self, name: str | Path) -> Source:
        where = self.where
        folder = next((place for place in _looked_at(name, self.base, self.data_root) if os.path.exists(place)), None)
        if folder is not None and os.path.isdir(folder):
            manifest = manifest_in(name, folder, where)
            if manifest is not None:
                return self.manifest(manifest)
            return files_in(name, folder, where, self.columns, self.dialect.encoding)
        path, shown, kind = self.found(name), str(name), ending_of(Path(name))
        if kind in TABLES:
            table = TABLES[kind](path, shown, where, self.dialect)
            is_manifest = path.name.startswith("manifest.") and any(column.endswith(MARK) for column in table.columns)
            return self.manifest(name) if is_manifest else table
        _demand_known(shown, where)
        if self.dialect.delimiter is not None:
            return Delimited(path, shown, where, self.dialect, separator=self.dialect.delimiter, quoted=True)
        if self.columns is None or len(set(self.columns)) != 1:
            wanted = "all columns" if self.columns is None else f"{len(self.columns)}"
            names = "" if self.columns is None else f" ({', '.join(self.columns)})"
            first = Lines({TEXT: (path, shown)}, where, self.dialect)
            named = columns_in(next(first.blocks([TEXT])).columns[TEXT])
            advice = f", or name the columns of its lines as CoNLL's: {where}: {{{named}: {shown}}}" if named else ""
            raise DataError(
                f"{where}: {shown} is read as text with one example a line, which gives one column, and {wanted} are "
                f"asked for{names}; give a table ({', '.join(TABLES)}, also .gz) or one text file per column, "
                f"{{column: file}}, or name what divides its columns: data.delimiter{advice}"
            )
        return Lines({self.columns[0]: (path, shown)}, where, self.of_text([shown]))

    def of_text(self, names: Iterable[str | Path]) -> Dialect:
        """The dialect of files of text whose rows are divided as their endings have it, where the user says nothing."""
        rows_by = {rows_of_file(str(name)) for name in names} if self.dialect.rows is None else set()
        return self.dialect._replace(rows=rows_by.pop()) if len(rows_by) == 1 else self.dialect


def _demand_known(name: str, where: str) -> None:
    """What is no table is text, unless its ending is that of neither."""
    kind = ending_of(Path(name))
    advice = next((text for text, kinds in FOREIGN.items() if kind in kinds), None)
    if advice is not None:
        raise DataError(
            f"{where}: {name} is of a kind ({kind}) that is not read; {advice}; read are tables ({', '.join(TABLES)}) "
            "and, with any other ending, text with one example a line, also .gz"
        )


def as_columns(source: Any) -> Any:
    """`{word _ _ tag: file}` or `{de: file, en: file}` in one string as the mapping that it is; all else as it is."""
    named = COLUMNS.fullmatch(source.strip()) if isinstance(source, str) else None
    return dict(PAIR.findall(named[0].strip("{ }"))) if named else source


def is_table(source: str) -> bool:
    """Whether a name is that of a table, or of a folder, or names the columns of a file."""
    # Any text may be asked about; of one that is too long for a name pathlib makes an error.
    return ending_of(Path(source)) in TABLES or os.path.isdir(source) or COLUMNS.fullmatch(source) is not None


def is_data(source: str) -> bool:
    """Whether a name is that of a table or of text rather than of a recipe."""
    return is_table(source) or ending_of(Path(source)) == ".txt" or rows_of_file(source) is not None


def _looked_at(name: str | Path, base: Path, data_root: Roots) -> list[Path]:
    """Where a path may be: in the base folder, then in each of the data roots."""
    path = Path(name).expanduser()
    roots = [data_root] if isinstance(data_root, Path) else list(data_root or ())
    return [base / path] + ([] if path.is_absolute() else [root / path for root in roots])


def existing(name: str, base: Path, data_root: Roots) -> Path | None:
    """The file or folder of this name, looked for as rows are; None where there is none."""
    return next((place.resolve() for place in _looked_at(name, base, data_root) if os.path.exists(place)), None)


def found_file(name: str | Path, base: Path, data_root: Roots, where: str) -> Path:
    """The file of this name, looked for in the base folder and then in the data roots; `where` is the path in the
    recipe.

    Errors:
        DataError: there is none, or it is a folder.
    """
    wanted, places = Path(name), _looked_at(name, base, data_root)
    for place in places:
        if os.path.isdir(place):
            raise DataError(f"{where}: {name} is a folder; name a file in it")
        if os.path.isfile(place):
            return place.resolve()
        if os.path.exists(place):
            raise DataError(
                f"{where}: {name} is a pipe or a device, and rows are read several times; write them into a file"
            )
    looked = " and ".join(str(place) for place in places)
    beside = [path.name for place in places if os.path.isdir(place.parent) for path in place.parent.iterdir()]
    close = difflib.get_close_matches(wanted.name, beside, n=1)
    hint = f"did you mean '{wanted.with_name(close[0])}'? " if close else ""
    root = "" if data_root else ", or name the folder of the data sets with --data-root"
    start = "the folder you are in" if where.startswith("--") else f"the recipe{root}"
    raise DataError(f"{where}: no file {name}; looked at {looked}; {hint}paths are relative to {start}")
