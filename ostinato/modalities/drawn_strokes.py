"""A drawing as the picture that its pen leaves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from ostinato.errors import ConfigError, DataError
from ostinato.modalities import _pen
from ostinato.modalities._pictures import WIDEST, Still, pillow
from ostinato.registry import Count, Positive

MARGIN = 2
"""Pixels above and below the tallest drawing, and before and behind each."""
FINER = 4
"""Lines are drawn so many times larger and made smaller again, which smooths them."""
USUAL = 0.95
"""The share of training drawings that fit at the one scale; taller ones are made smaller."""


class DrawnStrokes(_pen.OfPen, Still):
    """What a pen drew, as a picture: black lines on white, read column after column from left to right.

        step t = (x[:, t] - mean) / deviation          x from 0, ink, to 1, mean and deviation of all pixels

    A picture does not tell in which order, from which end and how fast lines were drawn. A hand or a font that training
    lacks often differs in just these: then a drawing is read better as a picture (`cnn`) than as `strokes`.

        dataset   one scale, at which 95 % of the training drawings fit; taller ones are made smaller
        row       each drawing fills the height

    A raw value is as that of `strokes`: a list of (dx, dy, up), an array (T, 3), a text that holds such a list as JSON,
    or a file of InkML, SVG or npz. Lines are drawn by pillow: `pip install 'ostinato[images]'`.

    Args:
        height: pixels from top to bottom.
        width: pixels from left to right; None: as wide as each drawing is.
        line_width: of the pen, in pixels.
        scale: how many units of the pen a pixel is.

    Shapes:
        encoded (width, height)

    Units:
        y grows downwards, as on a screen

    Errors:
        ConfigError: a height that leaves no room; pillow is not installed.
        DataError: no drawing, as `strokes` has it; one that becomes wider than 10,000 pixels; no training drawing has a
            line.

    Source: pen strokes read as pictures: Graham 2013, arXiv:1308.0371, section 1.
    """

    default_encoder = "cnn"
    another_reading = True

    def __init__(
        self,
        *,
        height: Count = 32,
        width: Count | None = None,
        line_width: Positive = 1.5,
        scale: Literal["dataset", "row"] = "dataset",
    ):
        if height <= 2 * MARGIN:
            raise ConfigError(
                f"height: {height} leaves no room between margins of {MARGIN}; set {2 * MARGIN + 1} or more"
            )
        super().__init__(height=height, width=width, channels=1)
        self._by, self._line, self._tallest = scale, line_width, 1.0

    def fit(self, column: Iterable[Any]) -> None:
        drawings = [steps for raw in column if raw is not None and len(steps := _pen.steps_of(raw))]
        heights = [float(np.ptp(np.cumsum(steps[:, 1]))) for steps in drawings]
        if not any(map(_pen.extent, drawings)):
            raise DataError("nothing to learn: no drawing of the training split has a line; check the column")
        usual = float(np.quantile(heights, USUAL))
        self._tallest = usual if usual > 0 else max(map(_pen.extent, drawings))
        self.canvas.fit((self._lines(steps) for steps in drawings), one_width=False)

    def encode(self, raw: Any) -> np.ndarray:
        steps = _pen.steps_of(raw)
        if not len(steps):
            return np.zeros((0, self.canvas.height or 0), np.float16)
        return self.canvas.drawn(self._lines(steps))[..., 0]

    def _lines(self, steps: np.ndarray) -> np.ndarray:
        """The picture of steps (T, 3), (H, W, 3) from 0 to 1."""
        image, _ = pillow()
        from PIL import ImageDraw

        strokes = _pen.strokes_of(steps)
        places = np.concatenate(strokes)
        low, (wide, tall) = places.min(0), np.ptp(places, axis=0)
        height, room = self.canvas.height, self.canvas.height - 2 * MARGIN
        largest = room / tall if tall > 0 else math.inf
        pixels = min(largest, room / self._tallest) if self._by == "dataset" or tall == 0 else largest
        if not wide * pixels <= WIDEST:
            raise DataError(
                f"the drawing is {wide:g} wide and {tall:g} high, which becomes {wide * pixels:,.0f} columns; leave it"
                " out, or cut it into parts"
            )
        width = math.ceil(wide * pixels) + 2 * MARGIN
        sheet = image.new("L", (width * FINER, height * FINER), 255)
        pen, line = ImageDraw.Draw(sheet), max(1, round(self._line * FINER))
        corner = np.array([MARGIN, (height - tall * pixels) / 2])
        for stroke in strokes:
            points = [tuple(point) for point in (((stroke - low) * pixels + corner) * FINER).tolist()]
            pen.line(points, 0, line, "curve")
            for x, y in (points[0], points[-1]):
                pen.ellipse((x - line / 2, y - line / 2, x + line / 2, y + line / 2), 0)
        grey = np.asarray(sheet.resize((width, height), image.Resampling.BOX), np.float32) / 255
        return grey[..., None].repeat(3, 2)

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "tallest": self._tallest}

    def restore(self, facts: dict[str, Any]) -> None:
        self._tallest = facts["tallest"]
        super().restore({name: fact for name, fact in facts.items() if name != "tallest"})
