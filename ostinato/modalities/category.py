"""One label, or several at once, for a whole row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ostinato.errors import ConfigError, DataError, closest, nearest, shown
from ostinato.modalities._fields import TEXT, TRUTH, WHOLE, as_kind, is_missing, items, one_line, why_labels_are_new
from ostinato.modalities._spelling import UNKNOWN_RATE
from ostinato.modalities.contract import MISSING, Array, Choices, Features, Labels, Modality
from ostinato.raw.vocabulary import extended

ALLOWED = "a label must be a string, a whole number or a truth value"
SHOWN_LABELS = 20
"""More known labels than these do not help the reader of a message."""


class Category(Modality):
    """A label for the whole row: a topic, a language, a rating, yes or no; or any number of labels at once.

        one label:  (1,)       its number, labels in sorted order (`ordinal`: in that order)
        `multilabel`:  (1, size)  1 for each label that the row has, 0 for the others

    A raw value is a string, a whole number or a truth value (`true`, `false`), which counts as its text; white space
    around it does not count. With `multilabel` it is a list of these, or a field that the separator splits. An empty
    field is a missing value, with `multilabel` a row that has none of the labels.

    Args:
        multilabel: whether a row may have any number of labels.
        separator: the text between two labels of a field, with `multilabel`.
        ordinal: all labels from the lowest to the highest, such as ratings; null: they have no order.
        unknown: what to do with a label that training did not have: refuse it, or count it as missing. Metrics made
            from predictions read the data themselves and count it as wrong.

    Errors:
        ConfigError: `ordinal` names a label twice or fewer than two, or has `multilabel` beside it; or the separator is
            blank, or given without `multilabel`.
        DataError: a value is no label, a label was not known in training or is not in `ordinal`, a label holds the
            separator, or all rows of the training split have the same.
    """

    aligns = frozenset({"summary"})
    default_align = "summary"
    default_encoder = "feed_forward"
    is_sequence = False
    default_head = {"summary": "classifier"}
    single_score = "accuracy"
    metrics = {
        "summary": (
            "accuracy",
            {"type": "f1", "average": "macro"},
            {"type": "f1", "average": "micro"},
            "log_loss",
        )
    }
    labels_beyond_fraction = True

    def __init__(
        self,
        *,
        multilabel: bool = False,
        separator: str = "|",
        ordinal: list[str | int | bool] | None = None,
        unknown: Literal["error", "missing"] = "error",
    ):
        if not separator.strip():
            raise ConfigError(
                f"separator: {separator!r} is blank, as the space around a label may be; give a sign such as '|'"
            )
        if separator != "|" and not multilabel:
            raise ConfigError(
                f"separator: {separator!r} splits a field into several labels; set `multilabel: true` or leave it out"
            )
        if ordinal is not None and multilabel:
            raise ConfigError(
                "ordinal: labels in an order exclude each other, and `multilabel` is set; leave out one of the two"
            )
        self._several = multilabel
        self._separator = separator
        self._ordinal = None if ordinal is None else tuple(_text(label) for label in ordinal)
        if self._ordinal is not None and len(set(self._ordinal)) < max(2, len(self._ordinal)):
            shown = ", ".join(self._ordinal) or "none"
            raise ConfigError(f"ordinal: needs at least two labels, each once, from low to high, not {shown}")
        self._lenient = unknown == "missing"
        self._set([], [])

    def _set(self, labels: list[str], counts: list[int], kind: str = TEXT) -> None:
        self._labels, self._counts, self._kind = labels, counts, kind
        self._number = {label: number for number, label in enumerate(labels)}

    def _read(self, raw: Any) -> list[str]:
        """The labels of one row, each once."""
        if not self._several:
            return [_text(raw)]
        if isinstance(raw, str):
            raw = self.parse(raw)
        labels = items(list(raw) if isinstance(raw, (set, frozenset)) else raw, "label")
        return list(dict.fromkeys(map(_text, labels)))

    def choices(
        self, train: Iterable[Any], valid: Iterable[Any], gives: Callable[[str], bool], summarized: bool
    ) -> Choices:
        """Labels that training lacks are unknown; so that an encoder knows what that is, training reads rare ones as
        unknown now and then."""
        counts = Counter(label for raw in train for label in self._read(raw))
        why = why_labels_are_new(counts, {label for raw in valid for label in self._read(raw)})
        choices: Choices = {"unknown": ("missing", f"{why}; in inputs they are unknown, in metrics wrong")}
        if not self._several:
            choices["encoder.rare_label_dropout"] = UNKNOWN_RATE, "rare labels are read as unknown now and then"
        return choices

    def fit(self, column: Iterable[Any]) -> None:
        counts: Counter[str] = Counter()
        kinds: set[str] = set()
        num_rows = 0
        for raw in column:
            if raw is not None:
                counts.update(self._read(raw))
                kinds.update(map(_kind, raw if self._several and not isinstance(raw, str) else [raw]))
                num_rows += 1
        if not counts:
            raise DataError(
                "nothing to learn: no row of the training split has a label; check that this is the right column"
            )
        self._check(counts, num_rows)
        labels = sorted(counts) if self._ordinal is None else list(self._ordinal)
        self._set(labels, [counts[label] for label in labels], kinds.pop() if len(kinds) == 1 else TEXT)

    def _check(self, counts: Counter[str], num_rows: int) -> None:
        if self._ordinal is not None:
            for label in counts:
                if label not in self._ordinal:
                    raise DataError(
                        f"{label!r} is not in `ordinal`{nearest(label, self._ordinal)}; add it, or mend the data"
                    )
        if self._several:
            for label in counts:
                if self._separator in label:
                    raise DataError(
                        f"the label {label!r} holds separator: {self._separator!r} and could not be written as a "
                        "field; choose a separator that occurs in no label"
                    )
        if len(counts) == 1 and (not self._several or counts.total() == num_rows):
            raise DataError(
                f"all {num_rows:,} rows of the training split have the label {next(iter(counts))!r}, so there is "
                "nothing to tell apart; check that this is the right column and that the split is not sorted by it, or "
                "leave it out"
            )

    def encode(self, raw: Any) -> np.ndarray:
        numbers = [self._number.get(label, MISSING) for label in self._read(raw)]
        if MISSING in numbers and not self._lenient:
            raise self._refused(self._read(raw)[numbers.index(MISSING)])
        if not self._several:
            return np.array(numbers, dtype=np.int32)
        encoded = np.zeros((1, len(self._labels)), dtype=np.float32)
        encoded[0, [number for number in numbers if number != MISSING]] = 1
        return encoded

    def _refused(self, label: str) -> DataError:
        more = len(self._labels) - SHOWN_LABELS
        known = self._labels if more <= 0 else [*self._labels[:SHOWN_LABELS], f"and {more:,} more"]
        return DataError(
            f"the label {label!r} was not known in training{closest(label, self._labels)}; known: {', '.join(known)}; "
            "mend the label, leave the cell empty, or train on rows that have it or with unknown: missing; a trained "
            "model cannot take it"
        )

    def decode(self, array: Array) -> str | list[str] | None:
        """The label, or None where nobody gave one; with `multilabel` a list."""
        numbers = np.asarray(array).reshape(-1)
        if self._several:
            return [label for label, chosen in zip(self._labels, numbers.tolist()) if chosen >= 0.5]
        return None if numbers[0] == MISSING else self._labels[int(numbers[0])]

    def as_given(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.as_given(label) for label in value]
        return as_kind(value, self._kind) if value in self._number else value

    def labels(self, array: Array) -> list[str]:
        if self._several:
            return [self.write(self.decode(step)) for step in np.asarray(array).reshape(-1, len(self._labels))]
        return ["<missing>" if number == MISSING else self._labels[number] for number in np.asarray(array).tolist()]

    @property
    def spec(self) -> Labels:
        return Labels(len(self._labels), self._several, self._ordinal is not None, tuple(self._counts))

    def unseen(self, raw: Any) -> list[str]:
        return [label for label in self._read(raw) if label not in self._number]

    def features(self, cells: Sequence[Any]) -> Features:
        """The label, or the labels together as one."""
        return Features("label", [str(raw) for raw in cells])

    def facts(self) -> dict:
        kind = {} if self._kind == TEXT else {"kind": self._kind}
        return {"labels": list(self._labels), "counts": list(self._counts), **kind}

    def extended(self, earlier: Mapping[str, Any], fitted: Mapping[str, Any]) -> Mapping[str, Any]:
        return extended(earlier, fitted, "labels")

    def restore(self, facts: dict) -> None:
        self._set(list(facts["labels"]), list(facts["counts"]), facts.get("kind", TEXT))

    def parse(self, field: str) -> str | list[str] | None:
        if self._several:
            return [label for part in field.split(self._separator) if (label := part.strip())]
        return field.strip() or None

    def take(self, raw: Any) -> Any:
        return None if is_missing(raw) else raw

    def write(self, raw: str | list[str] | None) -> str:
        """The label; with `multilabel` the labels with the separator between them."""
        if self._several:
            return one_line(self._separator.join(self._read(raw)))
        return "" if raw is None else one_line(_text(raw))


def _kind(label: Any) -> str:
    """What a label of a training row is: a truth value, a whole number (a table may have made it real), or a text."""
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, bool):
        return TRUTH
    return WHOLE if isinstance(label, (int, float)) else TEXT


def _text(label: Any) -> str:
    """A label as its text: `true` and `false` as in JSON, whole numbers as their digits, also where a table made them
    real."""
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, str) and label.strip():
        return label.strip()
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, int) or (isinstance(label, float) and label.is_integer()):
        return str(int(label))
    if isinstance(label, str):
        raise DataError("a label is empty; leave the cell out (null) where a row has none")
    if isinstance(label, float):
        raise DataError(f"{ALLOWED}, not {label}; a column of real numbers is a `number`")
    raise DataError(f"{ALLOWED}, not {shown(label)}; `multilabel: true` takes lists")
