"""Stacks of torch.nn.RNN, LSTM and GRU as stacks of cells: the same gates in the same order, under other names."""

from __future__ import annotations

from torch import Tensor

from ostinato.importers._files import Weights
from ostinato.registry import make

PARTS = {"weight_ih": "weight_x", "weight_hh": "weight_h", "bias_ih": "bias_x", "bias_hh": "bias_h"}


def stacked(
    weights: Weights,
    source: str,
    target: str,
    cell: str,
    input_size: int,
    hidden_size: int,
    layers: int,
    directions: int = 1,
    biases: bool = True,
) -> dict[str, Tensor]:
    """The weights of a module of torch.nn as those of a stack of cells.

    Args:
        weights: where they are taken from.
        source: in front of the module's names: `encoder.rnn.`.
        target: in front of the cells' names: `encoders.de.stack.cells.`.
        cell: of those that torch.nn has too.
        input_size, hidden_size, layers, directions, biases: of the module.

    Errors:
        DataError: one is missing or of another shape.
    """
    made, rows = {}, len(make("cells", cell, (1, 1)).weight_h) * hidden_size
    for layer in range(layers):
        below = input_size if layer == 0 else directions * hidden_size
        shapes = {"weight_ih": (rows, below), "weight_hh": (rows, hidden_size), "bias_ih": (rows,), "bias_hh": (rows,)}
        for direction in range(directions):
            at = f"{target}{layer * directions + direction}."
            for part, own in PARTS.items():
                if biases or part.startswith("weight"):
                    name = f"{source}{part}_l{layer}" + "_reverse" * direction
                    made[at + own] = weights.take(name, *shapes[part])
    return made
