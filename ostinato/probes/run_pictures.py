"""Pictures of a run that was trained and measured: learning curve, confusion matrices, forecasts beside the truth."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ostinato import alignments
from ostinato.data.examples import Examples
from ostinato.evaluation.confusion import Confusion
from ostinato.evaluation.predictions import SplitPredictions, metrics_of
from ostinato.evaluation.report import Report
from ostinato.metrics.contract import Predictions
from ostinato.probes.pictures import drawable, picture
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe.metrics import main_metric
from ostinato.run.run import Run
from ostinato.training.curve import Curve

COUNTED = 20
"""Labels up to which a confusion matrix has room for its counts."""
BAND = 0.05, 0.95
LONGEST_LABEL = 40
"""Letters beside an axis of a learning curve, which is 3.6 inches high."""
LETTERS = 24
"""Of a label on an axis."""
PAST = 2
"""Horizons of the past that are drawn before a forecast."""
Drawing = Callable[[Path], None]
"""Writes a picture, in the format of the path's ending."""
TRAINED, HELD_OUT, TRUTH = "tab:gray", "tab:blue", "black"


def draw(
    run: Run, report: Report, curve: Curve | None, predictions: SplitPredictions, examples: Examples
) -> list[Path]:
    """Writes the pictures into the run folder, and gives their paths.

    Args:
        run: that was trained, with its folder.
        report: of the examples.
        curve: of its training; None: there is none.
        predictions: for the examples.
        examples: that it was measured on.

    Errors:
        DataError: a picture cannot be written.
    """
    drawings = {**learning_curve(run, curve), **confusions(report), **forecasts(run, predictions, examples)}
    return write(run, drawings)


def write(run: Run, drawings: Mapping[str, Drawing]) -> list[Path]:
    """Writes pictures into the run folder; their paths."""
    paths = []
    for name, drawing in drawings.items():
        plain = re.sub(r"[^\w.-]+", "_", name)
        paths.append(Path(run.folder or ".") / f"{plain}.png")
        drawing(paths[-1])
    return paths


def learning_curve(run: Run, curve: Curve | None) -> dict[str, Drawing]:
    """The losses and main metrics by epoch, where several were validated."""
    if curve is None or len(curve.validated()) < 2:
        return {}
    return {"learning_curve": partial(_learning_curve, curve=curve, shown=_shown(run))}


def confusions(report: Report) -> dict[str, Drawing]:
    """The confusion matrices of a report."""
    return {
        f"confusion_{output}": partial(_confusion, output=output, matrix=matrix, report=report)
        for output, matrix in report.confusion.items()
    }


def forecasts(run: Run, predictions: SplitPredictions, examples: Examples) -> dict[str, Drawing]:
    """The worst, the median and the best forecast of each output that is one."""
    return {
        f"forecast_{output}": partial(
            _forecasts,
            run=run,
            output=output,
            known=known,
            numbers=predictions.numbers[output],
            examples=examples,
        )
        for output, known in predictions.outputs.items()
        if alignments.of(run.outputs[output]).windows and known.predicted is not None
    }


def _finish(axes: Axes, title: str, across: str, up: str) -> None:
    axes.set_title(drawable(title), fontsize=9, loc="left", wrap=True)
    axes.set_xlabel(drawable(across))
    axes.set_ylabel(drawable(up))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _shown(run: Run) -> dict[str, str]:
    """The main metric of each output by its name in the history, with its unit."""
    shown = {}
    for output, settings in run.outputs.items():
        key = main_metric(settings)
        if key is not None:
            unit = metrics_of(run, output)[key].unit
            shown[f"valid.{output}.{key}"] = f"{output}: {key}{f' ({unit})' if unit else ''}"
    return shown


def _learning_curve(path: Path, curve: Curve, shown: Mapping[str, str]) -> None:
    known = curve.validated()
    epochs = [event["epoch"] for event in known]
    metrics = {
        called: [event.get(name) for event in known]
        for name, called in shown.items()
        if any(event.get(name) is not None for event in known)
    }
    with picture(path, (5.2 * (1 + bool(metrics)), 3.6), 1 + bool(metrics)) as (_, panels):
        trained = [event for event in curve.epochs if event.get("train.loss") is not None]
        losses = [event["train.loss"] for event in trained]
        panels[0].plot([event["epoch"] for event in trained], losses, color=TRAINED, marker=".", label="training")
        held_out = [event["valid.loss"] for event in known]
        panels[0].plot(epochs, held_out, color=HELD_OUT, marker=".", label="validation")
        _finish(panels[0], _trend(curve), "epoch", "loss per target")
        for name, values in metrics.items():
            panels[1].plot(epochs, [np.nan if value is None else value for value in values], marker=".", label=name)
        for axes in panels:
            axes.axvline(curve.kept, color="0.7", linestyle=":", label=f"weights kept (epoch {curve.kept})")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend(frameon=False, fontsize=8)
        if metrics:
            at = next((number for number, epoch in enumerate(epochs) if epoch == curve.kept), -1)
            reached = ", ".join(
                f"{name} {values[at]:.4g}" for name, values in metrics.items() if values[at] is not None
            )
            _finish(panels[1], f"Validation of the weights kept: {reached}", "epoch", _axis_of(metrics))


def _axis_of(metrics: Iterable[str]) -> str:
    """What an axis of several metrics is called: by those that all outputs have; the legend names outputs."""
    called = " / ".join(dict.fromkeys(name.rpartition(": ")[2] for name in metrics))
    return called if len(called) <= LONGEST_LABEL else "metrics"


def _trend(curve: Curve) -> str:
    """What the losses show, in a sentence."""
    known = curve.validated()
    if curve.falling():
        return f"The validation loss was still falling at the end ({known[-1]['valid.loss']:.3g})"
    if curve.unfinished():
        return "Training ended with its updates, before all epochs"
    least = min(known, key=lambda event: event["valid.loss"])
    when = f"at epoch {least['epoch']}" if least["epoch"] else "before the first update"
    after = "rose after it: overfitting" if curve.overfitted() else "settled"
    return f"The validation loss was least {when} ({least['valid.loss']:.3g}) and {after}"


def _confusion(path: Path, output: str, matrix: Confusion, report: Report) -> None:
    counts, labels = np.array(matrix.counts), matrix.labels
    size = len(labels)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    wrong = counts * (1 - np.eye(size, dtype=counts.dtype))
    title = f"{output}: {int(np.trace(counts)):,} of {int(counts.sum()):,} rows of {report.split} are right"
    if wrong.any():
        true, predicted = np.unravel_index(wrong.argmax(), wrong.shape)
        title += f"; most often {labels[true]} is taken for {labels[predicted]} ({int(wrong.max()):,})"
    inches = float(np.clip(2.4 + 0.42 * size, 4.2, 14))
    with picture(path, (inches + 1, inches)) as (figure, (axes, *_)):
        image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
        named = [drawable(label, LETTERS) for label in labels]
        axes.set_xticks(range(size), named, rotation=0 if size <= 4 and max(map(len, named)) <= 10 else 90)
        axes.set_yticks(range(size), named)
        if size <= COUNTED:
            for (row, column), count in np.ndenumerate(counts):
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, f"{int(count):,}", ha="center", va="center", color=colour, fontsize=8)
        _finish(axes, title, "predicted", "true")
        figure.colorbar(image, ax=axes, label="share of the rows of a true label", fraction=0.046)


def _forecasts(
    path: Path, run: Run, output: str, known: Predictions, numbers: Sequence[int], examples: Examples
) -> None:
    """The windows of the largest, the median and the smallest mean absolute error."""
    pairs = zip(known.predicted or (), known.expected)
    errors = np.array([_error(_first(answer) - _first(truth)) for answer, truth in pairs])
    order = np.argsort(errors, kind="stable")
    order = order[np.isfinite(errors[order])]
    if not len(order):
        return
    chosen = {"Worst": order[-1], "Median": order[len(order) // 2], "Best": order[0]}
    past = _past(run, output, {int(numbers[at]) for at in chosen.values()}, examples)
    column = recipe_columns.columns_of(f"outputs.{output}", run.outputs[output])[0]
    with picture(path, (13, 4.1), 3) as (figure, panels):
        for axes, (name, at) in zip(panels, chosen.items()):
            before, truth = past[int(numbers[at])], _first(known.expected[at])
            steps = np.arange(1, len(truth) + 1)
            axes.plot(np.arange(-len(before) + 1, 1), before, color=TRUTH, linewidth=1)
            axes.plot(steps, truth, color=TRUTH, linewidth=1, label="truth")
            axes.plot(steps, _first(known.predicted[at]), color=HELD_OUT, label="forecast")
            if known.quantiles is not None:
                low, high = (_first(known.quantiles[at][level]) for level in BAND)
                axes.fill_between(steps, low, high, color=HELD_OUT, alpha=0.2, label="90 % interval", linewidth=0)
            axes.axvline(0.5, color="0.7", linestyle=":")
            where = examples.place(int(numbers[at])).rpartition(" series ")[2] or examples.place(int(numbers[at]))
            title = f"{name} of {len(order):,} windows: mean absolute error {errors[at]:.3g}\n{where}"
            _finish(axes, title, "steps after the last known one", column)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)


def _error(differences: np.ndarray) -> float:
    """The mean absolute one; NaN where none is known."""
    known = np.isfinite(differences)
    return float(np.abs(differences[known]).mean()) if known.any() else np.nan


def _past(run: Run, output: str, numbers: set[int], examples: Examples) -> Mapping[int, np.ndarray]:
    """The last steps that each of these windows reads, of the first channel."""
    settings = run.outputs[output]
    rows = islice(enumerate(examples.raw()), max(numbers) + 1)
    shown = slice(-min(settings.lookback, PAST * settings.horizon), None)
    return {
        number: _first(run.raw(row, f"inputs.{settings.of}"))[: settings.lookback][shown]
        for number, row in rows
        if number in numbers
    }


def _first(values: Any) -> np.ndarray:
    """The first channel of a series, NaN where a number is missing."""
    array = np.asarray(values, dtype=np.float64)
    return array if array.ndim == 1 else array[:, 0]
