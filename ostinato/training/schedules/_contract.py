"""What a schedule is: the factor of the learning rate, from the number of updates and what validation said."""

from abc import ABC, abstractmethod


class Schedule(ABC):
    """Factor of the learning rate.

    It holds no clock of its own: `factor` is a pure function of the update, `observe` takes in what validation said, and
    `facts` / `restore` carry that through a checkpoint.
    """

    @abstractmethod
    def factor(self, update: int, total: int) -> float:
        """The factor for update number `update` (from 0) of `total`."""

    @abstractmethod
    def observe(self, value: float, *, higher_is_better: bool) -> None:
        """Hears the watched metric after each validation."""

    @abstractmethod
    def facts(self) -> dict:
        """What was heard, as JSON values."""

    @abstractmethod
    def restore(self, facts: dict) -> None:
        """Takes up facts that were saved."""
