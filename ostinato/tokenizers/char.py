"""Characters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ostinato.raw.vocabulary import extended, most_frequent
from ostinato.registry import Count
from ostinato.tokenizers._byte_level import readable
from ostinato.tokenizers.contract import Tokenizer


class Char(Tokenizer):
    """Each Unicode code point is a piece, the most frequent first; a text of known characters comes back exactly.

    Args:
        size: the most characters to know; null: all.
        min_count: how often a character must occur in the training texts to be known.

    Errors:
        DataError: no character is left to know.
    """

    exact = False

    def __init__(self, *, size: Count | None = None, min_count: Count = 1):
        self._limit = size
        self._min_count = min_count
        self._set([])

    def _set(self, pieces: list[str]) -> None:
        self._pieces = pieces
        self._number = {piece: number for number, piece in enumerate(pieces)}

    def fit(self, texts: Iterable[str]) -> None:
        self._set(list(most_frequent(texts, self._limit, self._min_count, "character")))

    @property
    def size(self) -> int:
        return len(self._pieces)

    def encode(self, text: str) -> list[int | None]:
        if not self.beyond:
            return list(map(self._number.get, text))
        return [self._number.get(piece, self.beyond.get(piece)) for piece in text]

    def unknown(self, text: str) -> list[str]:
        return [piece for piece in dict.fromkeys(text) if piece not in self._number and piece not in self.beyond]

    def decode(self, ids: list[int | None]) -> str:
        pieces = [*self._pieces, *self.beyond] if self.beyond else self._pieces
        return "".join("\ufffd" if number is None else pieces[number] for number in ids)

    def pieces(self) -> list[str]:
        return [readable(piece) for piece in (*self._pieces, *self.beyond)]

    def separators(self) -> list[int]:
        return [number for number, piece in enumerate(self._pieces) if piece.isspace()]

    def facts(self) -> dict:
        return {"pieces": list(self._pieces)}

    def extended(self, earlier: dict[str, Any], fitted: dict[str, Any]) -> dict[str, Any]:
        return {"pieces": extended(earlier, fitted, "pieces")["pieces"]}

    def restore(self, facts: dict) -> None:
        self._set(list(facts["pieces"]))
