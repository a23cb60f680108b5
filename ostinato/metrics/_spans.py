"""Spans of tagged sequences: how many were predicted, how many are in the references, how many agree."""

from collections.abc import Sequence
from typing import Any

from ostinato.errors import DataError
from ostinato.metrics._confusion import label, steps
from ostinato.metrics.contract import Judged
from ostinato.raw.schemes import OUTSIDE, Span, spans, split


def rows(judged: Judged) -> list[Sequence[float]]:
    """Of each example: spans that are right, spans predicted, spans expected.

    A span is right if label, first and last step are. Where all labels of all examples are tags of a scheme (O, or B-, I-, E-, S-
    before a label), spans are conlleval's, whichever scheme it is; with plain labels, such as states of a protein, a span is a
    longest run of one label other than O. A step without a reference ends spans on both sides.

    Errors:
        DataError: a prediction has not as many steps as its reference.
    """
    pairs = []
    for example, (predicted, expected) in enumerate(zip(judged.predicted, judged.expected, strict=True)):
        pairs.append(_filled(predicted, expected, example))
    read = spans if _are_tags({one for pair in pairs for side in pair for one in side}) else _runs
    found = []
    for predicted, expected in pairs:
        said, right = set(read(predicted)), set(read(expected))
        found.append([len(said & right), len(said), len(right)])
    return found


def share(right: float, of: float, total: Sequence[float], metric: str) -> float:
    """100 * right / of; as conlleval has it, 0 where only the other side has spans.

    Errors:
        DataError: neither side has any.
    """
    if not total[1] + total[2]:
        raise DataError(
            f"{metric}: neither references nor predictions hold a span to divide by; give a split that has some, or another metric"
        )
    return 100 * right / of if of else 0.0


def _filled(predicted: Any, expected: Any, example: int) -> tuple[list[str], list[str]]:
    """Both sides with O at the steps that have no reference."""
    pairs = steps(predicted, expected, example)
    if not isinstance(expected, str) and len(pairs) < len(expected):
        left = iter(pairs)
        pairs = [(OUTSIDE, OUTSIDE) if label(one, example) is None else next(left) for one in expected]
    return [said for said, _ in pairs], [right for _, right in pairs]


def _are_tags(labels: set[str]) -> bool:
    """Whether labels are tags of a scheme; bare letters alone are so only with B or I, since E and S may be anything."""
    return all(split(one) is not None for one in labels) and any(one in ("B", "I") or "-" in one for one in labels)


def _runs(labels: Sequence[str]) -> list[Span]:
    found, start = [], 0
    for step in range(1, len(labels) + 1):
        if step == len(labels) or labels[step] != labels[start]:
            if labels[start] != OUTSIDE:
                found.append(Span(labels[start], start, step))
            start = step
    return found
