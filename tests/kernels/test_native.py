"""Law d: the native recurrence is the reference, forward and backward, on any batch."""

import math
import random

import pytest
import torch
from torch import nn

from ostinato.kernels import native, reference
from ostinato.kernels.native_library import library
from tests.kernels.native_cases import (
    BATCHES,
    KINDS,
    SIZES,
    batch,
    bidirectional,
    cell_of,
    equal,
    everything,
    keep_mask,
    near,
    threads,
)

pytestmark = pytest.mark.skipif(library() is None, reason="no native library in this installation")


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
