"""How good a run is: every metric with its interval, by group and by origin, with baselines on the same examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ostinato import alignments
from ostinato.data.examples import Examples
from ostinato.errors import DataError
from ostinato.evaluation import backtest as backtests
from ostinato.evaluation import baselines
from ostinato.evaluation.by_label import by_label
from ostinato.evaluation.confusion import Confusion, confusion
from ostinato.evaluation.measured import estimates, measured, measured_alone
from ostinato.evaluation.predictions import SplitPredictions, metrics_of, predict_all
from ostinato.evaluation.report import Group, Groups, Report
from ostinato.evaluation.swaps import swaps
from ostinato.metrics.contract import Predictions
from ostinato.modalities.contract import Labels
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe.metrics import main_metric
from ostinato.registry import Settings
from ostinato.run import rows as row_sources
from ostinato.run.fusion import Adapt
from ostinato.run.run import Run

MOST_LABELS = 50
"""A confusion matrix is for people to read."""


def evaluate(
    runs: Sequence[Run],
    *,
    split: str | None = None,
    data: Any = None,
    by: str | None = None,
    origins: int | None = None,
    swap: Path | None = None,
    search: Settings | None = None,
    adapt: Adapt | None = None,
    roots: Sequence[Path] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Every metric of a run, or of several as an ensemble, with 95 % intervals.

    Args:
        runs: one, or several of one task.
        split: valid or test; test by default where there is one.
        data: other rows with the same columns.
        by: a column of the data: every metric for each of its values too, and which of them is worst.
        origins: of forecasts: a backtest from so many origins (`evaluation.backtest`).
        swap: a file with two words a line: how often answers flip when they are swapped (`evaluation.swaps`).
        search: in place of the run's own.
        adapt: changes what generates the answers, such as a language model beside them.
        roots: folders of data sets.
        say: hears what happens.

    Errors:
        ConfigError: the runs do not fit together, or there is no such split.
        DataError: the rows cannot be read or measured.
    """
    run, split = runs[0], row_sources.default_split(runs[0], split, data)
    labelled = {
        recipe_columns.column_of(f"outputs.{name}", output): name
        for name, output in run.outputs.items()
        if alignments.of(output).labels_steps
    }
    if data is None:
        row_sources.refuse_other_rows(run, runs[1:], split)
    examples = row_sources.of_split(run, split, data, roots, extra=() if by is None else (by,))
    if origins is not None:
        backtests.check(run, examples, origins)
    predictions = predict_all(runs, examples, search=search, adapt=adapt, say=say)
    report = report_of(run, predictions, split)
    report = beside_baselines(run, report, predictions, examples, roots, say)
    if by is not None and by in labelled:
        report = report.noted([f"--by {by}: each of its labels is in the table of labels"])
    elif by is not None:
        report = replace(report, by=by_group(run, predictions, by, examples.column(by)))
    if origins is not None:
        report = replace(report, backtest=backtests.backtest(run, predictions, examples, origins))
    if swap is not None:
        report = replace(report, swaps=swaps(runs, examples, swap))
    return report if data is None else report.noted(row_sources.trained_on(runs, examples))


def report_of(run: Run, predictions: SplitPredictions, split: str) -> Report:
    """Every metric of some predictions, each label by itself, and the confusion matrix of one label per example.

    A metric that these examples cannot be measured by, such as spans where there is none, is left out with a note.

    Errors:
        DataError: an output cannot be measured by any metric.
    """
    outputs, notes, matrices, labels, mains = {}, [], {}, {}, {}
    for output, known in predictions.outputs.items():
        outputs[output], refused = measured(run, output, known)
        if refused and not outputs[output]:
            raise next(iter(refused.values()))
        notes += [f"{output}.{key} is left out: {why}" for key, why in refused.items()]
        notes += estimates(run, output, outputs[output])
        matrix = _confusion(run, output, known)
        if matrix is not None and len(matrix.labels) <= MOST_LABELS:
            matrices[output] = matrix
        if scores := by_label(run, output, known):
            labels[output] = scores
        if (key := main_metric(run.outputs[output])) in outputs[output]:
            mains[output] = key
    return Report(split, predictions.examples, outputs, notes, matrices, mains, labels)


def _confusion(run: Run, output: str, predictions: Predictions) -> Confusion | None:
    """The confusion matrix of an output with one label per example, or None."""
    modality, alignment = run.modalities[f"outputs.{output}"], alignments.of(run.outputs[output])
    spec = modality.spec
    if alignment is not alignments.summary or not isinstance(spec, Labels) or spec.multilabel:
        return None
    if predictions.predicted is None:
        return None
    texts = [[modality.write(raw) for raw in column] for column in (predictions.expected, predictions.predicted)]
    return confusion(*texts, modality.labels(np.arange(spec.size)) if spec.ordinal else ())


def beside_baselines(
    run: Run,
    report: Report,
    predictions: SplitPredictions,
    examples: Examples,
    roots: Sequence[Path],
    say: Callable[[str], None],
) -> Report:
    """The report with the baselines on the same examples and the run's difference from each, if the rows that the run
    was trained on are still there."""
    try:
        predicted = baselines.predictions(run, lambda: row_sources.of_split(run, "train", None, roots), examples)
        measured_baselines = baselines.measured_of(run, predicted)
    except DataError as why:
        say(f"no baseline is measured: {why}")
        return report
    compared = baselines.compared_with(run, predictions.outputs, predicted)
    return replace(report, baselines=measured_baselines, compared=compared)


def by_group(run: Run, predictions: SplitPredictions, column: str, groups: Sequence[Any]) -> Groups:
    """Every metric for the examples of each group alone, and which group is worst by each.

    Args:
        run: whose outputs they are.
        predictions: its predictions.
        column: what the examples are grouped by.
        groups: the group of each example of the split.
    """
    names = [str(group) for group in groups]
    sizes = Counter(names[number] for number in set(chain(*predictions.numbers.values())))
    parts: dict[str, Group] = {}
    notes: list[str] = []
    for name in sorted(sizes):
        outputs = {}
        for output, known in predictions.outputs.items():
            chosen = [at for at, number in enumerate(predictions.numbers[output]) if names[number] == name]
            if chosen:
                who = f"--by {column}: the {len(chosen)} row{'s' * (len(chosen) > 1)} of '{name}'"
                outputs[output] = measured_alone(run, output, known.pick(chosen), who, notes)
        parts[name] = Group(sizes[name], outputs)
    worst: dict[str, dict[str, str]] = {}
    for output in predictions.outputs:
        for key, metric in metrics_of(run, output).items():
            values = {
                name: group.outputs[output][key].value
                for name, group in parts.items()
                if key in group.outputs.get(output, {})
            }
            if values and metric.higher_is_better is not None:
                pick = min if metric.higher_is_better else max
                worst.setdefault(output, {})[key] = pick(values, key=lambda name: values[name])
    return Groups(column, parts, worst, notes)
