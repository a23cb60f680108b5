"""Labels beside labels: raw values as labels, which was taken for which, and the counts that F1 is made of."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ostinato.errors import DataError
from ostinato.metrics.contract import Judged

Pair = tuple[frozenset[str], frozenset[str]]
"""The predicted and the expected labels of one example or one step."""


class Confusion(NamedTuple):
    """Which label was taken for which.

    Args:
        labels: all labels that were expected or predicted, in order.
        counts: how often `labels[row]` was expected and `labels[column]` predicted.

    Shapes:
        counts (V, V)
    """

    labels: list[str]
    counts: np.ndarray


def confusion(expected: Sequence[Any], predicted: Sequence[Any], order: Sequence[str] = ()) -> Confusion:
    """Counts of each expected label beside what was predicted: one label per example, or a list with one label per step.

    What has no expected label is left out. Labels stand as in `order`, then others sorted, numbers by what they are worth.

    Errors:
        DataError: the two are of unequal number.
    """
    if len(expected) != len(predicted):
        raise DataError(
            f"confusion: there are {len(expected)} references and {len(predicted)} predictions; give one for each"
        )
    pairs: list[tuple[str, str]] = []
    for example, (said, right) in enumerate(zip(predicted, expected, strict=True)):
        if isinstance(right, list | tuple | np.ndarray):
            pairs += [(was, told) for told, was in steps(said, right, example)]
        elif (was := label(right, example)) is not None:
            pairs.append((was, label(said, example) or ""))
    place = {one: at for at, one in enumerate(order)}
    labels = sorted(
        {one for pair in pairs for one in pair}, key=lambda one: (place.get(one, len(place)), _worth(one), one)
    )
    number = {one: at for at, one in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for was, told in pairs:
        counts[number[was], number[told]] += 1
    return Confusion(labels, counts)


def _worth(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.inf
    return value if math.isfinite(value) else math.inf


def label(raw: Any, example: int) -> str | None:
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
        f"example {example + 1}: a label is needed, a text or a whole number, not {raw!r} ({type(raw).__name__}); judge lists with"
        " one label per step by step_accuracy, real numbers by mae"
    )


def chosen(judged: Judged) -> Iterator[Pair | None]:
    """Of each example the labels that were predicted and expected, one or a list of any number; None where none was expected."""
    for example, (said, right) in enumerate(zip(judged.predicted, judged.expected, strict=True)):
        expected = _labels(right, example)
        yield None if expected is None else (_labels(said, example) or frozenset(), expected)


def steps(predicted: Any, expected: Any, example: int) -> list[tuple[str, str]]:
    """The predicted and the expected label of each step that has one; a text is split at white space.

    Errors:
        DataError: one of them is no list, or they are of unequal length.
    """
    said, right = _listed(predicted, example), _listed(expected, example)
    if len(said) != len(right):
        raise DataError(
            f"example {example + 1}: {len(said)} predicted labels stand beside a reference of {len(right)} steps; one label per step"
            " is needed"
        )
    pairs = ((label(told, example), label(was, example)) for told, was in zip(said, right, strict=True))
    return [(told or "", was) for told, was in pairs if was is not None]


def by_class(examples: Iterable[Sequence[Pair]]) -> np.ndarray:
    """Of each example, for each label that stands in the references (sorted): right, wrongly predicted, missed.

    Shapes:
        (examples, 3 V) float64: as it is read on, since with many labels there is no room for it twice
    """
    listed = list(examples)
    number = {
        one: at for at, one in enumerate(sorted({one for pairs in listed for _, right in pairs for one in right}))
    }
    rows = np.zeros((len(listed), len(number), 3))
    for row, pairs in zip(rows, listed, strict=True):
        for said, right in pairs:
            for one in said | right:
                if one in number:
                    row[number[one], 0 if one in said and one in right else 1 if one in said else 2] += 1
    return rows.reshape(len(listed), len(number) * 3)


def macro(total: Sequence[float], metric: str) -> float:
    """The mean F1 in % over the labels that the summed rows of `by_class` have in their references."""
    right, wrong, missed = np.asarray(total, dtype=np.float64).reshape(-1, 3).T
    there = right + missed > 0
    if not there.any():
        raise DataError(f"{metric}: these references hold no label to divide by; give a split that has labels")
    return 100 * float((2 * right / np.maximum(2 * right + wrong + missed, 1))[there].mean())


def _labels(raw: Any, example: int) -> frozenset[str] | None:
    if isinstance(raw, list | tuple | set | frozenset | np.ndarray):
        return frozenset(one for item in raw if (one := label(item, example)) is not None)
    one = label(raw, example)
    return None if one is None else frozenset([one])


def _listed(raw: Any, example: int) -> Sequence[Any]:
    if isinstance(raw, str):
        return raw.split()
    if isinstance(raw, list | tuple | np.ndarray):
        return raw
    raise DataError(
        f"example {example + 1}: a list with one label per step is needed, not {raw!r} ({type(raw).__name__}); judge one label per"
        " example by accuracy"
    )
