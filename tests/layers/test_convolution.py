"""Convolutions on packed steps: against torch's on each sequence alone."""

import pytest
import torch
from torch.nn import functional

from ostinato.layers.convolution import Convolution, ConvolutionBlock
from ostinato.steps import Layout, Steps

LENGTHS = (4, 0, 7, 1, 3)


def batch(size=3, lengths=LENGTHS):
    torch.manual_seed(1)
    layout = Layout(list(lengths))
    return Steps(torch.randn(layout.total, size, dtype=torch.float64), layout)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("kernel_size", "dilation"), [(1, 1), (3, 1), (3, 4), (5, 2)])
def test_it_equals_torchs_convolution_of_each_sequence_alone(kernel_size, dilation, centred):
    torch.manual_seed(0)
    convolution = Convolution(3, 4, kernel_size=kernel_size, dilation=dilation, centred=centred).double()
    weight = convolution.map.weight.view(4, kernel_size, 3).transpose(1, 2)
    steps = batch()
    found, after = convolution(steps)
    reach = (kernel_size - 1) * dilation
    pads = (reach // 2, reach // 2) if centred else (reach, 0)
    assert (after is None) == centred
    for row, one in enumerate(steps.split()):
        if not len(one):
            continue
        expected = functional.conv1d(functional.pad(one.T[None], pads), weight, convolution.map.bias, dilation=dilation)
        torch.testing.assert_close(found.split()[row], expected[0].T)
        if not centred:
            kept = torch.cat([torch.zeros(reach, 3, dtype=one.dtype), one])[len(one) :]
            assert torch.equal(after[row].view(reach, 3), kept)


def test_a_vector_may_stand_outside():
    convolution = Convolution(2, 1, kernel_size=3, centred=True).double()
    outside = torch.tensor([5.0, -1.0], dtype=torch.float64)
    found, _ = convolution(batch(2, (2, 1)), None, outside)
    one, two, three = batch(2, (2, 1)).values
    for at, window in enumerate(([outside, one, two], [one, two, outside], [outside, three, outside])):
        torch.testing.assert_close(found.values[at], convolution.map(torch.cat(window)))


def test_a_block_goes_on_from_its_state():
    torch.manual_seed(0)
    block = ConvolutionBlock(3, 4, kernel_size=3, dilation=2).double()
    steps = batch()
    whole, end = block(steps)
    first, state = block(Steps.of([one[:2] for one in steps.split()]))
    second, last = block(Steps.of([one[2:] for one in steps.split()]), state)
    for row, expected in enumerate(whole.split()):
        torch.testing.assert_close(torch.cat([first.split()[row], second.split()[row]]), expected)
    for one, other in zip(last, end):
        torch.testing.assert_close(one, other)


def test_gradients_are_right_also_of_what_was_read_before_and_of_what_stands_outside():
    torch.manual_seed(0)
    convolution = Convolution(2, 3, kernel_size=3, dilation=2).double()
    steps = batch(2, (1, 0, 3))
    before, outside = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((3, 8), (2,)))
    values = steps.values.requires_grad_()

    def run(*_):
        (went_on, last), (started, first) = convolution(steps, before), convolution(steps, None, outside)
        return went_on.values, last, started.values, first

    assert torch.autograd.gradcheck(run, (values, before, outside, *convolution.parameters()))


def test_what_a_block_is_wide_goes_around_as_it_is():
    block = ConvolutionBlock(4, 4, kernel_size=3, dilation=1)
    assert block.around is None and ConvolutionBlock(3, 4, kernel_size=3, dilation=1).around is not None
    for one in block.convolutions:
        torch.nn.init.zeros_(one.map.weight)
        torch.nn.init.zeros_(one.map.bias)
    steps = Steps(torch.randn(3, 4), Layout([3]))
    assert torch.equal(block(steps)[0].values, steps.values.relu())
