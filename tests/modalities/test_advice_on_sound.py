"""What a message on a recording or a tune recommends, followed: what was refused is read."""

import math

import numpy as np
import pytest

from ostinato.errors import OstinatoError
from ostinato.modalities import _notes
from ostinato.modalities.audio import wav
from ostinato.modalities.music import Music
from ostinato.registry import make
from tests.modalities.value_advice import follow, used

TUNE = "X:1\nM:2/4\nK:G\nGBdB|"
TONE = np.sin(np.arange(800) / 3)
SOUND = wav(TONE, 8000)


def midi(rest=False):
    symusic = pytest.importorskip("symusic")
    return bytes(symusic.Score(480).dumps_midi()) if rest else Music().render([TUNE], ".mid")


ROWS = [
    # what is refused: type, options, column, value | what the message recommends | the changes that follow it
    (
        "audio",
        {"rate": 1000, "bands": 10},
        [np.zeros(7_300_000, np.int16)],
        None,
        "hours are too long for one example; cut the recording into parts of at most 2 hours",
        {"column": [np.zeros(7_300, np.int16)]},
    ),
    (
        "piano_roll",
        {},
        [np.eye(3, 100)],
        None,
        "an array of shape (frames, 88) is needed, not (3, 100); set keys: 100",
        {"options": {"keys": 100}},
    ),
    (
        "piano_roll",
        {},
        [np.eye(3, 128)],
        None,
        "an array of shape (frames, 88) is needed, not (3, 128); set keys: 128 and lowest: 0",
        {"options": {"keys": 128, "lowest": 0}},
    ),
    (
        "piano_roll",
        {},
        [np.eye(3, 200)],
        None,
        "an array of shape (frames, 88) is needed, not (3, 200); give one column for each of at most 128",
        {"column": [np.eye(3, 88)]},
    ),
    (
        "piano_roll",
        {},
        [np.ones(88)],
        None,
        "an array of shape (frames, 88) is needed, not (88,); give one column for each of at most 128",
        {"column": [np.ones((1, 88))]},
    ),
    (
        "piano_roll",
        {},
        [2 * np.eye(3, 88)],
        None,
        "frame 1 holds another number than 0 and 1; write 1 where a key sounds",
        {"column": [np.eye(3, 88)]},
    ),
    (
        "piano_roll",
        {},
        [[[], []]],
        None,
        "nothing to learn: no note in any training row; check that this is the right column",
        {"column": [[[60], []]]},
    ),
    (
        "audio",
        {"rate": 5},
        [SOUND],
        None,
        "audio: rate: 5 is none of sound; set a rate from 1,000 to 1,000,000",
        {"options": {"rate": 8000}},
    ),
    (
        "audio",
        {"scale": "row", "features": "mfcc", "tract_change": 0.2},
        [SOUND],
        None,
        "needs the power of its bands; set features: log_mel, and scale: dataset for level_change and noise_distance",
        {"options": {"scale": "row", "features": "log_mel", "tract_change": 0.2}},
        {"options": {"features": "log_mel", "scale": "dataset", "noise_distance": 10.0}},
    ),
    (
        "audio",
        {},
        [SOUND],
        {"mfcc": [[0.0] * 13]},
        "frames of mfcc are given, and log_mel is read here; give the recording, its log_mel, or its array"
        " and sampling_rate",
        {"raw": SOUND},
        {"raw": {"log_mel": [[0.0] * 40]}},
        {"raw": {"array": np.zeros(800), "sampling_rate": 8_000}},
    ),
    (
        "audio",
        {},
        [SOUND],
        {"log_mel": [[math.inf] * 40]},
        "log_mel: each frame is 40 numbers, all of them finite; mend the frames",
        {"raw": {"log_mel": [[0.5] * 40]}},
    ),
    (
        "audio",
        {},
        [TONE],
        None,
        "samples alone tell no rate; set `rate` for this input, or give files",
        {"options": {"rate": 8000}},
        {"column": [SOUND]},
    ),
    (
        "audio",
        {},
        [SOUND],
        wav(TONE, 2_000_000),
        "2,000,000 samples a second are none of a recording of sound; write the file with its rate",
        {"raw": SOUND},
    ),
    *(
        (
            "audio",
            {},
            [SOUND],
            SOUND[:24] + rate.to_bytes(4, "little") + SOUND[28:],
            f"{rate:,} samples a second are none of a recording of sound; write the file with its rate",
            {"raw": SOUND},
        )
        for rate in (0, 99_999_989)
    ),
    (
        "audio",
        {},
        [SOUND],
        np.array([0.0, math.nan]),
        "sample 2 is no finite number; mend the recording",
        {"raw": np.array([0.0, 0.5])},
    ),
    (
        "audio",
        {},
        [SOUND],
        np.zeros((2, 800)),
        "samples of shape (2, 800) have more channels than samples; give (T, channels)",
        {"raw": np.zeros((800, 2))},
    ),
    ("audio", {}, [SOUND], b"", "the file is empty; write the recording again", {"raw": SOUND}),
    (
        "audio",
        {},
        [SOUND],
        lambda: pytest.importorskip("soundfile") and b"hello, this is a text",
        "this is no whole recording (Format not recognised); wav, flac, ogg and mp3 are read: write it again as one",
        {"raw": SOUND},
    ),
    (
        "audio",
        {},
        [SOUND],
        SOUND[:-400],
        "the recording is cut short: 600 of 800 samples are there; write it again",
        {"raw": SOUND},
    ),
    (
        "music",
        {"notation": "remi", "fill_bars": True},
        [TUNE],
        None,
        "music: fill_bars belongs to notation: abc; set it, or leave fill_bars out",
        {"options": {"fill_bars": True}},
        {"options": {"notation": "remi"}, "column": [lambda: pytest.importorskip("symusic") and TUNE]},
    ),
    (
        "music",
        {"well_formed": True},
        [TUNE],
        None,
        "music: well_formed belongs to notation: remi or tsd; set it, or leave well_formed out",
        {
            "options": {"notation": "remi", "well_formed": True},
            "column": [lambda: pytest.importorskip("symusic") and TUNE],
        },
        {"options": {}},
    ),
    (
        "music",
        {},
        [f"{TUNE}\n\n{TUNE}"],
        None,
        "there are 2 tunes (lines X:) where one is read; give each a row of its own",
        {"column": [TUNE, TUNE]},
    ),
    (
        "music",
        {},
        [f"{TUNE}\nV:2\nG4|\nV:3\nB4|"],
        None,
        "the tune has 2 voices (V:), 2 and 3, and one is read; keep one, or write it as MIDI and set notation: remi",
        {"column": [f"{TUNE}\nV:2\nG4|"]},
        {"column": [midi], "options": {"notation": "remi"}},
    ),
    (
        "music",
        {},
        [midi],
        None,
        "this is a MIDI file, and a text in ABC is needed; set notation: remi (or tsd)",
        {"options": {"notation": "remi"}},
        {"options": {"notation": "tsd"}},
    ),
    (
        "music",
        {},
        [TUNE.replace("K:G", "K:H")],
        None,
        "there is no key K:H; write a note from A to G, such as K:C or K:F#m, or K:none",
        {"column": [TUNE.replace("K:G", "K:F#m")]},
        {"column": [TUNE.replace("K:G", "K:none")]},
    ),
    (
        "music",
        {"notation": "remi"},
        [lambda: pytest.importorskip("symusic") and TUNE, b""],
        None,
        "the file is empty; write the tune again",
        {"column": [TUNE, midi]},
    ),
    (
        "music",
        {"notation": "remi"},
        [lambda: pytest.importorskip("symusic") and TUNE, b"RIFF1234WAVE"],
        None,
        "this is no MIDI file, which begins with MThd; give one that ends in .mid, or a tune in ABC",
        {"column": [TUNE, midi]},
        {"column": [TUNE, TUNE]},
    ),
    (
        "music",
        {"notation": "remi"},
        [TUNE, lambda: midi()[:30]],
        None,
        "this is no whole MIDI file ( ... ); write it again",
        {"column": [TUNE, midi]},
    ),
    (
        "music",
        {"notation": "remi"},
        [TUNE, lambda: b"MThd\0\0\0\6\0\1\0\1\0\0" + midi()[14:]],
        None,
        "this is no whole MIDI file (a beat of it has no ticks); write it again",
        {"column": [TUNE, midi]},
    ),
    (
        "music",
        {"notation": "remi"},
        [TUNE, lambda: midi(rest=True)],
        None,
        "the MIDI file has no notes; leave it out",
        {"column": [TUNE]},
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[4]}"[:60])
def test_a_value_or_setting_that_follows_the_advice_is_read(row):
    follow(row)


def test_sound_that_arrives_follows_the_advice_on_its_scale():
    parts = iter([np.zeros(800, "<i2").tobytes(), b""])
    by_row, whole = make("modalities", "audio", options={"scale": "row"}), make("modalities", "audio")
    with pytest.raises(OstinatoError, match="scale: row needs the whole recording; set scale: dataset and train again"):
        list(by_row.arriving(lambda: next(parts)))
    whole.fit([SOUND])
    assert len(np.concatenate(list(whole.arriving(lambda: next(parts)))))


def test_sound_that_ends_within_a_sample_is_sent_again_as_the_advice_asks():
    audio, content = make("modalities", "audio", options={}), np.zeros(800, "<i2").tobytes()
    audio.fit([SOUND])
    for sent, ends in ((content + b"x", True), (content, False)):
        for read in (lambda: audio.arrived(sent), lambda: list(audio.arriving(iter([sent, b""]).__next__))):
            if ends:
                with pytest.raises(OstinatoError, match="in the middle of a sample: .*; send it again"):
                    read()
            else:
                assert len(read())


def test_what_is_too_long_is_cut_as_the_advice_asks(monkeypatch):
    pytest.importorskip("symusic")
    monkeypatch.setattr(_notes, "LONGEST", 3)
    with pytest.raises(OstinatoError, match="notes, and 3 are the most of one example; cut it into pieces"):
        used("music", {"notation": "remi"}, [midi])
    used("music", {"notation": "remi"}, [lambda: Music().render(["X:1\nM:2/4\nK:G\nGB|"], ".mid")])


def test_a_tune_with_less_silence_is_read_as_the_advice_asks(monkeypatch):
    pytest.importorskip("symusic")
    monkeypatch.setattr(_notes, "LONGEST", 5)
    with pytest.raises(OstinatoError, match="lasts 9 beats, and 5 are the most of one example; take the silence out"):
        used("music", {"notation": "remi"}, [lambda: Music().render(["X:1\nM:2/4\nL:1/4\nK:G\nz8B|"], ".mid")])
    used("music", {"notation": "remi"}, [lambda: Music().render(["X:1\nM:2/4\nL:1/4\nK:G\nz3B|"], ".mid")])


def test_sound_of_frames_is_written_with_the_scale_of_the_advice():
    by_row, whole = make("modalities", "audio", options={"scale": "row"}), make("modalities", "audio")
    for audio in (by_row, whole):
        audio.fit([SOUND])
    with pytest.raises(OstinatoError, match="keeps no loudness; for sound set scale: dataset and train again"):
        by_row.render([SOUND], ".wav")
    assert whole.render([SOUND], ".wav")


def test_one_tune_is_written_to_a_file_as_the_advice_asks():
    music = Music()
    with pytest.raises(OstinatoError, match="holds one tune, and there are 2; give one prompt and one answer"):
        music.render([TUNE] * 2, ".mid")
    pytest.importorskip("symusic")
    assert music.render([TUNE], ".mid").startswith(b"MThd")
