"""Lower when validation no longer improves."""

import math
from typing import Annotated, Any

from pydantic import Field

from ostinato.registry import Count, NonNegative, Share
from ostinato.training.schedules.contract import Schedule, Updates, ramp


class Plateau(Schedule):
    """The rate falls when the monitored metric has not improved for some validations.

        better  = the metric passes its best by more than threshold * |best|
        after `patience` validations in a row that were not better: level = max(lowest, level * by)
        factor  = min(1, (update + 1) / warmup) * level

    Args:
        by: what the rate is multiplied by at each fall.
        patience: validations without improvement before it falls.
        threshold: what counts as an improvement, as a share of the best value.
        lowest: the factor below which it does not fall.
        warmup: updates in which the rate climbs to its full height; 0 for none.
    """

    observes = True

    def __init__(
        self,
        *,
        by: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        patience: Count = 2,
        threshold: NonNegative = 1e-4,
        lowest: Share = 0.0,
        warmup: Updates = 0,
    ):
        self.by = by
        self.patience = patience
        self.threshold = threshold
        self.lowest = lowest
        self.warmup = warmup
        self.level = 1.0
        self.best: float | None = None
        self.waited = 0

    def factor(self, update: int, total: int) -> float:
        return ramp(update, self.warmup) * self.level

    def observe(self, value: float, *, higher_is_better: bool) -> None:
        gain = 0.0 if self.best is None else (value - self.best if higher_is_better else self.best - value)
        if math.isfinite(value) and (self.best is None or gain > self.threshold * abs(self.best)):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.level, self.waited = max(self.lowest, self.level * self.by), 0

    def facts(self) -> dict[str, Any]:
        return {"level": self.level, "best": self.best, "waited": self.waited}

    def restore(self, facts: dict[str, Any]) -> None:
        self.level, self.best, self.waited = facts["level"], facts["best"], facts["waited"]
