"""What a drop-in module refuses: torch's exceptions where torch has one, and messages that name both sides."""

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence

from ostinato import nn
from ostinato.steps import Layout, Steps

KINDS = pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])


def hx(kind, *size, **options):
    one = torch.zeros(*size, **options)
    return (one, one) if kind == "LSTM" else one


WRONG = {
    "dimensions": lambda kind: ((torch.zeros(2, 3, 4, 3),), "2D or 3D, got 4D"),
    "one dimension": lambda kind: ((torch.zeros(3),), "2D or 3D, got 1D"),
    "type": lambda kind: ((torch.zeros(6, 4, 3).double(),), r"float64.* does not match weight dtype .*float32"),
    "whole numbers": lambda kind: ((torch.zeros(6, 4, 3, dtype=torch.int64),), "int64.* does not match"),
    "width": lambda kind: ((torch.zeros(6, 4, 2),), r"Expected 3, got 2.*\(6, 4, 2\).*, 3\)"),
    "no steps": lambda kind: ((torch.zeros(0, 4, 3),), r"larger than 0, got input of shape \(0, 4, 3\)"),
    "state's size": lambda kind: ((torch.zeros(6, 4, 3), hx(kind, 1, 4, 6)), r"\(1, 4, 5\), got \(1, 4, 6\)"),
    "state's rows": lambda kind: ((torch.zeros(6, 4, 3), hx(kind, 1, 3, 5)), r"\(1, 4, 5\), got \(1, 3, 5\)"),
    "state's layers": lambda kind: ((torch.zeros(6, 4, 3), hx(kind, 2, 4, 5)), r"\(1, 4, 5\), got \(2, 4, 5\)"),
    "state without a batch": lambda kind: ((torch.zeros(6, 4, 3), hx(kind, 1, 5)), "should also be 3-D but got 2-D"),
    "state with a batch": lambda kind: ((torch.zeros(6, 3), hx(kind, 1, 1, 5)), "should also be 2-D but got 3-D"),
    "state's type": lambda kind: ((torch.zeros(6, 4, 3), hx(kind, 1, 4, 5, dtype=torch.float64)), "float64 .*float32"),
    "packed dimensions": lambda kind: (
        (PackedSequence(torch.zeros(3, 1, 3), torch.tensor([2, 1])),),
        r"2 dimensions, got 3",
    ),
    "packed width": lambda kind: (
        (PackedSequence(torch.zeros(3, 2), torch.tensor([2, 1])),),
        r"Expected 3, got 2.*\(3, 2\)",
    ),
    "packed rows": lambda kind: (
        (PackedSequence(torch.zeros(3, 3), torch.tensor([2, 1])), hx(kind, 1, 3, 5)),
        r"\(1, 2, 5\), got \(1, 3, 5\)",
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
@KINDS
def test_what_torch_refuses_is_refused_with_its_exception_and_both_sides(kind, case):
    arguments, message = case(kind)
    with pytest.raises((ValueError, RuntimeError)) as torchs:
        getattr(torch.nn, kind)(3, 5)(*arguments)
    with pytest.raises(torchs.type, match=message) as error:
        getattr(nn, kind)(3, 5)(*arguments)
    assert error.type is torchs.type


def test_a_state_for_an_empty_batch_first_input_is_found_in_its_second_dimension():
    with pytest.raises(RuntimeError, match="larger than 0"):
        nn.GRU(3, 5, batch_first=True)(torch.zeros(4, 0, 3))


@KINDS
def test_devices_that_differ_are_named(kind):
    module = getattr(nn, kind)(3, 5, device="meta")
    with pytest.raises(RuntimeError, match="input is on cpu and the module on meta"):
        module(torch.zeros(6, 4, 3))
    with pytest.raises(RuntimeError, match=r"is on cpu and the module on meta"):
        module(torch.zeros(6, 4, 3, device="meta"), hx(kind, 1, 4, 5))


@pytest.mark.parametrize(
    ("lengths", "exception", "message"),
    [
        ([1, 2, 3], ValueError, r"\(4,\) for input \(6, 4, 3\), got shape \(3,\)"),
        ([[1, 2, 3, 4]], ValueError, r"got shape \(1, 4\)"),
        ([1, 2, 3, 7], ValueError, r"between 0 and 6 .*\[1, 2, 3, 7\]"),
        ([1, 2, 3, -1], ValueError, "between 0 and 6"),
        ([1.0, 2.0, 3.0, 4.0], TypeError, "whole numbers, got torch.float32"),
        (torch.ones(4, dtype=torch.bool), TypeError, "whole numbers, got torch.bool"),
    ],
)
@KINDS
def test_lengths_that_do_not_fit(kind, lengths, exception, message):
    with pytest.raises(exception, match=message):
        getattr(nn, kind)(3, 5)(torch.zeros(6, 4, 3), lengths=lengths)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (torch.zeros(6, 3), "without a batch dimension"),
        (PackedSequence(torch.zeros(3, 3), torch.tensor([2, 1])), "PackedSequence"),
        (Steps(torch.zeros(3, 3), Layout([2, 1])), "Steps"),
    ],
)
@KINDS
def test_lengths_are_for_padded_batches(kind, given, what):
    with pytest.raises(ValueError, match=f"{what}.*leave lengths out"):
        getattr(nn, kind)(3, 5)(given, lengths=[2, 1])


@KINDS
def test_what_is_no_sequence_at_all(kind):
    module = getattr(nn, kind)(3, 5)
    with pytest.raises(TypeError, match="reads a tensor, a PackedSequence or Steps, got list"):
        module([[1.0, 2.0, 3.0]])
    wrong = torch.zeros(2, 1, 4, 5) if kind == "LSTM" else (torch.zeros(1, 4, 5), torch.zeros(1, 4, 5))
    with pytest.raises(TypeError, match="hx must be a t"):
        module(torch.zeros(6, 4, 3), wrong)
    with pytest.raises(RuntimeError, match=r"\(3, 3\).* add up to 4 steps"):
        module(PackedSequence(torch.zeros(3, 3), torch.tensor([2, 2])))


def test_steps_of_the_wrong_width_or_rank():
    with pytest.raises(RuntimeError, match="Expected 3, got 2"):
        nn.GRU(3, 5)(Steps(torch.zeros(3, 2), Layout([2, 1])))
    with pytest.raises(RuntimeError, match=r"a Steps of shape \(3,\)"):
        nn.GRU(3, 5)(Steps(torch.zeros(3), Layout([2, 1])))


@pytest.mark.parametrize("dropout", [-0.1, 1.1, True, "0.5"])
@KINDS
def test_dropout_out_of_its_range(kind, dropout):
    for module in (getattr(torch.nn, kind), getattr(nn, kind)):
        with pytest.raises(ValueError, match=r"number in range \[0, 1\]"):
            module(3, 5, 2, dropout=dropout)


@KINDS
def test_dropout_with_one_layer_warns_where_it_is_written(kind):
    for module in (getattr(torch.nn, kind), getattr(nn, kind)):
        with pytest.warns(UserWarning, match="got dropout=0.5 and num_layers=1"):
            module(3, 5, dropout=0.5)
    with pytest.warns(UserWarning) as ours:
        getattr(nn, kind)(3, 5, dropout=0.5)
    assert ours[0].filename == __file__


@pytest.mark.parametrize("size", [-1, 5, 6])
def test_projections_that_do_not_narrow(size):
    for module in (torch.nn.LSTM, nn.LSTM):
        with pytest.raises(ValueError, match="proj_size"):
            module(3, 5, proj_size=size)


@pytest.mark.parametrize("kind", ["RNN", "GRU"])
def test_projections_are_for_the_lstm_alone(kind):
    for module in (getattr(torch.nn, kind), getattr(nn, kind)):
        with pytest.raises(ValueError, match="only supported for LSTM"):
            module(3, 5, proj_size=2)


def test_options_that_there_are_not():
    with pytest.raises(ValueError, match="Unknown nonlinearity 'leaky'; did you mean 'leaky_relu'"):
        nn.RNN(3, 5, nonlinearity="leaky")
    with pytest.raises(ValueError, match="Unknown reset 'befor'; did you mean 'before'"):
        nn.GRU(3, 5, reset="befor")
    with pytest.raises(ValueError, match="bias=False leaves no place for forget_bias=1"):
        nn.LSTM(3, 5, bias=False, forget_bias=1.0)
    with pytest.raises(TypeError, match="peephole"):
        nn.LSTM(3, 5, peephole=True)
