"""What a join is: several encoded inputs made into one."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import nn

from ostinato.encoders.contract import Encoded


class Join(nn.Module, ABC):
    """Several encoded inputs to one.

    Args:
        steps_sizes: of each input, None where it gives no steps, by position.
        summary_sizes: of each input, None where it gives no summary, by position.
    """

    keeps_steps: ClassVar[bool] = False
    """Whether it gives a step for each step of the first input, so that these can be labelled."""

    steps_size: int | None
    summary_size: int | None
    penalties: tuple[str, ...] = ()
    """The names of what it adds to the loss, in `Encoded.penalties`; in evaluation mode too, where it is only
    counted."""

    @abstractmethod
    def join(self, encoded: Sequence[Encoded]) -> Encoded:
        """One encoded input in place of several, row for row."""
