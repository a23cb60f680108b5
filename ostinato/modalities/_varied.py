"""What training makes of a recording or a drawing: another speed, another voice, another hand."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ostinato.errors import ConfigError

CORNER = 0.875
"""The share of the highest frequency below which a voice is warped evenly: 3,500 of 4,000 Hz, as Kaldi's features of
telephone speech do."""
MASKED_STEPS = 20
"""The most steps of a masked stretch where nobody says: a fifth of a second of sound."""
NOISE_SPREAD = 30.0
"""Decibels between the loudest noise and the softest."""


class Masks(NamedTuple):
    """Stretches of steps, and of neighbours among the numbers of a step, that training does not see (SpecAugment).

    Args:
        steps: how many stretches of steps are masked.
        step_width: the most steps of one, which is no longer than half of the example.
        bands: likewise of the numbers of a step.
        band_width: the most numbers of one; None: a fifth of them.

    Source: Park 2019, arXiv:1904.08779, section 2, without the warping of time.
    """

    steps: int
    step_width: int
    bands: int
    band_width: int | None

    @staticmethod
    def of(kind: str, step_masks: int, step_width: int | None, band_masks: int, band_width: int | None) -> Masks:
        """Those of these settings of a modality.

        Errors:
            ConfigError: a width without masks.
        """
        for what, masks, width in (("step", step_masks, step_width), ("band", band_masks, band_width)):
            if width is not None and not masks:
                raise ConfigError(f"{kind}: {what}_width has no effect without {what}_masks; set both, or neither")
        return Masks(step_masks, step_width or MASKED_STEPS, band_masks, band_width)

    @property
    def any(self) -> bool:
        """Whether something is masked."""
        return bool(self.steps or self.bands)

    def over(self, values: np.ndarray, mean: np.ndarray | float, chance: np.random.Generator) -> np.ndarray:
        """Values (T, C) with their mean, (C,) or one number, where they are masked; what is missing stays so."""
        count, numbers = values.shape
        width = self.band_width or max(1, numbers // 5)
        hidden = _stretches(numbers, self.bands, min(width, numbers), chance)[None, :]
        hidden = hidden | _stretches(count, self.steps, min(self.step_width, count // 2), chance)[:, None]
        return np.where(hidden & ~np.isnan(values), mean, values)


def _stretches(places: int, number: int, widest: int, chance: np.random.Generator) -> np.ndarray:
    """(places,) which of them lie in so many stretches, each of 1 to `widest` places."""
    hidden = np.zeros(places, dtype=bool)
    for _ in range(number if widest else 0):
        width = 1 + int(chance.uniform(0, widest))
        begin = int(chance.uniform(0, places - width + 1))
        hidden[begin : begin + width] = True
    return hidden


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
