"""What a tokenizer is: fitted once on the training texts, it turns a text into whole numbers and back."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Self


class Tokenizer(ABC):
    """Text to symbols and back. Special symbols live outside: numbers run from 0 to size - 1 and each means a piece of
    text.

    A tokenizer that does not know every text (word, char) gives None for a piece it has never seen; the modality makes
    that its unknown symbol. One that knows every text (byte, bpe, unigram) gives back exactly what went in.
    """

    exact: ClassVar[bool]
    """Whether decode(encode(x)) == x for every text."""
    is_fitted: ClassVar[bool] = True
    """Whether it learns its pieces from texts; otherwise it brings them."""
    subword: ClassVar[bool] = False
    """Whether it cuts words into as many different pieces as `size` asks for: the size is then chosen from the amount
    of text, and words that have labels are made of their pieces."""
    beyond: Mapping[str, int] = MappingProxyType({})
    """Unknown pieces that it was told of by `knowing`, and their numbers from `size` on, which `encode`, `decode` and
    `pieces` then know; no part of `size` or `facts`."""

    @abstractmethod
    def fit(self, texts: Iterable[str]) -> None:
        """Learns the pieces from the training texts (read once; may be long)."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many pieces there are after fitting."""

    @abstractmethod
    def encode(self, text: str) -> list[int | None]:
        """The pieces of a text by number; None where a piece is unknown."""

    @abstractmethod
    def decode(self, ids: list[int | None]) -> str:
        """The text of these pieces; None gives U+FFFD."""

    @abstractmethod
    def pieces(self) -> list[str]:
        """Every piece as a person would read it, by number: for pictures and cards."""

    def unknown(self, text: str) -> list[str]:
        """The pieces of a text that it does not know, each once, in the order in which they first occur; empty where
        it cannot name them."""
        return []

    def knowing(self, pieces: Sequence[str]) -> Self:
        """The same tokenizer with some of what `unknown` gives behind its own pieces, for one example; this one stays
        as it is."""
        other = copy.copy(self)
        other.beyond = {piece: number for number, piece in enumerate(pieces, self.size)}
        return other

    def separators(self) -> list[int] | None:
        """The pieces that divide words: white space where pieces are characters; None where they are more."""
        return None

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """All that was fitted, as JSON values; equal facts mean equal behaviour."""

    @abstractmethod
    def restore(self, facts: dict[str, Any]) -> None:
        """Takes up facts that were saved, in place of fitting."""

    def extended(self, earlier: dict[str, Any], fitted: dict[str, Any]) -> dict[str, Any]:
        """The facts of an earlier run with the pieces of these facts that it lacks at their end."""
        return earlier


class Spelt(ABC):
    """A tokenizer whose pieces are words or punctuation marks: what has a spelling of its own, and may have a
    vector."""

    @abstractmethod
    def spellings(self, text: str) -> list[str]:
        """Each piece of a text, known or not, as it is spelt there: as many as `encode` gives."""

    @abstractmethod
    def words(self) -> list[str]:
        """Every known piece as it is spelt, by number."""

    def counts(self) -> tuple[int, ...]:
        """How often each piece of the training texts occurs there, by number; empty where nobody counted."""
        return ()

    @property
    @abstractmethod
    def num_added(self) -> int:
        """How many of the pieces, the last ones, are words that training lacks."""

    @abstractmethod
    def add_words(self, words: Sequence[str]) -> None:
        """Takes words that training lacks behind the known pieces, in place of those that were added before; a text's
        piece that is no known one is that of these words, else that of its lower case."""
