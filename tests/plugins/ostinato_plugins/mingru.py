"""The minimal GRU whose gates read no state, so that all steps are computed at once."""

import torch
from torch import Tensor

from ostinato.contracts import Cell, Layout, State, Steps


class MinGRU(Cell):
    """A gated unit without a product of h: the recurrence is linear in it, and a scan computes all steps at once.

        z[t] = sigmoid(W_z x[t] + b_z + update_bias)        how much is written
        n[t] = W_n x[t] + b_n                               candidate
        h[t] = (1 - z[t]) h[t-1] + z[t] n[t]

    Shapes:
        x (B, I); state (h,): h (B, H); gates in the order z, n

    Args:
        update_bias: added inside the gate; below 0 the state is kept longer at the start of training.

    Source: Feng, Tung, Ahmed, Bengio and Hajimirsadeghi 2024, arXiv:2410.01201, section 3.1; the bias is ours.
    """

    num_gates = 2
    num_states = 1

    def __init__(self, input_size: int, hidden_size: int, *, update_bias: float = -1.0):
        super().__init__(input_size, hidden_size)
        self.update_bias = update_bias
        self.new_weights(1, recurrent=False)

    def _keep_and_add(self, gates_x: Tensor) -> tuple[Tensor, Tensor]:
        z, n = gates_x.chunk(2, 1)
        z = torch.sigmoid(z + self.update_bias)
        return 1 - z, z * n

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
