"""F1 of spans, such as named entities, or their precision or recall alone."""

from collections.abc import Sequence
from typing import Any, Literal

from ostinato.errors import DataError
from ostinato.metrics._labels import label_of, steps
from ostinato.metrics.contract import Metric, Predictions
from ostinato.raw.schemes import OUTSIDE, Span, spans, split


class SpanF1(Metric):
    """F1 of spans, such as named entities, or their precision or recall alone.

        precision = 100 * right / predicted
        recall    = 100 * right / spans of the references
        F1        = 100 * 2 right / (predicted + spans of the references)

    A span is right if label, first and last step are. Where all labels of all examples are tags of a scheme (O, or B-,
    I-, E-, S- before a label), spans are conlleval's, whichever scheme it is, legal or not; with plain labels, such as
    states of a protein, a span is a longest run of one label other than `O`. A step without a reference ends spans on
    both sides. 0 where only the other side has spans. Alternatives are not read.

    Args:
        measure: F1, or the precision or the recall that it is the harmonic mean of.

    Errors:
        DataError: a prediction has not as many steps as its reference, or there is no span at all.

    Source: Tjong Kim Sang and Buchholz 2000 (W00-0726), conlleval, over the labels of all spans together.
    """

    higher_is_better = True
    unit = "%"
    greatest = 100.0

    def __init__(self, *, measure: Literal["f1", "precision", "recall"] = "f1"):
        self.measure = measure

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        """Spans that are right, spans predicted, spans expected."""
        pairs = [
            _filled(predicted, expected, example)
            for example, (predicted, expected) in enumerate(
                zip(predictions.predicted, predictions.expected, strict=True)
            )
        ]
        read = spans if _are_tags({label for pair in pairs for side in pair for label in side}) else _runs
        rows = []
        for predicted, expected in pairs:
            guessed, right = set(read(predicted)), set(read(expected))
            rows.append([len(guessed & right), len(guessed), len(right)])
        return rows

    def value(self, total: Sequence[float]) -> float:
        right, predicted, expected = total
        if not predicted + expected:
            raise DataError(
                "span_f1: neither references nor predictions hold a span to divide by; give a split that has some, or"
                " another"
                " metric"
            )
        weight, denominator = {
            "f1": (2, predicted + expected),
            "precision": (1, predicted),
            "recall": (1, expected),
        }[self.measure]
        return 100 * (weight * right) / denominator if denominator else 0.0


def _filled(predicted: Any, expected: Any, example: int) -> tuple[list[str], list[str]]:
    """Both sides with O at the steps that have no reference."""
    pairs = steps(predicted, expected, example)
    if not isinstance(expected, str) and len(pairs) < len(expected):
        left = iter(pairs)
        pairs = [(OUTSIDE, OUTSIDE) if label_of(raw, example) is None else next(left) for raw in expected]
    return [label for label, _ in pairs], [right for _, right in pairs]


def _are_tags(labels: set[str]) -> bool:
    """Whether labels are tags of a scheme; bare letters alone are only with B or I, since E and S may be anything."""
    return all(split(label) is not None for label in labels) and any(
        label in ("B", "I") or "-" in label for label in labels
    )


def _runs(labels: Sequence[str]) -> list[Span]:
    runs, start = [], 0
    for step in range(1, len(labels) + 1):
        if step == len(labels) or labels[step] != labels[start]:
            if labels[start] != OUTSIDE:
                runs.append(Span(labels[start], start, step))
            start = step
    return runs
