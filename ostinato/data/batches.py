"""Batches: which rows go together and in what order, a pure function of the seed and the epoch."""

from __future__ import annotations

import numpy as np

from ostinato.errors import ConfigError

POOL_BATCHES = 100
"""Batches of similar rows come from a pool of this many: enough for little padding, few enough to stay random."""


class Batches:
    """Rows in batches, filled with rows of similar length from pools of a shuffled order.

        order    = the rows by random bits of (seed, epoch)
        pools    = about 100 batches' worth of consecutive rows of the order, each sorted by length, ties in the order
        batches  = consecutive rows of a pool until the next would exceed the limit, then shuffled by the same bits

    Args:
        steps: (rows,) real steps of each row, all columns together, by position.
        batch_steps: most real steps of a batch, all columns together; a longer row makes a batch of its own.
        batch_rows: most rows of a batch, in place of `batch_steps`.
        seed: a number from 0 up.

    Errors:
        ConfigError: none of the limits is given, or both.
    """

    def __init__(
        self,
        steps: np.ndarray,
        *,
        batch_steps: int | None = None,
        batch_rows: int | None = None,
        seed: int = 0,
    ):
        if (batch_steps is None) == (batch_rows is None):
            raise ConfigError("batches need one limit; give batch_steps (steps of a batch) or batch_rows (its rows)")
        self.steps, self.seed = np.asarray(steps, dtype=np.int64), seed
        # What of each row counts towards the limit.
        self.counted, self.limit = self.steps, batch_steps
        if batch_rows is not None:
            self.counted, self.limit = np.ones_like(self.steps), batch_rows

    def epoch(self, number: int) -> list[np.ndarray]:
        """The batches of an epoch in the order of training: row numbers, shortest row first within a batch."""
        bits = np.random.PCG64(np.random.SeedSequence([self.seed, number]))
        order = np.argsort(bits.random_raw(len(self.steps)), kind="stable")
        counted = self.counted[order]
        pool = (np.cumsum(counted) - counted) // (POOL_BATCHES * self.limit)
        order = order[np.lexsort((self.steps[order], pool))]
        ends = np.flatnonzero(np.diff(pool, append=-1)) + 1
        batches = self._filled(order, ends)
        return [batches[place] for place in np.argsort(bits.random_raw(len(batches)), kind="stable")]

    def evaluation(self) -> list[np.ndarray]:
        """Every row once, longest first, ties in the given order."""
        order = np.argsort(-self.steps, kind="stable")
        return self._filled(order, np.array([len(order)]))

    def _filled(self, order: np.ndarray, ends: np.ndarray) -> list[np.ndarray]:
        """Cuts the order into batches, none across an end of `ends`."""
        upto = np.concatenate([[0], np.cumsum(self.counted[order])])
        batches, start = [], 0
        for end in ends.tolist():
            while start < end:
                full = int(np.searchsorted(upto, upto[start] + self.limit, side="right")) - 1
                stop = max(min(end, full), start + 1)
                batches.append(order[start:stop])
                start = stop
        return batches


def share(batch: np.ndarray, rank: int, world: int) -> np.ndarray:
    """The rows of one batch that a rank takes: dealt in turn, so that sorted rows cost all ranks alike; may be none."""
    return batch[rank::world]
