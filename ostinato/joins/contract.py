"""What a join is: several encoded inputs made into one."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from ostinato.encoders.contract import Encoded


class Suits(NamedTuple):
    """How a join would be used.

    Args:
        reads: its inputs in their order.
        settings: of the join, as in a recipe.
        reason: what was seen.
    """

    reads: list[str]
    settings: dict[str, Any]
    reason: str


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

    draws_codes: ClassVar[bool] = False
    """Whether its summary can be drawn from the standard normal where there is no input, to generate from."""

    gives: ClassVar[frozenset[str]] = frozenset()
    """What scores know through it of an output: columns of `metrics.contract.Predictions`."""
    metrics: ClassVar[tuple[str, ...]] = ()
    """Metrics by default beside those of the modality and the head."""

    def penalty_weights(self, update: int) -> Mapping[str, float]:
        """What its penalties are multiplied by in an update, the first being 0; those that it does not name, by 1."""
        return {}

    def scored(self, encoded: Sequence[Encoded]) -> tuple[Encoded, Tensor | None]:
        """What scores read in place of `join`, and what is taken from the log-probability of each row (B,), or None."""
        return self.join(encoded), None

    @classmethod
    def suits(cls, lengths: Mapping[str, float]) -> Suits | None:
        """Whether an output of one answer is better off with this join than with its inputs side by side, where a
        recipe says nothing.

        Args:
            lengths: of each input, which are all sequences of symbols, the mean steps of training rows.
        """
        return None

    @abstractmethod
    def join(self, encoded: Sequence[Encoded]) -> Encoded:
        """One encoded input in place of several, row for row."""
