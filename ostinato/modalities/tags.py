"""One label for each step of an input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ostinato.errors import ConfigError, DataError, nearest, shown
from ostinato.modalities._fields import TEXT, WHOLE, Digits, as_kind, is_missing, items, one_line, why_labels_are_new
from ostinato.modalities.contract import MISSING, Array, Choices, Labels, Modality
from ostinato.raw import schemes
from ostinato.raw.vocabulary import extended

MOST_KINDS = 30
"""Labels of spans from which on a scheme with fewer tags is chosen: a CRF's time grows with the square of the tags. 79
labels (ATIS, 4,478 short rows) make 317 tags in bioes and took 20 seconds of processor time an epoch."""


class Tags(Modality):
    """One label for each step of an input: parts of speech, named entities, states of a protein.

        ids = number of the label, -1 where nobody gave one

    A raw value is a list of strings, or a field of text that the separator splits; whole numbers in a list count as
    their digits. Separators in a row count as one, unless `missing` is empty.

    Plain labels (`scheme: none`) are numbered from the most frequent. With a scheme the tags mark spans: they are read
    in the scheme of the data, trained on in `scheme`, and predictions come back in the scheme of the data. Each label
    of a span then has all tags of the scheme, seen or not, and `spec.legal` holds which may follow which. A step
    without a label is None in a raw value; it ends a span, as `O` does.

    Args:
        separator: the text between two labels of a field; empty: each character is a label.
        scheme: what the model is trained on: plain labels, or tags of spans; bioes is mostly the best of these.
        data_scheme: the scheme of the data; auto: the one in which all training sequences are legal.
        lenient: whether a sequence that is not legal in its scheme is read as conlleval reads it; else it is an error.
        missing: the sign of a step without a label, such as `_`; an item null in a list always does.
        unknown: what to do with a label that training did not have: refuse it, or count the step as missing. Metrics
            made from predictions read the data themselves and count it as wrong.

    Errors:
        ConfigError: options that contradict each other.
        DataError: a value is no list of labels, a label is empty, holds the separator or is unknown, a tag belongs to
            no scheme or occurs where the scheme does not allow it, or there is no label to learn.

    Source: Lample et al. 2016 (arXiv:1603.01360), section 3; Ratinov and Roth 2009 (W09-1119) on schemes.
    """

    aligns = frozenset({"each"})
    default_align = "each"
    default_encoder = "recurrent"
    default_head = {"each": "tagger"}
    metrics = {
        "each": (
            {"type": "accuracy", "over": "steps"},
            {"type": "f1", "average": "macro", "over": "steps"},
            {"type": "span_f1", "measure": "precision"},
            {"type": "span_f1", "measure": "recall"},
            "span_f1",
            "log_loss",
        )
    }
    labels_beyond_fraction = True

    @staticmethod
    def main_metric(settings: Any) -> str | None:
        """Of spans their F1: most steps lie outside of all."""
        return "span_f1" if settings.scheme != "none" else None

    def __init__(
        self,
        *,
        separator: str = " ",
        scheme: Literal["none", "iob1", "iob2", "bioes"] = "none",
        data_scheme: Literal["auto", "iob1", "iob2", "bioes"] = "auto",
        lenient: bool = False,
        missing: str | None = None,
        unknown: Literal["error", "missing"] = "error",
    ):
        for name, is_set in (("data_scheme", data_scheme != "auto"), ("lenient", lenient)):
            if is_set and scheme == "none":
                raise ConfigError(
                    f"{name}: plain labels have no scheme to read; give scheme: bioes too, or leave {name} out"
                )
        if missing is not None and (len(missing) != 1 if not separator else separator in missing):
            allowed = "one character, since each is a label" if not separator else f"a text without {separator!r} in it"
            raise ConfigError(
                f"missing: {missing!r} cannot be part of a field with separator: {separator!r}; give {allowed}"
            )
        self._separator = separator
        self._scheme = None if scheme == "none" else scheme
        self._asked = None if data_scheme == "auto" else data_scheme
        self._reads = self._asked or self._scheme
        self._lenient = lenient
        self._missing = missing
        self._unknown = unknown
        self._set([], [])

    def _set(self, labels: list[str], counts: Sequence[int], kind: str = TEXT) -> None:
        self._labels, self._kind = labels, kind
        self._tags = self._all_tags(labels)
        self._number = {tag: number for number, tag in enumerate(self._tags)}
        legal = None if self._scheme is None else schemes.legal(self._tags, self._scheme)
        self._spec = Labels(len(self._tags), counts=tuple(counts), legal=legal)

    def _all_tags(self, labels: list[str]) -> list[str]:
        return labels if self._scheme is None else schemes.vocabulary(labels, self._scheme)

    def _read(self, raw: Any) -> list[str | None]:
        if isinstance(raw, str):
            return self.parse(raw)
        return [self._label(label) for label in items(raw, "label")]

    def _label(self, label: Any) -> str | None:
        if isinstance(label, int) and not isinstance(label, bool):
            label = Digits(label)
        if is_missing(label):
            return None
        if not isinstance(label, str):
            raise DataError(f"a label must be a string or a whole number, not {shown(label)}")
        return None if label == self._missing else label

    def choices(
        self, train: Iterable[Any], valid: Iterable[Any], gives: Callable[[str], bool], summarized: bool
    ) -> Choices:
        """Spans where all tags are those of a scheme, chosen together by a CRF; missing labels where some of other rows
        are new."""
        tags: Counter[str] = Counter()
        detector = schemes.Detector()
        marks_spans = True
        for raw in train:
            read = self._read(raw)
            tags.update(tag for tag in read if tag is not None)
            marks_spans = marks_spans and all(tag is None or schemes.split(tag) for tag in read)
            if marks_spans:
                detector.add(read)
        seen = {label for raw in valid for label in self._read(raw) if label is not None}
        choices: Choices = {}
        kinds, labels = tags, seen
        marks_spans = marks_spans and _begins_spans(tags) and all(map(schemes.split, seen))
        if self._scheme is not None or (marks_spans and not gives("scheme")):
            kinds, labels = _kinds(tags), {schemes.split(tag)[1] for tag in seen if schemes.split(tag)} - {""}
            reason = f"its labels mark spans in {detector.scheme()}, such as {max(kinds, key=kinds.__getitem__) or 'B'}"
            if self._scheme is None:
                choices["scheme"] = (
                    ("bioes", f"{reason}; the last step and spans of one step have tags of their own")
                    if len(kinds) <= MOST_KINDS
                    else ("iob2", f"{reason}; {len(kinds):,} labels in bioes would make a CRF slow")
                )
                choices["lenient"] = True, "tags that the scheme does not allow are read as conlleval reads them"
            choices["head.type"] = "crf", f"{reason}; which tags may follow each other counts"
        choices["unknown"] = "missing", f"{why_labels_are_new(kinds, labels)}; in metrics they count as wrong"
        return choices

    def fit(self, column: Iterable[Any]) -> None:
        counts: Counter[str] = Counter()
        detector, whole = schemes.Detector(), True
        for raw in column:
            if raw is None:
                continue
            read = self._read(raw)
            whole = whole and all(label is None or isinstance(label, Digits) for label in read)
            if self._scheme is not None:
                detector.add(read)
                read = self._written(read, self._scheme)
            counts.update(label for label in read if label is not None)
        if not counts:
            raise DataError(
                "nothing to learn: the training split holds no label at all (every value is empty, or missing);"
                " check that this is the right column, or leave it out of the recipe"
            )
        if self._scheme is not None:
            # What is not legal in it is refused when it is encoded, where its place is known.
            self._reads = self._asked or detector.scheme()
        for label in counts:
            if self.parse(label) != [label]:
                if not label:
                    raise DataError("a label is empty; name it, or set missing: '' where a step has none")
                raise DataError(
                    f"the label {label!r} cannot be separated from its neighbours with separator: "
                    f"{self._separator!r}; choose a separator that is in no label"
                )
        kinds = counts if self._scheme is None else _kinds(counts)
        labels = sorted(kinds, key=lambda label: (-kinds[label], label))
        numbers = [counts[tag] for tag in self._all_tags(labels)]
        self._set([str(label) for label in labels], numbers, WHOLE if whole else TEXT)

    def encode(self, raw: Any) -> np.ndarray:
        read = self._read(raw)
        if self._scheme is not None:
            wrong = None if self._lenient else schemes.fault(read, self._reads)
            if wrong is not None:
                raise DataError(f"step {wrong.step + 1}: {wrong.reason}; {schemes.ADVICE}")
            read = self._written(read, self._scheme)
        return np.array([self._encoded(label, step) for step, label in enumerate(read)], dtype=np.int32)

    def _encoded(self, tag: str | None, step: int) -> int:
        number = MISSING if tag is None else self._number.get(tag)
        if number is None and self._unknown == "error":
            label = tag if self._scheme is None else tag.partition("-")[2]
            raise DataError(
                f"step {step + 1}: the label '{label}' does not occur in the training "
                f"split{nearest(label, self._labels)}; mend it, leave the row out, or train on data that have it or "
                "with unknown: missing, which leaves such steps out"
            )
        return MISSING if number is None else number

    def unseen(self, raw: Any) -> list[str]:
        pairs = zip(self._read(raw), self.encode(raw))
        return [label for label, number in pairs if label is not None and number == MISSING]

    def _written(self, read: Sequence[str | None], scheme: schemes.Scheme) -> list[str | None]:
        tags = schemes.tags_of(schemes.spans(read), len(read), scheme)
        return [None if label is None else tag for label, tag in zip(read, tags, strict=True)]

    def decode(self, array: Array) -> list[str | None]:
        tags = [None if number == MISSING else self._tags[number] for number in np.asarray(array).tolist()]
        return tags if self._scheme is None else self._written(tags, self._reads)

    def as_given(self, value: Any) -> Any:
        return [label if label is None else as_kind(label, self._kind) for label in value]

    def labels(self, array: Array) -> list[str]:
        return ["<missing>" if number == MISSING else self._tags[number] for number in np.asarray(array).tolist()]

    @property
    def spec(self) -> Labels:
        return self._spec

    def facts(self) -> dict:
        facts = {"labels": list(self._labels), "counts": list(self._spec.counts)}
        facts |= {} if self._kind == TEXT else {"kind": self._kind}
        return facts if self._scheme is None else {**facts, "reads": self._reads}

    def extended(self, earlier: Mapping[str, Any], fitted: Mapping[str, Any]) -> Mapping[str, Any]:
        labels = extended(earlier, fitted, "labels")["labels"]
        counts = dict(zip(self._all_tags(fitted["labels"]), fitted["counts"]))
        return {**fitted, "labels": labels, "counts": [counts.get(tag, 0) for tag in self._all_tags(labels)]}

    def restore(self, facts: dict) -> None:
        if self._scheme is not None:
            self._reads = facts["reads"]
        self._set(list(facts["labels"]), list(facts["counts"]), facts.get("kind", TEXT))

    def parse(self, field: str) -> list[str | None]:
        labels = field.split(self._separator) if self._separator else list(field)
        if self._missing != "":
            labels = [label for label in labels if label]
        return [None if label == self._missing else label for label in labels] if field else []

    def take(self, raw: Any) -> list[str | None] | None:
        return None if is_missing(raw) else self._read(raw)

    def spans_of(self, raw: Any) -> list[schemes.Span] | None:
        return None if self._scheme is None else schemes.spans(self._read(raw))

    def write(self, raw: list[str | None] | str) -> str:
        """The labels with the separator between them; a tab or line break in one is escaped, which `parse` does not
        undo. A text that nobody has split stays what it is.

        Errors:
            DataError: a step has no label, and no setting has a sign for that.
        """
        if isinstance(raw, str):
            return one_line(raw)
        if None in raw and self._missing is None:
            raise DataError(
                f"step {list(raw).index(None) + 1} has no label; set missing to the sign of that in a field, such "
                "as '_'"
            )
        return one_line(self._separator.join(self._missing if label is None else label for label in raw))


def _begins_spans(tags: Collection[str]) -> bool:
    """Whether these tags of a scheme, the outside among them, begin spans: some with a label, or plain B and I."""
    parts = [schemes.split(tag) for tag in tags]
    has_labels = any(part is not None and part[1] for part in parts)
    return schemes.OUTSIDE in tags and (has_labels or {"B", "I"} <= set(tags))


def _kinds(counts: Counter[str]) -> Counter[str]:
    """How often the labels of spans occur in tags."""
    kinds: Counter[str] = Counter()
    for tag, count in counts.items():
        if tag != schemes.OUTSIDE:
            kinds[tag.partition("-")[2]] += count
    return kinds
