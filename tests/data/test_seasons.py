"""The season that is found in series."""

import numpy as np
import pytest

from ostinato.data.seasons import season_of


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("period", [4, 7, 24, 52])
def test_a_season_is_found_under_noise_and_a_level_that_moves_on(period):
    steps = np.arange(12 * period)
    shape = np.cumsum(noise(period, seed=1)) * 3
    series = [
        shape[steps % period] + noise(len(steps), seed=k).cumsum() / 3 + noise(len(steps), seed=9 + k) / 2
        for k in range(3)
    ]
    found = season_of(series)
    assert found is not None and found.steps == period and found.autocorrelation > 0.3


def test_a_random_walk_noise_and_a_constant_have_none():
    for series in (noise(500).cumsum(), noise(500), np.full(100, 3.0), np.arange(5.0)):
        assert season_of([series]) is None
    assert season_of([]) is None


def test_channels_gaps_and_lengths_may_differ():
    steps = np.arange(140)
    both = np.stack([np.sin(steps * 2 * np.pi / 7), np.cos(steps * 2 * np.pi / 7)], 1) + noise(140, 2) / 10
    both[::11] = np.nan
    assert season_of([both, both[:40], both[:3]]).steps == 7
