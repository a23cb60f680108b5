"""The loss of what an output must predict, at each step or for each example."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ostinato.distributions.contract import Numbers
from ostinato.encoders.contract import Encoded
from ostinato.heads.contract import Head, Predictor
from ostinato.steps import Layout, Steps


def losses_of(head: Head, read: Sequence[Encoded], targets: Steps) -> tuple[Tensor, Layout | None]:
    """The loss of each step and the steps' layout, or of each example and None."""
    if isinstance(head, Predictor):
        distribution = head.predict_distribution(read, targets)
        if isinstance(distribution, Numbers) and distribution.joint:
            values = distribution.values_of(targets.values)
            densities = distribution.densities(values.nan_to_num()).masked_fill(values.isnan(), 0)
            return -densities.sum(2).flatten(), distribution.layout
        return -distribution.score(targets.values), None if distribution.joint else distribution.layout
    scored = head.score(read, targets)
    if scored.by_step is None:
        return -scored.log_probability, None
    return -scored.by_step.values[:, 0], scored.by_step.layout
