"""A window that moves over the memory."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from ostinato.attentions.contract import Attention
from ostinato.registry import Positive

NARROWEST = 0.5
"""The least deviation of a window, in steps: one that is narrower stays at the nearest step, wherever its middle is."""


class Gaussian(Attention):
    """A bell-shaped window that moves from the beginning of the input to its end and never back, as writing does.

        m[k]      = sum_s s previous[k, s]                            where it was, in steps; 0 at first
        mu[k]     = m[k] + exp(w_mu . query[k] + log advance)         where it is
        sigma[k]  = 1/2 + exp(w_sigma . query[k] + b_sigma)           how wide it is
        e[k, s]   = -(s - mu[k])^2 / (2 sigma[k]^2)

    The softmax of these is a normal distribution over whole steps. It reads the places of the memory alone and not
    what is there, so that from the first update on it knows where to look next: for outputs of many steps to each of
    the input (strokes to letters, frames of sound to phones). At the last step of the input it stays there. The decoder
    learns where it is from what it reads: let the context enter the cell (`context: before`, or `input_feeding: true`).

    Args:
        advance: the steps that it moves at a time before training: about the length of the input by that of the output.

    Source: Graves 2013, arXiv:1308.0850, equations 46 to 51, with one window, whose weights sum to 1 as those of other
        attentions do.
    """

    needs_previous: ClassVar[bool] = True
    reads_content: ClassVar[bool] = False
    pair_size = 1

    def __init__(self, query_size: int, memory_size: int, *, advance: Positive = 0.05):
        super().__init__(query_size, memory_size)
        self.forms = nn.Linear(query_size, 2)
        self.start = math.log(advance)

    def prepare(self, memory: Tensor) -> Tensor:
        """The place of each step, (B, S, 1)."""
        places = torch.arange(memory.shape[1], dtype=memory.dtype, device=memory.device)
        return places.unsqueeze(1).expand(len(memory), -1, 1)

    def scores(self, query: Tensor, keys: Tensor, previous: Tensor | None) -> Tensor:
        places = keys.transpose(1, 2)
        advance, width = self.forms(query).split(1, 2)
        middle = (advance + self.start).exp()
        if previous is not None:
            middle = middle + (previous * places).sum(2, keepdim=True)
        return -(((places - middle) / (NARROWEST + width.exp())) ** 2) / 2
