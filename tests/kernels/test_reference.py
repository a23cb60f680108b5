"""The reference recurrence over ragged batches: no padded step, no lost state. Cells' own laws are in tests/cells."""

import pytest
import torch

from ostinato.cells.gru import GRU
from ostinato.cells.lstm import LSTM
from ostinato.kernels.reference import scan
from ostinato.steps import Layout


def batch(cell, lengths):
    layout = Layout(lengths)
    state = tuple(torch.randn(len(lengths), cell.hidden_size) for _ in range(cell.num_states))
    return torch.randn(layout.total, cell.input_size), state, layout


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [[0], [0, 0], []])
def test_sequences_without_steps_end_in_their_start_state(lengths, reverse):
    cell = LSTM(3, 4)
    x, state, layout = batch(cell, lengths)
    state = tuple(one.requires_grad_() for one in state)
    hidden, final = scan(cell, x, state, layout, reverse=reverse)
    assert hidden.shape == (0, 4)
    assert all(torch.equal(one, other) for one, other in zip(final, state))
    sum(one.sum() for one in final).backward()
    assert all(torch.equal(one.grad, torch.ones_like(one)) for one in state)


def test_no_padded_step_is_computed():
    class Counting(GRU):
        rows = 0

        def pointwise(self, gates_x, gates_h, state):
            self.rows += len(gates_x)
            assert len(gates_x) == len(gates_h) == len(state[0]) > 0
            return super().pointwise(gates_x, gates_h, state)

    cell = Counting(3, 4)
    scan(cell, *batch(cell, [2, 50, 0, 7, 7]))
    assert cell.rows == 66


def test_the_final_state_is_the_last_hidden_state_of_each_sequence():
    cell = LSTM(3, 4)
    x, state, layout = batch(cell, [2, 5, 1, 5])
    hidden, final = scan(cell, x, state, layout)
    assert torch.equal(final[0], hidden[layout.offsets[1:] - 1])
    hidden, final = scan(cell, x, state, layout, reverse=True)
    assert torch.equal(final[0], hidden[layout.offsets[:-1]])


def test_a_sequence_read_in_two_parts_is_the_sequence():
    cell = LSTM(3, 4)
    x, state, layout = batch(cell, [6, 4])
    hidden, final = scan(cell, x, state, layout)
    first, second = torch.tensor([0, 1, 2, 6, 7]), torch.tensor([3, 4, 5, 8, 9])
    early, between = scan(cell, x[first], state, Layout([3, 2]))
    late, last = scan(cell, x[second], between, Layout([3, 2]))
    torch.testing.assert_close(early, hidden[first])
    torch.testing.assert_close(late, hidden[second])
    torch.testing.assert_close(last, final)


@pytest.mark.parametrize("reset", ["after", "before"])
def test_the_state_mask_multiplies_what_the_products_read_and_nothing_else(reset):
    torch.manual_seed(0)
    cell = GRU(3, 4, reset=reset)
    x, state, layout = batch(cell, [2, 4, 0])
    mask = torch.tensor([[0.0, 2, 0, 2], [2, 2, 0, 0], [0, 0, 0, 0]])
    hidden, final = scan(cell, x, state, layout, state_mask=mask)
    for row, start in ((0, 0), (1, 2)):
        h, weight_h = state[0][row : row + 1], cell.weight_h
        for step in range(int(layout.lengths[row])):
            products = [
                lambda h, w=w, b=b: (h * mask[row]) @ w.T + b for w, b in zip(weight_h.split(4), cell.bias_h.split(4))
            ]
            a = (x[start + step][None] @ cell.weight_x.T + cell.bias_x).split(4, 1)
            r, z = (torch.sigmoid(a[k] + products[k](h)) for k in range(2))
            n = torch.tanh(a[2] + (r * products[2](h) if reset == "after" else products[2](r * h)))
            h = (1 - z) * n + z * h
            torch.testing.assert_close(hidden[start + step][None], h)
        torch.testing.assert_close(final[0][row][None], h)
    assert torch.equal(final[0][2], state[0][2])


def test_autocast_runs_forward_and_backward():
    cell = LSTM(3, 4)
    x, state, layout = batch(cell, [2, 5])
    plain = scan(cell, x, state, layout)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden, _ = scan(cell, x, state, layout)
    hidden.float().sum().backward()
    assert all(one.grad.dtype == torch.float32 and one.grad.abs().sum() > 0 for one in cell.parameters())
    torch.testing.assert_close(hidden.float(), plain, rtol=0.05, atol=0.05)
