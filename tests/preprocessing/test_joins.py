"""Joins that are chosen from how long inputs are, and what is counted beside them."""

import random

import pytest
import torch

import ostinato
from ostinato.joins.attend import Attend

PLACES = ("kitchen", "garden", "office", "hall")
WHO = ("mary", "john", "sandra")


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))


def rows(count):
    draw = random.Random(0)
    made = []
    for _ in range(count):
        places = {who: draw.choice(PLACES) for who in WHO}
        asked = draw.choice(WHO)
        story = " . ".join(f"{who} went to the {place}" for who, place in places.items())
        made.append({"story": story, "question": f"where is {asked}", "answer": places[asked]})
    return made


def trained(inputs, output="category"):
    model = ostinato.Model(inputs, {"answer": output}, training={"epochs": 1, "batch_rows": 20})
    return model.fit(rows(60)).run


def test_the_shortest_of_symbols_asks_and_is_counted_beside():
    run = trained({"story": "tokens", "question": "tokens"})
    output = run.recipe.settings.outputs["answer"]
    assert output.join.type == "attend" and output.join.hops == 2
    assert output.reads == ["question", "story", "story_ngrams", "question_ngrams"]
    assert "question has 3 steps on average" in run.recipe.reasons["outputs.answer.join"]
    assert run.graph.scored["answer"] == ["story_ngrams", "question_ngrams"], "scores go around the join"
    head = run.graph.heads["answer"]
    assert head.pool is not None and not torch.equal(head.pool.weights, torch.full((2,), 0.5)), "it was fitted"


@pytest.mark.parametrize(
    ("inputs", "output"),
    [
        ({"story": "tokens", "question": "category"}, "category"),
        ({"story": "tokens", "question": "tokens"}, {"type": "category", "reads": ["story", "question"]}),
        ({"story": "tokens", "question": "tokens"}, {"type": "category", "join": "concatenate"}),
        ({"story": "tokens"}, "category"),
    ],
)
def test_no_join_is_chosen_over_what_was_given_or_for_what_is_no_sequence(inputs, output):
    join = trained(inputs, output).recipe.settings.outputs["answer"].join
    assert join is None or join.type == "concatenate"


def test_inputs_that_are_nearly_equally_long_ask_nothing():
    assert Attend.suits({"a": 12.0, "b": 9.0}) is None
    assert Attend.suits({"a": 12.0}) is None
    assert Attend.suits({"a": 40.0, "b": 60.0, "c": 4.0}).reads == ["c", "a", "b"]
