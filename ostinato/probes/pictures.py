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

from ostinato.files import explained


@contextmanager
def picture(path: Path, size: tuple[float, float], panels: int = 1) -> Iterator[tuple[Figure, Sequence[Axes]]]:
    """A figure of `size` inches with its panels side by side, written to `path` when the block ends without an error.

    Errors:
        DataError: the picture cannot be written.
    """
    figure, axes = plt.subplots(1, panels, figsize=size, layout="constrained", squeeze=False)
    try:
        yield figure, axes[0]
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=130)
    finally:
        plt.close(figure)
