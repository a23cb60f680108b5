"""The loss in pieces is torch's cross entropy of all scores at once, with its gradients, and holds no more than a
piece; an adaptive softmax gives exact log-probabilities of the whole vocabulary, and its loss is minus theirs."""

from collections import defaultdict

import pytest
import torch
from torch import nn
from torch.nn import functional

from ostinato.errors import ConfigError
from ostinato.kernels.dispatch import forced
from ostinato.kernels.packed import Packed
from ostinato.layers.vocabulary import AdaptiveSoftmax, FullSoftmax, cross_entropy, cutoffs_of, softmax_of


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
        torch.testing.assert_close(
            cross_entropy(*tensors, truth, label_smoothing=smoothing, piece=piece), expected.detach()
        )


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


class Largest(torch.utils._python_dispatch.TorchDispatchMode):
    """Sees the size of the largest tensor that is made."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(one, torch.Tensor):
                self.largest = max(self.largest, one.numel())
        return out


@pytest.mark.parametrize("made", [FullSoftmax(8, 500), AdaptiveSoftmax(8, 500, [60, 200])], ids=["full", "adaptive"])
def test_memory_grows_with_rows_and_symbols_but_not_with_their_product(made):
    x, _, _, truth = case(rows=600, width=8, size=500, dtype=torch.float32)
    with Largest() as seen, forced("reference"):
        made.loss(x, truth, piece=5_000).backward()
    assert seen.largest <= 5_000


def adaptive(size=23, width=12, cutoffs=(5, 11), dtype=torch.float64):
    torch.manual_seed(0)
    return AdaptiveSoftmax(width, size, cutoffs).to(dtype)


@pytest.mark.parametrize("kernel", ["native", "reference"])
def test_an_adaptive_softmax_is_torchs_own(kernel):
    x, _, _, truth = case(width=32)
    ours, theirs = (
        adaptive(width=32),
        nn.AdaptiveLogSoftmaxWithLoss(32, 23, [5, 11], div_value=4, head_bias=True).double(),
    )
    for rest in ours.rest:
        nn.init.zeros_(rest.bias)
    theirs.head = ours.first
    for part, (narrow, rest) in enumerate(zip(ours.narrow, ours.rest)):
        theirs.tail[part][0].weight, theirs.tail[part][1].weight = narrow.weight, rest.weight
    with forced(kernel):
        torch.testing.assert_close(ours(x), theirs.log_prob(x), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(ours.loss(x, truth), -theirs(x, truth).output.sum(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("piece", [1, 40, 10_000])
@pytest.mark.parametrize("kernel", ["native", "reference"])
def test_the_loss_of_an_adaptive_softmax_is_minus_its_log_probabilities_with_their_gradients(piece, kernel):
    x, _, _, truth = case()
    made = adaptive()
    every = [x, *made.parameters()]
    with forced("reference"):
        said = made(x)
        expected = -said.gather(1, truth[:, None]).sum()
        expected_gradients = torch.autograd.grad(3 * expected, every)
    torch.testing.assert_close(said.exp().sum(1), torch.ones(37, dtype=torch.float64))
    with forced(kernel):
        found = made.loss(x, truth, piece=piece)
        gradients = torch.autograd.grad(3 * found, every)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    for one, other in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_gradients_of_an_adaptive_softmax_agree_with_finite_differences():
    x, _, _, truth = case(rows=9)
    made = adaptive()
    assert torch.autograd.gradcheck(lambda *_: made.loss(x, truth), (x, *made.parameters()), fast_mode=True)


def test_a_part_that_nothing_in_the_batch_means_has_no_gradient_and_no_error():
    x, *_ = case(rows=3)
    made = adaptive()
    made.loss(x, torch.tensor([0, 4, 1])).backward()
    assert made.first.weight.grad.any() and not any(one.weight.grad.any() for one in (*made.narrow, *made.rest))


def test_parts_begin_where_85_and_95_percent_of_the_targets_stand_before():
    assert cutoffs_of([50, 30, 5, 5, 5, 3, 2]) == [3, 5]
    assert cutoffs_of([50, 30, 4, 5, 6, 3, 2]) == [4, 5]
    assert cutoffs_of([0, 99, 1]) == [2]  # one symbol makes both shares
    zipf = softmax_of("adaptive", 8, 10_000, (), label_smoothing=0.0, tied=False)
    assert zipf.edges == [2304, 6130, 10_000], (
        "10,000 exp(-0.15 H) and 10,000 exp(-0.05 H), H = 9.788 the sum of all 1/n"
    )


@pytest.mark.parametrize("cutoffs", [[0, 3], [3, 3], [5, 2], [23], [4, 23], [40]])
def test_cutoffs_that_are_none_are_refused(cutoffs):
    with pytest.raises(ConfigError, match="rise from 1 up and stay below the 23 symbols"):
        AdaptiveSoftmax(12, 23, cutoffs)


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        ("full", {"cutoffs": [3]}, "cutoffs: parts of an adaptive softmax"),
        ("adaptive", {"tied": True}, "tied: an adaptive softmax gives rare symbols shorter vectors"),
        ("adaptive", {"label_smoothing": 0.1}, "label_smoothing: asks for the score of every symbol"),
    ],
)
def test_what_an_adaptive_softmax_cannot_do_is_refused(kind, options, told):
    with pytest.raises(ConfigError, match=told):
        softmax_of(kind, 12, 23, **{"cutoffs": (), "label_smoothing": 0.0, "tied": False, **options})


def test_packed_weights_give_the_numbers_of_the_plain_ones():
    x, *_ = case(rows=5, dtype=torch.float32)
    made = adaptive(dtype=torch.float32)
    packed = defaultdict(Packed)
    with torch.no_grad():
        for _ in range(2):
            torch.testing.assert_close(made(x, packed), made(x), rtol=0, atol=0)
