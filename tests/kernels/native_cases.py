"""Cells, batches and comparisons that the tests of the native recurrence share."""

from contextlib import contextmanager

import torch

from ostinato.cells.gru import GRU
from ostinato.cells.lstm import LSTM
from ostinato.cells.rnn import RNN
from ostinato.cells.slstm import SLSTM
from ostinato.kernels import native
from ostinato.steps import Layout

TOLERANCE = {torch.float32: 3e-5, torch.float64: 1e-12}
"""Of the largest value."""

KINDS = {
    "rnn_tanh": (RNN, {}),
    "rnn_relu": (RNN, {"activation": "relu"}),
    "rnn_leaky_relu": (RNN, {"activation": "leaky_relu"}),
    "lstm": (LSTM, {}),
    "lstm_peepholes": (LSTM, {"peepholes": True}),
    "lstm_coupled": (LSTM, {"coupled": True}),
    "lstm_coupled_peepholes": (LSTM, {"coupled": True, "peepholes": True}),
    "gru_after": (GRU, {}),
    "gru_before": (GRU, {"reset": "before"}),
    "slstm": (SLSTM, {}),
    "slstm_exponential": (SLSTM, {"forget": "exponential", "forget_bias": 0.0}),
}
"""Every step that the native loop has."""

SIZES = (1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 24, 31, 33, 48, 63, 65, 100, 130)
"""Below, at and above the widths of vectors: 2 to 16 numbers, and of panels: up to 64."""

BATCHES = ([4, 0, 7, 1, 4], [1], [200], [0, 0], [], [13, 0, 6, 6, 2, 29, 1, 1, 17])


def cell_of(kind, input_size, hidden_size, dtype=torch.float32, biases=2):
    make, options = KINDS[kind]
    if make in (LSTM, SLSTM) and not biases:
        options = {**options, "forget_bias": 0.0}
    return make(input_size, hidden_size, biases=biases, **options).to(dtype)


def batch(cell, lengths, dtype=torch.float32):
    layout = Layout(lengths)
    state = tuple(torch.randn(len(layout), cell.hidden_size, dtype=dtype) / 2 for _ in range(cell.num_states))
    return torch.randn(layout.total, cell.input_size, dtype=dtype), state, layout


def keep_mask(rows, size, dtype=torch.float32):
    return (torch.rand(rows, size) < 0.7).to(dtype) / 0.7


def everything(scan, cell, x, state, layout, reverse=False, state_mask=None):
    """Hidden and final states, then the gradients of x, the states and the weights, under weights drawn from the
    shapes."""
    inputs = [x.detach().requires_grad_(), *(one.detach().requires_grad_() for one in state)]
    hidden, final = scan(cell, inputs[0], tuple(inputs[1:]), layout, reverse=reverse, state_mask=state_mask)
    draw = torch.Generator().manual_seed(7)
    loss = sum((one * torch.randn(one.shape, generator=draw, dtype=one.dtype)).sum() for one in (hidden, *final))
    return [hidden, *final, *torch.autograd.grad(loss, [*inputs, *cell.parameters()], allow_unused=True)]


def near(found, expected):
    assert len(found) == len(expected)
    for place, (one, other) in enumerate(zip(found, expected)):
        if one is None or other is None:
            assert (one is None) == (other is None) or not (other if one is None else one).any(), (
                f"gradient {place} is missing"
            )
            continue
        assert one.shape == other.shape
        apart = (one - other).detach().abs().max() if one.numel() else 0
        largest = max(1e-2, other.detach().abs().max()) if one.numel() else 1
        assert apart <= TOLERANCE[one.dtype] * largest, f"result {place}: {apart:.2g} apart, values up to {largest:.2g}"


def equal(found, expected):
    return len(found) == len(expected) and all(torch.equal(one, other) for one, other in zip(found, expected))


@contextmanager
def threads(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def bidirectional(cells, x, states, layout, masks):
    hidden, finals = native.scan_both(cells, x, states, layout, masks)
    return hidden, (*finals[0], *finals[1])
