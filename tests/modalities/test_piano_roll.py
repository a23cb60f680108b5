"""Piano rolls: notes of each frame, arrays, and what is refused."""

import io
import wave

import numpy as np
import pytest

from ostinato.errors import ConfigError, DataError
from ostinato.modalities.piano_roll import PianoRoll
from ostinato.testing import laws


def test_laws():
    laws.run("modalities", "piano_roll")


def test_notes_and_arrays_are_read_alike_and_named():
    roll = PianoRoll()
    array = np.zeros((2, 88))
    array[0, [39, 43]] = 1
    assert np.array_equal(roll.encode(array), roll.encode([[60, 64], []]))
    assert roll.labels(array) == ["C4 E4", "-"]
    assert roll.decode(array) == [[60, 64], []]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([[60], [20]], "frame 2: a note is a whole number from 21 to 108, not 20"),
        ([[60.5]], "frame 1: a note is a whole number"),
        ([60, 62], "a list of frames is needed"),
        ("[[60", "a list of frames is needed as JSON"),
        (np.full((3, 88), 0.5), "frame 1 holds another number than 0 and 1"),
        (np.zeros((3, 12)), "(frames, 88) is needed, not (3, 12)"),
    ],
)
def test_what_is_no_roll_is_refused(raw, message):
    with pytest.raises(DataError) as error:
        PianoRoll().encode(raw)
    assert message in str(error.value)


def test_a_column_without_notes_and_keys_beyond_midi_are_refused():
    with pytest.raises(DataError, match="no note in any training row"):
        PianoRoll().fit([[[], []], None])
    with pytest.raises(ConfigError, match="MIDI's notes at 127"):
        PianoRoll(lowest=100)


def test_a_roll_is_written_as_midi_with_held_keys_as_one_note_as_sound_and_as_a_picture():
    library = pytest.importorskip("symusic")
    roll = PianoRoll()
    frames = [[60, 64], [60], [], [60]]
    score = library.Score.from_midi(roll.render([frames], ".mid"))
    assert sorted((note.time, note.duration, note.pitch) for note in score.tracks[0].notes) == [
        (0, 240, 64),
        (0, 480, 60),
        (720, 240, 60),
    ]
    assert roll.render([frames], ".png").startswith(b"\x89PNG")
    with wave.open(io.BytesIO(roll.render([frames], ".wav"))) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(4 * 0.25 + 0.08, abs=0.001)
    with pytest.raises(ConfigError, match="holds one tune, and there are 2"):
        roll.render([frames, frames], ".mid")
