"""The gated recurrent unit in torch.nn's place."""

from __future__ import annotations

from typing import Literal

import torch

from ostinato.cells import gru
from ostinato.cells.contract import Cell
from ostinato.errors import nearest
from ostinato.nn.recurrent import Recurrent


class GRU(Recurrent):
    """`torch.nn.GRU`: its arguments, parameters, inputs and outputs, computed over real steps only. See `Recurrent`.

    Args:
        proj_size: at its place among torch's arguments; it must be 0.
        device: where the parameters live.
        dtype: their type.
        reset: whether r multiplies after the product, as torch does, or before it, as Cho 2014 has it.

    Errors:
        ValueError: an unknown reset; a proj_size.

    Source: the equations are in `ostinato.cells.gru`.
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
        reset: Literal["after", "before"] = "after",
    ):
        if reset not in ("after", "before"):
            raise ValueError(f"Unknown reset '{reset}'{nearest(str(reset), ('after', 'before'))}")
        if proj_size:
            raise ValueError(f"proj_size argument is only supported for LSTM, not RNN or GRU, got {proj_size}")
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size)
        self.reset = reset
        self.mode = "GRU"
        self.make_parameters(
            lambda width: gru.GRU(width, hidden_size, reset=reset, biases=2 if bias else 0), device, dtype
        )

    def set_first_values(self, cell: Cell) -> None:
        """Torch's are all."""
