"""The unigram language model over pieces."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import models, trainers

from ostinato.tokenizers._byte_level import ByteLevel, Pieces, alphabet, readable
from ostinato.tokenizers.contract import Tokenizer


class Unigram(Tokenizer):
    """The most likely pieces of each word under a unigram language model, over bytes; every text comes back exactly.

        pieces(x) = argmax over x = p_1 .. p_n of sum_i log P(p_i)

    Fitting is not repeatable to the bit: the order of the pieces and their scores (by up to 2e-4 where tried) differ
    between two runs on equal texts. Two runs are the same only with the same saved facts.

    Args:
        size: pieces to aim at; fewer where the texts hold fewer, never fewer than the 256 bytes and one.

    Source: Kudo 2018, arXiv:1804.10959, section 3.2, over bytes in place of characters; without sampling.
    """

    exact = True
    subword = True

    def __init__(self, *, size: Pieces = 8000):
        self._limit = size
        self._model = ByteLevel()

    def fit(self, texts: Iterable[str]) -> None:
        # Below 256 the library refuses, and at 256 it stops pruning early (447 pieces were seen).
        trainer = trainers.UnigramTrainer(
            vocab_size=max(257, self._limit),
            initial_alphabet=alphabet(),
            special_tokens=[],
            unk_token=None,
            show_progress=False,
        )
        self._model.fit(texts, models.Unigram(), trainer)

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
