"""A folder with a manifest: a table some of whose columns name files, whose content fills the rows."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ostinato import registry
from ostinato.data.contract import Block, Source
from ostinato.data.lines import BLOCK_BYTES, file_digest, text_blocks
from ostinato.errors import DataError, closest, shown
from ostinato.raw.numbers import as_number

MARK = ":file"
"""What the name of a column ends in whose cells are paths."""
TEXT, NUMBERS, LIST, ARRAY = ".txt", {".csv": ",", ".tsv": "\t"}, ".json", ".npy"
UNPACKED = (TEXT, *NUMBERS, LIST)
READ = f"{', '.join(UNPACKED)} (also .gz) and {ARRAY}"


class Manifest(Source):
    """The rows of a table; a column `NAME:file` gives the column NAME, each cell the content of the file that it names.

        .txt         a text, without its last line break
        .csv, .tsv   numbers: a step a line, a channel a column; a first line without a number names the channels
        .json        a list
        .npy         an array (steps,) or (steps, channels)
        others       bytes, where a modality lists the ending in its `file_endings`; the path, where what reads such
                     files may find one too long to be held (`Modality.by_path`)

    Paths are relative to the manifest and stay in its folder. A file is read when its row is, and again in each pass.

    Args:
        table: the manifest's rows.
        folder: its path.
        where: the path in the recipe that named it.
        text_ending: of further files that are texts.
        encoding: of all texts; None: of each what is detected.
        each: the column of files by which rows are named, and not by their lines in the manifest.
        names: whether a cell that would be bytes is the file's name.

    Errors:
        DataError: two columns of one name; and in a pass a file that is missing, outside the folder, of no known form,
            or damaged.
    """

    def __init__(
        self,
        table: Source,
        folder: Path,
        where: str,
        text_ending: str = TEXT,
        encoding: str | None = None,
        each: str | None = None,
        names: bool = False,
    ):
        self.names = names
        self.each = each
        self.table, self.folder, self.where, self.text_ending = table, folder.resolve(), where, text_ending
        self.encoding, self.notes, self.no_rows = encoding, table.notes, table.no_rows
        self.columns = tuple(column.removesuffix(MARK) for column in table.columns)
        self.name = table.name
        for column in self.columns:
            if not column or self.columns.count(column) > 1:
                clash = (
                    f"'{column}' exists beside '{column}{MARK}'" if column else f"'{MARK}' has no name before the colon"
                )
                raise DataError(f"{where}: {self.name}: the column {clash}; rename one of them")

    def named(self) -> Source:
        return Manifest(self.table, self.folder, self.where, self.text_ending, self.encoding, self.each, names=True)

    def occurs_later(self, column: str) -> bool:
        return self.table.occurs_later(column) or self.table.occurs_later(column + MARK)

    def _own(self, columns: Sequence[str]) -> dict[str, str]:
        """The manifest's own names of columns."""
        own, marked = self.table.columns, {column: column + MARK for column in columns}
        return {
            column: name if column not in own and (name in own or self.table.occurs_later(name)) else column
            for column, name in marked.items()
        }

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        own = self._own(columns)
        files = [column for column, name in own.items() if name.endswith(MARK)]
        names = [] if self.each is None else [self.each + MARK]
        for block in self.table.blocks(tuple(dict.fromkeys([*own.values(), *names]))):
            for name in names:
                block = replace(block, unit="file", lines=block.columns[name])
            cells = {column: block.columns[name] for column, name in own.items()}
            begin, size = 0, 0
            read: dict[str, list[Any]] = {column: [] for column in files}
            for row in range(len(block)) if files else ():
                for column in files:
                    file = self._file(block, row, column)
                    read[column].append(file and self._content(*file))
                    size += file[0].stat().st_size if file else 0
                # Many rows of a manifest fit into a block, and not all of their files.
                if size >= BLOCK_BYTES or row == len(block) - 1:
                    part = slice(begin, row + 1)
                    kept = {column: read[column] if column in read else list(cells[column][part]) for column in own}
                    yield replace(block, lines=block.lines[part], columns=kept)
                    begin, size, read = row + 1, 0, {column: [] for column in files}
            if not files:
                yield replace(block, columns=cells)

    def _file(self, block: Block, row: int, column: str) -> tuple[Path, str] | None:
        """The file that a cell names, and what an error calls it; None where the cell is empty."""
        cell = block.columns[column + MARK][row]
        if cell is None or cell == "":
            return None
        place = f"{self.where}: {block.place(row)}" + f", column '{column}{MARK}'" * (self.each is None)
        if not isinstance(cell, str):
            raise DataError(f"{place}: a path is needed, not {shown(cell)}")
        path = (self.folder / cell).resolve()
        if not path.is_relative_to(self.folder):
            raise DataError(
                f"{place}: {cell} lies outside the manifest's folder; name files in it, by paths relative to the "
                "manifest"
            )
        if _kind(path, self.text_ending) not in (*UNPACKED, ARRAY, *endings()):
            others = f"; for some modalities {', '.join(endings())}" if endings() else ""
            raise DataError(f"{place}: {cell} is of no kind that is read here: {READ}{others}")
        if not os.path.isfile(path):
            beside = [neighbour.name for neighbour in path.parent.iterdir()] if os.path.isdir(path.parent) else []
            raise DataError(
                f"{place}: there is no file {cell}{closest(path.name, beside)}; paths are relative to the manifest's "
                f"folder {self.folder}"
            )
        return path, place if self.each is not None else f"{place}: {path.relative_to(self.folder)}"

    def _content(self, path: Path, title: str) -> Any:
        if self.names and _kind(path, self.text_ending) not in (*UNPACKED, ARRAY):
            return path.relative_to(self.folder).as_posix()
        return _content(path, title, self.text_ending, self.encoding)

    def digest(self, columns: Sequence[str]) -> str:
        own = self._own(columns)
        files = [column for column, name in own.items() if name.endswith(MARK)]
        content = hashlib.sha256()
        for block in self.table.blocks(tuple(own[column] for column in files)):
            for row in range(len(block)):
                for column in files:
                    file = self._file(block, row, column)
                    content.update(file_digest(file[0]).encode() if file else b"-")
        named = [] if self.encoding is None else [self.encoding]
        return json.dumps(["manifest", self.table.digest(tuple(own.values())), files, content.hexdigest(), *named])


@functools.cache
def endings() -> tuple[str, ...]:
    """Of files that modalities read themselves."""
    members = (registry.component("modalities", name) for name in registry.names("modalities"))
    return tuple(sorted({ending for member in members for ending in member.file_endings}))


@functools.cache
def _readers(ending: str) -> list[Any]:
    """The modalities that read files of this ending."""
    members = (registry.component("modalities", name) for name in registry.names("modalities"))
    return [member for member in members if ending in member.file_endings]


def rows_of_file(name: str) -> str | None:
    """What divides the rows of a file of text that some modality reads, as `data.rows` has it; None: lines do."""
    kind = Path(name.lower().removesuffix(".gz")).suffix
    members = (registry.component("modalities", other) for other in registry.names("modalities"))
    return next((member.file_rows[kind] for member in members if kind in member.file_rows), None)


def _kind(path: Path, text_ending: str) -> str:
    """The ending that tells a file's kind; text alone is unpacked."""
    name = path.name.lower()
    unpacked = Path(name.removesuffix(".gz")).suffix
    unpacked = TEXT if unpacked == text_ending else unpacked
    return unpacked if unpacked in UNPACKED else Path(name).suffix


def _content(path: Path, title: str, text_ending: str, encoding: str | None) -> Any:
    kind = _kind(path, text_ending)
    if kind == ARRAY:
        return _array(path, title)
    if kind not in UNPACKED:
        return path if all(member.by_path(path) for member in _readers(kind)) else path.read_bytes()
    blocks = text_blocks(path, title, size=BLOCK_BYTES, encoding=encoding) if path.stat().st_size else ()
    text = "\n".join(line for lines, _ in blocks for line in lines)
    if kind == TEXT:
        return text
    return _list(text, title) if kind == LIST else _numbers(text, NUMBERS[kind], title)


def _array(path: Path, title: str) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError) as why:
        raise DataError(f"{title} is no whole array of numbers ({why}); write it again with numpy.save") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or array.ndim not in (1, 2):
        shown = f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else "several arrays"
        raise DataError(f"{title} holds {shown}; real numbers of shape (steps,) or (steps, channels) are needed")
    return array


def _list(text: str, title: str) -> list[Any]:
    try:
        items = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as why:
        raise DataError(f"{title} is no JSON: {why}; give a list, such as [1, 2.5, null]") from None
    if not isinstance(items, list):
        raise DataError(f"{title} holds a JSON {type(items).__name__}; a list is needed, an item for each step")
    return items


def _numbers(text: str, separator: str, title: str) -> list[list[float | None]]:
    """A step a line; a first line without a number is the header."""
    rows = [line.split(separator) for line in text.split("\n")] if text else []
    steps: list[list[float | None]] = []
    for number, cells in enumerate(rows, 1):
        if len(cells) != len(rows[0]):
            raise DataError(
                f"{title} line {number} has {len(cells)} cells, and the first line {len(rows[0])}; all steps need as "
                "many"
            )
        if number == 1 and not any(map(_is_number, cells)):
            continue
        try:
            steps.append([as_number(cell) for cell in cells])
        except DataError as why:
            raise DataError(f"{title} line {number}: {why}") from None
    return steps


def _is_number(cell: str) -> bool:
    """Whether a cell is a number, or the sign of a missing one."""
    try:
        as_number(cell)
    except DataError:
        return False
    return True
