"""After how many steps series repeat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MOST_SERIES, MOST_STEPS, MOST_LAG = 50, 4_000, 400
"""What is looked at: enough for any season that a forecast can use."""
LEAST = 0.3
"""An autocorrelation below it is no season: a forecast by the step a season before gains nothing from it."""
SHORTER = 0.9
"""A lag that has this share of the largest autocorrelation is the season, and the larger lag a multiple of it."""


class Season(NamedTuple):
    """Steps after which series repeat, and the autocorrelation of their changes at this distance."""

    steps: int
    autocorrelation: float


def season_of(series: Sequence[np.ndarray]) -> Season | None:
    """The lag at which the changes from step to step repeat most, or None where they do not.

        d[t] = x[t] - x[t-1], less its mean
        r[k] = sum_t d[t] d[t-k] / sum_t d[t]^2          the median over series, the mean over channels
        season = the least k > 1 with r[k] >= 0.9 max r, a local maximum, max r >= LEAST

    Changes, since a level that moves on has high autocorrelations at every small lag.

    Args:
        series: (T,) or (T, C) each, NaN where a number is missing, which counts as no change.
    """
    longest = sorted(series, key=len, reverse=True)[:MOST_SERIES]
    own = [_autocorrelation(values[-MOST_STEPS:]) for values in longest if len(values) >= 9]
    if not own:
        return None
    lags = min(MOST_LAG, max(map(len, own)) - 1)
    table = np.full((len(own), lags + 1), np.nan)
    for row, values in zip(table, own):
        row[: min(len(values), len(row))] = values[: len(row)]
    # A lag that few series are long enough for is decided by these few.
    enough = (~np.isnan(table)).sum(0) >= max(1, len(own) // 2)
    table = table[:, : int(enough.argmin()) if not enough.all() else None]
    median = np.nanmedian(table, 0)
    inner = median[2:-1]
    peaks = np.flatnonzero((inner >= median[1:-2]) & (inner >= median[3:])) + 2
    if not len(peaks) or median[peaks].max() < LEAST:
        return None
    steps = int(peaks[median[peaks] >= SHORTER * median[peaks].max()][0])
    return Season(steps, float(median[steps]))


def _autocorrelation(values: np.ndarray) -> np.ndarray:
    """(lags + 1,) of a series' changes, lags up to a third of it; the mean over channels that change."""
    changes = np.nan_to_num(np.diff(values.reshape(len(values), -1), axis=0))
    changes = changes - changes.mean(0)
    squares = (changes**2).sum(0)
    changes = changes[:, squares > 0] / np.sqrt(squares[squares > 0])
    lags = len(changes) // 3
    if not changes.shape[1]:
        return np.zeros(lags + 1)
    spectrum = abs(np.fft.rfft(changes, 2 * len(changes), axis=0)) ** 2
    return np.fft.irfft(spectrum, axis=0)[: lags + 1].mean(1)
