"""What a pen drew, as it is read from lists, arrays and files."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.errors import DataError, shown
from ostinato.modalities._fields import array_of, content_of, is_missing
from ostinato.modalities.contract import Features, Modality
from ostinato.raw.numbers import as_array

FILE_ENDINGS = (".inkml", ".svg", ".npz")
LOOKED_AT = 8
"""Points of a drawing that a baseline reads."""
CURVE = 8
"""Points that a curve of an SVG path becomes."""
_COMMAND = re.compile(r"([A-Za-z])|([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)")
_ARGUMENTS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "Z": 0}


class OfPen(Modality):
    """What all readings of a drawing share: the forms that it has outside."""

    file_endings = FILE_ENDINGS
    examples = (
        [[0, 0, 0], [3, 4.5, 0], [-1, 2, 1], [5, -6, 0], [0, 3, 1]],
        [[1, 1, 0], [2, 0, 1]],
        [[2, -1, 0], [0, 0, 0], [0, 7, 0], [-3, 1, 1]],
    )

    def flaw(self, raw: Any) -> str | None:
        return "has one point alone" if len(steps_of(raw)) == 1 else None

    def features(self, cells: Sequence[Any]) -> Features:
        """Eight points of each drawing, equally far apart along its line, in a square from 0 to 1."""
        return Features("numbers", [_looked_at(raw) for raw in cells])

    def parse(self, field: str) -> Any:
        return parse(field)

    def take(self, raw: Any) -> Any:
        return None if is_missing(raw) else raw

    def write(self, raw: Any) -> str:
        return json.dumps([[dx, dy, int(up)] for dx, dy, up in steps_of(raw).tolist()])


def steps_of(raw: Any) -> np.ndarray:
    """A raw drawing as (T, 3) float64: dx, dy, and 1 where the pen lifts after the point.

    Errors:
        DataError: a step is not three finite numbers, or its third is neither 0 nor 1; a file is not what it should be.
    """
    raw = parse(str(raw)) if isinstance(raw, str | Path) else raw
    if isinstance(raw, bytes):
        raw = _of_file(raw)
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


def parse(field: str) -> Any:
    """The bytes of the file that a path names, or the list of points that the text holds."""
    if field.lower().endswith(FILE_ENDINGS) or os.path.isdir(field):
        return content_of(field, "drawing")
    if not field.strip():
        return []
    try:
        return json.loads(field)
    except (json.JSONDecodeError, RecursionError) as why:
        raise DataError(
            f"a drawing is a list of points as JSON, such as [[0, 0, 0], [3, 4, 1]], or the path of a file"
            f" ({', '.join(FILE_ENDINGS)}): {why}"
        ) from None


def extent(steps: np.ndarray) -> float:
    """The height of a drawing, or its width where that is more."""
    return float(np.ptp(np.cumsum(steps[:, :2], 0), axis=0).max())


def strokes_of(steps: np.ndarray) -> list[np.ndarray]:
    """Steps (T, 3) as the strokes between two lifts, each the places of its points (n, 2)."""
    return np.split(np.cumsum(steps[:, :2], 0), np.flatnonzero(steps[:-1, 2]) + 1)


def as_steps(strokes: Sequence[np.ndarray], origin: np.ndarray) -> np.ndarray:
    """(T, 3) the steps of strokes, each the places of its points (n, 2); the first leads from `origin`."""
    places = np.concatenate(strokes)
    up = np.zeros((len(places), 1))
    up[np.cumsum([len(stroke) for stroke in strokes]) - 1] = 1
    return np.concatenate([np.diff(places, axis=0, prepend=origin[None]), up], 1)


def along(points: np.ndarray, count: int) -> np.ndarray:
    """So many points equally far apart along a line through these."""
    passed = np.concatenate([[0.0], np.hypot(*np.diff(points, axis=0).T).cumsum()])
    wanted = np.linspace(0, passed[-1], count)
    return np.stack([np.interp(wanted, passed, axis) for axis in points.T], 1)


def _looked_at(raw: Any) -> np.ndarray:
    """What a baseline reads of a raw drawing, 2 * LOOKED_AT numbers; None is a missing one."""
    steps = np.zeros((0, 3)) if raw is None else steps_of(raw)
    if not len(steps):
        return np.zeros(2 * LOOKED_AT)
    places = np.cumsum(steps[:, :2], 0)
    places = (places - places.min(0)) / (extent(steps) or 1.0)
    return along(places, LOOKED_AT).ravel()


def _of_file(content: bytes) -> np.ndarray:
    """The steps of a file."""
    if content.startswith(b"PK"):
        return array_of(content, "a drawing is one (T, 3); write a file for each drawing")
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
            yield from of_path(element.get("d", ""))
        elif not element.tag.endswith("path"):
            try:
                yield np.array([float(number) for number in numbers]).reshape(-1, 2)
            except ValueError as why:
                raise DataError(f"a line of the SVG has points that are no pairs of numbers: {why}; mend it") from None


def of_path(text: str) -> Iterator[np.ndarray]:
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
