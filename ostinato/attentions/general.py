"""General attention."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ostinato.attentions.contract import Attention
from ostinato.kernels.decoder import Scores
from ostinato.kernels.products import linear


class General(Attention):
    """A matrix connects the query and each step, so that their sizes may differ.

        e[k, s] = query[k] . (W memory[s])

    Source: Luong, Pham and Manning, 2015, arXiv:1508.04025, equation 8 (general).
    """

    needs_previous: ClassVar[bool] = False

    def __init__(self, query_size: int, memory_size: int):
        super().__init__(query_size, memory_size)
        self.pair_size = 1
        self.key = nn.Linear(memory_size, query_size, bias=False)

    def prepare(self, memory: Tensor) -> Tensor:
        return linear(memory, self.key.weight)

    def native(self) -> Scores:
        return Scores()

    def scores(self, query: Tensor, keys: Tensor, previous: Tensor | None) -> Tensor:
        return query @ keys.transpose(1, 2)
