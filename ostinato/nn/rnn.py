"""The simple recurrent network in torch.nn's place."""

from __future__ import annotations

from typing import Literal

import torch

from ostinato.cells import rnn
from ostinato.cells.contract import Cell
from ostinato.errors import nearest
from ostinato.nn.recurrent import Recurrent


class RNN(Recurrent):
    """`torch.nn.RNN`: its arguments, parameters, inputs and outputs, computed over real steps only. See `Recurrent`.

    Args:
        nonlinearity: tanh and relu as in torch, or leaky_relu.
        proj_size: at its place among torch's arguments; it must be 0.
        device: where the parameters live.
        dtype: their type.

    Errors:
        ValueError: an unknown nonlinearity; a proj_size.

    Source: the equations are in `ostinato.cells.rnn`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: Literal["tanh", "relu", "leaky_relu"] = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        if nonlinearity not in rnn.ACTIVATIONS:
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'{nearest(str(nonlinearity), rnn.ACTIVATIONS)}")
        if proj_size:
            raise ValueError(f"proj_size argument is only supported for LSTM, not RNN or GRU, got {proj_size}")
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size)
        self.nonlinearity = nonlinearity
        self.mode = f"RNN_{nonlinearity.upper()}"
        biases = 2 if bias else 0
        self.make_parameters(
            lambda width: rnn.RNN(width, hidden_size, activation=nonlinearity, biases=biases), device, dtype
        )

    def set_first_values(self, cell: Cell) -> None:
        """Torch's are all."""
