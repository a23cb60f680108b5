"""What bpe and unigram share: pieces made of the bytes of UTF-8, so that every text has pieces and comes back
exactly."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field
from tokenizers import Tokenizer as Library
from tokenizers import models, pre_tokenizers, trainers

Pieces = Annotated[int, Field(ge=1, le=10_000_000)]
"""How many pieces to aim at: for more the library that finds them has no room."""


def readable(piece: bytes | str) -> str:
    """A piece as a person would read it: a space as U+2581, what cannot be printed and half characters as escapes."""
    if isinstance(piece, bytes):
        try:
            piece = piece.decode("utf-8")
        except UnicodeDecodeError:
            return "".join(f"\\x{byte:02x}" for byte in piece)
    return "".join(
        "▁"
        if character == " "
        else character
        if character.isprintable() or character in "\u200c\u200d"
        else _escaped(character)
        for character in piece
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _byte_of_letter() -> dict[str, int]:
    """The library writes each byte as one printable letter: itself where it is one, else a letter from U+0100 up."""
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(own)]
    return {**{chr(byte): byte for byte in own}, **{chr(0x100 + place): byte for place, byte in enumerate(others)}}


BYTES = _byte_of_letter()


class ByteLevel:
    """Pieces of bytes, found by a model of the `tokenizers` library.

    Special symbols are never added to the library's tokenizer: it would find them in a user's text.

    Errors:
        UnicodeEncodeError, TypeError: a text holds half of a surrogate pair, which UTF-8 cannot write.
    """

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def fit(self, texts: Iterable[str], model: models.Model, trainer: trainers.Trainer) -> None:
        library = Library(model)
        library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        library.train_from_iterator(texts, trainer)
        # The library reads some scores back with another last bit than it wrote: what was fitted goes the way of what
        # is loaded, so that both behave the same.
        self.restore({"tokenizer": library.to_str()})

    def restore(self, facts: dict) -> None:
        self._written = facts["tokenizer"]
        self._library = Library.from_str(self._written)
        # Read from the text, for get_vocab() knows numbers and letters only in a random order.
        vocabulary = json.loads(self._written)["model"]["vocab"]
        letters = (
            [letter for letter, _ in vocabulary]
            if isinstance(vocabulary, list)
            else sorted(vocabulary, key=vocabulary.get)
        )
        self.pieces = [bytes(BYTES[letter] for letter in piece) for piece in letters]

    def facts(self) -> dict:
        return {"tokenizer": self._written}

    def encode(self, text: str) -> list[int]:
        return self._library.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int | None]) -> str:
        return b"".join(b"\xef\xbf\xbd" if number is None else self.pieces[number] for number in ids).decode(
            "utf-8", "replace"
        )


def alphabet() -> list[str]:
    """The 256 letters that every vocabulary must hold, in the order of their bytes."""
    return sorted(BYTES, key=BYTES.__getitem__)
