"""A moving picture: a folder of frames, an animated file or pixels to frames."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.errors import DataError, quoted
from ostinato.modalities import _pictures
from ostinato.modalities._pictures import Canvas, OnCanvas
from ostinato.modalities.contract import Array, Features, Pixels
from ostinato.modalities.image import THUMB


class _File(bytes):
    """The content of a file, with its path for messages."""

    path: Path | None = None


class Video(OnCanvas):
    """A moving picture: each step holds the pixels of one frame.

        step t = (frame t - mean) / deviation          pixels from 0 to 1, mean and deviation per channel

    All frames are brought to one height and width. `stacked` reads each as a picture, and then the frames in turn.

    A raw value is the path of a folder whose pictures are the frames, by the numbers in their names; the bytes or the
    path of an animated gif, png or webp file (column `NAME:file` of a manifest); or in Python pixels (T, H, W) or
    (T, H, W, 1 to 4 channels). A still picture is a video of one frame. By pillow: `pip install 'ostinato[images]'`.

    Args:
        height: pixels from top to bottom; None: those of the first training frame, 64 at most.
        width: pixels from left to right; None: by the proportions of the first training frame.
        channels: of a pixel, 1 grey or 3 colours; None: 3 where a training frame has a colour.
        mean: subtracted from the pixels, a number per channel; None: that of the training split.
        deviation: they are divided by; likewise.

    Shapes:
        encoded (T, width * height * channels)

    Errors:
        ConfigError: as of an `image`.
        DataError: a folder without pictures, or a frame that is no picture.
    """

    default_encoder = "stacked"
    reads_folders = True
    examples = (
        np.linspace(0, 1, 72).reshape(3, 4, 2, 3),
        np.linspace(1, 0, 48).reshape(2, 4, 2, 3),
        _pictures.png(np.zeros((4, 2), np.uint8)),
    )

    def fit(self, column: Iterable[Any]) -> None:
        self.canvas.fit((frame for raw in column if raw is not None for frame in self._read(raw)), one_width=True)

    def encode(self, raw: Any) -> np.ndarray:
        frames = [self.canvas.drawn(frame).ravel() for frame in self._read(raw)]
        return np.stack(frames)

    def _read(self, raw: Any) -> Sequence[np.ndarray]:
        """(H, W, 3) from 0 to 1 of each frame."""
        if isinstance(raw, str | Path):
            raw = self.parse(str(raw))
        if isinstance(raw, bytes):
            return list(_pictures.frames_of(raw))
        if isinstance(raw, list) and all(isinstance(frame, bytes) for frame in raw):
            return [_frame(number, frame) for number, frame in enumerate(raw, 1)]
        return _pictures.array_of(raw, "a video", "(T, H, W)", True)

    def flaw(self, raw: Any) -> str | None:
        first, *others = self._read(raw)
        if not others:
            return "has one frame, in which nothing moves"
        still = all(np.array_equal(frame, first) for frame in others)
        return f"has {len(others) + 1} frames that are all alike" if still else None

    def decode(self, array: Array) -> np.ndarray:
        """The frames at the size that was read, (T, height, width, 3)."""
        return np.stack([self.canvas.seen(frame) for frame in np.asarray(array)])

    def labels(self, array: Array) -> list[str]:
        """The place of each frame."""
        return [str(place + 1) for place in range(len(array))]

    @property
    def spec(self) -> Pixels:
        canvas = self.canvas
        size = canvas.height * canvas.width * canvas.channels
        return Pixels(size, unscaled=True, height=canvas.height, width=canvas.width)

    def features(self, cells: Sequence[Any]) -> Features:
        """The first and the last frame in 8 x 8 pixels; the mean where there is none."""
        canvas = self.canvas
        small = Canvas(THUMB, THUMB, canvas.channels, canvas.mean, canvas.deviation)
        none = np.zeros(2 * THUMB * THUMB * (canvas.channels or 1))

        def looked_at(raw: Any) -> np.ndarray:
            frames = self._read(raw)
            return np.stack([small.drawn(frames[0]), small.drawn(frames[-1])]).ravel().astype(np.float32)

        return Features("numbers", [none if raw is None else looked_at(raw) for raw in cells])

    def parse(self, field: str) -> bytes | list[bytes] | None:
        if not field.strip():
            return None
        frames, folder = field.split(" "), Path(field)
        if frames[1:] and all(frame.startswith("data:") for frame in frames):
            return [_pictures.parse(frame, "video") for frame in frames]
        if field.startswith("data:") or not os.path.isdir(folder):
            return _pictures.parse(field, "video")
        files = [path for path in folder.iterdir() if path.name.lower().endswith(_pictures.ENDINGS)]
        if not files:
            raise DataError(
                f"the folder {quoted(field)} holds no frame: no file ends in {', '.join(_pictures.ENDINGS)}"
            )
        in_turn = sorted(files, key=lambda path: ([int(number) for number in re.findall(r"\d+", path.name)], path.name))
        return [_content(path) for path in in_turn]

    def write(self, raw: Any) -> str:
        if isinstance(raw, str | Path):
            return str(raw)
        return " ".join(map(_pictures.field, [raw] if isinstance(raw, bytes) else map(_pictures.png, self._read(raw))))


def _frame(number: int, content: bytes) -> np.ndarray:
    """(H, W, 3) from 0 to 1 of a frame.

    Errors:
        DataError: it is no picture; which frame it is, and the file where it has one.
    """
    try:
        return next(_pictures.frames_of(content))
    except DataError as why:
        file = f" ({content.path})" if isinstance(content, _File) and content.path is not None else ""
        raise DataError(f"frame {number}{file}: {why}") from None


def _content(path: Path) -> _File:
    content = _File(path.read_bytes())
    content.path = path
    return content
