"""A vector of a word's spelling."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Characters(nn.Module):
    """A convolution over a word's characters, the largest of each filter kept.

        e[k] = E[character k]                                     zero before the first and after the last
        c    = tanh(max_k (W [e[k-1]; e[k]; e[k+1]] + b))         k over the word's own characters

    A word without characters gives zeros. How far the longest word of a batch reaches changes nothing.

    Shapes:
        characters (N, L) whole numbers, 0 after the last; returns (N, size)

    Args:
        num_characters: how many different ones there are, 0 included.

    Source: Ma and Hovy 2016, arXiv:1603.01354, section 2.1 and table 1: e is 30 wide, 30 filters of width 3; the tanh is added.
    """

    embedding_size = 30
    size = 30
    width = 3

    def __init__(self, num_characters: int):
        super().__init__()
        self.embedding = nn.Embedding(num_characters, self.embedding_size)
        # Their bound: one value has variance 1 / embedding_size, where torch's own table starts at variance 1.
        bound = (3 / self.embedding_size) ** 0.5
        nn.init.uniform_(self.embedding.weight, -bound, bound)
        self.filters = nn.Conv1d(self.embedding_size, self.size, self.width, padding=self.width // 2)

    def forward(self, characters: Tensor) -> Tensor:
        if not characters.numel():
            return self.filters.weight.new_zeros(len(characters), self.size)
        real = (characters > 0).unsqueeze(1)
        embedded = self.embedding(characters).transpose(1, 2) * real
        scores = self.filters(embedded)
        found = scores.masked_fill(~real, torch.finfo(scores.dtype).min).max(2).values
        return torch.tanh(found).masked_fill(~real.any(2), 0)
