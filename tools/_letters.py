"""Preparation of words by pen, for tools/prepare.py: lines of single-stroke fonts, drawn unsteadily."""

import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from _pictures import SEED, syllables
from _sound import as_offsets

from ostinato.errors import OstinatoError
from ostinato.modalities._pen import of_path

Row = tuple[Any, ...]
Tables = dict[str, tuple[tuple[str, ...], list[Row]]]
Pen = Callable[[str, random.Random], list[np.ndarray]]
"""The strokes of a word in a font, each the places of its points (n, 2); y grows downwards."""
Parts = Mapping[str, tuple[int, Sequence[str]]]
"""How many words each split has, and in which fonts."""

WORDS = {"train": 4_000, "valid": 300, "test": 500, "unseen": 500, "many": 20_000}
"""Words by pen; those of `unseen` are in a font that no other split has."""
FONTS, UNSEEN_FONT = ("futural", "rowmand", "scripts", "scriptc", "timesr", "timesrb"), "timesi"
EVERY_FONT = (*FONTS, UNSEEN_FONT, "timesib", "gothiceng", "gothicger", "gothicita")
"""The fonts of the package whose Latin letters differ, one name of each: meteorology and rowmans have those of
futural, futuram of rowmand, cursive of scripts, music of timesi, astrology of timesib, rowmant of timesrb, and
gothgbt, gothgrt and gothitt of the last three."""
IN_TURN = {"train": 5_000, "valid": 300, "test": 500}
"""Words where each font is left out in turn."""
MORE_WORDS = 12_000
"""Training words in fonts of files, beside those of `train`."""
FOLDER = "single-stroke-fonts"
"""Holds SVG fonts, below the data root."""
BASELINE, X_HEIGHT = 9.0, 12.0
"""Where letters of files stand, and the height of their x: about those of the package's fonts."""
DRESSED = 0.5
"""The share of words in fonts of files that get serifs, and of those that a broad pen writes: most of the package's
fonts have both, and letters without them teach no net to read these. Trained without any font of serifs, 43.6 % of the
letters of timesr were read wrong before, and 5.7 with it; 34 and 18 of cursive."""
BROAD, SERIF = (0.4, 1.6), (1.0, 4.0)
"""How wide such a pen is, and how far a serif leads to its longer side."""


def pen_words(root: Path | None) -> Tables:
    """Words of syllables by a pen that follows the lines of seven fonts, slanted, turned, larger or smaller, unsteady.

    No word is in two splits; the font of `unseen` is in no other. `many` are to learn to write: 4,000 are soon known
    by heart.
    """
    return _tables(_parts(), {})


def unseen_font(root: Path | None, *, font: str) -> Tables:
    """The same in ten of the eleven fonts of the package, and to test in the eleventh."""
    others = tuple(other for other in EVERY_FONT if other != font)
    return _tables({split: (count, (font,) if split == "test" else others) for split, count in IN_TURN.items()}, {})


def pen_words_more(root: Path) -> Tables:
    """The same words, and in training others in each font of DATA/single-stroke-fonts, whose files end in .svg.

    Such fonts, of the SIL Open Font License, are those called EMS of gitlab.com/oskay/svg-fonts, which the repository
    p5-single-line-font-resources of GitHub's golanlevin holds too; the package hersheytext of npm has nine of them.
    """
    files = sorted((root / FOLDER).glob("*.svg"))
    if not files:
        sys.exit(
            f"{root / FOLDER}: no fonts (.svg) there; npm pack hersheytext has some below svg_fonts, of which those "
            "called EMS are no copies of what is in training already"
        )
    more = {file.stem: _of_file(file) for file in files}
    tables = _tables(_parts(tuple(more)), more)
    columns, rows = tables.pop("more")
    return tables | {"train": (columns, tables["train"][1] + rows)}


def _parts(more: Sequence[str] = ()) -> dict[str, tuple[int, Sequence[str]]]:
    fonts = {"unseen": (UNSEEN_FONT,)}
    parts = {split: (count, fonts.get(split, FONTS)) for split, count in WORDS.items()}
    return parts | ({"more": (MORE_WORDS, more)} if more else {})


def _tables(parts: Parts, more: Mapping[str, Pen]) -> Tables:
    """The words of each split, of which no other has one; the pens of other fonts than the package's are given."""
    draw, chance, seen = random.Random(SEED), np.random.default_rng(SEED), set[str]()
    every = dict.fromkeys(font for _, fonts in parts.values() for font in fonts)
    pens = {font: more[font] if font in more else _of_package(font) for font in every}

    def row(font: str) -> Row:
        word = next(word for word in iter(lambda: syllables(draw, 3), None) if word not in seen)
        words.add(word)
        strokes = pens[font](word, draw)
        (slant, turn), size = chance.uniform(-0.2, 0.2, 2), chance.uniform(0.85, 1.15)
        shape = size * np.array([[1, turn / 2], [slant - turn / 2, 1]])
        moved = [(stroke - strokes[0][0]) @ shape + chance.normal(0, 0.3, stroke.shape) for stroke in strokes]
        return as_offsets(moved), word, font

    tables: Tables = {}
    for split, (count, fonts) in parts.items():
        words: set[str] = set()
        tables[split] = (("strokes", "word", "font"), [row(draw.choice(fonts)) for _ in range(count)])
        seen |= words
    return tables


def _dressed(strokes: list[np.ndarray], draw: random.Random) -> list[np.ndarray]:
    """The strokes, often with a serif at each end that goes up or down, and often twice, a pen's width apart."""
    if draw.random() < DRESSED:
        ends = [stroke[[at, beside]] for stroke in strokes if len(stroke) > 1 for at, beside in ((0, 1), (-1, -2))]
        near, far = draw.uniform(0, SERIF[1] - SERIF[0]), draw.uniform(*SERIF)
        left, right = draw.choice([(-near, far), (-far, near), (-far, far)])
        steep = [end for end, beside in ends if abs(end - beside)[1] > abs(end - beside)[0]]
        strokes = strokes + [end + [[left, 0], [right, 0]] for end in steep]
    if draw.random() < DRESSED:
        strokes = strokes + [stroke + [draw.uniform(*BROAD), 0] for stroke in strokes]
    return strokes


def _of_package(font: str) -> Pen:
    """A font of the package Hershey-Fonts."""
    try:
        from HersheyFonts import HersheyFonts
    except ImportError as why:
        sys.exit(f"pen-words follow the fonts of a package that is not here ({why}); pip install Hershey-Fonts")
    loaded = HersheyFonts()
    loaded.load_default_font(font)
    return lambda word, _: [np.array(stroke, float) for stroke in loaded.strokes_for_text(word)]


def _of_file(path: Path) -> Pen:
    """An SVG font, dressed: glyphs with paths, of which y grows upwards from the line that letters stand on."""
    glyphs = {glyph.get("unicode", ""): glyph for glyph in _glyphs(path)}
    try:
        strokes = {letter: list(of_path(glyph.get("d", ""))) for letter, glyph in glyphs.items()}
        widths = {letter: float(glyph.get("horiz-adv-x", "nan")) for letter, glyph in glyphs.items()}
    except (OstinatoError, ValueError) as why:
        sys.exit(f"{path}: a glyph is no line of a pen: {why}; take the file away")
    if missing := [letter for letter in "abcdefghijklmnopqrstuvwxyz" if not strokes.get(letter)]:
        sys.exit(f"{path}: has no letter {missing[0]}; take the file away")
    scale = X_HEIGHT / np.ptp(np.concatenate(strokes["x"])[:, 1])

    def pen(word: str, draw: random.Random) -> list[np.ndarray]:
        left, placed = 0.0, []
        for letter in word:
            placed += [(stroke + [left, 0]) * [scale, -scale] + [0, BASELINE] for stroke in strokes[letter]]
            left += widths[letter]
        return _dressed(placed, draw)

    return pen


def _glyphs(path: Path) -> Iterator[ElementTree.Element]:
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as why:
        sys.exit(f"{path}: this is no SVG: {why}; take the file away")
    return (element for element in root.iter() if element.tag.rpartition("}")[2] == "glyph" and element.get("d"))
