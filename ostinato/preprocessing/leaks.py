"""What makes a score better, or worse, than the model is: rows of validation that training has too, columns that copy
a label or spell it, rows that are alike but for their label."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from itertools import chain, islice, pairwise
from typing import Any

import numpy as np

from ostinato.data.examples import Examples
from ostinato.modalities.contract import MISSING, Labels, Modality, Values
from ostinato.recipe.column_types import numbers_in
from ostinato.recipe.columns import second_readings
from ostinato.registry import Settings

MOST_ROWS = 100_000
"""Training rows that are looked at."""
SHOWN = 3
SPELT_ROWS = 2000
"""Of so many, spread over all, the words are read."""
FEWEST_ROWS = 20
"""Fewer rows show nothing of a column."""
COPIED, KNOWN, MAJORITY = 0.99, 0.8, 0.9
"""A column copies a label where so many rows have the label of the other rows with their value, and so many have such
others. Where one label has more than MAJORITY of all rows, errors are a share of the rows of the others."""
FEWEST_OTHERS = 10
"""Fewer rows without the commonest label show nothing."""
CONFLICTING, MOST_LABELS = 0.02, 200
"""Told where no model can get so many rows right; more different answers are texts."""


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


def flaws(train: Examples, valid: Examples, settings: Settings, modalities: Mapping[str, Modality]) -> list[str]:
    """Notes on columns that copy or spell an output, on rows that are alike but for their label, and on labels that no
    training row has.

    Args:
        train: the training rows.
        valid: those of validation.
        settings: of the recipe.
        modalities: that were fitted.
    """
    outputs = _outputs(settings)
    if train.windows is not None or not outputs:
        return []
    rows = [{place: _compact(value) for place, value in row.items()} for row in islice(train.raw(), MOST_ROWS)]
    told = [output for output in outputs if not modalities[output].numeric]
    new = chain(*(_unlearnt(train, valid, output, modalities[output]) for output in told))
    # Of vectors, such as strokes and sound, a density is learnt: alike rows may well go on in other ways.
    right = [output for output in told if not isinstance(modalities[output].spec, Values)]
    return [*_copied(rows, settings), *_conflicting(rows, settings, right), *new]


def _copied(rows: Sequence[Any], settings: Settings) -> list[str]:
    """A warning for each input, of several, one of whose values alone gives an output, as a copy of the label does, and
    for each that spells the label.

        right = rows whose output is the commonest one of the other rows with the same value
        known = rows whose value other rows have too

    Numbers are compared by their correlation, a number and a label by whether each label has its own range.
    """
    inputs, outputs = _inputs(settings), _outputs(settings)
    notes = []
    for place, column in inputs.items():
        for output, target in outputs.items():
            if column == target:
                continue
            if len(inputs) > 1 and (share := share_given(rows, place, output)) >= COPIED:
                notes.append(
                    f"{place} gives {output} almost alone ({share:.1%} of the training rows), as a copy of the label"
                    f" would; if '{column}' is not known when you predict, leave it out"
                )
            elif (share := share_spelt(rows, place, output)) >= COPIED:
                notes.append(spelling_note(place, output, share, "training rows"))
    return notes


def spelling_note(place: str, output: str, share: float, what: str) -> str:
    """That a column spells an output, in words."""
    return (
        f"{place} has the value of {output} among its words ({share:.1%} of the {what}); if it is not there when you"
        " predict, delete it from the texts"
    )


def _conflicting(rows: Sequence[Any], settings: Settings, outputs: Sequence[str]) -> list[str]:
    """A note for each output of labels that differs between rows that are alike, with what is within reach.

    most = sum over inputs of the rows with the commonest label of these inputs / rows
    """
    places = list(_inputs(settings))
    notes = []
    for output in outputs:
        groups: dict[Hashable, Counter] = defaultdict(Counter)
        for row in rows:
            if row[output] is not None:
                groups[_key(row, places)][_hashable(row[output])] += 1
        if not groups or len(set(chain(*groups.values()))) > MOST_LABELS:
            continue
        total = sum(labels.total() for labels in groups.values())
        unlike = sum(labels.total() for labels in groups.values() if len(labels) > 1)
        most = sum(max(labels.values()) for labels in groups.values()) / total
        if 1 - most >= CONFLICTING:
            notes.append(
                f"{unlike:,} of {total:,} training rows have the same inputs as a row of another value of {output}: no"
                f" model gets more than {most:.1%} of the training rows right; correct these values, or add an input"
                " that tells such rows apart"
            )
    return notes


def _unlearnt(train: Examples, valid: Examples, place: str, modality: Modality) -> list[str]:
    """A note where validation has labels of an output that no training row has: the names of labels are those of all
    rows of a file of which a part validates."""
    spec = modality.spec
    if not isinstance(spec, Labels) or spec.multilabel:
        return []
    learnt, _ = _labels(train, place)
    labels, rows_of = _labels(valid, place)
    is_new = ~np.isin(labels, learnt) & (labels != MISSING)
    if not is_new.any():
        return []
    rows = np.unique(rows_of[is_new])
    named = ", ".join(map(repr, modality.labels(np.unique(labels[is_new])[:SHOWN])))
    return [
        f"valid: {len(rows):,} of {len(valid):,} rows have a label of {place} that no training row has, such as {named}"
        f" (the first: {valid.place(rows[0])}): no model can know it; give more rows of such labels, or leave them out"
    ]


def _labels(examples: Examples, place: str) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of all labels of a place, and the row of each."""
    rows = np.arange(len(examples))
    return examples.steps(place, rows).values.numpy(), np.repeat(rows, examples.lengths(place))


def share_given(rows: Sequence[Any], place: str, output: str) -> float:
    """How often a value alone gives the output; 0 where the rows do not tell."""
    pairs = _pairs(rows, place, output)
    if not pairs:
        return 0.0
    values, targets = zip(*pairs)
    numbers, amounts = _numbers(values), _numbers(targets)
    correlation = 0.0 if numbers is None or amounts is None else _correlation(numbers, amounts)
    labels = [_hashable(target) for target in targets]
    others = len(labels) - max(Counter(labels).values())
    rare = others < (1 - MAJORITY) * len(labels)
    if rare and others < FEWEST_OTHERS:
        return correlation
    alone = _by_value([_hashable(value) for value in values], labels)
    if alone is None:
        alone = 0.0 if numbers is None else _by_range(numbers, labels)
    if rare and (1 - alone) * len(labels) > (1 - COPIED) * others:
        return correlation
    return max(correlation, alone)


def share_spelt(rows: Sequence[Any], place: str, output: str) -> float:
    """How often a text has the label, and no other label, among its words; 0 where the rows do not tell."""
    pairs = [
        (value.casefold(), target.casefold())
        for value, target in _pairs(rows[:: -(-len(rows) // SPELT_ROWS)], place, output)
        if isinstance(value, str) and isinstance(target, str)
    ]
    labels = {target for _, target in pairs}
    if not 1 < len(labels) <= MOST_LABELS or len(labels) * FEWEST_ROWS > 2 * len(pairs):
        return 0.0
    words = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(labels, key=len, reverse=True)))})(?!\w)")
    several = [(value, target) for value, target in pairs if value.strip() != target]
    spelt = sum(set(words.findall(value)) == {target} for value, target in several)
    return spelt / len(pairs)


def _by_value(values: Sequence[Hashable], labels: Sequence[Hashable]) -> float | None:
    """The share of the rows with the label of the other rows of their value; None where few rows have such others."""
    counts: dict[Hashable, Counter] = defaultdict(Counter)
    for value, label in zip(values, labels):
        counts[value][label] += 1
    known = right = 0
    for shares in counts.values():
        (_, first), *others = shares.most_common(2)
        # Without a row, its label is still the commonest of its value only where it led.
        known += shares.total() if shares.total() > 1 else 0
        right += first if first > (others[0][1] if others else 1) else 0
    return right / known if known >= KNOWN * len(values) else None


def _by_range(numbers: Sequence[float], labels: Sequence[Hashable]) -> float:
    """The share of neighbours in the order of their numbers that have one label, beyond one change for each label."""
    different = len(set(labels))
    if different * FEWEST_ROWS > len(labels):
        return 0.0
    ordered = [labels[row] for row in np.argsort(numbers, kind="stable")]
    changes = sum(before != after for before, after in pairwise(ordered))
    return 1 - max(0, changes - (different - 1)) / (len(labels) - 1)


def _correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """The square of the correlation of numbers that vary."""
    if len(set(first)) <= 2 or len(set(second)) <= 2:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1]) ** 2


def _pairs(rows: Sequence[Any], place: str, output: str) -> list[tuple[Any, Any]]:
    """A value and the output of each row that has both; none of few rows."""
    pairs = [(row[place], row[output]) for row in rows if row[place] is not None and row[output] is not None]
    return pairs if len(pairs) >= FEWEST_ROWS else []


def _numbers(cells: Sequence[Any]) -> list[float] | None:
    """The numbers of cells that all hold one."""
    numbers = numbers_in(cells) if all(isinstance(cell, (str, int, float)) for cell in cells) else None
    return numbers if numbers is not None and len(numbers) == len(cells) else None


def _inputs(settings: Settings) -> dict[str, str]:
    """The columns that are read, by place."""
    again = second_readings(settings)
    places = {f"inputs.{name}": column.column or name for name, column in settings.inputs.items()}
    return {place: column for place, column in places.items() if place not in again}


def _outputs(settings: Settings) -> dict[str, str]:
    """The columns of outputs that are no part of an input, by place."""
    return {f"outputs.{name}": column.column or name for name, column in settings.outputs.items() if column.of is None}


def _key(row: Any, places: Sequence[str]) -> tuple[Hashable, ...]:
    return tuple(_hashable(row[place]) for place in places)


def _compact(value: Any) -> Any:
    """What is held of a value: of words their text, of an array, a recording, a picture or another list what tells it
    from others."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return " ".join(value)
    content = value if isinstance(value, bytes) else _hashable(value)
    return hashlib.blake2b(content if isinstance(content, bytes) else repr(content).encode(), digest_size=16).digest()


def _hashable(value: Any) -> Hashable:
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return value if isinstance(value, (str, int, float, type(None))) else repr(value)
