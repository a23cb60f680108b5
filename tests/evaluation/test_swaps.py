"""Counterfactual pairs: words are swapped as they are written, and flips are those of two predictions."""

import json

import pytest

import ostinato
from ostinato import api
from ostinato.errors import DataError
from ostinato.evaluation.draws import wilson
from ostinato.evaluation.report_text import text_of
from ostinato.evaluation.swaps import read_words, swapped_value


def test_whole_words_are_swapped_with_their_capitals(tmp_path):
    file = tmp_path / "words.csv"
    file.write_text("he,she\nhis\ther\n\nthe man,the woman\n")
    words = read_words(file)
    text = "He saw HER and the man; then his hero shed."
    assert swapped_value(text, words) == "She saw HIS and the woman; then her hero shed."
    assert swapped_value(swapped_value(text, words), words) == text
    assert swapped_value(["She", "ran"], words) == ["He", "ran"] and swapped_value(3.5, words) == 3.5
    for bad, message in (
        ("he,she,it", "line 1: 'he,she,it': two words"),
        ("he,she\nhe,it", "line 2: 'he' stands"),
        ("", "no pairs"),
    ):
        file.write_text(bad)
        with pytest.raises(DataError, match=message):
            read_words(file)


def test_flips_are_those_of_the_answers(tmp_path):
    rows = [{"t": f"{who} is {how}", "y": "g" if who == "he" else "b"} for who in ("he", "she") for how in "abcd"] * 4
    train = tmp_path / "train.jsonl"
    train.write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = ostinato.Model(
        {"t": {"type": "tokens", "encoder": {"hidden_size": 8, "dropout": 0.0}}},
        {"y": "category"},
        data={"train": str(train)},
        training={"epochs": 6, "batch_rows": 4, "optimizer": {"type": "adamw", "learning_rate": 0.03}},
    )
    run = model.fit(folder=tmp_path / "run", device="cpu").run
    held = [{"t": "he is a", "y": "g"}, {"t": "she is b", "y": "b"}, {"t": "it is c", "y": "g"}]
    words = tmp_path / "words.csv"
    words.write_text("he,she\n")
    report = api.evaluate(run, data=held, swap=words, device="cpu")
    answers = [answer.best["y"].text for answer in api.predict(run, rows=[{"t": "he is a"}, {"t": "she is a"}])]
    assert answers == ["g", "b"], "it has learnt the words"
    known = report.swaps
    assert (known.rows, known.examples, known.flipped["y"].value) == (2, 3, 100.0)
    assert known.flipped["y"].low == pytest.approx(100 * wilson(2, 2)[0])
    assert (known.flips[0].text, known.flips[0].before, known.flips[0].after) == ("she is a", "g", "b")
    assert "y: swapping them flips 100 % [" in text_of(report) and report.to_json()["swaps"]["rows"] == 2
    words.write_text("b,a\n")
    still = api.evaluate(run, data=held, swap=words, device="cpu").swaps
    assert still.flipped["y"].value == 0 and not still.flips
    words.write_text("king,queen\n")
    assert "nothing is swapped" in text_of(api.evaluate(run, data=held, swap=words, device="cpu"))
