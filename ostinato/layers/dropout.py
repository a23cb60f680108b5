"""Dropout on packed steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.steps import Steps


def keep_mask(rows: int, size: int, rate: float, like: Tensor) -> Tensor:
    """(rows, size) of 0 with probability `rate` and 1 / (1 - rate) otherwise, of the type and device of `like`."""
    return torch.empty(rows, size, dtype=like.dtype, device=like.device).bernoulli_(1 - rate).div_(1 - rate)


class Dropout(nn.Module):
    """Sets values to zero at random while training and scales up the rest.

    Args:
        rate: the probability of zero.
        variational: whether one mask serves all steps of a sequence, in place of a new one at each step.

    Source: Srivastava 2014, jmlr.org/papers/v15/srivastava14a; variational: Gal 2016, arXiv:1512.05287.
    """

    def __init__(self, rate: float, *, variational: bool = False):
        super().__init__()
        self.rate = rate
        self.variational = variational

    def forward(self, steps: Steps) -> Steps:
        if not self.training or not self.rate:
            return steps
        values = steps.values
        if not self.variational:
            return steps.with_values(functional.dropout(values, self.rate))
        mask = keep_mask(len(steps.layout), values.shape[1], self.rate, values)
        return steps.with_values(values * mask.index_select(0, steps.layout.rows))

    def extra_repr(self) -> str:
        return f"{self.rate:g}{', one mask per sequence' if self.variational else ''}"
