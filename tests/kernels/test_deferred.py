"""A deferred linear map is a linear map: its gradients are autograd's, however the graph is used, and gathered by one
product."""

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from ostinato.kernels.deferred import DeferredLinear


def loop(product, h, steps=5):
    """A recurrence whose batch narrows, as ragged sequences do."""
    seen = []
    for step in range(steps):
        h = torch.tanh(product(h[: len(h) - step // 2]))
        seen.append(h)
    return seen


@pytest.fixture
def parts():
    torch.manual_seed(0)
    return [torch.randn(*size, dtype=torch.float64, requires_grad=True) for size in ((4, 4), (4,), (5, 4))]


def plain(weight, bias):
    return lambda h: functional.linear(h, weight, bias)


@pytest.mark.parametrize("with_bias", [True, False])
def test_gradients_agree_with_finite_differences(parts, with_bias):
    weight, bias, h = parts
    inputs = parts if with_bias else [weight, h]
    assert torch.autograd.gradcheck(
        lambda *_: tuple(loop(DeferredLinear(weight, bias if with_bias else None), h)), inputs
    )


def test_gradients_are_autograds_with_two_products_woven_into_each_other(parts):
    weight, bias, h = parts
    other = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)

    def total(make):
        one, two = make(weight, bias), make(other, None)
        return sum(each.square().sum() for each in loop(lambda h: one(h) * two(torch.sin(h)), h))

    found = torch.autograd.grad(total(DeferredLinear), [weight, bias, other, h])
    expected = torch.autograd.grad(total(plain), [weight, bias, other, h])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_the_weights_gradient_is_one_product(parts):
    weight, bias, h = parts

    class Counting(TorchDispatchMode):
        products = 0

        def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
            self.products += function.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm)
            return function(*arguments, **(keywords or {}))

    last = loop(DeferredLinear(weight, bias), h, steps=6)[-1].sum()
    with Counting() as counting:
        last.backward()
    assert counting.products == 6 + 1, "one per step for the state, one in all for the weight"


def test_a_graph_used_twice_or_in_parts_counts_nothing_twice(parts):
    weight, bias, h = parts
    expected = [torch.autograd.grad(loop(plain(weight, bias), h)[step].sum(), [weight, bias]) for step in (1, 4)]
    seen = loop(DeferredLinear(weight, bias), h)
    torch.autograd.grad(seen[4].sum(), h, retain_graph=True)  # runs the steps, not the weights
    for turn in (0, 1, 0):
        found = torch.autograd.grad(seen[(1, 4)[turn]].sum(), [weight, bias], retain_graph=True)
        torch.testing.assert_close(found, expected[turn], rtol=1e-12, atol=1e-14)


def test_nothing_is_held_after_backward(parts):
    weight, bias, h = parts
    product = DeferredLinear(weight, bias)
    loop(product, h)[-1].sum().backward()
    assert product.tape.entries == []


def test_only_what_is_asked_for_gets_a_gradient(parts):
    weight, bias, h = parts
    frozen = DeferredLinear(weight.detach(), bias.detach())
    assert frozen.tape is None
    assert torch.autograd.grad(loop(frozen, h)[-1].sum(), h)[0].abs().sum() > 0
    loop(DeferredLinear(weight.detach(), bias), h.detach())[-1].sum().backward()
    assert bias.grad is not None and weight.grad is None


def test_a_product_never_used_leaves_no_gradient(parts):
    weight, bias, h = parts
    DeferredLinear(weight, bias)
    (h.sum() + weight.sum() * 0).backward()
    assert not weight.grad.any() and bias.grad is None


def test_without_gradients_it_is_a_plain_linear_map(parts):
    weight, bias, h = parts
    with torch.no_grad():
        product = DeferredLinear(weight, bias)
        assert product.tape is None
        assert torch.equal(product(h), functional.linear(h, weight, bias))
    with torch.no_grad():
        assert not DeferredLinear(weight, bias)(h).requires_grad


def test_a_second_derivative_is_refused(parts):
    weight, bias, h = parts
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(loop(DeferredLinear(weight, bias), h)[-1].sum(), weight, create_graph=True)


def test_a_weight_changed_before_backward_is_noticed(parts):
    weight, bias, h = parts
    last = loop(DeferredLinear(weight, bias), h)[-1].sum()
    with torch.no_grad():
        weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        last.backward()


def test_autocast_computes_in_its_type_and_gives_gradients_in_the_weights():
    weight, h = torch.randn(4, 4, requires_grad=True), torch.randn(3, 4, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        product = DeferredLinear(weight)
        y = product(product(h))
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert weight.grad.dtype == h.grad.dtype == torch.float32
