"""The encoder that reads nothing: how frequent each label is, whatever the input."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from ostinato.encoders.contract import Bag, BagEncoder
from ostinato.modalities.contract import Spec
from ostinato.registry import Count
from ostinato.steps import Steps


class Prior(BagEncoder):
    """A bag without a feature: the same summary for every row.

        summary = b

    A head of labels takes a summary of one number for each label as their scores (see `classifier`): b is then solved
    for before training and softmax(b) are the shares of the labels, so that the answer is the commonest. It is what a
    model has to beat that reads its input.

    It gives no steps. The commonest label of all steps, or of each word, is what `local_features` gives without a
    window and affixes.

    Shapes:
        steps (N, ...) of any kind; summary (B, size)

    Args:
        size: the width of the summary; by default the number of labels, where one output of labels reads it, else 64.
    """

    called = "prior"
    features_per_step = 0.0

    def __init__(self, spec: Spec, *, size: Count | None = None):
        super().__init__(size, 0)

    def count(self, blocks: Iterable[Steps]) -> None:
        """There is nothing to count."""

    def bag(self, steps: Steps) -> Bag:
        none = torch.zeros(0, dtype=torch.int64, device=steps.values.device)
        return Bag(none, none, self.table.new_zeros(0))
