"""What heads that say symbols share."""

from __future__ import annotations

import torch
from torch import Tensor

from ostinato.heads._contract import Scored
from ostinato.heads._losses import sums
from ostinato.layers.vocabulary import PIECE, AdaptiveSoftmax, FullSoftmax
from ostinato.steps import Layout, Steps


def scored(
    softmax: FullSoftmax | AdaptiveSoftmax, read: Tensor, truth: Tensor, layout: Layout, *, piece: int = PIECE
) -> Scored:
    """What is said of the true symbols, an example each: the sum of log p at them, and how many have the highest.

    Shapes:
        read (N, I); truth (N,); layout of N steps

    Args:
        softmax: gives the scores of every symbol.
        read: what it reads at each step.
        truth: the true symbols.
        layout: which steps are whose.
        piece: the most scores at a time.
    """
    rows = max(1, piece // softmax.size)
    said, right = read.new_empty(len(read)), torch.empty(len(read), dtype=torch.bool, device=read.device)
    for start in range(0, len(read), rows):
        part, true = slice(start, start + rows), truth[start : start + rows]
        logits = softmax(read[part])
        said[part] = logits.log_softmax(1).gather(1, true.unsqueeze(1)).squeeze(1)
        right[part] = logits.argmax(1) == true
    by_step = Steps(torch.stack([said, right.to(said)], 1), layout)
    return Scored(sums(said, layout), layout.lengths, sums(right.to(said), layout), by_step)
