"""Products by oneDNN are torch's products: values, gradients, types and refusals."""

import pytest
import torch
from torch.nn import functional

from ostinato.errors import KernelError
from ostinato.kernels import products

SHAPES = [(64, 512, 256), (300, 200, 130), (1, 1024, 512), (2000, 33, 7)]


@pytest.fixture(params=["torch", "onednn"])
def library(request, monkeypatch):
    monkeypatch.setenv(products.VARIABLE, request.param)
    products.chosen.cache_clear()
    yield request.param
    products.chosen.cache_clear()


def close(found, expected, of=1e-5):
    assert (found.double() - expected).abs().max() <= of * expected.abs().max()


@pytest.mark.parametrize("rows, inputs, outputs", SHAPES)
@pytest.mark.parametrize("with_bias", [True, False])
def test_values_and_gradients_are_those_of_float64(library, rows, inputs, outputs, with_bias):
    generator = torch.Generator().manual_seed(0)
    draw = lambda *size: torch.randn(*size, generator=generator)  # noqa: E731
    given = [draw(rows, inputs), draw(outputs, inputs), draw(outputs) if with_bias else None]
    exact = [None if one is None else one.double().requires_grad_() for one in given]
    given = [None if one is None else one.requires_grad_() for one in given]
    weights = draw(rows, outputs)
    y, expected = products.linear(*given), functional.linear(*exact)
    close(y, expected)
    (y * weights).sum().backward()
    (expected * weights.double()).sum().backward()
    for one, right in zip(given, exact):
        if one is not None:
            close(one.grad, right.grad)


def test_large_products_go_through_the_library_that_was_forced_and_small_ones_never_do(library, monkeypatch):
    calls = []
    plain = products._onednn()
    monkeypatch.setattr(products, "_onednn", lambda: lambda *given: calls.append(1) or plain(*given))
    products.linear(torch.ones(64, 512), torch.ones(256, 512))
    assert len(calls) == (library == "onednn")
    products.linear(torch.ones(2, 8), torch.ones(4, 8))
    products.linear(torch.ones(64, 512).double(), torch.ones(256, 512).double())
    assert len(calls) == (library == "onednn")


def test_leading_dimensions_stay(library):
    x, weight = torch.randn(8, 9, 64), torch.randn(128, 64)
    close(products.linear(x, weight), functional.linear(x.double(), weight.double()))


def test_a_second_derivative_is_that_of_torch(library):
    weight, x = torch.randn(256, 64, requires_grad=True), torch.randn(64, 64, requires_grad=True)

    def second(linear):
        (first,) = torch.autograd.grad(linear(x, weight).tanh().sum(), x, create_graph=True)
        return torch.autograd.grad(first.pow(2).sum(), weight)[0]

    close(second(products.linear), second(functional.linear).double(), 1e-4)


def test_under_autocast_products_are_sixteen_bits_wide(library):
    with torch.autocast("cpu", torch.bfloat16):
        assert products.linear(torch.randn(64, 512), torch.randn(256, 512)).dtype is torch.bfloat16


def test_the_same_product_twice_has_the_same_bits(library):
    x, weight = torch.randn(300, 512), torch.randn(700, 512)
    assert torch.equal(products.linear(x, weight), products.linear(x, weight))


def test_without_a_forced_library_the_processor_decides(monkeypatch):
    monkeypatch.delenv(products.VARIABLE, raising=False)
    for amd, expected in ((True, "onednn"), (False, "torch")):
        monkeypatch.setattr(products, "_is_amd", lambda amd=amd: amd)
        monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
        products.chosen.cache_clear()
        assert products.chosen() == expected
    products.chosen.cache_clear()


def test_an_unknown_library_is_refused_with_those_that_there_are(monkeypatch):
    monkeypatch.setenv(products.VARIABLE, "onedn")
    products.chosen.cache_clear()
    with pytest.raises(KernelError, match="did you mean 'onednn'"):
        products.chosen()
    products.chosen.cache_clear()


def test_onednn_forced_where_it_is_missing_is_refused(monkeypatch):
    monkeypatch.setenv(products.VARIABLE, "onednn")
    monkeypatch.setattr(products, "_onednn", lambda: None)
    products.chosen.cache_clear()
    with pytest.raises(KernelError, match="built without"):
        products.chosen()
    products.chosen.cache_clear()
