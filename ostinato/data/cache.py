"""The cache: every example encoded once, in memory-mapped files under a key made from all that decides their
content."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from itertools import chain, repeat
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch

from ostinato.data.contract import Block, Numbers
from ostinato.data.lines import file_digest
from ostinato.data.read import Table, raw_values
from ostinato.errors import DataError
from ostinato.files import explained, sync
from ostinato.modalities.contract import Modality
from ostinato.notes import Alike
from ostinato.steps import Layout, Steps

FORMAT = 1
"""Part of every key: raise it when the files, or what a modality makes of the same facts, change."""
NUMBERED = "unknown symbols numbered by"
"""Part of the key of a column where they are."""
ABANDONED_SECONDS = 3600
PARTS = ("values", "offsets", "missing")
"""The files of one column: its steps, where each row begins among them, and the rows without a value."""


class LeftOut(NamedTuple):
    """Rows that cannot be used, for one reason.

    Args:
        count: how many.
        first: the place of the first, such as `file.tsv line 17`.
        missing: the column that has no cell there; None: another reason.
    """

    count: int
    first: str
    missing: str | None = None


class Dataset:
    """Encoded examples, mapped from files: what is not asked for takes no memory.

    Shapes:
        lengths[name]  (rows,) int64, 0 where the cell is empty or missing

    Args:
        folder: one entry of the cache, by position.
        table: what it was encoded from; it tells the places of rows, by position.
    """

    def __init__(self, folder: Path, table: Table):
        self.folder, self.table = folder, table
        kept = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
        self.num_rows: int = kept["num_rows"]
        self._remarks = {name: Alike(said) for name, said in kept.get("remarks", {}).items()}  # not in older entries
        self._arrays = {(name, part): _mapped(*file) for name, part, *file in _files(folder, kept)}

    @cached_property
    def lengths(self) -> dict[str, np.ndarray]:
        return {name: np.diff(array) for (name, part), array in self._arrays.items() if part == "offsets"}

    def steps(self, name: str, rows: Numbers, first: Any = 0, last: np.ndarray | None = None) -> Steps:
        """One column of these rows as a batch, in their order: symbols (N,) int64, or values (N, C) float32.

        Args:
            first: of each row, the first step that is taken.
            last: of each row, the step after the last one that is taken; None: all are.
        """
        values, offsets = self._arrays[name, "values"], self._arrays[name, "offsets"]
        rows = np.asarray(rows, dtype=np.int64)
        starts = offsets[rows] + first
        lengths = (offsets[rows + 1] if last is None else offsets[rows] + last) - starts
        ends = np.cumsum(lengths)
        index = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)
        return to_steps(values[index], lengths)

    def remarks(self) -> Iterator[str]:
        """What is changed of raw values that are unlike the first ones: the place of the first row, and how many."""
        for name, remarks in self._remarks.items():
            yield from remarks.lines(self.table.place, f": {name}: ")

    def present(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Which of these rows hold something in this column."""
        return self.lengths[name][rows] > 0

    def usable(
        self,
        names: Sequence[str],
        *,
        max_steps: int | None,
        any_of: Sequence[Sequence[str]] = (),
        of_any_length: Sequence[str] = (),
        rows: np.ndarray | None = None,
    ) -> tuple[np.ndarray, dict[str, LeftOut]]:
        """The rows to train on, in order, and why others are left out; a row counts under the first reason that
        applies.

        Args:
            names: the columns that must hold something.
            max_steps: most steps of the longest of all these columns; None: any.
            any_of: columns of each of which one must hold something.
            of_any_length: columns to which `max_steps` does not apply.
            rows: look only at these.
        """
        rows = np.arange(self.num_rows) if rows is None else np.asarray(rows, dtype=np.int64)
        left_out: dict[str, LeftOut] = {}

        def leave_out(reason: str, bad: np.ndarray, missing: str | None = None) -> None:
            nonlocal rows
            if bad.any():
                left_out[reason] = LeftOut(int(bad.sum()), self.table.place(int(rows[bad.argmax()])), missing)
                rows = rows[~bad]

        for name in names:
            leave_out(f"{name} is missing", np.isin(rows, self._arrays[name, "missing"]), name)
            leave_out(f"{name} is empty", self.lengths[name][rows] == 0)
        for some in any_of:
            leave_out(f"{', '.join(some)} are all missing", ~np.any([self.present(name, rows) for name in some], 0))
        if max_steps is not None:
            for name in (name for name in (*names, *chain(*any_of)) if name not in of_any_length):
                leave_out(f"{name} is longer than max_steps {max_steps}", self.lengths[name][rows] > max_steps)
        return rows, left_out


def encode(
    table: Table,
    modalities: Mapping[str, Modality],
    columns: Mapping[str, str],
    folder: Path,
    *,
    settings: Mapping[str, Any],
    numbered: Mapping[str, str] = MappingProxyType({}),
) -> Dataset:
    """Every row of a table encoded, from the cache where it is there already, else in one pass over the table.

        key = sha256(format, digest of the table, for each name: its column, its modality's class, settings and facts)

    Args:
        modalities: input or output -> its fitted modality.
        columns: input or output -> the table's column.
        folder: the cache's folder; an entry is the folder `<key>` in it, written beside, synced and then renamed.
        settings: input or output -> its modality's settings as JSON values.
        numbered: input or output -> the input whose unknown symbols have numbers there, row by row
            (`Modality.knowing`); part of the key of these alone.

    Errors:
        DataError: a cell cannot be encoded (with its place), no room is left, or the folder cannot be written.
    """
    facts = {
        name: [columns[name], type(modality).__module__, type(modality).__qualname__, settings[name], modality.facts()]
        for name, modality in modalities.items()
    }
    facts |= {name: [*facts[name], NUMBERED, *facts[source]] for name, source in numbered.items()}
    content = json.dumps([FORMAT, table.digest(), facts], sort_keys=True)
    entry = folder / hashlib.sha256(content.encode()).hexdigest()
    _sweep(folder)
    if not _whole(entry):
        try:
            with explained(folder):
                _write(table, modalities, columns, entry, numbered)
        except DataError as why:
            if isinstance(why.__cause__, OSError):
                raise DataError(f"{why}. Encoded rows are kept there: set OSTINATO_CACHE to another folder") from why
            raise
    return Dataset(entry, table)


def encode_values(
    modality: Modality,
    values: Iterable[Any],
    place: Callable[[int], str] | None = None,
    unknown: Iterable[Sequence[str]] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Raw values encoded one after the other: their steps (N, ...) in the type of `spec.stored`, and lengths (rows,)
    int64.

    A missing value (None) has no steps. The same function serves training and prediction.

    Args:
        place: the place of a value, by its number, for errors; None leaves them as they are.
        unknown: for each value the symbols that the vocabulary lacks and that have numbers of their own
            (`Modality.knowing`); None: none.
    """
    dtype, shape = modality.spec.stored
    nothing = np.empty((0, *shape), dtype)
    arrays: list[np.ndarray] = []
    try:
        for raw, symbols in zip(values, repeat(()) if unknown is None else unknown):
            own = modality.knowing(symbols) if symbols else modality
            arrays.append(nothing if raw is None else own.encode(raw))
    except DataError as error:
        if place is None:
            raise
        raise DataError(f"{place(len(arrays))}: {error}") from error
    lengths = np.fromiter(map(len, arrays), np.int64, len(arrays))
    return np.ascontiguousarray(np.concatenate([nothing, *arrays]), dtype=dtype), lengths


def unknown_symbols(modality: Modality, values: Iterable[Any]) -> Iterator[list[str]]:
    """For each raw value the symbols that the vocabulary lacks; none where it is missing."""
    return ([] if raw is None else modality.unknown_symbols(raw) for raw in values)


def to_steps(values: np.ndarray, lengths: np.ndarray) -> Steps:
    """What `encode_values` gave as a batch: whole numbers as int64, real ones as float32."""
    kind = np.int64 if values.dtype == np.int32 else np.float32
    return Steps(torch.from_numpy(values.astype(kind, copy=False)), Layout(torch.from_numpy(lengths)))


class _Writer:
    """The files of one column, written block by block."""

    def __init__(self, folder: Path, at: int, modality: Modality, stack: ExitStack):
        self.modality = modality
        self.values, self.offsets, self.missing = (
            stack.enter_context((folder / f"{at}.{part}.bin").open("wb")) for part in PARTS
        )
        self.num_steps = self.num_missing = 0
        self.remarks = Alike()
        self.offsets.write(np.zeros(1, np.int64))

    def write(
        self,
        raws: list[Any],
        first_row: int,
        place: Callable[[int], str],
        unknown: Iterable[Sequence[str]] | None = None,
    ) -> None:
        values, lengths = encode_values(self.modality, raws, place, unknown)
        for at, raw in enumerate(raws):
            if raw is not None:
                self.remarks.add(self.modality.remark(raw), first_row + at)
        missing = np.array([first_row + at for at, raw in enumerate(raws) if raw is None], np.int64)
        self.values.write(values)
        self.offsets.write(self.num_steps + np.cumsum(lengths))
        self.missing.write(missing)
        self.num_steps += len(values)
        self.num_missing += len(missing)

    def facts(self) -> dict[str, Any]:
        dtype, shape = self.modality.spec.stored
        return {"dtype": dtype, "shape": shape, "num_steps": self.num_steps, "num_missing": self.num_missing}


def _write(
    table: Table,
    modalities: Mapping[str, Modality],
    columns: Mapping[str, str],
    entry: Path,
    numbered: Mapping[str, str],
) -> None:
    """Encodes into a folder of another name, then gives it its own; whoever is first wins, and all content is equal."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    unfinished = entry.with_name(f"{entry.name}.{uuid.uuid4().hex}.tmp")
    unfinished.mkdir()
    try:
        with ExitStack() as stack:
            writers = {
                name: _Writer(unfinished, at, modality, stack) for at, (name, modality) in enumerate(modalities.items())
            }
            row = 0
            for block in table.blocks():
                for name, writer in writers.items():
                    column, unknown = columns[name], None
                    if name in numbered:
                        source = modalities[numbered[name]]
                        unknown = unknown_symbols(source, raw_values(block, columns[numbered[name]], source))
                    raws = raw_values(block, column, writer.modality)
                    writer.write(raws, row, partial(_cell, block, column), unknown)
                row += len(block)
        facts = {name: writer.facts() for name, writer in writers.items()}
        digests = {path.name: file_digest(path) for path in unfinished.iterdir()}
        remarks = {name: writer.remarks.said for name, writer in writers.items()}
        kept = {"format": FORMAT, "num_rows": row, "columns": facts, "remarks": remarks, "sha256": digests}
        (unfinished / "entry.json").write_text(json.dumps(kept), encoding="utf-8")
        for path in (*unfinished.iterdir(), unfinished):
            sync(path)
        if entry.exists() and not _whole(entry):
            shutil.rmtree(entry)
        try:
            unfinished.rename(entry)
        except OSError:
            # Another process finished the same entry first.
            if not _whole(entry):
                raise
        sync(entry.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _cell(block: Block, column: str, row: int) -> str:
    return f"{block.place(row)}, column '{column}'"


def _whole(entry: Path) -> bool:
    """Whether an entry exists with all its files in their full size and as they were written; an entry of an earlier
    version has no digests."""
    try:
        kept = json.loads((entry / "entry.json").read_text(encoding="utf-8"))
        sizes = {path: np.dtype(dtype).itemsize * math.prod(shape) for _, _, path, dtype, shape in _files(entry, kept)}
        digests = kept.get("sha256", {})
        return all(
            path.exists() and path.stat().st_size == size and digests.get(path.name) in (None, file_digest(path))
            for path, size in sizes.items()
        )
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def _files(folder: Path, kept: Mapping[str, Any]) -> Iterator[tuple[str, str, Path, str, tuple[int, ...]]]:
    """(column, part, path, type, shape) of each file of an entry."""
    for at, (name, column) in enumerate(kept["columns"].items()):
        kinds = (column["dtype"], "int64", "int64")
        shapes = ((column["num_steps"], *column["shape"]), (kept["num_rows"] + 1,), (column["num_missing"],))
        for part, kind, shape in zip(PARTS, kinds, shapes):
            yield name, part, folder / f"{at}.{part}.bin", kind, shape


def _sweep(folder: Path) -> None:
    """Removes what killed processes left of entries: nothing was written there for an hour."""
    for left in folder.glob("*.tmp"):
        try:
            times = [path.stat().st_mtime for path in (left, *left.glob("*"))]
        except OSError:
            continue  # Another process removes or renames it.
        if time.time() - max(times) > ABANDONED_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def _mapped(path: Path, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """The file as a memory-mapped array; as a plain ndarray, which indexes faster than np.memmap's own class."""
    if not math.prod(shape):
        return np.empty(shape, dtype)
    return np.memmap(path, dtype=dtype, mode="r", shape=shape).view(np.ndarray)
