"""Summary vectors of whole inputs, their nearest neighbours, and a picture in two dimensions."""

from __future__ import annotations

import io
import itertools
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars
import torch
from matplotlib import colormaps

from ostinato import files
from ostinato.data.cache import to_steps
from ostinato.errors import ConfigError, DataError, closest
from ostinato.probes.pictures import drawable, picture
from ostinato.recipe import columns as recipe_columns
from ostinato.run.predict import BATCH_STEPS
from ostinato.run.predictions import named
from ostinato.run.run import Place, Row, Run

BATCH_ROWS = 64
CHUNK_ROWS = 1024
"""Rows whose neighbours are computed at once."""
MOST_WORDS = 40
"""More points leave no room for their texts."""
MOST_COLOURS = 10
MOST_LETTERS = 24


@dataclass(frozen=True, eq=False)
class Embedding:
    """Summary vectors of rows.

    Args:
        input: the input whose encoder computed them.
        vectors: (rows, size) float32.
        texts: the input of each row.
        outputs: the values of each output that came with the rows.
        nearest: the nearest other rows of each row.
        picture: where it was drawn, or None.
    """

    input: str
    vectors: np.ndarray
    texts: list[str]
    outputs: dict[str, list[str]]
    nearest: list[list[Neighbour]]
    picture: Path | None

    def to_json(self) -> dict[str, Any]:
        """`input`, `size`, `rows` and, where one was drawn, `picture`; rows are counted from 1."""
        rows = [
            {
                "text": text,
                "outputs": {output: values[at] for output, values in self.outputs.items()},
                "vector": self.vectors[at].tolist(),
                "nearest": [
                    {"row": near.row + 1, "similarity": near.similarity, "text": self.texts[near.row]}
                    for near in self.nearest[at]
                ],
            }
            for at, text in enumerate(self.texts)
        ]
        picture = {} if self.picture is None else {"picture": str(self.picture)}
        return {"input": self.input, "size": self.vectors.shape[1], "rows": rows, **picture}


class Neighbour(NamedTuple):
    """A row near another: its number, and the cosine of the angle between the two."""

    row: int
    similarity: float


def encoded_input(run: Run, name: str | None) -> str:
    """The input of this name; the only one where none is named.

    Errors:
        ConfigError: there is no such input, or several and none is named.
    """
    scored = {name for names in run.graph.scored.values() for name in names}
    vectors = [name for name in run.inputs if name not in scored] or list(run.inputs)
    if name is None:
        if len(vectors) > 1:
            raise ConfigError(
                f"this run reads several inputs, {', '.join(vectors)}; name the one whose encoder is to embed, such as"
                f" --of {shlex.quote(vectors[0])} (in Python of={vectors[0]!r})"
            )
        return vectors[0]
    if name not in run.inputs:
        hint = closest(name, vectors)
        raise ConfigError(f"this run has no input '{name}' to embed{hint}; inputs: {', '.join(vectors)}")
    return name


def summaries(run: Run, rows: Sequence[Row], name: str, place: Place = lambda row: f"row {row}") -> np.ndarray:
    """The summary vectors of one input, in the order of the rows.

    Shapes:
        (rows, summary_size) float32

    Errors:
        ConfigError: the encoder has no summary.
        DataError: a row lacks the input, or it cannot be encoded; or there is no row.
    """
    size = run.graph.encoder(name).summary_size
    if size is None:
        raise ConfigError(
            f"inputs.{name}.encoder: {run.inputs[name].encoder.type} has no summary vector, only steps;"
            " train with an encoder that has one"
        )
    if not rows:
        raise DataError("there are no rows to embed; give at least one")
    column = run.encoded(rows, f"inputs.{name}", place)
    vectors = np.zeros((len(rows), size), dtype=np.float32)
    order = sorted(range(len(rows)), key=lambda row: -len(column[row]))
    while order:
        count = max(1, min(BATCH_ROWS, BATCH_STEPS // max(1, len(column[order[0]]))))
        now, order = order[:count], order[count:]
        lengths = np.array([len(column[row]) for row in now], dtype=np.int64)
        steps = to_steps(np.concatenate([column[row] for row in now]), lengths).to(run.device)
        with torch.inference_mode():
            vectors[now] = run.graph.encode({name: steps})[name].summary.float().cpu().numpy()
    return vectors


def nearest(vectors: np.ndarray, number: int) -> list[list[Neighbour]]:
    """The nearest other rows of each row by cosine, nearest first; of equally near ones the earlier first.

    cos(a, b) = a . b / (|a| |b|)      0 where a or b is the zero vector
    """
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    unit = vectors / np.where(lengths > 0, lengths, 1)
    neighbours: list[list[Neighbour]] = []
    for start in range(0, len(unit), CHUNK_ROWS):
        cosines = unit[start : start + CHUNK_ROWS] @ unit.T
        own = np.arange(len(cosines))
        cosines[own, start + own] = -np.inf
        order = np.argsort(-cosines, axis=1, kind="stable")[:, : min(number, len(unit) - 1)]
        neighbours += [[Neighbour(int(row), float(cosines[at, row])) for row in near] for at, near in enumerate(order)]
    return neighbours


def plane(vectors: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """The rows on the two directions in which they vary most, and the share of their variance along each.

        C = (X - mean)^T (X - mean) = V diag(l) V^T,    points = (X - mean) V[:, :2],    shares = l[:2] / sum(l)

    Each direction is turned so that its largest component is positive: the picture is the same on every machine.

    Shapes:
        points (rows, 2) float64

    Source: Pearson 1901 (Philosophical Magazine 2:559).
    """
    centred = vectors.astype(np.float64) - vectors.mean(0, dtype=np.float64)
    spread, directions = np.linalg.eigh(centred.T @ centred)
    top = directions[:, ::-1][:, :2]
    top = top * np.sign(top[np.abs(top).argmax(0), range(top.shape[1])])
    points = centred @ top
    spread = np.maximum(spread, 0)  # Rounding leaves a little below 0 where nothing varies.
    shares = spread[::-1][:2] / max(float(spread.sum()), 1e-300)
    missing = 2 - points.shape[1]
    return np.pad(points, ((0, 0), (0, missing))), [*shares.tolist(), *[0.0] * missing]


def draw(
    vectors: np.ndarray, texts: Sequence[str], path: Path, *, colours: Sequence[Any] | None = None, name: str = ""
) -> Path:
    """Writes the rows as points in a plane; a few with their texts, coloured by a column's labels or numbers.

    Args:
        vectors: (rows, size), by position.
        texts: a row each, by position.
        path: the picture, by position.
        colours: of each row a label, a number, or None where it has neither.
        name: of that column.

    Errors:
        DataError: the picture cannot be written.
    """
    points, shares = plane(vectors)
    with picture(path, (7.2, 5.4)) as (figure, (axes,)):
        size = 26 if len(points) <= 500 else 7
        if colours is None:
            axes.scatter(*points.T, s=size, color="tab:blue", linewidths=0)
        elif all(isinstance(raw, (int, float)) and not isinstance(raw, bool) for raw in colours if raw is not None):
            numbers = [np.nan if raw is None else float(raw) for raw in colours]
            image = axes.scatter(*points.T, s=size, c=numbers, cmap="viridis", linewidths=0, plotnonfinite=False)
            figure.colorbar(image, ax=axes, label=_shown(name), shrink=0.8)
        else:
            _by_label(axes, points, [None if raw is None else str(raw) for raw in colours], size, name)
        if len(points) <= MOST_WORDS:
            for point, text in zip(points, texts):
                axes.annotate(_shown(text), point, xytext=(4, 3), textcoords="offset points", fontsize=7, color="0.25")
        axes.set_xlabel(f"first direction, {100 * shares[0]:.0f} % of the variance")
        axes.set_ylabel(f"second direction, {100 * shares[1]:.0f} %")
        axes.margins(0.08)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    return path


def embedding(
    run: Run,
    rows: Sequence[Row],
    name: str,
    outputs: Sequence[str],
    place: Place,
    *,
    cells: Sequence[Row] | None,
    neighbours: int,
    picture_to: Path | None,
) -> Embedding:
    """Summary vectors with texts and neighbours, and a picture if one is wanted; errors as in `summaries` and `draw`.

    Args:
        run: whose encoder embeds.
        rows: raw values by column.
        name: the input whose encoder embeds.
        outputs: places of outputs whose values come with the rows.
        place: where a row is, for messages.
        cells: of each row what its table has, by column; None: not known.
        neighbours: how many of each row.
        picture_to: where the picture is written, coloured by the first output that is a label or a number.
    """
    vectors = summaries(run, rows, name, place)
    texts = _written(run, f"inputs.{name}", rows, cells)
    near = nearest(vectors, neighbours) if neighbours else [[] for _ in rows]
    if picture_to is not None:
        by = next((output for output in outputs if not run.modalities[output].is_sequence), None)
        colours = None if by is None else [_coloured(run.raw(row, by)) for row in rows]
        draw(vectors, texts, picture_to, colours=colours, name="" if by is None else by.partition(".")[2])
    by_output = {output.partition(".")[2]: _written(run, output, rows, cells) for output in outputs}
    return Embedding(name, vectors, texts, by_output, near, picture_to)


def _written(run: Run, place: str, rows: Sequence[Row], cells: Sequence[Row] | None) -> list[str]:
    """The raw values of one column as text, of a file its name; empty where one is missing."""
    write, texts = run.modalities[place].write, []
    column = recipe_columns.column_of(place, dict(recipe_columns.places(run.recipe.settings))[place])
    for row, known in zip(rows, itertools.repeat({}) if cells is None else cells):
        raw = run.raw(row, place)
        shown = named(raw, known.get(column))
        texts.append("" if raw is None else write(raw) if shown is raw else shown)
    return texts


def _coloured(raw: Any) -> Any:
    return raw if raw is None or isinstance(raw, (int, float, str)) else str(raw)


def write_table(embedding: Embedding, path: Path | None = None) -> str:
    """Vectors as csv text, or written to a csv or parquet file: the input, the outputs, then a column per component.

    Errors:
        ConfigError: the path has another ending.
    """
    components = [f"summary_{number}" for number in range(1, embedding.vectors.shape[1] + 1)]
    columns = {embedding.input: embedding.texts, **embedding.outputs}
    vectors = polars.DataFrame(embedding.vectors, schema=components, orient="row")
    frame = polars.concat([polars.DataFrame(columns), vectors], how="horizontal")
    if path is None:
        return frame.write_csv()
    buffer = io.BytesIO()
    if path.suffix == ".parquet":
        frame.write_parquet(buffer)
    elif path.suffix == ".csv":
        frame.write_csv(buffer)
    else:
        raise ConfigError(f"--output {path}: give a name that ends in .csv or .parquet")
    files.write(path, buffer.getvalue())
    return str(path)


def _by_label(axes: Any, points: np.ndarray, labels: Sequence[str | None], size: int, name: str) -> None:
    """A colour for each of the commonest labels, grey for the others."""
    counts: dict[str, int] = {}
    for label in labels:
        if label is not None:
            counts[label] = counts.get(label, 0) + 1
    shown = sorted(sorted(counts), key=lambda label: -counts[label])[:MOST_COLOURS]
    rest = np.array([label not in shown for label in labels])
    if rest.any():
        axes.scatter(*points[rest].T, s=size, color="0.75", linewidths=0, label="others")
    palette = colormaps["tab10"].colors
    for colour, label in zip(palette, sorted(shown)):
        here = np.array([other == label for other in labels])
        axes.scatter(*points[here].T, s=size, color=colour, linewidths=0, label=_shown(label))
    axes.legend(
        title=_shown(name),
        frameon=False,
        fontsize=8,
        title_fontsize=8,
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
    )


def _shown(text: str) -> str:
    """One line, cut where it is long."""
    return drawable(" ".join(text.split()), MOST_LETTERS)
