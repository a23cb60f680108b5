"""The baselines of generated texts, on texts whose values are known."""

import pytest

from tests.scripts import script


@pytest.fixture(scope="module")
def texts():
    return script("benchmarks/generated_texts.py")


def test_the_lead_is_as_long_as_answers_are_and_the_retrieved_answer_is_the_nearest_rows(texts):
    assert texts.lead(["a b c d", "e"], ["x", "x y z"]) == ["a b", "e"]
    known = ["the price of gas", "a meeting on Monday", "gas in California"]
    asked = ["Monday's meeting", "California", "nothing known"]
    assert texts.retrieved(asked, known, ["one", "two", "three"]) == ["two", "three", "one"]


def test_distinct_counts_the_different_words_of_all_answers(texts):
    assert texts.distinct(["a b a", "A c"], 1) == 60
    assert texts.distinct(["a b a b", "b"], 2) == pytest.approx(200 / 3)
    assert texts.distinct(["a"], 2) == 0
