"""Where torch.nn has a cell, ours gives its numbers: outputs, final states and every gradient, on ragged batches, both
ways."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

from ostinato import registry
from ostinato.cells.lstm import LSTM
from ostinato.kernels.dispatch import scan
from ostinato.steps import Layout

TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}
"""Of the largest value."""
LENGTHS = [5, 1, 9, 5, 3]

CASES = [
    ("rnn", {}, nn.RNN, {}),
    ("rnn", {"activation": "relu"}, nn.RNN, {"nonlinearity": "relu"}),
    ("lstm", {}, nn.LSTM, {}),
    ("gru", {}, nn.GRU, {}),
]


def near(ours, theirs):
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= TOLERANCE[ours.dtype] * theirs.abs().max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("biases", [2, 0])
@pytest.mark.parametrize(("name", "options", "peer", "peer_options"), CASES, ids=["tanh", "relu", "lstm", "gru"])
def test_equals_torch_in_outputs_states_and_gradients(name, options, peer, peer_options, biases, dtype):
    torch.manual_seed(0)
    size, hidden_size = 6, 16
    options = options | {"biases": biases} | ({"forget_bias": 0.0} if name == "lstm" else {})
    cells = [registry.make("cells", name, (size, hidden_size), options).to(dtype) for _ in range(2)]
    theirs = peer(size, hidden_size, bias=biases == 2, bidirectional=True, dtype=dtype, **peer_options)
    named = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    pairs = []
    for cell, suffix in zip(cells, ("", "_reverse")):
        for ours, other in zip((cell.weight_x, cell.weight_h, cell.bias_x, cell.bias_h), named):
            if ours is not None:
                pairs.append((ours, getattr(theirs, other + suffix)))
    with torch.no_grad():
        for ours, other in pairs:
            other.copy_(ours)

    layout = Layout(LENGTHS)
    x = torch.randn(layout.total, size, dtype=dtype, requires_grad=True)
    x_theirs = x.detach().clone().requires_grad_()
    start = [torch.randn(2, len(LENGTHS), hidden_size, dtype=dtype) for _ in range(cells[0].num_states)]
    state = [tuple(one[way] for one in start) for way in range(2)]
    forward, last = scan(cells[0], x, state[0], layout)
    backward, first = scan(cells[1], x, state[1], layout, reverse=True)
    together = pack_sequence(list(x_theirs.split(LENGTHS)), enforce_sorted=False)
    packed, final = theirs(together, tuple(start) if name == "lstm" else start[0])
    hidden = torch.cat(unpack_sequence(packed))
    final = final if name == "lstm" else (final,)

    near(torch.cat([forward, backward], 1), hidden)
    for k, one in enumerate(final):
        near(torch.stack([last[k], first[k]]), one)

    weights = torch.randn_like(hidden)
    loss = (torch.cat([forward, backward], 1) * weights).sum() + sum(one.sum() for one in (*last, *first))
    loss.backward()
    ((hidden * weights).sum() + sum(one.sum() for one in final)).backward()
    near(x.grad, x_theirs.grad)
    for ours, other in pairs:
        near(ours.grad, other.grad)


@pytest.mark.parametrize(("name", "peer"), [("rnn", nn.RNNCell), ("lstm", nn.LSTMCell), ("gru", nn.GRUCell)])
def test_one_step_equals_torchs_cell(name, peer):
    torch.manual_seed(0)
    cell, theirs = registry.make("cells", name, (6, 16)).double(), peer(6, 16, dtype=torch.float64)
    with torch.no_grad():
        theirs.weight_ih.copy_(cell.weight_x)
        theirs.weight_hh.copy_(cell.weight_h)
        theirs.bias_ih.copy_(cell.bias_x)
        theirs.bias_hh.copy_(cell.bias_h)
    x, state = torch.randn(4, 6).double(), tuple(torch.randn(4, 16).double() for _ in range(cell.num_states))
    found, expected = cell(x, state), theirs(x, state if name == "lstm" else state[0])
    for ours, other in zip(found, expected if name == "lstm" else (expected,)):
        near(ours, other)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_projected_lstm_equals_torchs(reverse):
    torch.manual_seed(0)
    layout, wide = Layout(LENGTHS), {"dtype": torch.float64}
    cell, theirs = LSTM(6, 16, 5, forget_bias=0.0).double(), nn.LSTM(6, 16, proj_size=5, bidirectional=True, **wide)
    suffix = "_reverse" if reverse else ""
    named = {
        "weight_x": "weight_ih",
        "weight_h": "weight_hh",
        "bias_x": "bias_ih",
        "bias_h": "bias_hh",
        "weight_r": "weight_hr",
    }
    pairs = [(getattr(cell, own), getattr(theirs, f"{other}_l0{suffix}")) for own, other in named.items()]
    with torch.no_grad():
        for ours, other in pairs:
            other.copy_(ours)
    x = torch.randn(layout.total, 6, **wide)
    start = [torch.randn(2, len(LENGTHS), size, **wide) for size in cell.state_sizes]
    hidden, final = scan(cell, x, tuple(one[int(reverse)] for one in start), layout, reverse=reverse)
    packed, last = theirs(pack_sequence(list(x.split(LENGTHS)), enforce_sorted=False), tuple(start))
    expected = torch.cat(unpack_sequence(packed))[:, 5:] if reverse else torch.cat(unpack_sequence(packed))[:, :5]
    near(hidden, expected)
    for ours, other in zip(final, last):
        near(ours, other[int(reverse)])
    assert [one.shape[1] for one in cell.start_state(2)] == [5, 16]

    weights = torch.randn_like(hidden)
    ((hidden * weights).sum() + sum(one.sum() for one in final)).backward()
    ((expected * weights).sum() + sum(one[int(reverse)].sum() for one in last)).backward()
    for ours, other in pairs:
        near(ours.grad, other.grad)
