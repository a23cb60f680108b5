"""The minimal LSTM, whose gates read no state."""

import torch
from torch import Tensor
from torch.nn import functional

from ostinato.cells._input_gated import InputGated


class MinLSTM(InputGated):
    """The minimal LSTM: gates and candidate are of x alone, so that all steps are computed at once.

        f[t] = sigmoid(W_f x[t] + b_f + forget_bias)        forget gate
        i[t] = sigmoid(W_i x[t] + b_i)                      input gate
        n[t] = W_n x[t] + b_n                               candidate
        h[t] = (f[t] h[t-1] + i[t] n[t]) / (f[t] + i[t])

    Both gates are divided by their sum, so that the size of h does not depend on the length.

    Shapes:
        x (B, I); state (h,): h (B, H); gates in the order f, i, n

    Args:
        forget_bias: added inside the forget gate; above 0 the state is kept longer at the start of training.

    Source: Feng, Tung, Ahmed, Bengio and Hajimirsadeghi 2024, arXiv:2410.01201, section 3.2; the bias is their
        appendix's, and candidates have no lower bound, which only their scan of logarithms needs.
    """

    num_gates = 3

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 0.0):
        super().__init__(input_size, hidden_size)
        self.forget_bias = forget_bias
        self.new_weights(1, recurrent=False)

    def keep_and_add(self, gates_x: Tensor) -> tuple[Tensor, Tensor]:
        f, i, n = gates_x.chunk(3, 1)
        # f / (f + i) is sigmoid(log f - log i), which is a number where both gates are 0 in 32 bits.
        odds = functional.logsigmoid(f + self.forget_bias) - functional.logsigmoid(i)
        return torch.sigmoid(odds), torch.sigmoid(-odds) * n
