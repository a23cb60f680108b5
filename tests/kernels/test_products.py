"""The native linear map equals torch's, forward and backward, and a row's sum does not depend on its company."""

import pytest
import torch
from torch.nn import functional

from ostinato.kernels.dispatch import forced
from ostinato.kernels.native_library import library
from ostinato.kernels.products import NN, NT, TN, linear, multiply

pytestmark = pytest.mark.skipif(library() is None, reason="no native library in this installation")

SHAPES = [(1, 1, 1), (3, 5, 7), (16, 32, 64), (17, 600, 33), (130, 47, 1025), (500, 3, 90), (2, 1300, 48)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("rows", "inputs", "outputs"), SHAPES)
def test_linear_equals_torch_forward_and_backward(rows, inputs, outputs, dtype):
    torch.manual_seed(0)
    tensors = [
        torch.randn(*size, dtype=dtype, requires_grad=True) for size in ((rows, inputs), (outputs, inputs), (outputs,))
    ]
    given = torch.randn(rows, outputs, dtype=dtype)
    found = [made := linear(*tensors), *torch.autograd.grad(made, tensors, given)]
    expected = [made := functional.linear(*tensors), *torch.autograd.grad(made, tensors, given)]
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).detach().abs().max()) <= {torch.float32: 2e-6, torch.float64: 1e-14}[dtype] * float(
            other.detach().abs().max()
        )


def test_leading_dimensions_views_and_a_missing_bias_are_taken():
    torch.manual_seed(0)
    x, weight = torch.randn(4, 3, 10).transpose(0, 1)[:, :, ::2], torch.randn(7, 12)[:, 3:8]
    assert torch.allclose(linear(x, weight), functional.linear(x, weight), atol=1e-6)
    assert linear(x[:0], weight).shape == (0, 4, 7)


def test_tensors_whose_rows_share_memory_are_taken():
    torch.manual_seed(0)
    x, weight, bias = torch.randn(20), torch.randn(7, requires_grad=True), torch.randn(10)
    for rows in (x.unfold(0, 7, 2), x[:7].expand(5, 7)):
        for matrix in (weight.expand(5, 7), weight.repeat(5, 1)):
            found, expected = (
                multiply_by(rows, matrix, bias[::2]).sum(0) for multiply_by in (linear, functional.linear)
            )
            assert torch.allclose(found, expected, atol=1e-6)
            found, expected = (torch.autograd.grad(one, weight, torch.arange(5.0))[0] for one in (found, expected))
            assert torch.allclose(found, expected, atol=1e-4)


def test_a_row_is_the_same_alone_and_in_company_and_for_any_number_of_threads():
    torch.manual_seed(0)
    x, weight = torch.randn(64, 300), torch.randn(200, 300)
    together = linear(x, weight)
    assert all(torch.equal(linear(x[k : k + 1], weight)[0], together[k]) for k in range(64))
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            assert torch.equal(linear(x, weight), together)
            assert torch.equal(multiply(TN, x, x), multiply(TN, x, x))
    finally:
        torch.set_num_threads(before)


def test_a_forced_reference_and_autocast_leave_it_to_torch():
    x, weight = torch.randn(2, 3), torch.randn(4, 3)
    with forced("reference"):
        assert torch.equal(linear(x, weight), functional.linear(x, weight))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear(x, weight).dtype == torch.bfloat16


@pytest.mark.parametrize("kind", [NT, NN, TN])
def test_shapes_that_do_not_fit_are_named(kind):
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(4, 5\) cannot be multiplied"):
        multiply(kind, torch.randn(2, 3), torch.randn(4, 5))


@pytest.mark.parametrize("bias", [torch.randn(3), torch.randn(4, 1)])
def test_a_bias_that_does_not_fit_is_torchs_own_error(bias):
    with pytest.raises(RuntimeError):
        linear(torch.randn(2, 3), torch.randn(4, 3), bias)
