"""Heads on `next` whose steps are vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.heads.contract import Loss, NextHead, Sizes
from ostinato.steps import Steps


class NextVector(NextHead):
    """Predicts at each step of the input the vector that follows it; a vector of zeros stands before the first.

    Args:
        head: its name, for messages.
        sizes: of each input.

    Errors:
        ConfigError: the first input read gives no steps, or another one no summary.
    """

    aligns = frozenset({"next"})
    begin, end, num_symbols = 0.0, math.nan, 0

    def __init__(self, head: str, sizes: Sequence[Sizes]):
        super().__init__()
        if sizes[0].steps is None or any(other.summary is None for other in sizes[1:]):
            raise ConfigError(f"{head}: needs the steps of the input that it continues, and summaries of the others")
        self.width = sizes[0].steps + sum(other.summary or 0 for other in sizes[1:])

    def prepare_input(self, steps: Steps, starts: Tensor | None = None) -> Steps:
        """With a step of zeros before the first one."""
        return steps.with_values(self.seen(steps.values)).prepended(self.begin, starts)

    def seen(self, values: Tensor) -> Tensor:
        """What of each vector is read before the next one."""
        return values

    def as_others_read(self, encoded: Encoded) -> Encoded:
        return encoded if encoded.steps is None else encoded._replace(steps=encoded.steps.without_first())

    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        return self.piece_loss(encoded, targets, None)

    def piece_loss(self, encoded: Sequence[Encoded], targets: Steps, ends: Tensor | None) -> Loss:
        return self.predicting(encoded)(slice(None)).loss(targets.appended(self.end, ends).values)
