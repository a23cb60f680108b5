"""Feed-forward layers on each step by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.kernels.products import linear
from ostinato.layers.dropout import dropped

Activation = Literal["relu", "tanh", "gelu"]
ACTIVATIONS = {"relu": functional.relu, "tanh": torch.tanh, "gelu": functional.gelu}


class Dense(nn.Module):
    """Layers on top of each other, each row by itself.

        h_0 = x
        h_l = activation(W_l dropout(h_{l-1}) + b_l)

    Shapes:
        x (N, I); returns (N, H of the last layer), or x where there is no layer

    Args:
        input_size: I.
        sizes: H of each layer.
        activation: relu, tanh, or gelu.
        dropout: the probability of dropping a value that a layer reads.
    """

    def __init__(self, input_size: int, sizes: Sequence[int], *, activation: Activation = "relu", dropout: float = 0.0):
        super().__init__()
        self.activation = activation
        self.dropout = dropout
        self.layers = nn.ModuleList(nn.Linear(below, size) for below, size in zip([input_size, *sizes], sizes))
        self.output_size = sizes[-1] if sizes else input_size

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            read = dropped(x, self.dropout) if self.training and self.dropout else x
            x = ACTIVATIONS[self.activation](linear(read, layer.weight, layer.bias))
        return x
