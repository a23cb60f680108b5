"""Raw predictions and references as the metrics read them: a text, a list of items, or a length."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

from ostinato.errors import DataError
from ostinato.metrics.contract import Judged


def text(raw: Any, example: int) -> str:
    """A text as it is, a list's items joined by spaces.

    Args:
        raw: a text or a list of texts.
        example: its number, for the error.

    Errors:
        DataError: it is neither, or an item is no text.
    """
    if isinstance(raw, str):
        return raw
    return " ".join(_checked(raw, example))


def items(raw: Any, example: int) -> list[str]:
    """A list as it is, a text's words between white space."""
    if isinstance(raw, str):
        return raw.split()
    return list(_checked(raw, example))


def length(raw: Any, example: int) -> int:
    """Characters of a text, items of a list."""
    return len(raw if isinstance(raw, str) else _checked(raw, example))


def edits(judged: Judged, view: Callable[[Any, int], Sequence[Any]]) -> list[Sequence[float]]:
    """(edits, length of the reference) of each example, both raw values seen through `view`, such as `text` or `items`."""
    rows = []
    for example, (predicted, expected) in enumerate(zip(judged.predicted, judged.expected, strict=True)):
        right = view(expected, example)
        rows.append([Levenshtein.distance(right, view(predicted, example)), len(right)])
    return rows


def same(left: Any, right: Any) -> bool:
    """Whether two raw values are equal; a tuple equals a list of the same items, and in arrays a gap equals a gap."""
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return np.array_equal(left, right, equal_nan=True)
    return (list(left) if isinstance(left, tuple) else left) == (list(right) if isinstance(right, tuple) else right)


def ratio(numerator: float, denominator: float, metric: str, missing: str) -> float:
    """numerator / denominator, where there is something to divide by.

    Errors:
        DataError: the denominator is 0.
    """
    if denominator == 0:
        raise DataError(
            f"{metric}: these examples hold no {missing} to divide by; give a split whose references are not all empty,"
            " or another metric"
        )
    return numerator / denominator


def _checked(raw: Any, example: int) -> Sequence[str]:
    if not isinstance(raw, list | tuple) or not all(isinstance(item, str) for item in raw):
        raise DataError(
            f"example {example + 1}: this metric reads a text or a list of texts, but was given {raw!r}"
            f" ({type(raw).__name__}); leave out what has no reference, or judge it by exact_match"
        )
    return raw
