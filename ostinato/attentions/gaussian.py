"""A window that moves over the memory."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from ostinato.attentions.contract import Attention
from ostinato.kernels.decoder import Scores
from ostinato.registry import Positive

NARROWEST = 0.3
"""The least deviation of a window, in steps: between two steps, one that is much narrower sees neither."""


class Gaussian(Attention):
    """A bell-shaped window that moves from the beginning of the input to its end and never back, as writing does.

        mu[k]     = previous[k] + exp(w_mu . query[k] + log advance)   where it is, in steps; it begins at 0
        sigma[k]  = 0.3 + exp(w_sigma . query[k] + b_sigma)            how wide it is
        e[k, s]   = -(s - mu[k])^2 / (2 sigma[k]^2)

    The softmax of these is a normal distribution over whole steps; a window that has passed the last one sees that. It
    reads the places of the memory alone and not what is there, so that from the first update on it knows where to look
    next: for outputs of many steps to each of the input (strokes to letters, frames of sound to phones). The decoder
    learns where it is from what it reads: let the context enter the cell (`context: before`, or `input_feeding: true`),
    and let the input end with a symbol of its own (of text `marks: end`), where the window waits until all is said.

    Args:
        advance: the steps that it moves at a time before training: about the length of the input by that of the output.

    Source: Graves 2013, arXiv:1308.0850, equations 46 to 51, with one window, whose weights sum to 1 as those of other
        attentions do.
    """

    needs_previous: ClassVar[bool] = True
    carried_size: ClassVar[int | None] = 1
    pair_size = 1

    def __init__(self, query_size: int, memory_size: int, *, advance: Positive = 0.05):
        super().__init__(query_size, memory_size)
        self.advance, self.width = nn.Linear(query_size, 1), nn.Linear(query_size, 1)
        self.start = math.log(advance)

    def prepare(self, memory: Tensor) -> Tensor:
        """Nothing, (B, S, 0): of the memory a window reads the places alone."""
        return memory.new_empty(*memory.shape[:-1], 0)

    def native(self) -> Scores:
        weight = torch.cat([self.advance.weight, self.width.weight])
        bias = torch.cat([self.advance.bias + self.start, self.width.bias])
        return Scores(weight, bias, narrowest=NARROWEST)

    def move(self, query: Tensor, previous: Tensor | None) -> Tensor:
        """The middle of the window, (B, K, 1)."""
        moved = (self.advance(query) + self.start).exp()
        return moved if previous is None else previous + moved

    def scores(self, query: Tensor, keys: Tensor, previous: Tensor | None) -> Tensor:
        places = torch.arange(keys.shape[1], dtype=keys.dtype, device=keys.device)
        return -(((places - previous) / (NARROWEST + self.width(query).exp())) ** 2) / 2
