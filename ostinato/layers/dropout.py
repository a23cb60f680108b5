"""Dropout on packed steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.steps import Steps


def keep_mask(rows: int, size: int, rate: float, like: Tensor) -> Tensor:
    """(rows, size) of 0 with probability `rate` and 1 / (1 - rate) otherwise, of the type and device of `like`."""
    return torch.empty(rows, size, dtype=like.dtype, device=like.device).bernoulli_(1 - rate).div_(1 - rate)


def dropped(values: Tensor, rate: float) -> Tensor:
    """Values set to 0 with probability `rate` and multiplied by 1 / (1 - rate) otherwise.

    On the CPU one random number serves four values with 16 bits each, since drawing them is most of the work: the rate
    is then rounded to a multiple of 2^-16.
    """
    threshold = round(rate * 2**16)
    if values.device.type != "cpu" or not 0 < threshold < 2**16 or torch.compiler.is_compiling():
        return functional.dropout(values, rate)
    count = values.numel()
    drawn = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:count]
    keep = (drawn >= threshold - 2**15).to(values.dtype).mul_(2**16 / (2**16 - threshold))
    return values * keep.view(values.shape)


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
            return steps.with_values(dropped(values, self.rate))
        mask = keep_mask(len(steps.layout), values.shape[1], self.rate, values)
        return steps.with_values(values * mask.index_select(0, steps.layout.rows))

    def extra_repr(self) -> str:
        return f"{self.rate:g}{', one mask per sequence' if self.variational else ''}"
