"""The loss in pieces is torch's cross entropy of all scores at once, with its gradients, and holds no more than a piece."""

import pytest
import torch
from torch.nn import functional

from ostinato.kernels.dispatch import forced
from ostinato.layers.vocabulary import cross_entropy


def case(rows=37, width=12, size=23, dtype=torch.float64, bias=True):
    random = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn(*shape, generator=random, dtype=dtype).requires_grad_()  # noqa: E731
    truth = torch.randint(0, size, (rows,), generator=random)
    return draw(rows, width), draw(size, width), draw(size) if bias else None, truth


@pytest.mark.parametrize("piece", [1, 5 * 23, 10_000])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kernel", ["native", "reference"])
def test_it_is_torchs_cross_entropy(piece, smoothing, bias, kernel):
    *tensors, truth = case(bias=bias)
    given = [one for one in tensors if one is not None]
    expected = functional.cross_entropy(functional.linear(*tensors), truth, reduction="sum", label_smoothing=smoothing)
    with forced(kernel):
        found = cross_entropy(*tensors, truth, label_smoothing=smoothing, piece=piece)
        found_gradients = torch.autograd.grad(3 * found, given)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    for one, other in zip(found_gradients, torch.autograd.grad(3 * expected, given), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
    with torch.no_grad(), forced(kernel):
        torch.testing.assert_close(cross_entropy(*tensors, truth, label_smoothing=smoothing, piece=piece), expected.detach())


def test_float32_in_any_piece():
    *tensors, truth = case(dtype=torch.float32)
    whole = cross_entropy(*tensors, truth)
    torch.testing.assert_close(cross_entropy(*tensors, truth, piece=60), whole, rtol=1e-6, atol=0)


def test_nothing_to_say_costs_nothing():
    x, weight, bias, _ = case(rows=0)
    total = cross_entropy(x, weight, bias, torch.zeros(0, dtype=torch.int64))
    total.backward()
    assert total == 0 and not weight.grad.any() and not bias.grad.any()


def test_only_what_is_wanted_has_a_gradient():
    x, weight, bias, truth = case()
    cross_entropy(x.detach(), weight, bias.detach(), truth).backward()
    assert weight.grad is not None and x.grad is None and bias.grad is None


def test_16_bits_under_autocast():
    *tensors, truth = case(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = cross_entropy(*tensors, truth)
    found.backward()
    assert found.dtype == tensors[0].grad.dtype == torch.float32
    torch.testing.assert_close(found, cross_entropy(*tensors, truth), rtol=1e-2, atol=0)


def test_a_second_derivative_is_refused():
    *tensors, truth = case()
    with pytest.raises(RuntimeError, match="second derivative"):
        torch.autograd.grad(cross_entropy(*tensors, truth), tensors[0], create_graph=True)


def test_memory_grows_with_rows_and_symbols_but_not_with_their_product():
    class Largest(torch.utils._python_dispatch.TorchDispatchMode):
        largest = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            for one in out if isinstance(out, (tuple, list)) else (out,):
                if isinstance(one, torch.Tensor):
                    self.largest = max(self.largest, one.numel())
            return out

    *tensors, truth = case(rows=600, width=8, size=500, dtype=torch.float32)
    with Largest() as seen, forced("reference"):
        cross_entropy(*tensors, truth, piece=5_000).backward()
    assert seen.largest <= 5_000
