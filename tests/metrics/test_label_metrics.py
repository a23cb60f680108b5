"""Accuracy, F1 and log loss of labels, one or several an example or one a step."""

import math
import random
import tracemalloc

import numpy as np
import pytest

from ostinato.errors import DataError
from ostinato.evaluation.intervals import measure, paired
from ostinato.metrics.contract import Predictions
from ostinato.registry import make


def value(name: str, judged: Predictions, **options: object) -> float:
    metric = make("metrics", name, options=options)
    return metric.value(np.sum(metric.statistics(judged), axis=0).tolist())


# scikit-learn's documentation of f1_score: 0.266... macro, 0.333... micro.
SIX = Predictions([0, 2, 1, 0, 0, 1], [0, 1, 2, 0, 1, 2])


def test_accuracy_is_a_share_with_wilsons_interval():
    measured = measure(make("metrics", "accuracy"), Predictions(["y"] * 8 + ["n"] * 2, ["y"] * 10))
    assert measured.value == pytest.approx(80)
    assert (round(measured.low, 2), round(measured.high, 2)) == (49.02, 94.33)
    assert measured.method == "wilson over 10 examples"


def test_accuracy_of_several_labels_wants_all_of_them_and_no_other_in_any_order():
    judged = Predictions([["b", "a"], ["a"], ["a", "b"], []], [["a", "b"], ["a", "b"], ["a"], []])
    assert value("accuracy", judged) == pytest.approx(50)


def test_labels_are_their_text_as_a_category_gives_them_back():
    judged = Predictions(["1", "true", "5", " a", "b"], [1, True, 5.0, "a", np.str_("b")])
    assert value("accuracy", judged) == 100


def test_an_example_without_a_reference_is_left_out():
    judged = Predictions(["a", "b", "a"], ["a", None, math.nan])
    for name, options in (("accuracy", {}), ("f1", {"average": "macro"}), ("f1", {"average": "micro"})):
        assert value(name, judged, **options) == 100
        with pytest.raises(DataError, match=f"{name}: these .* no label to divide by"):
            value(name, Predictions(["a"], [None]), **options)


def test_a_list_of_steps_is_no_label_and_says_where_to_go():
    with pytest.raises(DataError, match="example 1: a label is needed.*over: steps.*mae"):
        value("accuracy", Predictions([1.5], [1.5]))
    with pytest.raises(DataError, match="example 2: a list with one label per step is needed, not 3"):
        value("accuracy", Predictions(["a", 3], ["a", 3]), over="steps")


def test_macro_and_micro_f1_are_scikit_learns():
    """By hand: label 0 has 2 right, 1 wrong: F1 4/5; labels 1 and 2 have none right; 2 of 6 right in all."""
    assert value("f1", SIX, average="macro") == pytest.approx(100 * 0.8 / 3)
    assert value("f1", SIX, average="micro") == value("accuracy", SIX) == pytest.approx(100 / 3)


def test_f1_of_several_labels_by_hand():
    """a: 1 right, 1 wrong, 0 missed: 2/3. b: 1 right, 1 missed: 2/3. c: 1 missed: 0. In all 2 right, 3 predicted, 4
    expected."""
    judged = Predictions([["a", "b"], ["a"], []], [["a", "b"], ["b", "c"], []])
    assert value("f1", judged, average="macro") == pytest.approx(100 * (2 / 3 + 2 / 3 + 0) / 3)
    assert value("f1", judged, average="micro") == pytest.approx(100 * 4 / 7)


def test_a_label_that_stands_in_no_reference_has_no_f1_of_its_own():
    """x: 2 right, 1 missed: F1 4/5; y: 1 right: 1."""
    judged = Predictions(["x", "x", "z", "y"], ["x", "x", "x", "y"])
    assert value("f1", judged, average="macro") == pytest.approx(90)


def test_of_some_of_the_examples_only_their_own_labels_count():
    """As in a draw of the bootstrap or in a group: of the first two, only x stands in a reference."""
    metric = make("metrics", "f1", options={"average": "macro"})
    rows = metric.statistics(Predictions(["x", "y", "y"], ["x", "x", "y"]))
    assert metric.value(np.sum(rows[:2], axis=0).tolist()) == pytest.approx(200 / 3)


def test_counts_of_many_labels_are_held_once():
    labels = [str(at % 200) for at in range(4000)]
    tracemalloc.start()
    try:
        measure(make("metrics", "f1", options={"average": "macro"}), Predictions(labels, labels), draws=2)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 1.5 * 4000 * 200 * 3 * 8


def test_two_systems_that_invent_different_labels_are_compared():
    expected = ["x", "y"] * 20
    compared = paired(
        make("metrics", "f1", options={"average": "macro"}),
        Predictions(["z", "y"] * 20, expected),
        Predictions(["x", "w"] * 20, expected),
        draws=50,
    )
    assert (compared.first, compared.second) == (50, 50)


def test_step_accuracy_is_over_steps_not_over_examples():
    judged = Predictions([["a"], ["b", "b", "b", "b"]], [["a"], ["b", "c", None, "c"]])
    assert value("accuracy", judged, over="steps") == pytest.approx(50)
    assert "bootstrap over 2 examples" in measure(make("metrics", "accuracy", options={"over": "steps"}), judged).method


def test_the_order_counts_where_each_step_has_a_label():
    judged = Predictions([["a", "b"]], [["b", "a"]])
    assert value("accuracy", judged) == 100
    assert value("accuracy", judged, over="steps") == value("f1", judged, average="macro", over="steps") == 0


def test_step_macro_f1_is_macro_f1_of_the_steps():
    generator = random.Random(0)
    said, right = ([[generator.choice("abc") for _ in range(length)] for length in (1, 5, 0, 9)] for _ in range(2))
    right[1][2] = right[3][0] = None
    flat = [(one, other) for left, both in zip(said, right) for one, other in zip(left, both)]
    assert value("f1", Predictions(said, right), average="macro", over="steps") == pytest.approx(
        value("f1", Predictions(*zip(*flat)), average="macro")
    )


@pytest.mark.parametrize(
    ("name", "options"),
    [("accuracy", {"over": "steps"}), ("f1", {"average": "macro", "over": "steps"}), ("span_f1", {})],
)
def test_unequal_numbers_of_steps_are_refused_by_place(name, options):
    with pytest.raises(DataError, match="example 2: 1 predicted labels for a reference of 2 steps"):
        value(name, Predictions([["O"], ["O"]], [["O"], ["O", "O"]]), **options)


def test_log_loss_of_guessing_is_the_logarithm_of_the_number_of_labels():
    judged = Predictions(None, ["", ""], log_probability=[math.log(1 / 7), 3 * math.log(1 / 7)], num_targets=[1, 3])
    assert value("log_loss", judged) == pytest.approx(math.log(7))


def test_log_loss_is_over_targets_not_over_examples():
    """scikit-learn's documentation of log_loss: p = .9, .9, .8, .65 of the right label give 0.21616; here in two
    examples."""
    scores = [math.log(0.9), math.log(0.9) + math.log(0.8) + math.log(0.65)]
    assert value("log_loss", Predictions(None, ["", ""], log_probability=scores, num_targets=[1, 3])) == pytest.approx(
        0.21616, abs=5e-6
    )


def test_bits_per_character_are_over_characters_whatever_the_symbols_are():
    """One reference in 2 symbols, one in 7; 12 bits for 3 + 5 characters."""
    judged = Predictions(
        None, ["öl!", "a b c"], log_probability=[-4 * math.log(2), -8 * math.log(2)], num_targets=[2, 7]
    )
    assert value("bits_per_character", judged) == pytest.approx(1.5)


def test_bits_per_character_of_uniform_guessing():
    judged = Predictions(None, ["abcd"], log_probability=[4 * math.log(1 / 32)])
    assert value("bits_per_character", judged) == pytest.approx(5)


def test_what_a_code_costs_and_what_it_reconstructs_make_the_bound():
    judged = Predictions(None, ["", ""], log_probability=[-5.0, -9.0], num_targets=[2, 3], distance=[1.0, 4.0])
    assert value("kl_divergence", judged) == pytest.approx(2.5)
    assert value("reconstruction_loss", judged) == pytest.approx((4 + 5) / 5)
    assert value("log_loss", judged) == pytest.approx((4 + 5 + 1 + 4) / 5)


@pytest.mark.parametrize("name", ["log_loss", "bits_per_character"])
def test_scores_that_are_missing_or_impossible_are_named(name):
    with pytest.raises(DataError, match=f"{name} needs the reference's scores"):
        value(name, Predictions(["a"], ["a"]))
    with pytest.raises(DataError, match=f"{name}: the log-probability of reference 2 is -inf"):
        value(name, Predictions(None, ["a", "b"], log_probability=[-1.0, -math.inf], num_targets=[1, 1]))
