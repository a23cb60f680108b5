"""What a schedule is: the factor of the learning rate, from the number of updates and what validation measured."""

from abc import ABC, abstractmethod
from typing import Any

from ostinato.registry import Whole

Updates = Whole
"""A number of updates, 0 for none."""


def ramp(update: int, warmup: int) -> float:
    """Linear warm-up: 1/warmup at update 0, 1 from update warmup - 1 on."""
    return min(1.0, (update + 1) / warmup) if warmup else 1.0


def course(update: int, total: int, warmup: int) -> float:
    """The share of the updates after the warm-up that lies behind: 0 at its end, 1 at `total` and beyond."""
    return min(1.0, max(0.0, (update - warmup) / max(1, total - warmup)))


class Schedule(ABC):
    """Factor of the learning rate.

    It holds no clock of its own: `factor` is a pure function of the update. A schedule that follows validation sets
    `observes` and implements the last three methods, which carry what it observed through a checkpoint.
    """

    observes: bool = False
    """Whether the monitored metric changes the factor."""

    @abstractmethod
    def factor(self, update: int, total: int) -> float:
        """The factor for update number `update` (from 0) of `total`."""

    def observe(self, value: float, *, higher_is_better: bool) -> None:  # noqa: B027 (nothing to do is the default)
        """Takes in the monitored metric after each validation."""

    def facts(self) -> dict[str, Any]:
        """What was observed, as JSON values."""
        return {}

    def restore(self, facts: dict[str, Any]) -> None:  # noqa: B027 (nothing to do is the default)
        """Takes up facts that were saved."""
