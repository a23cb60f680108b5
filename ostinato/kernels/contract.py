"""What a kernel is: a whole recurrence over a ragged batch as one pure function; and what it asks of a cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from torch import Tensor

from ostinato.steps import Layout

State = tuple[Tensor, ...]
"""The tensors that a cell hands from step to step, each (B, H); the first is the hidden state that others see."""

Product = Callable[[Tensor], Tensor]
"""A product with rows of `weight_h`: (B, H) -> (B, rows)."""


class Native(NamedTuple):
    """What the native loop must know of a cell beside its weights.

    Args:
        cell: its name there (`native/cell_list.h`).
        peepholes: one row per gate that sees the cell state, or None.
    """

    cell: str
    peepholes: Tensor | None = None


class Recurrence(Protocol):
    """What a kernel reads of a cell (`ostinato.cells`): its weights, and the step as equations.

    `weight_h` and `bias_h` are read of a cell that `native` has a name for; others may have none.
    """

    num_states: int
    parallel: bool
    weight_x: Tensor
    weight_h: Tensor | None
    bias_x: Tensor | None
    bias_h: Tensor | None

    def input_gates(self, x: Tensor) -> Tensor:
        """W_x x + b_x of any steps, (N, I) to (N, G H)."""

    def native(self) -> Native | str:
        """What the native loop computes in its place, or why it cannot."""

    def whole(self, gates_x: Tensor, state: State, layout: Layout) -> tuple[Tensor, State]:
        """All steps at once, without a time loop, where it is `parallel`."""

    def products(self) -> tuple[Product, ...]:
        """The products of one call, made before its time loop."""

    def step(self, gates_x: Tensor, state: State, products: tuple[Product, ...]) -> State:
        """The state after a step."""


class Kernel(Protocol):
    """The hidden states of all steps and the state after the last step of each sequence.

        state[t] = step(W_x x[t] + b_x, state[t-1])            over the real steps of each sequence; never a padded one

    A sequence without steps ends in its start state. With `reverse` each sequence is read from its last step to its
    first: hidden[t] has seen t and what follows, and the final state is the one after the first step.

    Shapes:
        x (N, I); state, final state: a tuple of (B, H); hidden (N, H); state_mask (B, H) or None

    Args:
        cell: the recurrence.
        x: the inputs of all steps.
        state: before the first step, one row per sequence.
        layout: whose steps they are.
        reverse: whether to read from the last step to the first.
        state_mask: multiplies what the products of the hidden state read, the same at each step: recurrent dropout.
    """

    def __call__(
        self,
        cell: Recurrence,
        x: Tensor,
        state: State,
        layout: Layout,
        *,
        reverse: bool = False,
        state_mask: Tensor | None = None,
    ) -> tuple[Tensor, State]: ...
