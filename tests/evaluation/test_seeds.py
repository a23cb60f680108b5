"""Runs over several seeds: intervals that hold examples and seeds, differences paired over both, and Holm's
correction."""

import dataclasses
import statistics

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import t

from ostinato.errors import DataError
from ostinato.evaluation.draws import _beyond, students_t
from ostinato.evaluation.intervals import corrected, difference, holm, measure, over_seeds, paired
from ostinato.metrics.contract import Predictions
from ostinato.registry import make

MATCH, STEPS = make("metrics", "exact_match"), make("metrics", "token_accuracy")


def shares(rate, seed, examples=200):
    hits = np.random.default_rng(seed).random(examples) < rate
    return np.stack([hits, np.ones(examples)], 1).astype(float)


def judged(rows):
    return Predictions(["y" if hit else "n" for hit, _ in rows], ["y"] * len(rows))


def test_one_run_is_measured_and_compared_as_it_is_elsewhere():
    first, second = shares(0.6, 1), shares(0.7, 2)
    told, known = over_seeds(MATCH, [first], shared=True), measure(MATCH, judged(first))
    assert (told.value, told.low, told.high) == pytest.approx((known.value, known.low, known.high))
    mine, theirs = difference(MATCH, [first], [second], shared=True), paired(MATCH, judged(first), judged(second))
    for name in ("first", "second", "difference", "low", "high", "p_value", "real"):
        assert getattr(mine, name) == pytest.approx(getattr(theirs, name)), name


def test_the_interval_holds_what_the_seeds_vary_by():
    # Three runs of 50, 60 and 70 %: mean 60, sd 10, half width of t 4.3027 * 10 / sqrt(3) = 24.84; Wilson of 60 of 100
    # is 50.20 to 69.06.
    runs = [np.array([[1, 1]] * hits + [[0, 1]] * (100 - hits), dtype=float) for hits in (50, 60, 70)]
    told = over_seeds(MATCH, runs, shared=True)
    assert told.value == pytest.approx(60)
    assert told.low == pytest.approx(60 - (9.80**2 + 24.84**2) ** 0.5, abs=0.02)
    assert told.high == pytest.approx(60 + (9.06**2 + 24.84**2) ** 0.5, abs=0.02)
    assert told.method == "wilson over 100 examples and Student's t over 3 seeds"
    assert over_seeds(MATCH, runs, shared=False).low > told.low, (
        "other examples for each seed say more than the same ones"
    )


@pytest.mark.parametrize(("name", "options"), [("exact_match", {}), ("f1", {"average": "macro"}), ("mae", {})])
def test_no_interval_over_seeds_ends_where_the_metric_cannot_be(name, options):
    metric, examples = make("metrics", name, options=options), 20
    said = [["a"] * examples, ["a", "b"] * (examples // 2)] if name != "mae" else [[1.0] * examples, [9.0] * examples]
    truth = ["a", "b"] * (examples // 2) if name != "mae" else [1.0] * examples
    told = over_seeds(
        metric, [np.array(metric.statistics(Predictions(one, truth)), dtype=float) for one in said], shared=True
    )
    assert told.low == 0 and (told.high == 100 or name == "mae" and told.high > 100 / 9), told


def test_students_t_is_the_tables():
    # Abramowitz and Stegun 1964, table 26.10.
    for freedom, known in ((1, 12.706), (2, 4.303), (10, 2.228), (11, 2.201), (20, 2.086), (60, 2.000)):
        assert students_t(freedom) == pytest.approx(known, abs=6e-4)


@pytest.mark.parametrize("shared", [True, False])
def test_a_difference_that_every_seed_shows_is_real_and_one_that_seeds_deny_is_not(shared):
    steady = difference(MATCH, [shares(0.5, n) for n in (1, 2, 3)], [shares(0.9, n) for n in (1, 2, 3)], shared=shared)
    assert steady.real and steady.better == "second" and steady.low > 20
    # The examples of each single run leave no doubt, but the sign changes from seed to seed.
    torn = difference(
        MATCH, [shares(0.5, n) for n in (1, 2, 3)], [shares(rate, 9) for rate in (0.9, 0.2, 0.95)], shared=shared
    )
    assert torn.difference > 10 and not torn.real and torn.low < 0 < torn.high


def test_chance_alone_is_called_real_about_once_in_twenty():
    """Two methods that are equally good: their seeds differ by chance, and so do their answers."""
    called = 0
    for trial in range(200):
        draw = np.random.default_rng(trial)
        hard = draw.random(100)
        make_run = lambda draw=draw, hard=hard: np.stack(  # noqa: E731
            [hard < 0.6 + 0.05 * draw.standard_normal(), np.ones(100)], 1
        ).astype(float)
        found = difference(
            MATCH, [make_run() for _ in range(3)], [make_run() for _ in range(3)], shared=True, draws=200
        )
        called += found.real
    assert called <= 20


def test_small_probabilities_are_as_seldom_as_they_say():
    """600 pairs of equal methods, of three seeds and of one: 6 to be expected below 1 %."""
    for seeds in (1, 3):
        small = 0
        for trial in range(600):
            draw = np.random.default_rng(trial)
            hard = draw.random(60)
            rows = lambda hits: np.stack([hits, np.ones(60)], 1).astype(float)  # noqa: E731
            alone = lambda: rows(draw.random(60) < 0.6)  # noqa: E731
            seeded = lambda: rows(hard < 0.6 + 0.05 * draw.standard_normal())  # noqa: E731
            sides = [[alone()] if seeds == 1 else [seeded() for _ in range(3)] for _ in range(2)]
            small += difference(MATCH, *sides, shared=True, draws=200).p_value < 0.01
        assert small <= 14


def test_a_probability_too_small_to_count_is_students_ts():
    draw = np.random.default_rng(0)
    first, second = (np.stack([10 + draw.normal(size=400), np.ones(400)], 1) for _ in range(2))
    second[:, 0] += 0.4
    apart = second[:, 0] - first[:, 0]
    known = 2 * t.sf(apart.mean() / (apart.std() / 20), 399)
    mae = make("metrics", "mae")
    told = difference(mae, [first], [second], shared=True)
    assert known < 1e-5 and np.log(told.p_value) == pytest.approx(np.log(known), rel=0.1)
    # With two seeds that agree by chance no p is small: t(1) of 100 standard errors is 0.6 %.
    both = difference(mae, [first, first], [second, second + [0.01, 0]], shared=True)
    assert 1e-3 < both.p_value < 0.05


def test_p_and_the_interval_agree_where_draws_are_skewed():
    """Few examples make most of a difference: no draw is below 0, and a symmetric error would put 0 within two of
    it."""
    rows = np.stack([np.array([0.5] * 10 + [1.0, 30.0]), np.ones(12)], 1)
    told = difference(make("metrics", "mae"), [rows * [0, 1]], [rows], shared=True)
    assert told.low > 0 and told.p_value == pytest.approx(2 * 11 / 1001) and told.real


def test_the_sum_of_two_errors_is_the_integral():
    for distance in (0.0, 1.0, 3.0, 9.0, 100.0):
        known, _ = quad(lambda x, to=distance: t.pdf(x, 7) * t.sf((to - x) / 0.5, 2), -np.inf, np.inf)
        assert _beyond(distance, [(1.0, 7), (0.5, 2)]) == pytest.approx(known, rel=1e-3)
        assert _beyond(distance, [(1.0, 7), (1e-9, 2)]) == pytest.approx(_beyond(distance, [(1.0, 7)]), rel=1e-6)


def test_a_difference_that_only_rounding_makes_is_none():
    first, second = ([np.array([[hits, 10.0]] * 4)] for hits in (0.1 + 0.2, 0.3))
    found = difference(STEPS, first, second, shared=True)
    assert found.first != found.second and (found.difference, found.low, found.high, found.real) == (0, 0, 0, False)


def test_lower_is_better_where_the_metric_says_so():
    error = make("metrics", "sequence_error")
    assert difference(error, [shares(0.5, 1)], [shares(0.9, 2)], shared=True).better == "first"


def test_statistics_of_steps_are_weighted_by_their_number():
    runs = [np.array([[1, 2], [9, 10]], dtype=float), np.array([[2, 2], [8, 10]], dtype=float)]
    values = [STEPS.value(one.sum(0).tolist()) for one in runs]
    assert over_seeds(STEPS, runs, shared=True).value == pytest.approx(statistics.fmean(values))


def test_unequal_examples_are_refused():
    with pytest.raises(DataError, match="only equal ones can be paired"):
        difference(MATCH, [shares(0.5, 1)], [shares(0.5, 1, examples=20)], shared=True)


def test_holms_correction_is_that_of_the_paper():
    # By hand for p = 0.01, 0.04, 0.03 and m = 3: 3 * 0.01, then max(0.03, 2 * 0.03), then max(0.06, 0.04).
    one = difference(MATCH, [shares(0.5, 1)], [shares(0.9, 2)], shared=True)
    given = [dataclasses.replace(one, p_value=p) for p in (0.01, 0.04, 0.03)]
    made = corrected(MATCH, given)
    assert [each.p_value for each in made] == pytest.approx([0.03, 0.06, 0.06])
    assert [each.real for each in made] == [True, False, False] and made[1].better is None


def test_holms_correction_keeps_the_order_of_its_probabilities():
    assert holm([0.04, 0.01, 0.9, 0.03]) == pytest.approx([0.09, 0.04, 0.9, 0.09]) and holm([]) == []
