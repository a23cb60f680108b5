"""Examples: what training, validation and evaluation ask of one split, whether its examples are rows, windows of series
or streams."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
import torch

from ostinato.data.batches import Batches
from ostinato.data.cache import Dataset
from ostinato.data.contract import PLAIN, Dialect, Numbers
from ostinato.data.read import Table
from ostinato.data.streams import Chunk, Streams
from ostinato.data.windows import WindowBatches, Windows
from ostinato.metrics.contract import Order
from ostinato.modalities.contract import Modality
from ostinato.model.batch import Batch, Pieces
from ostinato.registry import Settings
from ostinato.steps import Steps

EARLY = 0.8
"""The share of a series' windows that a closed form is fitted on; the rest chooses how."""

Part = np.ndarray | Chunk
"""What one batch of training holds: numbers of examples or, of streams, the pieces of a chunk."""


class Epochs(Protocol):
    """The batches of training, a pure function of the seed and the epoch."""

    def epoch(self, number: int) -> Sequence[Part]: ...


@dataclass(eq=False)
class Examples(ABC):
    """The examples of one split, numbered from 0.

    Raw values serve evaluation and messages; encoded steps and batches serve training and need the encoded data set.
    Nothing that is kept grows faster than the number of examples.

    Args:
        source: all rows of a table, or all windows of series.
        rows: the numbers of the examples among them, in rising order; None: all.
        dataset: what the source holds, encoded; None where only raw values are asked for.
        streamed: the place of the input that is read in streams, and that every output continues symbol by symbol; None
            where examples are trained on whole.
        unread: places whose steps cost training nothing, because their encoders count.
    """

    source: Table | Windows
    _: KW_ONLY
    rows: np.ndarray | None = None
    dataset: Dataset | None = None
    streamed: str | None = None
    unread: Sequence[str] = ()

    @property
    def windows(self) -> Windows | None:
        """The windows of series that the examples are, by `rows`; None where they are no forecasts."""
        return None

    @property
    def csv_dialect(self) -> Dialect:
        """How csv has to be written to be like the table whose rows the examples are."""
        return PLAIN

    @property
    @abstractmethod
    def places(self) -> tuple[str, ...]:
        """The columns of an example by place, inputs first: `inputs.de`, `outputs.en`."""

    @abstractmethod
    def raw(self) -> Iterator[dict[str, Any]]:
        """The raw values of each example by place, streamed in order; further right answers by their column."""

    def scales(self, place: str, numbers: Numbers) -> list[Any] | None:
        """For each of these examples how large an error of this output is ordinary, NaN where unknown; None where no
        scale is known."""
        return None

    def order(self, numbers: Numbers) -> Order | None:
        """Which of these examples are neighbors in time, for block bootstraps; None: they are independent."""
        return None

    def by_time(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Numbers of the windows that end before the last fifth of those of their series, and of those that begin in
        it; None where the examples are no windows."""
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

    @property
    def where(self) -> str:
        """The path in the recipe that named the data, such as `data.valid`."""
        return self.source.where

    def __len__(self) -> int:
        return self.source.num_rows if self.rows is None else len(self.rows)

    def pick(self, numbers: Numbers) -> Self:
        """The examples with these numbers, numbered anew."""
        return replace(self, rows=self.part_rows(numbers))

    def place(self, number: int) -> str:
        """Where an example comes from, for messages: `file.tsv line 17`."""
        return self.source.place(int(self.part_rows([number])[0]))

    def cells(self) -> Iterator[dict[str, Any]]:
        """The cells of each example as its table has them, by column, of a file its name; nothing of windows."""
        return iter(())

    def column(self, name: str) -> list[Any]:
        """The cell of a column for each example: the groups of a report."""
        return self.source.column(name, self.rows)

    def digest(self) -> str:
        """A hash of the data that the examples are some of."""
        return self.source.digest()

    def part_rows(self, part: Part | Numbers) -> np.ndarray:
        """The numbers of a part's examples among all rows of the table or windows of the series, for messages."""
        numbers = part.rows if isinstance(part, Chunk) else part
        return np.asarray(numbers, dtype=np.int64) if self.rows is None else self.rows[numbers]

    def part_steps(self, part: Part) -> int:
        """Real steps of a part, all columns together."""
        steps = self.num_steps[part.rows] * part.shares if isinstance(part, Chunk) else self.num_steps[part]
        return round(float(steps.sum()))

    @cached_property
    def num_steps(self) -> np.ndarray:
        """(examples,) real steps of each example, all columns together, save those that are `unread`."""
        read = (self.lengths(place) for place in self.places if place not in self.unread)
        return np.asarray(sum(read), dtype=np.int64)

    def evaluation_batches(self, training: Settings) -> list[np.ndarray]:
        """Every example once, longest first, in batches as large as those of training; for `batch`."""
        steps, rows = training.batch_steps, training.batch_rows
        if training.tbptt is not None:
            # Whole sequences: about as many steps of each column as a chunk has, since that many have room.
            steps, rows = len(self.places) * training.tbptt * training.batch_rows, None
        return Batches(self.num_steps, batch_steps=steps, batch_rows=rows, seed=training.seed).evaluation()

    def fetch(self, part: Part) -> Batch:
        """A part of `batches` as the graph takes it."""
        return self._pieces(part) if isinstance(part, Chunk) else self.batch(part)

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

    def _pieces(self, chunk: Chunk) -> Batch:
        # Of begin + sequence a step and its target are one apart.
        ends = {
            "inputs": (np.maximum(chunk.first - 1, 0), chunk.last - 1),
            "outputs": (chunk.first, np.minimum(chunk.last, chunk.lengths - 1)),
        }
        rows, columns = self.part_rows(chunk), {"inputs": {}, "outputs": {}}
        for place in self.places:
            direction, _, name = place.partition(".")
            is_whole = direction == "inputs" and place != self.streamed
            columns[direction][name] = self.dataset.steps(place, rows, *(() if is_whole else ends[direction]))
        pieces = Pieces(torch.from_numpy(chunk.before), torch.from_numpy(chunk.ends))
        return Batch(columns["inputs"], columns["outputs"], pieces=pieces)


@dataclass(eq=False)
class RowExamples(Examples):
    """Rows of a table, or of its sequences streams cut into chunks for truncated back-propagation.

    Args:
        columns: for each place its column of the table.
        modalities: for each place what reads its raw values.
        alternatives: columns with further right answers.
    """

    source: Table
    columns: Mapping[str, str]
    modalities: Mapping[str, Modality]
    _: KW_ONLY
    alternatives: Sequence[str] = ()

    @property
    def csv_dialect(self) -> Dialect:
        return self.source.csv_dialect

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(self.columns)

    def raw(self) -> Iterator[dict[str, Any]]:
        # Two places may read one column, each in its modality's way.
        cells: dict[str, Iterator[Any]] = {
            place: self.source.values(column, self.modalities[place], self.rows)
            for place, column in self.columns.items()
        }
        for column in self.alternatives:
            cells[column] = (cell or "" for cell in self.source.cells(column, self.rows))
        for values in zip(*cells.values()):
            yield dict(zip(cells, values))

    def cells(self) -> Iterator[dict[str, Any]]:
        names, source = self.source.columns, self.source.named()
        return (dict(zip(names, row)) for row in zip(*(source.cells(name, self.rows) for name in names)))

    @cached_property
    def _lengths(self) -> Mapping[str, np.ndarray]:
        lengths = self.dataset.lengths
        return lengths if self.rows is None else {place: steps[self.rows] for place, steps in lengths.items()}

    def lengths(self, place: str) -> np.ndarray:
        return self._lengths[place]

    def steps(self, place: str, numbers: Numbers) -> Steps:
        return self.dataset.steps(place, self.part_rows(numbers))

    def batches(self, training: Settings) -> Epochs:
        rows, seed = training.batch_rows, training.seed
        if self.streamed is not None:
            return Streams(self.lengths(self.streamed), steps=training.tbptt, batch_rows=rows, seed=seed)
        return Batches(self.num_steps, batch_steps=training.batch_steps, batch_rows=rows, seed=seed)


@dataclass(eq=False)
class WindowExamples(Examples):
    """Windows of series.

    Args:
        stride: steps from one training window of a series to the next; an epoch has one window in so many.
    """

    source: Windows
    _: KW_ONLY
    stride: int = 1

    @property
    def windows(self) -> Windows:
        return self.source

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(self.windows.reach)

    def raw(self) -> Iterator[dict[str, Any]]:
        return self.windows.raw(self.rows)

    def scales(self, place: str, numbers: Numbers) -> list[Any] | None:
        return self.windows.scales(place, self.part_rows(numbers))

    def order(self, numbers: Numbers) -> Order:
        return self.windows.order(self.part_rows(numbers))

    def lengths(self, place: str) -> np.ndarray:
        if self.windows.reach[place] != "whole":
            return np.broadcast_to(np.int64(self.windows.length(place)), (len(self),))
        lengths = self.dataset.lengths[place]
        if (lengths == lengths[0]).all():
            return np.broadcast_to(lengths[0], (len(self),))
        return lengths[self.windows.at(self.rows)[0]]

    def steps(self, place: str, numbers: Numbers) -> Steps:
        return self.windows.steps(self.dataset, place, self.part_rows(numbers))

    def by_time(self) -> tuple[np.ndarray, np.ndarray]:
        rows = self.part_rows(np.arange(len(self)))
        series, _ = self.windows.at(rows)
        within, border = rows - self.windows.starts[series], np.diff(self.windows.starts)[series] * EARLY
        return np.flatnonzero(within + self.windows.horizon <= border), np.flatnonzero(within >= border)

    def batches(self, training: Settings) -> Epochs:
        limits = {"batch_steps": training.batch_steps, "batch_rows": training.batch_rows}
        return WindowBatches(self.num_steps, stride=self.stride, **limits, seed=training.seed)
