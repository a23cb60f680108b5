"""What text and tokens have in common: special symbols, and the spelling of words beside their numbers, so that unknown
words still differ by their letters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ostinato.modalities.contract import Array
from ostinato.raw.vocabulary import extended

BEGIN, END, UNKNOWN, FIRST = range(4)
"""The numbers of special symbols, and the first of the others."""
UNKNOWN_RATE = 0.25
"""alpha of Kiperwasser and Goldberg 2016, section 4: a word that occurred once is read as unknown a fifth of the
time."""
SPECIAL = ("<begin>", "<end>", "<unknown>")
UNKNOWN_CHARACTER, FIRST_CHARACTER = 1, 2
LONGEST_SPELLING = 20
"""Longer words are links and numbers more than words, and every word of a batch takes as much room as the longest."""


class Spelling:
    """The characters of words as numbers: 0 after the last, 1 for one that training did not know, the others in sorted
    order."""

    def __init__(self) -> None:
        self.restore({"characters": [], "longest": 0})

    def fit(self, words: Collection[str]) -> None:
        longest = max(map(len, words), default=0)
        # A new word may be longer, and its ending tells most of it.
        longest = min(LONGEST_SPELLING, longest + longest // 2)
        self.restore({"characters": sorted(set().union(*words)), "longest": longest})

    @property
    def kinds(self) -> tuple[int, ...]:
        """The kind of each number's character, as `Symbols.kinds` has them."""
        return 0, 0, *(_kind(character) for character in self._characters)

    @property
    def size(self) -> int:
        """How many numbers there are, 0 included."""
        return len(self._characters) + FIRST_CHARACTER

    def beside(self, ids: Array, words: Sequence[str]) -> np.ndarray:
        """The steps (T, 1 + L) of words with these numbers, spelt so."""
        encoded = np.zeros((len(ids), 1 + self.longest), dtype=np.int32)
        encoded[:, 0] = ids
        number = self._number.get
        for row, word in enumerate(words):
            spelling = [number(character, UNKNOWN_CHARACTER) for character in word[: self.longest]]
            encoded[row, 1 : 1 + len(spelling)] = spelling
        return encoded

    def facts(self) -> dict:
        return {"characters": list(self._characters), "longest": self.longest}

    def extended(self, earlier: Mapping[str, Any], fitted: Mapping[str, Any]) -> dict[str, Any]:
        """The characters of an earlier run with new ones at their end; as many of a word are read as there."""
        return {"characters": extended(earlier, fitted, "characters")["characters"], "longest": earlier["longest"]}

    def restore(self, facts: dict) -> None:
        self._characters, self.longest = list(facts["characters"]), facts["longest"]
        self._number = {character: number for number, character in enumerate(self._characters, FIRST_CHARACTER)}


def _kind(character: str) -> int:
    return 2 if character.isupper() else 1 if character.isalpha() else 3 if character.isdigit() else 0


def numbers(steps: Array) -> list[int]:
    """The numbers of the words, with a spelling beside them or without."""
    array = np.asarray(steps)
    return (array[:, 0] if array.ndim == 2 else array).tolist()
