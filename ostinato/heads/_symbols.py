"""What heads that say symbols share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ostinato.heads.contract import Scored
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
    by_step = read.new_empty(len(read), 2)
    for start in range(0, len(read), rows):
        part = slice(start, start + rows)
        by_step[part] = by_symbols(softmax(read[part]), truth[part])
    return _of_steps(by_step, layout)


def by_symbols(logits: Tensor, truth: Tensor) -> Tensor:
    """(N, 2) log p of the true symbol of each step, and 1 where it has the highest, else 0."""
    said = logits.log_softmax(1).gather(1, truth.unsqueeze(1)).squeeze(1)
    return torch.stack([said, (logits.argmax(1) == truth).to(said)], 1)


def of_parts(found: Sequence[tuple[Tensor, Tensor]], layout: Layout) -> Scored:
    """The scores of whole sequences from each part's places and scores by step, (n,) and (n, 2)."""
    places, by_step = (torch.cat(one) for one in zip(*found))
    return _of_steps(torch.empty_like(by_step).index_copy(0, places, by_step), layout)


def _of_steps(by_step: Tensor, layout: Layout) -> Scored:
    return Scored(layout.sums(by_step[:, 0]), layout.lengths, layout.sums(by_step[:, 1]), Steps(by_step, layout))


def parts(layout: Layout, longest: int) -> Iterator[tuple[Layout, Tensor]]:
    """Every sequence cut into parts of at most so many steps, first parts first: the layout of each and the places of its steps.

    A sequence that has ended has no step in a part.
    """
    starts = layout.offsets[:-1].to(layout.device)
    for start in range(0, max(1, layout.longest), longest):
        part = Layout((layout.lengths - start).clamp(0, longest), layout.device)
        yield part, starts[part.rows] + start + part.positions
