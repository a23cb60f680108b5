"""Attention maps: what each generated symbol attended to, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ostinato.errors import ConfigError, DataError
from ostinato.probes.pictures import drawable, picture
from ostinato.run.predict import Answer

MOST_LETTERS = 24
"""Of a label; longer labels would leave no room for the map."""
PANELS = 8
"""Pictures beside each other."""


def draw(answer: Answer, path: str | Path, title: str = "") -> Path:
    """Writes the map of an answer: a row per generated symbol, a column per source step, dark where the weight is high;
    where the source is a picture, the picture for each symbol, light where the weight is high.

    Errors:
        ConfigError: the model has no attention.
        DataError: the input has no steps; the picture cannot be written.
    """
    if answer.attention is None:
        raise ConfigError(
            "this model has no attention, so there is nothing to draw; train with head.decoder.attention set"
        )
    if not answer.source:
        raise DataError("this input is empty, so there is nothing to draw; draw another example")
    weights = answer.attention.numpy()[: len(answer.generated), : len(answer.source) * answer.grid_height]
    if answer.picture is not None:
        return _over(
            answer.picture, weights.reshape(len(weights), -1, answer.grid_height), answer.generated, path, title
        )
    source, output = [_shown(word) for word in answer.source], [_shown(word) for word in answer.generated]
    turned = max(map(len, source)) > 2
    # Inches: a cell and the frame, and the letters of the longest label.
    height = max(2.2, 0.27 * len(weights) + 1.1 + turned * 0.09 * max(map(len, source)))
    width = max(2.2, 0.27 * weights.shape[1] + 1.1 + 0.09 * max(map(len, output)))
    path = Path(path)
    with picture(path, (min(width, 40), min(height, 40))) as (figure, (axes,)):
        image = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(source)), source, rotation=90 if turned else 0)
        axes.set_yticks(range(len(output)), output)
        axes.set_xlabel("source")
        axes.set_ylabel("output")
        if title:
            axes.set_title(drawable(title), fontsize=10, wrap=True)
        axes.tick_params(length=0, labelsize=9)
        for side in axes.spines.values():
            side.set_visible(False)
        figure.colorbar(image, ax=axes, label="attention weight", shrink=0.8)
    return path


def _over(shown: np.ndarray, maps: np.ndarray, words: Sequence[str], path: str | Path, title: str) -> Path:
    """The picture (H, W, 3) under each of the maps (symbols, columns, rows)."""
    across = min(len(maps), PANELS)
    down = -(-len(maps) // across)
    height, width = shown.shape[:2]
    size = (1.5 * across * min(4.0, max(0.7, width / height)), 1.8 * down + 0.4 * bool(title))
    with picture(Path(path), size, across, down) as (figure, panels):
        for axes in panels:
            axes.set_axis_off()
        for axes, weights, word in zip(panels, maps, words):
            axes.imshow(shown, extent=(0, width, height, 0), interpolation="nearest")
            dark = 0.85 * (1 - weights.T / max(1e-6, float(weights.max())))
            axes.imshow(np.zeros_like(dark), cmap="gray", vmin=0, vmax=1, alpha=dark, extent=(0, width, height, 0))
            axes.set_title(_shown(word), fontsize=9)
        if title:
            figure.suptitle(_shown(title), fontsize=10)
    return Path(path)


def draw_first(predicted: Mapping[str, Sequence[Answer]], path: Path) -> bool:
    """Writes the map of the first output whose best answer attended to something; whether there is one."""
    best = ((output, listed[0]) for output, listed in predicted.items())
    shown = next(((answer, output) for output, answer in best if answer.attention is not None and answer.source), None)
    if shown is not None:
        draw(shown[0], path, shown[1])
    return shown is not None


def _shown(word: str) -> str:
    """The word, spaces made visible."""
    return drawable(word.replace(" ", "\u2423"), MOST_LETTERS)
