"""The encoder without weights: numbers as they are."""

from __future__ import annotations

from torch import Tensor

from ostinato.encoders.contract import Encoded, Encoder
from ostinato.layers.pooling import sum_up
from ostinato.modalities.contract import Values
from ostinato.steps import Steps


class Identity(Encoder):
    """The steps of a series as they are, without a weight: for heads that read the window themselves.

        steps   = x[t], 0 where a number is missing
        summary = the last step; zeros where there is none
        state   = the last step, and how many there were

    Shapes:
        steps (N, C) values; steps_size = summary_size = C
    """

    takes = (Values,)

    def __init__(self, spec: Values):
        super().__init__()
        self.causal = True
        self.look_ahead = 0
        self.steps_size = self.summary_size = spec.size
        self.state_sizes = (spec.size, 1)

    def encode(self, steps: Steps, state: tuple[Tensor, ...] | None = None) -> Encoded:
        read = steps.with_values(steps.values.nan_to_num())
        summary, count = sum_up("last", read, None if state is None else (state[0], state[1]))
        return Encoded(read, summary, (summary, count))
