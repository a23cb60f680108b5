"""What training makes of a recording or a drawing: another speed, another voice, another hand."""

from __future__ import annotations

import numpy as np

CORNER = 0.875
"""The share of the highest frequency below which a voice is warped evenly: 3,500 of 4,000 Hz, as Kaldi's features of
telephone speech do."""
NOISE_SPREAD = 30.0
"""Decibels between the loudest noise and the softest."""


def factor(chance: np.random.Generator, most: float) -> float:
    """A factor from 1 / (1 + most) to 1 + most, uniform in its logarithm."""
    limit = np.log1p(most)
    return float(np.exp(chance.uniform(-limit, limit)))


def at_speed(steps: np.ndarray, speed: float) -> np.ndarray:
    """(T / speed, C), at least one step: steps between the given ones are on the line from one to the next."""
    if not len(steps):
        return steps
    count = max(1, round(len(steps) / speed))
    return between(steps.T, ((np.arange(count) + 0.5) * len(steps) / count - 0.5).clip(0, len(steps) - 1)).T


def between(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(..., P) what lies at these places (P,) along the last axis, whose own are 0, 1, 2, ..."""
    low = places.astype(np.int64)
    share = places - low
    after = values[..., np.minimum(low + 1, values.shape[-1] - 1)]
    return values[..., low] * (1 - share) + np.where(share > 0, after * share, 0)  # no gap comes from what is not read


def before_warp(frequencies: np.ndarray, tract: float, highest: float) -> np.ndarray:
    """The frequencies of a voice that another one, whose are `tract` times as high, has at these.

        c     = CORNER highest min(tract, 1) / tract
        f'    = tract f                                                    up to f = c
        f'    = highest - (highest - tract c) / (highest - c) (highest - f)    above

    Source: vocal tract length perturbation: Jaitly and Hinton 2013 (ICML workshop), section 3.
    """
    corner = CORNER * highest * min(tract, 1.0) / tract
    return np.interp(frequencies, [0.0, tract * corner, highest], [0.0, corner, highest])
