"""Native products in bfloat16: both sides rounded to the nearest, sums in float32, only where there is a gradient."""

from contextlib import nullcontext
from functools import partial

import pytest
import torch

from ostinato.cells.gru import GRU
from ostinato.cells.lstm import LSTM
from ostinato.cells.rnn import RNN
from ostinato.errors import KernelError
from ostinato.kernels.dispatch import scan
from ostinato.kernels.half import HalfProducts, has_half, products
from ostinato.kernels.native_library import library
from ostinato.kernels.products import NN, NT, TN, linear, multiply
from ostinato.layers.vocabulary import cross_entropy
from ostinato.steps import Layout

pytestmark = pytest.mark.skipif(not has_half(), reason="no native products of bfloat16 on this machine")

SHAPES = [
    (1, 1, 1),
    (3, 5, 7),
    (16, 32, 64),
    (17, 601, 33),
    (130, 47, 1025),
    (500, 3, 90),
    (2, 2600, 48),
    (97, 1026, 31),
]


def rounded(x):
    return x.bfloat16().float()


def expected(kind, left, right):
    left, right = rounded(left).double(), rounded(right).double()
    return (left.t() if kind == TN else left) @ (right.t() if kind == NT else right)


@pytest.mark.parametrize("kind", [NT, NN, TN])
@pytest.mark.parametrize(("rows", "inputs", "outputs"), SHAPES)
def test_a_product_is_that_of_rounded_numbers(kind, rows, inputs, outputs):
    torch.manual_seed(0)
    left = torch.randn(*((inputs, rows) if kind == TN else (rows, inputs)))
    right = torch.randn(*((outputs, inputs) if kind == NT else (inputs, outputs)))
    found = multiply(kind, left, right, half=True)
    scale = inputs**0.5
    assert (found - expected(kind, left, right)).abs().max() <= 2e-6 * scale
    assert (found - multiply(kind, left, right)).abs().max() > 1e-4 or inputs == 1


def test_strides_a_bias_and_the_sums_of_columns():
    torch.manual_seed(0)
    left, right, bias = torch.randn(9, 40)[:, 3:24], torch.randn(50, 30)[:, 4:25], torch.randn(50)
    torch.testing.assert_close(
        multiply(NT, left, right, bias, half=True).double(), expected(NT, left, right) + bias, rtol=1e-5, atol=1e-5
    )
    sums = torch.empty(21)
    multiply(TN, left, torch.randn(9, 5), sums=sums, half=True)
    torch.testing.assert_close(sums, left.sum(0))  # not rounded


def test_numbers_are_rounded_to_the_nearest_ties_to_even_and_special_ones_stay():
    step = 2.0**-7
    x = torch.tensor(
        [1 + step / 2, 1 + 1.5 * step, 1 + 0.51 * step, -(1 + step / 2), 3.4e38, torch.inf, torch.nan, 0.0]
    )
    found = multiply(NT, x[:, None], torch.ones(1, 1), half=True)[:, 0]
    assert torch.equal(found[:4], torch.tensor([1.0, 1 + 2 * step, 1 + step, -1.0]))
    assert found[4] == torch.inf and found[5] == torch.inf and found[6].isnan() and found[7] == 0


def test_a_row_is_the_same_alone_and_in_company_and_for_any_number_of_threads():
    torch.manual_seed(0)
    x, weight = torch.randn(64, 301), torch.randn(200, 301)
    together, turned = multiply(NT, x, weight, half=True), multiply(TN, x, x, half=True)
    assert all(torch.equal(multiply(NT, x[k : k + 1], weight, half=True)[0], together[k]) for k in range(64))
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            assert torch.equal(multiply(NT, x, weight, half=True), together)
            assert torch.equal(multiply(TN, x, x, half=True), turned)
    finally:
        torch.set_num_threads(before)


def test_only_what_has_a_gradient_is_rounded():
    torch.manual_seed(0)
    x, weight = torch.randn(7, 20), torch.randn(5, 20, requires_grad=True)
    exact = linear(x, weight.detach())
    with HalfProducts():
        assert torch.equal(linear(x, weight.detach()), exact)
        with torch.no_grad():
            assert torch.equal(linear(x, weight), exact)
        y = linear(x, weight)
    assert torch.equal(linear(x, weight), exact)
    torch.testing.assert_close(y.double(), expected(NT, x, weight), rtol=1e-5, atol=1e-5)
    given = torch.randn(7, 5)
    (gradient,) = torch.autograd.grad(y, weight, given)  # outside: it is of the forward pass's kind
    torch.testing.assert_close(gradient.double(), expected(TN, given, x), rtol=1e-5, atol=1e-5)


def test_float64_stays_as_it_is():
    x, weight = torch.randn(3, 4, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    exact = linear(x, weight)
    with HalfProducts():
        assert torch.equal(linear(x, weight), exact)
    with pytest.raises(KernelError, match="half: float64 is not rounded to bfloat16"):
        multiply(NT, x, weight, half=True)


def test_a_set_without_such_products_refuses_them_and_torch_takes_over():
    before = library().instruction_set
    try:
        library().use("plain")
        with pytest.raises(KernelError, match="half: plain has no products of bfloat16"):
            multiply(NT, torch.randn(2, 3), torch.randn(4, 3), half=True)
        assert isinstance(products(torch.device("cpu"), True), torch.autocast)
        x, weight = torch.randn(2, 3), torch.randn(4, 3, requires_grad=True)
        with HalfProducts():
            assert torch.allclose(linear(x, weight), x @ weight.t(), atol=1e-6)
    finally:
        library().use(before)
    assert isinstance(products(torch.device("cpu"), True), HalfProducts)


@pytest.mark.parametrize("cell", [LSTM, GRU])
def test_a_sequence_is_read_the_same_alone_and_in_company_and_for_any_number_of_threads(cell):
    torch.manual_seed(0)
    layer, lengths = cell(10, 150), [4, 1, 7, *[3] * 40]
    inputs = [torch.randn(length, 10) for length in lengths]
    state = tuple(torch.randn(len(lengths), 150) for _ in range(layer.num_states))

    def read(rows):
        parts = tuple(part[rows] for part in state)
        with HalfProducts():
            hidden, _ = scan(
                layer, torch.cat([inputs[row] for row in rows]), parts, Layout([lengths[row] for row in rows])
            )
        gradients = torch.autograd.grad(hidden.square().sum(), [*layer.parameters()])
        return hidden.split([lengths[row] for row in rows]), gradients

    together, gradients = read([*range(len(lengths))])
    assert all(torch.equal(read([row])[0][0], together[row]) for row in (0, 1, 2, 20))
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            again = read([*range(len(lengths))])
            assert all(map(torch.equal, again[0], together)) and all(map(torch.equal, again[1], gradients))
    finally:
        torch.set_num_threads(before)


class RoundedLinear(torch.autograd.Function):
    """A linear map both of whose sides are rounded, in its gradients too."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        y = rounded(x) @ rounded(weight).t()
        return y if bias is None else y + bias

    @staticmethod
    def backward(ctx, d_y):
        x, weight = map(rounded, ctx.saved_tensors)
        return rounded(d_y) @ weight, rounded(d_y).t() @ x, d_y.sum(0)


def step_by_step(layer, x, state, layout, reverse):
    """The equations, sequence by sequence, with rounded products."""
    products = tuple(partial(RoundedLinear.apply, weight=one.weight, bias=one.bias) for one in layer.products())
    hidden = []
    for row, steps in enumerate(x.split(layout.lengths.tolist())):
        own, found = tuple(part[row : row + 1] for part in state), []
        for step in steps.flip(0) if reverse else steps:
            gates_x = RoundedLinear.apply(step[None], layer.weight_x, layer.bias_x)
            own = layer.step(gates_x, own, products)
            found.append(own[0])
        hidden += found[::-1] if reverse else found
    return torch.cat(hidden)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("hidden_size", "lengths"), [(21, [5, 2, 0, 7]), (64, [3] * 40), (100, [4, *[2] * 16])])
@pytest.mark.parametrize("cell", [RNN, LSTM, partial(LSTM, coupled=True), GRU, partial(GRU, reset="before")])
def test_a_recurrence_multiplies_rounded_numbers_and_its_states_are_whole(cell, hidden_size, lengths, reverse):
    torch.manual_seed(0)
    layer, layout = cell(6, hidden_size), Layout(lengths)
    x = torch.randn(layout.total, 6, requires_grad=True)
    state = tuple(torch.randn(len(lengths), hidden_size) for _ in range(layer.num_states))
    given = torch.randn(layout.total, hidden_size)
    weights = [x, *layer.parameters()]
    results = []
    for rounding in (True, False):
        with HalfProducts() if rounding else nullcontext():
            hidden, _ = scan(layer, x, state, layout, reverse=reverse)
        results.append([hidden, *torch.autograd.grad(hidden, weights, given)])
    near = step_by_step(layer, x, state, layout, reverse)
    expected_results = [near, *torch.autograd.grad(near, weights, given)]
    for found, exact, true in zip(*results, expected_results, strict=True):
        # A sum in another order may round a state the other way, seldom.
        assert (found - true).norm() <= 0.1 * (exact - true).norm() <= 0.002 * true.norm()


def test_the_softmax_over_a_vocabulary():
    torch.manual_seed(0)
    x, weight = torch.randn(40, 16, requires_grad=True), torch.randn(300, 16, requires_grad=True)
    bias, truth = torch.randn(300, requires_grad=True), torch.randint(0, 300, (40,))
    results = []
    for half in (False, True):
        with HalfProducts() if half else torch.enable_grad():
            loss = cross_entropy(x, weight, bias, truth, label_smoothing=0.1)
        results.append([loss, *torch.autograd.grad(loss, (x, weight, bias))])
    for exact, found in zip(*results, strict=True):
        assert 0 < (found - exact).norm() <= 0.02 * exact.norm()
