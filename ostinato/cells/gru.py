"""The gated recurrent unit."""

from typing import Literal

import torch
from torch import Tensor

from ostinato.cells.contract import Biases, Cell
from ostinato.kernels.contract import Native, State


class GRU(Cell):
    """The gated recurrent unit: one gate to forget and to write, one to look back.

        r = sigmoid(W_xr x + b_xr + W_hr h[t-1] + b_hr)               reset: how much of the past the candidate sees
        z = sigmoid(W_xz x + b_xz + W_hz h[t-1] + b_hz)               update
        n = tanh(W_xn x + b_xn + r * (W_hn h[t-1] + b_hn))            candidate, reset after the product
        n = tanh(W_xn x + b_xn + W_hn (r * h[t-1]) + b_hn)            candidate, reset before the product
        h[t] = (1 - z) * n + z * h[t-1]                               z = 1 keeps the past, z = 0 takes the candidate

    Which way round z is: as in Cho 2014 and torch.nn, z keeps; Chung 2014 and Bahdanau 2015 write it the other way, z
    takes.

    Shapes:
        x (B, I); state (h,): h (B, H); gates in torch's order r, z, n

    Args:
        reset: whether r multiplies after the product, as torch and cuDNN do, or before it, as the paper does.
        biases: how many bias vectors: none, one, or one each for x and h as torch has it.

    Source: Cho 2014, arXiv:1406.1078, equations 5 to 8 (without biases).
    """

    num_gates = 3
    num_states = 1
    keeping = "update"

    def __init__(
        self, input_size: int, hidden_size: int, *, reset: Literal["after", "before"] = "after", biases: Biases = 2
    ):
        super().__init__(input_size, hidden_size)
        self.late_gates = 1 if reset == "before" else 0
        self.new_weights(biases)

    def native(self) -> Native:
        return Native("gru_before" if self.late_gates else "gru_after")

    def late_input(self, gates_x: Tensor, gates_h: Tensor, state: State) -> Tensor:
        size = self.hidden_size
        return torch.sigmoid(gates_x[:, :size] + gates_h[:, :size]) * state[0]

    def pointwise(self, gates_x: Tensor, gates_h: Tensor, state: State) -> State:
        x_r, x_z, x_n = gates_x.chunk(3, 1)
        h_r, h_z, h_n = gates_h.chunk(3, 1)
        if self.late_gates:
            n = torch.tanh(x_n + h_n)
        else:
            n = torch.tanh(torch.addcmul(x_n, torch.sigmoid(x_r + h_r), h_n))
        return (torch.lerp(n, state[0], torch.sigmoid(x_z + h_z)),)

    def gates(self, gates_x: Tensor, gates_h: Tensor, state: State, after: State) -> dict[str, Tensor]:
        reset, update = torch.sigmoid(gates_x + gates_h).chunk(3, 1)[:2]
        return {"reset": reset, "update": update}
