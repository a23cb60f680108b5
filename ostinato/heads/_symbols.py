"""What heads that say symbols share."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from ostinato.heads._contract import Scored
from ostinato.heads._losses import sums
from ostinato.steps import Layout


def scored(logits: Tensor, truth: Tensor, layout: Layout) -> Scored:
    """What is said of the true symbols, an example each: the sum of log softmax(logits) at them, and how many scored best.

    Shapes:
        logits (N, V); truth (N,); layout of N steps
    """
    given = -functional.cross_entropy(logits, truth, reduction="none")
    return Scored(sums(given, layout), layout.lengths, sums((logits.argmax(1) == truth).to(given), layout))
