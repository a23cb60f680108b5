"""Dot attention."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ostinato.attentions.contract import Attention
from ostinato.errors import ConfigError
from ostinato.kernels.decoder import Scores


class Dot(Attention):
    """The query and each step are compared as they are; no parameter.

        e[k, s] = query[k] . memory[s]

    Errors:
        ConfigError: query and memory are not of one size.

    Source: Luong, Pham and Manning, 2015, arXiv:1508.04025, equation 8 (dot).
    """

    needs_previous: ClassVar[bool] = False

    def __init__(self, query_size: int, memory_size: int):
        if query_size != memory_size:
            raise ConfigError(
                f"attention: dot compares vectors of one size, but the query has {query_size} numbers and the memory "
                f"{memory_size}; use attention: general, which has a matrix between them, or make the two sizes equal"
            )
        super().__init__(query_size, memory_size)
        self.pair_size = 1

    def prepare(self, memory: Tensor) -> Tensor:
        return memory

    def native(self) -> Scores:
        return Scores()

    def scores(self, query: Tensor, keys: Tensor, previous: Tensor | None) -> Tensor:
        return query @ keys.transpose(1, 2)
