"""Location-aware attention."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ostinato.attentions.contract import Attention
from ostinato.kernels.products import linear
from ostinato.registry import Count


class Location(Attention):
    """Additive attention that reads its weights of the step before, for long inputs read from one end to the other.

        f[k, s] = sum_j F[:, j] previous[k, s + j - reach]                          what was looked at around s
        e[k, s] = v . tanh(W query[k] + V memory[s] + U f[k, s] + b)

    Before the first step it has looked nowhere: previous is zero.

    Args:
        size: A, the width of the hidden layer; query_size if not given.
        filters: channels of the convolution F (10 in the source).
        reach: steps that F sees on each side (100 frames of 10 ms in the source; here for text).

    Source: Chorowski, Bahdanau, Serdyuk, Cho and Bengio, 2015, arXiv:1506.07503, equations 8 and 9.
    """

    needs_previous: ClassVar[bool] = True

    def __init__(
        self, query_size: int, memory_size: int, *, size: Count | None = None, filters: Count = 10, reach: Count = 5
    ):
        super().__init__(query_size, memory_size)
        self.pair_size = size or query_size
        self.query = nn.Linear(query_size, self.pair_size)
        self.key = nn.Linear(memory_size, self.pair_size, bias=False)
        self.around = nn.Conv1d(1, filters, 2 * reach + 1, padding=reach, bias=False)
        self.place = nn.Linear(filters, self.pair_size, bias=False)
        self.energy = nn.Linear(self.pair_size, 1, bias=False)

    def prepare(self, memory: Tensor) -> Tensor:
        return linear(memory, self.key.weight)

    def scores(self, query: Tensor, keys: Tensor, previous: Tensor | None) -> Tensor:
        hidden = self.query(query).unsqueeze(2) + keys.unsqueeze(1)
        if previous is not None:
            seen = self.around(previous.flatten(0, 1).unsqueeze(1)).transpose(1, 2)
            hidden = hidden + self.place(seen).unflatten(0, previous.shape[:2])
        return self.energy(torch.tanh_(hidden)).squeeze(-1)
