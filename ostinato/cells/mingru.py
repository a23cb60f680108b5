"""The minimal GRU, whose gates read no state."""

import torch
from torch import Tensor

from ostinato.cells._input_gated import InputGated


class MinGRU(InputGated):
    """The minimal GRU: gate and candidate are of x alone, so that all steps are computed at once.

        z[t] = sigmoid(W_z x[t] + b_z + update_bias)        how much is written
        n[t] = W_n x[t] + b_n                               candidate
        h[t] = (1 - z[t]) h[t-1] + z[t] n[t]

    Shapes:
        x (B, I); state (h,): h (B, H); gates in the order z, n

    Args:
        update_bias: added inside the gate; below 0 the state is kept longer at the start of training.

    Source: Feng, Tung, Ahmed, Bengio and Hajimirsadeghi 2024, arXiv:2410.01201, section 3.1; the
        bias is ours, and candidates have no lower bound, which only their scan of logarithms needs.
    """

    num_gates = 2

    def __init__(self, input_size: int, hidden_size: int, *, update_bias: float = 0.0):
        super().__init__(input_size, hidden_size)
        self.update_bias = update_bias
        self.new_weights(1, recurrent=False)

    def keep_and_add(self, gates_x: Tensor) -> tuple[Tensor, Tensor]:
        z, n = gates_x.chunk(2, 1)
        z = z + self.update_bias
        # 1 - sigmoid(z) is sigmoid(-z), exact where z is large.
        return torch.sigmoid(-z), torch.sigmoid(z) * n
