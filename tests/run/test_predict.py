"""Company changes nothing: an example's answer is the same alone, in a batch, in any order."""

import random

import numpy as np
import pytest
import torch

import ostinato
from ostinato.registry import settings_class
from ostinato.run import predict as run_predict
from ostinato.run.predict import answers
from ostinato.run.score import scores

LETTERS = "abcde"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small model that has learnt a little, so that its answers differ in length and content."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSTINATO_CACHE", str(tmp_path_factory.mktemp("cache")))
        model = ostinato.Model(
            inputs={"x": {"type": "text", "tokenizer": "char", "encoder": {"hidden_size": 16, "embedding_size": 8}}},
            outputs={
                "y": {
                    "type": "text",
                    "tokenizer": "char",
                    "head": {"decoder": {"hidden_size": 16}, "embedding_size": 8},
                }
            },
            training={
                "epochs": 4,
                "batch_rows": 16,
                "max_steps": 12,
                "optimizer": {"type": "adamw", "learning_rate": 0.02},
                "schedule": "constant",
            },
        )
        yield model.fit(rows(160), rows(16, seed=9), device="cpu").run
    torch.set_num_threads(threads)


def rows(number, seed=0):
    draw = random.Random(seed)
    texts = ["".join(draw.choices(LETTERS, k=draw.randint(1, 8))) for _ in range(number)]
    return [{"x": text, "y": text[::-1]} for text in texts]


@pytest.mark.parametrize("search", ["greedy", "beam", "sample"])
def test_answers_are_the_same_alone_in_any_batch_and_in_any_order(run, search):
    given = [*rows(17, seed=3), {"x": ""}, {"x": "abc" * 9}]
    settings = settings_class("searches", search)()
    alone = [answers([run], [row], search=settings)[0]["y"] for row in given]
    assert len({one[0].text for one in alone}) > 5, "answers that are all alike would prove nothing"
    order = random.Random(1).sample(range(len(given)), len(given))
    for batch_rows in (1, 3, 64):
        found = answers([run], [given[place] for place in order], search=settings, batch_rows=batch_rows)
        for place, one in zip(order, found):
            assert [answer.text for answer in one["y"]] == [answer.text for answer in alone[place]]
            assert one["y"][0].score == pytest.approx(alone[place][0].score, rel=1e-5, abs=1e-5)


def test_scores_are_the_same_alone_and_in_any_batch(run):
    given = rows(17, seed=3)
    alone = [scores([run], [row])["y"].scored.log_probability.item() for row in given]
    for batch_rows in (3, 64):
        assert scores([run], given, batch_rows=batch_rows)["y"].scored.log_probability.tolist() == pytest.approx(
            alone, rel=1e-5
        )


def test_one_huge_row_is_computed_without_company(monkeypatch):
    lengths = [5, 50_000, 5, 0, 9_000, 9_000]
    batches = list(run_predict.batches_of({"x": [np.zeros(one, np.int32) for one in lengths]}, 64))
    assert batches == [[1], [4], [5], [0, 2, 3]]
    assert all(
        len(one) * max(lengths[row] for row in one) <= run_predict.BATCH_STEPS or len(one) == 1 for one in batches
    )


def test_a_row_longer_than_those_trained_on_is_named_and_answered(run):
    told = []
    (one,) = answers([run], [{"x": "a" * 30}], place=lambda row: f"line {row + 7}", say=told.append)
    assert told == ["line 7: inputs.x has 30 steps, and training.max_steps was 12; answered all the same"]
    longest = run.bundle.lengths["y"]
    assert len(one["y"][0].value) <= run_predict.LONGEST_ANSWER * longest + 20


def test_an_error_names_the_example(run):
    from ostinato.errors import DataError

    with pytest.raises(DataError, match=r"^line 2, inputs\.x: .*surrogate"):
        answers([run], [{"x": "a"}, {"x": "\ud800"}], place=lambda row: f"line {row + 1}")
