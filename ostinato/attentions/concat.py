"""Concat attention."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ostinato.attentions.contract import Attention
from ostinato.kernels.decoder import Scores
from ostinato.kernels.energies import energies, is_native
from ostinato.kernels.products import linear
from ostinato.registry import Count


class Concat(Attention):
    """A hidden layer reads the query and the step side by side.

        e[k, s] = v . tanh(W [query[k]; memory[s]])

    W is one matrix; its two parts are multiplied apart, so that the memory's part is done once per batch. What is left
    between this and `additive` is the bias and the start: W's bound is 1 / sqrt(Q + M) here.

    Shapes:
        weight (A, Q + M)

    Args:
        size: A, the width of the hidden layer; query_size if not given.

    Source: Luong, Pham and Manning, 2015, arXiv:1508.04025, equation 8 (concat).
    """

    needs_previous: ClassVar[bool] = False

    def __init__(self, query_size: int, memory_size: int, *, size: Count | None = None):
        super().__init__(query_size, memory_size)
        self.pair_size = size or query_size
        bound = (query_size + memory_size) ** -0.5
        self.weight = nn.Parameter(torch.empty(self.pair_size, query_size + memory_size).uniform_(-bound, bound))
        self.energy = nn.Linear(self.pair_size, 1, bias=False)

    def prepare(self, memory: Tensor) -> Tensor:
        return linear(memory, self.weight[:, self.query_size :])

    def native(self) -> Scores:
        return Scores(self.weight[:, : self.query_size], None, self.energy.weight[0])

    def held(self, query: Tensor, keys: Tensor) -> int:
        return 1 if is_native(query, keys, self.energy.weight) else self.pair_size

    def scores(self, query: Tensor, keys: Tensor, previous: Tensor | None) -> Tensor:
        query = nn.functional.linear(query, self.weight[:, : self.query_size])
        return energies(query, keys, self.energy.weight[0])
