"""The simple recurrent unit."""

import torch
from torch import Tensor

from ostinato.cells.contract import Cell
from ostinato.kernels.contract import State
from ostinato.kernels.linear_scan import at_ends, linear_scan
from ostinato.steps import Layout


class SRU(Cell):
    """The simple recurrent unit: an average of what is read, and a way around it.

        f[t] = sigmoid(W_f x[t] + b_f + forget_bias)        forget gate
        r[t] = sigmoid(W_r x[t] + b_r)                      reset gate: how much of the average is shown
        c[t] = f[t] c[t-1] + (1 - f[t]) (W_n x[t] + b_n)
        h[t] = r[t] c[t] + (1 - r[t]) (W_k x[t] + b_k)      the way around

    peepholes:    v_f * c[t-1] is added inside f, v_r * c[t-1] inside r

    Without peepholes all steps are computed at once.

    Shapes:
        x (B, I); state (h, c): each (B, H); gates in the order f, r, n, k; v (2, H)

    Args:
        forget_bias: added inside the forget gate; above 0 c is kept longer at the start of training.
        peepholes: whether the gates see c.

    Source: Lei, Zhang, Wang, Dai and Artzi 2018, arXiv:1709.02755, equations 1 to 4 with peepholes, its first version
        without. They lead x itself around; here W_k x, since x may have another width;
        the bias is ours.
    """

    num_gates = 4
    num_states = 2

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0, peepholes: bool = False):
        super().__init__(input_size, hidden_size)
        self.forget_bias = forget_bias
        self.new_weights(1, recurrent=False)
        self.peepholes = self.uniform(2, hidden_size) if peepholes else None
        self.parallel = not peepholes

    def pointwise(self, gates_x: Tensor, gates_h: Tensor | None, state: State) -> State:
        f, r, n, around = self._seen(gates_x, state[1])
        c = torch.lerp(n, state[1], torch.sigmoid(f))
        return torch.lerp(around, c, torch.sigmoid(r)), c

    def gates(self, gates_x: Tensor, gates_h: Tensor | None, state: State, after: State) -> dict[str, Tensor]:
        f, r, _, _ = self._seen(gates_x, state[1])
        return {"forget": torch.sigmoid(f), "reset": torch.sigmoid(r)}

    def whole(self, gates_x: Tensor, state: State, layout: Layout) -> tuple[Tensor, State]:
        f, r, n, around = self._gates(gates_x)
        c, last = linear_scan(torch.sigmoid(f), torch.sigmoid(-f) * n, state[1], layout)
        hidden = torch.lerp(around, c, torch.sigmoid(r))
        return hidden, (at_ends(hidden, state[0], layout), last)

    def _seen(self, gates_x: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        f, r, *others = self._gates(gates_x)
        if self.peepholes is not None:
            f, r = f + self.peepholes[0] * c, r + self.peepholes[1] * c
        return f, r, *others

    def _gates(self, gates_x: Tensor) -> tuple[Tensor, ...]:
        f, *others = gates_x.chunk(4, 1)
        return f + self.forget_bias, *others
