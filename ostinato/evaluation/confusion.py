"""The confusion matrix: how often each expected label was predicted as which."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Confusion:
    """How often each expected label was predicted as which.

    Args:
        labels: all labels that were expected or predicted, in order.
        counts: how often `labels[row]` was expected and `labels[column]` predicted.
    """

    labels: list[str]
    counts: list[list[int]]


def confusion(expected: Sequence[str], predicted: Sequence[str], order: Sequence[str] = ()) -> Confusion:
    """The confusion matrix of one label per example; an example without an expected label (empty) is left out.

    Args:
        expected: the labels of the references.
        predicted: the labels of the predictions, as many.
        order: the order of the labels; others follow sorted, numbers by value.
    """
    counts = Counter(pair for pair in zip(expected, predicted, strict=True) if pair[0])
    place = {label: at for at, label in enumerate(order)}
    labels = sorted(
        {label for pair in counts for label in pair},
        key=lambda label: (place.get(label, len(place)), _number(label), label),
    )
    return Confusion(labels, [[counts[row, column] for column in labels] for row in labels])


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.inf
    return value if math.isfinite(value) else math.inf
