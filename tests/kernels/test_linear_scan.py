"""Linear recurrences at once: as one step after the other, at every length, real and complex, backward too."""

import pytest
import torch

from ostinato.kernels.dispatch import forced
from ostinato.kernels.linear_scan import linear_scan
from ostinato.kernels.native_library import library
from ostinato.steps import Layout


def one_by_one(keep, add, start, layout):
    hidden, last = [], []
    for row, (first, after) in enumerate(zip(layout.offsets[:-1].tolist(), layout.offsets[1:].tolist())):
        state = start[row]
        for step in range(first, after):
            state = keep[step] * state + add[step]
            hidden.append(state)
        last.append(state)
    return torch.stack(hidden), torch.stack(last)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("lengths", [[1], [3, 0, 1], [16], [0, 17, 5], [130, 1, 90, 0, 2], [701]])
def test_it_is_the_loop_and_its_gradient_is_that_of_the_loop(lengths, dtype):
    layout, random = Layout(lengths), torch.Generator().manual_seed(0)
    shapes = ((layout.total, 3), (layout.total, 3), (len(lengths), 3))
    keep, add, start = (
        torch.randn(shape, generator=random, dtype=dtype).mul_(0.7).requires_grad_() for shape in shapes
    )
    gradients = []
    for compute in (linear_scan, one_by_one):
        hidden, last = compute(keep, add, start, layout)
        gradients.append(torch.autograd.grad((hidden.abs().sin().sum() + last.abs().cos().sum()), (keep, add, start)))
    expected = one_by_one(keep, add, start, layout)
    for actual, wanted in zip((*linear_scan(keep, add, start, layout), *gradients[0]), (*expected, *gradients[1])):
        scale = max(1.0, wanted.detach().abs().max().item())
        assert torch.allclose(actual, wanted, rtol=1e-9, atol=1e-9 * scale)


def test_what_has_faded_to_zero_does_no_harm():
    layout = Layout([5000])
    keep, add = torch.full((5000, 2), 1e-3, requires_grad=True), torch.ones(5000, 2)
    hidden, last = linear_scan(keep, add, torch.zeros(1, 2), layout)
    last.sum().backward()
    assert torch.allclose(hidden[10:], torch.tensor(1 / (1 - 1e-3))) and keep.grad.isfinite().all()


def test_a_recurrence_of_a_scan_has_a_second_derivative():
    x = torch.rand(20, 2, dtype=torch.float64, requires_grad=True)
    start = torch.zeros(2, 2, dtype=torch.float64)
    assert torch.autograd.gradgradcheck(lambda x: linear_scan(x, x * x, start, Layout([13, 7]))[0], (x,))


@pytest.mark.skipif(library() is None, reason="no native library in this installation")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("width", [1, 3, 64, 70])
def test_the_native_scan_equals_torchs_and_has_the_same_bits_on_any_number_of_threads(width, dtype):
    layout, random = Layout([0, 7, 300, 1, 0, 90]), torch.Generator().manual_seed(0)
    keep = torch.rand(398, width, generator=random, dtype=dtype).requires_grad_()
    add = torch.randn(398, width, generator=random, dtype=dtype).requires_grad_()
    start = torch.randn(6, width, generator=random, dtype=dtype).requires_grad_()
    given = (keep, add, start)

    def computed():
        hidden, last = linear_scan(*given, layout)
        return [hidden, last, *torch.autograd.grad(hidden.sin().sum() + last.cos().sum(), given)]

    with forced("reference"):
        expected = computed()
    found, before = computed(), torch.get_num_threads()
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).detach().abs().max()) <= {torch.float32: 2e-5, torch.float64: 1e-13}[dtype]
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            assert all(map(torch.equal, computed(), found))
    finally:
        torch.set_num_threads(before)
