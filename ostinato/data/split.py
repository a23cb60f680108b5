"""Setting rows aside for validation, and keeping a share: pure functions of the seed and of how many rows there are."""

from __future__ import annotations

import numpy as np

from ostinato.errors import DataError

VALID_SHARE = 10
"""One row in ten."""
MOST_VALID = 2000
ENOUGH_VALID = 4
"""Of few rows a tenth is a single one or two, whose answers are chance: so many are set aside, as long as they are no
more than a quarter."""


def set_aside(num_rows: int, *, seed: int, size: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The rows of (train, valid), each in the file's order; a smaller `size` gives a part of what a larger one gives.

    Args:
        num_rows: rows of the file.
        seed: a number from 0 up; equal seeds and counts give equal rows.
        size: rows of valid; by default a tenth of all, at least one and at most 2,000.

    Errors:
        DataError: fewer than two rows, or none is left for training.
    """
    size = _divisible(num_rows, size or tenth(num_rows))
    valid = np.zeros(num_rows, dtype=bool)
    valid[_drawn([seed, num_rows], num_rows)[:size]] = True
    return np.flatnonzero(~valid), np.flatnonzero(valid)


def tenth(num_rows: int) -> int:
    """How many rows validate where nothing else is asked for."""
    return min(MOST_VALID, max(1, num_rows // VALID_SHARE))


def enough(num_rows: int) -> int:
    """How many rows validate where there are few; `tenth` of many."""
    return max(tenth(num_rows), min(ENOUGH_VALID, num_rows // 4))


def in_order(num_rows: int, valid: int, test: int = 0) -> dict[str, np.ndarray]:
    """The rows of train, valid and test, one after the other.

    Errors:
        DataError: none is left for training.
    """
    left = num_rows - _divisible(num_rows, valid + test)
    parts = np.split(np.arange(num_rows), [left, left + valid])
    return dict(zip(("train", "valid", "test"), parts))


def _divisible(num_rows: int, held_out: int) -> int:
    if num_rows < 2:
        raise DataError(
            f"{num_rows} row{'s' * (num_rows != 1)} cannot be divided; give at least 2 rows, or name `valid`"
        )
    if held_out >= num_rows:
        raise DataError(f"{held_out:,} of {num_rows:,} rows held out leave none to train on; hold out fewer")
    return held_out


def share_of(rows: np.ndarray, fraction: float, *, seed: int) -> np.ndarray:
    """So many of these rows, at least one, in their order; a smaller fraction gives a part of what a larger one gives.

    Args:
        rows: numbers of rows.
        fraction: above 0, at most 1.
        seed: a number from 0 up; equal seeds, counts and fractions give equal rows.
    """
    size = max(1, round(fraction * len(rows)))
    # The third word keeps the draw apart from the one that sets validation aside.
    return rows[np.sort(_drawn([seed, len(rows), 1], len(rows))[:size])]


def evenly(count: int, most: int) -> np.ndarray:
    """So many of the numbers from 0 to count - 1, evenly spread; all where there are not so many."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(np.int64))


def _drawn(words: list[int], count: int) -> np.ndarray:
    """The numbers below `count` in an order that is drawn by these words."""
    # Raw bits of PCG64 are the same in every version of numpy, which a Generator's shuffle need not be.
    bits = np.random.PCG64(np.random.SeedSequence(words)).random_raw(count)
    return np.argsort(bits, kind="stable")
