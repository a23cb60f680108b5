"""The loss of what an output must predict, at each step or for each example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from ostinato.distributions.contract import Numbers
from ostinato.encoders.contract import Encoded
from ostinato.heads.contract import Head, Predictor
from ostinato.steps import Layout, Steps


class Losses(NamedTuple):
    """The loss of each step, or of each example.

    Args:
        values: 0 where there is no target, as at the end of what has none.
        layout: of the steps; None: of examples.
        counts: how many targets each has.

    Shapes:
        values, counts (N,)
    """

    values: Tensor
    layout: Layout | None
    counts: Tensor


def losses_of(head: Head, read: Sequence[Encoded], targets: Steps) -> Losses:
    """The losses of these targets."""
    if isinstance(head, Predictor):
        distribution = head.predict_distribution(read, targets)
        if isinstance(distribution, Numbers) and distribution.joint:
            values = distribution.values_of(targets.values)
            missing = values.isnan()
            densities = distribution.densities(values.nan_to_num()).masked_fill(missing, 0)
            return Losses(-densities.sum(2).flatten(), distribution.layout, (~missing).sum(2).flatten())
        counts = distribution.counts(targets.values)
        return Losses(-distribution.score(targets.values), None if distribution.joint else distribution.layout, counts)
    scored = head.score(read, targets)
    if scored.by_step is None:
        return Losses(-scored.log_probability, None, scored.num_targets)
    values, _, counts = scored.by_step.values.unbind(1)
    return Losses(-values, scored.by_step.layout, counts)
