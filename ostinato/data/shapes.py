"""Drawn shapes, captions that say what they are, and questions about them: data with a known answer for pictures."""

from __future__ import annotations

import io
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ostinato.files import write

MANIFEST = "manifest.csv"

SIDE = 32
"""Pixels of a picture's side; each of four places has a quarter of it."""
OVERSAMPLED = 4
"""A picture is drawn so many times as large and reduced, for smooth edges."""
RADII = (4, 7)
"""Pixels of the smallest and the largest shape."""
CLEAR = 1.5
"""Pixels by which the biggest shape of a picture is bigger than the second."""
COLORS = {
    "red": (220, 40, 40),
    "green": (40, 170, 60),
    "blue": (50, 80, 220),
    "yellow": (235, 215, 50),
    "purple": (150, 60, 190),
    "orange": (245, 140, 30),
    "brown": (120, 75, 40),
    "black": (30, 30, 30),
}
KINDS = {
    "circle": ("circle", "disc"),
    "square": ("square", "box"),
    "triangle": ("triangle",),
    "cross": ("cross", "plus"),
}
PLACES = {
    "top left": ("at the top left", "in the upper left corner"),
    "top right": ("at the top right", "in the upper right corner"),
    "bottom left": ("at the bottom left", "in the lower left corner"),
    "bottom right": ("at the bottom right", "in the lower right corner"),
}
JOINED = (" and ", " beside ", " with ")
SPLITS = {"train": 6000, "valid": 200, "test": 300, "unseen": 300}
"""Pictures of each folder."""
UNSEEN = frozenset({("red", "cross"), ("blue", "triangle"), ("green", "circle"), ("yellow", "square")})
"""Colours and kinds that never meet in training."""


class Shape(NamedTuple):
    """One shape, its centre and radius in pixels."""

    color: str
    kind: str
    place: str
    x: float
    y: float
    radius: float


Meaning = frozenset[tuple[str, str, str]]
"""Colour, kind and place of each shape."""


def scene(draw: random.Random, unseen: bool = False) -> list[Shape]:
    """Two to four shapes in reading order, each at a place of its own, the biggest clearly so.

    Args:
        draw: where chance comes from.
        unseen: whether a colour and a kind that never meet in training meet in it.
    """
    count = draw.randint(2, 4)
    places = sorted(draw.sample(range(4), count))
    colors = draw.choices([*COLORS], k=count)
    if draw.random() < 0.5:
        colors[-1] = colors[0]
    pairs = [(color, draw.choice([kind for kind in KINDS if (color, kind) not in UNSEEN])) for color in colors]
    if unseen:
        pairs[draw.randrange(count)] = draw.choice(sorted(UNSEEN))
    radii = [draw.uniform(RADII[0], RADII[1] - CLEAR) for _ in pairs]
    biggest = draw.randrange(count)
    radii[biggest] = draw.uniform(max(radii) + CLEAR, RADII[1])
    shapes = []
    for place, (color, kind), radius in zip(places, pairs, radii):
        room = SIDE / 4 - radius - 0.5
        x, y = (SIDE / 4 + half * SIDE / 2 + draw.uniform(-room, room) for half in (place % 2, place // 2))
        shapes.append(Shape(color, kind, [*PLACES][place], x, y, radius))
    return shapes


def drawn(shapes: Iterable[Shape], draw: random.Random) -> np.ndarray:
    """The picture (SIDE, SIDE, 3) of these shapes on a grey of its own, whole numbers to 255."""
    from PIL import Image, ImageDraw

    grey = draw.randint(225, 255)
    picture = Image.new("RGB", (SIDE * OVERSAMPLED, SIDE * OVERSAMPLED), (grey, grey, grey))
    pen = ImageDraw.Draw(picture)
    for shape in shapes:
        color = tuple(min(255, max(0, part + draw.randint(-25, 25))) for part in COLORS[shape.color])
        x, y, r = (OVERSAMPLED * length for length in shape[3:])
        for outline in _outlines(shape.kind, x, y, r):
            pen.polygon(outline, fill=color)
        if shape.kind == "circle":
            pen.ellipse((x - r, y - r, x + r, y + r), fill=color)
    return np.asarray(picture.reduce(OVERSAMPLED))


def _outlines(kind: str, x: float, y: float, r: float) -> list[list[tuple[float, float]]]:
    """The corners of the polygons that a kind is made of."""
    if kind == "triangle":
        return [[(x, y - r), (x + r, y + r), (x - r, y + r)]]
    if kind == "square":
        return [_box(x, y, 0.85 * r, 0.85 * r)]
    return [_box(x, y, r, 0.35 * r), _box(x, y, 0.35 * r, r)] if kind == "cross" else []


def _box(x: float, y: float, across: float, down: float) -> list[tuple[float, float]]:
    return [(x - across, y - down), (x + across, y - down), (x + across, y + down), (x - across, y + down)]


def caption(shapes: Iterable[Shape], draw: random.Random) -> str:
    """What a person might write below the picture."""
    joined = draw.choice(JOINED)
    parts = (
        f"{_article(shape.color)} {shape.color} {draw.choice(KINDS[shape.kind])} {draw.choice(PLACES[shape.place])}"
        for shape in shapes
    )
    return draw.choice(("", "there is ", "i see ")) + joined.join(parts)


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def meaning(text: str) -> Meaning | None:
    """What a caption says; None: it says nothing that can be read."""
    kinds = {word: kind for kind, words in KINDS.items() for word in words}
    places = {words: place for place, several in PLACES.items() for words in several}
    part = f"an? ({'|'.join(COLORS)}) ({'|'.join(kinds)}) ({'|'.join(places)})"
    if not re.fullmatch(rf"(there is |i see )?{part}(({'|'.join(JOINED)}){part})*", text):
        return None
    return frozenset((color, kinds[kind], places[place]) for color, kind, place in re.findall(part, text))


def question(shapes: list[Shape], draw: random.Random) -> tuple[str, str]:
    """A question about the picture that has one answer, and the answer."""
    kinds, colors = (Counter(getattr(shape, name) for shape in shapes) for name in ("kind", "color"))
    shape = draw.choice(shapes)
    color, kind = draw.choice([*COLORS]), draw.choice([*KINDS])
    pair = draw.choice([(color, kind), shape[:2]])
    there = any(other[:2] == pair for other in shapes)
    choices = [
        (f"what color is the shape {draw.choice(PLACES[shape.place])} ?", shape.color),
        (f"what shape is {draw.choice(PLACES[shape.place])} ?", shape.kind),
        (f"how many {color} shapes are there ?", str(colors[color])),
        (f"is there {_article(pair[0])} {pair[0]} {draw.choice(KINDS[pair[1]])} ?", "yes" if there else "no"),
    ]
    if kinds[shape.kind] == 1:
        choices.append((f"what color is the {draw.choice(KINDS[shape.kind])} ?", shape.color))
    return draw.choice(choices)


def most(shapes: list[Shape]) -> str:
    """The colour that most shapes have; empty where two are as frequent."""
    (color, count), *others = Counter(shape.color for shape in shapes).most_common(2)
    return "" if others and others[0][1] == count else color


COLUMNS = ("picture:file", "caption", "number", "most", "biggest", "question", "answer")


def rows(count: int, seed: int, unseen: bool = False) -> Iterator[tuple[Any, ...]]:
    """Pictures as bytes of a file, and beside each the cells of `COLUMNS`."""
    from PIL import Image

    draw = random.Random(seed)
    for _ in range(count):
        shapes = scene(draw, unseen)
        biggest = max(shapes, key=lambda shape: shape.radius).kind
        words = caption(shapes, draw), str(len(shapes)), most(shapes), biggest
        file = io.BytesIO()
        Image.fromarray(drawn(shapes, draw)).save(file, "PNG")
        yield (file.getvalue(), *words, *question(shapes, draw))


def make(folder: Path, count: int, seed: int, unseen: bool = False) -> None:
    """Writes a folder of pictures and its manifest; a folder that has one stays as it is."""
    if (folder / MANIFEST).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    lines = [",".join(COLUMNS)]
    for number, (content, *cells) in enumerate(rows(count, seed, unseen)):
        (folder / f"{number}.png").write_bytes(content)
        lines.append(",".join([f"{number}.png", *cells]))
    write(folder / MANIFEST, "\n".join(lines) + "\n")


def captions(folder: Path) -> tuple[list[str], list[str]]:
    """The paths of a folder's pictures, and their captions."""
    _, *lines = (line.split(",") for line in (folder / MANIFEST).read_text(encoding="utf-8").splitlines())
    return [str(folder / line[0]) for line in lines], [line[1] for line in lines]
