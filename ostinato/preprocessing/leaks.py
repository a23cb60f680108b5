"""What makes a score better than the model is: rows of validation that training has too, columns that copy a label."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from ostinato.data.examples import Examples
from ostinato.recipe.columns import second_readings
from ostinato.registry import Settings

MOST_ROWS = 100_000
"""Training rows that are looked at."""
FEWEST_ROWS = 20
"""Fewer rows show nothing of a column."""
COPIED, KNOWN, MAJORITY = 0.99, 0.8, 0.9
"""A column copies a label where so many rows have the label of the other rows with their value, so many have such
others, and no label has so many of the rows."""


def repeated(train: Examples, other: Examples, split: str, inputs: Sequence[str]) -> list[str]:
    """A note that counts the rows of a split whose inputs are those of a training row.

    Args:
        train: the training rows.
        other: the split.
        split: its name.
        inputs: the places that are compared.
    """
    if train.windows is not None:
        return []  # Windows of one series overlap; the split is one of time.
    known = {hash(_key(row, inputs)) for row in islice(train.raw(), MOST_ROWS)}
    count = sum(hash(_key(row, inputs)) in known for row in islice(other.raw(), MOST_ROWS))
    if not count:
        return []
    return [
        f"{split}: {count:,} of {len(other):,} rows have the same inputs as a training row; their score may show memory"
        " in place of generalization"
    ]


def copied(train: Examples, settings: Settings) -> list[str]:
    """A warning for each input, of several, one of whose values alone gives an output, as a copy of the label does.

        right = rows whose output is the commonest one of the other rows with the same value
        known = rows whose value other rows have too

    Numbers are compared by their correlation.
    """
    again = second_readings(settings)
    inputs = {
        place: column.column or name
        for name, column in settings.inputs.items()
        if (place := f"inputs.{name}") not in again
    }
    outputs = {
        f"outputs.{name}": column.column or name for name, column in settings.outputs.items() if column.of is None
    }
    if train.windows is not None or not outputs or len(inputs) == 1:
        return []
    rows = list(islice(train.raw(), MOST_ROWS))
    return [
        f"{place} gives {output} almost alone ({share:.1%} of the training rows), as a copy of the label would; if"
        f" '{column}' is not known when you predict, leave it out"
        for place, column in inputs.items()
        for output, target in outputs.items()
        if column != target and (share := share_given(rows, place, output)) >= COPIED
    ]


def share_given(rows: Sequence[Any], place: str, output: str) -> float:
    """How often a value alone gives the output; 0 where the rows do not tell."""
    pairs = [(row[place], row[output]) for row in rows if row[place] is not None and row[output] is not None]
    if len(pairs) < FEWEST_ROWS:
        return 0.0
    if all(isinstance(value, (int, float)) for pair in pairs for value in pair):
        first, second = np.array(pairs, dtype=np.float64).T
        varies = len(set(first.tolist())) > 2 and len(set(second.tolist())) > 2
        return float(abs(np.corrcoef(first, second)[0, 1])) ** 2 if varies else 0.0
    values = [(_hashable(value), _hashable(label)) for value, label in pairs]
    if max(Counter(label for _, label in values).values()) > MAJORITY * len(values):
        return 0.0
    counts: dict[Hashable, Counter] = defaultdict(Counter)
    for value, label in values:
        counts[value][label] += 1
    known = right = 0
    for labels in counts.values():
        (_, first), *others = labels.most_common(2)
        # Without a row, its label is still the commonest of its value only where it led.
        known += labels.total() if labels.total() > 1 else 0
        right += first if first > (others[0][1] if others else 1) else 0
    return right / known if known >= KNOWN * len(values) else 0.0


def _key(row: Any, places: Sequence[str]) -> tuple[Hashable, ...]:
    return tuple(_hashable(row[place]) for place in places)


def _hashable(value: Any) -> Hashable:
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return value if isinstance(value, (str, int, float, type(None))) else repr(value)
