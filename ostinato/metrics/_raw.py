"""Raw predictions and references as the metrics read them: a text, a list of items, or a length."""

from collections.abc import Callable, Sequence
from typing import Any

from rapidfuzz.distance import Levenshtein

from ostinato.errors import DataError
from ostinato.metrics.contract import Predictions


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


def edits(predictions: Predictions, view: Callable[[Any, int], Sequence[Any]]) -> list[Sequence[float]]:
    """(edits, length of the reference) of each example, both raw values seen through `view`, such as `text`."""
    rows = []
    for example, (predicted, expected) in enumerate(zip(predictions.predicted, predictions.expected, strict=True)):
        right = view(expected, example)
        rows.append([Levenshtein.distance(right, view(predicted, example)), len(right)])
    return rows


def _checked(raw: Any, example: int) -> Sequence[str]:
    if not isinstance(raw, list | tuple) or not all(isinstance(item, str) for item in raw):
        raise DataError(
            f"example {example + 1}: this metric reads a text or a list of texts, but was given {raw!r}"
            f" ({type(raw).__name__}); leave out what has no reference, or measure it by exact_match"
        )
    return raw
