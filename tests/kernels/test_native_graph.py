"""The native recurrence in torch's graph: kept, used twice, over any memory, and what it keeps itself."""

import pytest
import torch
from torch import nn

from ostinato.kernels import native, reference
from ostinato.kernels.native_library import library
from tests.kernels.native_cases import KINDS, batch, cell_of, equal, everything, near

pytestmark = pytest.mark.skipif(library() is None, reason="no native library in this installation")


# Autograd's habits.


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_that_is_kept_gives_the_same_gradients_again(kind):
    torch.manual_seed(0)
    cell = cell_of(kind, 4, 20)
    x, state, layout = batch(cell, [3, 5])
    hidden, _ = native.scan(cell, x, state, layout)
    weights = list(cell.parameters())
    first, second = (torch.autograd.grad(hidden.sum(), weights, retain_graph=True) for _ in range(2))
    last = torch.autograd.grad(hidden.sum(), weights)
    assert equal(first, second) and equal(first, last)


def test_a_graph_used_twice_without_being_kept_is_torchs_own_error():
    cell = cell_of("lstm", 4, 20)
    hidden, _ = native.scan(cell, *batch(cell, [3, 5]))
    loss = hidden.sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_derivative_is_refused(kind):
    cell = cell_of(kind, 4, 20)
    hidden, _ = native.scan(cell, *batch(cell, [3, 5]))
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(hidden.square().sum(), list(cell.parameters()), create_graph=True)


@pytest.mark.parametrize("name", ["weight_h", "weight_x"])
def test_a_weight_changed_before_backward_is_noticed(name):
    cell = cell_of("gru_after", 4, 20)
    hidden, _ = native.scan(cell, *batch(cell, [3, 5]))
    with torch.no_grad():
        getattr(cell, name).add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        hidden.sum().backward()


def test_no_argument_is_written_to():
    torch.manual_seed(0)
    for kind in KINDS:
        cell = cell_of(kind, 4, 20)
        x, state, layout = batch(cell, [3, 0, 5])
        given = [x, *state, *cell.parameters(), layout.offsets, layout.order]
        before = [one.detach().clone() for one in given]
        everything(native.scan, cell, x, state, layout)
        assert equal(given, before)


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_may_lie_in_memory_as_they_like(kind):
    torch.manual_seed(0)
    cell = cell_of(kind, 4, 20)
    x, state, layout = batch(cell, [3, 0, 5])
    expected = everything(native.scan, cell, x, state, layout)
    strided = cell_of(kind, 4, 20)
    for name, weight in cell.named_parameters():
        setattr(strided, name, nn.Parameter(torch.stack([weight.detach().t(), weight.detach().t()], -1)[..., 0].t()))
    assert not any(one.is_contiguous() for one in strided.parameters())
    views = {
        "every second column": torch.stack([x, x], 2).flatten(1)[:, ::2],
        "columns first": x.t().contiguous().t(),
        "within a wider one": torch.cat([x, x], 1)[:, 4:],
        "at an odd place": torch.cat([torch.zeros(1), x.flatten()])[1:].view_as(x),
    }
    states = tuple(torch.stack([one, one], 1)[:, 1] for one in state)
    for name, view in views.items():
        assert equal(everything(native.scan, strided, view, states, layout), expected), name


@pytest.mark.parametrize("hidden_size", [1, 20])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_share_their_memory_are_taken(kind, hidden_size):
    torch.manual_seed(0)
    cell = cell_of(kind, 4, hidden_size)
    _, state, layout = batch(cell, [3, 0, 5])
    series, weights = torch.randn(11), torch.randn(hidden_size)
    given = (series.unfold(0, 4, 1), series[:4].expand(8, 4), series[:1].expand(8, 4))
    # the gradients of these sums are expanded tensors
    losses = (
        lambda h: h.sum(),
        lambda h: h.sum(0) @ weights,
        lambda h: h.sum(1) @ torch.arange(8.0),
        lambda h: h.mean(),
    )
    for x in given:
        for loss in losses:
            found, expected = (
                torch.autograd.grad(loss(kernel.scan(cell, x, state, layout)[0]), list(cell.parameters()))
                for kernel in (native, reference)
            )
            near(found, expected)


# Bytes.


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        ("rnn_tanh", 2),
        ("rnn_relu", 2),
        ("lstm", 6),
        ("lstm_peepholes", 6),
        ("lstm_coupled", 5),
        ("gru_after", 5),
        ("gru_before", 5),
        ("slstm", 8),
        ("slstm_exponential", 8),
    ],
)
def test_what_a_step_of_training_keeps_is_what_is_documented(kind, numbers):
    lengths, size = [400, 3, 100, 0, 97], 16
    cell = cell_of(kind, 8, size)
    x, state, layout = batch(cell, lengths)
    known = {one.data_ptr() for one in (x, *state, *cell.parameters())}
    kept = {}

    def note(tensor):
        if tensor.data_ptr() not in known:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        native.scan(cell, x, state, layout)
    per_step = sum(kept.values()) / layout.total / size / 4
    assert numbers <= per_step < numbers + 0.2, "numbers per step and unit, beside the states of each sequence"


def test_backward_puts_the_gates_gradients_where_the_gates_were():
    cell = cell_of("lstm", 8, 16)
    x, state, layout = batch(cell, [50, 3])
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda one: saved.append(one) or one, lambda one: one):
        hidden, _ = native.scan(cell, x, state, layout)
    (gates,) = {one.data_ptr(): one for one in saved if one.shape == (53, 64)}.values()
    before = gates.clone()
    torch.autograd.grad(hidden.sum(), cell.weight_h, retain_graph=True)
    assert torch.equal(gates, before), "a graph that is kept keeps its gates"
    hidden.sum().backward()
    assert not torch.equal(gates, before)
