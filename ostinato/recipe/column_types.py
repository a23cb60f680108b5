"""The type of a column of a table, inferred from a look at its cells, with the reason and what to write where the guess
is wrong."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ostinato.errors import DataError
from ostinato.raw.numbers import are_codes, as_number, readings
from ostinato.raw.times import times_of
from ostinato.registry import component, names

EACH_LABEL = 5
"""A label is seen so often on average; text and measurements mostly differ from row to row."""
MOST_LABELS = 200
MOST_RATINGS = 10
FAULTY = 0.02
"""Rows that may have another number of labels than of steps: they are refused by name then."""
SURE_ROWS = 50
"""Fewer rows than these make no guess a sure one."""
EACH_SYMBOL = 20
"""Symbols of a small closed vocabulary are seen so often on average."""
PART_SEPARATORS, MOSTLY = (";", "|"), 0.9
"""What divides the parts of a cell such as `N;GEN;SG`, and the share of cells that have several."""
LABEL_SEPARATORS, SEVERAL = ("|", ";"), 0.1
"""What divides the labels of a row; the share of rows that have several, and that have one."""
MOST_LETTERS = 26
LONG_WORD = 12
OWN = 0.95
"""The share of different values from which on they are ids."""

PHRASE = 3
"""Words of a value on average from which on an input's few values are phrases, read word by word."""


@dataclass(frozen=True)
class Guess:
    """The type of a column.

    Args:
        settings: a modality's name, or a mapping as in a recipe.
        reason: what was seen.
        instead: what to write where the guess is wrong; None where it is sure or was named.
    """

    settings: Any
    reason: str
    instead: str | None = None

    def __str__(self) -> str:
        return self.reason if self.instead is None else f"{self.reason}; NOT SURE: {self.instead}"


def held(cells: Sequence[Any]) -> list[Any]:
    """The cells that hold something; among numbers and nothing else words such as NA hold nothing, elsewhere they
    may be labels."""
    there = [cell for cell in cells if cell is not None and not (isinstance(cell, str) and not cell.strip())]
    return there if numbers_in(there) is None else [cell for cell in there if as_number(cell) is not None]


def kind_of(kind: str | None, cells: Sequence[Any]) -> Guess:
    """The kind that the caller named, or that the cells of an input look like, none of them missing."""
    return Guess(kind, "as told") if kind is not None else _of_parts(cells) or _of_phrases(cells) or _guessed(cells)


def output_kind(kind: str | None, cells: Sequence[Any]) -> Guess:
    """As `kind_of`, for an output."""
    guess = Guess(kind, "as told") if kind is not None else _guessed(cells)
    if guess.settings == "series":
        return Guess("tokens", guess.reason, "lists of numbers are forecast with --out COLUMN:series")
    return (_of_several(cells) if kind is None else None) or guess


def _of_several(cells: Sequence[Any]) -> Guess | None:
    """Labels between separators, fewer than the combinations that they make: a row has several of them, in any
    order."""
    for separator, rows, labels in _divided(cells, LABEL_SEPARATORS, EACH_LABEL):
        twice = any(len(set(row)) < len(row) for row in rows)
        # Where no row has one alone, as in N;GEN;SG, they are the parts of one label.
        several = min(sum(len(row) > 1 for row in rows), sum(len(row) == 1 for row in rows))
        if not twice and several >= SEVERAL * len(rows):
            shown = ", ".join(_short(label) for label, _ in labels.most_common(3))
            combined = len(set(map(tuple, rows)))
            reason = f"{len(labels)} labels, such as {shown}, in {combined} combinations: a row has several or none"
            settings = {"type": "category", "multilabel": True}
            settings |= {} if separator == LABEL_SEPARATORS[0] else {"separator": separator}
            return Guess(settings, reason, "for one label in each row write category, for a sequence tokens")
    return None


def kind_of_files(endings: Collection[str], binary: bool = True, folders: bool = False) -> Guess | None:
    """The kind of a column of files; None where no modality reads all of them.

    Args:
        endings: of the files, each with its dot.
        binary: whether their bytes are no text.
        folders: whether a row names a folder of them.
    """
    members = {name: component("modalities", name) for name in names("modalities")}
    members = {
        name: member
        for name, member in members.items()
        if not member.another_reading and (member.reads_folders or not folders)
    }
    kinds = [name for name, member in members.items() if set(endings) <= set(member.file_endings)]
    if not kinds:
        return None
    first, *others = kinds
    binary = binary and not set(endings) <= members[first].file_rows.keys()
    settings = members[first].file_settings if binary else {}
    return Guess(
        {"type": first, **settings} if settings else first,
        f"files that end in {', '.join(sorted(endings))}",
        f"if they are {others[0]} write {others[0]}" if others else None,
    )


def _guessed(cells: Sequence[Any]) -> Guess:
    if all(isinstance(cell, bool) for cell in cells):
        return Guess("category", "true or false")
    if any(isinstance(cell, (list, tuple)) for cell in cells):
        return _of_lists([list(cell) for cell in cells if isinstance(cell, (list, tuple))])
    numbers = numbers_in(cells)
    if numbers is not None and not are_codes(cells):
        return _of_numbers(numbers)
    texts = [str(cell) for cell in cells]
    if numbers is not None:
        kind, different = "category" if _are_labels(texts) else "text", len(set(texts))
        reason = f"{different:,} different codes such as {_short(texts[0])}, which lose zeros or digits as numbers"
        return Guess(kind, reason, "for amounts write number")
    written = [text for text in texts if not any(map(str.isalpha, text)) and readings(text)]
    if written and all(readings(text) or numbers_in([text]) is not None for text in texts):
        return Guess("number", f"numbers with signs that have to go first, such as {_short(written[0])}")
    return _of_texts(texts)


def _of_texts(texts: Sequence[str], *, may_be_labels: bool = True) -> Guess:
    different = Counter(text.strip() for text in texts)
    share = f"{len(different):,} different values in {len(texts):,} rows"
    if may_be_labels and _are_labels(texts):
        shown = ", ".join(_short(label) for label, _ in different.most_common(3))
        is_sure = (
            len(texts) >= SURE_ROWS and len(different) * 2 * EACH_LABEL <= len(texts) and max(map(len, different)) <= 60
        )
        return Guess("category", f"{share}, such as {shown}", None if is_sure else "for free text write text")
    words = [text.split() for text in texts]
    letters = set("".join(texts))
    mean = statistics.fmean(map(len, words))
    if max(map(len, words)) == 1 and len(letters) <= MOST_LETTERS and statistics.fmean(map(len, texts)) >= LONG_WORD:
        reason = f"no blanks and {len(letters)} different letters, as in DNA and protein: each letter is a step"
        return Guess({"type": "tokens", "separator": ""}, reason, "for words write text")
    vocabulary = Counter(word for row in words for word in row)
    if mean >= 2 and len(vocabulary) * EACH_SYMBOL <= sum(vocabulary.values()) and not _is_prose(vocabulary):
        reason = f"{len(vocabulary):,} different words over and over in {len(texts):,} rows"
        return Guess("tokens", reason, "for sentences write text, whose pieces also cover words never seen")
    return Guess("text", f"{share}, {mean:.1f} words each")


def _are_labels(texts: Sequence[str]) -> bool:
    different = len({text.strip() for text in texts})
    return different * EACH_LABEL <= len(texts) and different <= MOST_LABELS


def _of_phrases(cells: Sequence[Any]) -> Guess | None:
    """Few phrases over and over, such as questions: words, of which there may be others in other rows."""
    texts = [cell for cell in cells if isinstance(cell, str)]
    phrases = {text.strip() for text in texts}
    if len(texts) < len(cells) or sum(len(phrase.split()) for phrase in phrases) < PHRASE * len(phrases):
        return None
    return _of_texts(texts, may_be_labels=False)


def _of_parts(cells: Sequence[Any]) -> Guess | None:
    """Symbols between separators, fewer than the combinations that they make: new combinations of them have a meaning
    too."""
    for separator, rows, parts in _divided(cells, PART_SEPARATORS, EACH_SYMBOL):
        if sum(len(row) > 1 for row in rows) >= MOSTLY * len(rows):
            combinations = set(map(separator.join, rows))
            shown = _short(max(combinations, key=len))
            reason = f"{len(parts)} different parts in {len(combinations)} combinations, such as {shown}"
            return Guess(
                {"type": "tokens", "separator": separator},
                f"{reason}: each part is a step",
                "for one label write category",
            )
    return None


def _divided(
    cells: Sequence[Any], separators: Iterable[str], least: int
) -> Iterator[tuple[str, list[list[str]], Counter[str]]]:
    """Cells of one word each by the separators that divide them into fewer parts than combinations of these, each seen
    so often on average: the separator, the parts of each cell, and how often each occurs."""
    texts = [cell.strip() for cell in cells if isinstance(cell, str)]
    combinations = set(texts)
    if len(texts) < len(cells) or any(len(text.split()) != 1 for text in combinations):
        return
    for separator in separators:
        rows = [text.split(separator) for text in texts]
        parts = Counter(part for row in rows for part in row)
        if len(parts) < len(combinations) and len(parts) * least <= parts.total() and "" not in parts:
            yield separator, rows, parts


def _of_lists(lists: Sequence[list[Any]]) -> Guess:
    items = [item for cell in lists for item in cell if item is not None]
    if items and all(isinstance(item, (int, float, list)) and not isinstance(item, bool) for item in items):
        if any(isinstance(item, (float, list)) for item in items):
            return Guess("series", "lists of numbers")
        return Guess("tokens", "lists of whole numbers", "for measurements write series")
    return Guess("tokens", "lists of symbols")


def numbers_in(cells: Sequence[Any]) -> list[float] | None:
    """The numbers among cells that are numbers or signs of a missing one, as the modality reads them; None where
    one is neither."""
    try:
        return [number for cell in cells if (number := as_number(cell)) is not None]
    except DataError:
        return None


def is_series(cells: Sequence[Any], in_lists: bool = False) -> bool:
    """Whether a column holds numbers, a row a step, or a list of them in each row."""
    if in_lists:
        return (
            bool(cells)
            and all(isinstance(cell, (list, tuple)) for cell in cells)
            and _of_lists(cells).settings == "series"
        )
    return bool(cells) and numbers_in(cells) is not None


def why_no_number(cell: Any) -> str:
    """Why a cell cannot be read as a number or as a missing one; nothing where it can."""
    try:
        as_number(cell)
    except DataError as why:
        return str(why)
    return ""


def _of_numbers(numbers: Sequence[float]) -> Guess:
    different = sorted(set(numbers))
    few = len(different) * EACH_LABEL <= len(numbers) and len(different) <= MOST_RATINGS
    if few and all(number.is_integer() for number in different):
        shown = [int(number) for number in different]
        if len(different) <= 2 and set(different) <= {0.0, 1.0}:
            return Guess("category", "0 or 1")
        ordered = f"{{type: category, ordinal: [{', '.join(map(str, shown))}]}}"
        instead = f"for ratings write {ordered}, for amounts number"
        return Guess("category", f"few whole numbers: {', '.join(map(str, shown))}", instead)
    reason = f"numbers from {different[0]:g} to {different[-1]:g}"
    if all(number.is_integer() for number in numbers) and len(different) * EACH_LABEL <= len(numbers):
        return Guess("number", reason, f"{len(different):,} different whole numbers; for codes write category")
    return Guess("number", reason)


def is_numbering(cells: Sequence[Any]) -> bool:
    """Whether a column counts the rows."""
    numbers = numbers_in(cells) or []
    return len(numbers) > 1 and all(after - before == 1 for before, after in zip(numbers, numbers[1:]))


def is_id(cells: Sequence[Any]) -> bool:
    """Whether nearly every cell is a word of its own with a digit, as the ids of rows are."""
    words = [cell for cell in cells if isinstance(cell, str) and len(cell.split()) == 1 and any(map(str.isdigit, cell))]
    enough = len(cells) >= SURE_ROWS and len(words) >= MOSTLY * len(cells) and numbers_in(words) is None
    return enough and len(set(words)) >= OWN * len(words)


def is_dates(cells: Sequence[Any]) -> bool:
    """Whether a column holds dates alone."""
    times = times_of(cells) if cells else None
    return times is not None and times.dtype.kind == "M"


def _is_prose(vocabulary: Counter[str]) -> bool:
    """Whether words end with the marks of sentences."""
    return any(word[-1] in ".,;:!?" for word in vocabulary if len(word) > 1)


def labels_of_steps(
    output: str, inputs: Mapping[str, str | None], cells: Mapping[str, list[Any]]
) -> tuple[Guess, str, Any] | None:
    """Where the output has as many labels as an input has steps in every row: the labels, that input, and its
    settings."""
    whole = [str(cell) for cell in held(cells[output])]
    few = len(set(whole)) * EACH_LABEL <= len(whole)
    for name, kind in inputs.items():
        if kind not in (None, "tokens", "text"):
            continue
        pairs = [
            (source, wanted)
            for source, wanted in zip(cells[name], cells[output])
            if source is not None and wanted is not None
        ]
        for separator, settings in ((" ", "tokens"), ("", {"type": "tokens", "separator": ""})):
            both = [(_cut(source, separator), _cut(wanted, separator)) for source, wanted in pairs]
            unlike = sum(len(source) != len(wanted) for source, wanted in both)
            # A faulty row among many makes no other task of them.
            if not both or unlike > FAULTY * len(both) or max(len(source) for source, _ in both) < 2:
                continue
            labels = Counter(label for _, wanted in both for label in wanted)
            # Rows of one length prove nothing, nor do letters of a few labels of whole rows.
            if not separator and (few or len({len(source) for source, _ in both}) == 1):
                continue
            # A list is no label of a whole row.
            in_lists = all(isinstance(wanted, (list, tuple)) for _, wanted in pairs)
            if few and not in_lists and len({len(source) for source, _ in both}) == 1:
                continue
            if len(labels) * EACH_LABEL > sum(labels.values()):
                continue
            type_ = "tags" if separator else {"type": "tags", "separator": ""}
            shown = ", ".join(_short(str(label)) for label, _ in labels.most_common(3))
            unit = "words" if separator else "letters"
            rows = f"in all rows but {unlike}" if unlike else "in every row"
            reason = f"as many labels as {name} has {unit} {rows}, {len(labels)} different, such as {shown}"
            advice = "" if kind != "text" else f"; {name} must have one step per label: write tokens"
            instead = f"where it is not one label per step write tokens{advice}"
            is_sure = len(both) >= SURE_ROWS and kind != "text" and not unlike
            return Guess(type_, reason, None if is_sure else instead), name, settings
    return None


def _cut(cell: Any, separator: str) -> list[Any]:
    if isinstance(cell, (list, tuple)):
        return list(cell)
    return str(cell).split() if separator else list(str(cell))


def _short(text: str) -> str:
    return text if len(text) <= 24 else text[:23] + "\u2026"
