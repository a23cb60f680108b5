"""Which keys of a piano sound, frame by frame."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ostinato.errors import ConfigError, DataError, shown
from ostinato.modalities import _notes
from ostinato.modalities._fields import is_missing
from ostinato.modalities.contract import Array, Features, Labels, Modality, Traits
from ostinato.registry import Count, Whole

HIGHEST = 127
"""The last note number of MIDI."""
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def note_name(number: int) -> str:
    """A note number of MIDI as people write it: 60 is C4."""
    return f"{NAMES[number % 12]}{number // 12 - 1}"


class PianoRoll(Modality):
    """Polyphonic music as a set of sounding keys per frame.

        step[k] = 1 where the note number lowest + k sounds, else 0

    A raw value is a list of frames, each a list of MIDI's note numbers (60 is middle C) as in `[[60, 64], [], [67]]`,
    in a field of text as JSON; or an array (T, keys) of 0 and 1, as from a `.npy` file. A key that is held for two
    frames and one that is struck twice are alike. Rolls that are generated are also written as `.mid`, `.wav`
    (sinusoids) or `.png` (a picture), each frame an eighth, by symusic: `pip install 'ostinato[music]'`.

    In training a piece may be in another key in each epoch (augmentation), as a function of (seed, epoch, row):

        step[k + shift]' = step[k]        shift uniform among the whole numbers from -transposition to transposition
                                          that leave all its notes within the keys

    Args:
        lowest: the note number of the first key; 21 is the lowest of a piano.
        keys: how many there are.
        transposition: in training, how many semitones a piece is moved at most, up or down.

    Shapes:
        encoded (T, keys)

    Errors:
        ConfigError: the last key lies beyond MIDI's notes; symusic is missing where a file is written.
        DataError: a value is no list of frames, or an array of another width or of other numbers than 0 and 1; a note
            lies outside the keys; or no training row has a frame.
    """

    aligns = frozenset({"next"})
    default_align = "next"
    default_encoder = "recurrent"
    default_head = {"next": "next_bits"}
    metrics = {"next": ("log_loss",)}
    examples = ([[60, 64, 67], [], [60]], [[61]], [])
    render_endings = (".mid", ".wav", ".png")

    def __init__(self, *, lowest: Whole = 21, keys: Count = 88, transposition: Whole = 0):
        if lowest + keys - 1 > HIGHEST:
            raise ConfigError(
                f"piano_roll: {keys} keys from note {lowest} on end at {lowest + keys - 1}, and MIDI's notes at "
                f"{HIGHEST}; lower one of them"
            )
        self.lowest, self.keys, self._transposition = lowest, keys, transposition
        self._counts: list[int] = []

    @staticmethod
    def traits(settings: Any) -> Traits:
        return Traits(varies=settings.transposition > 0)

    def varied(self, steps: np.ndarray, chance: np.random.Generator) -> np.ndarray:
        sounding = np.flatnonzero(steps.any(0))
        if not len(sounding):
            return steps
        down, up = min(self._transposition, sounding[0]), min(self._transposition, self.keys - 1 - sounding[-1])
        return np.roll(steps, chance.integers(-down, up + 1), 1)

    def _read(self, raw: Any) -> np.ndarray:
        """(T, keys) float32."""
        if isinstance(raw, str):
            raw = self.parse(raw)
        if isinstance(raw, np.ndarray):
            return self._checked(raw)
        if not isinstance(raw, (list, tuple)) or not all(isinstance(frame, (list, tuple)) for frame in raw):
            raise DataError(f"a list of frames is needed, each a list of note numbers, not {shown(raw)}")
        roll = np.zeros((len(raw), self.keys), dtype=np.float32)
        for place, frame in enumerate(raw, 1):
            for note in frame:
                if not isinstance(note, (int, np.integer)) or not 0 <= note - self.lowest < self.keys:
                    raise DataError(
                        f"frame {place}: a note is a whole number from {self.lowest} to {self.lowest + self.keys - 1}, "
                        f"not {note!r}; leave it out, or set `lowest` and `keys`"
                    )
                roll[place - 1, note - self.lowest] = 1
        return roll

    def _checked(self, roll: np.ndarray) -> np.ndarray:
        if roll.ndim != 2 or roll.shape[1] != self.keys:
            keys = roll.shape[1] if roll.ndim == 2 else 0
            advice = f"set keys: {keys}"
            if not 0 < keys <= HIGHEST + 1:
                advice = f"give one column for each of at most {HIGHEST + 1} keys"
            elif self.lowest + keys - 1 > HIGHEST:
                advice += f" and lowest: {HIGHEST + 1 - keys}"
            raise DataError(f"an array of shape (frames, {self.keys}) is needed, not {roll.shape}; {advice}")
        if not np.isin(roll, (0, 1)).all():
            frame = int(np.flatnonzero(~np.isin(roll, (0, 1)).all(1))[0])
            raise DataError(f"frame {frame + 1} holds another number than 0 and 1; write 1 where a key sounds")
        return roll.astype(np.float32)

    def fit(self, column: Iterable[Any]) -> None:
        counts = sum((self._read(raw).sum(0) for raw in column if raw is not None), np.zeros(self.keys))
        if not counts.any():
            raise DataError("nothing to learn: no note in any training row; check that this is the right column")
        self._counts = counts.astype(int).tolist()

    def encode(self, raw: Any) -> np.ndarray:
        return self._read(raw)

    def decode(self, array: Array) -> list[list[int]]:
        """The note numbers of each frame, rising."""
        roll = np.asarray(array).reshape(-1, self.keys)
        return [(np.flatnonzero(frame >= 0.5) + self.lowest).tolist() for frame in roll]

    def labels(self, array: Array) -> list[str]:
        """The names of the notes of each frame."""
        return [" ".join(map(note_name, frame)) or "-" for frame in self.decode(array)]

    @property
    def spec(self) -> Labels:
        return Labels(self.keys, multilabel=True, counts=tuple(self._counts))

    def features(self, cells: Sequence[Any]) -> Features:
        """The share of frames in which each key sounds."""
        rolls = (np.zeros((0, self.keys)) if raw is None else self._read(raw) for raw in cells)
        return Features("numbers", [roll.sum(0) / max(1, len(roll)) for roll in rolls])

    def facts(self) -> dict[str, Any]:
        return {"counts": self._counts}

    def restore(self, facts: dict[str, Any]) -> None:
        self._counts = list(facts["counts"])

    def parse(self, field: str) -> Any:
        try:
            return json.loads(field) if field.strip() else []
        except (json.JSONDecodeError, RecursionError) as why:
            raise DataError(f"a list of frames is needed as JSON, such as [[60, 64], [], [67]]: {why}") from None

    def take(self, raw: Any) -> Any:
        return None if is_missing(raw) else raw

    def render(self, raws: Sequence[Any], ending: str) -> bytes:
        frames = self.decode(self._read(_notes.only(raws, ending)))
        return _notes.file_of(_notes.score_of_frames(frames), ending)

    def closing(self) -> str:
        return "]"

    def write(self, raw: Any) -> str:
        return json.dumps(self.decode(self._read(raw)))
