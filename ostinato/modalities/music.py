"""Notes of a tune: MIDI files, and texts in ABC notation."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ostinato.errors import ConfigError, DataError, shown
from ostinato.modalities import _abc, _notes
from ostinato.modalities._fields import file_content, is_missing, one_line
from ostinato.modalities._spelling import BEGIN, END, FIRST, SPECIAL, UNKNOWN, numbers
from ostinato.modalities.contract import Array, Features, Grammar, Modality, Symbols
from ostinato.raw.vocabulary import extended, most_frequent
from ostinato.registry import Count

ENCODED = "data:audio/midi;base64,"
"""What a field begins with that holds the bytes of a MIDI file."""
EXAMPLES = (
    'X:1\nT:A\nM:6/8\nK:G\nD|"G"GAB d2d|"D7"(3cBA G/F/ [Gc]3-|c3 G2:|',
    "X:2\nM:4/4\nL:1/4\nK:Am\nABcd|[K:C]c'4|]",
    "X:3\nK:C\nC/D//E3/2 z2|",
)


class Music(Modality):
    """The notes of a tune as symbols, so that it can be continued or made anew.

        abc         fields (meter, unit of length, key), chords, notes with their lengths, bars; tunes come back with
                    the same notes, without titles, words and blanks
        remi, tsd   MidiTok's symbols of a MIDI file, see its documentation; of all tracks but drums together, without
                    loudness and instruments

    Every sequence of symbols decodes to a tune that can be opened. A raw value is the bytes of a file (a column
    `NAME:file` of a manifest), its path, or a tune in ABC as a text, which remi and tsd read too; of a file with
    several tunes give each its own row. A symbol of ABC that training lacks is spelt by its characters.

    What continues a tune is decoded together with it. Generated tunes are written as `.abc` (of abc), `.mid`, `.wav`
    (sinusoids) or `.png` (a picture of the roll). MIDI, and every form but `.abc`, needs symusic and MidiTok:
    `pip install 'ostinato[music]'`.

    Args:
        notation: what the symbols are.
        fill_bars: of abc: whether a generated tune has its fields first and bars as long as its meter, save the first
            and last of a part; other symbols get no probability.
        well_formed: of remi and tsd: whether a generated tune has symbols in the order of its notation, such as a
            length after each pitch, and a note at least before its end; other symbols get no probability.
        beat: of remi and tsd: into how many parts of a beat times are rounded; 12 by default, which has triplets.

    Shapes:
        encoded (T,)

    Errors:
        ConfigError: fill_bars without abc, beat or well_formed with it; symusic and MidiTok are missing.
        DataError: a value is no tune, or several, a tune has several voices or no key, a MIDI file is damaged, has no
            notes but drums, or more than 100,000 notes or beats.

    Source: remi: Huang and Yang 2020, arXiv:2002.00212; tsd: MidiTok, Fradet et al. 2021, arXiv:2310.17202.
    """

    aligns = frozenset({"free", "next"})
    default_align = "next"
    default_encoder = "recurrent"
    default_head = {"free": "autoregressive", "next": "next_step"}
    metrics = {
        "next": ("perplexity", "token_accuracy"),
        "free": ("exact_match", "token_error_rate", "token_accuracy", "perplexity"),
    }
    file_endings = (".abc", ".mid", ".midi")
    file_settings = {"notation": "remi", "well_formed": True}
    file_rows = {".abc": "blank"}
    continues_whole = True
    examples = EXAMPLES
    render_endings = (".abc", ".mid", ".wav", ".png")

    def __init__(
        self,
        *,
        notation: Literal["abc", "remi", "tsd"] = "abc",
        fill_bars: bool = False,
        well_formed: bool = False,
        beat: Count | None = None,
    ):
        if notation != "abc" and fill_bars:
            raise ConfigError("music: fill_bars belongs to notation: abc; set it, or leave fill_bars out")
        if notation == "abc" and well_formed:
            raise ConfigError("music: well_formed belongs to notation: remi or tsd; set it, or leave well_formed out")
        if notation == "abc" and beat is not None:
            raise ConfigError("music: beat belongs to notation: remi or tsd; set it, or leave beat out")
        self.notation, self.fill_bars, self.well_formed, self.beat = notation, fill_bars, well_formed, beat or 12
        self._set([], [])

    def _set(self, symbols: Sequence[str], counts: Sequence[int]) -> None:
        self._symbols, self._counts = list(symbols), list(counts)
        self._number = {symbol: number for number, symbol in enumerate(self._symbols, FIRST)}

    def _midi(self) -> _notes.Tokens:
        assert self.notation != "abc", "tunes in ABC need no tokenizer"
        return _notes.tokens(self.notation, self.beat)

    def _read(self, raw: Any) -> list[str]:
        """The symbols of a raw value, whether known or not."""
        if isinstance(raw, Path):
            raw = raw.read_bytes()
        if isinstance(raw, str):
            raw = self.parse(raw)
        if not isinstance(raw, (bytes, str)):
            raise DataError(f"a tune is a text in ABC or the bytes of a file, not {shown(raw)}")
        if self.notation == "abc":
            return _abc.symbols_of(raw if isinstance(raw, str) else _text(raw))
        if isinstance(raw, bytes):
            return self._midi().encode(_notes.score_of_midi(raw))
        if not raw:
            return []
        return self._midi().encode(_notes.score_of_abc(_abc.text_of(_abc.symbols_of(raw))))

    def fit(self, column: Iterable[Any]) -> None:
        counts = most_frequent((self._read(raw) for raw in column if raw is not None), None, 1, "note")
        others = _abc.CHARACTERS if self.notation == "abc" else self._midi().vocabulary
        counts = counts | {symbol: 0 for symbol in others if symbol not in counts}
        self._set(list(counts), list(counts.values()))

    def flaw(self, raw: Any) -> str | None:
        self._read(raw)
        return None

    def encode(self, raw: Any) -> np.ndarray:
        ids: list[int] = []
        for symbol in self._read(raw):
            if symbol in self._number:
                ids.append(self._number[symbol])
            else:
                ids += [self._number.get(character, UNKNOWN) for character in symbol]
        return np.array(ids, dtype=np.int32)

    def decode(self, array: Array) -> str | bytes:
        """The text of a tune, or the bytes of a MIDI file."""
        symbols = [self._symbols[number - FIRST] for number in numbers(array) if number >= FIRST]
        return _abc.text_of(symbols) if self.notation == "abc" else self._midi().decode(symbols)

    def labels(self, array: Array) -> list[str]:
        labels = (*SPECIAL, *self._symbols)
        return [labels[number].strip() for number in numbers(array)]

    @property
    def spec(self) -> Symbols:
        return Symbols(len(self._symbols) + FIRST, BEGIN, END, UNKNOWN, counts=(*[0] * FIRST, *self._counts))

    def grammar(self) -> Grammar | None:
        if self.well_formed:
            return _notes.WellFormed(self._symbols, FIRST, END, self.beat)
        return _abc.Bars(self._symbols, FIRST, END) if self.fill_bars else None

    def features(self, cells: Sequence[Any]) -> Features:
        """The symbols."""
        return Features("symbols", [[] if raw is None else self._read(raw) for raw in cells])

    def facts(self) -> dict[str, Any]:
        return {"symbols": self._symbols, "counts": self._counts}

    def restore(self, facts: dict[str, Any]) -> None:
        self._set(facts["symbols"], facts["counts"])

    def extended(self, earlier: Mapping[str, Any], fitted: Mapping[str, Any]) -> Mapping[str, Any]:
        return extended(earlier, fitted, "symbols")

    def parse(self, field: str) -> str | bytes:
        """The file that a path names, the bytes that a field of base64 holds, or a tune as a text, whose line breaks
        may be written as `\\n`."""
        if self.notation != "abc":
            text = field.replace("\\n", "\n")
            return text if "\n" in text or not text else file_content(field, ENCODED, "MIDI file")
        if field.lower().endswith(".abc") and os.path.isfile(field):
            return _text(Path(field).read_bytes())
        return field.replace("\\n", "\n")

    def take(self, raw: Any) -> Any:
        return None if is_missing(raw) else raw

    def write(self, raw: Any) -> str:
        if isinstance(raw, bytes):
            return ENCODED + base64.b64encode(raw).decode() if self.notation != "abc" else one_line(_text(raw))
        return one_line(str(raw))

    def render(self, raws: Sequence[Any], ending: str) -> bytes:
        if self.notation == "abc" and ending == ".abc":
            texts = [raw if isinstance(raw, str) else _text(raw) for raw in raws]
            numbered = (text.rstrip().replace("X:1\n", f"X:{number}\n", 1) for number, text in enumerate(texts, 1))
            return ("\n\n".join(numbered) + "\n").encode()
        if ending == ".abc":
            raise ConfigError("a tune of MIDI's symbols is written as .mid, .wav or .png; for .abc set notation: abc")
        raw = _notes.only(raws, ending)
        if self.notation == "abc":
            score = _notes.score_of_abc(raw if isinstance(raw, str) else _text(raw))
        else:
            score = _notes.symusic().Score.from_midi(raw)
        return _notes.file_of(score, ending)


def _text(content: bytes) -> str:
    """ABC is written in UTF-8, older files in Latin 1."""
    if content.startswith(b"MThd"):
        raise DataError("this is a MIDI file, and a text in ABC is needed; set notation: remi (or tsd)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
