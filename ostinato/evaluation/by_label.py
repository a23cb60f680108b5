"""Precision, recall and F1 of each label, or of each type of entity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from ostinato import alignments
from ostinato.metrics.contract import Predictions
from ostinato.modalities.contract import Labels
from ostinato.run.run import Run


@dataclass(frozen=True)
class LabelScores:
    """How well one label, or one type of entity, is predicted, in percent.

        precision = 100 * right / predicted, 0 where it is never predicted
        recall    = 100 * right / support, 0 where it never occurs
        f1        = 100 * 2 right / (predicted + support)

    Args:
        precision: in percent.
        recall: in percent.
        f1: in percent.
        support: how often it occurs in the data: rows, steps or entities.
        predicted: how often it is predicted.
    """

    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


def by_label(run: Run, output: str, predictions: Predictions) -> dict[str, LabelScores]:
    """Each label of an output, the lowest F1 first; none where the output is none of labels.

    Of labels that mark spans each type of entity: one is right if its label, first and last step are.
    """
    spec = run.modalities[f"outputs.{output}"].spec
    if not isinstance(spec, Labels) or predictions.predicted is None:
        return {}
    right, support, predicted = Counter[str](), Counter[str](), Counter[str]()
    for answer, truth in zip(predictions.predicted, predictions.expected, strict=True):
        expected, said = _labelled(run, output, truth, truth), _labelled(run, output, answer, truth)
        right.update(expected[place] for place in expected if said.get(place) == expected[place])
        support.update(expected.values())
        predicted.update(said.values())
    scores = {
        label: LabelScores(
            100 * right[label] / max(1, predicted[label]),
            100 * right[label] / max(1, support[label]),
            200 * right[label] / (predicted[label] + support[label]),
            support[label],
            predicted[label],
        )
        for label in {*support, *predicted}
    }
    return dict(sorted(scores.items(), key=lambda item: (item[1].f1, -item[1].support, item[0])))


def _labelled(run: Run, output: str, raw: Any, truth: Any) -> dict[Hashable, str]:
    """The label of each place of a raw value: of a span, of a step, of the row; what has no true label is left out."""
    modality = run.modalities[f"outputs.{output}"]
    if truth is None or raw is None:
        return {}
    spans = modality.spans_of(raw)
    if spans is not None:
        return {(first, after): label for label, first, after in spans}
    if alignments.of(run.outputs[output]).per_step:
        return {step: label for step, (label, true) in enumerate(zip(raw, truth)) if true is not None}
    if modality.spec.multilabel:
        return {label: label for label in (modality.write([part]) for part in raw)}
    return {0: modality.write(raw)}
