"""The long short-term memory."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.cells.contract import Biases, Cell
from ostinato.errors import ConfigError
from ostinato.kernels.contract import Native, State


class LSTM(Cell):
    """The long short-term memory: a cell that is written, kept and read through gates.

        i = sigmoid(W_xi x + b_xi + W_hi h[t-1] + b_hi)               input gate
        f = sigmoid(W_xf x + b_xf + W_hf h[t-1] + b_hf)               forget gate: f = 1 keeps
        g = tanh(W_xg x + b_xg + W_hg h[t-1] + b_hg)                  candidate
        o = sigmoid(W_xo x + b_xo + W_ho h[t-1] + b_ho)               output gate
        c[t] = f * c[t-1] + i * g
        h[t] = o * tanh(c[t])

    peepholes:    p_i * c[t-1] is added inside i, p_f * c[t-1] inside f, p_o * c[t] inside o
    coupled:      i = 1 - f, and the rows of i are absent
    layer_norm:   W_x x becomes norm(W_x x) and W_h h becomes norm(W_h h), each over all gates, biases added afterwards;
                  h[t] = o * tanh(norm(c[t]))
    projection:   h[t] = W_r (o * tanh(c[t]))                         narrower than the cell

    Shapes:
        x (B, I); state (h, c): each (B, H); gates in torch's order i, f, g, o (coupled: f, g, o)
        p (3, H) for i, f, o (coupled: 2); with a projection: h (B, P); weight_r (P, H); weight_h (G*H, P)

    Args:
        projection: P, by position; 0 leaves it out. No recipe gives it: stacks and heads take h to be H wide.
        forget_bias: what the forget gate's biases add up to at the start; torch draws them at random around 0.
        peepholes: whether the gates see the cell.
        layer_norm: whether products and cell are normalised.
        coupled: whether the cell forgets exactly as much as it writes.
        biases: how many bias vectors: none, one, or one each for x and h as torch has it.

    Errors:
        ConfigError: a forget bias where there are no biases.

    Source: Hochreiter 1997, doi:10.1162/neco.1997.9.8.1735; forget gate: Gers 2000, doi:10.1162/089976600300015015, and
        its bias of 1: Jozefowicz 2015, section 5; peepholes: Gers 2002, jmlr.org/papers/v3/gers02a; layer norm: Ba
        2016, arXiv:1607.06450, equations 20 to 22; coupled: Greff 2017, arXiv:1503.04069, CIFG; projection: Sak 2014,
        arXiv:1402.1128, its recurrent projection.
    """

    num_states = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        projection: int = 0,
        *,
        forget_bias: float = 1.0,
        peepholes: bool = False,
        layer_norm: bool = False,
        coupled: bool = False,
        biases: Biases = 2,
    ):
        super().__init__(input_size, hidden_size)
        if biases == 0 and forget_bias != 0:
            raise ConfigError(
                f"lstm: biases: 0 leaves no place for forget_bias: {forget_bias:g};"
                " set forget_bias: 0, or biases to 1 or 2"
            )
        self.coupled = coupled
        self.num_gates = 3 if coupled else 4
        self.forget_rows = slice(0, hidden_size) if coupled else slice(hidden_size, 2 * hidden_size)
        self.state_sizes = (projection or hidden_size, hidden_size)
        self.new_weights(biases)
        with torch.no_grad():
            if self.bias_x is not None:
                self.bias_x[self.forget_rows] = forget_bias
            if self.bias_h is not None:
                self.bias_h[self.forget_rows] = 0.0
        self.weight_r = self.uniform(projection, hidden_size) if projection else None
        self.peepholes = self.uniform(self.num_gates - 1, hidden_size) if peepholes else None
        self.norm_x = self.norm_h = self.norm_c = None
        if layer_norm:
            # A bias before the norm would be normalised away in part, forget_bias with it: the norms carry the biases.
            self.norm_x, self.bias_x = _norm(self.weight_x, self.bias_x), None
            self.norm_h, self.bias_h = _norm(self.weight_h, self.bias_h), None
            self.norm_c = nn.LayerNorm(hidden_size)

    def native(self) -> Native | str:
        if self.norm_x is not None:
            return "layer_norm has no native step"
        if self.weight_r is not None:
            return "projection has no native step"
        return Native("lstm_coupled" if self.coupled else "lstm", self.peepholes)

    def pointwise(self, gates_x: Tensor, gates_h: Tensor, state: State) -> State:
        c = state[1]
        *writing, f, g, o = self._before_activation(gates_x, gates_h, c)
        f, g = torch.sigmoid(f), torch.tanh(g)
        if self.coupled:
            c = torch.lerp(g, c, f)
        else:
            c = torch.addcmul(f * c, torch.sigmoid(writing[0]), g)
        if self.peepholes is not None:
            o = o + self.peepholes[-1] * c
        seen = c if self.norm_c is None else self.norm_c(c)
        h = torch.sigmoid(o) * torch.tanh(seen)
        return h if self.weight_r is None else functional.linear(h, self.weight_r).to(h.dtype), c

    def gates(self, gates_x: Tensor, gates_h: Tensor, state: State, after: State) -> dict[str, Tensor]:
        *writing, f, _, o = self._before_activation(gates_x, gates_h, state[1])
        if self.peepholes is not None:
            o = o + self.peepholes[-1] * after[1]
        f = torch.sigmoid(f)
        i = 1 - f if self.coupled else torch.sigmoid(writing[0])
        return {"input": i, "forget": f, "output": torch.sigmoid(o)}

    def _before_activation(self, gates_x: Tensor, gates_h: Tensor, c: Tensor) -> list[Tensor]:
        """Each gate and the candidate; o without its peephole, which reads the next c."""
        gates = gates_x + gates_h if self.norm_x is None else self.norm_x(gates_x) + self.norm_h(gates_h)
        *writing, f, g, o = gates.chunk(self.num_gates, 1)
        if self.peepholes is not None:
            *p_i, p_f, _ = self.peepholes
            writing = [i + p * c for i, p in zip(writing, p_i)]
            f = f + p_f * c
        return [*writing, f, g, o]


def _norm(weight: Tensor, bias: nn.Parameter | None) -> nn.LayerNorm:
    norm = nn.LayerNorm(len(weight), bias=bias is not None)
    if bias is not None:
        norm.bias = bias
    return norm
