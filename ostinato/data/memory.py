"""Rows that are in memory already: dicts, pandas and Polars frames, Hugging Face data sets; none of these is imported
here."""

from __future__ import annotations

import datetime
import decimal
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import torch

from ostinato.data.contract import BLOCK_VALUES, Block, Source, demand_distinct, values_in
from ostinato.errors import DataError

BLOCK_ROWS = 1 << 14
FIRST_ROWS = 64
"""Rows that are read before anything tells how long lists are."""
LIBRARIES = ("pandas", "polars", "datasets")


def is_frame(source: Any) -> bool:
    """Whether a library's own class holds the rows."""
    return library_class(source) != ("", "")


def is_data_frame(source: Any) -> bool:
    """Whether the rows are a frame of pandas or Polars, in which answers can be given back."""
    return library_class(source)[0] in ("pandas", "polars")


def library_class(source: Any) -> tuple[str, str]:
    """(library, class name) of the first class among the object's own that belongs to a library we know."""
    for kind in type(source).__mro__:
        library = kind.__module__.split(".")[0]
        if library in LIBRARIES:
            return library, kind.__name__
    return "", ""


def frame_like(source: Any, columns: Mapping[str, Sequence[Any]]) -> Any:
    """A frame of the library that `source` is of, with its index where it has one row for each of its rows.

    Other sources give a pandas frame where pandas is installed, else one of Polars.
    """
    library, _ = library_class(source)
    if library != "polars":
        try:
            import pandas
        except ImportError:
            if library == "pandas":
                raise
        else:
            length = max(map(len, columns.values()), default=0)
            index = source.index if library == "pandas" and len(source) == length else None
            return pandas.DataFrame(dict(columns), index=index)
    import polars

    # Polars reads arrays of numpy's times, and no list of them.
    arrays = {
        name: np.array(values, dtype="datetime64[us]")
        if any(isinstance(value, np.datetime64) for value in values)
        else values
        for name, values in columns.items()
    }
    return polars.DataFrame(arrays, strict=False)


class Memory(Source):
    """Rows in memory.

    Args:
        source: a frame, a data set, or an iterable of dicts; an iterator is read into a list once.
        where: the argument or the path in the recipe that it came by.
    """

    def __init__(self, source: Any, where: str):
        library, kind = library_class(source)
        self.where, self.name = where, f"{where} ({library} {kind})" if library else where
        self._cells: Callable[[slice, Sequence[str]], Cells]
        columns: Sequence[Any]
        if (library, kind) in (("polars", "DataFrame"), ("polars", "LazyFrame")):
            frame = source.lazy().collect()
            columns, self.num_rows, self._cells = frame.columns, frame.height, partial(_of_polars, frame)
        elif (library, kind) == ("pandas", "DataFrame"):
            columns, self.num_rows = [str(column) for column in source.columns], len(source)
            self._cells = partial(_of_pandas, source, columns)
        elif (library, kind) == ("datasets", "Dataset"):
            columns, self.num_rows, self._cells = source.column_names, len(source), partial(_of_datasets, source)
        elif library == "datasets" and kind != "IterableDataset":
            raise DataError(f"{where} is a datasets {kind}; give one split of it, such as source['train']")
        elif library in ("polars", "pandas") or isinstance(source, (str, bytes)) or not isinstance(source, Iterable):
            raise DataError(
                f"{where} is a {type(source).__module__}.{type(source).__name__}; give a file, a list of files, "
                "{column: text file}, an iterable of dicts, a pandas or Polars DataFrame, or a Hugging Face Dataset"
            )
        else:
            rows = source if isinstance(source, (list, tuple)) else list(source)
            if rows is not source:
                self.notes = (f"{where}: the {len(rows):,} rows of this {type(source).__name__} are kept in memory",)
            columns, self.num_rows, self._cells = self._keys(rows), len(rows), partial(_of_dicts, rows)
        self.columns = tuple(columns)
        demand_distinct(self.columns, f"{self.name} has column")
        if not self.num_rows:
            self.no_rows = f"{self.name} has no rows; give at least one row"

    def _keys(self, rows: Sequence[Any]) -> list[str]:
        keys: dict[str, None] = {}
        for at, row in enumerate(rows, start=1):
            if not isinstance(row, Mapping):
                raise DataError(
                    f"{self.where} row {at} is a {type(row).__name__}; each row must be a dict {{column: value}}"
                )
            keys.update(dict.fromkeys(row))
        if wrong := [key for key in keys if not isinstance(key, str)]:
            raise DataError(f"{self.where} names a column {wrong[0]!r}; names of columns must be strings")
        return [*keys]

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        for begin, end, cells in self._slices(columns, 0, self.num_rows):
            for column, values in cells.items():
                self._demand_text(column, values, begin)
            yield Block(self.name, "row", range(begin + 1, end + 1), cells, False)

    def _demand_text(self, column: str, values: Sequence[Any], begin: int) -> None:
        """Refuses half of a surrogate pair, which nothing can write to a file."""
        try:
            "".join(value for value in values if isinstance(value, str)).encode()
        except UnicodeEncodeError:
            half = next(
                at for at, value in enumerate(values) if isinstance(value, str) and re.search("[\ud800-\udfff]", value)
            )
            raise DataError(
                f"{self.where} row {begin + 1 + half}, column '{column}': half of a surrogate pair, which"
                " is no Unicode text; write the whole pair, or the character itself"
            ) from None

    def _slices(self, columns: Sequence[str], begin: int, end: int) -> Iterator[tuple[int, int, dict[str, list[Any]]]]:
        """The cells of rows one after the other, with their (begin, end): as few as the lists before them were long,
        since frames make Python's objects of them."""
        size = FIRST_ROWS
        while begin < end:
            stop = min(end, begin + min(size, BLOCK_ROWS))
            cells = self._cells(slice(begin, stop), columns)
            yield begin, stop, cells
            values = sum(map(values_in, chain.from_iterable(cells.values())))
            size = max(1, min(4 * size, BLOCK_VALUES * (stop - begin) // max(1, values)))
            begin = stop

    def digest(self, columns: Sequence[str]) -> str:
        """Of the JSON of {column: cells} of BLOCK_ROWS rows after BLOCK_ROWS rows, made slice by slice: runs have kept
        it."""
        content = hashlib.sha256()
        for begin in range(0, self.num_rows, BLOCK_ROWS):
            end = min(begin + BLOCK_ROWS, self.num_rows)
            for number, column in enumerate(sorted(set(columns))):
                content.update(f"{', ' if number else '{'}{json.dumps(column)}: [".encode())
                for start, _, cells in self._slices([column], begin, end):
                    text = json.dumps(cells[column], default=self._plain, sort_keys=True)[1:-1]
                    content.update(f"{', ' if start > begin else ''}{text}".encode())
                content.update(b"]")
            content.update(b"}" if columns else b"{}")
        return json.dumps(["memory", content.hexdigest()])

    def _plain(self, value: Any) -> Any:
        """What json.dumps hashes in place of a value that it does not know."""
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, torch.Tensor):
            value = value.numpy(force=True)
        if isinstance(value, np.ndarray) and value.dtype != object:
            return [str(value.dtype), value.shape, hashlib.sha256(np.ascontiguousarray(value)).hexdigest()]
        if isinstance(value, np.ndarray):
            return value.tolist()
        if isinstance(value, (bytes, bytearray)):
            return ["bytes", hashlib.sha256(value).hexdigest()]
        if isinstance(value, (datetime.date, datetime.time)):
            return [type(value).__name__, value.isoformat()]
        if isinstance(value, decimal.Decimal):
            return ["decimal", str(value)]
        if isinstance(value, datetime.timedelta):
            return ["timedelta", value.total_seconds()]
        raise DataError(
            f"{self.name} holds a value of type {type(value).__module__}.{type(value).__name__}; "
            "give text, numbers, dates, bytes, lists, dicts, numpy arrays or tensors"
        )


Cells = dict[str, list[Any]]


def _of_polars(frame: Any, rows: slice, columns: Sequence[str]) -> Cells:
    return {column: frame[column][rows].to_list() for column in columns}


def _of_pandas(frame: Any, names: Sequence[str], rows: slice, columns: Sequence[str]) -> Cells:
    """The several kinds of missing value become None."""
    cells = {}
    for column in columns:
        series = frame.iloc[rows, names.index(column)]
        if str(series.dtype).startswith("period"):
            series = series.astype("str").where(series.notna())
        cells[column] = [None if missing else cell for cell, missing in zip(series.tolist(), series.isna().tolist())]
    return cells


def _of_datasets(dataset: Any, rows: slice, columns: Sequence[str]) -> Cells:
    part = dataset[rows]
    return {column: list(part[column]) for column in columns}


def _of_dicts(dicts: Sequence[Mapping[str, Any]], rows: slice, columns: Sequence[str]) -> Cells:
    part = dicts[rows]
    return {column: [row.get(column) for row in part] for column in columns}
