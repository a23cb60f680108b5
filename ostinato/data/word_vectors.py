"""Word vectors trained before, read from a text file for the words of a vocabulary."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ostinato.data.lines import BLOCK_BYTES, text_blocks
from ostinato.errors import DataError

HEADER = re.compile(r"(\d+) (\d+)")
"""The first line of word2vec's text: how many words, and how wide."""
NONE, LOWER, EXACT = range(3)
"""How well a word of the file is a word of the vocabulary."""


class Vectors(NamedTuple):
    """What a file gives.

    Args:
        table: (V, width) float32, the vector of each word that was asked for.
        levels: (V,) how it was found: EXACT, LOWER or NONE.
        words: of the file's beginning, as many as were asked for, each once.
        beside: (words, width) float32, their vectors.
    """

    table: np.ndarray
    levels: np.ndarray
    words: list[str]
    beside: np.ndarray


def read(path: Path, title: str, words: Sequence[str | None], *, seed: int, most: float = 0) -> Vectors:
    """A vector for each word, and the first words of the file with theirs; memory grows with these, not with the file.

        found      its own vector, else that of its lower case
        not found  drawn from the normal distribution with the mean and deviation of each component over the whole file

    A word that occurs twice has its first vector. A word may hold spaces: the numbers are the last fields of a
    line.

    Args:
        path: text, `word v1 v2 ...` a line; its first line may be `count width`, as word2vec writes it.
        title: what an error calls the file.
        words: of each symbol; None draws its vector.
        seed: of what is drawn.
        most: how many words of the file's beginning are given, inf for all.

    Errors:
        DataError: a line is not a word and as many finite numbers as the others, or the file is shorter than its first
            line promises.
    """
    wanted: dict[str, list[tuple[int, int]]] = {}
    for row, word in enumerate(words):
        if word is not None:
            wanted.setdefault(word, []).append((row, EXACT))
            wanted.setdefault(word.lower(), []).append((row, LOWER))
    levels = np.zeros(len(words), np.int8)
    table, promised, count = None, None, 0
    first_words: dict[str, None] = {}
    first_vectors: list[np.ndarray] = []
    for lines, first in text_blocks(path, title, size=BLOCK_BYTES):
        lines = [line.replace("\t", " ").rstrip(" ") for line in lines]
        if first == 1 and (header := HEADER.fullmatch(lines[0])):
            promised, width = int(header[1]), int(header[2])
            first, lines = 2, lines[1:]
        elif first == 1:
            width = lines[0].count(" ")
        if table is None:
            if not width:
                raise DataError(
                    f"{title} line 1 has no numbers; give text with a word and its vector a line, as GloVe and "
                    "word2vec write it"
                )
            table = np.zeros((len(words), width), np.float32)
            total, squares = np.zeros(width), np.zeros(width)
        here, vectors = _parsed(lines, first, width, title)
        total += vectors.sum(0, dtype=np.float64)
        squares += np.square(vectors, dtype=np.float64).sum(0)
        count += len(here)
        if len(first_words) < most:
            fresh = []
            for at, word in enumerate(here):
                if word not in first_words and len(first_words) < most:
                    first_words[word] = None
                    fresh.append(at)
            first_vectors.append(vectors[fresh])
        for word, vector in zip(here, vectors):
            for row, level in wanted.get(word, ()):
                if levels[row] < level:
                    table[row], levels[row] = vector, level
    if not count or (promised is not None and promised != count):
        promise = f"promises {promised:,} words in line 1" if promised is not None else "has no line"
        raise DataError(f"{title} {promise}, and there are {count:,}; fetch it again, or mend its first line")
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
    drawn = torch.randn(table.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).numpy()
    unknown = levels == NONE
    table[unknown] = (mean + deviation * drawn)[unknown]
    return Vectors(table, levels, list(first_words), np.concatenate([table[:0], *first_vectors]))


def _parsed(lines: list[str], first: int, width: int, title: str) -> tuple[list[str], np.ndarray]:
    """The words of some lines and their vectors; `first` is the number of the first."""
    words, numbers = [], []
    for at, line in enumerate(lines):
        word, _, rest = line.partition(" ")
        if rest.count(" ") != width - 1:
            word, *fields = line.rsplit(" ", width)
            if len(fields) < width:
                raise _malformed(title, first + at, f"has {len(fields):,} numbers, and the vectors are {width:,} wide")
            rest = " ".join(fields)
        words.append(word)
        numbers.append(rest)
    with warnings.catch_warnings():
        # numpy stops at what is no number with a warning that will be an error.
        warnings.simplefilter("error", DeprecationWarning)
        try:
            values = np.fromstring(" ".join(numbers), dtype=np.float32, sep=" ")
        except (DeprecationWarning, ValueError):
            values = np.empty(0, np.float32)
    if values.size != len(lines) * width or not np.isfinite(values).all():
        for at, rest in enumerate(numbers):
            if (wrong := next((number for number in rest.split(" ") if not _is_number(number)), None)) is not None:
                raise _malformed(title, first + at, f"has {wrong[:40]!r} where a number is needed")
    return words, values.reshape(len(lines), width)


def _is_number(field: str) -> bool:
    try:
        return bool(np.isfinite(np.float32(field)))
    except ValueError:
        return False


def _malformed(title: str, line: int, what: str) -> DataError:
    return DataError(
        f"{title} line {line} {what}; each line is a word and its vector, as GloVe and word2vec write it in text; mend "
        "or delete it"
    )
