"""Examples: what training, validation and evaluation ask of one split, whether its examples are rows, windows of series
or streams."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch

from ostinato.data.batches import Batches
from ostinato.data.cache import Dataset
from ostinato.data.read import Table
from ostinato.data.streams import Chunk, Streams, pieces
from ostinato.data.windows import WindowBatches, Windows
from ostinato.metrics.contract import Order
from ostinato.modalities.contract import Modality
from ostinato.model.batch import Batch, Pieces
from ostinato.registry import Settings
from ostinato.steps import Steps

Numbers = Sequence[int] | np.ndarray
Part = np.ndarray | Chunk
"""What one batch of training holds: numbers of examples or, of streams, the pieces of a chunk."""


class Epochs(Protocol):
    """The batches of training, a pure function of the seed and the epoch."""

    def epoch(self, number: int) -> Sequence[Part]: ...


class Examples(ABC):
    """The examples of one split, numbered from 0.

    Raw values serve evaluation and messages; encoded steps and batches serve training and need the encoded data set.
    Nothing that is kept grows faster than the number of examples.

    Args:
        rows: the number of each example among all rows of its table, or all windows of its series; None: these are all
            of them.
    """

    where: str
    """The path in the recipe that named the data, such as `data.valid`."""
    places: tuple[str, ...]
    """The columns of an example by place, inputs first: `inputs.de`, `outputs.en`."""
    windows: Windows | None = None
    """The windows of series that the examples are, by `rows`; None where they are no forecasts."""

    def __init__(self, rows: np.ndarray | None):
        self.rows = rows

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def pick(self, numbers: Numbers) -> Examples:
        """The examples with these numbers, numbered anew."""

    @abstractmethod
    def raw(self) -> Iterator[dict[str, Any]]:
        """The raw values of each example by place, streamed in order; further right answers by their column."""

    @abstractmethod
    def place(self, number: int) -> str:
        """Where an example comes from, for messages: `file.tsv line 17`."""

    @abstractmethod
    def column(self, name: str) -> list[Any]:
        """The cell of a column for each example: the groups of a report."""

    @abstractmethod
    def digest(self) -> str:
        """A hash of the data that the examples are some of."""

    def scales(self, place: str, numbers: Numbers) -> list[Any] | None:
        """For each of these examples how large an error of this output is ordinary, NaN where unknown; None where no
        scale is known."""
        return None

    def order(self, numbers: Numbers) -> Order | None:
        """Which of these examples are neighbors in time, for block bootstraps; None: they are independent."""
        return None

    @abstractmethod
    def lengths(self, place: str) -> np.ndarray:
        """(examples,) encoded steps of each example at this place, 0 where it is empty or missing."""

    @abstractmethod
    def steps(self, place: str, numbers: Numbers) -> Steps:
        """The encoded steps of these examples at this place as a batch, in their order."""

    @abstractmethod
    def batches(self, training: Settings) -> Epochs:
        """The batches of training with these settings (batch_steps, batch_rows, tbptt, seed)."""

    @abstractmethod
    def fetch(self, part: Part) -> Batch:
        """A part of `batches` as the graph takes it."""

    @abstractmethod
    def part_steps(self, part: Part) -> int:
        """Real steps of a part, all columns together."""

    @abstractmethod
    def part_rows(self, part: Part) -> np.ndarray:
        """The numbers of a part's examples among all rows of the table or windows of the series, for messages."""

    @cached_property
    def num_steps(self) -> np.ndarray:
        """(examples,) real steps of each example, all columns together."""
        return np.asarray(sum(self.lengths(place) for place in self.places), dtype=np.int64)

    def evaluation_batches(self, training: Settings) -> list[np.ndarray]:
        """Every example once, longest first, in batches as large as those of training; for `batch`."""
        steps, rows = training.batch_steps, training.batch_rows
        if training.tbptt is not None:
            # Whole sequences: about as many steps of each column as a chunk has, since that many have room.
            steps, rows = len(self.places) * training.tbptt * training.batch_rows, None
        return Batches(self.num_steps, batch_steps=steps, batch_rows=rows, seed=training.seed).evaluation()

    def batch(self, numbers: np.ndarray) -> Batch:
        """Whole examples as the graph takes them."""
        inputs, targets, present_rows = {}, {}, {}
        for place in self.places:
            direction, _, name = place.partition(".")
            if direction == "inputs":
                inputs[name] = self.steps(place, numbers)
                continue
            present = self.lengths(place)[numbers] > 0
            targets[name] = self.steps(place, numbers[present])
            if not present.all():
                present_rows[name] = torch.from_numpy(np.flatnonzero(present))
        return Batch(inputs, targets, present_rows)


class RowExamples(Examples):
    """Rows of a table.

    Args:
        table: the raw rows.
        columns: for each place its column of the table.
        modalities: for each place what reads its raw values.
        rows: which rows of the table, in rising order; None for all.
        dataset: the encoded rows of the whole table; None where only raw values are asked for.
        alternatives: columns with further right answers.
    """

    def __init__(
        self,
        table: Table,
        columns: Mapping[str, str],
        modalities: Mapping[str, Modality],
        rows: np.ndarray | None = None,
        *,
        dataset: Dataset | None = None,
        alternatives: Sequence[str] = (),
    ):
        super().__init__(rows)
        self.table, self.columns, self.modalities, self.dataset = table, dict(columns), modalities, dataset
        self.alternatives, self.places, self.where = tuple(alternatives), tuple(columns), table.where
        self._lengths: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return self.table.num_rows if self.rows is None else len(self.rows)

    def pick(self, numbers: Numbers) -> RowExamples:
        rows = np.asarray(numbers, dtype=np.int64) if self.rows is None else self.rows[numbers]
        dataset, alternatives = self.dataset, self.alternatives
        return RowExamples(self.table, self.columns, self.modalities, rows, dataset=dataset, alternatives=alternatives)

    def raw(self) -> Iterator[dict[str, Any]]:
        # Two places may read one column, each in its modality's way.
        cells: dict[str, Iterator[Any]] = {
            place: self.table.values(column, self.modalities[place], self.rows)
            for place, column in self.columns.items()
        }
        for column in self.alternatives:
            cells[column] = (cell or "" for cell in self.table.cells(column, self.rows))
        for values in zip(*cells.values()):
            yield dict(zip(cells, values))

    def place(self, number: int) -> str:
        return self.table.place(int(number if self.rows is None else self.rows[number]))

    def column(self, name: str) -> list[Any]:
        return self.table.column(name, self.rows)

    def digest(self) -> str:
        return self.table.digest()

    def lengths(self, place: str) -> np.ndarray:
        if place not in self._lengths:
            lengths = self.dataset.lengths[place]
            self._lengths[place] = lengths if self.rows is None else lengths[self.rows]
        return self._lengths[place]

    def steps(self, place: str, numbers: Numbers) -> Steps:
        return self.dataset.steps(place, self.part_rows(numbers))

    def batches(self, training: Settings) -> Epochs:
        limits = {"batch_steps": training.batch_steps, "batch_rows": training.batch_rows}
        return Batches(self.num_steps, **limits, seed=training.seed)

    def fetch(self, part: np.ndarray) -> Batch:
        return self.batch(part)

    def part_steps(self, part: np.ndarray) -> int:
        return int(self.num_steps[part].sum())

    def part_rows(self, part: Numbers) -> np.ndarray:
        return np.asarray(part, dtype=np.int64) if self.rows is None else self.rows[part]


class StreamExamples(Examples):
    """Rows whose sequences are read in streams, cut into chunks for truncated back-propagation.

    Args:
        examples: the rows.
        of: the place of the input that is read in streams, and that every output continues symbol by symbol.
    """

    def __init__(self, examples: RowExamples, of: str):
        super().__init__(examples.rows)
        self.examples, self.of, self.places, self.where = examples, of, examples.places, examples.where

    def __len__(self) -> int:
        return len(self.examples)

    def pick(self, numbers: Numbers) -> StreamExamples:
        return StreamExamples(self.examples.pick(numbers), self.of)

    def raw(self) -> Iterator[dict[str, Any]]:
        return self.examples.raw()

    def place(self, number: int) -> str:
        return self.examples.place(number)

    def column(self, name: str) -> list[Any]:
        return self.examples.column(name)

    def digest(self) -> str:
        return self.examples.digest()

    def lengths(self, place: str) -> np.ndarray:
        return self.examples.lengths(place)

    def steps(self, place: str, numbers: Numbers) -> Steps:
        return self.examples.steps(place, numbers)

    def batches(self, training: Settings) -> Epochs:
        lengths = self.lengths(self.of)
        return Streams(lengths, steps=training.tbptt, batch_rows=training.batch_rows, seed=training.seed)

    def fetch(self, part: Chunk) -> Batch:
        # Of begin + sequence a step and its target are one apart.
        first, last = np.maximum(part.first - 1, 0), part.last - 1
        end, inputs, targets = np.minimum(part.last, part.lengths - 1), {}, {}
        rows, dataset = self.part_rows(part), self.examples.dataset
        for place in self.places:
            direction, _, name = place.partition(".")
            if direction == "outputs":
                targets[name] = pieces(dataset, place, rows, part.first, end)
            else:
                streamed = place == self.of
                inputs[name] = pieces(dataset, place, rows, first, last) if streamed else dataset.steps(place, rows)
        return Batch(inputs, targets, pieces=Pieces(torch.from_numpy(part.before), torch.from_numpy(part.ends)))

    def part_steps(self, part: Chunk) -> int:
        return round(float((self.num_steps[part.rows] * part.shares).sum()))

    def part_rows(self, part: Chunk) -> np.ndarray:
        return self.examples.part_rows(part.rows)


class WindowExamples(Examples):
    """Windows of series.

    Args:
        windows: all windows of the split.
        rows: which of them, in rising order; None for all.
        dataset: the encoded series, by place; None where only raw values are asked for.
        stride: steps from one training window of a series to the next; an epoch has one window in so many.
    """

    windows: Windows

    def __init__(
        self, windows: Windows, rows: np.ndarray | None = None, *, dataset: Dataset | None = None, stride: int = 1
    ):
        super().__init__(rows)
        self.windows, self.dataset, self.stride = windows, dataset, stride
        self.places, self.where = tuple(windows.reach), windows.where

    def __len__(self) -> int:
        return self.windows.num_rows if self.rows is None else len(self.rows)

    def pick(self, numbers: Numbers) -> WindowExamples:
        return WindowExamples(self.windows, self.part_rows(numbers), dataset=self.dataset, stride=self.stride)

    def raw(self) -> Iterator[dict[str, Any]]:
        return self.windows.raw(self.rows)

    def place(self, number: int) -> str:
        return self.windows.place(int(number if self.rows is None else self.rows[number]))

    def column(self, name: str) -> list[Any]:
        return self.windows.column(name, self.rows)

    def digest(self) -> str:
        return self.windows.digest()

    def scales(self, place: str, numbers: Numbers) -> list[Any] | None:
        return self.windows.scales(place, self.part_rows(numbers))

    def order(self, numbers: Numbers) -> Order:
        return self.windows.order(self.part_rows(numbers))

    def lengths(self, place: str) -> np.ndarray:
        reach = self.windows.reach[place]
        if reach != "whole":
            return np.broadcast_to(np.int64(self.windows.length(place)), (len(self),))
        lengths = self.dataset.lengths[place]
        if (lengths == lengths[0]).all():
            return np.broadcast_to(lengths[0], (len(self),))
        return lengths[self.windows.at(np.arange(self.windows.num_rows) if self.rows is None else self.rows)[0]]

    def steps(self, place: str, numbers: Numbers) -> Steps:
        return self.windows.steps(self.dataset, place, self.part_rows(numbers))

    def batches(self, training: Settings) -> Epochs:
        limits = {"batch_steps": training.batch_steps, "batch_rows": training.batch_rows}
        return WindowBatches(self.num_steps, stride=self.stride, **limits, seed=training.seed)

    def fetch(self, part: np.ndarray) -> Batch:
        return self.batch(part)

    def part_steps(self, part: np.ndarray) -> int:
        return int(self.num_steps[part].sum())

    def part_rows(self, part: Numbers) -> np.ndarray:
        return np.asarray(part, dtype=np.int64) if self.rows is None else self.rows[part]
