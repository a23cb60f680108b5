"""Pictures drawn without a screen, with errors of writing explained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from ostinato.files import explained
from ostinato.modalities.contract import Modality, Values
from ostinato.raw.numbers import short_decimals


@contextmanager
def picture(
    path: Path, size: tuple[float, float], panels: int = 1, rows: int = 1
) -> Iterator[tuple[Figure, Sequence[Axes]]]:
    """A figure of `size` inches with its panels in rows, written to `path` when the block ends well.

    A path without an ending is a PNG of just that name. An SVG names its titles as its own, for those who cannot see
    it, and has the same bytes each time.

    Errors:
        DataError: the picture cannot be written.
    """
    figure, axes = plt.subplots(rows, panels, figsize=size, layout="constrained", squeeze=False)
    try:
        yield figure, axes.ravel()
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            titles = [figure.get_suptitle(), *(title for part in figure.axes for title in _titles(part))]
            named = " ".join(" ".join(filter(None, titles)).replace(r"\$", "$").split())
            metadata = {"Title": named, "Date": None} if path.suffix == ".svg" else None
            with matplotlib.rc_context({"svg.hashsalt": "ostinato"}):
                figure.savefig(path, dpi=130, metadata=metadata, format=path.suffix[1:] or "png")
    finally:
        plt.close(figure)


def _titles(axes: Axes) -> list[str]:
    return [axes.get_title(where) for where in ("left", "center", "right")]


def drawable(text: str, most: int | None = None) -> str:
    """A text in which matplotlib sees no formula; a letter that the font lacks as its code point.

    Args:
        text: on one line or several.
        most: letters from which on it is cut.
    """
    known = get_font(findfont(FontProperties())).get_charmap()
    shown = "".join(letter if ord(letter) in known or letter == "\n" else f"U+{ord(letter):04X}" for letter in text)
    return (shown if most is None or len(shown) <= most else f"{shown[: most - 1]}\u2026").replace("$", r"\$")


def short_numbers(modality: Modality, text: str) -> str:
    """A value as its modality writes it, decimals of real numbers to five digits."""
    if not isinstance(modality.spec, Values):
        return text
    return short_decimals(text)
