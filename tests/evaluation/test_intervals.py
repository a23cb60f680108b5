"""Intervals cover what they promise, and a paired comparison finds a difference exactly where one was planted."""

import math
import random

import numpy as np
import pytest

from ostinato.errors import DataError
from ostinato.evaluation import draws
from ostinato.evaluation.intervals import measure, paired
from ostinato.metrics.contract import Predictions
from ostinato.registry import make, names


def judged_by_steps(right: list[int], targets: list[int]) -> Predictions:
    return Predictions(None, [""] * len(right), num_right=right, num_targets=targets)


def answers(hits: int, examples: int) -> Predictions:
    return Predictions(["y"] * hits + ["n"] * (examples - hits), ["y"] * examples)


@pytest.mark.parametrize(
    ("hits", "examples", "low", "high"),
    [
        # By hand: (0.8 + 0.19207 ± 1.95996 sqrt(0.016 + 0.0096036)) / 1.38415 = (0.99207 ± 0.31361) / 1.38415, and so
        # on.
        (8, 10, 49.016, 94.332),
        (0, 10, 0.0, 27.753),  # z^2 / (n + z^2) = 3.84146 / 13.84146
        (10, 10, 72.247, 100.0),
        (1, 1, 20.655, 100.0),  # 1 / (1 + z^2)
        # Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3: 81/263 and 15/148.
        (81, 263, 25.53, 36.62),
        (15, 148, 6.24, 16.05),
    ],
)
def test_shares_have_wilsons_interval(hits: int, examples: int, low: float, high: float):
    measured = measure(make("metrics", "exact_match"), answers(hits, examples))
    assert measured.value == pytest.approx(100 * hits / examples)
    assert (measured.low, measured.high) == (pytest.approx(low, abs=0.006), pytest.approx(high, abs=0.006))
    assert measured.method == f"wilson over {examples} example{'s' * (examples > 1)}"
    assert 0 <= measured.low <= measured.value <= measured.high <= 100


def test_the_bootstrap_is_the_same_for_the_same_seed_and_another_for_another():
    generator = random.Random(1)
    judged = judged_by_steps([generator.randint(0, 9) for _ in range(40)], [10] * 40)
    metric = make("metrics", "token_accuracy")
    assert measure(metric, judged) == measure(metric, judged)
    assert measure(metric, judged).low != measure(metric, judged, seed=1).low
    assert measure(metric, judged).method == "bootstrap over 40 examples, 1000 draws, seed 0"


def test_the_bootstrap_agrees_with_the_theory_of_a_mean():
    """The mean of n numbers has an interval of about ±1.96 s / sqrt(n)."""
    right = np.random.default_rng(3).binomial(20, 0.6, 400)
    measured = measure(make("metrics", "token_accuracy"), judged_by_steps(right.tolist(), [20] * 400), draws=4000)
    half = 100 * 1.96 * right.std() / 20 / math.sqrt(400)
    assert measured.value - measured.low == pytest.approx(half, rel=0.1)
    assert measured.high - measured.value == pytest.approx(half, rel=0.1)


def test_blocks_of_draws_are_samples_of_the_right_size(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(draws, "_BLOCK", 50)
    blocks = list(draws._counts(20, 7, seed=0))
    assert [len(block) for block in blocks] == [2, 2, 2, 1]
    counts = np.concatenate(blocks)
    assert (counts.sum(1) == 20).all() and len(np.unique(counts, axis=0)) == 7


def test_the_bootstrap_covers_the_truth_about_95_times_in_100():
    """300 worlds of 60 examples of unequal length whose errors come in clusters; the truth is 70 %."""
    generator = np.random.default_rng(0)
    metric = make("metrics", "token_accuracy")
    covered = 0
    for world in range(300):
        targets = 1 + generator.poisson(8, 60)
        right = generator.binomial(targets, generator.beta(7, 3, 60))
        measured = measure(metric, judged_by_steps(right.tolist(), targets.tolist()), draws=200, seed=world)
        covered += measured.low <= 70 <= measured.high
    assert 0.90 <= covered / 300 <= 0.98


def test_wilson_covers_the_truth_about_95_times_in_100_even_near_the_edge():
    """Exact, by summing over every possible number of hits: 100 examples of a share of 97 %."""
    chance = [math.comb(100, hits) * 0.97**hits * 0.03 ** (100 - hits) for hits in range(101)]
    metric = make("metrics", "exact_match")
    intervals = [measure(metric, answers(hits, 100)) for hits in range(101)]
    covered = sum(p for p, measured in zip(chance, intervals) if measured.low <= 97 <= measured.high)
    assert 0.92 <= covered <= 0.99


SCORES = {"log_probability": [-2.0], "num_targets": [4], "num_right": [3], "distance": [0.5]}
TEXT = Predictions(["a b c d e"], ["a b c d f"], **SCORES)
NUMBERS = Predictions([[1.0, 2.0]], [[1.5, 2.0]], quantiles=[{0.05: [0.0, 0.0], 0.95: [3.0, 3.0]}], scales=[0.5])
OF_NUMBERS = ("mae", "mse", "rmse", "r2", "smape", "mase", "pinball_loss", "crps", "interval_coverage")


def default(name):
    return make("metrics", name, options={"average": "macro"} if name == "f1" else {})


def test_examples_that_are_all_right_show_no_spread_and_the_method_says_so():
    right = Predictions([["a", "b"], ["b", "b"]] * 10, [["a", "b"], ["b", "b"]] * 10)
    wrong = Predictions([["a", "a"], *right.predicted[1:]], right.expected)
    alike, unlike = measure(default("f1"), right), measure(default("f1"), wrong)
    assert alike.low == alike.value == alike.high and "20 examples, which shows no spread, 1000 draws" in alike.method
    assert unlike.low < unlike.value < unlike.high and "spread" not in unlike.method


def test_one_example_works_for_every_metric_and_says_what_it_is_worth():
    for name in names("metrics"):
        metric = default(name)
        measured = measure(metric, NUMBERS if name in OF_NUMBERS else TEXT)
        assert measured.low <= measured.value <= measured.high
        assert "1 example" in measured.method
        if not metric.is_share:
            assert measured.low == measured.value == measured.high and "shows no spread" in measured.method


def test_draws_with_nothing_to_divide_by_are_left_out_and_counted():
    measured = measure(make("metrics", "character_error_rate"), Predictions(["x", "ab"], ["", "ac"]), draws=400)
    left_out = int(measured.method.split("(")[1].split()[0])
    assert 60 < left_out < 140
    assert measured.low == 50 and measured.high == 100


@pytest.mark.parametrize(
    "judged", [Predictions(None, []), Predictions(None, [], log_probability=[], num_targets=[], num_right=[])]
)
def test_no_example_is_an_error(judged: Predictions):
    for name in names("metrics"):
        with pytest.raises(DataError, match=f"{name}: there is no example"):
            measure(default(name), judged)


def test_columns_of_unequal_length_are_an_error():
    with pytest.raises(DataError, match="2 expected, 1 predicted"):
        measure(make("metrics", "bleu"), Predictions(["a"], ["a", "b"]))
    with pytest.raises(DataError, match="1 alternatives"):
        measure(make("metrics", "exact_match"), Predictions(["a", "b"], ["a", "b"], alternatives=[[]]))
    with pytest.raises(DataError, match="2 expected, 2 predicted, 1 scales"):
        measure(make("metrics", "mase"), Predictions([1.0, 2.0], [1.0, 2.0], scales=[1.0]))
    with pytest.raises(DataError, match="1 num_targets"):
        measure(
            make("metrics", "perplexity"), Predictions(None, ["a", "b"], log_probability=[-1.0, -2.0], num_targets=[1])
        )


def test_scores_need_no_predictions():
    judged = Predictions(None, ["a", "b"], log_probability=[-1.0, -3.0], num_targets=[1, 1])
    assert measure(make("metrics", "perplexity"), judged).value == pytest.approx(math.exp(2))


def planted(examples: int, wrong_rate: float, seed: int) -> Predictions:
    generator = random.Random(seed)
    expected = [f"{index:05d}" for index in range(examples)]
    return Predictions([one if generator.random() > wrong_rate else one[:-1] + "x" for one in expected], expected)


@pytest.mark.parametrize(("name", "sign"), [("exact_match", 1), ("character_error_rate", -1)])
def test_a_planted_difference_is_found_with_its_sign(name: str, sign: int):
    worse, better = planted(400, 0.30, 1), planted(400, 0.15, 2)
    metric = make("metrics", name)
    compared = paired(metric, worse, better)
    assert compared.real and compared.better == "second" and compared.p_value < 0.01
    assert compared.low <= compared.difference <= compared.high and compared.difference * sign > 0
    assert compared.first == measure(metric, worse).value and compared.second == measure(metric, better).value
    back = paired(metric, better, worse)
    assert (back.real, back.better) == (True, "first")
    assert (back.difference, back.low, back.high) == (-compared.difference, -compared.high, -compared.low)


def test_equal_systems_seldom_differ():
    """Two systems with the same rate of errors: about 1 pair in 20 looks different, the others' intervals hold 0."""
    metric = make("metrics", "character_error_rate")
    compared = [paired(metric, planted(150, 0.2, 2 * n), planted(150, 0.2, 2 * n + 1), draws=200) for n in range(100)]
    assert 1 <= sum(one.real for one in compared) <= 12
    assert sum(one.low <= 0 <= one.high for one in compared) >= 88
    assert 0.3 < np.mean([one.p_value for one in compared]) < 0.7


def test_a_system_does_not_differ_from_itself():
    judged = planted(50, 0.2, 0)
    for name in ("bleu", "chrf", "exact_match", "length_ratio"):
        compared = paired(make("metrics", name), judged, judged, draws=50)
        assert (compared.difference, compared.low, compared.high, compared.p_value) == (0, 0, 0, 1)
        assert not compared.real and compared.better is None


def test_pairing_finds_what_two_separate_intervals_cannot_tell_apart():
    """Same hard and easy examples for both; the second is right on ten of the first's mistakes."""
    expected = ["y"] * 200
    first = Predictions(["y"] * 100 + ["n"] * 100, expected)
    second = Predictions(["y"] * 110 + ["n"] * 90, expected)
    metric = make("metrics", "exact_match")
    assert measure(metric, first).high > measure(metric, second).low
    compared = paired(metric, first, second)
    assert compared.real and compared.difference == pytest.approx(5)
    assert "10 differ" in compared.method


@pytest.mark.parametrize(("differing", "real"), [(1, False), (5, False), (6, True)])
def test_a_handful_of_examples_proves_nothing(differing: int, real: bool):
    """The interval of n examples that all point one way excludes 0 even for n = 1; a sign test needs six."""
    expected = ["y"] * differing
    compared = paired(
        make("metrics", "exact_match"), Predictions(["n"] * differing, expected), Predictions(expected, expected)
    )
    assert compared.low > 0
    assert compared.real is real
    assert compared.p_value == pytest.approx(2.0 ** (1 - differing))


def test_a_ratio_that_takes_no_side_names_no_better_system():
    expected = ["abcdefgh"] * 30
    compared = paired(
        make("metrics", "length_ratio"),
        Predictions(["abcd"] * 30, expected),
        Predictions(expected, expected),
        draws=100,
    )
    assert compared.real and compared.better is None


def test_systems_judged_on_different_examples_are_refused():
    metric = make("metrics", "exact_match")
    with pytest.raises(DataError, match="2 examples, the second on 1"):
        paired(metric, Predictions(["a", "b"], ["a", "b"]), Predictions(["a"], ["a"]))
    with pytest.raises(DataError, match="expected of example 2 is 'b' for the first system and 'c'"):
        paired(metric, Predictions(["a", "b"], ["a", "b"]), Predictions(["a", "b"], ["a", "c"]))
    with pytest.raises(DataError, match="alternatives of example 1"):
        paired(metric, Predictions(["a"], ["a"], alternatives=[["b"]]), Predictions(["a"], ["a"], alternatives=[[]]))
    with pytest.raises(DataError, match="only one of the two"):
        paired(metric, Predictions(["a"], ["a"], alternatives=[["b"]]), Predictions(["a"], ["a"]))


def test_perplexities_of_different_tokenizers_are_not_compared():
    first = Predictions(None, ["ab"], log_probability=[-1.0], num_targets=[2])
    second = Predictions(None, ["ab"], log_probability=[-1.0], num_targets=[3])
    with pytest.raises(DataError, match="reference 1 has 2 steps for the first system and 3 for the second"):
        paired(make("metrics", "perplexity"), first, second)
    same_words = [Predictions(["ab"], ["ab"], num_targets=[number]) for number in (2, 3)]
    assert paired(make("metrics", "exact_match"), *same_words).difference == 0
