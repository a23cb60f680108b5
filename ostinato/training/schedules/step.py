"""A staircase."""

from typing import Annotated

from pydantic import Field

from ostinato.registry import Count
from ostinato.training.schedules.contract import Schedule, Updates, ramp


class Step(Schedule):
    """The rate falls by a factor every so many updates.

        factor = min(1, (update + 1) / warmup) * by ^ floor(update / every)

    Args:
        every: updates between two falls.
        by: what the rate is multiplied by at each.
        warmup: updates in which the rate climbs to its full height; 0 for none.
    """

    def __init__(self, *, every: Count = 1000, by: Annotated[float, Field(gt=0, lt=1)] = 0.5, warmup: Updates = 0):
        self.every = every
        self.by = by
        self.warmup = warmup

    def factor(self, update: int, total: int) -> float:
        return ramp(update, self.warmup) * self.by ** (update // self.every)
