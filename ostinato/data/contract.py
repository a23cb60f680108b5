"""What a source of rows is: a file, several parallel files or data in memory, read in blocks as often as wanted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

BLOCK_VALUES = 1 << 20
"""Values of lists in a block: as Python's own objects they take 30 bytes and more."""
LETTERS = 32
"""Letters of a text that take the room of one value in a list."""


def values_in(cell: Any) -> int:
    """Values in a list, or in a list of steps of several channels; of letters as many as take the room of one."""
    if isinstance(cell, list):
        return len(cell) * (len(cell[0]) if cell and isinstance(cell[0], list) else 1)
    return len(cell) // LETTERS if isinstance(cell, str) else 0


@dataclass(frozen=True)
class Block:
    """Some rows of a table, one after the other.

    Args:
        source: the file as the user named it, or what holds the rows otherwise.
        unit: what `lines` counts, `line` or `row`.
        lines: for each row, the line on which it begins, from 1.
        columns: the cells of each column that was asked for, one per row.
        text: whether the cells are fields of text that a modality parses; otherwise they are raw values, None where
            missing.
    """

    source: str
    unit: str
    lines: Sequence[int] | np.ndarray
    columns: dict[str, list[Any]]
    text: bool

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def first_line(self) -> int:
        return int(self.lines[0])

    def place(self, row: int) -> str:
        """The place of the block's row number `row`, such as `file.tsv line 17`."""
        return f"{self.source} {self.unit} {self.lines[row]}"


class Source(ABC):
    """Rows that can be read again and again, in flat memory."""

    columns: tuple[str, ...]
    """All that it offers."""
    note: str | None = None
    """What was done with it that the user did not ask for."""

    @abstractmethod
    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """All rows, none of the blocks empty; with no column asked for, the rows are only checked and counted."""

    @abstractmethod
    def digest(self, columns: Sequence[str]) -> str:
        """A hash of the content: equal digests mean equal rows."""
