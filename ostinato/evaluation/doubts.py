"""What makes a test score doubtful: test rows that training has too, and a validation score that differs from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ostinato.data.examples import Examples
from ostinato.errors import OstinatoError
from ostinato.evaluation.intervals import measure
from ostinato.evaluation.predictions import metrics_of, predict_all
from ostinato.evaluation.report import Report
from ostinato.evaluation.validate import VALID_ROWS
from ostinato.metrics.contract import Measured
from ostinato.preprocessing.leaks import repeated
from ostinato.recipe.metrics import main_metric
from ostinato.run import rows as row_sources
from ostinato.run.run import Run
from ostinato.training.curve import Curve


def doubts(run: Run, report: Report, examples: Examples, curve: Curve, roots: Sequence[Path]) -> list[str]:
    """Notes on a report of the test split; empty where the training or validation rows are no longer there.

    Args:
        run: that was trained.
        report: of the examples.
        examples: the split that was measured.
        curve: of its training.
        roots: folders where the data are looked for.
    """
    if report.split != "test":
        return []
    try:
        train = row_sources.of_split(run, "train", None, roots)
        notes = repeated(train, examples, report.split, [f"inputs.{name}" for name in run.inputs])
        return notes + _disagreement(run, report, curve, roots)
    except OstinatoError:
        return []


def _disagreement(run: Run, report: Report, curve: Curve, roots: Sequence[Path]) -> list[str]:
    """A note for each output whose main metric differs between validation and test by more than chance.

        |valid - test| > sqrt(half(valid)^2 + half(test)^2)        half: of the 95 % interval

    Validation is predicted anew only where the value of its epoch lies outside the interval of the test.
    """
    kept = next((event for event in curve.epochs if event["epoch"] == curve.kept), {})
    doubtful = []
    for output, metrics in report.outputs.items():
        key = main_metric(run.outputs[output])
        value = kept.get(f"valid.{output}.{key}")
        if key in metrics and value is not None and not metrics[key].low <= value <= metrics[key].high:
            doubtful.append((output, key))
    if not doubtful:
        return []
    valid = row_sources.of_split(run, "valid", None, roots)
    some = valid.pick(np.arange(0, len(valid), -(-len(valid) // VALID_ROWS)))
    metrics = {output: {key: metrics_of(run, output)[key]} for output, key in doubtful}
    predictions = predict_all([run], some, metrics=metrics).outputs
    notes = []
    for output, key in doubtful:
        before, now = measure(metrics[output][key], predictions[output]), report.outputs[output][key]
        if abs(before.value - now.value) > (_half(before) ** 2 + _half(now) ** 2) ** 0.5:
            notes.append(
                f"{output}: valid and test disagree by more than chance, {key} {_shown(before)} and {_shown(now)}: the"
                " test rows may be of another time or source than those of training"
            )
    return notes


def _half(measured: Measured) -> float:
    return (measured.high - measured.low) / 2


def _shown(measured: Measured) -> str:
    return f"{measured.value:.4g} [{measured.low:.4g}, {measured.high:.4g}]"
