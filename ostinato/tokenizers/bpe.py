"""Byte-pair encoding."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import models, trainers

from ostinato.tokenizers._byte_level import ByteLevel, Pieces, alphabet, readable
from ostinato.tokenizers.contract import Tokenizer


class BPE(Tokenizer):
    """Frequent runs of letters, merged pair by pair from single bytes; every text comes back exactly.

    Merges stay inside a word with the space before it. Equal texts give equal pieces, in every process.

    Args:
        size: pieces to aim at; fewer where the texts hold fewer pairs that occur twice, never fewer than the 256 bytes.

    Source: Sennrich, Haddow and Birch 2016, arXiv:1508.07909; over bytes as in Radford et al. 2019 (GPT-2), section
    2.2.
    """

    exact = True
    subword = True

    def __init__(self, *, size: Pieces = 8000):
        self._limit = size
        self._model = ByteLevel()

    def fit(self, texts: Iterable[str]) -> None:
        # A pair seen once makes no piece: on little data each rare word would become a symbol trained on one example.
        trainer = trainers.BpeTrainer(
            vocab_size=self._limit, min_frequency=2, initial_alphabet=alphabet(), special_tokens=[], show_progress=False
        )
        self._model.fit(texts, models.BPE(), trainer)

    @property
    def size(self) -> int:
        return len(self._model.pieces)

    def encode(self, text: str) -> list[int]:
        return self._model.encode(text)

    def decode(self, ids: list[int | None]) -> str:
        return self._model.decode(ids)

    def pieces(self) -> list[str]:
        return [readable(piece) for piece in self._model.pieces]

    def facts(self) -> dict:
        return self._model.facts()

    def restore(self, facts: dict) -> None:
        self._model.restore(facts)
