"""Counterfactual pairs: held-out rows with words swapped by a list, and how often the answer flips."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ostinato.data.examples import Examples
from ostinato.errors import DataError
from ostinato.evaluation.draws import wilson
from ostinato.evaluation.predictions import chunks, usable
from ostinato.metrics.contract import Measured
from ostinato.run.predict import answers
from ostinato.run.run import Row, Run

SHOWN = 20


@dataclass(frozen=True)
class Flip:
    """A row whose answer changes with its words.

    Args:
        place: of the row.
        output: whose answer it is.
        text: what is read, swapped.
        before: the answer to the row as it is.
        after: to the swapped one.
    """

    place: str
    output: str
    text: str
    before: str
    after: str


@dataclass(frozen=True)
class Swaps:
    """How often answers flip.

    Args:
        file: of the words.
        rows: that hold a word of it.
        examples: all.
        flipped: of each output the share of these rows whose answer changes, in %.
        flips: the first of them.
    """

    file: str
    rows: int
    examples: int
    flipped: dict[str, Measured]
    flips: list[Flip]

    def lines(self) -> list[str]:
        """The shares, then rows that flip."""
        count = f"{self.rows:,} of {self.examples:,} rows hold a word of {self.file}"
        if not self.rows:
            return [f"{count}: nothing is swapped"]
        shares = [
            f"{output}: swapping them flips {share.value:.3g} % [{share.low:.3g}, {share.high:.3g}] of the answers"
            for output, share in self.flipped.items()
        ]
        rows = [f"{flip.place}: {flip.before} -> {flip.after}: {flip.text}" for flip in self.flips]
        return [count, *shares, *rows]


def read_words(path: Path) -> dict[str, str]:
    """From each word to the one in its place, of a file with two words a line, separated by a comma or a tab.

    Errors:
        DataError: a line has not two words, or a word stands in two pairs.
    """
    swapped: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        words = [word.strip().casefold() for word in re.split(r"[,\t]", line)]
        if len(words) != 2 or not all(words):
            raise DataError(f"{path} line {number}: {line!r}: two words with a comma between, such as `he,she`")
        for word in words:
            if word in swapped:
                raise DataError(f"{path} line {number}: '{word}' stands in another pair too; name each word once")
        swapped |= dict(zip(words, reversed(words)))
    if not swapped:
        raise DataError(f"{path}: holds no pairs of words; give two a line, such as `he,she`")
    return swapped


def swapped_value(raw: Any, words: Mapping[str, str]) -> Any:
    """A text, or a list of words, with each word of a pair in the place of the other; capitals stay."""
    if isinstance(raw, list):
        return [swapped_value(item, words) for item in raw]
    if not isinstance(raw, str):
        return raw
    pattern = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    return re.sub(
        rf"(?<!\w)(?:{pattern})(?!\w)", lambda found: _like(found[0], words[found[0].casefold()]), raw, flags=re.I
    )


def _like(word: str, other: str) -> str:
    if word.isupper() and len(word) > 1:
        return other.upper()
    return other[:1].upper() + other[1:] if word[:1].isupper() else other


def swaps(runs: Sequence[Run], examples: Examples, file: Path) -> Swaps:
    """How often the best answer changes when words of the inputs are swapped: 0 % for a model that they do not move.

    Args:
        runs: one, or several as an ensemble.
        examples: of a split.
        file: of the words, as `read_words` reads it.

    Errors:
        DataError: the file cannot be read.

    Source: counterfactual token fairness: Garg and others 2019, arXiv:1809.10610.
    """
    words, run = read_words(file), runs[0]
    places = [f"inputs.{name}" for name in run.inputs]
    total, held, counts, flips = 0, 0, dict.fromkeys(run.outputs, 0), list[Flip]()
    for pairs in chunks(usable(run, examples, {})):
        total += len(pairs)
        changed = [(number, row, other) for number, row in pairs if (other := _other(row, places, words)) is not None]
        held += len(changed)
        where = partial(_place, examples, [number for number, _, _ in changed])
        before, after = (answers(runs, [pair[side] for pair in changed], place=where) for side in (1, 2))
        for (number, _, other), first, second in zip(changed, before, after):
            for output in counts:
                texts = first[output][0].text, second[output][0].text
                if texts[0] != texts[1]:
                    counts[output] += 1
                    written = (
                        run.modalities[place].write(other[place]) for place in places if other[place] is not None
                    )
                    read = "; ".join(dict.fromkeys(written))
                    flips.append(Flip(examples.place(number), output, read, *texts))
    shares = {output: _share(count, held) for output, count in counts.items()} if held else {}
    return Swaps(str(file), held, total, shares, flips[:SHOWN])


def _place(examples: Examples, numbers: Sequence[int], row: int) -> str:
    return examples.place(numbers[row])


def _other(row: Row, places: Sequence[str], words: Mapping[str, str]) -> dict[str, Any] | None:
    """The row with its words swapped; None where it has none of them."""
    swapped = {place: swapped_value(row[place], words) for place in places if isinstance(row[place], (str, list))}
    return {**row, **swapped} if any(row[place] != value for place, value in swapped.items()) else None


def _share(count: int, rows: int) -> Measured:
    low, high = wilson(count, rows)
    return Measured(100 * count / rows, 100 * low, 100 * high, f"wilson over {rows} examples")
