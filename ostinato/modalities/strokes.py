"""Drawings: pen strokes as offsets from point to point."""

from __future__ import annotations

import io
import json
import math
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ostinato.errors import DataError, quoted, shown
from ostinato.modalities._fields import is_missing
from ostinato.modalities._varied import factor
from ostinato.modalities.contract import Array, Features, Modality, Traits, Values
from ostinato.raw.numbers import FLOAT32_MAX, as_array
from ostinato.registry import NonNegative, Positive, Rate

CURVE = 8
"""Points that a curve of an SVG path becomes."""
CELL, COLUMNS = 100, 8
"""Width of a drawing in a picture of several, and how many lie beside each other."""
LOOKED_AT = 8
"""Points of a drawing that a baseline reads."""
_COMMAND = re.compile(r"([A-Za-z])|([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)")
_ARGUMENTS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "Z": 0}


class Strokes(Modality):
    """A drawing as a step per point of the pen.

        step = dx / scale, dy / scale, up, end

    dx and dy lead from the point before, from (0, 0) to the first; up is 1 where the pen lifts after the point, end at
    the last point of the drawing. Both axes have one scale, and nothing is subtracted.

        dataset   the root of the mean square of all dx and dy of the training split
        row       the height of the drawing, or its width where that is more
        none      1

    With `spacing` the points of each stroke are laid anew along its line, so far apart, with its first and its last
    point kept: writers and devices of another speed then give like steps.

    A raw value is a list of (dx, dy, up), an array (T, 3), a text that holds such a list as JSON, or a file: InkML, the
    paths, lines and polylines of SVG, or an npz with one array (T, 3). Points of InkML and SVG are places; their first
    one is (0, 0) here.

    In training a drawing may be by another hand in each epoch (augmentation), as a function of (seed, epoch, row):

        (dx, dy)' = size R(turn) (width (dx + slant dy), dy) + jitter        factors uniform in their logarithm

    Args:
        scale: what offsets are divided by.
        spacing: between two points of a stroke, in steps' units; None: points stay as they are.
        size_change: in training, how much larger or smaller a drawing is at most, as a share: 0.2 draws a factor from
            1 / 1.2 to 1.2.
        width_change: likewise how much wider or narrower.
        slant_change: in training, how far it leans at most, a share of its height; to either side.
        turn_change: in training, by how many degrees it is turned at most; to either side.
        jitter: in training, the deviation of what is added to each offset, in steps' units.

    Shapes:
        encoded (T, 4)

    Units:
        y grows downwards, as on a screen

    Errors:
        DataError: a step is not three finite numbers, up is neither 0 nor 1; a file is none of these, has no strokes,
            or one point alone; `scale: row` where all points are one; no training drawing has a line.

    Source: the steps: Graves 2013, arXiv:1308.0850, section 4; the end: Ha and Eck 2017, arXiv:1704.03477, section 3.1.
        InkML: W3C Recommendation of 20 September 2011, section 3.
    """

    aligns = frozenset({"next", "free"})
    default_align = "next"
    default_encoder = "recurrent"
    default_head = {"next": "mixture_density", "free": "decoded"}
    metrics = {"next": ("log_loss",), "free": ("log_loss",)}
    file_endings = (".inkml", ".svg", ".npz")
    render_endings = (".svg",)
    examples = (
        [[0, 0, 0], [3, 4.5, 0], [-1, 2, 1], [5, -6, 0], [0, 3, 1]],
        [[1, 1, 0], [2, 0, 1]],
        [[2, -1, 0], [0, 0, 0], [0, 7, 0], [-3, 1, 1]],
    )

    def __init__(
        self,
        *,
        scale: Literal["dataset", "row", "none"] = "dataset",
        spacing: Positive | None = None,
        size_change: Rate = 0.0,
        width_change: Rate = 0.0,
        slant_change: NonNegative = 0.0,
        turn_change: NonNegative = 0.0,
        jitter: NonNegative = 0.0,
    ):
        self._by, self._spacing, self._scale = scale, spacing, 1.0
        self._factors, self._slant = (size_change, width_change), slant_change
        self._turn, self._jitter = math.radians(turn_change), jitter

    @staticmethod
    def traits(settings: Any) -> Traits:
        changes = (settings.size_change, settings.width_change, settings.slant_change, settings.turn_change)
        return Traits(varies=any(changes) or settings.jitter > 0)

    def varied(self, steps: np.ndarray, chance: np.random.Generator) -> np.ndarray:
        size, width = (factor(chance, most) for most in self._factors)
        slant, turn = chance.uniform(-1, 1, 2) * (self._slant, self._turn)
        turned = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
        shape = size * np.array([[width, 0], [width * slant, 1]]) @ turned
        offsets = steps[:, :2] @ shape + chance.normal(0, self._jitter, (len(steps), 2))
        return np.concatenate([offsets, steps[:, 2:]], 1).astype(np.float32)

    def fit(self, column: Iterable[Any]) -> None:
        total, count = 0.0, 0
        for raw in column:
            if raw is not None:
                offsets = self._read(raw)[:, :2]
                with np.errstate(over="ignore"):
                    total, count = total + float((offsets**2).sum()), count + offsets.size
        if not total:
            raise DataError("nothing to learn: no drawing of the training split has a line; check the column")
        if not math.isfinite(total):
            raise DataError("offsets are too large to be scaled; mend the largest")
        if self._by == "dataset":
            self._scale = math.sqrt(total / count)

    def encode(self, raw: Any) -> np.ndarray:
        steps = self._read(raw)
        if not len(steps):
            return np.zeros((0, 4), np.float32)
        scale = self._scale if self._by != "row" else _extent(steps)
        if not scale:
            raise DataError("all points are one, so that scale: row has nothing to divide by; leave the drawing out")
        scaled = np.concatenate([steps[:, :2] / scale, steps[:, 2:]], 1)
        far = np.flatnonzero(np.abs(scaled).max(1) > FLOAT32_MAX)
        if len(far):
            raise DataError(f"point {far[0] + 1} is too far from the one before; mend it")
        if self._spacing is not None:
            scaled = _respaced(scaled, self._spacing)
        end = np.zeros((len(scaled), 1))
        end[-1] = 1
        return np.concatenate([scaled, end], 1).astype(np.float32)

    def _read(self, raw: Any) -> np.ndarray:
        """A raw value as (T, 3) float64."""
        raw = self.parse(str(raw)) if isinstance(raw, str | Path) else raw
        if isinstance(raw, bytes):
            raw = _decoded(raw)
        steps = as_array(raw)
        if not len(steps):
            return np.zeros((0, 3))
        if steps.ndim != 2 or steps.shape[1] != 3:
            raise DataError(f"each point is three numbers, dx, dy and 0 or 1 for a pen that lifts, not {shown(raw)}")
        wrong = np.flatnonzero(~np.isfinite(steps).all(1))
        if len(wrong):
            raise DataError(f"point {wrong[0] + 1} has an offset that is infinite or missing; mend it, or leave it out")
        wrong = np.flatnonzero((steps[:, 2] != 0) & (steps[:, 2] != 1))
        if len(wrong):
            raise DataError(
                f"point {wrong[0] + 1}: the third number is 1 where the pen lifts and else 0, not"
                f" {steps[wrong[0], 2]:g}; mend it"
            )
        return steps

    def decode(self, array: Array) -> list[list[float]]:
        """The steps as lists of dx, dy and up; with `scale: row` of a drawing one unit high."""
        steps = np.asarray(array, dtype=np.float64).reshape(-1, 4)
        scale = self._scale if self._by != "row" else 1.0
        return [[dx * scale, dy * scale, int(up >= 0.5)] for dx, dy, up, _ in steps.tolist()]

    def labels(self, array: Array) -> list[str]:
        return [f"{dx:.3g} {dy:.3g}{' up' if up else ''}" for dx, dy, up in self.decode(array)]

    @property
    def spec(self) -> Values:
        return Values(4, unscaled=True)

    def facts(self) -> dict[str, Any]:
        return {"scale": self._scale}

    def restore(self, facts: dict[str, Any]) -> None:
        self._scale = facts["scale"]

    def features(self, cells: Sequence[Any]) -> Features:
        """Eight points of each drawing, equally far apart along its line, in a square from 0 to 1."""
        return Features("numbers", [self._looked_at(raw) for raw in cells])

    def _looked_at(self, raw: Any) -> np.ndarray:
        steps = np.zeros((0, 3)) if raw is None else self._read(raw)
        if not len(steps):
            return np.zeros(2 * LOOKED_AT)
        places = np.cumsum(steps[:, :2], 0)
        places = (places - places.min(0)) / (_extent(steps) or 1.0)
        return _along(places, LOOKED_AT).ravel()

    def parse(self, field: str) -> Any:
        if field.lower().endswith(self.file_endings):
            path = Path(field)
            if not path.is_file():
                raise DataError(f"there is no drawing {quoted(field)}; paths are relative to the working directory")
            return path.read_bytes()
        if not field.strip():
            return []
        try:
            return json.loads(field)
        except (json.JSONDecodeError, RecursionError) as why:
            raise DataError(
                f"a drawing is a list of points as JSON, such as [[0, 0, 0], [3, 4, 1]], or the path of a file"
                f" ({', '.join(self.file_endings)}): {why}"
            ) from None

    def take(self, raw: Any) -> Any:
        return None if is_missing(raw) else raw

    def closing(self) -> str:
        return "]"

    def write(self, raw: Any) -> str:
        return json.dumps([[dx, dy, int(up)] for dx, dy, up in self._read(raw).tolist()])

    def render(self, raws: Sequence[Any], ending: str) -> bytes:
        """The drawings as one SVG, several side by side."""
        return svg([self._read(raw) for raw in raws]).encode()


def svg(drawings: Sequence[np.ndarray]) -> str:
    """Drawings (T, 3) in a grid of cells, each filling its own; one alone in its own units."""
    rows = -(-len(drawings) // COLUMNS)
    paths = []
    for place, steps in enumerate(drawings):
        places = np.cumsum(steps[:, :2], 0)
        if len(drawings) > 1:
            low, extent = places.min(0, initial=np.inf), _extent(steps) or 1.0
            places = (places - low) / extent * 0.9 * CELL + [place % COLUMNS * CELL, place // COLUMNS * CELL]
        paths += [_path(stroke) for stroke in np.split(places, np.flatnonzero(steps[:, 2]) + 1) if len(stroke)]
    box = f"0 0 {min(len(drawings), COLUMNS) * CELL} {max(1, rows) * CELL}"
    if len(drawings) == 1 and len(drawings[0]):
        places = np.cumsum(drawings[0][:, :2], 0)
        (left, top), (width, height) = places.min(0), np.maximum(np.ptp(places, axis=0), 1e-6)
        box = f"{left:g} {top:g} {width:g} {height:g}"
    style = 'fill="none" stroke="black" stroke-width="1.5" stroke-linecap="round" vector-effect="non-scaling-stroke"'
    lines = [f'<path {style} d="{path}"/>' for path in paths]
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">', *lines, "</svg>", ""])


def _path(stroke: np.ndarray) -> str:
    return "M" + " L".join(f"{x:.6g} {y:.6g}" for x, y in stroke.tolist()) + (" l0 0" if len(stroke) == 1 else "")


def _extent(steps: np.ndarray) -> float:
    """The height of a drawing, or its width where that is more."""
    return float(np.ptp(np.cumsum(steps[:, :2], 0), axis=0).max())


def _along(points: np.ndarray, count: int) -> np.ndarray:
    """So many points equally far apart along a line through these."""
    passed = np.concatenate([[0.0], np.hypot(*np.diff(points, axis=0).T).cumsum()])
    wanted = np.linspace(0, passed[-1], count)
    return np.stack([np.interp(wanted, passed, axis) for axis in points.T], 1)


def _respaced(steps: np.ndarray, spacing: float) -> np.ndarray:
    """The same strokes with points so far apart."""
    strokes = [
        _along(stroke, max(2, 1 + round(np.hypot(*np.diff(stroke, axis=0).T).sum() / spacing)))
        if len(stroke) > 1
        else stroke
        for stroke in np.split(np.cumsum(steps[:, :2], 0), np.flatnonzero(steps[:-1, 2]) + 1)
    ]
    respaced = as_steps(strokes, np.zeros(2))
    respaced[-1, 2] = steps[-1, 2]
    return respaced


def as_steps(strokes: Sequence[np.ndarray], origin: np.ndarray) -> np.ndarray:
    """(T, 3) the steps of strokes, each the places of its points (n, 2); the first leads from `origin`."""
    places = np.concatenate(strokes)
    up = np.zeros((len(places), 1))
    up[np.cumsum([len(stroke) for stroke in strokes]) - 1] = 1
    return np.concatenate([np.diff(places, axis=0, prepend=origin[None]), up], 1)


def _decoded(content: bytes) -> np.ndarray:
    """The steps of a file."""
    if content.startswith(b"PK"):
        return _of_npz(content)
    if b"<!ENTITY" in content:
        raise DataError("the file declares entities, which are not read; write it without them")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as why:
        raise DataError(f"this is no InkML, SVG or npz: {why}; write the drawing again") from None
    kind = root.tag.rpartition("}")[2]
    if kind not in ("ink", "svg"):
        raise DataError(f"the root of the file is <{kind}>, and a drawing is <ink> (InkML) or <svg>; give one of these")
    strokes = [stroke for stroke in (_of_ink if kind == "ink" else _of_svg)(root) if len(stroke)]
    if not strokes:
        without = "<trace>" if kind == "ink" else "<path>, <line> or <polyline>"
        raise DataError(f"the file has no {without} with a point, so there is nothing to read; write the drawing again")
    if sum(map(len, strokes)) < 2:
        raise DataError("the drawing is one point, and a line has two; leave it out")
    return as_steps(strokes, strokes[0][0])


def _of_npz(content: bytes) -> np.ndarray:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            names = list(arrays)
            if len(names) == 1:
                return arrays[names[0]]
    except (zipfile.BadZipFile, ValueError, OSError) as why:
        raise DataError(f"the npz cannot be read: {why}; write it again, without Python objects") from None
    raise DataError(f"the npz has {len(names)} arrays, and a drawing is one (T, 3); write a file for each drawing")


def _named(root: ElementTree.Element, *names: str) -> Iterator[ElementTree.Element]:
    return (element for element in root.iter() if element.tag.rpartition("}")[2] in names)


def _of_ink(root: ElementTree.Element) -> Iterator[np.ndarray]:
    channels = [channel.get("name", "") for channel in _named(root, "channel")] or ["X", "Y"]
    if "X" not in channels or "Y" not in channels:
        raise DataError(
            f"the channels of the InkML are {', '.join(channels)}, and X and Y are needed; write the points with both"
        )
    x, y = channels.index("X"), channels.index("Y")
    for number, trace in enumerate(_named(root, "trace"), 1):
        points = [point.split() for point in (trace.text or "").split(",") if point.strip()]
        try:
            yield np.array([[float(point[x]), float(point[y])] for point in points]).reshape(-1, 2)
        except (ValueError, IndexError):
            raise DataError(
                f"trace {number} of the InkML has a point that is not X and Y as plain numbers; write it without"
                " differences (' and \") and wildcards"
            ) from None


def _of_svg(root: ElementTree.Element) -> Iterator[np.ndarray]:
    moved = next((element for element in root.iter() if element.get("transform")), None)
    if moved is not None:
        raise DataError("the SVG has a transform, which is not read; apply it in the program that drew it")
    for element in _named(root, "path", "line", "polyline"):
        corners = [element.get(name, "0") for name in ("x1", "y1", "x2", "y2")]
        numbers = re.split(r"[\s,]+", element.get("points", "").strip() or " ".join(corners))
        if element.get("d") is not None:
            yield from _of_path(element.get("d", ""))
        elif not element.tag.endswith("path"):
            try:
                yield np.array([float(number) for number in numbers]).reshape(-1, 2)
            except ValueError as why:
                raise DataError(f"a line of the SVG has points that are no pairs of numbers: {why}; mend it") from None


def _of_path(text: str) -> Iterator[np.ndarray]:
    """The strokes of the commands M, L, H, V, C, S, Q and Z, and their relative forms."""
    words, place = _COMMAND.findall(text), 0
    here, command, control = np.zeros(2), "M", None
    points: list[np.ndarray] = []
    while place < len(words):
        letter = words[place][0]
        if letter:
            command, place = letter, place + 1
        kind = command.upper()
        count = _ARGUMENTS.get(kind)
        if count is None:
            raise DataError(f"the SVG path has the command {command}, and {', '.join(_ARGUMENTS)} are read; redraw it")
        given = [float(number) for sign, number in words[place : place + count] if number]
        if len(given) != count or (not letter and not count):
            raise DataError(f"the SVG path has numbers that its command {command} does not take; write it again")
        place += count
        before = here if command.islower() else np.zeros(2)
        if kind == "M":
            if points:
                yield np.array(points)
            here = before + given
            points, control, command = [here], None, "l" if command == "m" else "L"
            continue
        if kind in "HV":
            corner = here.copy()
            corner["HV".index(kind)] = given[0] + before["HV".index(kind)]
            ends = [corner]
        else:
            ends = [points[0]] if kind == "Z" else [before + pair for pair in np.array(given).reshape(-1, 2)]
        if kind == "S":
            ends = [2 * here - control if control is not None else here, *ends]
        control = ends[-2] if kind in "CS" else None
        points += _curve([here, *ends])
        here = ends[-1]
    if points:
        yield np.array(points)


def _curve(ends: list[np.ndarray]) -> list[np.ndarray]:
    """The points after the first of a line, or of a Bezier curve of these control points."""
    if len(ends) == 2:
        return ends[1:]
    points = []
    for share in np.linspace(0, 1, CURVE + 1)[1:]:
        level = ends
        while len(level) > 1:
            level = [(1 - share) * start + share * end for start, end in zip(level, level[1:])]
        points.append(level[0])
    return points
