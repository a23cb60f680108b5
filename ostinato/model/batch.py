"""Some rows of a data set as the graph takes them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from ostinato.steps import Steps


@dataclass(frozen=True)
class Pieces:
    """Which parts of their sequences the rows of a batch are, where it is a chunk of streams.

    Shapes:
        before, ends (B,), on the CPU

    Args:
        before: which row of the chunk before a row continues; -1 where its sequence starts.
        ends: whether a row is the last part of its sequence.
    """

    before: Tensor
    ends: Tensor


@dataclass(frozen=True)
class Batch:
    """Some rows of a data set as the graph takes them.

    Args:
        inputs: the steps of each input.
        targets: the steps of each output; empty in prediction.
        given: for an output that some rows lack, which rows of the batch have it, in order: its targets are of these
            alone.
        pieces: of a chunk of streams, whose rows are parts of sequences, without begin and end and with no step twice.
    """

    inputs: dict[str, Steps]
    targets: dict[str, Steps]
    given: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    pieces: Pieces | None = None

    def to(self, device: torch.device | str) -> Batch:
        inputs, targets, present = (
            {name: column.to(device) for name, column in columns.items()}
            for columns in (self.inputs, self.targets, self.given)
        )
        return Batch(inputs, targets, present, self.pieces)

    def present(self, output: str) -> Tensor:
        """The rows that have this output, in order."""
        return self.given.get(output, torch.arange(len(self)))

    def select(self, rows: Tensor) -> Batch:
        """These rows of a batch whose rows have all inputs and outputs; a row may come several times."""
        inputs, targets = (
            {name: steps.select(rows) for name, steps in columns.items()} for columns in (self.inputs, self.targets)
        )
        return Batch(inputs, targets)

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())).layout)
