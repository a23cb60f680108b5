"""Pooling: against a loop over sequences, with gradients, in any company."""

import pytest
import torch

from ostinato.encoders.contract import Encoded
from ostinato.layers.pooling import Pooling, by_words, sum_up
from ostinato.steps import Layout, Steps

KINDS = ["last", "mean", "max", "attention", "concatenated"]
LENGTHS = (3, 0, 5, 1)


def case(kind, lengths=LENGTHS, size=4):
    torch.manual_seed(0)
    pooling = Pooling(kind, 3 * size if kind == "concatenated" else size).double()
    layout = Layout(list(lengths))
    steps = Steps(torch.randn(layout.total, size, dtype=torch.float64), layout)
    return pooling, Encoded(steps, torch.randn(len(lengths), size, dtype=torch.float64), None)


def by_hand(pooling, h, summary):
    """One sequence (T, size), as the equations say."""
    if pooling.kind == "last":
        return summary
    if pooling.kind == "concatenated":
        parts = [by_hand(Pooling(kind, 4), h, summary) for kind in ("max", "mean")]
        return torch.cat([summary, *parts])
    if not len(h):
        return torch.zeros(4, dtype=h.dtype)
    if pooling.kind == "mean":
        return h.sum(0) / len(h)
    if pooling.kind == "max":
        return torch.stack([max(h[:, k]) for k in range(4)])
    scores = torch.stack(
        [pooling.energy.weight[0] @ torch.tanh(pooling.hidden.weight @ one + pooling.hidden.bias) for one in h]
    )
    return sum(weight * one for weight, one in zip(scores.exp() / scores.exp().sum(), h))


@pytest.mark.parametrize("kind", KINDS)
def test_each_sequence_is_pooled_by_its_equation(kind):
    pooling, encoded = case(kind)
    found = pooling(encoded)
    assert found.shape == (4, pooling.size)
    for row, h in enumerate(encoded.steps.split()):
        torch.testing.assert_close(found[row], by_hand(pooling, h, encoded.summary[row]))


@pytest.mark.parametrize("kind", KINDS)
def test_company_and_order_change_nothing(kind):
    pooling, encoded = case(kind)
    whole = pooling(encoded)
    for rows in ([0], [1], [3, 2, 0, 1]):
        torch.testing.assert_close(pooling(encoded.select(torch.tensor(rows))), whole[rows])


@pytest.mark.parametrize("kind", KINDS[1:])
def test_gradients_are_right_and_reach_every_step_and_parameter(kind):
    pooling, encoded = case(kind)
    values = encoded.steps.values.requires_grad_()
    run = lambda *_: pooling(encoded)  # noqa: E731
    assert torch.autograd.gradcheck(run, (values, *pooling.parameters()))
    pooling(encoded).square().sum().backward()
    assert all(bool(one.grad.any()) and bool(one.grad.isfinite().all()) for one in (values, *pooling.parameters()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [(0, 0), ()])
def test_sequences_without_steps_alone_give_zeros(kind, lengths):
    pooling, encoded = case(kind, lengths)
    found = pooling(encoded)
    assert found.shape == (len(lengths), pooling.size)
    assert not found[:, 4 if kind in ("last", "concatenated") else 0 :].any()


@pytest.mark.parametrize("fill", [-5.0, 5.0])
def test_padding_never_wins(fill):
    """All below zero (the padding's value) or above: the longest sequence has no padding, the shortest has most."""
    steps = Steps(torch.full((6, 2), fill), Layout([1, 5]))
    for kind in ("mean", "max", "attention"):
        torch.testing.assert_close(Pooling(kind, 2)(Encoded(steps, None, None)), torch.full((2, 2), fill))


def test_what_is_not_there_cannot_be_pooled():
    _, encoded = case("mean")
    with pytest.raises(ValueError, match="gives no steps; choose last"):
        Pooling("mean", 4)(Encoded(None, encoded.summary, None))
    with pytest.raises(ValueError, match="gives no summary; choose mean, max or attention"):
        Pooling("last", 4)(Encoded(encoded.steps, None, None))


@pytest.mark.parametrize("kind", ["last", "mean", "max"])
def test_a_sequence_in_parts_is_summed_up_as_at_once(kind):
    """All below zero, so that the zeros of a sequence without steps would be the largest."""
    torch.manual_seed(0)
    steps = Steps(-torch.rand(9, 3, dtype=torch.float64), Layout([4, 0, 3, 2]))
    whole = sum_up(kind, steps, None)
    for cuts in ([0, 0, 0, 0], [2, 0, 3, 1], [4, 0, 3, 2], [0, 0, 3, 1]):
        parts = list(zip(steps.split(), cuts))
        found = sum_up(kind, Steps.of([one[:at] for one, at in parts]), None)
        found = sum_up(kind, Steps.of([one[at:] for one, at in parts]), found)
        for one, other in zip(found, whole):
            torch.testing.assert_close(one, other)
    assert whole[1].flatten().tolist() == [4, 0, 3, 2]
    assert torch.equal(whole[0][1], torch.zeros(3, dtype=torch.float64))


BEGINS = torch.tensor([1, 0, 1, 1, 1, 0, 0, 1, 1])


@pytest.mark.parametrize("kind", ["first", "last", "mean"])
def test_each_word_is_its_first_or_last_piece_or_their_mean(kind):
    layout = Layout([3, 0, 5, 1])
    h = torch.randn(9, 4, dtype=torch.float64, requires_grad=True)
    found = by_words(kind, Steps(h, layout), BEGINS)
    words = [(0, 2), (2, 3), (3, 4), (4, 7), (7, 8), (8, 9)]
    pooled = {"first": lambda first, after: h[first], "last": lambda first, after: h[after - 1]}
    pooled["mean"] = lambda first, after: sum(h[first:after]) / (after - first)
    torch.testing.assert_close(found.values, torch.stack([pooled[kind](*word) for word in words]))
    assert found.layout == Layout([2, 0, 3, 1])
    assert torch.autograd.gradcheck(lambda x: by_words(kind, Steps(x, layout), BEGINS).values, h)


def test_no_words_are_pooled_to_nothing():
    nothing = Steps(torch.zeros(0, 4), Layout([0, 0]))
    for kind in ("first", "last", "mean"):
        found = by_words(kind, nothing, BEGINS[:0])
        assert found.values.shape == (0, 4) and found.layout == Layout([0, 0])


def test_a_long_word_does_not_make_every_other_as_long(monkeypatch):
    """Each word padded to the longest would be 3,001 times 3,000 steps here."""
    monkeypatch.setattr(Steps, "padded", lambda *_: pytest.fail("something was padded"))
    torch.manual_seed(0)
    lengths = [1] * 2000 + [3000] + [2] * 1000
    h = torch.randn(sum(lengths), 2)
    begins = torch.cat([torch.tensor([1] + [0] * (length - 1)) for length in lengths])
    found = by_words("mean", Steps(h, Layout([len(h)])), begins)
    expected = torch.stack([one.double().mean(0).float() for one in h.split(lengths)])
    torch.testing.assert_close(found.values, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_mean_of_many_steps_is_exact(dtype):
    torch.manual_seed(0)
    steps = Steps(torch.rand(300_000, 1).to(dtype), Layout([0, 299_999, 1]))
    found = Pooling("mean", 1)(Encoded(steps, None, None))
    assert found.dtype == dtype
    expected = torch.stack([torch.zeros(1), *(one.double().mean(0).float() for one in steps.split()[1:])]).to(dtype)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
