"""The metrics that count: golden numbers made by hand, or by jiwer."""

import math

import jiwer
import numpy as np
import pytest

from ostinato.errors import DataError
from ostinato.metrics.contract import Predictions
from ostinato.registry import make


def value(name: str, judged: Predictions, **options: object) -> float:
    metric = make("metrics", name, options=options)
    return metric.value(np.sum(metric.statistics(judged), axis=0).tolist())


def test_character_error_rate_by_hand():
    """kitten -> sitting: 3 edits of 7 characters; hut -> hat: 1 of 3. Over both 4 of 10, not the mean of two rates."""
    assert value("character_error_rate", Predictions(["kitten", "hut"], ["sitting", "hat"])) == pytest.approx(40)


def test_edit_rates_are_jiwers():
    predicted = ["the cat sat down", "on a a mat", "öl ist teuer", ""]
    expected = ["the cat sits", "on the mat", "Öl ist sehr teuer", "yes"]
    assert value("character_error_rate", Predictions(predicted, expected)) == pytest.approx(
        100 * jiwer.cer(expected, predicted)
    )
    assert value("token_error_rate", Predictions(predicted, expected)) == pytest.approx(
        100 * jiwer.wer(expected, predicted)
    )


def test_token_error_rate_counts_items_of_lists():
    """K AE T S -> K AH T: one replaced, one deleted, of 4; AA1 is one item and not three."""
    judged = Predictions([["K", "AH", "T"], ["AA1"]], [["K", "AE", "T", "S"], ["AA1"]])
    assert value("token_error_rate", judged) == pytest.approx(100 * 2 / 5)
    assert value("token_error_rate", Predictions([["new york"]], [["new york", "x"]])) == pytest.approx(50)


def test_edit_rates_may_pass_a_hundred():
    assert value("character_error_rate", Predictions(["abcdef"], ["xy"])) == pytest.approx(300)


def test_exact_match_takes_any_listed_answer_and_sequence_error_is_its_complement():
    predicted = ["a", "b", ["T", "UW"], "A", "é"]
    expected = ["a", "x", ("T", "UW"), "a", "e\N{COMBINING ACUTE ACCENT}"]
    judged = Predictions(predicted, expected, alternatives=[[], ["y", "b"], [], [], []])
    assert value("exact_match", judged) == pytest.approx(60)
    assert value("sequence_error", judged) == pytest.approx(40)
    assert value("sequence_error", judged, first=True) == pytest.approx(60)
    without = Predictions(predicted, expected)
    assert value("exact_match", without) == pytest.approx(40)
    assert value("sequence_error", without) == value("sequence_error", without, first=True) == pytest.approx(60)


def test_a_tuple_equals_a_list_of_the_same_items():
    assert value("exact_match", Predictions([("T",), ["T"]], [["T"], ("T",)])) == 100
    assert value("exact_match", Predictions([["T"]], [["D"]], alternatives=[[("T",)]])) == 100


def test_token_accuracy_is_over_steps_not_over_examples():
    judged = Predictions(None, ["", ""], num_right=[1, 0], num_targets=[1, 3])
    assert value("token_accuracy", judged) == pytest.approx(25)


def test_perplexity_of_a_uniform_model_is_its_number_of_symbols():
    judged = Predictions(None, ["", ""], log_probability=[3 * math.log(1 / 7), 5 * math.log(1 / 7)], num_targets=[3, 5])
    assert value("perplexity", judged) == pytest.approx(7)


def test_perplexity_is_over_steps_not_over_examples():
    """-(ln 1/2 + 3 ln 1/4) / 4 = 7/4 ln 2."""
    judged = Predictions(None, ["", ""], log_probability=[math.log(1 / 2), 3 * math.log(1 / 4)], num_targets=[1, 3])
    assert value("perplexity", judged) == pytest.approx(2**1.75)


@pytest.mark.parametrize("score", [-math.inf, math.nan])
def test_perplexity_names_an_impossible_reference(score: float):
    with pytest.raises(DataError, match="reference 2 is"):
        value("perplexity", Predictions(None, ["", ""], log_probability=[-1.0, score], num_targets=[1, 1]))


def test_perplexity_too_large_for_a_number_is_refused():
    with pytest.raises(DataError, match="too large"):
        value("perplexity", Predictions(None, [""], log_probability=[-1e6], num_targets=[2]))


def test_metrics_of_scores_say_so_when_there_are_none():
    for name in ("perplexity", "token_accuracy"):
        with pytest.raises(DataError, match=f"{name} needs the reference's scores"):
            value(name, Predictions(["a"], ["a"]))


def test_repeated_ngrams_by_hand():
    """a b a b a b: bigrams ab ba ab ba ab, 3 of 5 repeat; x y z: 0 of 2. 3/7; a repeat in another prediction is
    none."""
    judged = Predictions(["a b a b a b", ["x", "y", "z"], "x y"], ["", "", ""])
    assert value("repeated_ngrams", judged, n=2) == pytest.approx(100 * 3 / 8)
    assert value("repeated_ngrams", judged, n=1) == pytest.approx(100 * 4 / 11)
    assert value("repeated_ngrams", Predictions(["the cat the cat the cat"], [""])) == pytest.approx(100 / 3)


def test_predictions_too_short_for_an_ngram_repeat_nothing():
    assert value("repeated_ngrams", Predictions(["2013-01-05", ""], ["", ""])) == 0


def test_length_ratio_counts_characters_of_texts_and_items_of_lists():
    assert value("length_ratio", Predictions(["abc", ""], ["ab", "cdef"])) == pytest.approx(0.5)
    assert value("length_ratio", Predictions([["long", "words"]], [["a", "b", "c"]])) == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", ["character_error_rate", "token_error_rate", "length_ratio"])
def test_nothing_to_divide_by_is_an_error(name: str):
    with pytest.raises(DataError, match=f"{name}: these examples hold no reference"):
        value(name, Predictions(["a"], [""]))


def test_steps_that_are_all_missing_are_an_error():
    with pytest.raises(DataError, match="no target step"):
        value("token_accuracy", Predictions(None, ["a"], num_right=[0], num_targets=[0]))
    with pytest.raises(DataError, match="no target step"):
        value("perplexity", Predictions(None, ["a"], log_probability=[0.0], num_targets=[0]))


def test_the_direction_of_each_metric_is_right():
    """A perfect answer against a bad one; the length ratio takes no side."""
    perfect, bad = ["a b c d e", "f g h i j"], ["a a a a a a a a", "x"]
    for name, direction in {
        "bleu": True, "chrf": True, "exact_match": True,
        "character_error_rate": False, "token_error_rate": False, "sequence_error": False, "repeated_ngrams": False,
    }.items():  # fmt: skip
        assert make("metrics", name).higher_is_better is direction
        assert (value(name, Predictions(perfect, perfect)) > value(name, Predictions(bad, perfect))) is direction
    assert make("metrics", "length_ratio").higher_is_better is None
    assert make("metrics", "token_accuracy").higher_is_better is True
    assert make("metrics", "perplexity").higher_is_better is False
