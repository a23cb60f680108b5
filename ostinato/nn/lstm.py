"""The long short-term memory in torch.nn's place."""

from __future__ import annotations

import torch
from torch import nn

from ostinato.cells import lstm
from ostinato.nn.recurrent import Recurrent


class LSTM(Recurrent):
    """`torch.nn.LSTM`: its arguments, parameters, inputs and outputs, computed over real steps only. See `Recurrent`.

    With `layer_norm` the biases are those of the norms: `norm_x_l0.bias` and `norm_h_l0.bias` in place of `bias_ih_l0`
    and `bias_hh_l0`, beside `norm_c_l0`. Peepholes are `peepholes_l0`. With `coupled` weights and biases lack the rows
    of i.

    Args:
        device: where the parameters live.
        dtype: their type.
        peepholes: whether the gates see the cell.
        coupled: whether the cell forgets exactly as much as it writes.
        layer_norm: whether products and cell are normalised.
        forget_bias: what the forget gate's biases add up to at the start; None leaves them at random around 0, as torch
            does.

    Errors:
        ValueError: a forget bias where there are no biases.

    Source: the equations are in `ostinato.cells.lstm`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        peepholes: bool = False,
        coupled: bool = False,
        layer_norm: bool = False,
        forget_bias: float | None = None,
    ):
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size)
        if forget_bias is not None and not bias:
            raise ValueError(f"bias=False leaves no place for forget_bias={forget_bias:g}; leave one of the two out")
        self.peepholes = peepholes
        self.coupled = coupled
        self.layer_norm = layer_norm
        self.forget_bias = forget_bias
        self.mode = "LSTM"

        def make(width: int) -> lstm.LSTM:
            return lstm.LSTM(
                width,
                hidden_size,
                proj_size,
                forget_bias=0.0,
                peepholes=peepholes,
                layer_norm=layer_norm,
                coupled=coupled,
                biases=2 if bias else 0,
            )

        self.make_parameters(make, device, dtype)

    def set_first_values(self, cell: lstm.LSTM) -> None:
        """Norms that scale by 1, their biases drawn as the others are; then the forget gate's, if it was set."""
        bias_x, bias_h = cell.bias_x, cell.bias_h
        if cell.norm_c is not None:
            bound = self.hidden_size**-0.5
            bias_x, bias_h = cell.norm_x.bias, cell.norm_h.bias
            for norm in (cell.norm_x, cell.norm_h, cell.norm_c):
                norm.reset_parameters()
            for bias in (bias_x, bias_h):
                if bias is not None:
                    nn.init.uniform_(bias, -bound, bound)
        if self.forget_bias is not None:
            bias_x[cell.forget_rows] = self.forget_bias
            bias_h[cell.forget_rows] = 0.0
