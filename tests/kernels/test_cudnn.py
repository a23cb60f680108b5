"""Torch's own functions compute the reference's recurrence, on the CPU here and on a GPU where there is one."""

import pytest
import torch

from ostinato.cells.gru import GRU
from ostinato.cells.lstm import LSTM
from ostinato.cells.rnn import RNN
from ostinato.errors import KernelError
from ostinato.kernels import cudnn, dispatch, reference
from ostinato.steps import Layout

CELLS = {
    "lstm": lambda: LSTM(5, 7),
    "lstm, one bias": lambda: LSTM(5, 7, biases=1),
    "lstm, no bias": lambda: LSTM(5, 7, biases=0, forget_bias=0.0),
    "gru": lambda: GRU(5, 7),
    "rnn tanh": lambda: RNN(5, 7),
    "rnn relu": lambda: RNN(5, 7, activation="relu"),
}


def results(scan, cell, lengths, reverse, device="cpu"):
    torch.manual_seed(0)
    layout = Layout(lengths, device)
    x = torch.randn(layout.total, 5).to(device).requires_grad_()
    state = tuple(torch.randn(len(lengths), 7).to(device).requires_grad_() for _ in range(cell.num_states))
    hidden, last = scan(cell, x, state, layout, reverse=reverse)
    weights = list(cell.parameters())
    total = hidden.square().sum() + sum((one * (1 + k)).sum() for k, one in enumerate(last))
    return [hidden, *last, *torch.autograd.grad(total, [x, *state, *weights], allow_unused=True)]


def compare(name, lengths, reverse, device):
    torch.manual_seed(1)
    cell = CELLS[name]().to(device)
    found, expected = (results(scan, cell, lengths, reverse, device) for scan in (cudnn.scan, reference.scan))
    for one, other in zip(found, expected, strict=True):
        if other is not None:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [[4, 4], [2, 5, 1, 3], [0, 3, 0, 1]])
@pytest.mark.parametrize("name", CELLS)
def test_torchs_functions_equal_the_reference_forward_and_backward(name, lengths, reverse):
    compare(name, lengths, reverse, "cpu")


@pytest.mark.parametrize("lengths", [[4, 4], [2, 0, 3]])
def test_the_recurrence_stays_in_float32_where_products_are_in_16_bits(lengths):
    layout, cell = Layout(lengths), LSTM(5, 7)
    x, state = torch.randn(layout.total, 5), (torch.zeros(len(lengths), 7),) * 2
    expected = cudnn.scan(cell, x, state, layout)
    with torch.autocast("cpu", torch.bfloat16):
        actual = cudnn.scan(cell, x, state, layout)
    assert torch.equal(actual[0], expected[0]) and torch.equal(actual[1][1], expected[1][1])
    read = cudnn.scan(cell, x.bfloat16(), state, layout)[0]
    assert read.dtype == torch.float32


@pytest.mark.gpu
@pytest.mark.parametrize("name", CELLS)
def test_cudnn_equals_the_reference_and_is_taken(name, monkeypatch):
    compare(name, [2, 5, 0, 3], False, "cuda")
    assert dispatch.chosen(CELLS[name]().cuda(), torch.zeros(1, 5, device="cuda")) == "cudnn"


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        (LSTM(5, 7, peepholes=True), "peepholes"),
        (GRU(5, 7, reset="before"), "gru_before"),
        (LSTM(5, 7, layer_norm=True), "layer_norm"),
    ],
)
def test_what_torch_lacks_is_refused_where_it_is_forced(monkeypatch, cell, why):
    monkeypatch.setenv("OSTINATO_KERNEL", "cudnn")
    with pytest.raises(KernelError, match=why):
        dispatch.scan(cell, torch.zeros(2, 5), cell.start_state(1), Layout([2]))


def test_the_library_can_be_forced_anywhere(monkeypatch):
    monkeypatch.setenv("OSTINATO_KERNEL", "cudnn")
    taken = []
    monkeypatch.setitem(dispatch._SCANS, "cudnn", lambda *_, **__: taken.append(True))
    dispatch.scan(CELLS["lstm"](), torch.zeros(2, 5), CELLS["lstm"]().start_state(1), Layout([2]))
    assert taken
