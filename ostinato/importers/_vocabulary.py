"""Vocabularies of other tools in the order that Ostinato's symbols have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ostinato.errors import DataError

IMPOSSIBLE = -100.0
"""The score of a symbol that the other tool has not: its probability is 0 in float32 beside any other's, and a loss
that smooths labels stays finite."""


class Vocabulary:
    """The symbols of another tool and which of them begin, end and are unknown.

        row of the begin symbol, row of the end, row of the unknown, then all others in their order

    Args:
        symbols: all of them, by number.
        begin, end, unknown: the numbers of these; one may be both begin and end, and one may be None.
        path: the file, for messages.

    Errors:
        DataError: a symbol occurs twice.
    """

    def __init__(self, symbols: Sequence[str], begin: int | None, end: int | None, unknown: int | None, path: Path):
        twice = next((symbol for symbol, count in Counter(symbols).items() if count > 1), None)
        if twice is not None:
            raise DataError(f"{path}: {twice!r} occurs twice; each symbol has one row of the weights, so restore it")
        self.size = len(symbols)
        self.special = (begin, end, unknown)
        self._rows = [number for number in range(len(symbols)) if number not in self.special]
        self.pieces = [symbols[number] for number in self._rows]

    def rows(self, table: Tensor, absent: float | None = None) -> Tensor:
        """The rows of a table or a vector in Ostinato's order.

        Args:
            table: of the other tool, a row or number for each of its symbols.
            absent: what stands in the row of a symbol that is None; None: the mean of all rows.
        """
        nothing = table.mean(0) if absent is None else torch.full_like(table[0], absent)
        special = [nothing if number is None else table[number] for number in self.special]
        return torch.cat([torch.stack(special), table[self._rows]])
