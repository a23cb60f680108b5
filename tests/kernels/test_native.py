"""Law d: the native recurrence is the reference, forward and backward, on any batch; and what only the native one
promises."""

import math
import os
import random
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

from ostinato import registry
from ostinato.cells.gru import GRU
from ostinato.cells.lstm import LSTM
from ostinato.cells.rnn import RNN
from ostinato.cells.slstm import SLSTM
from ostinato.encoders.recurrent import Recurrent
from ostinato.errors import KernelError
from ostinato.kernels import dispatch, native, reference
from ostinato.kernels.native_library import INSTRUCTION_SET, Library, library
from ostinato.modalities.contract import Values
from ostinato.steps import Layout, Steps

pytestmark = pytest.mark.skipif(library() is None, reason="no native library in this installation")

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


# The reference is the meaning.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("biases", [0, 1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_native_is_the_reference_forward_and_backward(kind, biases, dtype):
    draw = random.Random(f"{kind} {biases} {dtype}")
    torch.manual_seed(draw.randrange(1000))
    for lengths in BATCHES:
        cell = cell_of(kind, draw.choice((0, 1, 3, 16, 37)), draw.choice(SIZES), dtype, biases)
        x, state, layout = batch(cell, lengths, dtype)
        mask = keep_mask(len(layout), cell.hidden_size, dtype) if draw.random() < 0.5 else None
        reverse = draw.random() < 0.5
        near(*(everything(kernel.scan, cell, x, state, layout, reverse, mask) for kernel in (native, reference)))


@pytest.mark.parametrize(
    ("kind", "hidden_size", "lengths"),
    [
        ("rnn_tanh", 1024, [9, 1, 3]),
        ("lstm", 1024, [3]),
        ("gru_after", 650, [4, 6, 6, 0, 1, 2, 5, 6, 3]),
        ("gru_before", 300, [11, 2]),
        ("lstm_coupled_peepholes", 257, [8, 8, 8]),
        ("lstm", 40, [step % 60 for step in range(130)]),
        ("gru_after", 20, [200 - step for step in range(130)]),
        ("gru_before", 33, [70] * 40),
        ("slstm", 257, [8, 3, 11]),
        ("slstm_exponential", 40, [step % 60 for step in range(130)]),
    ],
)
def test_native_is_the_reference_on_wide_layers_and_large_batches(kind, hidden_size, lengths):
    torch.manual_seed(0)
    cell = cell_of(kind, 30, hidden_size)
    x, state, layout = batch(cell, lengths)
    mask = keep_mask(len(layout), hidden_size)
    near(*(everything(kernel.scan, cell, x, state, layout, True, mask) for kernel in (native, reference)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_instruction_set_of_this_machine_is_the_reference(kind):
    torch.manual_seed(0)
    cell = cell_of(kind, 5, 39)
    x, state, layout = batch(cell, [6, 0, 11, 3])
    mask = keep_mask(4, 39)
    expected = everything(reference.scan, cell, x, state, layout, False, mask)
    before = library().instruction_set
    try:
        for name in library().instruction_sets:
            library().use(name)
            near(everything(native.scan, cell, x, state, layout, False, mask), expected)
    finally:
        library().use(before)


def bidirectional(cells, x, states, layout, masks):
    hidden, finals = native.scan_both(cells, x, states, layout, masks)
    return hidden, (*finals[0], *finals[1])


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_two_directions_at_once_are_the_reference_and_each_alone_to_the_bit(kind, count):
    torch.manual_seed(0)
    cells = [cell_of(kind, 7, 70), cell_of(kind, 7, 70)]
    x, state, layout = batch(cells[0], [6, 0, 31, 13, 13])
    states = (state, batch(cells[1], [6, 0, 31, 13, 13])[1])
    masks = (keep_mask(5, 70), keep_mask(5, 70))
    inputs = [
        x.requires_grad_(),
        *(one.requires_grad_() for state in states for one in state),
        *cells[0].parameters(),
        *cells[1].parameters(),
    ]

    def alone(scan):
        ones = [scan(cells[k], x, states[k], layout, reverse=bool(k), state_mask=masks[k]) for k in range(2)]
        return torch.cat([hidden for hidden, _ in ones], 1), (*ones[0][1], *ones[1][1])

    def with_gradients(hidden, finals):
        draw = torch.Generator().manual_seed(7)
        loss = sum((one * torch.randn(one.shape, generator=draw)).sum() for one in (hidden, *finals))
        return [hidden, *finals, *torch.autograd.grad(loss, inputs)]

    with threads(count):
        found = with_gradients(*bidirectional(cells, x, states, layout, masks))
        each = with_gradients(*alone(native.scan))
    assert equal(found, each)
    near(found, with_gradients(*alone(reference.scan)))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_agree_with_finite_differences(kind, reverse):
    torch.manual_seed(0)
    cell = cell_of(kind, 2, 3, torch.float64)
    x, state, layout = batch(cell, [2, 0, 3], torch.float64)
    mask = torch.tensor([[0.0, 2, 2], [2, 0, 2], [2, 2, 0]], dtype=torch.float64)
    inputs = (x.requires_grad_(), *(one.requires_grad_() for one in state), *cell.parameters())

    def outputs(*_):
        hidden, final = native.scan(cell, x, state, layout, reverse=reverse, state_mask=mask)
        return hidden, *final

    assert torch.autograd.gradcheck(outputs, inputs)


def test_both_directions_agree_with_finite_differences():
    torch.manual_seed(0)
    cells = [cell_of("lstm_peepholes", 2, 3, torch.float64) for _ in range(2)]
    x, state, layout = batch(cells[0], [2, 0, 3], torch.float64)
    inputs = (
        x.requires_grad_(),
        *(one.requires_grad_() for one in state),
        *cells[0].parameters(),
        *cells[1].parameters(),
    )

    def outputs(*_):
        hidden, finals = bidirectional(cells, x, (state, state), layout, (None, None))
        return hidden, *finals

    assert torch.autograd.gradcheck(outputs, inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_each_gradient_can_be_asked_for_alone(kind):
    torch.manual_seed(0)
    cell = cell_of(kind, 3, 18)
    x, state, layout = batch(cell, [4, 0, 2])
    tensors = [x, *state, *cell.parameters()]
    all_of_them = everything(native.scan, cell, x, state, layout)[1 + cell.num_states :]
    for place, (one, expected) in enumerate(zip(tensors, all_of_them)):
        for other in tensors:
            other.requires_grad_(other is one)
        hidden, final = native.scan(cell, x, state, layout)
        draw = torch.Generator().manual_seed(7)
        loss = sum((made * torch.randn(made.shape, generator=draw)).sum() for made in (hidden, *final))
        assert torch.equal(torch.autograd.grad(loss, one)[0], expected), f"gradient {place}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_on_some_of_the_outputs_is_the_reference(kind):
    torch.manual_seed(0)
    cell = cell_of(kind, 3, 18)
    x, state, layout = batch(cell, [4, 0, 2])
    for wanted in (
        lambda hidden, final: hidden[2:3, 5],
        lambda hidden, final: final[0][1:],
        lambda hidden, final: final[-1],
    ):
        found, expected = (
            torch.autograd.grad(
                wanted(*kernel.scan(cell, x, state, layout)).sum(), list(cell.parameters()), allow_unused=True
            )
            for kernel in (native, reference)
        )
        near(found, expected)


def test_the_state_of_a_sequence_without_steps_is_its_start_state_and_so_is_its_gradient():
    torch.manual_seed(0)
    for kind in KINDS:
        cell = cell_of(kind, 3, 20)
        x, state, layout = batch(cell, [0, 3, 0])
        state = tuple(one.requires_grad_() for one in state)
        _, final = native.scan(cell, x, state, layout)
        assert all(torch.equal(one[::2], start[::2]) for one, start in zip(final, state))
        gradients = torch.autograd.grad(sum(one.sum() for one in final), state)
        assert all(torch.equal(one[::2], torch.ones(2, 20)) for one in gradients)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_finite_stays_in_its_sequence_and_is_the_references(kind, value):
    torch.manual_seed(0)
    cell = cell_of(kind, 3, 20)
    x, state, layout = batch(cell, [4, 2, 5])
    spoilt = x.clone()
    spoilt[1, 2] = value
    with torch.no_grad():
        found, expected = (kernel.scan(cell, spoilt, state, layout)[0] for kernel in (native, reference))
        torch.testing.assert_close(found, expected, equal_nan=True, rtol=1e-5, atol=1e-5)
        assert torch.equal(found[4:], native.scan(cell, x, state, layout)[0][4:])


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_gates_of_equal_size_share_the_gradient_as_the_reference_has_it(value):
    """An exponential forget gate as large as the input gate, sums of weights that are 1: both have a kink there."""
    cell = cell_of("slstm_exponential", 3, 20, torch.float64)
    for weight in cell.parameters():
        nn.init.zeros_(weight)
    x, state, layout = batch(cell, [4, 0, 2], torch.float64)
    h, c, n, _ = state
    state = (h, c, torch.full_like(n, value), torch.zeros_like(n))
    near(*(everything(kernel.scan, cell, x, state, layout) for kernel in (native, reference)))


# What only the native kernel promises: the same bits.


@pytest.mark.parametrize("kind", KINDS)
def test_without_gradients_the_bits_are_those_of_training(kind):
    torch.manual_seed(0)
    cell = cell_of(kind, 9, 50)
    x, state, layout = batch(cell, [6, 0, 11, 3])
    mask = keep_mask(4, 50)
    hidden, final = native.scan(cell, x, state, layout, state_mask=mask)
    assert hidden.requires_grad
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            again, last = native.scan(cell, x, state, layout, state_mask=mask)
        assert not again.requires_grad and equal([again, *last], [hidden, *final])


@pytest.mark.parametrize(
    ("lengths", "hidden_size"), [([31, 0, 64, 7, 30, 30], 40), ([60], 256), ([20, 20], 256), ([9, 30, 2], 256)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_repeats_and_numbers_of_threads_give_the_same_bits(kind, lengths, hidden_size):
    torch.manual_seed(0)
    cell = cell_of(kind, 24, hidden_size)
    x, state, layout = batch(cell, lengths)
    mask = keep_mask(len(layout), hidden_size)
    with threads(1):
        expected = everything(native.scan, cell, x, state, layout, False, mask)
    for count in (2, 3, 4, 2):
        with threads(count):
            assert equal(everything(native.scan, cell, x, state, layout, False, mask), expected), f"{count} threads"


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_has_the_same_bits_alone_and_in_any_company(kind):
    torch.manual_seed(0)
    lengths = [5, 0, 12, 1, 12, 3, 8]
    cell = cell_of(kind, 6, 41)
    x, state, layout = batch(cell, lengths)
    number = 1 + 2 * cell.num_states + 1  # hidden, final states, gradients of x and of the start states
    together = everything(native.scan, cell, x, state, layout)[:number]
    draw = torch.randn(layout.total, 41, generator=torch.Generator().manual_seed(7))
    for rows in [[row] for row in range(7)] + [[6, 2, 0, 3, 1, 5, 4], [4, 2]]:
        some = Layout([lengths[row] for row in rows])
        steps = torch.cat([torch.arange(layout.offsets[row], layout.offsets[row + 1]) for row in rows])
        inputs = [x[steps].requires_grad_(), *(one[rows].requires_grad_() for one in state)]
        hidden, final = native.scan(cell, inputs[0], tuple(inputs[1:]), some)
        assert equal([hidden, *final], [together[0][steps], *(one[rows] for one in together[1 : 1 + cell.num_states])])
        loss = (hidden * draw[steps]).sum()
        alone = torch.autograd.grad(loss, inputs)
        whole = [x.clone().requires_grad_(), *(one.clone().requires_grad_() for one in state)]
        of_all = torch.autograd.grad((native.scan(cell, whole[0], tuple(whole[1:]), layout)[0] * draw).sum(), whole)
        assert equal(alone, [of_all[0][steps], *(one[rows] for one in of_all[1:])]), "gradients differ in company"


def test_the_order_of_a_batch_and_neighbours_with_nothing_change_no_bit_of_wide_layers():
    torch.manual_seed(0)
    cell = cell_of("gru_after", 6, 256)
    x, state, layout = batch(cell, [25])
    with threads(3):  # few sequences of a wide layer: threads share the gates
        alone = native.scan(cell, x, state, layout)[0]
        rows = [torch.zeros(0, 6), torch.randn(25, 6), x, torch.randn(2, 6)]
        among = native.scan(
            cell,
            torch.cat(rows),
            tuple(torch.cat([one.repeat(2, 1), one, one]) for one in state),
            Layout([0, 25, 25, 2]),
        )[0]
    assert torch.equal(among[25:50], alone)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_prepared_stream_gives_the_bits_of_the_whole(kind, rows):
    torch.manual_seed(0)
    cell = cell_of(kind, 6, 41).requires_grad_(False)
    x, state, layout = batch(cell, [5] * rows)
    hidden, final = native.scan(cell, x, state, layout)
    stream = native.Prepared(cell, Layout([1] * rows))
    now = [part for part in (state[0], native.c_of(state)) if part is not None]
    for step, read in enumerate(x.view(rows, 5, 6).transpose(0, 1).contiguous()):
        own, last = torch.empty(rows, 41), [torch.empty_like(part) for part in now]
        places = [[part.data_ptr() for part in parts] for parts in (now, last)]
        assert stream(read.data_ptr(), own.data_ptr(), *places)
        assert torch.equal(own, hidden.view(rows, 5, 41)[:, step])
        now = last
    assert equal(native.states_of(*now), final)


def test_the_states_of_a_cell_with_several_lie_in_memory_of_their_own():
    cell = SLSTM(3, 4)
    _, final = native.scan(cell, *batch(cell, [2]))
    assert len({one.untyped_storage().data_ptr() for one in final}) == 4


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


# Bad input.


def wrong(message, error=ValueError):
    return pytest.raises(error, match=message)


@pytest.fixture
def lstm():
    cell = LSTM(3, 4, peepholes=True)
    return cell, *batch(cell, [2, 0, 3])


def test_an_input_that_does_not_fit_is_named_with_both_shapes(lstm):
    cell, x, state, layout = lstm
    with wrong(r"weight_x has shape \(16, 3\).*x of shape \(5, 7\) needs \(16, 7\)"):
        native.scan(cell, torch.randn(5, 7), state, layout)
    with wrong(r"x has shape \(4, 3\), but the layout has 5 steps"):
        native.scan(cell, x[:4], state, layout)
    with wrong(r"x has shape \(5, 1, 3\)"):
        native.scan(cell, x[:, None], state, layout)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("weight_x", (15, 3), r"weight_x has shape \(15, 3\).*\(16, 3\)"),
        ("weight_h", (15, 4), r"weight_h has shape \(15, 4\).*\(16, 4\)"),
        ("weight_h", (16,), r"weight_h of shape \(16,\)"),
        ("bias_x", (4,), r"bias_x has shape \(4,\).*\(16,\)"),
        ("bias_h", (16, 1), r"bias_h has shape \(16, 1\).*\(16,\)"),
        ("peepholes", (4, 4), r"peepholes has shape \(4, 4\).*\(3, 4\)"),
        ("peepholes", (3,), r"peepholes has shape \(3,\).*\(3, 4\)"),
    ],
)
def test_a_weight_that_does_not_fit_is_named_with_both_shapes(lstm, name, shape, message):
    cell, x, state, layout = lstm
    setattr(cell, name, nn.Parameter(torch.randn(*shape)))
    with wrong(message):
        native.scan(cell, x, state, layout)


def test_states_and_masks_that_do_not_fit_are_named(lstm):
    cell, x, (h, c), layout = lstm
    with wrong(r"the state h has shape \(2, 4\).*\(3, 4\)"):
        native.scan(cell, x, (h[:2], c), layout)
    with wrong(r"the state c has shape \(3, 5\).*\(3, 4\)"):
        native.scan(cell, x, (h, torch.randn(3, 5)), layout)
    with wrong(r"state_mask has shape \(1, 4\).*\(3, 4\)"):
        native.scan(cell, x, (h, c), layout, state_mask=torch.ones(1, 4))
    for state in ((h,), (h, c, c), ()):
        with wrong(f"the state has {len(state)} tensors, lstm has 2"):
            native.scan(cell, x, state, layout)
    several = SLSTM(3, 4)
    with wrong(r"state 2 is \(3, 5\) torch.float32 on cpu, but the state h is \(3, 4\) torch.float32 on cpu"):
        native.scan(several, x, (h, c, torch.randn(3, 5), c), layout)
    with wrong(r"state 3 is \(3, 4\) torch.float64 on cpu"):
        native.scan(several, x, (h, c, c, c.double()), layout)
    with wrong(r"the state h has shape \(2, 4\).*\(3, 4\)"):
        native.scan(several, x, (h[:2],) * 4, layout)


def test_types_and_devices_that_do_not_fit_are_named(lstm):
    cell, x, (h, c), layout = lstm
    with wrong("weight_x is torch.float32 on cpu, but x is torch.float64 on cpu"):
        native.scan(cell, x.double(), (h, c), layout)
    with wrong("the state c is torch.float64 on cpu, but x is torch.float32"):
        native.scan(cell, x, (h, c.double()), layout)
    with wrong("x is torch.bfloat16", KernelError):
        native.scan(cell, x.bfloat16(), (h, c), layout)
    with wrong("the state h is torch.float32 on meta, but x is torch.float32 on cpu"):
        native.scan(cell, x, (h.to("meta"), c), layout)
    with wrong("x is on meta and its layout on cpu; the native kernel works on the CPU"):
        native.scan(cell.to("meta"), x.to("meta"), (h.to("meta"), c.to("meta")), layout)
    with wrong("x is on cpu and its layout on meta"):
        native.scan(cell, x, (h, c), layout.to("meta"))


def test_a_cell_without_a_native_step_is_an_error_that_says_so(lstm):
    with wrong("layer_norm has no native step", KernelError):
        native.scan(LSTM(3, 4, layer_norm=True), *lstm[1:])


def test_two_directions_of_different_cells_are_refused(lstm):
    cell, x, state, layout = lstm
    assert not native.are_alike([cell, LSTM(3, 4, coupled=True)]) and not native.are_alike([cell, LSTM(3, 5)])
    with wrong("two scans of one call differ", KernelError):
        native.scan_both([cell, LSTM(3, 4, coupled=True)], x, (state, state), layout, (None, None))


# Processes, threads, environment.

# The child compares bytes: torch's own comparison of large tensors waits in it for the parent's threads, for ever.
CHILD = """
import os, signal, sys, torch
from ostinato.cells.gru import GRU
from ostinato.kernels import native
from ostinato.steps import Layout
torch.set_num_threads(2)
cases = [(GRU(30, 70), Layout([9, 0, 14, 3, 14, 8])), (GRU(30, 256), Layout([12]))]
def work():
    made = []
    for cell, layout in cases:
        x = torch.linspace(-2, 2, layout.total * 30).view(-1, 30)
        hidden, _ = native.scan(cell, x, cell.start_state(len(layout)), layout)
        made += [hidden.detach(), *torch.autograd.grad(hidden, list(cell.parameters()), torch.ones_like(hidden))]
    return [one.numpy().tobytes() for one in made]
expected = work()
child = os.fork()
if not child:
    signal.alarm(60)
    os._exit(0 if work() == expected else 1)
_, status = os.waitpid(child, 0)
again = work() == expected
sys.exit(0 if again and not status else f"child: {status}, parent again: {again}")
"""


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )


def test_a_child_of_fork_computes_the_same_and_does_not_hang():
    done = run_python(CHILD)
    assert done.returncode == 0, done.stderr


def test_an_instruction_set_that_is_not_there_is_an_error_that_names_those_that_are():
    code = "from ostinato.kernels.native_library import library; library()"
    done = run_python(code, **{INSTRUCTION_SET: "nonsense"})
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "KernelError" in last and f"{INSTRUCTION_SET}=nonsense" in last and "plain" in last


def test_a_forced_instruction_set_is_taken(monkeypatch):
    before = library().instruction_set
    try:
        for name in library().instruction_sets:
            monkeypatch.setenv(INSTRUCTION_SET, name)
            assert Library(Path(native.__file__).with_name("_native.so")).instruction_set == name
    finally:
        library().use(before)


def test_several_threads_of_python_at_once_get_the_same_bits():
    torch.manual_seed(0)
    cases = []
    for kind in KINDS:
        cell = cell_of(kind, 12, 60)
        cases.append((cell, *batch(cell, [20, 0, 31, 4, 9])))
    expected = [everything(native.scan, *case) for case in cases]
    wrong_ones = []

    def work(first):
        for k in range(2 * len(cases)):
            place = (first + k) % len(cases)
            if not equal(everything(native.scan, *cases[place]), expected[place]):
                wrong_ones.append(place)

    with threads(2):
        workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert not wrong_ones


def test_each_threads_error_is_its_own():
    messages = {}
    gate = threading.Barrier(3)

    def work(number):
        for _ in range(50):
            gate.wait()
            try:
                library().activate(number + 9, 0, 1, 0, 0)
            except KernelError as error:
                messages.setdefault(number, set()).add(str(error))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert messages == {number: {f"native activate: activate: kind {number + 9} of 1 numbers"} for number in range(3)}


# Law e: the native path was truly taken.


@pytest.fixture
def calls(monkeypatch):
    """The names of the library's functions as they are called."""
    names = []

    def counted(name, function):
        return lambda *arguments: names.append(name) or function(*arguments)

    for name in ("forward", "backward"):
        monkeypatch.setattr(library(), name, counted(name, getattr(library(), name)))
    return names


ENCODERS = [
    ({"layers": 2, "bidirectional": False}, 2, 2),
    ({"layers": 2, "bidirectional": True}, 2, 4),
    ({"layers": 3, "bidirectional": True, "residual": True, "start": "learnt"}, 3, 6),
    ({"layers": 1, "bidirectional": False, "reversed_source": True}, 1, 1),
    ({"layers": 2, "bidirectional": True, "dropout": 0.3, "variational": True, "recurrent_dropout": 0.2}, 2, 4),
]


@pytest.mark.parametrize(("options", "forwards", "backwards"), ENCODERS, ids=lambda value: str(value))
@pytest.mark.parametrize(
    ("cell", "cell_options"),
    [
        ("rnn", {}),
        ("rnn", {"activation": "leaky_relu"}),
        ("lstm", {}),
        ("lstm", {"coupled": True, "peepholes": True}),
        ("gru", {}),
        ("gru", {"reset": "before"}),
        ("slstm", {}),
        ("slstm", {"forget": "exponential", "biases": 0, "forget_bias": 0.0}),
    ],
)
def test_recurrent_encoders_take_the_native_path(monkeypatch, calls, cell, cell_options, options, forwards, backwards):
    monkeypatch.delenv(dispatch.VARIABLE, raising=False)
    monkeypatch.setattr(reference, "scan", None)
    monkeypatch.setitem(dispatch._SCANS, "reference", None)
    encoder = Recurrent(
        Values(5), cell=registry.settings_class("cells", cell)(**cell_options), hidden_size=6, **options
    ).train()
    encoded = encoder.encode(Steps(torch.randn(9, 5), Layout([4, 0, 5])))
    assert calls == ["forward"] * forwards, "a layer is one call, both of its directions at once"
    (encoded.steps.values.sum() + encoded.summary.sum()).backward()
    assert calls == ["forward"] * forwards + ["backward"] * backwards
    with torch.no_grad():
        encoder.eval().encode(Steps(torch.randn(9, 5), Layout([4, 0, 5])))
    assert calls.count("forward") == 2 * forwards
