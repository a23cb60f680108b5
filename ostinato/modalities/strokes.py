"""Drawings: pen strokes as offsets from point to point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from ostinato.errors import DataError
from ostinato.modalities import _pen
from ostinato.modalities._varied import factor
from ostinato.modalities.contract import Array, Traits, Values
from ostinato.raw.numbers import FLOAT32_MAX
from ostinato.registry import NonNegative, Positive, Rate

CELL, COLUMNS = 100, 8
"""Width of a drawing in a picture of several, and how many lie beside each other."""


class Strokes(_pen.OfPen):
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
    render_endings = (".svg",)

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
                offsets = _pen.steps_of(raw)[:, :2]
                with np.errstate(over="ignore"):
                    total, count = total + float((offsets**2).sum()), count + offsets.size
        if not total:
            raise DataError("nothing to learn: no drawing of the training split has a line; check the column")
        if not math.isfinite(total):
            raise DataError("offsets are too large to be scaled; mend the largest")
        if self._by == "dataset":
            self._scale = math.sqrt(total / count)

    def encode(self, raw: Any) -> np.ndarray:
        steps = _pen.steps_of(raw)
        if not len(steps):
            return np.zeros((0, 4), np.float32)
        scale = self._scale if self._by != "row" else _pen.extent(steps)
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

    def closing(self) -> str:
        return "]"

    def render(self, raws: Sequence[Any], ending: str) -> bytes:
        """The drawings as one SVG, several side by side."""
        return svg([_pen.steps_of(raw) for raw in raws]).encode()


def svg(drawings: Sequence[np.ndarray]) -> str:
    """Drawings (T, 3) in a grid of cells, each filling its own; one alone in its own units."""
    rows = -(-len(drawings) // COLUMNS)
    paths = []
    for place, steps in enumerate(drawings):
        places = np.cumsum(steps[:, :2], 0)
        if len(drawings) > 1:
            low, extent = places.min(0, initial=np.inf), _pen.extent(steps) or 1.0
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


def _respaced(steps: np.ndarray, spacing: float) -> np.ndarray:
    """The same strokes with points so far apart."""
    strokes = [
        _pen.along(stroke, max(2, 1 + round(np.hypot(*np.diff(stroke, axis=0).T).sum() / spacing)))
        if len(stroke) > 1
        else stroke
        for stroke in _pen.strokes_of(steps)
    ]
    respaced = _pen.as_steps(strokes, np.zeros(2))
    respaced[-1, 2] = steps[-1, 2]
    return respaced
