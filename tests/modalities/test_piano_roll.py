"""Piano rolls: notes of each frame, arrays, and what is refused."""

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
