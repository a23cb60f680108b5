"""Notes of MIDI files and of tunes in ABC: read by symusic, as symbols of MidiTok, as sound and as a picture."""

from __future__ import annotations

import functools
import importlib.util
import io
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from ostinato.errors import ConfigError, DataError
from ostinato.modalities.audio import wav
from ostinato.modalities.contract import Grammar

ADVICE = "pip install 'ostinato[music]'"
LONGEST = 100_000
"""Notes of a file: each makes several steps, which are computed at once."""
TICKS, LOUDNESS = 480, 90
"""Of a quarter, and the velocity of a note, in scores that are made of frames."""
RATE, PARTIALS = 22_050, 6
"""Samples per second of what is synthesized, and the sinusoids of a note."""
ATTACK_SECONDS, RELEASE_SECONDS, DECAY_SECONDS = 0.01, 0.08, 0.6


def installed() -> bool:
    """Whether MIDI can be read."""
    return all(importlib.util.find_spec(library) is not None for library in ("symusic", "miditok"))


def symusic() -> Any:
    """
    Errors:
        ConfigError: it is not installed.
    """
    if not installed():
        raise ConfigError(f"MIDI is read and written by symusic and MidiTok: {ADVICE}")
    import symusic as library

    return library


def score_of_midi(content: bytes) -> Any:
    """The score of a file.

    Errors:
        DataError: it is damaged, or has no note, or too many.
    """
    library = symusic()
    if not content:
        raise DataError("the file is empty; write the tune again")
    if not content.startswith(b"MThd"):
        raise DataError("this is no MIDI file, which begins with MThd; give one that ends in .mid, or a tune in ABC")
    try:
        score = library.Score.from_midi(content)
    except (RuntimeError, ValueError) as why:
        reason = str(why).removeprefix("MiniMidi: ").removesuffix(": iostream error").rstrip("!")
        raise DataError(f"this is no whole MIDI file ({reason}); write it again") from None
    if not score.ticks_per_quarter:
        raise DataError("this is no whole MIDI file (a beat of it has no ticks); write it again")
    count = sum(len(track.notes) for track in score.tracks if not track.is_drum)
    if not count:
        raise DataError("the MIDI file has no notes; leave it out")
    beats = score.end() / score.ticks_per_quarter
    if beats > LONGEST:
        raise DataError(
            f"the MIDI file lasts {beats:,.0f} beats, and {LONGEST:,} are the most of one example; take the silence out"
        )
    if count > LONGEST:
        raise DataError(
            f"the MIDI file has {count:,} notes, and {LONGEST:,} are the most of one example; cut it into pieces"
        )
    return score


def score_of_abc(text: str) -> Any:
    """The score that the parser of ABC (abc2midi) makes of a tune, its ticks mended: those of the parser begin at 1 and
    end one too early.

    Errors:
        DataError: the parser makes none of it.
    """
    library = symusic()
    try:
        score = library.Score.from_abc(text)
    except RuntimeError as why:
        raise DataError(f"this tune is no ABC that can be played ({why})") from None
    for track in score.tracks:
        for note in track.notes:
            note.duration, note.time = note.duration + (note.time > 0), max(0, note.time - 1)
    return score


def score_of_frames(frames: Sequence[Sequence[int]]) -> Any:
    """The score of frames of note numbers, each an eighth; what sounds in frames one after another is one note."""
    library = symusic()
    score, track = library.Score(TICKS), library.Track()
    began: dict[int, int] = {}
    for place, frame in enumerate([*frames, []]):
        for number in began.keys() - set(frame):
            begin = began.pop(number)
            track.notes.append(library.Note(begin * TICKS // 2, (place - begin) * TICKS // 2, number, LOUDNESS))
        began |= {number: place for number in frame if number not in began}
    track.sort()
    score.tracks.append(track)
    return score


def file_of(score: Any, ending: str) -> bytes:
    """A score as `.mid`, `.wav` or `.png`."""
    if ending == ".mid":
        return bytes(score.dumps_midi())
    return sound(score) if ending == ".wav" else picture(score)


def only(raws: Sequence[Any], ending: str) -> Any:
    """The one value that a file holds.

    Errors:
        ConfigError: there are several.
    """
    if len(raws) != 1:
        raise ConfigError(f"a file {ending} holds one tune, and there are {len(raws)}; give one prompt and one answer")
    return raws[0]


def notes_of(score: Any) -> list[tuple[float, float, int, int]]:
    """Beginning and end in seconds, number and loudness of each note, in the order of time."""
    notes = [note for track in score.to("second").tracks if not track.is_drum for note in track.notes]
    return sorted((note.time, note.time + note.duration, note.pitch, note.velocity) for note in notes)


class Tokens:
    """Symbols of MidiTok for a score, all tracks together, without loudness and instruments; decoding is total.

    Args:
        kind: remi: a bar, a position in it, then notes; tsd: how much time passes, then notes.
        beat: the finest time that is told apart, as a part of a beat.
    """

    def __init__(self, kind: Literal["remi", "tsd"], beat: int):
        symusic()
        from miditok import REMI, TSD, TokenizerConfig

        config = TokenizerConfig(
            pitch_range=(21, 109),
            beat_res={(0, 12): beat},
            num_velocities=1,
            special_tokens=["PAD"],
            use_velocities=False,
            use_time_signatures=True,
            time_signature_range={16: [3, 6, 9, 12], 8: [3, 5, 6, 7, 9, 12], 4: list(range(1, 8)), 2: [1, 2, 3, 4]},
        )
        self._tokenizer: Any = (REMI if kind == "remi" else TSD)(config)
        self.vocabulary = list(self._tokenizer.vocab)

    def encode(self, score: Any) -> list[str]:
        """The symbols of a score."""
        library = symusic()
        merged = score.copy()
        track = library.Track()
        track.notes.extend([note for own in score.tracks if not own.is_drum for note in own.notes])
        track.sort()
        merged.tracks.clear()
        merged.tracks.append(track)
        (sequence,) = self._tokenizer.encode(merged)
        return list(sequence.tokens)

    def decode(self, symbols: Sequence[str]) -> bytes:
        """A file of any symbols: those that mean nothing after the ones before them are passed over."""
        kept: list[str] = []
        pitch = ""
        for symbol in symbols:
            kind = symbol.partition("_")[0]
            if kind == "Duration" and pitch:
                kept += [pitch, symbol]
            elif kind == "TimeSig" and (not kept or kept[-1].startswith("Bar") or "Bar_None" not in self.vocabulary):
                kept.append(symbol)
            elif kind in ("Bar", "Position", "TimeShift"):
                kept.append(symbol)
            pitch = symbol if kind == "Pitch" else ""
        ids = [self._tokenizer.vocab[symbol] for symbol in kept]
        return bytes(self._tokenizer.decode([ids]).dumps_midi())


class Place(NamedTuple):
    """What the symbols before decide of the next one."""

    last: str = ""
    """The kind of the last symbol."""
    position: int = -1
    """The last position in the bar; -1: none yet."""
    length: int = 0
    """How many positions the bar has; 0: as many as there are, since no meter was named."""


class WellFormed(Grammar):
    """A tune as MidiTok writes it, with a note at least: the end follows a note.

        remi   Bar TimeSig Position (Pitch Duration)+ Position ... Bar ...      positions rise and lie in the bar
        tsd    TimeSig TimeShift (Pitch Duration)+ TimeShift ... TimeSig ...    the end does not follow a TimeShift

    Where no symbol of the vocabulary fits, each may follow.

    Args:
        symbols: of the vocabulary.
        first: the number of the first one; those below are special.
        end: the number of the end.
        beat: positions of a beat, the unit of the meter.
    """

    def __init__(self, symbols: Sequence[str], first: int, end: int, beat: int):
        parts = [("", "")] * first + [(kind, value) for kind, _, value in (symbol.partition("_") for symbol in symbols)]
        self._end, self._kinds = end, np.array([kind for kind, _ in parts])
        self._positions = np.array([int(value) if kind == "Position" else -1 for kind, value in parts])
        self._lengths = [beat * int(value.split("/")[0]) if kind == "TimeSig" else 0 for kind, value in parts]
        self._any = np.isin(self._kinds, ("Bar", "TimeSig", "Position", "TimeShift", "Pitch", "Duration"))
        self._bars = "Bar" in self._kinds

    def start(self) -> Place:
        return Place()

    def advance(self, state: Place, symbol: int) -> Place:
        kind = str(self._kinds[symbol])
        if kind == "Bar":
            return Place(kind)
        position = int(self._positions[symbol]) if kind == "Position" else state.position
        return Place(kind, position, self._lengths[symbol] or state.length)

    def allowed(self, state: Place) -> np.ndarray:
        fits = np.isin(self._kinds, self._kinds_after(state.last))
        later = (self._positions > state.position) & (self._positions < (state.length or np.inf))
        fits &= later | (self._kinds != "Position")
        fits[self._end] = state.last == "Duration"
        return fits if fits.any() else self._any

    def _kinds_after(self, last: str) -> tuple[str, ...]:
        if last == "Pitch":
            return ("Duration",)
        if last == "Position":
            return ("Pitch",)
        if self._bars:
            follow = {"Bar": ("TimeSig",), "TimeSig": ("Bar", "Position"), "Duration": ("Pitch", "Position", "Bar")}
            return follow.get(last, ("Bar",))
        follow = {"TimeSig": ("Pitch", "TimeShift"), "TimeShift": ("Pitch", "TimeShift", "TimeSig")}
        return follow.get(last, ("Pitch", "TimeShift") if last else ("TimeSig",))


@functools.cache
def tokens(kind: Literal["remi", "tsd"], beat: int) -> Tokens:
    """Made once."""
    return Tokens(kind, beat)


def sound(score: Any) -> bytes:
    """A wav file of a score, a sum of sinusoids for each note.

        x(t) = sum over notes v e(t - begin) sum over k to PARTIALS of k^-1.5 sin(2 pi k f (t - begin))
        f    = 440 * 2^((number - 69) / 12) hertz

    v is the loudness; e rises within ATTACK_SECONDS, decays by e every DECAY_SECONDS and falls to 0 after the note.
    """
    notes = notes_of(score)
    samples = np.zeros(int((max((end for _, end, *_ in notes), default=0) + RELEASE_SECONDS) * RATE) + 1)
    for begin, end, number, velocity in notes:
        time = np.arange(int((end - begin + RELEASE_SECONDS) * RATE)) / RATE
        frequency = 440 * 2 ** ((number - 69) / 12)
        partials = [k for k in range(1, PARTIALS + 1) if k * frequency < RATE / 2]
        wave = sum((k**-1.5 * np.sin(2 * np.pi * k * frequency * time) for k in partials), np.zeros(len(time)))
        envelope = np.minimum(time / ATTACK_SECONDS, 1) * np.exp(-time / DECAY_SECONDS)
        envelope *= np.clip((end - begin + RELEASE_SECONDS - time) / RELEASE_SECONDS, 0, 1)
        start = int(begin * RATE)
        samples[start : start + len(time)] += velocity / 127 * wave * envelope
    return wav(0.9 * samples / max(1e-9, np.abs(samples).max()), RATE)


def picture(score: Any) -> bytes:
    """A picture (png) of the roll: a bar for each note, over seconds."""
    from matplotlib.figure import Figure

    notes = notes_of(score)
    figure = Figure(figsize=(12, 4), layout="constrained")
    axes = figure.subplots()
    for begin, end, number, _ in notes:
        axes.broken_barh([(begin, 0.95 * (end - begin))], (number - 0.4, 0.8))
    axes.set_xlabel("seconds")
    axes.set_ylabel("note number (60: middle C)")
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
