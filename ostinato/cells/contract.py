"""What a cell is: a number of gates, a number of states and one pointwise function; everything else is generic."""

import copy
from abc import ABC, abstractmethod
from typing import Literal, Self

import torch
from torch import Tensor, nn

from ostinato.kernels.contract import Native, Product, State
from ostinato.kernels.deferred import DeferredLinear
from ostinato.kernels.products import quickest_linear
from ostinato.steps import Layout

Biases = Literal[0, 1, 2]
"""None, one on the input's side, or one on each side, as torch and cuDNN have it."""


class Cell(nn.Module, ABC):
    """One step of a recurrence.

        gates_x[t] = W_x x[t] + b_x                  products of the input: all steps at once, outside the time loop
        gates_h[t] = W_h h[t-1] + b_h                product of the state: inside the loop
        state[t]   = pointwise(gates_x[t], gates_h[t], state[t-1])

    A cell whose last gates multiply something else than h[t-1] (GRU with the reset before) sets `late_gates` to their
    number and computes it in `late_input`:

        gates_h[t] = [W_early h[t-1] + b_early, W_late late_input(gates_x[t], early, state[t-1]) + b_late]

    A cell without a product of the hidden state (gates of x alone) leaves `weight_h` None: `pointwise` gets None as
    gates_h. If its recurrence can be computed for all steps at once, it sets `parallel` and does so in `whole`;
    `pointwise` is still what a single step is.

    To run a cell in a loop of one's own: `products = cell.products()` once per call of the module, then at each step
    `state = cell.step(gates_x, state, products)`. Whole sequences go through `kernels.dispatch.scan`.

    Shapes:
        weight_x (G*H, I); weight_h (G*H, H) or None; bias_x, bias_h (G*H,), either None when absent
        state (B, H) each, unless `state_sizes` differs; weight_h is as wide as the first

    Args:
        input_size: I, by position.
        hidden_size: H, by position.
    """

    num_gates: int
    num_states: int
    late_gates: int = 0
    """How many of the gates, the last ones, multiply `late_input` in place of the hidden state."""

    parallel: bool = False
    """Whether `whole` computes all steps at once."""

    keeping: str = "forget"
    """Of `gates` the one by which the state is multiplied: open it keeps, shut it forgets."""

    state_sizes: tuple[int, ...]
    """The width of each state: H, unless a cell sets others before it makes its weights."""

    weight_x: nn.Parameter
    weight_h: nn.Parameter | None
    bias_x: nn.Parameter | None
    bias_h: nn.Parameter | None

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.state_sizes = (hidden_size,) * self.num_states

    def new_weights(self, biases: Biases, *, recurrent: bool = True) -> None:
        """Makes the four tensors, torch.nn's way: uniform in +-1/sqrt(H).

        Args:
            biases: 0, 1 (on the input's side) or 2 (one on each side, as torch and cuDNN have it).
            recurrent: whether there is a product of the hidden state; without one weight_h and bias_h are None.
        """
        rows = self.num_gates * self.hidden_size
        self.weight_x = self.uniform(rows, self.input_size)
        self.weight_h = self.uniform(rows, self.state_sizes[0]) if recurrent else None
        self.bias_x = self.uniform(rows) if biases > 0 else None
        self.bias_h = self.uniform(rows) if biases > 1 and recurrent else None

    def uniform(self, *size: int) -> nn.Parameter:
        """A parameter drawn in +-1/sqrt(H)."""
        bound = self.hidden_size**-0.5
        return nn.Parameter(torch.empty(*size).uniform_(-bound, bound))

    def start_state(self, rows: int) -> State:
        """Zeros, one row each and as wide as `state_sizes`, of the weights' type and device."""
        return tuple(self.weight_x.new_zeros(rows, size) for size in self.state_sizes)

    def with_weight_h(self, weight: Tensor) -> Self:
        """This cell with another tensor in the place of `weight_h`, whose gradient goes to what it was made from."""
        other = copy.copy(self)
        # The parameters are the same ones, but for this: a module lets no plain tensor take the name of a parameter.
        other._parameters = {name: own for name, own in self._parameters.items() if name != "weight_h"}
        other.weight_h = weight  # type: ignore[assignment]
        return other

    def products(self) -> tuple[Product, ...]:
        """The product of the early gates and, if any, of the late ones: made once per call, for all its steps."""
        if self.weight_h is None:
            return ()
        if not self.late_gates:
            return (DeferredLinear(self.weight_h, self.bias_h),)
        early = (self.num_gates - self.late_gates) * self.hidden_size
        biases = (None, None) if self.bias_h is None else (self.bias_h[:early], self.bias_h[early:])
        return DeferredLinear(self.weight_h[:early], biases[0]), DeferredLinear(self.weight_h[early:], biases[1])

    def step(self, gates_x: Tensor, state: State, products: tuple[Product, ...]) -> State:
        """One step from the finished product of the input, (B, G*H)."""
        # Under autocast the products come in 16 bits; the state, a long sum, must not.
        kind = state[0].dtype
        gates_x = gates_x.to(kind)
        gates_h = products[0](state[0]).to(kind) if products else None
        if self.late_gates and gates_h is not None:
            gates_h = torch.cat([gates_h, products[1](self.late_input(gates_x, gates_h, state)).to(kind)], 1)
        return self.pointwise(gates_x, gates_h, state)

    def forward(self, x: Tensor, state: State) -> State:
        """One step: x (B, I) and the state before it to the state after it."""
        # torch's own product, which takes less time for few rows
        return self.step(nn.functional.linear(x, self.weight_x, self.bias_x), state, self.products())

    def input_gates(self, x: Tensor) -> Tensor:
        """The product of the input, of any steps: (N, I) to (N, G*H)."""
        return quickest_linear(x, self.weight_x, self.bias_x)

    def native(self) -> Native | str:
        """What the native loop (`kernels/native.py`) computes in this cell's place, or why it cannot."""
        return f"{type(self).__name__} has no native step"

    @abstractmethod
    def pointwise(self, gates_x: Tensor, gates_h: Tensor | None, state: State) -> State:
        """The next state from the two products (B, G*H) and the last state, in plain torch without further products."""

    def gates(self, gates_x: Tensor, gates_h: Tensor | None, state: State, after: State) -> dict[str, Tensor]:
        """The gates of a step by their names, (B, H) each from 0, shut, to 1, open; by default there are none.

        Args:
            gates_x: as `pointwise` reads it, gates_h and state too.
            after: what `pointwise` gave.
        """
        return {}

    def late_input(self, gates_x: Tensor, gates_h: Tensor, state: State) -> Tensor:
        """What the late gates multiply, (B, H), from the early gates' products; of a cell with late gates alone."""
        raise NotImplementedError

    def whole(self, gates_x: Tensor, state: State, layout: Layout) -> tuple[Tensor, State]:
        """Hidden states (N, H) and the state after each last step, without a time loop; of `parallel` cells alone.

        Shapes:
            gates_x (N, G*H): the finished products of the input, of the steps in `layout`; state (B, H) each
        """
        raise NotImplementedError
