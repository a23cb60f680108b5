"""What a cell is: a number of gates, a number of states and one pointwise function; everything else is generic."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

from ostinato.kernels.contract import Native, Product, State
from ostinato.kernels.deferred import DeferredLinear

Biases = Literal[0, 1, 2]
"""None, one on the input's side, or one on each side, as torch and cuDNN have it."""


class Cell(nn.Module, ABC):
    """One step of a recurrence.

        gates_x[t] = W_x x[t] + b_x                  products of the input: all steps at once, outside the time loop
        gates_h[t] = W_h h[t-1] + b_h                product of the state: inside the loop
        state[t]   = pointwise(gates_x[t], gates_h[t], state[t-1])

    A cell whose last gates multiply something else than h[t-1] (GRU with the reset before) sets `late_gates` to their number
    and says in `late_input` what that is:

        gates_h[t] = [W_early h[t-1] + b_early, W_late late_input(gates_x[t], early, state[t-1]) + b_late]

    To run a cell in a loop of one's own: `products = cell.products()` once per call of the module, then at each step
    `state = cell.step(gates_x, state, products)`. Whole sequences go through `kernels.dispatch.scan`.

    Shapes:
        weight_x (G*H, I); weight_h (G*H, H); bias_x, bias_h (G*H,), either None when absent
        state (B, H) each, unless `state_sizes` says otherwise; weight_h is as wide as the first

    Args:
        input_size: I, by position.
        hidden_size: H, by position.
    """

    num_gates: int
    num_states: int
    late_gates: int = 0
    """How many of the gates, the last ones, multiply `late_input` in place of the hidden state."""

    state_sizes: tuple[int, ...]
    """The width of each state: H, unless a cell says otherwise before it makes its weights."""

    weight_x: nn.Parameter
    weight_h: nn.Parameter
    bias_x: nn.Parameter | None
    bias_h: nn.Parameter | None

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.state_sizes = (hidden_size,) * self.num_states

    def new_weights(self, biases: Biases) -> None:
        """Makes the four tensors, torch.nn's way: uniform in +-1/sqrt(H).

        Args:
            biases: 0, 1 (on the input's side) or 2 (one on each side, as torch and cuDNN have it).
        """
        self.weight_x = self.uniform(self.num_gates * self.hidden_size, self.input_size)
        self.weight_h = self.uniform(self.num_gates * self.hidden_size, self.state_sizes[0])
        self.bias_x = self.uniform(self.num_gates * self.hidden_size) if biases > 0 else None
        self.bias_h = self.uniform(self.num_gates * self.hidden_size) if biases > 1 else None

    def uniform(self, *size: int) -> nn.Parameter:
        """A parameter drawn in +-1/sqrt(H)."""
        bound = self.hidden_size**-0.5
        return nn.Parameter(torch.empty(*size).uniform_(-bound, bound))

    def start_state(self, rows: int) -> State:
        """Zeros, one row each and as wide as `state_sizes`, of the weights' type and device."""
        return tuple(self.weight_h.new_zeros(rows, size) for size in self.state_sizes)

    def products(self) -> tuple[Product, ...]:
        """The product of the early gates and, where there are late ones, theirs: made once per call, for all its steps."""
        if not self.late_gates:
            return (DeferredLinear(self.weight_h, self.bias_h),)
        early = (self.num_gates - self.late_gates) * self.hidden_size
        biases = (None, None) if self.bias_h is None else (self.bias_h[:early], self.bias_h[early:])
        return DeferredLinear(self.weight_h[:early], biases[0]), DeferredLinear(self.weight_h[early:], biases[1])

    def step(self, gates_x: Tensor, state: State, products: tuple[Product, ...]) -> State:
        """One step from the finished product of the input, (B, G*H)."""
        # Under autocast the products come in 16 bits; the state, a long sum, must not.
        kind = state[0].dtype
        gates_x, gates_h = gates_x.to(kind), products[0](state[0]).to(kind)
        if self.late_gates:
            gates_h = torch.cat([gates_h, products[1](self.late_input(gates_x, gates_h, state)).to(kind)], 1)
        return self.pointwise(gates_x, gates_h, state)

    def forward(self, x: Tensor, state: State) -> State:
        """One step: x (B, I) and the state before it to the state after it."""
        return self.step(nn.functional.linear(x, self.weight_x, self.bias_x), state, self.products())

    def native(self) -> Native | str:
        """What the native loop (`kernels/native.py`) computes in this cell's place, or why it cannot."""
        return f"{type(self).__name__} has no native step"

    @abstractmethod
    def pointwise(self, gates_x: Tensor, gates_h: Tensor, state: State) -> State:
        """The next state from the two products (B, G*H) and the last state; plain torch, any device, no product of its own."""

    def late_input(self, gates_x: Tensor, gates_h: Tensor, state: State) -> Tensor:
        """What the late gates multiply, (B, H), from the early gates' products; asked only of a cell that has late gates."""
        raise NotImplementedError
