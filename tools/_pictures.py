"""Generated pictures and clips, for tools/prepare.py: shapes, lines of digits, printed words, moving digits."""

import functools
import io
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.data import shapes as drawn_shapes
from ostinato.modalities._pictures import png

Row = tuple[Any, ...]
Tables = dict[str, tuple[tuple[str, ...], list[Row]]]

SEED = 20150101
DIGITS = {"train": slice(0, 1200), "valid": slice(1200, 1400), "test": slice(1400, 1797)}
"""Of scikit-learn's 1,797 digits, whose writers come one after the other: those of valid and test are others.

A support vector machine (radial, C 10) that has learnt the 1,200 by themselves, without noise, knows 99.0 % of valid
and 95.7 % of test; where pictures are drawn by chance, so that each part has all writers (`mixed`), 98.0 and 99.5 %.
"""
LINES = {"train": 4_000, "valid": 300, "test": 500}
WORDS = {"train": 5_000, "valid": 300, "test": 500}
CLIPS = {"train": 2_400, "valid": 240, "test": 300}
MORE_CLIPS = 4800
QUESTIONS = 5
"""About a training picture, those that are asked twice once."""
HEIGHT = 24
FRAMES, SIDE = 20, 24
STRAIGHT = {"right": (0, 1), "left": (0, -1), "down": (1, 0), "up": (-1, 0)}
DIRECTIONS = STRAIGHT | {
    f"{down} {across}": (STRAIGHT[down][0], STRAIGHT[across][1])
    for down in ("down", "up")
    for across in ("right", "left")
}
"""Rows and columns a step."""
SPEEDS = {"slow": 0.5, "medium": 1.0, "fast": 2.0}
"""Pixels a frame."""
SYLLABLES = [consonant + vowel for consonant in "bcdfghjklmnpqrstvwxyz" for vowel in "aeiou"]


def shapes(root: Path | None) -> Tables:
    """Drawn shapes with captions, labels and questions; `unseen` has colours and kinds that never meet in training."""
    return {
        name: (drawn_shapes.COLUMNS, list(drawn_shapes.rows(count, seed, name == "unseen")))
        for seed, (name, count) in enumerate(drawn_shapes.SPLITS.items())
    }


def shapes_questions(root: Path | None) -> Tables:
    """Other drawn shapes, each with several questions about it; one of valid and test."""
    tables: Tables = {}
    for seed, (name, count) in enumerate(drawn_shapes.SPLITS.items()):
        draw, rows = random.Random(100 + seed), list[Row]()
        for _ in range(count):
            scene = drawn_shapes.scene(draw, name == "unseen")
            picture = png(drawn_shapes.drawn(scene, draw))
            asked = dict(drawn_shapes.question(scene, draw) for _ in range(QUESTIONS if name == "train" else 1))
            rows += [(picture, *pair) for pair in asked.items()]
        tables[name] = ("picture:file", "question", "answer"), rows
    return tables


@functools.cache
def _digits(mixed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (N, 8, 8) from 0 to 1, and their digits; in an order by chance where mixed."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    order = np.random.default_rng(SEED).permutation(len(loaded.target)) if mixed else np.arange(len(loaded.target))
    return loaded.images[order] / 16, loaded.target[order]


def digit_lines(root: Path | None, mixed: bool = False) -> Tables:
    """Two to six digits in a line, slanted, at uneven heights and gaps, in noise."""
    chance, images, labels = np.random.default_rng(SEED), *_digits(mixed)

    def line(side: slice) -> Row:
        chosen = chance.integers(0, len(labels[side]), chance.integers(2, 7))
        canvas = np.zeros((HEIGHT, 17 * len(chosen) + 8))
        x = int(chance.integers(2, 5))
        for number in chosen:
            y = int(chance.integers(0, HEIGHT - 15))
            canvas[y : y + 16, x : x + 16] += images[side][number].repeat(2, 0).repeat(2, 1)
            x += int(chance.integers(13, 18))
        return png(_worn(canvas, chance)), "".join(map(str, labels[side][chosen]))

    return {name: (("line:file", "digits"), [line(DIGITS[name]) for _ in range(rows)]) for name, rows in LINES.items()}


def _worn(canvas: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Ink (H, W) slanted, as bytes of a noisy picture."""
    slant = chance.uniform(-0.3, 0.3)
    rows = [np.roll(row, round(slant * (len(canvas) / 2 - place))) for place, row in enumerate(canvas)]
    noisy = 1 - np.clip(np.stack(rows), 0, 1) * chance.uniform(0.6, 1) + chance.normal(0, 0.08, canvas.shape)
    return (255 * np.clip(noisy, 0, 1)).astype(np.uint8)


def word_lines(root: Path | None) -> Tables:
    """Words of syllables printed in the font of the package captcha, at several sizes, slanted, in noise."""
    try:
        import captcha
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as why:
        sys.exit(f"word-lines are printed in the font of a package that is not here ({why}); pip install captcha")
    font = str(next((Path(captcha.__file__).parent / "data").glob("*.ttf")))
    chance, drawn = np.random.default_rng(SEED), random.Random(SEED)

    def line() -> Row:
        word = syllables(drawn, 4)
        letters = ImageFont.truetype(font, drawn.randint(15, 20))
        picture = Image.new("L", (round(letters.getlength(word)) + 16, HEIGHT))
        ImageDraw.Draw(picture).text((8, drawn.randint(0, 3)), word, fill=255, font=letters)
        return png(_worn(np.asarray(picture) / 255, chance)), word

    return {name: (("line:file", "word"), [line() for _ in range(rows)]) for name, rows in WORDS.items()}


def syllables(drawn: random.Random, most: int) -> str:
    """A word of one to so many syllables."""
    return "".join(drawn.choices(SYLLABLES, k=drawn.randint(1, most))) + drawn.choice(("", "n", "s", "t"))


def moving_digits(root: Path | None, mixed: bool = False) -> Tables:
    """Clips of 20 frames: a digit that moves in one of eight directions at one of three speeds, and comes back at the
    other side. Of digits by the same writers there are `MORE_CLIPS` in training, of the same pictures."""
    from PIL import Image

    images, labels = _digits(mixed)

    def clip(side: slice, chance: np.random.Generator) -> Row:
        number, start = chance.integers(0, len(labels[side])), chance.integers(0, SIDE, 2)
        direction, speed = chance.choice([*DIRECTIONS]), chance.choice([*SPEEDS])
        canvas = np.zeros((SIDE, SIDE))
        canvas[:8, :8] = images[side][number]
        frames = []
        for time in range(FRAMES):
            place = start + np.round(time * SPEEDS[speed] * np.array(DIRECTIONS[direction])).astype(int)
            frame = np.roll(canvas, place, (0, 1)) + chance.normal(0, 0.05, canvas.shape)
            frames.append(Image.fromarray((255 * np.clip(frame, 0, 1)).astype(np.uint8)))
        content = io.BytesIO()
        frames[0].save(content, "GIF", save_all=True, append_images=frames[1:])
        return content.getvalue(), str(labels[side][number]), direction, speed

    columns = ("clip:file", "digit", "direction", "speed")
    chance = np.random.default_rng(SEED)
    made = {name: (columns, [clip(DIGITS[name], chance) for _ in range(rows)]) for name, rows in CLIPS.items()}
    if mixed:
        chance = np.random.default_rng(SEED + 1)
        made["train"][1].extend(clip(DIGITS["train"], chance) for _ in range(MORE_CLIPS))
    return made
