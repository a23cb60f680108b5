"""The native recurrence gives the same bits again: alone and in company, on any number of threads, in parts."""

import pytest
import torch

from ostinato.cells.slstm import SLSTM
from ostinato.kernels import native
from ostinato.kernels.native_library import library
from ostinato.steps import Layout
from tests.kernels.native_cases import KINDS, batch, cell_of, equal, everything, keep_mask, threads

pytestmark = pytest.mark.skipif(library() is None, reason="no native library in this installation")


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
