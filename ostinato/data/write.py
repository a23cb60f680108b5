"""Rows to a table file: csv, jsonl or parquet by its ending, whole or absent."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ostinato import files
from ostinato.data.contract import PLAIN, Dialect
from ostinato.data.read import FOREIGN, TABLES
from ostinato.errors import ConfigError

Record = Mapping[str, Any]
"""The cells of a row by column."""
Writer = Callable[[Path, Iterator[Record], Dialect], int]
"""Writes rows into a file and returns how many; csv by the dialect."""


def write_table(path: Path, records: Iterable[Record], where: str = "--output", csv_dialect: Dialect = PLAIN) -> int:
    """Writes rows of the same columns into a new file, or over an old one; returns how many.

    Csv holds texts as they are, quoted where needed, and lists as JSON; jsonl and parquet hold typed values.

    Args:
        path: its ending names the form.
        records: the rows, read once.
        where: the option or argument that named the file.
        csv_dialect: the signs between the fields of csv and before decimals; a comma and a point where it names none.

    Errors:
        ConfigError: the ending is none of a table.
        DataError: the disk refuses it; the old content is intact.
    """
    writer = writer_of(path, where)
    if writer is None:
        raise ConfigError(f"{where} {path}: the ending is that of a text, not of a table; give {', '.join(WRITERS)}")
    with files.replacing(path) as temporary:
        count = writer(temporary, iter(records), csv_dialect)
        files.sync(temporary)
    return count


def writer_of(path: Path, where: str) -> Writer | None:
    """What writes a table with the ending of `path`; None: the ending is that of a text.

    Errors:
        ConfigError: the ending is that of a file which is only read, or close to one of those that are written.
    """
    kind = path.suffix.lower()
    if kind in WRITERS:
        return WRITERS[kind]
    known = {".gz", *TABLES, *(ending for endings in FOREIGN.values() for ending in endings)}
    if not kind or kind in known or difflib.get_close_matches(kind, WRITERS, n=1, cutoff=0.7):
        refusal = f"{where} {path}: no file of this ending is written"
        raise ConfigError(f"{refusal}; give {', '.join(WRITERS)}, or .txt; spreadsheets open .csv")
    return None


def plain(value: Any) -> Any:
    """A raw value as JSON has it: arrays as lists, dates as text."""
    if isinstance(value, Mapping):
        return {key: plain(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(child) for child in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)


def _field(value: Any) -> Any:
    """A value as a field of csv; JSON where it is a list."""
    value = plain(value)
    return files.as_json(value) if isinstance(value, (list, dict)) else value


def _delimited(path: Path, records: Iterator[Record], dialect: Dialect) -> int:
    def field(value: Any) -> Any:
        value = _field(value)
        return str(value).replace(".", decimal) if isinstance(value, float) else value

    count, decimal = 0, dialect.decimal or "."
    with open(path, "w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n", delimiter=dialect.delimiter or ",")
        for count, record in enumerate(records, 1):
            if count == 1:
                lines.writerow(record)
            lines.writerow(map(field, record.values()))
    return count


def _json_lines(path: Path, records: Iterator[Record], _: Dialect) -> int:
    count = 0
    with open(path, "w", encoding="utf-8") as file:
        for count, record in enumerate(records, 1):  # noqa: B007
            file.write(files.as_json(plain(record)) + "\n")
    return count


def _parquet(path: Path, records: Iterator[Record], _: Dialect) -> int:
    import polars

    first = next(records, None)
    rows = [] if first is None else [dict(record) for record in chain((first,), records)]
    columns = {name: [row[name] for row in rows] for name in first or ()}
    polars.DataFrame({name: _typed(cells) for name, cells in columns.items()}).write_parquet(path)
    return len(rows)


def _typed(cells: list[Any]) -> Any:
    """A column of one type; of several types, as a JSON file may have them, texts."""
    import polars

    cells = [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in cells]
    cells = [
        cell.item() if isinstance(cell, np.generic) and not isinstance(cell, np.datetime64) else cell for cell in cells
    ]
    try:
        return polars.Series(cells)
    except (TypeError, polars.exceptions.PolarsError):
        return polars.Series([None if cell is None else str(_field(cell)) for cell in cells])


WRITERS: dict[str, Writer] = {
    ".csv": _delimited,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}
