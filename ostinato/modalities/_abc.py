"""Tunes in ABC notation as symbols: fields, chords, notes with their lengths and bars; and bars that fill the meter."""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ostinato.errors import DataError
from ostinato.modalities.contract import Grammar

CHARACTERS = ("\n", *map(chr, range(33, 127)))
"""What a symbol that training lacks is spelt with."""
LENGTH = r"(?P<length>\d*/*\d*)"
SYMBOL = re.compile(
    r'"(?P<chord>[^"\n]*)"'
    r"|\[(?P<field>[A-Za-z]):(?P<value>[^\]\n]*)\]"
    r"|(?P<bar>:+\|+:*|\|+[:\]]*|:+)(?P<ending>\d)?"
    r"|(?P<second>\[\d)"
    r"|(?P<tuplet>\(\d(?::\d*){0,2})"
    rf"|(?P<note>(?:\^\^?|__?|=)?[A-Ga-g][,']*|[zx]){LENGTH}"
    r"|(?P<close>\])(?P<times>\d*/*\d*)"
    r"|(?P<decoration>![^!\n]*!)"
    r"|(?P<other>[!-~])"
)
FIELD = re.compile(r"([A-Za-z]):(.*)")
TUNE = re.compile(r"^X:", re.MULTILINE)
VOICE = re.compile(r"(?:^|\[)V:[ \t]*([^\s\]]+)", re.MULTILINE)
BARS = ("bar", "section", "repeat")
"""Kinds of symbols that end a bar."""
KEY = re.compile(r"[A-G]|none|HP|clef|treble|alto|tenor|bass|perc|middle|staff|$", re.IGNORECASE)
KEPT = "MLK"
"""Fields that say how notes are read: meter, unit of length, key."""
COMMON = {"C": "4/4", "C|": "2/2"}
RESTS = ("z", "x")
ENDED = -1
"""In place of an ending's number: the first one is over, and the second is to come."""
MOST_VOICES = 4
"""Notes that sound together in a tune that is generated."""
MOST_BARS = 4
"""Of an ending of a repeat, likewise."""
FINEST = 64
"""A note that is generated is a multiple of this share of the unit."""
CHORD = re.compile(r'"[A-G][#b]?(m|min|maj|M|dim|aug|\+|sus)?(6|7|9|2|4)?(/[A-Ga-g][#b]?)?"')
"""Chords whose names are known to programs."""


def length_of(text: str) -> Fraction:
    """What a note's length is multiplied by: 3/2 of `3/2`, 1/2 of `/`, 1/4 of `//`, 1 of nothing."""
    above, slashes, below = re.fullmatch(r"(\d*)(/*)(\d*)", text).groups()  # type: ignore[union-attr]
    divisor = int(below) if below else 2 ** len(slashes)
    return Fraction(int(above or 1), divisor or 1)


def _written(length: Fraction) -> str:
    above = "" if length.numerator == 1 else str(length.numerator)
    return above if length.denominator == 1 else f"{above}/{length.denominator}"


def symbols_of(text: str) -> list[str]:
    """The symbols of a tune: `M:6/8`, `L:1/8` and `K:G`, each a line; then chords, notes, bars, changes of a field.

    What sounds alike is written alike (`A/` and `A/2`). Titles, comments, words and blanks are left out. A text of
    fields alone begins a tune.

    Errors:
        DataError: there are notes and no key, or none that there is; several tunes, or several voices.
    """
    text = text.replace("\r", "\n")
    _check_alone(text)
    header: dict[str, str] = {}
    body: list[str] = []
    for line in text.split("\n"):
        line = line.partition("%")[0].strip().removesuffix("\\")
        field = FIELD.fullmatch(line)
        if field is None:
            body += _body(line)
        elif field[1] in KEPT and ("K" not in header or not body):
            header[field[1]] = field[2].strip()
        elif field[1] in KEPT:
            if field[1] == "K":
                _check_key(field[2].strip())
            body.append(f"[{line.replace(' ', '')}]")
        if body and "K" not in header:
            raise DataError("the tune has no key before its first note; add a line such as K:C, or K:none")
    if not header:
        return []
    meter = header.get("M", "none")
    if "K" in header:
        _check_key(header["K"])
        header = {"M": meter, "L": "1/16" if 0 < _meter(meter) < Fraction(3, 4) else "1/8"} | header
    if "M" in header:
        header["M"] = COMMON.get(meter, meter)
    return paired([f"{name}:{header[name].replace(' ', '')}\n" for name in KEPT if name in header] + body, whole=False)


def _check_alone(text: str) -> None:
    """Refuses what would be read as one voice after another."""
    tunes = len(TUNE.findall(text))
    if tunes > 1:
        raise DataError(f"there are {tunes} tunes (lines X:) where one is read; give each a row of its own")
    voices = list(dict.fromkeys(VOICE.findall(text)))
    if len(voices) > 1:
        raise DataError(
            f"the tune has {len(voices)} voices (V:), {' and '.join(voices[:2])}, and one is read; keep one, or"
            " write it as MIDI and set notation: remi"
        )


def _check_key(key: str) -> None:
    """Refuses what no program reads as a key; a clef may stand in its place."""
    if not KEY.match(key):
        raise DataError(f"there is no key K:{key}; write a note from A to G, such as K:C or K:F#m, or K:none")


def paired(symbols: Sequence[str], *, whole: bool) -> list[str]:
    """A tune with each end of a repeat after a begin: a begin that lacks is written where the part begins, one that
    never ends is a plain bar. Of a tune that is not `whole` the last one may end later."""
    written: list[str] = []
    part, begun = 0, None  # where the part begins, and the repeat that is open
    for symbol in symbols:
        kind = read(symbol).kind
        if kind not in BARS:
            written.append(symbol)
            part = len(written) if kind == "header" else part
            continue
        ends, begins = symbol.startswith(":"), symbol.endswith(":")
        if ends and begun is None:
            written.insert(part, "|:")
        elif begins and not ends and begun is not None:
            written[begun] = _closed(written[begun])
        begun = len(written) if begins else None if ends else begun
        written.append(symbol)
        if ends or begins or symbol != "|":
            part = len(written)
    if whole and begun is not None:
        written[begun] = _closed(written[begun])
    return written


def _closed(begin: str) -> str:
    """A bar that begins no repeat in place of one that does."""
    return begin.rstrip(":") or ":|"


def _body(line: str) -> Iterator[str]:
    for match in SYMBOL.finditer(line):
        if match["note"]:
            yield match["note"] + _written(length_of(match["length"]))
        elif match["chord"] is not None:
            yield f'"{match["chord"].replace(" ", "")}"'
        elif match["field"]:
            if match["field"] in KEPT:
                yield match[0].replace(" ", "")
        elif match["bar"]:
            yield match["bar"]
            if match["ending"]:
                yield f"[{match['ending']}"
        elif match["close"]:
            yield "]" + _written(length_of(match["times"]))
        elif match[0] != "\\":
            yield match[0]


def respelt(symbols: Sequence[str]) -> list[str]:
    """The symbols of a tune, of which some may be spelt by their characters."""
    written: list[str] = []
    for single, run in itertools.groupby(symbols, lambda symbol: len(symbol) == 1):
        if single:
            *fields, body = "".join(run).split("\n")
            written += [*(f"{field}\n" for field in fields), *_body(body)]
        else:
            written += run
    return written


def text_of(symbols: Sequence[str]) -> str:
    """The tune that symbols write, with its number where it begins with a field."""
    symbols = paired(symbols, whole=True)
    written = ""
    for place, symbol in enumerate(symbols):
        # A line that begins with a letter and a colon would be a field.
        is_field = FIELD.match("".join(symbols[place + 1 : place + 3]))
        line = len(symbol) > 1 and not is_field
        written += symbol + ("\n" if line else " ") if read(symbol).kind in BARS else symbol
    return f"X:1\n{written}" if FIELD.match(written) else written


def _meter(text: str) -> Fraction:
    """The length of a bar as a share of a whole note, 0 where it has none; beats may be added up, as in (2+3)/8."""
    parts = re.fullmatch(r"\(?(\d+(?:\+\d+)*)\)?/(\d+)", COMMON.get(text, text))
    return Fraction(sum(map(int, parts[1].split("+"))), int(parts[2])) if parts and int(parts[2]) else Fraction(0)


class Symbol(NamedTuple):
    """What a symbol does to the bar that it stands in.

    Args:
        kind: header, field, bar, section (a bar that ends or begins a part), repeat, ending, chord, note, open, close,
            tuplet, tie, or other.
        name: of a field; the note without its length; else the symbol itself.
        value: of a field or a tuplet; the length of a note, what a closing bracket multiplies.
    """

    kind: str
    name: str = ""
    value: Fraction = Fraction(0)


def read(symbol: str) -> Symbol:
    """What a symbol does."""
    if symbol.endswith("\n") or symbol[:1] == "[" and symbol[2:3] == ":":
        name, _, value = symbol.strip("[]\n").partition(":")
        return Symbol("header" if symbol.endswith("\n") else "field", name, _meter(value))
    match = SYMBOL.fullmatch(symbol)
    if match is None:
        return Symbol("other")
    if match["bar"] and symbol != ":":
        return Symbol("bar" if match["bar"] == "|" else "repeat" if match["bar"] == "|:" else "section", symbol)
    if match["note"]:
        return Symbol("note", match["note"], length_of(match["length"]))
    if match["close"]:
        return Symbol("close", value=length_of(match["times"]))
    if match["tuplet"]:
        return Symbol("tuplet", symbol, Fraction(int(match["tuplet"][1])))
    kinds = {"[": "open", "-": "tie"}
    kind = "chord" if match["chord"] is not None else "ending" if match["second"] else kinds.get(symbol, "other")
    return Symbol(kind, symbol)


class Place(NamedTuple):
    """Where in a tune a symbol follows.

    Args:
        fields: how many of the header's are there.
        meter: the length of a bar, 0 where it has none.
        unit: of lengths.
        length: of the bar so far.
        left: notes of a tuplet that are still to come, each `share` as long as it is written.
        share: of a tuplet.
        equal: the written length of a tuplet's notes; 0 before the first of them.
        chord: the length of the notes that sound together; 0 before the first of them, None where none are open.
        voices: the notes of the chord so far.
        opening: whether the bar is the first of a part, and may be shorter.
        later: whether a part has ended before.
        pickup: the length of the bar that began the part before.
        repeat: whether the part began with a sign that it is repeated.
        ending: which ending of a repeat this is; 0 where it is none.
        bars: of the ending so far.
        last: the kind of the symbol before.
        note: the one before, without its length.
        tied: whether it goes on in the next one.
    """

    fields: int = 0
    meter: Fraction = Fraction(0)
    unit: Fraction = Fraction(1, 8)
    length: Fraction = Fraction(0)
    left: int = 0
    share: Fraction = Fraction(1)
    equal: Fraction = Fraction(0)
    chord: Fraction | None = None
    voices: int = 0
    opening: bool = True
    later: bool = False
    pickup: Fraction = Fraction(0)
    repeat: bool = False
    ending: int = 0
    bars: int = 0
    last: str = ""
    note: str = ""
    tied: bool = False


TUPLETS = {2: Fraction(3, 2), 3: Fraction(2, 3), 4: Fraction(3, 4), 6: Fraction(1, 3), 8: Fraction(3, 8)}
"""How long the notes of a tuplet are, as shares of what is written; others in the time of two, as in simple meters."""


def after(place: Place, symbol: Symbol) -> Place:
    """Where the next symbol follows."""
    place = place._replace(last=symbol.kind)
    if symbol.kind == "note":
        place = place._replace(note=symbol.name, tied=False)
    if symbol.kind in ("header", "field"):
        fields = place.fields + (symbol.kind == "header")
        changed = {"M": {"meter": symbol.value}, "L": {"unit": symbol.value or place.unit}}.get(symbol.name, {})
        return place._replace(fields=fields, **changed)
    if symbol.kind in BARS:
        return _after_bar(place, symbol)
    if symbol.kind == "ending":
        # A second ending goes on where the first one did: its bar is no pick-up.
        return place._replace(ending=int(symbol.name[1]), bars=0, opening=False)
    if symbol.kind == "tie":
        return place._replace(tied=True)
    if symbol.kind == "tuplet":
        count = int(symbol.value)
        share = TUPLETS.get(count, Fraction(2, max(1, count)))
        return place._replace(left=count, share=share, equal=Fraction(0))
    if symbol.kind == "open":
        return place._replace(chord=Fraction(0), voices=0)
    if symbol.kind == "note" and place.chord is not None:
        return place._replace(chord=place.chord or symbol.value, voices=place.voices + 1)
    if symbol.kind == "note" or (symbol.kind == "close" and place.chord is not None):
        value = symbol.value * (1 if place.chord is None else place.chord)
        share = place.share if place.left else 1
        length = place.length + value * place.unit * share
        return place._replace(length=length, left=max(0, place.left - 1), equal=value, chord=None)
    return place


def _after_bar(place: Place, symbol: Symbol) -> Place:
    short = place.meter > place.length > 0
    begun = place.length if place.opening and short else place.pickup
    starts = symbol.kind == "section" and (short or not place.length)
    place = place._replace(left=0, chord=None, bars=place.bars + 1, later=place.later or starts)
    if symbol.kind != "bar":
        repeat = symbol.name.endswith(":") or (place.repeat and not symbol.name.startswith(":"))
        place = place._replace(repeat=repeat, ending=ENDED if place.ending == 1 else 0)
    if not place.length:
        return place._replace(opening=place.opening or starts)
    pickup = begun if short or not place.opening else Fraction(0)
    return place._replace(length=Fraction(0), opening=starts, pickup=pickup)


def bars_of(symbols: Iterable[str]) -> list[tuple[Fraction, Fraction, bool]]:
    """The length of each bar that has notes, that of the meter, and whether the bar begins or ends a part."""
    place, bars = Place(), []
    for symbol in map(read, symbols):
        if symbol.kind in BARS and place.length:
            bars.append((place.length, place.meter, place.opening or symbol.kind != "bar" or not bars))
        place = after(place, symbol)
    return bars + ([(place.length, place.meter, True)] if place.length else [])


def _is_last(place: Place) -> bool:
    """Whether the bar has to end a part."""
    return bool(place.ending) and place.bars + 1 >= MOST_BARS


def _room(place: Place) -> float:
    """What is left of the bar: parts after the first one begin as it did."""
    if not place.meter:
        return math.inf
    if place.opening and place.later and place.pickup:
        return float(place.pickup - place.length)
    return float(place.meter - place.length - (place.pickup if _is_last(place) else 0))


def _is_bar(place: Place) -> bool:
    """Whether the bar may end here, and its part go on."""
    if not place.meter:
        return True
    if place.opening:
        return not place.later or place.length == (place.pickup or place.meter)
    return place.length == place.meter and not _is_last(place)


class Bars(Grammar):
    """A tune with its header first, whose bars are as long as its meter, and which programs read without a complaint.

    The first bar of a part may be shorter, if its last one is shorter by as much. A part that begins as a repeat ends
    as one, a first ending has a second one; the notes of a tuplet, and those that sound together, are equally long;
    chords have names that are known. A symbol that some vocabularies lack may be the only one that fits: there each may
    follow.

    Args:
        symbols: of the vocabulary.
        first: the number of the first one; those below are special.
        end: the number of the end.

    Source: the standard of ABC 2.1, abcnotation.com/wiki/abc:standard:v2.1, sections 4.8 to 4.18.
    """

    def __init__(self, symbols: Sequence[str], first: int, end: int):
        self._symbols = [*[""] * first, *symbols]
        self._read = [*[Symbol("special")] * first, *map(read, symbols)]
        self._end = end
        self._kinds = np.array([symbol.kind for symbol in self._read])
        self._names = np.array([symbol.name for symbol in self._read])
        self._values = np.array([float(symbol.value) for symbol in self._read])
        self._any = self._kinds != "special"
        binary = (self._kinds == "note") & (self._values > 0) & (self._values * FINEST % 1 == 0)
        grid = self._values[binary].min(initial=np.inf)
        self._notes = binary & (self._values % grid == 0)
        """What any room can be filled with: multiples of the shortest one."""
        self._sounds = ~np.isin(self._names, RESTS)
        self._chords = np.array([bool(CHORD.fullmatch(symbol.name)) for symbol in self._read])
        self._ends = np.array([symbol.name.startswith(":") for symbol in self._read])
        self._begins = np.array([symbol.name.endswith(":") for symbol in self._read])
        least = self._values[self._notes].min(initial=np.inf)
        lengths = {f"({count}": float(share * count) * least for count, share in TUPLETS.items()}
        self._tuplets = np.array([lengths.get(name, np.inf) for name in self._names])
        """How long each is with the shortest notes, in units; infinite where it is none."""
        self._closes = (self._kinds == "close") & (self._values == 1)

    def start(self) -> Place:
        return Place()

    def advance(self, state: Place, symbol: int) -> Place:
        return after(state, self._read[symbol])

    def after_prompt(self, symbols: Sequence[int]) -> Place:
        written = respelt([self._symbols[symbol] for symbol in symbols])
        return functools.reduce(after, map(read, written), self.start())

    def allowed(self, state: Place) -> np.ndarray:
        if state.fields < len(KEPT):
            fits = (self._kinds == "header") & (self._names == KEPT[state.fields])
        elif state.chord is not None:
            fits = self._in_chord(state)
        else:
            fits = self._in_bar(state) if state.length or state.last not in BARS else self._after_bar(state)
        return fits if fits.any() else self._any

    def _that_fit(self, place: Place) -> np.ndarray:
        """The notes that there is room for."""
        if place.left and place.equal:
            return self._notes & (self._values == float(place.equal))
        notes = float(place.unit * (place.share * place.left if place.left else 1))
        fits = self._notes & (self._values * notes <= _room(place) + 1e-9)
        same = fits & (self._names == place.note)
        return same if place.tied and same.any() else fits

    def _in_chord(self, place: Place) -> np.ndarray:
        if not place.chord:
            return self._that_fit(place) & self._sounds
        sounding = self._notes & self._sounds & (self._values == float(place.chord))
        return self._closes | (sounding if place.voices < MOST_VOICES else False)

    def _in_bar(self, place: Place) -> np.ndarray:
        fits = self._that_fit(place)
        if place.last != "chord" and fits.any():
            fits |= (self._kinds == "chord") & self._chords
        if place.left:
            return fits
        if fits.any() and not place.tied:
            fits |= (self._kinds == "open") & bool(self._closes.any())
            fits |= np.isfinite(self._tuplets) & (self._tuplets * float(place.unit) <= _room(place) + 1e-9)
        if place.last == "header":
            fits |= self._kinds == "repeat"
        if not place.length or place.last == "chord":
            return fits
        follow = ["bar"] if _is_bar(place) else []
        if (follow or _room(place)) and place.last == "note" and place.note not in RESTS:
            follow.append("tie")
        fits |= np.isin(self._kinds, follow)
        if not (place.opening or place.tied) and (not place.meter or place.length == place.meter - place.pickup):
            sections = self._kinds == "section"
            if place.repeat or place.ending == 1:
                sections &= self._ends
            if place.ending:
                sections &= self._ends != (place.ending > 1)
                sections &= ~self._begins
            fits |= sections
        return fits

    def _after_bar(self, place: Place) -> np.ndarray:
        if place.ending == ENDED:
            return (self._kinds == "ending") & (self._names == "[2")
        fits = self._in_bar(place)
        if not place.tied:
            fits |= (self._kinds == "field") & (self._names == "K")
        if not (place.opening or place.ending or place.tied):
            fits |= (self._kinds == "ending") & (self._names == "[1")
        fits[self._end] = place.last == "section" and not place.repeat
        return fits
