"""Scaled dot-product attention."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ostinato.attentions.contract import Attention
from ostinato.kernels.decoder import Scores
from ostinato.kernels.products import linear
from ostinato.registry import Count


class ScaledDot(Attention):
    """Query and step are projected to one size and compared; the scale keeps the softmax where it can still learn.

        q[k] = W_q query[k];  key[s] = W_k memory[s]
        e[k, s] = q[k] . key[s] / sqrt(A)

    A product of two vectors of A independent numbers with mean 0 and variance 1 has variance A; divided by sqrt(A) it
    has 1. W_q and W_k start normal with variance 1/Q and 1/M, which keeps the variance of what they read.

    Args:
        size: A, the size of the projections; query_size if not given.

    Source: Vaswani et al., 2017, arXiv:1706.03762, equation 1 and footnote 4; one head, the memory itself is the value.
    """

    needs_previous: ClassVar[bool] = False

    def __init__(self, query_size: int, memory_size: int, *, size: Count | None = None):
        super().__init__(query_size, memory_size)
        self.pair_size = 1
        size = size or query_size
        self.scale = size**-0.5
        self.query = nn.Linear(query_size, size, bias=False)
        self.key = nn.Linear(memory_size, size, bias=False)
        nn.init.normal_(self.query.weight, std=query_size**-0.5)
        nn.init.normal_(self.key.weight, std=memory_size**-0.5)

    def prepare(self, memory: Tensor) -> Tensor:
        return linear(memory, self.key.weight)

    def native(self) -> Scores:
        return Scores(self.query.weight, scale=self.scale)

    def scores(self, query: Tensor, keys: Tensor, previous: Tensor | None) -> Tensor:
        return (self.query(query) * self.scale) @ keys.transpose(1, 2)
