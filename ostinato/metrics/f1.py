"""F1 of labels: the harmonic mean of their precision and recall, label by label or all together."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ostinato.errors import DataError
from ostinato.metrics._labels import Pair, of_examples, of_steps
from ostinato.metrics.contract import Metric, Predictions


class F1(Metric):
    """F1 of labels: the harmonic mean of their precision and recall, label by label or all together.

        F1       = 2 right / (2 right + wrongly predicted + missed)     of each label
        macro F1 = 100 * mean of F1 over the labels of the references: a rare label counts as much as a frequent one
        micro F1 = 100 * 2 right / (labels predicted + labels expected): a frequent label counts more

    One label an example, where micro F1 is accuracy, or a list of any number in any order; over `steps` a list with one
    label for each step. A label that no reference has gets no F1 of its own, so that two systems are compared on the
    same labels; what it took from others counts as missed there. What has no reference is left out. Alternatives are
    not read.

    Args:
        average: over labels (macro), or over all decisions (micro).
        over: what a label belongs to: an example, or each step of one.

    Errors:
        DataError: over steps, a prediction has not as many steps as its reference.

    Source: Opitz and Burst 2019 (arXiv:1911.03347), the mean of F1 and not F1 of the means.
    """

    higher_is_better = True
    unit = "%"
    greatest = 100.0

    def __init__(self, *, average: Literal["macro", "micro"], over: Literal["examples", "steps"] = "examples"):
        self.average = average
        self.over = over

    def statistics(self, predictions: Predictions) -> Sequence[Sequence[float]] | np.ndarray:
        examples: list[list[Pair]]
        if self.over == "steps":
            examples = [
                [(frozenset([label]), frozenset([right])) for label, right in pairs] for pairs in of_steps(predictions)
            ]
        else:
            examples = [[] if pair is None else [pair] for pair in of_examples(predictions)]
        if self.average == "macro":
            return _by_label(examples)
        return [
            [
                sum(len(labels & right) for labels, right in pairs),
                sum(len(labels) + len(right) for labels, right in pairs),
            ]
            for pairs in examples
        ]

    def value(self, total: Sequence[float]) -> float:
        if self.average == "micro":
            known = total[1] > 0
            f1 = 2 * (total[0] / total[1]) if known else 0
        else:
            right, wrong, missed = np.asarray(total, dtype=np.float64).reshape(-1, 3).T
            expected = right + missed > 0
            known = expected.any()
            each = 2 * right / np.maximum(2 * right + wrong + missed, 1)
            f1 = float(each[expected].mean()) if known else 0
        if not known:
            raise DataError("f1: these references hold no label to divide by; give a split that has labels")
        return 100 * f1


def _by_label(examples: list[list[Pair]]) -> np.ndarray:
    """For each example and each label of the references (sorted): right, wrongly predicted, missed.

    Shapes:
        (examples, 3 V) float64: the type that the bootstrap reads, since with many labels memory holds it once
    """
    number = {
        label: at
        for at, label in enumerate(sorted({label for pairs in examples for _, right in pairs for label in right}))
    }
    rows = np.zeros((len(examples), len(number), 3))
    for row, pairs in zip(rows, examples, strict=True):
        for labels, right in pairs:
            for label in labels | right:
                if label in number:
                    row[number[label], 0 if label in labels and label in right else 1 if label in labels else 2] += 1
    return rows.reshape(len(examples), len(number) * 3)
