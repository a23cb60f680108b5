"""Streams: sequences dealt one after the other into rows cut into chunks, for truncated back-propagation through
time."""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np


class Chunk(NamedTuple):
    """The pieces of sequences that one chunk holds, stream after stream and, in a stream, one after the other.

    Steps are those of begin + sequence, whose targets are sequence + end: there is one more than the sequence has.

    Shapes:
        all (pieces,)

    Args:
        rows: whose piece it is.
        first: its first step; 0 is the begin symbol.
        last: the step after its last one.
        lengths: steps of the whole, begin included.
        before: which piece of the chunk before it continues, -1 where its sequence starts.
    """

    rows: np.ndarray
    first: np.ndarray
    last: np.ndarray
    lengths: np.ndarray
    before: np.ndarray

    @property
    def ends(self) -> np.ndarray:
        """Which pieces are the last of their sequence."""
        return self.last == self.lengths

    @property
    def shares(self) -> np.ndarray:
        """How much of its sequence each piece is."""
        return (self.last - self.first) / self.lengths


class Streams:
    """Rows in streams that are cut into chunks of `steps` steps each.

        order   = the rows by random bits of (seed, epoch), as in `Batches`
        streams = the stream that ends first takes the next row of the order
        chunk k = steps k `steps` up to (k + 1) `steps` of each stream

    A sequence of at most `steps` steps is never cut: where the rest of a chunk is too short for it, it begins in the
    next, and the rest stays empty (nothing is computed there). A longer one begins at once and continues in the next
    chunk from its state. So each step is in one chunk, and the gradient is truncated only where a sequence is longer
    than a chunk.

    Args:
        lengths: steps of every row, (rows,), without begin or end.
        steps: steps of a chunk, of each stream.
        batch_rows: number of streams; with fewer rows, one for each.
        seed: a number from 0 up.
    """

    def __init__(self, lengths: np.ndarray, *, steps: int, batch_rows: int, seed: int = 0):
        self.lengths = np.asarray(lengths, dtype=np.int64) + 1
        self.steps, self.batch_rows, self.seed = steps, batch_rows, seed

    def epoch(self, number: int) -> list[Chunk]:
        """The chunks of an epoch in the order of training."""
        bits = np.random.PCG64(np.random.SeedSequence([self.seed, number]))
        order = np.argsort(bits.random_raw(len(self.lengths)), kind="stable")
        lengths = self.lengths[order]
        stream, start = self._dealt(lengths.tolist())
        # Pieces of one row are neighbours here, so that each continues its left neighbour.
        chunks = (start + lengths - 1) // self.steps - start // self.steps + 1
        row = np.repeat(np.arange(len(order)), chunks)
        nth = np.arange(len(row)) - np.repeat(np.cumsum(chunks) - chunks, chunks)
        chunk = start[row] // self.steps + nth
        first = np.maximum(chunk * self.steps - start[row], 0)
        last = np.minimum((chunk + 1) * self.steps - start[row], lengths[row])
        sorted_ = np.lexsort((start[row] + first, stream[row], chunk))
        ends = np.cumsum(np.bincount(chunk))
        place = np.empty(len(row), dtype=np.int64)
        place[sorted_] = np.arange(len(row)) - np.concatenate([[0], ends])[chunk[sorted_]]
        before = np.where(nth > 0, np.roll(place, 1), -1)
        columns = (order[row], first, last, lengths[row], before)
        parts = [np.split(column[sorted_], ends[:-1]) for column in columns]
        return [Chunk(*chunk) for chunk in zip(*parts)] if len(row) else []

    def _dealt(self, lengths: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """The stream of each row of an order, and the step of the stream at which it starts."""
        stream, start = np.empty((2, len(lengths)), dtype=np.int64)
        free = [(0, number) for number in range(min(self.batch_rows, max(1, len(lengths))))]
        for place, length in enumerate(lengths):
            at, first = free[0]
            if at % self.steps + length > self.steps >= length:
                at += -at % self.steps
            stream[place], start[place] = first, at
            heapq.heapreplace(free, (at + length, first))
        return stream, start
