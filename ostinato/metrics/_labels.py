"""Labels: raw values as labels, predicted and expected side by side."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ostinato.errors import DataError
from ostinato.metrics.contract import Predictions

Pair = tuple[frozenset[str], frozenset[str]]
"""The predicted and the expected labels of one example or one step."""


def label_of(raw: Any, example: int) -> str | None:
    """A label as its text: `true`, `false` and whole numbers as in JSON; None where it is missing (None or NaN).

    Errors:
        DataError: it is no label.
    """
    if isinstance(raw, np.generic):
        raw = raw.item()
    if raw is None or (isinstance(raw, float) and math.isnan(raw)):
        return None
    if isinstance(raw, str):
        return raw.strip()
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, int) or (isinstance(raw, float) and raw.is_integer()):
        return str(int(raw))
    raise DataError(
        f"example {example + 1}: a label is needed, a text or a whole number, not {raw!r} ({type(raw).__name__}); for"
        " lists with"
        " one label per step set over: steps, for real numbers take mae"
    )


def of_examples(predictions: Predictions) -> Iterator[Pair | None]:
    """For each example its predicted and expected labels, one or any number; None where none was expected."""
    for example, (predicted, expected) in enumerate(zip(predictions.predicted, predictions.expected, strict=True)):
        right = _labels(expected, example)
        yield None if right is None else (_labels(predicted, example) or frozenset(), right)


def of_steps(predictions: Predictions) -> Iterator[list[tuple[str, str]]]:
    """For each example the predicted and the expected label of each step that has one."""
    for example, (predicted, expected) in enumerate(zip(predictions.predicted, predictions.expected, strict=True)):
        yield steps(predicted, expected, example)


def steps(predicted: Any, expected: Any, example: int) -> list[tuple[str, str]]:
    """The predicted and the expected label of each step that has one; a text is split at white space.

    Errors:
        DataError: one of them is no list, or they are of unequal length.
    """
    labels, right = _listed(predicted, example), _listed(expected, example)
    if len(labels) != len(right):
        raise DataError(
            f"example {example + 1}: {len(labels)} predicted labels for a reference of {len(right)} steps; one label"
            " per step"
            " is needed"
        )
    pairs = ((label_of(label, example), label_of(other, example)) for label, other in zip(labels, right, strict=True))
    return [(label or "", other) for label, other in pairs if other is not None]


def _labels(raw: Any, example: int) -> frozenset[str] | None:
    if isinstance(raw, list | tuple | set | frozenset | np.ndarray):
        return frozenset(label for item in raw if (label := label_of(item, example)) is not None)
    label = label_of(raw, example)
    return None if label is None else frozenset([label])


def _listed(raw: Any, example: int) -> Sequence[Any]:
    if isinstance(raw, str):
        return raw.split()
    if isinstance(raw, list | tuple | np.ndarray):
        return raw
    raise DataError(
        f"example {example + 1}: a list with one label per step is needed, not {raw!r} ({type(raw).__name__}); for"
        " one label per"
        " example set over: examples"
    )
