"""Leaky integrators: a recurrence without a product of the state, so that all steps are computed at once."""

import torch
from torch import Tensor, nn

from ostinato.contracts import Cell, Layout, State, Steps


class Leaky(Cell):
    """Numbers that leak, each at a rate of its own, and fill from what is read.

        h[t] = a h[t-1] + (1 - a) tanh(W x[t] + b),   a = sigmoid(rate)

    Shapes:
        x (B, I); state (h,): h (B, H); rate (H,)

    Args:
        start: the first rate of all; above 0 more is kept than written.

    Source: Mozer 1992, Induction of multiscale temporal structure (NIPS 4), equation 2.
    """

    num_gates = 1
    num_states = 1

    def __init__(self, input_size: int, hidden_size: int, *, start: float = 1.0):
        super().__init__(input_size, hidden_size)
        self.new_weights(1, recurrent=False)
        self.rate = nn.Parameter(torch.full((hidden_size,), start))

    def _keep_and_add(self, gates_x: Tensor) -> tuple[Tensor, Tensor]:
        keep = torch.sigmoid(self.rate)
        return keep.expand_as(gates_x), (1 - keep) * torch.tanh(gates_x)

    def pointwise(self, gates_x: Tensor, gates_h: Tensor, state: State) -> State:
        keep, add = self._keep_and_add(gates_x)
        return (keep * state[0] + add,)

    parallel = True

    def whole(self, gates_x: Tensor, state: State, layout: Layout) -> tuple[Tensor, State]:
        keep, add = (Steps(part, layout).padded() for part in self._keep_and_add(gates_x))
        reach = 1
        while reach < layout.longest:
            # Hillis and Steele's scan: after k rounds a step has composed the 2^k up to it.
            add = torch.cat([add[:, :reach], add[:, reach:] + keep[:, reach:] * add[:, :-reach]], 1)
            keep = torch.cat([keep[:, :reach], keep[:, reach:] * keep[:, :-reach]], 1)
            reach *= 2
        hidden = Steps.from_padded(keep * state[0].unsqueeze(1) + add, layout).values
        # The state after a sequence is its last hidden one, or that before it where it has no steps.
        rows = torch.arange(len(layout), device=hidden.device)
        ends = torch.where(layout.lengths > 0, layout.offsets[1:] - 1, len(hidden) + rows)
        return hidden, (torch.cat([hidden, state[0]]).index_select(0, ends),)
