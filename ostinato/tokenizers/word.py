"""Words and punctuation marks."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ostinato.raw.vocabulary import AddedWords, extended, most_frequent
from ostinato.raw.words import pattern
from ostinato.registry import Count
from ostinato.tokenizers._byte_level import readable
from ostinato.tokenizers.contract import Spelt, Tokenizer

# White space for str.split, so that no text can hold it in a piece.
JOINED = "\x1f"


class Word(Tokenizer, Spelt):
    """Each word is a piece, the most frequent first; known pieces come back with single spaces between words.

    A word is letters and digits of any script with their marks, with the apostrophes and hyphens inside it. Punctuation
    marks are pieces of their own that remember on which side they touched a neighbour: `wait, (no)` gives `wait` `,`
    `(` `no` `)` and comes back as it was, and so does `wait , ( no )`.

    Args:
        size: the most pieces to know.
        min_count: how often a piece must occur in the training texts to be known; from 2 up, training sees unknown
            words too.
        split_punctuation: whether punctuation marks are pieces of their own; without, text is split at white space
            only.

    Errors:
        DataError: no piece is left to know.

    Source: the marks that join are those of OpenNMT's tokenizer (joiner annotation), here always on the punctuation.
    """

    exact = False

    def __init__(self, *, size: Count = 30000, min_count: Count = 1, split_punctuation: bool = True):
        self._limit = size
        self._min_count = min_count
        self._split_punctuation = split_punctuation
        self._set({})

    def _set(self, counts: Mapping[str, int], added: AddedWords | None = None) -> None:
        self._added = added or AddedWords()
        self._pieces, self._counts = [*counts, *self._added.words], tuple(counts.values())
        self._number = {piece: number for number, piece in enumerate(counts)}

    def _split(self, text: str) -> Iterable[str]:
        return _pieces(text) if self._split_punctuation else text.split()

    def fit(self, texts: Iterable[str]) -> None:
        self._set(most_frequent((self._split(text) for text in texts), self._limit, self._min_count, "word"))

    @property
    def size(self) -> int:
        return len(self._pieces)

    def encode(self, text: str) -> list[int | None]:
        if not self._added.words and not self.beyond:
            return list(map(self._number.get, self._split(text)))
        return list(map(self._find, self._split(text)))

    def _find(self, piece: str) -> int | None:
        number = self._number.get(piece)
        place = self._added.find(piece.strip(JOINED)) if number is None else None
        number = number if place is None else len(self._number) + place
        return self.beyond.get(piece) if number is None else number

    def unknown(self, text: str) -> list[str]:
        return [piece for piece in dict.fromkeys(self._split(text)) if self._find(piece) is None]

    def decode(self, ids: list[int | None]) -> str:
        pieces = [*self._pieces, *self.beyond] if self.beyond else self._pieces
        text = " ".join("\ufffd" if number is None else pieces[number] for number in ids)
        return text.replace(f" {JOINED}", "").replace(f"{JOINED} ", "").replace(JOINED, "")

    def pieces(self) -> list[str]:
        return [readable(piece.strip(JOINED)) for piece in (*self._pieces, *self.beyond)]

    def spellings(self, text: str) -> list[str]:
        return [piece.strip(JOINED) for piece in self._split(text)]

    def words(self) -> list[str]:
        return [piece.strip(JOINED) for piece in self._pieces]

    def counts(self) -> tuple[int, ...]:
        return self._counts

    @property
    def num_added(self) -> int:
        return len(self._added.words)

    def add_words(self, words: Sequence[str]) -> None:
        self._set(dict(zip(self._number, self._counts)), AddedWords(words))

    def facts(self) -> dict:
        return {"pieces": list(self._number), "counts": list(self._counts), **self._added.facts()}

    def extended(self, earlier: dict[str, Any], fitted: dict[str, Any]) -> dict[str, Any]:
        return extended(earlier, fitted, "pieces")

    def restore(self, facts: dict) -> None:
        pieces = facts["pieces"]
        # Runs of before counts were kept have none.
        self._set(dict(zip(pieces, facts.get("counts", [0] * len(pieces)))), AddedWords.of(facts))


def _pieces(text: str) -> Iterator[str]:
    for chunk in text.split():
        if chunk.isalpha():
            yield chunk
        else:
            yield from _chunk(chunk)


@functools.lru_cache(maxsize=65536)
def _chunk(chunk: str) -> tuple[str, ...]:
    """The pieces of a run without white space; of two that touch, the mark to join them is on a symbol, never on a
    word."""
    parts = [(match[0], match[1] is not None) for match in pattern().finditer(chunk)]
    pieces = []
    for place, (piece, is_word) in enumerate(parts):
        if not is_word:
            before = JOINED if place > 0 else ""
            after = JOINED if place + 1 < len(parts) and parts[place + 1][1] else ""
            piece = before + piece + after
        pieces.append(piece)
    return tuple(pieces)
