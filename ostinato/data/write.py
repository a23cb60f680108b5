"""Rows to a table file: csv, jsonl, parquet or xlsx by its ending, whole or absent."""

from __future__ import annotations

import csv
import difflib
import importlib.util
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ostinato import files
from ostinato.data.contract import PLAIN, Dialect
from ostinato.data.kinds import FOREIGN, TABLES
from ostinato.errors import ConfigError, DataError

if TYPE_CHECKING:
    import polars

SHEET_ROWS, CELL_LETTERS = (1 << 20) - 1, (1 << 15) - 1
"""What a sheet of a workbook holds below its header, and each of its cells."""
Record = Mapping[str, Any]
"""The cells of a row by column."""
Writer = Callable[[Path, Iterator[Record], Dialect, Record], int]
"""Writes rows into a file and returns how many; csv by the dialect; where there are none, the columns of a row like
them."""


def write_table(
    path: Path,
    records: Iterable[Record],
    where: str = "--output",
    csv_dialect: Dialect = PLAIN,
    like: Record = MappingProxyType({}),
) -> int:
    """Writes rows of the same columns into a new file, or over an old one; returns how many.

    Csv holds texts as they are, quoted where needed, and lists as JSON; jsonl and parquet hold typed values; xlsx too,
    lists as JSON.

    Args:
        path: its ending names the form.
        records: the rows, read once.
        where: the option or argument that named the file.
        csv_dialect: the signs between the fields of csv and before decimals; a comma and a point where it names none.
        like: a row like those of which there may be none: its columns, their types.

    Errors:
        ConfigError: the ending is none of a table.
        DataError: the disk refuses it, or there is more than a sheet holds; the old content is intact.
    """
    writer = writer_of(path, where)
    if writer is None:
        raise ConfigError(f"{where} {path}: the ending is that of a text, not of a table; give {', '.join(WRITERS)}")
    with files.replacing(path) as temporary:
        count = writer(temporary, iter(records), csv_dialect, like)
        files.sync(temporary)
    return count


def told(path: Path, count: int, csv_dialect: Dialect, source: str) -> str:
    """The line about a table that was written, with the signs of csv where they are other than usual."""
    signs = [(csv_dialect.delimiter, ",", "between fields"), (csv_dialect.decimal, ".", "before decimals")]
    named = [f"{sign!r} {where}" for sign, usual, where in signs if sign not in (None, usual)]
    as_read = f", with {' and '.join(named)} as {source} has" if named and path.suffix.lower() == ".csv" else ""
    return f"{path}: {count:,} row{'s' * (count != 1)}{as_read}"


def writer_of(path: Path, where: str) -> Writer | None:
    """What writes a table with the ending of `path`; None: the ending is that of a text.

    Errors:
        ConfigError: the ending is that of a file which is only read, or close to one of those that are written; or
            what writes it is not installed.
    """
    kind = path.suffix.lower()
    if kind == ".xlsx":
        if importlib.util.find_spec("xlsxwriter") is None:
            raise ConfigError(
                f"{where} {path}: workbooks are written by the extra `excel`: pip install 'ostinato[excel]'; or give"
                " .csv"
            )
        return _sheet
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


def _delimited(path: Path, records: Iterator[Record], dialect: Dialect, like: Record) -> int:
    def field(value: Any) -> Any:
        value = _field(value)
        if isinstance(value, bool):  # as a label of such rows is written
            return "true" if value else "false"
        return str(value).replace(".", decimal) if isinstance(value, float) else value

    count, decimal = 0, dialect.decimal or "."
    with open(path, "w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n", delimiter=dialect.delimiter or ",")
        for count, record in enumerate(records, 1):
            if count == 1:
                lines.writerow(record)
            lines.writerow(map(field, record.values()))
        if not count and like:
            lines.writerow(like)
    return count


def _json_lines(path: Path, records: Iterator[Record], _: Dialect, __: Record) -> int:
    count = 0
    with open(path, "w", encoding="utf-8") as file:
        for count, record in enumerate(records, 1):  # noqa: B007
            file.write(files.as_json(plain(record)) + "\n")
    return count


def _parquet(path: Path, records: Iterator[Record], _: Dialect, like: Record) -> int:
    frame = _frame(records, like)
    frame.write_parquet(path)
    return frame.height


def _sheet(path: Path, records: Iterator[Record], _: Dialect, like: Record) -> int:
    frame = _frame(({name: _field(value) for name, value in record.items()} for record in records), like)
    longest = max((len(cell) for row in frame.rows() for cell in row if isinstance(cell, str)), default=0)
    if frame.height > SHEET_ROWS or longest > CELL_LETTERS:
        raise DataError(
            f"a sheet holds {SHEET_ROWS:,} rows and {CELL_LETTERS:,} characters in a cell, and here are"
            f" {frame.height:,} and {longest:,}; give .csv or .parquet"
        )
    content = io.BytesIO()
    frame.write_excel(content)
    path.write_bytes(content.getvalue())
    return frame.height


def _frame(records: Iterator[Record], like: Record) -> polars.DataFrame:
    import polars

    rows = list(records)
    shown = rows or [like]
    columns = {name: [row[name] for row in shown] for name in shown[0]}
    frame = polars.DataFrame({name: _typed(cells) for name, cells in columns.items()}).head(len(rows))
    # Without rows nothing tells what these columns hold; as texts they can be joined with those of other tables.
    unknown = {polars.Null(): polars.String(), polars.List(polars.Null): polars.List(polars.String)}
    return frame if rows else frame.cast({name: unknown.get(kind, kind) for name, kind in frame.schema.items()})


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
