"""The cache: every example encoded once, in memory-mapped files under a key made from all that decides their
content."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ostinato.data.contract import Block
from ostinato.data.read import Table, raw_values
from ostinato.errors import DataError
from ostinato.modalities.contract import Modality
from ostinato.steps import Layout, Steps

FORMAT = 1
"""Part of every key: raise it when the files, or what a modality makes of the same facts, change."""
ABANDONED_SECONDS = 3600
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_RIGHT = (errno.EROFS, errno.EACCES, errno.EPERM)


class LeftOut(NamedTuple):
    """Rows that cannot be used, for one reason.

    Args:
        count: how many.
        first: the place of the first, such as `file.tsv line 17`.
    """

    count: int
    first: str


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
        self._values, self._offsets, self._missing = {}, {}, {}
        for at, (name, column) in enumerate(kept["columns"].items()):
            self._values[name] = _mapped(
                folder / f"{at}.values.bin", column["dtype"], (column["num_steps"], *column["shape"])
            )
            self._offsets[name] = _mapped(folder / f"{at}.offsets.bin", "int64", (self.num_rows + 1,))
            self._missing[name] = _mapped(folder / f"{at}.missing.bin", "int64", (column["num_missing"],))

    @cached_property
    def lengths(self) -> dict[str, np.ndarray]:
        return {name: np.diff(offsets) for name, offsets in self._offsets.items()}

    def mapped(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The steps of all rows of one column, one after the other, and where each row begins; both memory-mapped."""
        return self._values[name], self._offsets[name]

    def steps(self, name: str, rows: Sequence[int] | np.ndarray) -> Steps:
        """One column of these rows as a batch, in their order: symbols (N,) int64, or values (N, C) float32."""
        rows = np.asarray(rows, dtype=np.int64)
        starts = self._offsets[name][rows]
        lengths = self._offsets[name][rows + 1] - starts
        ends = np.cumsum(lengths)
        index = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)
        return to_steps(self._values[name][index], lengths)

    def present(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Which of these rows hold something in this column."""
        return self.lengths[name][rows] > 0

    def usable(
        self, names: Sequence[str], *, max_steps: int | None, any_of: Sequence[str] = (), rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, dict[str, LeftOut]]:
        """The rows to train on, in order, and why others are left out; a row counts under the first reason that
        applies.

        Args:
            names: the columns that must hold something.
            max_steps: most steps of the longest of all these columns; None: any.
            any_of: columns of which one must hold something.
            rows: look only at these.
        """
        rows = np.arange(self.num_rows) if rows is None else np.asarray(rows, dtype=np.int64)
        left_out: dict[str, LeftOut] = {}

        def leave_out(reason: str, bad: np.ndarray) -> None:
            nonlocal rows
            if bad.any():
                left_out[reason] = LeftOut(int(bad.sum()), self.table.place(int(rows[bad.argmax()])))
                rows = rows[~bad]

        for name in names:
            leave_out(f"{name} is missing", np.isin(rows, self._missing[name]))
            leave_out(f"{name} is empty", self.lengths[name][rows] == 0)
        if any_of:
            leave_out(f"{', '.join(any_of)} are all missing", ~np.any([self.present(name, rows) for name in any_of], 0))
        if max_steps is not None:
            for name in (*names, *any_of):
                leave_out(f"{name} is longer than max_steps {max_steps}", self.lengths[name][rows] > max_steps)
        return rows, left_out


def encode(
    table: Table,
    modalities: Mapping[str, Modality],
    columns: Mapping[str, str],
    folder: Path,
    *,
    settings: Mapping[str, Any],
) -> Dataset:
    """Every row of a table encoded, from the cache where it is there already, else in one pass over the table.

        key = sha256(format, digest of the table, for each name: its column, its modality's class, settings and facts)

    Args:
        modalities: input or output -> its fitted modality.
        columns: input or output -> the table's column.
        folder: the cache's folder; an entry is the folder `<key>` in it, written beside, synced and then renamed.
        settings: input or output -> its modality's settings as JSON values.

    Errors:
        DataError: a cell cannot be encoded (with its place), no room is left, or the folder cannot be written.
    """
    facts = {
        name: [columns[name], type(modality).__module__, type(modality).__qualname__, settings[name], modality.facts()]
        for name, modality in modalities.items()
    }
    content = json.dumps([FORMAT, table.digest(), facts], sort_keys=True)
    entry = folder / hashlib.sha256(content.encode()).hexdigest()
    if not _whole(entry):
        try:
            _write(table, modalities, columns, entry)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise DataError(f"no room left for the cache in {folder}; free some, or name another folder") from error
            if error.errno in NO_RIGHT:
                problem = f"the cache cannot be written in {folder} ({error.strerror})"
                raise DataError(f"{problem}; name a folder that you may write") from error
            raise
    return Dataset(entry, table)


def encode_values(
    modality: Modality, values: Iterable[Any], place: Callable[[int], str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Raw values encoded one after the other: their steps (N, ...) in the type of `spec.stored`, and lengths (rows,)
    int64.

    A missing value (None) has no steps. The same function serves training and prediction.

    Args:
        place: the place of a value, by its number, for errors; None leaves them as they are.
    """
    dtype, shape = modality.spec.stored
    nothing = np.empty((0, *shape), dtype)
    arrays: list[np.ndarray] = []
    try:
        for raw in values:
            arrays.append(nothing if raw is None else modality.encode(raw))
    except DataError as error:
        if place is None:
            raise
        raise DataError(f"{place(len(arrays))}: {error}") from error
    lengths = np.fromiter(map(len, arrays), np.int64, len(arrays))
    return np.ascontiguousarray(np.concatenate([nothing, *arrays]), dtype=dtype), lengths


def to_steps(values: np.ndarray, lengths: np.ndarray) -> Steps:
    """What `encode_values` gave as a batch: whole numbers as int64, real ones as float32."""
    kind = np.int64 if values.dtype == np.int32 else np.float32
    return Steps(torch.from_numpy(values.astype(kind, copy=False)), Layout(torch.from_numpy(lengths)))


class _Writer:
    """The three files of one column, written block by block."""

    def __init__(self, folder: Path, at: int, modality: Modality):
        self.modality = modality
        self.dtype, self.shape = modality.spec.stored
        self.values, self.offsets, self.missing = (
            (folder / f"{at}.{part}.bin").open("wb") for part in ("values", "offsets", "missing")
        )
        self.num_steps = self.num_missing = 0
        self.offsets.write(np.zeros(1, np.int64))

    def write(self, raws: list[Any], first_row: int, place: Callable[[int], str]) -> None:
        values, lengths = encode_values(self.modality, raws, place)
        missing = np.array([first_row + at for at, raw in enumerate(raws) if raw is None], np.int64)
        self.values.write(values)
        self.offsets.write(self.num_steps + np.cumsum(lengths))
        self.missing.write(missing)
        self.num_steps += len(values)
        self.num_missing += len(missing)

    def close(self) -> None:
        for file in (self.values, self.offsets, self.missing):
            file.close()

    def facts(self) -> dict[str, Any]:
        return {
            "dtype": self.dtype,
            "shape": list(self.shape),
            "num_steps": self.num_steps,
            "num_missing": self.num_missing,
        }


def _write(table: Table, modalities: Mapping[str, Modality], columns: Mapping[str, str], entry: Path) -> None:
    """Encodes into a folder of another name, then gives it its own; whoever is first wins, and all content is equal."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    _sweep(entry)
    unfinished = entry.with_name(f"{entry.name}.{uuid.uuid4().hex}.tmp")
    unfinished.mkdir()
    try:
        with ExitStack() as stack:
            writers: dict[str, _Writer] = {}
            for at, (name, modality) in enumerate(modalities.items()):
                writers[name] = _Writer(unfinished, at, modality)
                stack.callback(writers[name].close)
            row = 0
            for block in table.blocks():
                for name, writer in writers.items():
                    column = columns[name]
                    writer.write(raw_values(block, column, writer.modality), row, partial(_cell, block, column))
                row += len(block)
        kept = {
            "format": FORMAT,
            "num_rows": row,
            "columns": {name: writer.facts() for name, writer in writers.items()},
        }
        (unfinished / "entry.json").write_text(json.dumps(kept), encoding="utf-8")
        for path in (*unfinished.iterdir(), unfinished):
            _sync(path)
        if entry.exists() and not _whole(entry):
            shutil.rmtree(entry)
        try:
            unfinished.rename(entry)
        except OSError:
            # Another process finished the same entry first.
            if not _whole(entry):
                raise
        _sync(entry.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _cell(block: Block, column: str, row: int) -> str:
    return f"{block.place(row)}, column '{column}'"


def _whole(entry: Path) -> bool:
    """Whether an entry exists with all its files in their full size."""
    try:
        kept = json.loads((entry / "entry.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    sizes = {}
    for at, column in enumerate(kept["columns"].values()):
        sizes[f"{at}.values.bin"] = column["num_steps"] * math.prod(column["shape"]) * 4
        sizes[f"{at}.offsets.bin"] = (kept["num_rows"] + 1) * 8
        sizes[f"{at}.missing.bin"] = column["num_missing"] * 8
    return all((entry / name).exists() and (entry / name).stat().st_size == size for name, size in sizes.items())


def _sweep(entry: Path) -> None:
    """Removes what killed processes left of this entry: nothing was written there for an hour."""
    for left in entry.parent.glob(f"{entry.name}.*.tmp"):
        times = [path.stat().st_mtime for path in (left, *left.glob("*"))]
        if time.time() - max(times) > ABANDONED_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _mapped(path: Path, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """The file as a memory-mapped array; as a plain ndarray, which indexes faster than np.memmap's own class."""
    if not math.prod(shape):
        return np.empty(shape, dtype)
    return np.memmap(path, dtype=dtype, mode="r", shape=shape).view(np.ndarray)
