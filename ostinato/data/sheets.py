"""Spreadsheets: the first sheet of a workbook, by the extra `excel`."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ostinato.data.contract import Block, Dialect, FileSource, demand_distinct
from ostinato.errors import DataError

BLOCK_ROWS = 1 << 14


class Sheet(FileSource):
    """The first sheet of a workbook: names of columns in its first row, then a row each; it is held in memory.

    Errors:
        DataError: the extra is not installed, the file is damaged, or the sheet has no rows or a name twice.
    """

    form = ("sheet",)
    is_text = False

    def __init__(self, path: Path, shown: str, where: str, dialect: Dialect):
        super().__init__(path, shown, where, dialect)
        if importlib.util.find_spec("fastexcel") is None:
            raise DataError(
                f"{self.title}: spreadsheets are read by the extra `excel`: pip install 'ostinato[excel]'; or save it"
                " as .csv"
            )
        import fastexcel

        try:
            book = fastexcel.read_excel(path.read_bytes())
            sheet, *others = book.sheet_names
            header = book.load_sheet(sheet, header_row=None, n_rows=1, dtypes="string").to_polars()
            self.frame = book.load_sheet(sheet).to_polars()
        except (fastexcel.FastExcelError, OSError) as why:
            raise DataError(
                f"{self.title} is no whole workbook ({str(why).splitlines()[0]}); save it again, or as .csv"
            ) from None
        self.columns = tuple(self.frame.columns)
        demand_distinct(filter(None, header.row(0) if header.height else ()), f"{self.title}: the sheet names column")
        if not self.frame.height:
            self.no_rows = f"{self.title} has no rows below its first; give a sheet with at least one row"
        if others:
            self.notes = (f"{self.title}: the sheet '{sheet}' is read, and not {', '.join(others)}",)

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        for start in range(0, self.frame.height, BLOCK_ROWS):
            part = self.frame.slice(start, BLOCK_ROWS)
            cells: dict[str, list[Any]] = {column: part[column].to_list() for column in columns}
            # Row 1 holds the names.
            yield Block(self.name, "row", range(start + 2, start + 2 + part.height), cells, False)
