"""Precision, recall and F1 of spans by conlleval's definition."""

import numpy as np
import pytest

from ostinato.errors import DataError
from ostinato.evaluation.intervals import measure
from ostinato.metrics.contract import Predictions
from ostinato.registry import make

MEASURES = ("precision", "recall", "f1")


def measured(predicted: list[str], expected: list[str]) -> list[float]:
    """Precision, recall and F1 of fields of tags."""
    judged = Predictions([one.split() for one in predicted], [one.split() for one in expected])
    values = []
    for name in MEASURES:
        metric = make("metrics", "span_f1", options={"measure": name})
        values.append(metric.value(np.sum(metric.statistics(judged), axis=0).tolist()))
    return values


def test_the_numbers_are_conllevals():
    """The example output of conlleval: 459 phrases, 539 found, 371 correct: 68.83, 80.83, 74.35."""
    values = [make("metrics", "span_f1", options={"measure": name}).value([371, 539, 459]) for name in MEASURES]
    assert [round(one, 2) for one in values] == [68.83, 80.83, 74.35]


def test_seqevals_first_example():
    """One span starts too early, one is right."""
    expected = ["O O O B-MISC I-MISC I-MISC O", "B-PER I-PER O"]
    predicted = ["O O B-MISC I-MISC I-MISC I-MISC O", "B-PER I-PER O"]
    assert measured(predicted, expected) == pytest.approx([50, 50, 50])


@pytest.mark.parametrize(
    ("predicted", "expected", "precision", "recall"),
    [
        ("B-PER I-PER", "B-PER I-PER", 100, 100),
        ("B-PER O", "B-PER I-PER", 0, 0),  # ends too early
        ("B-LOC I-LOC", "B-PER I-PER", 0, 0),  # right ends, wrong label
        ("B-PER B-PER", "B-PER I-PER", 0, 0),  # two for one
        ("B-PER O B-PER", "B-PER O O", 50, 100),
        ("O O B-PER", "B-PER O B-PER", 100, 50),
        ("O I-PER I-PER", "O B-PER I-PER", 100, 100),  # I- after O begins a span
        ("I-PER I-LOC", "B-PER B-LOC", 100, 100),  # another label begins one too
        ("B-PER I-LOC", "B-PER I-PER", 0, 0),
        ("S-PER O B-LOC E-LOC", "B-PER O B-LOC I-LOC", 100, 100),  # schemes may differ
        ("O O", "B-PER O", 0, 0),  # nothing predicted: conlleval's 0
        ("B-PER O", "O O", 0, 0),
    ],
)
def test_spans_by_hand(predicted, expected, precision, recall):
    both = precision + recall
    assert measured([predicted], [expected]) == pytest.approx(
        [precision, recall, 2 * precision * recall / both if both else 0]
    )


def test_spans_do_not_reach_from_one_example_into_the_next():
    assert measured(["B-PER", "I-PER"], ["B-PER", "I-PER"]) == [100, 100, 100]
    assert measured(["O O B-PER", "O"], ["O O B-PER", "I-PER"]) == pytest.approx([100, 50, 200 / 3])


def test_spans_are_counted_over_all_examples_together():
    """1 of 1, and 1 of 3 found with 2 predicted: precision 2/3, recall 2/4, F1 4/7."""
    values = measured(["B-X", "B-X O O O B-X I-X"], ["B-X", "B-X O B-X O B-X O"])
    assert values == pytest.approx([200 / 3, 50, 400 / 7])


def test_plain_labels_have_their_longest_runs_as_spans():
    """Helices and strands: HH, E, HHH expected; HH, EE, HH predicted: the first is right."""
    assert measured(["H H E E H H"], ["H H E H H H"]) == pytest.approx([100 / 3, 100 / 3, 100 / 3])
    strands = Predictions([["E", "E"]], [["E", "E"]])
    assert make("metrics", "span_f1").statistics(strands) == [[1, 1, 1]], "E alone is a state, no end of a span"
    assert measured(["O PER PER"], ["O PER PER"]) == [100, 100, 100]
    judged = Predictions([["O", "X"]], [["O", "X"]])
    assert make("metrics", "span_f1").statistics(judged) == [[1, 1, 1]], "a run of O is no span"


def test_one_kind_of_label_decides_for_all_examples():
    """B and I alone are tags; beside H they are states like any other."""
    assert measured(["B I B"], ["B I B"]) == [100, 100, 100]
    statistics = make("metrics", "span_f1").statistics
    assert statistics(Predictions([["B", "I"]], [["B", "I"]])) == [[1, 1, 1]]
    assert statistics(Predictions([["B", "I"], ["H"]], [["B", "I"], ["H"]])) == [[2, 2, 2], [1, 1, 1]]


def test_a_step_without_a_reference_counts_on_neither_side():
    judged = Predictions([["B-X", "I-X", "I-X"], ["B-Y"]], [["B-X", None, "O"], [None]])
    assert make("metrics", "span_f1").statistics(judged) == [[1, 2, 1], [0, 0, 0]]


def test_without_any_span_there_is_nothing_to_divide_by():
    for name in MEASURES:
        with pytest.raises(DataError, match="span_f1: neither references nor predictions hold a span"):
            make("metrics", "span_f1", options={"measure": name}).value([0, 0, 0])


def test_f1_has_an_interval_over_examples():
    generator = np.random.default_rng(0)
    expected = [["B-X", "O", "B-Y"]] * 60
    predicted = [["B-X" if generator.random() < 0.8 else "O", "O", "B-Y"] for _ in expected]
    found = measure(make("metrics", "span_f1"), Predictions(predicted, expected), draws=200)
    assert 70 < found.low < found.value < found.high < 100 and "bootstrap over 60 examples" in found.method
