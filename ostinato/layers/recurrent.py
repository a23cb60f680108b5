"""Recurrences on top of each other, one way or both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ostinato import registry
from ostinato.cells.contract import Cell
from ostinato.errors import ConfigError
from ostinato.kernels import dispatch
from ostinato.layers.dropout import Dropout, dropped, keep_mask
from ostinato.registry import Settings
from ostinato.steps import Steps

REVERSED = {"forward": (False,), "backward": (True,), "both": (False, True)}
"""For each way of reading, whether each of its directions starts from the last step."""


class RecurrentStack(nn.Module):
    """Layers of one kind of cell, each reading forward, backward, or both ways.

        y_0    = x
        y_l[t] = [forward_l(dropout(y_{l-1}))[t], backward_l(dropout(y_{l-1}))[t]]  (one of them unless `reads: both`)
        y_l[t] = y_l[t] + y_{l-1}[t]                                                with `residual`

    The state is a flat tuple: layer by layer, forward before backward, each cell's own states in its order. A sequence
    without steps ends in its start state.

    Shapes:
        x (N, I); each state (B, H_l); returns (N, output_size) and the states after the last step read

    Args:
        cell: the settings of the cells.
        input_size: I.
        hidden_sizes: H of each layer, per direction.
        reads: from the first step, from the last step, or one of each kind beside each other; hidden[t] belongs to t in
            any case.
        residual: whether a layer's input is added to its output, at each layer where both are equally wide.
        dropout: the probability of dropping a value of a layer's input, the first layer's too.
        variational: whether that dropout has one mask per sequence.
        recurrent_dropout: the probability of dropping a value of the hidden state that the products read, one mask per
            sequence.
        weight_drop: the probability of dropping a weight between hidden states, one mask per batch.
        learnt_start: whether the start state is learnt, in place of zero.

    Errors:
        ConfigError: `residual` where no layer is as wide as its input.
        ValueError: the state given has another number of tensors.

    Source: Schuster 1997, doi:10.1109/78.650093 (both ways); Gal 2016, arXiv:1512.05287 (variational and recurrent
        dropout); Wan 2013 (ICML, DropConnect) and Merity 2018, arXiv:1708.02182, section 2 (weight drop).
    """

    def __init__(
        self,
        cell: Settings,
        input_size: int,
        hidden_sizes: Sequence[int],
        *,
        reads: Literal["forward", "backward", "both"] = "forward",
        residual: bool = False,
        dropout: float = 0.0,
        variational: bool = False,
        recurrent_dropout: float = 0.0,
        weight_drop: float = 0.0,
        learnt_start: bool = False,
    ):
        super().__init__()
        self.hidden_sizes = tuple(hidden_sizes)
        self.reversed = REVERSED[reads]
        widths = [input_size, *(len(self.reversed) * size for size in self.hidden_sizes)]
        self.output_size = widths[-1]
        self.adds_input = [residual and below == above for below, above in zip(widths, widths[1:])]
        if residual and not any(self.adds_input):
            raise ConfigError(
                "residual: no layer is as wide as its input, widths from the embedding up: "
                f"{', '.join(map(str, widths))}; make two neighbours equal, or leave residual out"
            )
        self.dropout = Dropout(dropout, variational=variational)
        self.recurrent_dropout = recurrent_dropout
        self.weight_drop = weight_drop
        self.cells = nn.ModuleList(
            registry.build(cell, "cells", below, size)
            for below, size in zip(widths, self.hidden_sizes)
            for _ in self.reversed
        )
        for option, rate in (("recurrent_dropout", recurrent_dropout), ("weight_drop", weight_drop)):
            if rate and self.cells[0].weight_h is None:
                raise ConfigError(
                    f"{option}: cell {cell.type} has no weights between hidden states, so nothing would be dropped; "
                    "leave it out"
                )
        self.state_sizes = tuple(size for layer in self.cells for size in layer.state_sizes)
        self.start = None
        if learnt_start:
            self.start = nn.ParameterList(nn.Parameter(torch.zeros(size)) for size in self.state_sizes)

    def layers(self) -> list[nn.ModuleList]:
        """The cells of each layer, from the bottom up."""
        directions = len(self.reversed)
        return [self.cells[first : first + directions] for first in range(0, len(self.cells), directions)]

    def start_state(self, rows: int) -> tuple[Tensor, ...]:
        """The states before the first step, (rows, H_l) each."""
        if self.start is not None:
            return tuple(vector.expand(rows, -1) for vector in self.start)
        return tuple(state for cell in self.cells for state in cell.start_state(rows))

    def last_hidden(self, state: tuple[Tensor, ...]) -> Tensor:
        """The top layer's hidden states in a final state, forward beside backward: (B, output_size)."""
        states = self._by_cell(state)
        return torch.cat([tensors[0] for tensors in states[-len(self.reversed) :]], 1)

    def forward(self, steps: Steps, state: tuple[Tensor, ...] | None = None) -> tuple[Steps, tuple[Tensor, ...]]:
        """Reads a batch from `state`, or from the start state."""
        layout = steps.layout
        before = self._by_cell(self.start_state(len(layout)) if state is None else state)
        after: list[Tensor] = []
        for layer, adds_input in enumerate(self.adds_input):
            dropped = self.dropout(steps)
            first = layer * len(self.reversed)
            cells = [self._with_dropped_weights(cell, steps) for cell in self.cells[first : first + len(self.reversed)]]
            states = before[first : first + len(self.reversed)]
            masks = [self._mask(cell, len(layout)) for cell in cells]
            x = dropped.values
            if len(cells) == 2:
                values, finals = dispatch.kernel_of_both(cells, x)(cells, x, states, layout, masks)
                after += [*finals[0], *finals[1]]
            else:
                scan = dispatch.kernel(cells[0], x, masked=masks[0] is not None)
                values, final = scan(cells[0], x, states[0], layout, reverse=self.reversed[0], state_mask=masks[0])
                after += final
            steps = steps.with_values(values + steps.values if adds_input else values)
        return steps, tuple(after)

    def _mask(self, cell: nn.Module, rows: int) -> Tensor | None:
        if not self.training or not self.recurrent_dropout:
            return None
        return keep_mask(rows, cell.state_sizes[0], self.recurrent_dropout, cell.weight_h)

    def _with_dropped_weights(self, cell: Cell, steps: Steps) -> Cell:
        if not self.training or not self.weight_drop or not steps.layout.total:
            return cell
        return cell.with_weight_h(dropped(cell.weight_h, self.weight_drop))

    def _by_cell(self, state: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
        counts = [cell.num_states for cell in self.cells]
        if len(state) != sum(counts):
            raise ValueError(f"the state of this stack has {sum(counts)} tensors, {len(state)} were given")
        rest = iter(state)
        return [tuple(next(rest) for _ in range(count)) for count in counts]
