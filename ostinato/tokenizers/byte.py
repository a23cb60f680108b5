"""The 256 bytes of UTF-8."""

from __future__ import annotations

from collections.abc import Iterable

from ostinato.tokenizers._byte_level import readable
from ostinato.tokenizers.contract import Tokenizer


class Byte(Tokenizer):
    """Each byte of the text's UTF-8 is a piece: nothing to fit, nothing unknown, every text comes back exactly."""

    exact = True

    def __init__(self) -> None:
        """There is nothing to set."""

    def fit(self, texts: Iterable[str]) -> None:
        """Reads nothing: the pieces are known."""

    @property
    def size(self) -> int:
        return 256

    def encode(self, text: str) -> list[int]:
        return list(text.encode("utf-8"))

    def decode(self, ids: list[int | None]) -> str:
        if None in ids:
            return b"".join(b"\xef\xbf\xbd" if number is None else bytes((number,)) for number in ids).decode(
                "utf-8", "replace"
            )
        return bytes(ids).decode("utf-8", "replace")

    def pieces(self) -> list[str]:
        return [readable(bytes((number,))) for number in range(256)]

    def separators(self) -> list[int]:
        return [number for number in range(128) if chr(number).isspace()]

    def facts(self) -> dict:
        return {}

    def restore(self, facts: dict) -> None:
        """There is nothing to take up."""
