"""The recurrence through torch's own recurrent functions: cuDNN on a GPU, and whatever torch has elsewhere."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from ostinato.errors import KernelError
from ostinato.kernels.contract import Recurrence, State
from ostinato.steps import Layout

_FUNCTIONS = {
    "lstm": torch._VF.lstm,
    "gru_after": torch._VF.gru,
    "rnn_tanh": torch._VF.rnn_tanh,
    "rnn_relu": torch._VF.rnn_relu,
}

# Weights of a cell are parameters of their own, put together in each call: a copy that is small beside the recurrence.
warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk of memory")


def obstacle(cell: Recurrence) -> str | None:
    """Why torch has no function for this cell, or None."""
    native = cell.native()
    if isinstance(native, str):
        return native
    if native.cell not in _FUNCTIONS or native.peepholes is not None:
        return f"torch has no function for {native.cell}{' with peepholes' if native.peepholes is not None else ''}"
    return None


def scan(
    cell: Recurrence,
    x: Tensor,
    state: State,
    layout: Layout,
    *,
    reverse: bool = False,
    state_mask: Tensor | None = None,
) -> tuple[Tensor, State]:
    """A `Kernel` for the cells that torch has, without `state_mask`.

    Torch gets sequences of one length as they are, for which cuDNN has its fastest algorithms, others as a packed
    sequence. Where autocast asks for 16 bits the recurrence stays in float32: torch would compute it in float16,
    whatever was asked for, whose small gradients are 0.
    """
    why = "recurrent dropout" if state_mask is not None else obstacle(cell)
    if why is not None:
        raise KernelError(f"torch's recurrent functions cannot compute this: {why}")
    real = layout.lengths > 0
    if not bool(real.all()):
        return _without_empty(cell, x, state, layout, real.nonzero().squeeze(1), reverse)
    if not len(layout):
        return x.new_zeros(0, cell.weight_h.shape[1]), state
    into, back = layout.time_major, layout.packed
    if reverse:
        into, back = layout.reversed.index_select(0, into), back.index_select(0, layout.reversed)
    unsorted = torch.argsort(layout.order)
    read = x.index_select(0, into).to(cell.weight_h.dtype)
    start = tuple(part.index_select(0, layout.order).unsqueeze(0).to(read.dtype) for part in state)
    weights = [cell.weight_x, cell.weight_h]
    biases = [bias for bias in (cell.bias_x, cell.bias_h) if bias is not None]
    if len(biases) == 1:
        biases = [biases[0], torch.zeros_like(biases[0])]
    function, before = _FUNCTIONS[cell.native().cell], start if len(start) > 1 else start[0]
    # One layer, no dropout, in training, one direction.
    options = before, weights + biases, bool(biases), 1, 0.0, True, False
    with torch.autocast(x.device.type, enabled=False):
        if layout.alive[0] == layout.alive[-1]:
            hidden, *last = function(read.view(len(layout.alive), len(layout), -1), *options, False)  # time comes first
        else:
            hidden, *last = function(read, torch.tensor(layout.alive), *options)
    hidden = hidden.reshape(-1, hidden.shape[-1])
    return hidden.index_select(0, back), tuple(state_part.squeeze(0).index_select(0, unsorted) for state_part in last)


def _without_empty(
    cell: Recurrence, x: Tensor, state: State, layout: Layout, rows: Tensor, reverse: bool
) -> tuple[Tensor, State]:
    """Torch refuses sequences without steps: theirs is the start state."""
    kept = rows.to(x.device)
    hidden, last = scan(
        cell,
        x,
        tuple(part.index_select(0, kept) for part in state),
        Layout(layout.lengths[rows], layout.device),
        reverse=reverse,
    )
    return hidden, tuple(part.to(new.dtype).index_copy(0, kept, new) for part, new in zip(state, last))
