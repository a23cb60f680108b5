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


def test_a_recipe_in_place_of_a_run_measures_the_ways_that_need_none(texts, tmp_path):
    rows = "asked\tanswer\tothers\n" + "".join(
        f"the {word} of gas\t{word} of\tthe {word}\n" for word in ("price", "cost")
    )
    for split in ("train", "test"):
        (tmp_path / f"{split}.tsv").write_text(rows)
    (tmp_path / "recipe.yaml").write_text(
        "data: {train: train.tsv}\ninputs: {asked: text}\n"
        "outputs: {answer: {type: text, alternatives: others,"
        " metrics: [{type: rouge, overlap: unigrams}, perplexity]}}\n"
    )
    measured = texts.report(tmp_path / "recipe.yaml", tmp_path, "test")
    assert [measured["examples"], *measured] == [2, "split", "examples", "lead", "retrieval", "people"]
    assert {way: measured[way]["rouge"]["value"] for way in ("lead", "retrieval", "people")} == {
        "lead": 50,
        "retrieval": 100,
        "people": 50,
    }
    assert "perplexity" not in measured["lead"]
