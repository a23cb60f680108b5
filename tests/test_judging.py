"""Long texts are judged in pieces: their sums are those of the texts, and one text has an interval."""

import random

import numpy as np
import pytest

import ostinato
from ostinato.judging import _in_pieces, examine, metrics_of, report
from ostinato.predicting import scores
from ostinato.rows import of_split

LENGTHS = (4000, 30, 900)


def texts():
    """Words that come back for a while: neighbours are alike."""
    draw, made = random.Random(0), []
    for length in LENGTHS:
        text = ""
        while len(text) < length:
            text += (draw.choice(["ab", "cd", "ef"]) + " ") * draw.randint(5, 30)
        made.append({"text": text[:length]})
    return made


@pytest.fixture(scope="module", params=["char", "word"])
def run(request, tmp_path_factory):
    encoder = {"cell": "gru", "hidden_size": 6, "embedding_size": 4}
    model = ostinato.Model(
        inputs={"text": {"type": "text", "tokenizer": request.param, "encoder": encoder}},
        outputs={"on": {"of": "text", "align": "next"}},
        training={"epochs": 1, "batch_rows": 4, "seed": 1},
    )
    rows = [{"text": one["text"][at : at + 60]} for one in texts() for at in range(0, len(one["text"]), 60)]
    return model.fit(rows, rows[:5], folder=tmp_path_factory.mktemp("run") / "run").run


def examined(run, rows):
    return examine([run], of_split(run, "test", rows, ())[0])


def test_pieces_sum_to_the_texts(run):
    rows = texts()
    whole, found = scores([run], rows)["on"], examined(run, rows)
    judged, numbers = found.outputs["on"], found.numbers["on"]
    assert found.rows == 3 and set(numbers) == {0, 1, 2} and len(numbers) == 4000 // 50 + 1 + 900 // 50
    for number, row in enumerate(rows):
        mine = [at for at, one in enumerate(numbers) if one == number]
        assert "".join(judged.expected[at] for at in mine) == row["text"]
        for name in ("log_probability", "num_targets", "num_right"):
            told = float(getattr(whole.scored, name)[number])
            assert sum(getattr(judged, name)[at] for at in mine) == pytest.approx(told, rel=1e-4), name
        assert whole.by_step[number].shape == (int(whole.scored.num_targets[number]), 2)
        assert whole.by_step[number].sum(0) == pytest.approx([float(whole.scored.log_probability[number]), float(whole.scored.num_right[number])], rel=1e-4)


def test_one_text_has_an_interval_over_blocks_of_its_pieces(run):
    told = report(run, examined(run, texts()[:1]), "test")["outputs"]["on"]
    assert set(told) == set(metrics_of(run, "on"))
    for one in told.values():
        assert one["low"] <= one["value"] <= one["high"] and "block bootstrap over " in one["method"] and "piece" in one["method"]
    assert told["bits_per_character"]["low"] < told["bits_per_character"]["value"] < told["bits_per_character"]["high"]


def test_many_texts_are_judged_as_they_are(run):
    rows = [{"text": "ab cd ef " * 30}] * 120
    found = examined(run, rows)
    assert found.numbers["on"] == list(range(120))
    assert " row" in report(run, found, "test")["outputs"]["on"]["perplexity"]["method"]


def kept(*expected):
    columns = {name: [0.0] * len(expected) for name in ("log_probability", "num_targets", "num_right")}
    return columns | {"expected": list(expected), "predicted": [None] * len(expected)}


def test_a_text_is_cut_at_equal_shares_of_its_characters_and_of_its_steps():
    steps = np.stack([-np.arange(31.0), np.arange(31) % 2], 1)
    made, stand = _in_pieces(kept(list(range(150))), [steps], [7])
    assert made["expected"] == [list(range(50)), list(range(50, 100)), list(range(100, 150))] and stand == [7, 7, 7]
    assert made["num_targets"] == [10, 11, 10] and made["predicted"] == [None] * 3
    assert made["log_probability"] == [-sum(range(10)), -sum(range(10, 21)), -sum(range(21, 31))]
    assert made["num_right"] == [5, 5, 5]


def test_what_is_short_empty_or_not_told_by_step_stays_whole():
    steps = np.zeros((3, 2))
    made, stand = _in_pieces(kept("short", ""), [steps, steps[:1]], [3, 5])
    assert (made["expected"], made["num_targets"], stand) == (["short", ""], [3, 1], [3, 5])
    long = kept("x" * 500)
    assert _in_pieces(long, [None], [3]) == (long, [3])
    nothing = kept()
    assert _in_pieces(nothing, [], []) == (nothing, [])
