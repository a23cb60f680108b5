"""A vector of a word's spelling."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.errors import ConfigError
from ostinato.layers.pooling import largest
from ostinato.steps import Layout, Steps

FILTERS, WIDTH = 30, 3
"""Of Ma and Hovy 2016, table 1."""


def without_characters(option: str) -> ConfigError:
    """What is wrong with an option for the characters of words that have none."""
    return ConfigError(
        f"{option}: the steps of this input come without characters; set characters: true there, or leave {option} out"
    )


class Characters(nn.Module):
    """A convolution over a word's characters, the largest of each filter kept.

        e[k] = E[character k]                                     zero before the first and after the last
        c    = tanh(max_k (W [e[k-r]; ...; e[k+r]] + b))          k over the word's own characters; width = 2 r + 1

    A word without characters gives zeros. Only characters are computed, no padding.

    Shapes:
        characters (N, L) whole numbers, 0 after the last; returns (N, size)

    Args:
        num_characters: how many different ones there are, 0 included.
        size: how many filters there are.
        width: how many characters a filter reads.

    Errors:
        ConfigError: an even width.

    Source: Ma and Hovy 2016, arXiv:1603.01354, section 2.1 and table 1: e is 30 wide, 30 filters of width 3; the tanh
    is added.
    """

    embedding_size = 30

    def __init__(self, num_characters: int, *, size: int = FILTERS, width: int = WIDTH):
        super().__init__()
        if width % 2 == 0:
            raise ConfigError(
                f"character_width: {width}: a filter of an even width has no middle; set {width + 1}, or {width - 1}"
            )
        self.size, self.width = size, width
        self.embedding = nn.Embedding(num_characters, self.embedding_size)
        # Their bound: one value has variance 1 / embedding_size, where torch's own table starts at variance 1.
        bound = (3 / self.embedding_size) ** 0.5
        nn.init.uniform_(self.embedding.weight, -bound, bound)
        self.filters = nn.Conv1d(self.embedding_size, self.size, self.width, padding=self.width // 2)

    def forward(self, characters: Tensor) -> Tensor:
        real = characters > 0
        count = self.embedding.num_embeddings
        # W e is a row of a table that is smaller than a batch: a window's score is a sum of its rows.
        known = (torch.arange(count, device=characters.device) > 0).unsqueeze(1)
        table = (self.embedding.weight * known) @ self.filters.weight.permute(2, 1, 0)
        windows = functional.pad(characters, (self.width // 2, self.width // 2)).unfold(1, self.width, 1)
        rows = windows[real] + count * torch.arange(self.width, device=characters.device)
        scores = functional.embedding_bag(rows, table.flatten(0, 1), mode="sum") + self.filters.bias
        return torch.tanh(largest(Steps(scores, Layout(real.sum(1), characters.device))))
