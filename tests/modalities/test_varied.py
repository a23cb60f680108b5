"""What training makes of an example (augmentation): the equations, and what is refused."""

import numpy as np
import pytest
from scipy.fft import dct

from ostinato.errors import ConfigError
from ostinato.modalities._varied import Masks, at_speed, before_warp
from ostinato.modalities.audio import Audio, wav
from ostinato.modalities.piano_roll import PianoRoll
from ostinato.modalities.series import Series
from ostinato.modalities.strokes import Strokes

RATE = 8000


def tone(hertz, seconds=0.5):
    return wav(0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE), RATE)


def audio(**options):
    made = Audio(scale="none", rate=RATE, **options)
    made.fit([tone(440)])
    return made


class Always:
    """In place of a generator: each number lies at one share of its range."""

    def __init__(self, share):
        self.share = share

    def uniform(self, low, high, size=None):
        value = low + self.share * (high - low)
        return value if size is None else np.full(size, value)

    def normal(self, mean, deviation, size):
        return np.full(size, mean + deviation)

    def gamma(self, shape, scale, size):
        return np.broadcast_to(shape * scale, size)


def test_a_faster_recording_is_shorter_and_higher():
    faster = audio(speed_change=0.25).varied(audio().encode(tone(1000)), Always(1.0))
    recorded = audio().encode(tone(1250, 0.4))
    assert abs(len(faster) - len(recorded)) <= 1 and faster.mean(0).argmax() == recorded.mean(0).argmax()


def test_coefficients_change_as_their_bands_do():
    bands = audio(speed_change=0.25).varied(audio().encode(tone(1000)), Always(1.0))
    options = {"features": "mfcc", "coefficients": 40}
    coefficients = audio(speed_change=0.25, **options).varied(audio(**options).encode(tone(1000)), Always(1.0))
    assert np.allclose(dct(bands, axis=1, norm="ortho"), coefficients, atol=1e-3)


def test_tempo_keeps_the_bands_and_the_tract_keeps_the_duration():
    frames = audio().encode(tone(1000))
    slower = audio(tempo_change=0.25).varied(frames, Always(0.0))
    assert len(slower) == round(len(frames) * 1.25) and slower.mean(0).argmax() == frames.mean(0).argmax()
    shorter = audio(tract_change=0.2).varied(frames, Always(1.0))
    assert len(shorter) == len(frames)
    assert shorter.mean(0).argmax() == audio().encode(tone(1200)).mean(0).argmax()


def test_a_warp_leaves_both_ends_and_multiplies_what_lies_below_the_corner():
    assert np.allclose(before_warp(np.array([0.0, 4000.0]), 1.25, 4000.0), [0.0, 4000.0])
    assert np.allclose(before_warp(np.array([1250.0]), 1.25, 4000.0), [1000.0])
    assert np.allclose(before_warp(np.array([800.0]), 0.8, 4000.0), [1000.0])


def test_a_louder_recording_has_so_many_decibels_more():
    frames = audio().encode(tone(440))
    louder = audio(level_change=10.0).varied(frames, Always(1.0))
    assert np.allclose(louder - frames, np.log(10), atol=1e-4)


def test_noise_lies_so_many_decibels_below():
    frames = audio().encode(tone(440))
    noisy = audio(noise_distance=20.0).varied(frames, Always(0.0))
    added = (np.exp(noisy.astype(float)) - np.exp(frames.astype(float))).sum(1).mean()
    assert abs(10 * np.log10(np.exp(frames.astype(float)).sum(1).mean() / added) - 20) < 0.1


def test_a_recording_scaled_by_itself_is_scaled_again():
    changed = Audio(scale="row", rate=RATE, tract_change=0.2, tempo_change=0.2)
    changed.fit([tone(440)])
    sweep = wav(0.3 * np.sin(2 * np.pi * np.cumsum(np.linspace(200, 2000, RATE)) / RATE), RATE)
    frames = changed.varied(changed.encode(sweep), np.random.default_rng(0))
    assert np.allclose(frames.mean(0), 0, atol=1e-4) and np.allclose(frames.std(0), 1, atol=1e-3)


@pytest.mark.parametrize(
    "options",
    [
        {"features": "waveform", "speed_change": 0.1},
        {"features": "mfcc", "scale": "row", "tract_change": 0.1},
        {"scale": "row", "noise_distance": 10.0},
        {"scale": "row", "level_change": 3.0},
    ],
)
def test_a_change_that_needs_the_power_of_bands_is_refused_without_it(options):
    with pytest.raises(ConfigError, match="needs the power of its bands; set features: log_mel"):
        Audio(**options)


def test_a_slower_series_lies_on_the_lines_between_its_steps():
    line = np.arange(10.0)[:, None]
    assert np.allclose(at_speed(line, 0.5)[1:-1, 0], np.arange(0.25, 9, 0.5))
    assert len(at_speed(line, 2.0)) == 5 and len(at_speed(line, 100.0)) == 1


def test_a_gap_of_a_series_stays_one():
    series = Series(scale="none", tempo_change=0.5, noise=0.1)
    series.fit([[1.0, None, 3.0]])
    steps = series.varied(series.encode([1.0, None, 3.0, 4.0]), np.random.default_rng(2))
    assert np.array_equal(np.isnan(steps[:, 0]), steps[:, 1] == 1) and np.isnan(steps[:, 0]).any()


def test_a_drawing_is_turned_widened_and_slanted():
    drawing = [[0, 0, 0], [1, 0, 0], [0, 1, 1]]

    def drawn(**options):
        strokes = Strokes(scale="none", **options)
        strokes.fit([drawing])
        return strokes.varied(strokes.encode(drawing), Always(1.0))

    assert np.allclose(drawn(turn_change=90.0)[1:, :2], [[0, 1], [-1, 0]], atol=1e-6)
    assert np.allclose(drawn(width_change=0.5)[1:, :2], [[1.5, 0], [0, 1]])
    assert np.allclose(drawn(slant_change=0.5)[1:, :2], [[1, 0], [0.5, 1]])
    assert np.allclose(drawn(size_change=0.5)[1:, :2], [[1.5, 0], [0, 1.5]])
    assert np.allclose(drawn(jitter=0.25)[:, 2:], [[0, 0], [0, 0], [1, 1]])


def test_a_piece_is_moved_to_another_key_and_stays_within_the_keys():
    roll = PianoRoll(lowest=60, keys=12, transposition=3)
    piece = roll.encode([[62, 65], [], [64]])
    moved = [roll.decode(roll.varied(piece, np.random.default_rng(seed))) for seed in range(60)]
    shifts = {frames[0][0] - 62 for frames in moved}
    assert shifts == {-2, -1, 0, 1, 2, 3}, "D is the second key above the lowest"
    assert all(frames == [[62 + s, 65 + s], [], [64 + s]] for frames in moved for s in [frames[0][0] - 62])
    assert np.array_equal(roll.varied(piece[1:2], np.random.default_rng(0)), piece[1:2]), "silence has no key"


def masked(values, chance=None, mean=0.0, **options):
    widths = {"step_masks": 0, "step_width": None, "band_masks": 0, "band_width": None}
    return Masks.of("series", **widths | options).over(values, mean, chance or np.random.default_rng(0))


def test_masks_hide_stretches_of_steps_and_of_neighbouring_numbers():
    values = np.ones((40, 10))
    steps, bands = (masked(values, **options) == 0 for options in ({"step_masks": 1}, {"band_masks": 1}))
    for hidden, most in ((steps.all(1), 20), (bands.all(0), 2)):
        places = np.flatnonzero(hidden)
        assert 1 <= len(places) <= most and np.array_equal(places, np.arange(places[0], places[-1] + 1))
    assert np.array_equal(steps, np.broadcast_to(steps[:, :1], steps.shape)), "steps are masked as a whole"
    assert np.array_equal(bands, np.broadcast_to(bands[:1], bands.shape)), "numbers are masked in all steps"
    counts = [
        (masked(values, np.random.default_rng(seed), step_masks=2, step_width=3) == 0).all(1) for seed in range(200)
    ]
    assert {2, 3, 4, 5, 6} <= {hidden.sum() for hidden in counts} <= set(range(1, 7))
    assert np.stack(counts).any(0).all(), "each step at some time"


def test_no_more_than_half_of_an_example_is_one_stretch_and_none_of_one_step():
    for count in (0, 1, 2, 3):
        hidden = [
            (masked(np.ones((count, 2)), np.random.default_rng(seed), step_masks=1) == 0).all(1).sum()
            for seed in range(20)
        ]
        assert max(hidden, default=0) == count // 2


def test_what_is_missing_stays_so_where_it_is_masked_and_the_rest_becomes_the_mean():
    values = np.array([[1.0, np.nan], [np.nan, 2.0], [1.0, 2.0], [1.0, 2.0]])
    hidden = masked(values, Always(0.0), np.array([5.0, 7.0]), step_masks=1, step_width=1)
    assert np.array_equal(hidden, [[5.0, np.nan], [np.nan, 2.0], [1.0, 2.0], [1.0, 2.0]], equal_nan=True)


@pytest.mark.parametrize(("scale", "blank"), [("dataset", [0, 0]), ("row", [0, 0]), ("none", [2.5, 4.5])])
def test_masks_of_a_series_are_its_mean_in_scaled_units(scale, blank):
    rows = [[[1.0, 3.0], [2.0, 4.0]], [[3.0, 5.0], [4.0, 6.0]]]
    series = Series(scale=scale, step_masks=1)
    series.fit(rows)
    steps = series.encode(rows[0])
    assert np.allclose(series.varied(steps, Always(0.0)), [blank, steps[1]])


@pytest.mark.parametrize("features", ["log_mel", "mfcc", "waveform"])
def test_masks_of_a_recording_follow_what_changes_its_sound(features):
    recording = audio(features=features, step_masks=1)
    frames = recording.varied(audio(features=features).encode(tone(440)), Always(0.0))
    assert np.allclose(frames[0], np.mean(audio(features=features).encode(tone(440)), 0), atol=1e-4)
    if features != "waveform":
        both = audio(features=features, step_masks=1, speed_change=0.2).varied(
            audio(features=features).encode(tone(440)), Always(0.0)
        )
        assert len(both) > len(frames) and np.allclose(both[0], frames[0])
