"""Tags that mark spans, in the schemes IOB1, IOB2 and BIOES: read to spans and back, checked, recognized.

    words    Alex  Smith  met  Kim    Lee    in  Rome
    iob1     I-PER I-PER  O    I-PER  B-PER  O   I-LOC     B- only where a span touches one of its own label
    iob2     B-PER I-PER  O    B-PER  B-PER  O   B-LOC     B- at the start of each
    bioes    B-PER E-PER  O    S-PER  S-PER  O   S-LOC     E- at the end of each, S- for a span of one step

BILOU (U- for S-, L- for E-) and BMES (M- for I-) are BIOES in other letters, and are read as it.

The start and the end of a sequence act like `O` in all three, and so does a step that nobody gave a tag.

Source: Ramshaw and Marcus 1995 (IOB1); Ratnaparkhi 1998 (IOB2); Tjong Kim Sang and Veenstra 1999 (cs/9907006),
conlleval.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from ostinato.errors import DataError

Scheme = Literal["iob1", "iob2", "bioes"]

PREFIXES: dict[Scheme, str] = {"iob2": "BI", "iob1": "BI", "bioes": "BIES"}
"""The letters before the hyphen, beside O; where schemes are equally good, the first is taken."""
OUTSIDE = "O"
BIOES = {"U": "S", "L": "E", "M": "I"}
"""The letters of BILOU and BMES, and what they are in BIOES, as which they are read."""
_OUT = (OUTSIDE, "")


@dataclass(frozen=True)
class Legal:
    """Which tags may begin a sequence, end it and follow each other: `follows[a][b]` is whether b may come after
    a."""

    starts: tuple[bool, ...]
    ends: tuple[bool, ...]
    follows: tuple[tuple[bool, ...], ...]


class Span(NamedTuple):
    """The steps from `first` up to but without `after` carry `label`."""

    label: str
    first: int
    after: int


class Fault(NamedTuple):
    """Where a sequence of tags leaves its scheme: at `step`, counted from 0, and why."""

    step: int
    reason: str


@lru_cache(maxsize=8192)
def split(tag: str) -> tuple[str, str] | None:
    """B-PER as (B, PER), O as (O, no label), B alone as (B, no label); None for what no scheme has."""
    if tag == OUTSIDE:
        return _OUT
    prefix, hyphen, label = tag.partition("-")
    prefix = BIOES.get(prefix, prefix) if hyphen else prefix
    return (prefix, label) if prefix in ("B", "I", "E", "S") and bool(hyphen) == bool(label) else None


def joined(prefix: str, label: str) -> str:
    """(B, PER) as B-PER, (B, no label) as B."""
    return f"{prefix}-{label}" if label else prefix


def spans(tags: Sequence[str | None]) -> list[Span]:
    """The spans of a sequence by conlleval's definition, which gives every sequence a meaning, legal or not.

        A span continues at I- or E- after B- or I- of the same label, and ends everywhere else; any other tag but O
        begins one.

    A legal sequence has one meaning, whichever scheme it is in.

    Errors:
        DataError: a tag belongs to no scheme.

    Source: conlleval (CoNLL-2000 and later), with S- as its successors for BIOES read it.
    """
    marked, start, before = [], 0, _OUT
    for step, here in enumerate([*_parts(tags), _OUT]):
        if not (here[0] in "IE" and before[0] in "BI" and here[1] == before[1]):
            if before is not _OUT:
                marked.append(Span(before[1], start, step))
            start = step
        before = here
    return marked


def tags_of(marked: Iterable[Span], length: int, scheme: Scheme) -> list[str]:
    """The tags of spans that do not overlap and are in order, in a sequence of `length` steps."""
    tags, before = [OUTSIDE] * length, Span("", -1, -1)
    for span in marked:
        last, size = span.after - 1, span.after - span.first
        touches = before.after == span.first and before.label == span.label
        first_prefix = {"iob1": "B" if touches else "I", "iob2": "B", "bioes": "B" if size > 1 else "S"}[scheme]
        tags[span.first : span.after] = [joined("I", span.label)] * size
        if scheme == "bioes":
            tags[last] = joined("E", span.label)
        tags[span.first] = joined(first_prefix, span.label)
        before = span
    return tags


def fault(tags: Sequence[str | None], scheme: Scheme) -> Fault | None:
    """The first place where a sequence is not legal in a scheme, or None.

    Errors:
        DataError: a tag belongs to no scheme.
    """
    before = _OUT
    for step, here in enumerate(_parts(tags)):
        if here[0] not in PREFIXES[scheme] and here != _OUT:
            return Fault(step, f"'{tags[step]}' is no tag of {scheme}")
        if not allowed(before, here, scheme):
            follows = f"follows '{tags[step - 1] or OUTSIDE}'" if step else "begins the sequence"
            return Fault(step, f"'{tags[step] or OUTSIDE}' {follows}, which {scheme} does not allow")
        before = here
    if not allowed(before, _OUT, scheme):
        return Fault(len(tags) - 1, f"'{tags[-1]}' ends the sequence, which {scheme} does not allow")
    return None


def allowed(before: tuple[str, str], after: tuple[str, str], scheme: Scheme) -> bool:
    """Whether one (prefix, label) may follow another; the start and the end of a sequence count as outside."""
    open_before = before[0] in "BI"
    if scheme == "bioes":
        goes_on = after[0] in "IE"
        return open_before == goes_on and (not goes_on or before[1] == after[1])
    needs_same = "B" if scheme == "iob1" else "I"
    return after[0] != needs_same or (open_before and before[1] == after[1])


def vocabulary(labels: Iterable[str], scheme: Scheme) -> list[str]:
    """O, and each label with every prefix of the scheme."""
    return [OUTSIDE, *(joined(prefix, label) for label in labels for prefix in PREFIXES[scheme])]


def legal(tags: Sequence[str], scheme: Scheme) -> Legal:
    """Which of these tags may begin a sequence, end it and follow each other."""
    parts = _parts(tags)
    return Legal(
        starts=tuple(allowed(_OUT, tag, scheme) for tag in parts),
        ends=tuple(allowed(tag, _OUT, scheme) for tag in parts),
        follows=tuple(tuple(allowed(tag, other, scheme) for other in parts) for tag in parts),
    )


class Detector:
    """Finds the scheme of a column that is read once: the one in which the fewest of its sequences are not legal."""

    def __init__(self) -> None:
        self._faults: Counter[Scheme] = Counter()

    def add(self, tags: Sequence[str | None]) -> None:
        """Looks at one sequence.

        Errors:
            DataError: a tag belongs to no scheme.
        """
        self._faults.update(scheme for scheme in PREFIXES if fault(tags, scheme) is not None)

    def scheme(self) -> Scheme:
        """The scheme with the fewest faults so far; iob2 where no sequence holds a span."""
        return min(PREFIXES, key=lambda scheme: self._faults[scheme])


ADVICE = (
    "mend the data, set lenient: true to read spans as conlleval does, or scheme: none to take tags as plain labels"
)


def _parts(tags: Sequence[str | None]) -> list[tuple[str, str]]:
    parts = [_OUT if tag is None else split(tag) for tag in tags]
    if None in parts:
        step = parts.index(None)
        raise DataError(
            f"step {step + 1}: '{tags[step]}' is no tag of a scheme; allowed are O and B-, I-, E- or S- before a "
            "label, such as B-PER; with plain labels, such as parts of speech, give scheme: none"
        )
    return parts
