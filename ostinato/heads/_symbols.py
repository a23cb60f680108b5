"""The score of true symbols, in pieces."""

from __future__ import annotations

from torch import Tensor

from ostinato.distributions.categorical import Categorical
from ostinato.heads.contract import Scored, by_step
from ostinato.layers.vocabulary import PIECE, AdaptiveSoftmax, FullSoftmax
from ostinato.steps import Layout


def scored(
    softmax: FullSoftmax | AdaptiveSoftmax, features: Tensor, truth: Tensor, layout: Layout, *, piece: int = PIECE
) -> Scored:
    """The score of true symbols by a softmax over features, computed for a bounded number of scores at a time.

    Shapes:
        features (N, I); truth (N,); layout of N steps

    Args:
        softmax: gives the scores of every symbol.
        features: what it reads at each step.
        truth: the true symbols.
        layout: which steps belong to which example.
        piece: the most scores at a time.
    """
    rows = max(1, piece // softmax.size)
    by_steps = features.new_empty(len(features), 3)
    for start in range(0, len(features), rows):
        part = slice(start, start + rows)
        by_steps[part] = by_step(Categorical(softmax(features[part])), truth[part])
    return Scored.of_steps(by_steps, layout)
