"""Each attention against its published equation, one query and one step at a time."""

import math

import pytest
import torch

from ostinato.attentions.additive import Additive
from ostinato.attentions.concat import Concat
from ostinato.attentions.dot import Dot
from ostinato.attentions.gaussian import Gaussian
from ostinato.attentions.general import General
from ostinato.attentions.location import Location
from ostinato.attentions.scaled_dot import ScaledDot
from ostinato.errors import ConfigError
from ostinato.testing.attentions import batch


def check(attention, equation, num_parameters):
    """`equation(query, step, previous, place)` gives the score of one query and one step."""
    attention = attention.double()
    query, memory, previous = batch((attention.query_size, attention.memory_size), 2, 7, (4, 4), torch.float64)
    padded = memory.padded()
    scores = attention.scores(query, attention.prepare(padded), previous).detach()
    for example in range(2):
        for place in range(2):
            for step in range(4):
                expected = equation(
                    query[example, place], padded[example, step], previous[example, place], step
                ).detach()
                assert float(scores[example, place, step]) == pytest.approx(float(expected), rel=1e-10)
    assert sum(one.numel() for one in attention.parameters()) == num_parameters


def test_additive_is_bahdanaus_equation():
    a = Additive(5, 3, size=4)
    inside = lambda q, m: torch.tanh(a.query.weight @ q + a.key.weight @ m + a.query.bias)  # noqa: E731
    check(a, lambda q, m, *_: a.energy.weight[0] @ inside(q, m), 4 * (5 + 3 + 1 + 1))


def test_dot_is_the_product_itself():
    check(Dot(5, 5), lambda q, m, *_: q @ m, 0)


def test_general_is_luongs_equation():
    a = General(5, 3)
    check(a, lambda q, m, *_: q @ a.key.weight @ m, 15)


def test_concat_is_luongs_equation():
    a = Concat(5, 3, size=4)
    check(a, lambda q, m, *_: a.energy.weight[0] @ torch.tanh(a.weight @ torch.cat([q, m])), 4 * (5 + 3 + 1))


def test_location_is_chorowskis_equation():
    a = Location(5, 3, size=4, filters=2, reach=1)

    def equation(q, m, previous, step):
        seen = a.around.weight[:, 0] @ torch.nn.functional.pad(previous, (1, 1))[step : step + 3]
        return a.energy.weight[0] @ torch.tanh(
            a.query.weight @ q + a.query.bias + a.key.weight @ m + a.place.weight @ seen
        )

    check(a, equation, 4 * (5 + 3 + 1 + 2 + 1) + 2 * 3)


def test_before_the_first_step_location_has_looked_nowhere():
    a = Location(5, 3)
    query, memory, previous = batch((5, 3), 2, 7, (4, 4))
    keys = a.prepare(memory.padded())
    torch.testing.assert_close(a.scores(query, keys, None), a.scores(query, keys, torch.zeros_like(previous)))


def test_gaussian_is_gravess_equation():
    a = Gaussian(5, 3, advance=0.3).double()
    query, memory, _ = batch((5, 3), 2, 7, (4, 4), torch.float64)
    keys, before = a.prepare(memory.padded()), torch.tensor([0.5, 2.0]).double().view(1, 2, 1).expand(2, 2, 1)
    left = a.move(query, before)
    scores = a.scores(query, keys, left)
    for example in range(2):
        for place, at in enumerate((0.5, 2.0)):
            q = query[example, place]
            middle = at + 0.3 * (a.advance.weight[0] @ q + a.advance.bias[0]).exp()
            width = 0.3 + (a.width.weight[0] @ q + a.width.bias[0]).exp()
            expected = [-((step - middle) ** 2) / (2 * width**2) for step in range(4)]
            torch.testing.assert_close(scores[example, place], torch.stack(expected), rtol=1e-10, atol=1e-12)
            torch.testing.assert_close(left[example, place, 0], middle, rtol=1e-10, atol=1e-12)
    assert sum(one.numel() for one in a.parameters()) == 2 * (5 + 1)


@torch.no_grad()
def test_a_window_moves_by_small_steps_from_the_beginning_to_the_end_and_stays_there():
    a, query = Gaussian(2, 3, advance=0.049), torch.zeros(1, 1, 2)
    a.advance.bias.zero_()
    keys, left, places = a.prepare(torch.zeros(1, 9, 3)), None, []
    for _ in range(220):
        left = a.move(query, left)
        weights = a.scores(query, keys, left).softmax(2)
        places.append(int(weights.argmax()))
    assert places == sorted(places) and places[-1] == 8
    assert [places.index(step) for step in range(1, 9)] == [int((step - 0.5) / 0.049) for step in range(1, 9)]


def test_scaled_dot_is_vaswanis_equation():
    a = ScaledDot(5, 3, size=4)
    check(a, lambda q, m, *_: (a.query.weight @ q) @ (a.key.weight @ m) / math.sqrt(4), 4 * (5 + 3))


@pytest.mark.parametrize("size", [4, 64, 1024])
def test_the_scale_keeps_the_variance_of_scores_at_one(size):
    torch.manual_seed(0)
    a = ScaledDot(300, 200, size=size)
    query, memory = torch.randn(100, 1, 300), torch.randn(100, 50, 200)
    with torch.no_grad():
        key = a.prepare(memory)
        scaled = a.scores(query, key, None)
        plain = a.query(query) @ key.transpose(1, 2)
    assert float(key.var()) == pytest.approx(1, rel=0.25)
    assert float(plain.var()) == pytest.approx(size, rel=0.4)
    assert float(scaled.var()) == pytest.approx(1, rel=0.4)
    # and for vectors of just that variance, with no projection between, to a few per cent
    product = (torch.randn(20_000, size) * torch.randn(20_000, size)).sum(1)
    assert float((product * a.scale).var()) == pytest.approx(1, rel=0.05)


def test_without_the_scale_a_wide_softmax_hardly_learns():
    torch.manual_seed(0)
    a = ScaledDot(8, 8, size=1024)
    query, keys = torch.randn(200, 1, 1024), torch.randn(200, 10, 1024)
    slopes = []
    for scale in (1.0, a.scale):
        weights = (query @ keys.transpose(1, 2) * scale).softmax(2)
        slopes.append(float((weights * (1 - weights)).mean()))  # the softmax's own derivative
    assert slopes[1] > 5 * slopes[0]


def test_dot_between_unequal_sizes_is_refused():
    with pytest.raises(ConfigError, match="5 numbers and the memory 3; use attention: general"):
        Dot(5, 3)


@pytest.mark.parametrize("kind", [Additive, Concat, Location, ScaledDot])
def test_the_width_is_the_querys_where_none_is_given(kind):
    shapes = lambda attention: [one.shape for one in attention.parameters()]  # noqa: E731
    assert shapes(kind(5, 3)) == shapes(kind(5, 3, size=5))
