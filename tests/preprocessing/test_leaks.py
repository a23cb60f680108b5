"""Rows of validation that training has too are counted; a column that copies the label is named."""

import random

import pytest

from ostinato.preprocessing.prepare import prepare
from ostinato.recipe.read import from_arguments


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))


def notes(inputs, outputs, train, valid=None):
    data = {"train": train} | ({} if valid is None else {"valid": valid})
    return prepare(from_arguments(inputs, outputs, training={"epochs": 1}), data=data).notes


def rows(number, seed=0):
    draw = random.Random(seed)
    texts = ["".join(draw.choices("abcdefgh", k=8)) for _ in range(number)]
    return [{"x": text, "kind": draw.choice("uvw"), "y": draw.choice(["yes", "no"])} for text in texts]


X = {"x": {"type": "text", "tokenizer": "char"}}


def test_rows_of_validation_that_training_has_are_counted():
    train, valid = rows(40), rows(10, seed=1)
    assert not any("same inputs" in note for note in notes(X, {"y": "category"}, train, valid))
    (note,) = [note for note in notes(X, {"y": "category"}, train, valid + train[:3]) if "same inputs" in note]
    assert note.startswith("valid: 3 of 13 rows")


def test_a_column_that_copies_the_label_is_named():
    train = [row | {"code": {"yes": "Y1", "no": "N0"}[row["y"]]} for row in rows(40)]
    inputs = X | {"code": "category", "kind": "category"}
    (note,) = [note for note in notes(inputs, {"y": "category"}, train) if "copy" in note]
    assert note.startswith("inputs.code gives outputs.y almost alone (100.0%") and "'code'" in note
    assert not any("copy" in note for note in notes({"code": "category"}, {"y": "category"}, train)), (
        "nothing else is read"
    )
    noisy = [row | {"code": "Y1"} if at % 9 == 0 else row for at, row in enumerate(train)]
    assert not any("copy" in note for note in notes(inputs, {"y": "category"}, noisy))


def test_a_number_that_copies_a_number_is_named():
    draw = random.Random(3)
    train = [{"size": draw.random(), "age": draw.random()} for _ in range(40)]
    train = [row | {"price": 3 * row["size"] + 1} for row in train]
    (note,) = [
        note for note in notes({"size": "number", "age": "number"}, {"price": "number"}, train) if "copy" in note
    ]
    assert note.startswith("inputs.size gives outputs.price")


def test_texts_that_differ_and_labels_that_hardly_vary_show_nothing():
    assert not any("copy" in note for note in notes(X, {"y": "category"}, rows(40)))
    one = [row | {"y": "yes" if at else "no"} for at, row in enumerate(rows(40))]
    assert not any("copy" in note for note in notes({"kind": "category"}, {"y": "category"}, one))
