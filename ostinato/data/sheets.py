"""Spreadsheets: the first sheet of a workbook, by the extra `excel`."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ostinato.data.contract import Block, Dialect, FileSource, demand_distinct
from ostinato.data.header import is_title, named_in, title_advice
from ostinato.errors import DataError

BLOCK_ROWS = 1 << 14
TOP = 100
"""Rows among which the first that is not empty is looked for."""


class Sheet(FileSource):
    """The first sheet of a workbook: the names of columns in its first row that is not empty, then a row
    each; it is held in memory.

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
            top = book.load_sheet(sheet, header_row=None, skip_rows=0, n_rows=dialect.header or TOP, dtypes="string")
            rows = list(enumerate(top.to_polars().rows(), 1))
            self.header = dialect.header or next((number for number, cells in rows if any(cells)), 1)
            self.frame = book.load_sheet(sheet, header_row=self.header - 1).to_polars()
        except (fastexcel.FastExcelError, OSError) as why:
            raise DataError(
                f"{self.title} is no whole workbook ({str(why).splitlines()[0]}); save it again, or as .csv"
            ) from None
        self.columns = tuple(self.frame.columns)
        names = rows[self.header - 1][1] if len(rows) >= self.header else ()
        if dialect.header is not None and not any(names):
            raise DataError(
                f"{self.title} row {dialect.header}, where data.header has the columns' names, is empty; change it"
            )
        demand_distinct(filter(None, names), f"{self.title}: the sheet names column")
        if is_title([name or "" for name in names]) and (named := named_in(rows[self.header :])):
            self.advice = title_advice(self.header, "row", named)
            self.notes = (f"{self.title}: row {self.header} names one column alone{self.advice}",)
        if not self.frame.height:
            self.no_rows = f"{self.title} has no rows below its first; give a sheet with at least one row"
        if others:
            self.notes = (*self.notes, f"{self.title}: the sheet '{sheet}' is read, and not {', '.join(others)}")

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        for start in range(0, self.frame.height, BLOCK_ROWS):
            part = self.frame.slice(start, BLOCK_ROWS)
            cells: dict[str, list[Any]] = {column: part[column].to_list() for column in columns}
            first = self.header + 1 + start
            yield Block(self.name, "row", range(first, first + part.height), cells, False)
