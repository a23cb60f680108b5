"""A picture: a file or pixels to columns of pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.errors import DataError
from ostinato.modalities import _pictures
from ostinato.modalities._pictures import Canvas, Still
from ostinato.modalities.contract import Features

THUMB = 8
"""Pixels of each side of the small picture that a baseline reads."""


class Image(Still):
    """A picture, column after column from left to right: each step holds the pixels of one column from top to bottom.

        step t = (x[:, t, :] - mean) / deviation          x from 0 to 1, mean and deviation per channel

    So any encoder of vectors can read a picture along its width, as a line of text is read; `cnn` reads it as a plane.
    All pictures are brought to one height; the width follows, or is set, too. A picture is turned as its camera was
    held (EXIF), transparent pixels lie on white, 16 bits and CMYK are converted.

    A raw value is the bytes of a file (column `NAME:file` of a manifest), its path (a column of paths, or a text on the
    command line), a field `data:image/png;base64,...`, or in Python pixels (H, W) or (H, W, 1 to 4 channels), from 0 to
    1 or as whole numbers to 255 or 65,535, or a picture of pillow. Png, jpg, webp and gif files are read, by pillow:
    `pip install 'ostinato[images]'`.

    Args:
        height: pixels from top to bottom; None: those of the first training picture, 64 at most.
        width: pixels from left to right; None: each picture keeps its proportions.
        channels: of a pixel, 1 grey or 3 colours; None: 3 where a training picture has a colour.
        mean: subtracted from the pixels, a number per channel; None: that of the training split.
        deviation: they are divided by; likewise.

    Shapes:
        encoded (width, height * channels)

    Errors:
        ConfigError: `mean` without `deviation`, or as many numbers as there are no channels; pillow is not installed.
        DataError: no picture, a damaged one, an animated one, one of more than 89 million pixels, numbers of
            another shape or range.

    Source: grey: ITU-R BT.601, luma.
    """

    default_encoder = "cnn"
    examples = (
        _pictures.png(np.linspace(0, 1, 60, dtype=np.float32).reshape(4, 5, 3)),
        _pictures.png(np.tile(np.arange(0, 240, 20, dtype=np.uint8), (6, 1))),
        np.eye(2, 1),
    )

    def fit(self, column: Iterable[Any]) -> None:
        self.canvas.fit((self._read(raw) for raw in column if raw is not None), one_width=False)

    def encode(self, raw: Any) -> np.ndarray:
        drawn = self.canvas.drawn(self._read(raw))
        return drawn.reshape(len(drawn), -1)

    def _read(self, raw: Any) -> np.ndarray:
        """(H, W, 3) from 0 to 1."""
        if isinstance(raw, str | Path):
            raw = self.parse(str(raw))
        if isinstance(raw, bytes):
            first, *others = _pictures.frames_of(raw)
            if others:
                raise DataError(
                    f"this is a moving picture of {1 + len(others)} frames, and a still one is needed; write the frame"
                    " that counts as a picture, or take type: video"
                )
            return first
        drawn = _pictures.from_pillow(raw)
        return _pictures.array_of(raw, "a picture", "(H, W)", False) if drawn is None else drawn

    def flaw(self, raw: Any) -> str | None:
        picture = self._read(raw)
        return None if (picture != picture[:1, :1]).any() else "has one color alone"

    def features(self, cells: Sequence[Any]) -> Features:
        """A picture of 8 x 8 pixels; the mean where there is none."""
        canvas = self.canvas
        small = Canvas(THUMB, THUMB, canvas.channels, canvas.mean, canvas.deviation)
        none = np.zeros(THUMB * THUMB * (canvas.channels or 1))
        return Features(
            "numbers",
            [none if raw is None else small.drawn(self._read(raw)).ravel().astype(np.float32) for raw in cells],
        )

    def parse(self, field: str) -> bytes | None:
        return _pictures.parse(field, "picture") if field.strip() else None

    def write(self, raw: Any) -> str:
        if isinstance(raw, str | Path):
            return str(raw)
        return _pictures.field(raw if isinstance(raw, bytes) else _pictures.png(self._read(raw)))
