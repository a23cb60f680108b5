"""The recurrent stack: against torch.nn where torch has it, and by its parts where it has not."""

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

from ostinato.errors import ConfigError
from ostinato.layers.recurrent import RecurrentStack
from ostinato.registry import settings_class
from ostinato.steps import Layout, Steps

GRU = settings_class("cells", "gru")(type="gru")
LSTM = settings_class("cells", "lstm")(type="lstm")


def batch(size, lengths=(4, 2, 6)):
    layout = Layout(list(lengths))
    return Steps(torch.randn(layout.total, size), layout)


def test_two_layers_both_ways_equal_torch():
    torch.manual_seed(0)
    stack = RecurrentStack(LSTM, 3, (5, 5), reads="both").double()
    theirs = torch.nn.LSTM(3, 5, num_layers=2, bidirectional=True, dtype=torch.float64)
    with torch.no_grad():
        for cell, suffix in zip(stack.cells, ("l0", "l0_reverse", "l1", "l1_reverse")):
            getattr(theirs, f"weight_ih_{suffix}").copy_(cell.weight_x)
            getattr(theirs, f"weight_hh_{suffix}").copy_(cell.weight_h)
            getattr(theirs, f"bias_ih_{suffix}").copy_(cell.bias_x)
            getattr(theirs, f"bias_hh_{suffix}").copy_(cell.bias_h)
    layout = Layout([4, 2, 6])
    steps = Steps(torch.randn(layout.total, 3, dtype=torch.float64), layout)
    found, state = stack(steps)
    packed, (h, c) = theirs(pack_sequence(steps.split(), enforce_sorted=False))
    torch.testing.assert_close(found.values, torch.cat(unpack_sequence(packed)), rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.stack(state[0::2]), h, rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.stack(state[1::2]), c, rtol=0, atol=1e-12)
    assert torch.equal(stack.last_hidden(state), torch.cat([state[4], state[6]], 1))


def test_widths_may_differ_by_layer():
    stack = RecurrentStack(LSTM, 3, (5, 7, 2), reads="both")
    found, state = stack(batch(3))
    assert found.values.shape == (12, 4) and stack.output_size == 4
    assert tuple(one.shape[1] for one in state) == stack.state_sizes == (5,) * 4 + (7,) * 4 + (2,) * 4


def test_reading_backward_keeps_the_order_of_the_steps():
    torch.manual_seed(0)
    forward, backward = RecurrentStack(GRU, 3, (4, 4)), RecurrentStack(GRU, 3, (4, 4), reads="backward")
    backward.load_state_dict(forward.state_dict())
    steps = batch(3)
    expected, last = forward(steps.reversed())
    found, final = backward(steps)
    torch.testing.assert_close(found.values, expected.reversed().values)
    torch.testing.assert_close(final, last)


def test_residual_adds_the_input_where_it_is_as_wide():
    torch.manual_seed(0)
    plain, residual = RecurrentStack(GRU, 4, (4, 4)), RecurrentStack(GRU, 4, (4, 4), residual=True)
    residual.load_state_dict(plain.state_dict())
    one, two = RecurrentStack(GRU, 4, (4,)), RecurrentStack(GRU, 4, (4,))
    one.cells[0].load_state_dict(plain.cells[0].state_dict())
    two.cells[0].load_state_dict(plain.cells[1].state_dict())
    steps = batch(4)
    middle = steps.with_values(steps.values + one(steps)[0].values)
    torch.testing.assert_close(residual(steps)[0].values, middle.values + two(middle)[0].values)
    assert RecurrentStack(GRU, 3, (4, 4), residual=True).adds_input == [False, True]
    with pytest.raises(ConfigError, match="no layer is as wide as its input, widths from the embedding up: 3, 4, 5"):
        RecurrentStack(GRU, 3, (4, 5), residual=True)


def test_going_on_from_the_final_state_is_reading_on():
    stack = RecurrentStack(LSTM, 3, (5, 4))
    steps = batch(3, (6, 6))
    found, final = stack(steps)
    halves = [Steps.of([one[part] for one in steps.split()]) for part in (slice(0, 2), slice(2, 6))]
    first, between = stack(halves[0])
    second, last = stack(halves[1], between)
    again = Steps.of([torch.cat(parts) for parts in zip(first.split(), second.split())])
    torch.testing.assert_close(again.values, found.values)
    torch.testing.assert_close(last, final)
    with pytest.raises(ValueError, match="has 4 tensors, 2 were given"):
        stack(steps, between[:2])


def test_a_learnt_start_state_is_used_and_learnt():
    stack = RecurrentStack(LSTM, 3, (4,), reads="both", learnt_start=True)
    before = stack(batch(3))
    with torch.no_grad():
        for one in stack.start:
            one.fill_(0.5)
    steps = Steps(torch.zeros(0, 3), Layout([0, 0]))
    _, state = stack(steps)
    assert all(torch.equal(one, torch.full((2, 4), 0.5)) for one in state)
    stack.last_hidden(stack(batch(3))[1]).sum().backward()
    assert all(one.grad is not None and one.grad.any() for one in stack.start)
    assert len(before[1]) == 4


def test_dropout_falls_on_every_layers_input_and_not_on_the_last_output():
    torch.manual_seed(0)
    stack = RecurrentStack(GRU, 3, (40, 40), dropout=0.5)
    seen = []
    stack.dropout.register_forward_hook(lambda module, inputs, output: seen.append(output.values))
    found, _ = stack(batch(3, (50,)))
    assert [one.shape[1] for one in seen] == [3, 40]
    assert all(0.2 < (one == 0).float().mean() < 0.8 for one in seen)
    assert (found.values != 0).all()


def test_residual_adds_the_input_as_it_was_before_dropout():
    torch.manual_seed(0)
    stack = RecurrentStack(GRU, 4, (4,), residual=True, dropout=0.5)
    with torch.no_grad():
        for one in stack.parameters():
            one.zero_()
    steps = batch(4)
    assert torch.equal(stack(steps)[0].values, steps.values)


def test_recurrent_dropout_is_drawn_in_training_only_and_reaches_every_cell():
    torch.manual_seed(0)
    stack = RecurrentStack(GRU, 3, (8, 8), reads="both", recurrent_dropout=0.5)
    steps = batch(3)
    assert not torch.equal(stack(steps)[0].values, stack(steps)[0].values)
    trained = stack(steps)[1]
    stack.eval()
    assert torch.equal(stack(steps)[0].values, stack(steps)[0].values)
    assert all(not torch.equal(one, other) for one, other in zip(trained, stack(steps)[1]))
