"""Pictures of any kind as arrays of one size and one set of channels, scaled."""

from __future__ import annotations

import base64
import io
import re
import struct
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

from ostinato.errors import ConfigError, DataError, shown
from ostinato.modalities._fields import content_of, is_missing, of_base64
from ostinato.modalities.contract import Array, Modality, Pixels
from ostinato.registry import Count

INSTALL = "pip install 'ostinato[images]'"
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif")
ENCODED = "data:image;base64,"
"""What a field begins with that holds the bytes of a file, and not its path."""
TALLEST = 64
"""Pixels of a height that is taken from the training pictures; more are cut down to it unless a recipe asks for
them."""
WIDEST = 10_000
"""Columns of a picture whose width follows its height."""
DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I")
"""Modes of 16 bits a pixel."""


def pillow() -> Any:
    """The library's modules `Image` and `ImageOps`.

    Errors:
        ConfigError: it is not installed.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise ConfigError(f"pictures need the package pillow, which is not here: {INSTALL}") from None
    return Image, ImageOps


def parse(field: str, what: str) -> bytes:
    """The bytes of the file that a path names, or those that a field of base64 holds."""
    head, comma, _ = field.partition(",")
    if comma and head.startswith("data:image") and head.endswith(";base64"):
        return of_base64(field, len(head) + 1)
    return content_of(field, what)


def field(content: bytes) -> str:
    """The bytes of a file as a field of text, which `parse` reads."""
    return ENCODED + base64.b64encode(content).decode()


def frames_of(content: bytes) -> Iterator[np.ndarray]:
    """The frames of a file, (H, W, 3) each from 0 to 1: turned as its camera was held, transparent pixels on white.

    Errors:
        DataError: it holds no picture, a damaged one, one of more pixels than pillow takes for harmless (by its
            header, before anything is unpacked), or of a form that has no largest value.
    """
    image, ops = pillow()
    if not content:
        raise DataError("the file is empty; write the picture again")
    # A GIF that is cut between two frames opens as a shorter one.
    if content.startswith(b"GIF8") and not content.rstrip(b"\0\r\n ").endswith(b";"):
        raise DataError("the picture is damaged: the end of the GIF is missing; write it again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", image.DecompressionBombWarning)
            picture = image.open(io.BytesIO(content))
        for number in range(getattr(picture, "n_frames", 1)):
            picture.seek(number)
            yield _rgb(ops.exif_transpose(picture))
    except (image.DecompressionBombWarning, image.DecompressionBombError) as why:
        pixels, most = int(re.findall(r"\d+", str(why))[0]) / 1e6, image.MAX_IMAGE_PIXELS / 1e6
        raise DataError(
            f"this picture has {pixels:,.0f} million pixels, and {most:.0f} million are the most; make it smaller, or"
            " cut it into parts"
        ) from None
    except image.UnidentifiedImageError:
        raise DataError(
            f"this is no picture of a kind that is read here: {', '.join(ENDINGS)}; convert it to one of these"
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error) as why:
        raise DataError(f"the picture is damaged: {why}; write it again") from None


def _rgb(picture: Any) -> np.ndarray:
    """One frame, (H, W, 3) from 0 to 1."""
    if picture.mode in DEEP:
        return _opaque(np.asarray(picture).astype(np.float32) / (2**16 - 1))
    if picture.mode == "F":
        raise DataError("its pixels are real numbers, whose white is not known; write 8 or 16 bits a channel")
    alpha = "A" in picture.mode or "a" in picture.mode or "transparency" in picture.info
    return _opaque(np.asarray(picture.convert("RGBA" if alpha else "RGB"), dtype=np.float32) / 255)


def _opaque(array: np.ndarray) -> np.ndarray:
    """Pixels (H, W), or (H, W, channels) of which the second or fourth is how opaque they are, as (H, W, 3) on
    white."""
    array = array[..., None] if array.ndim == 2 else array
    if array.shape[2] in (2, 4):
        alpha = array[..., -1:]
        array = array[..., :-1] * alpha + 1 - alpha
    return array if array.shape[2] == 3 else array.repeat(3, 2)


def array_of(raw: Any, what: str, axes: str, frames: bool) -> np.ndarray:
    """Pixels from Python as (H, W, 3), with `frames` (T, H, W, 3), from 0 to 1: whole numbers of 8 or 16 bits, or real
    ones in that range.

    Errors:
        DataError: of another shape or range.
    """
    try:
        array = np.asarray(raw)
    except ValueError as why:
        raise DataError(f"rows of pixels differ in their length: {why}") from None
    few = 3 if frames else 2
    deep = array.ndim == few + 1
    if (
        array.dtype.kind not in "fiub"
        or array.ndim not in (few, few + 1)
        or deep
        and array.shape[-1] not in (1, 2, 3, 4)
    ):
        got = f"{array.dtype} of shape {array.shape}" if array.ndim else shown(raw)
        raise DataError(f"{what} is a file or numbers {axes}, or with 1 to 4 channels as a last axis, not {got}")
    if 0 in array.shape:
        raise DataError(f"{what} of shape {array.shape} has no pixel; leave it out")
    top = {"b": 1, "f": 1}.get(array.dtype.kind, 2**16 - 1 if array.dtype.itemsize == 2 or array.max() > 255 else 255)
    array = array.astype(np.float32) / top
    if not (array.min() >= 0 and array.max() <= 1):
        raise DataError(
            f"{what} has pixels from {array.min() * top:g} to {array.max() * top:g}; give real numbers from 0 to 1, or"
            " whole ones from 0 to 255 or 65,535"
        )
    return np.stack([_opaque(frame) for frame in array]) if frames else _opaque(array)


def from_pillow(raw: Any) -> np.ndarray | None:
    """A picture of pillow as (H, W, 3) from 0 to 1; None: it is none."""
    _, ops = pillow()
    from PIL.Image import Image as Loaded

    return _rgb(ops.exif_transpose(raw)) if isinstance(raw, Loaded) else None


def png(array: np.ndarray) -> bytes:
    """A file of pixels (H, W), (H, W, 3) or (H, W, 4): real numbers from 0 to 1, or whole ones to 255."""
    image, _ = pillow()
    whole = np.round(array * 255).astype(np.uint8) if array.dtype.kind == "f" else array
    file = io.BytesIO()
    image.fromarray(whole).save(file, "PNG")
    return file.getvalue()


class Canvas:
    """The size and channels of all pictures of a column, and how their pixels are scaled.

        grey = 0.299 red + 0.587 green + 0.114 blue
        z    = (x - mean) / deviation                  per channel

    Args:
        height, width, channels, mean, deviation: None: fitted.
    """

    def __init__(
        self,
        height: int | None,
        width: int | None,
        channels: int | None,
        mean: Sequence[float] | None,
        deviation: Sequence[float] | None,
    ):
        if (mean is None) != (deviation is None):
            raise ConfigError(
                "mean and deviation belong together; set both, or neither for those of the training split"
            )
        channels = channels if mean is None or channels or len(mean) not in (1, 3) else len(mean)
        for name, numbers in (("mean", mean), ("deviation", deviation)):
            if numbers is not None and len(numbers) != channels:
                allowed = channels or "1 (grey) or 3 (colours)"
                raise ConfigError(f"{name}: {list(numbers)}: one number for each channel is needed; give {allowed}")
        if deviation is not None and min(deviation) <= 0:
            raise ConfigError("deviation holds a number that is not above 0; mend it")
        self.height, self.width, self.channels = height, width, channels
        self.mean, self.deviation = (None if numbers is None else list(numbers) for numbers in (mean, deviation))

    def fit(self, pictures: Iterable[np.ndarray], *, one_width: bool) -> None:
        """Takes what no setting gives from pictures (H, W, 3).

        Args:
            one_width: whether a width is fitted too; else it follows from each picture's own.
        """
        count, colored, sums, squares = 0, False, np.zeros(4), np.zeros(4)
        for picture in pictures:
            colored = colored or bool((picture != picture[..., :1]).any())
            both = np.concatenate([picture, _grey(picture)], 2).reshape(-1, 4).astype(np.float64)
            if not count:
                self.height = self.height or min(TALLEST, len(picture))
                if one_width:
                    self.width = self.width or self._width(picture)
            count, sums, squares = count + len(both), sums + both.sum(0), squares + (both**2).sum(0)
        if not count:
            raise DataError("nothing to learn: no row of the training split has a picture; is this the right column?")
        self.channels = self.channels or (3 if colored else 1)
        if self.mean is None:
            mean = (sums / count)[-1:] if self.channels == 1 else (sums / count)[:3]
            spread = np.sqrt(np.maximum(0, squares / count - (sums / count) ** 2))
            spread = spread[-1:] if self.channels == 1 else spread[:3]
            self.mean, self.deviation = mean.tolist(), np.where(spread > 1e-6, spread, 1.0).tolist()

    def _width(self, picture: np.ndarray) -> int:
        """Columns of a picture whose width follows the height."""
        width = max(1, round(picture.shape[1] * self.height / len(picture)))
        if width > WIDEST:
            raise DataError(
                f"a picture of {picture.shape[1]} x {len(picture)} pixels becomes {width:,} columns at height"
                f" {self.height}; set width, or cut it into parts"
            )
        return width

    def drawn(self, picture: np.ndarray) -> np.ndarray:
        """A picture (H, W, 3) on the canvas: (width, height, channels), scaled, columns first."""
        picture = _grey(picture) if self.channels == 1 else picture
        size = (self.width or self._width(picture), self.height)
        if size != picture.shape[1::-1]:
            image, _ = pillow()
            planes = [
                np.asarray(image.fromarray(np.ascontiguousarray(plane)).resize(size, image.Resampling.BILINEAR))
                for plane in picture.transpose(2, 0, 1)
            ]
            picture = np.stack(planes, 2)
        return ((picture - self.mean) / self.deviation).transpose(1, 0, 2).astype(np.float16)

    def seen(self, drawn: np.ndarray) -> np.ndarray:
        """What `drawn` gave as (height, width, 3) from 0 to 1."""
        picture = drawn.astype(np.float32).reshape(-1, self.height, self.channels).transpose(1, 0, 2)
        return (picture * self.deviation + self.mean).clip(0, 1).repeat(3 // self.channels, 2).astype(np.float32)

    def facts(self) -> dict[str, Any]:
        return dict(vars(self))

    def restore(self, facts: dict[str, Any]) -> None:
        vars(self).update(facts)


def _grey(picture: np.ndarray) -> np.ndarray:
    return (picture @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]


class OnCanvas(Modality):
    """What pictures and videos share: they are inputs alone, and all are brought to one canvas."""

    aligns = frozenset()
    default_align = "summary"
    default_head = {}
    metrics = {}
    file_endings = ENDINGS

    def __init__(
        self,
        *,
        height: Count | None = None,
        width: Count | None = None,
        channels: Literal[1, 3] | None = None,
        mean: list[float] | None = None,
        deviation: list[float] | None = None,
    ):
        self.canvas = Canvas(height, width, channels, mean, deviation)

    def facts(self) -> dict[str, Any]:
        return self.canvas.facts()

    def restore(self, facts: dict[str, Any]) -> None:
        self.canvas.restore(facts)

    def take(self, raw: Any) -> Any:
        return None if is_missing(raw) else raw


class Still(OnCanvas):
    """What one picture on a canvas is, whatever it was drawn from: a step for each of its columns."""

    def decode(self, array: Array) -> np.ndarray:
        """The pixels at the size that was read, (height, width, 3)."""
        return self.canvas.seen(np.asarray(array))

    def labels(self, array: Array) -> list[str]:
        """The place of each column."""
        return [str(place + 1) for place in range(len(array))]

    def picture(self, array: Array) -> np.ndarray:
        return self.decode(array)

    @property
    def spec(self) -> Pixels:
        canvas = self.canvas
        return Pixels(canvas.height * canvas.channels, unscaled=True, height=canvas.height)
