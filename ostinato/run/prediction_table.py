"""Predictions as rows of a table: what was read, the answers, their probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ostinato import alignments
from ostinato.errors import DataError
from ostinato.modalities.contract import Symbols
from ostinato.recipe import columns as recipe_columns
from ostinato.run.entities import labelled
from ostinato.run.predict import Answer, labels_of
from ostinato.run.predictions import Prediction
from ostinato.run.run import Run


def records(
    run: Run,
    predictions: Iterable[Prediction],
    *,
    probabilities: bool = False,
    cells: bool = True,
    fields: bool = False,
) -> Iterator[dict[str, Any]]:
    """One row per prediction; of a forecast one per series and step.

    The columns of what was read come first, then for each output, here `topic`:

        topic_predicted          the answer, of the type that training rows had
        topic_probability        of a single label: its probability
        topic_log_probability    of what a search generated: its log-probability, natural logarithm
        tags_words               of labels of words: the words
        tags_entities            of labels that mark spans: a list of {text, start, end, label, score}
        topic_quantile_0.05 ...  of a number or a forecast with a distribution: its quantiles
        topic_probability_LABEL  of every label, in the order of training; with `probabilities`

    A forecast has in place of what was read the columns of the series' name and of time that the data name, or `step`,
    counted from 1; of a series of several channels each has columns of its own.

    Args:
        run: that predicted, the first of an ensemble.
        predictions: with the cells of their rows where these are wanted.
        probabilities: whether every label has a column.
        cells: whether the columns of what was read come too.
        fields: whether an answer that is a list is written as a field of text, in the form that training read.

    Errors:
        DataError: what was read has a column of the same name.
    """
    for prediction in predictions:
        if prediction.dated:
            yield from _steps(run, prediction)
            continue
        given = {} if not cells else prediction.cells or prediction.named_inputs
        columns: dict[str, Any] = {}
        for output, answer in prediction.best.items():
            columns |= {f"{output}_{name}": cell for name, cell in _cells(run, output, answer, probabilities, fields)}
        if both := [name for name in columns if name in given]:
            raise DataError(
                f"what was read has a column '{both[0]}' already, and predictions need that name; rename it, or leave"
                " it out"
            )
        yield {**given, **columns}


def like(run: Run, read: Iterable[str] = (), *, probabilities: bool = False) -> dict[str, Any]:
    """A row as `records` gives it, of a table that has none: a cell of the type of each column, None where only rows
    would tell.

    Args:
        run: that would have predicted; no forecast, whose series are never without steps.
        read: the columns of what was read.
        probabilities: whether every label has a column.
    """
    columns: dict[str, Any] = dict.fromkeys(read)
    for output in run.outputs:
        modality, labels = run.modalities[f"outputs.{output}"], labels_of(run, output)
        answer = Answer(0.0 if modality.numeric else None, "", 0.0, 0.0)
        if isinstance(modality.spec, Symbols):
            answer = replace(answer, value=modality.decode(np.zeros((0, *modality.spec.stored[1]), dtype=np.int64)))
        if labels:
            value = [labels[0]] if modality.spec.multilabel else labels[0]
            answer = replace(answer, value=value, probabilities=dict.fromkeys(labels, 0.0))
        if (settings := labelled(run).get(output)) is not None:
            source = alignments.of(settings).source(settings, run.inputs)
            words, spans = run.modalities[f"inputs.{source}"].words_of([]), modality.spans_of([])
            answer = replace(answer, value=[], words=None if words is None else [])
            answer = replace(answer, entities=None if words is None or spans is None else [])
        columns |= {f"{output}_{name}": cell for name, cell in _cells(run, output, answer, probabilities, False)}
    return columns


def _cells(run: Run, output: str, answer: Answer, probabilities: bool, fields: bool) -> Iterator[tuple[str, Any]]:
    in_field = fields and isinstance(answer.value, list)
    yield "predicted", answer.text if in_field else run.modalities[f"outputs.{output}"].as_given(answer.value)
    if run.graph.heads[output].generates:
        yield "log_probability", answer.log_probability
    if answer.probabilities is not None:
        if isinstance(answer.value, str):
            yield "probability", answer.probabilities[answer.value]
        if probabilities:
            yield from ((f"probability_{label}", answer.probabilities[label]) for label in labels_of(run, output))
    if answer.words is not None:
        yield "words", list(answer.words)
    if answer.entities is not None:
        yield "entities", [entity._asdict() for entity in answer.entities]
    for level, value in (answer.quantiles or {}).items():
        yield f"quantile_{level:g}", float(value) if np.ndim(value) == 0 else np.squeeze(value).tolist()


def _steps(run: Run, prediction: Prediction) -> Iterator[dict[str, Any]]:
    """One row for each step of a forecast."""
    first, named = next(iter(prediction.best.values())), run.recipe.settings.data
    columns: dict[str, Sequence[Any]] = {}
    for output, answer in prediction.best.items():
        columns |= _channels(run, output, "predicted", answer.value)
        for level, values in (answer.quantiles or {}).items():
            columns |= _channels(run, output, f"quantile_{level:g}", values)
    length = max(map(len, columns.values()))
    times = range(1, length + 1) if first.times is None else first.times
    when = {} if first.series is None else {named.series: [first.series] * length}
    every: Mapping[str, Sequence[Any]] = {**when, ("step" if first.times is None else named.time): times, **columns}
    for step in range(length):
        yield {name: column[step] if step < len(column) else None for name, column in every.items()}


def _channels(run: Run, output: str, name: str, values: Any) -> dict[str, Sequence[Any]]:
    """The column of each channel of a forecast."""
    array = np.asarray(values)
    if array.ndim == 1 or array.shape[1] == 1:
        return {f"{output}_{name}": array.reshape(-1).tolist()}
    settings = run.outputs[output]
    channels = recipe_columns.columns_of(f"outputs.{output}", settings)
    if len(channels) != array.shape[1]:
        channels = [f"{output}_{number}" for number in range(1, array.shape[1] + 1)]
    return {f"{channel}_{name}": column.tolist() for channel, column in zip(channels, array.T)}
