"""Additive attention."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ostinato.attentions.contract import Attention
from ostinato.kernels.decoder import Scores
from ostinato.kernels.energies import energies, is_native
from ostinato.kernels.products import linear
from ostinato.registry import Count


class Additive(Attention):
    """A small network with one hidden layer compares the query with each step.

        e[k, s] = v . tanh(W_q query[k] + W_k memory[s] + b)

    Args:
        size: A, the width of the hidden layer; query_size if not given.

    Source: Bahdanau, Cho and Bengio, 2015, arXiv:1409.0473, appendix A.1.2; b as in their code, the formula
    leaves it out.
    """

    needs_previous: ClassVar[bool] = False

    def __init__(self, query_size: int, memory_size: int, *, size: Count | None = None):
        super().__init__(query_size, memory_size)
        self.pair_size = size or query_size
        self.query = nn.Linear(query_size, self.pair_size)
        self.key = nn.Linear(memory_size, self.pair_size, bias=False)
        self.energy = nn.Linear(self.pair_size, 1, bias=False)

    def prepare(self, memory: Tensor) -> Tensor:
        return linear(memory, self.key.weight)

    def native(self) -> Scores:
        return Scores(self.query.weight, self.query.bias, self.energy.weight[0])

    def held(self, query: Tensor, keys: Tensor) -> int:
        return 1 if is_native(query, keys, self.energy.weight) else self.pair_size

    def scores(self, query: Tensor, keys: Tensor, previous: Tensor | None) -> Tensor:
        return energies(self.query(query), keys, self.energy.weight[0])
