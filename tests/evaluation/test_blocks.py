"""Examples that are neighbours in time: blocks of them are drawn, so that intervals hold the truth as often as they
say."""

import numpy as np
import pytest

from ostinato.errors import DataError
from ostinato.evaluation.blocks import MANY_SERIES, Blocks, automatic, blocks
from ostinato.evaluation.draws import students_t
from ostinato.evaluation.intervals import difference, measure, over_seeds, paired
from ostinato.metrics.contract import Order, Predictions
from ostinato.registry import make

MAE, MATCH, RMSE = (make("metrics", name) for name in ("mae", "exact_match", "rmse"))


def order(count, least=1, series=1):
    return Order(np.repeat(np.arange(series), count // series).tolist(), least, "window", "series")


def autoregressive(generator, count, phi, worlds=1):
    """(worlds, count) from x[t] = phi x[t-1] + noise, in its steady state."""
    found = np.empty((worlds, count))
    found[:, 0] = generator.normal(size=worlds) / (1 - phi**2) ** 0.5
    for at in range(1, count):
        found[:, at] = phi * found[:, at - 1] + generator.normal(size=worlds)
    return found


def judged(losses, placed=None):
    return Predictions(list(losses), [0.0] * len(losses), order=placed)


def covered(losses, placed, truth):
    found = [measure(MAE, judged(one, placed), draws=200, seed=world) for world, one in enumerate(losses)]
    return np.mean([one.low <= truth <= one.high for one in found])


def test_intervals_of_dependent_losses_hold_the_truth_where_single_draws_do_not():
    """100 worlds of 400 losses, x[t] = 0.8 x[t-1] + noise around 20: the mean's variance is 9 times that of independent
    ones."""
    losses = 20 + autoregressive(np.random.default_rng(0), 400, 0.8, worlds=100)
    assert covered(losses, None, 20) < 0.65
    assert covered(losses, order(400), 20) >= 0.88
    assert covered(losses, order(400, least=30), 20) >= 0.88
    few = covered(losses[:, :60], order(60), 20)
    assert few >= 0.8, "few blocks are drawn further out"


def test_intervals_of_independent_losses_are_hardly_changed():
    losses = 20 + np.random.default_rng(1).normal(size=(100, 300))
    assert 0.88 <= covered(losses, order(300), 20) <= 0.99
    plain, placed = (measure(MAE, judged(losses[0], one)) for one in (None, order(300)))
    assert placed.high - placed.low == pytest.approx(plain.high - plain.low, rel=0.3)


def test_the_length_of_a_block_follows_the_dependence():
    draw = np.random.default_rng(2)
    lengths = [
        np.median([automatic([one]) for one in autoregressive(draw, 1000, phi, worlds=15)]) for phi in (0.0, 0.5, 0.9)
    ]
    assert lengths[0] <= 3 < lengths[1] < lengths[2]
    # The optimal length for phi = 0.5 by the formula: G = 2 sum k phi^k R0, D = 4/3 (R0 (1 + phi) / (1 - phi))^2.
    best = (2 * (2 * 0.5 / 0.25) ** 2 / (4 / 3 * 3**2)) ** (1 / 3) * 1000 ** (1 / 3)
    assert lengths[1] == pytest.approx(best, rel=0.4)
    assert automatic([np.ones(50)]) == automatic([np.zeros(1)]) == automatic([np.zeros(1), np.ones(1)]) == 1
    assert automatic([1e200 * np.arange(50.0)]) == automatic([np.arange(50.0)])  # of a model that diverged


def test_blocks_are_those_that_a_loop_cuts():
    rows = np.random.default_rng(3).normal(size=(17, 2))
    placed = Order([0] * 10 + [1] * 3 + [0] * 4, 5, "window", "series")
    found = blocks(placed, np.zeros(17))
    first, second = [*range(10), *range(13, 17)], [10, 11, 12]
    assert [one.tolist() for one in found.stretches] == [first, second] and found.length == 5
    wanted = [rows[[first[(at + k) % 14] for k in range(5)]].sum(0) for at in range(14)] + [rows[second].sum(0)]
    assert found.sums(rows) == pytest.approx(np.array(wanted))
    assert (
        found.number == round(14 / 5 + 1) and found.description == "4 blocks of 5 windows in 2 series, few to judge by"
    )


@pytest.mark.parametrize("sizes", [(40,), (40, 3), (7, 7, 7), (12, 5, 30), (40, 15)])
def test_every_example_is_drawn_equally_often(sizes):
    placed = Order(np.repeat(np.arange(len(sizes)), sizes).tolist(), 6, "window", "series")
    found = blocks(placed, np.zeros(sum(sizes)))
    often = np.concatenate(list(found.counts(20000, 0))).mean(0) @ found.sums(np.eye(sum(sizes)))
    assert often / often.mean() == pytest.approx(np.ones(sum(sizes)), rel=0.1)
    assert often.mean() == pytest.approx(1, rel=0.2)


def test_few_series_keep_their_shares():
    """One series has losses near 1, the other near 50: which of them is drawn says nothing of the mean over both."""
    draw = np.random.default_rng(9)
    losses = np.concatenate([1 + 0.1 * draw.normal(size=100), 50 + 0.1 * draw.normal(size=60)])
    placed = Order([0] * 100 + [1] * 60, 8, "window", "series")
    found = measure(MAE, judged(losses, placed))
    assert found.value - found.low < 0.1 and found.high - found.value < 0.1
    within = blocks(placed, losses)
    assert within.within and within.number == 12 + 8 and within.freedom == 18
    total = np.concatenate(list(within.counts(50, 0))) @ within.sums(
        np.stack([losses < 10, losses > 10], 1).astype(float)
    )
    assert total == pytest.approx(np.tile([100.0, 60.0], (50, 1)))


def test_many_series_are_drawn_whole():
    draw = np.random.default_rng(4)
    levels = np.repeat(draw.normal(5, 1, MANY_SERIES), 20)
    losses = abs(levels + 0.01 * draw.normal(size=len(levels)))
    found = measure(MAE, judged(losses, order(len(losses), least=3, series=MANY_SERIES)))
    assert found.method == f"block bootstrap over {MANY_SERIES} series, 1000 draws, seed 0"
    by_series = losses.reshape(MANY_SERIES, 20).mean(1)
    half = 1.96 * by_series.std() / MANY_SERIES**0.5
    assert found.high - found.value == pytest.approx(half, rel=0.2)
    assert half > 2 * (lambda one: one.high - one.value)(measure(MAE, judged(losses)))


@pytest.mark.parametrize(("series", "apart"), [(7, 0.5), (MANY_SERIES, 0.2)])
def test_intervals_of_series_with_a_common_shock_hold_the_truth(series, apart):
    """150 panels of 200 times, x[s, t] = 20 + common[t] + own[s, t], the common part AR(1) with phi 0.8: drawn apart
    the series' errors seem to average out, and intervals hold the truth in 43 % (7 series in blocks) and 9 % (30 drawn
    whole) of the panels; by blocks of time in 93 and 91 %."""
    draw = np.random.default_rng(0)
    panels = 20 + autoregressive(draw, 200, 0.8, worlds=150)[:, None] + draw.normal(size=(150, series, 200))
    held = {}
    for placed in (order(series * 200, series=series), panel(series, 200)):
        rows = (np.stack([one.ravel(), np.ones(series * 200)], 1) for one in panels)
        found = [
            over_seeds(MAE, [one], shared=True, orders=[placed], draws=200, seed=world)
            for world, one in enumerate(rows)
        ]
        held[placed.time is not None] = np.mean([one.low <= 20 <= one.high for one in found])
    assert held[False] < apart and 0.88 <= held[True] <= 0.99, held


def panel(series, count, least=1):
    return Order(
        np.repeat(np.arange(series), count).tolist(),
        least,
        "window",
        "series",
        np.tile(np.arange(count), series).tolist(),
    )


def test_blocks_of_time_are_the_sums_over_series():
    """Two series that have times 3 to 9 in common; the second goes on to 12."""
    placed = Order([0] * 10 + [1] * 10, 4, "window", "series", [*range(10), *range(3, 13)])
    rows = np.random.default_rng(3).normal(size=(20, 2))
    found = blocks(placed, np.zeros(20))
    at = [np.flatnonzero(np.array(placed.time) == time) for time in range(13)]
    wanted = [sum(rows[at[(start + k) % 13]].sum(0) for k in range(4)) for start in range(13)]
    assert found.sums(rows) == pytest.approx(np.array(wanted))
    assert (found.number, found.description) == (
        3,
        "3 blocks of 4 windows, the same times in 2 series, few to judge by",
    )
    assert found.differing(np.isin(np.arange(20), [0, 10, 19])) == 2, "0 and 3 are in the first block, 12 in the last"


def test_series_that_have_no_time_in_common_are_drawn_as_before():
    draw = np.random.default_rng(9)
    apart = Order([0] * 100 + [1] * 60, 8, "window", "series", [*range(100), *range(500, 560)])
    losses = draw.normal(size=160)
    assert blocks(apart, losses).description == "20 blocks of 8 windows in 2 series"
    assert blocks(panel(2, 80, least=8), losses).description == "10 blocks of 8 windows, the same times in 2 series"


def test_series_whose_times_are_one_block_are_drawn_whole():
    """One forecast of each series from the same day: nothing shows what days differ by, and the method says so."""
    losses = np.random.default_rng(4).normal(size=400)
    assert blocks(panel(400, 1), losses).description == "400 series of the same times"
    assert blocks(panel(5, 12, least=10), losses[:60]).description == "5 series of the same times, few to judge by"


def stretches(draw, series, length, number):
    """(series * windows,) losses around 10 that stay for `length` windows; where they change is not where blocks
    begin."""
    values = np.repeat(draw.normal(size=(series, int(number) + 2)), length, 1)
    begin = draw.integers(0, length)
    return 10 + values[:, begin : begin + int(number * length)].ravel()


def sums(losses):
    return np.stack([losses, np.ones(len(losses))], 1)


@pytest.mark.parametrize(("series", "number", "before"), [(1, 2, 52), (1, 1.5, 24), (2, 2, 63), (3, 2, 69), (7, 2, 82)])
def test_intervals_of_few_blocks_hold_the_truth(series, number, before):
    """Percentiles taken further out held `before` % of the truths."""
    draw, held = np.random.default_rng(0), 0
    placed = order(int(number * 10) * series, 10, series)
    for world in range(400):
        runs = [sums(stretches(draw, series, 10, number))]
        found = over_seeds(MAE, runs, shared=True, orders=[placed], draws=200, seed=world)
        held += found.low <= 10 <= found.high
    assert 0.84 <= held / 400 <= 0.99 and held / 4 > before + 4


def test_few_blocks_in_each_series_seldom_call_chance_real():
    """2 blocks in each of 3 series: 31 % of equal pairs were called real, and p, which was not widened, below 5 % in 44
    %."""
    draw, called, small = np.random.default_rng(1), 0, 0
    for world in range(150):
        sides = [[sums(stretches(draw, 3, 10, 2))] for _ in range(2)]
        found = difference(MAE, *sides, shared=True, orders=[order(60, 10, 3)], draws=200, seed=world)
        called, small = called + found.real, small + (found.p_value < 0.05)
    assert called <= 21 and small <= 21


def test_seeds_are_widened_once():
    """Two seeds and 8 blocks: their t of 12.7 was taken at 0.57 % in place of 2.5 %, four times as far out."""
    draw = np.random.default_rng(2)
    base = stretches(draw, 1, 10, 8)
    first, second = [sums(base), sums(base)], [sums(base + shift + 0.01 * draw.normal(size=80)) for shift in (0.0, 1.0)]
    found = difference(MAE, first, second, shared=True, orders=[order(80, 10)], draws=20000)
    half = students_t(1) * 0.5**0.5 / 2**0.5
    assert found.high - found.difference == pytest.approx(half, rel=0.1) == found.difference - found.low


def test_no_interval_goes_where_the_metric_cannot():
    hits = np.repeat([1.0, 1.0, 1.0, 0.0], 10)
    said = Predictions(["y" if hit else "n" for hit in hits], ["y"] * 40, order=order(40, 10))
    error = make("metrics", "sequence_error")
    for one in (measure(MATCH, said), measure(error, said), measure(MAE, judged(1 - hits, order(40, 10)))):
        assert 0 <= one.low < one.value < one.high <= 100


def test_methods_say_what_was_drawn():
    losses = np.random.default_rng(5).normal(size=96)
    told = lambda least, series=1: measure(MAE, judged(losses, order(96, least, series))).method  # noqa: E731
    assert told(8) == "block bootstrap over 12 blocks of 8 windows, 1000 draws, seed 0"
    assert told(48) == "block bootstrap over 2 blocks of 48 windows, few to judge by, 1000 draws, seed 0"
    assert told(8, 2) == "block bootstrap over 12 blocks of 8 windows in 2 series, 1000 draws, seed 0"
    assert told(48, 2) == "block bootstrap over 2 series, few to judge by, 1000 draws, seed 0"
    assert (
        told(96) == told(200) == "block bootstrap over 1 block of 96 windows, which shows no spread, 1000 draws, seed 0"
    )


@pytest.mark.parametrize("least", [65, 80, 95, 96, 200])
def test_one_block_shows_no_spread(least):
    """96 windows that a horizon of 80 makes 1.2 blocks of: wherever such blocks begin they are nearly the same."""
    losses = np.random.default_rng(5).normal(size=96)
    alone = measure(MAE, judged(losses, order(96, least)))
    assert alone.low == pytest.approx(alone.value) == alone.high and ", which shows no spread" in alone.method
    pair = paired(MAE, judged(losses, order(96, least)), judged(losses + 5, order(96, least)))
    assert pair.low == pytest.approx(pair.difference) == pair.high and not pair.real


def test_dependent_shares_have_no_interval_of_wilsons():
    hits = (autoregressive(np.random.default_rng(6), 500, 0.9)[0] > 0).tolist()
    said = lambda placed: Predictions(["y" if hit else "n" for hit in hits], ["y"] * 500, order=placed)  # noqa: E731
    alone, placed = measure(MATCH, said(None)), measure(MATCH, said(order(500)))
    assert alone.method.startswith("wilson") and placed.method.startswith("block bootstrap over ")
    assert placed.value == alone.value and placed.high - placed.low > 2 * (alone.high - alone.low)
    rows = np.stack([hits, np.ones(500)], 1).astype(float)
    assert over_seeds(MATCH, [rows], shared=True, orders=[order(500)]).low == pytest.approx(placed.low)


def test_differences_are_paired_over_the_same_blocks():
    """Two forecasts that are equally good, each better for long stretches: single draws see a difference in half of the
    worlds."""
    draw = np.random.default_rng(7)
    called = {None: 0, "blocks": 0}
    for one, other in 20 + autoregressive(draw, 300, 0.9, worlds=120).reshape(60, 2, 300):
        called[None] += paired(MAE, judged(one), judged(other), draws=200).real
        found = paired(MAE, judged(one, order(300)), judged(other, order(300)), draws=200)
        called["blocks"] += found.real
    assert called[None] > 25 and called["blocks"] <= 11
    assert found.method.startswith("paired block bootstrap over ")


def test_a_difference_within_few_blocks_proves_nothing():
    first = np.ones(300)
    second = first.copy()
    second[100:200] = 0
    found = paired(MAE, judged(first, order(300, 50)), judged(second, order(300, 50)))
    assert found.method.endswith("; 2 differ") and found.p_value >= 0.5 and not found.real
    assert paired(MAE, judged(first), judged(second)).real


def test_blocks_of_several_seeds_are_those_of_one_where_they_are_one():
    losses = 20 + autoregressive(np.random.default_rng(8), 300, 0.9, worlds=2)
    rows = [np.stack([one, np.ones(300)], 1) for one in losses]
    known = measure(MAE, judged(losses[0], order(300)))
    told = over_seeds(MAE, [rows[0]], shared=True, orders=[order(300)])
    assert (told.value, told.low, told.high) == pytest.approx((known.value, known.low, known.high))
    assert known.method.startswith(told.method)
    pair = paired(MAE, *(judged(one, order(300)) for one in losses))
    mine = difference(MAE, [rows[0]], [rows[1]], shared=True, orders=[order(300)])
    for name in ("first", "second", "difference", "low", "high", "p_value", "real"):
        assert getattr(mine, name) == pytest.approx(getattr(pair, name)), name
    apart = over_seeds(MAE, rows, shared=False, orders=[order(300), order(300)])
    assert "blocks of 2 splits, 1000 draws, seed 0 and Student's t over 2 seeds" in apart.method


def test_a_metric_whose_sums_are_zero_is_measured():
    found = measure(RMSE, judged(np.zeros(40), order(40, 4)))
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_examples_and_their_places_go_together():
    losses = np.arange(6.0)
    picked = judged(losses, Order([0, 0, 0, 1, 1, 1], 2, "window", "series")).pick([1, 4, 5])
    assert picked.predicted == [1, 4, 5] and picked.quantiles is None
    assert picked.order == Order([0, 1, 1], 2, "window", "series")
    assert judged(losses).pick([0]).order is None
    assert panel(2, 3).pick([1, 4, 5]) == Order([0, 1, 1], 1, "window", "series", [1, 1, 2])
    with pytest.raises(DataError, match="mae: 3 examples have a place in time and there are 6"):
        measure(MAE, judged(losses, Order([0, 0, 0], 2, "window", "series")))


def test_a_block_that_differs_is_counted_once():
    found = Blocks([np.arange(10)], 4, 3, False, "")
    assert found.differing(np.isin(np.arange(10), [0, 3, 9])) == 2
    left = Blocks([np.arange(103)], 20, 5, False, "")
    assert left.differing(np.ones(103, dtype=bool)) == 5, "103 windows are 5 blocks of 20 and three windows"
