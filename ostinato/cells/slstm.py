"""The sLSTM, an LSTM with exponential gates."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from ostinato.cells.contract import Biases, Cell
from ostinato.errors import ConfigError
from ostinato.kernels.contract import Native, State


class SLSTM(Cell):
    """The sLSTM: an input gate without an upper bound, so that what is written now can outweigh all that was before.

        a_i, a_f, a_z, a_o = W_x x + b_x + W_h h[t-1] + b_h
        log f = log sigmoid(a_f)                            or a_f itself: exponential forgetting
        m[t]  = max(log f + m[t-1], a_i)                    the scale of c and n, which h does not depend on
        f     = exp(log f + m[t-1] - m[t]);  i = exp(a_i - m[t])
        c[t]  = f c[t-1] + i tanh(a_z)
        n[t]  = f n[t-1] + i                                the sum of all weights
        h[t]  = sigmoid(a_o) c[t] / max(n[t], 1)

    Shapes:
        x (B, I); state (h, c, n, m): each (B, H); gates in the order i, f, z, o

    Args:
        forget: the forget gate's activation.
        forget_bias: what the forget gate's biases add up to at the start.
        biases: how many bias vectors: none, one, or one each for x and h.

    Errors:
        ConfigError: a forget bias where there are no biases.

    Source: Beck et al. 2024, arXiv:2405.04517, equations 8 to 15. Theirs starts from m = -infinity, so that n is 1 or
        more from the first step on; here m starts from 0. W_h is dense, theirs block-diagonal with a block per head.
    """

    num_gates = 4
    num_states = 4

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        forget: Literal["sigmoid", "exponential"] = "sigmoid",
        forget_bias: float = 3.0,
        biases: Biases = 2,
    ):
        super().__init__(input_size, hidden_size)
        if biases == 0 and forget_bias != 0:
            raise ConfigError(
                f"slstm: biases: 0 leaves no place for forget_bias: {forget_bias:g};"
                " set forget_bias: 0, or biases to 1 or 2"
            )
        self.forget = forget
        self.new_weights(biases)
        rows = slice(hidden_size, 2 * hidden_size)
        with torch.no_grad():
            for bias, value in ((self.bias_x, forget_bias), (self.bias_h, 0.0)):
                if bias is not None:
                    bias[rows] = value

    def native(self) -> Native:
        return Native("slstm" if self.forget == "sigmoid" else "slstm_exponential")

    def pointwise(self, gates_x: Tensor, gates_h: Tensor | None, state: State) -> State:
        _, c, n, m = state
        i, f, z, o = (gates_x + gates_h).chunk(4, 1)
        kept = (functional.logsigmoid(f) if self.forget == "sigmoid" else f) + m
        m = torch.maximum(kept, i)
        f, i = torch.exp(kept - m), torch.exp(i - m)
        c = torch.addcmul(f * c, i, torch.tanh(z))
        n = torch.addcmul(i, f, n)
        return torch.sigmoid(o) * c / n.clamp(min=1), c, n, m

    def gates(self, gates_x: Tensor, gates_h: Tensor, state: State, after: State) -> dict[str, Tensor]:
        i, _, _, o = (gates_x + gates_h).chunk(4, 1)
        # The shares of what was kept and of what is written in the sum of all weights: the gates alone have no bound.
        written = torch.exp(i - after[3]) / after[2]
        return {"input": written, "forget": 1 - written, "output": torch.sigmoid(o)}
