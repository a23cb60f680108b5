"""What a cell is: a number of gates, a number of states and one pointwise function; everything else is generic."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]
"""The tensors that a cell hands from step to step, each (B, H); the first is the hidden state that others see."""


class Cell(nn.Module, ABC):
    """One step of a recurrence.

        gates_x[t] = W_x x[t] + b_x                  products of the input: all steps at once, outside the time loop
        gates_h[t] = W_h h[t-1] + b_h                product of the state: inside the loop
        state[t]   = pointwise(gates_x[t], gates_h[t], state[t-1])

    A cell whose gate needs a further product of the state (GRU with the reset before) says so with `second_product`.

    Shapes:
        weight_x (G*H, I); weight_h (G*H, H); bias_x, bias_h (G*H,), either None when absent

    Args:
        input_size: I, by position.
        hidden_size: H, by position.
    """

    num_gates: ClassVar[int]
    num_states: ClassVar[int]

    weight_x: nn.Parameter
    weight_h: nn.Parameter
    bias_x: nn.Parameter | None
    bias_h: nn.Parameter | None

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size

    def new_weights(self, biases: int) -> None:
        """Makes the four tensors, torch.nn's way: uniform in +-1/sqrt(H).

        Args:
            biases: 0, 1 (on the input's side) or 2 (one on each side, as torch and cuDNN have it).
        """
        width, bound = self.num_gates * self.hidden_size, self.hidden_size**-0.5
        uniform = lambda *size: nn.Parameter(torch.empty(*size).uniform_(-bound, bound))  # noqa: E731
        self.weight_x = uniform(width, self.input_size)
        self.weight_h = uniform(width, self.hidden_size)
        self.bias_x = uniform(width) if biases > 0 else None
        self.bias_h = uniform(width) if biases > 1 else None

    def start_state(self, rows: int) -> State:
        """Zeros, (rows, H) for each state, of the weights' type and device."""
        return tuple(self.weight_h.new_zeros(rows, self.hidden_size) for _ in range(self.num_states))

    @abstractmethod
    def pointwise(self, gates_x: Tensor, gates_h: Tensor, state: State) -> State:
        """The next state from the two products (B, G*H) and the last state; plain torch, any device, no product of its own
        except through `second_product`."""

    def forward(self, x: Tensor, state: State) -> State:
        """One step: x (B, I) and the state before it to the state after it."""
        gates_x = nn.functional.linear(x, self.weight_x, self.bias_x)
        return self.pointwise(gates_x, nn.functional.linear(state[0], self.weight_h, self.bias_h), state)
