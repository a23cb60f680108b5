"""Baselines on the same rows: majority class, n-gram logistic regression, mean, persistence, seasonal naive."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ostinato import alignments
from ostinato.data.examples import Examples
from ostinato.data.split import share_of
from ostinato.errors import ConfigError, DataError
from ostinato.evaluation import kept_baselines
from ostinato.evaluation.intervals import Compared, measure, paired
from ostinato.evaluation.label_baseline import LabelBaseline
from ostinato.evaluation.predictions import metrics_of
from ostinato.evaluation.report import Baselines, Metrics
from ostinato.metrics.contract import Predictions
from ostinato.modalities.contract import Labels, Values
from ostinato.model.columns import traits_of
from ostinato.recipe.metrics import main_metric
from ostinato.run.run import Row, Run

MOST_ROWS = 50_000
"""Training rows that a baseline is fitted on: more change a linear model of n-grams little."""
MOST_WEIGHTS = 10_000_000
"""Features times labels of a logistic regression, of which its solver holds some 25 copies of 8 bytes each: 2 GB."""

Answers = dict[str, list[Any]]
"""By the baseline's name, an answer for each row."""
Fitted = Callable[[Run, Sequence[Row]], Answers]
"""From test rows to answers."""
Fit = Callable[[Run, str, Sequence[Row], str], Fitted]
"""From training rows, and what names tell where these are not all, to what answers test rows."""


def baselines(run: Run, train: Callable[[], Examples], test: Examples) -> Baselines:
    """The baselines of each output, each with the output's metrics that need predictions alone.

    Args:
        run: whose outputs are predicted.
        train: opens the examples that the run was trained on; called only where a baseline is fitted.
        test: the examples to predict.

    Errors:
        DataError: the training rows cannot be read, or a metric cannot be measured; which.
    """
    return measured_of(run, predictions(run, train, test))


def measured_of(run: Run, predicted: Mapping[str, Mapping[str, Predictions]]) -> Baselines:
    """The metrics of what baselines predict.

    Errors:
        DataError: a metric cannot be measured; which.
    """
    measured: Baselines = {}
    for output, by_name in predicted.items():
        try:
            measured[output] = {name: _measured(run, output, known) for name, known in by_name.items()}
        except DataError as why:
            raise DataError(f"that of outputs.{output} cannot be measured: {why}") from None
    return measured


def compared_with(
    run: Run, own: Mapping[str, Predictions], predicted: Mapping[str, Mapping[str, Predictions]]
) -> dict[str, dict[str, Compared]]:
    """How far a run is from each baseline in the main metric of an output, on the same examples.

    Args:
        run: that is compared.
        own: its predictions by output.
        predicted: those of the baselines by output and name.
    """
    compared: dict[str, dict[str, Compared]] = {}
    for output, by_name in predicted.items():
        key = main_metric(run.outputs[output])
        metric = metrics_of(run, output).get(key or "")
        for name, known in by_name.items():
            if metric is None or metric.lacks(known) or metric.lacks(own[output]):
                continue
            try:
                compared.setdefault(output, {})[name] = paired(metric, known, own[output])
            except DataError:
                continue  # not the same examples: what one of them leaves out
    return compared


def predictions(run: Run, train: Callable[[], Examples], test: Examples) -> dict[str, dict[str, Predictions]]:
    """What baselines predict: for each output that has some, by the baseline's name, in the order of `predict_all`.

    - a label of the row: the majority class, and a logistic regression on what each input's modality gives as features
      (tf-idf of n-grams, labels one-hot, numbers scaled); both are kept in the run folder;
    - a number: the training rows' mean;
    - a series: its last value (persistence), and its last season (seasonal naive), repeated;
    - a label per step: the majority class of the step's symbol in training, that of all where the symbol is new.

    Where there are more than MOST_ROWS training rows so many are drawn by the run's seed, and where features times
    labels are more than MOST_WEIGHTS only the commonest n-grams are read; the name of a baseline then tells it.

    Args:
        run, train, test: as `baselines` takes them.

    Errors:
        DataError: the training rows cannot be read, or a baseline cannot be fitted; which.
    """
    if test.windows is not None:
        return {output: _naive(output, test) for output in run.outputs}
    methods = {output: method for output in run.outputs if (method := _method(run, output)) is not None}
    if not methods:
        return {}
    limits = {"rows": MOST_ROWS, "weights": MOST_WEIGHTS}
    kept = kept_baselines.load(run, limits)
    fitted: dict[str, Fitted] = {output: baseline for output, baseline in kept.items() if output in methods}
    if methods.keys() - fitted.keys():
        try:
            examples = train()
            rows, cut = _training_rows(run, examples)
        except (ConfigError, DataError) as why:
            raise DataError(f"the training rows cannot be read: {why}") from None
        for output in methods.keys() - fitted.keys():
            known = [row for row in rows if row[f"outputs.{output}"] is not None and _is_whole(run, row)]
            try:
                if known:
                    fitted[output] = methods[output](run, output, known, cut)
            except DataError as why:
                raise DataError(f"that of outputs.{output} cannot be fitted: {why}") from None
        labels = {output: baseline for output, baseline in fitted.items() if isinstance(baseline, LabelBaseline)}
        kept_baselines.keep(run, examples.digest(), limits, labels)
    test_rows = list(test.raw())
    predicted: dict[str, dict[str, Predictions]] = {}
    for output in (output for output in methods if output in fitted):
        place = f"outputs.{output}"
        asked = [row for row in test_rows if row[place] is not None and run.lacks(row) is None]
        if not asked:
            continue
        expected = [row[place] for row in asked]
        answers = fitted[output](run, asked)
        predicted[output] = {name: Predictions(answer, expected) for name, answer in answers.items()}
    return {output: by_name for output, by_name in predicted.items() if by_name}


def _method(run: Run, output: str) -> Fit | None:
    """What can predict the output, by what one of its steps is and how it lines up with time."""
    spec, alignment = run.modalities[f"outputs.{output}"].spec, alignments.of(run.outputs[output])
    if isinstance(spec, Labels) and not spec.multilabel:
        if alignment is alignments.summary:
            return _labels
        return _label_of_symbol if alignment.labels_steps else None
    return _mean if isinstance(spec, Values) and alignment is alignments.summary else None


def _measured(run: Run, output: str, predictions: Predictions) -> Metrics:
    metrics = metrics_of(run, output).items()
    return {key: measure(metric, predictions) for key, metric in metrics if not metric.lacks(predictions)}


def _training_rows(run: Run, examples: Examples) -> tuple[list[Row], str]:
    """The rows that baselines are fitted on, and what their names tell where these are not all."""
    number = len(examples)
    if number <= MOST_ROWS:
        return list(examples.raw()), ""
    # The first ones would not do: files are often sorted by label or by date.
    numbers = share_of(np.arange(number), MOST_ROWS / number, seed=run.recipe.settings.training.seed)
    return list(examples.pick(numbers).raw()), f", {len(numbers):,} of {number:,} rows"


def _is_whole(run: Run, row: Row) -> bool:
    """Whether a row has every input, as each row that is trained on has."""
    cells = (row[f"inputs.{name}"] for name in run.inputs)
    return all(cell is not None and (not isinstance(cell, (str, list, np.ndarray)) or len(cell) > 0) for cell in cells)


def _naive(output: str, examples: Examples) -> dict[str, Predictions]:
    """Persistence and seasonal naive."""
    place, windows, numbers = f"outputs.{output}", examples.windows, np.arange(len(examples))
    seasons = {"persistence": 1}
    if windows.season > 1:
        seasons[f"seasonal naive, {windows.season} steps"] = windows.season
    expected = [row[place] for row in examples.raw()]
    scales, order = examples.scales(place, numbers), examples.order(numbers)
    return {
        name: Predictions(windows.naive(place, examples.rows, season), expected, scales=scales, order=order)
        for name, season in seasons.items()
    }


def _labels(run: Run, output: str, known: Sequence[Row], cut: str) -> Fitted:
    """The majority class, and a logistic regression where some input has features."""
    return LabelBaseline.fit(run, output, known, MOST_WEIGHTS, cut)


def _mean(run: Run, output: str, known: Sequence[Row], cut: str) -> Fitted:
    mean = float(np.mean([row[f"outputs.{output}"] for row in known]))

    def answers(_: Run, asked: Sequence[Row]) -> Answers:
        return {f"mean{cut}": [mean] * len(asked)}

    return answers


def _label_of_symbol(run: Run, output: str, known: Sequence[Row], cut: str) -> Fitted:
    name = run.graph.reads[output][0]
    source = f"inputs.{name}"
    features = run.modalities[source].features([])
    if not traits_of(run.inputs[name]).by_words and (features is None or features.kind != "symbols"):
        return _nothing
    counts: dict[str, Counter] = defaultdict(Counter)
    for row in known:
        for symbol, label in zip(row[source] or (), row[f"outputs.{output}"]):
            if label is not None:
                counts[str(symbol)][label] += 1
    if not counts:
        return _nothing
    (majority, _), *_ = sum(counts.values(), Counter()).most_common(1)
    best = {symbol: labels.most_common(1)[0][0] for symbol, labels in counts.items()}

    def answers(_: Run, asked: Sequence[Row]) -> Answers:
        labels = [[best.get(str(symbol), majority) for symbol in row[source] or ()] for row in asked]
        return {f"majority class of the symbol{cut}": labels}

    return answers


def _nothing(_: Run, asked: Sequence[Row]) -> Answers:
    return {}
