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


def test_a_column_that_copies_a_rare_label_is_named():
    train = [row | {"y": "yes" if at % 20 == 0 else "no"} for at, row in enumerate(rows(400))]
    copied = [row | {"code": {"yes": "Y1", "no": "N0"}[row["y"]]} for row in train]
    inputs = X | {"code": "category", "kind": "category"}
    (note,) = [note for note in notes(inputs, {"y": "category"}, copied) if "copy" in note]
    assert note.startswith("inputs.code gives outputs.y almost alone (100.0%")
    noisy = [row | {"code": "N0"} if at % 60 == 0 else row for at, row in enumerate(copied)]
    assert not any("copy" in note for note in notes(inputs, {"y": "category"}, noisy)), "7 of 20 rare rows is not known"
    few = [row | {"y": "no", "code": "N0"} if at % 60 else row for at, row in enumerate(copied)]
    assert not any("copy" in note for note in notes(inputs, {"y": "category"}, few)), "7 rows show nothing"


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


def test_a_number_whose_ranges_are_the_labels_is_named():
    draw = random.Random(5)
    train = [row | {"score": draw.random(), "at": draw.random()} for row in rows(120)]
    train = [row | {"score": row["score"] + (row["y"] == "yes")} for row in train]
    inputs = X | {"score": "number", "at": "number"}
    (note,) = [note for note in notes(inputs, {"y": "category"}, train) if "copy" in note]
    assert note.startswith("inputs.score gives outputs.y almost alone (100.0% of the ")
    assert "leave it out" in note and "'score' is not known when you predict" in note
    mixed = [row | {"score": row["at"]} if at % 20 == 0 else row for at, row in enumerate(train)]
    assert not any("copy" in note for note in notes(inputs, {"y": "category"}, mixed))
    numbered = [row | {"at": at} for at, row in enumerate(sorted(train, key=lambda row: row["y"]))]
    assert sum("copy" in note for note in notes(inputs, {"y": "category"}, numbered)) == 2


def test_a_text_that_spells_its_label_goes_by_the_advice():
    train = [row | {"x": f"{row['x']} was {row['y'].title()}, they said"} for row in rows(60)]
    words = {"x": {"type": "text", "tokenizer": "word"}}
    (note,) = [note for note in notes(words, {"y": "category"}, train) if "among its words" in note]
    assert note.startswith("inputs.x has the value of outputs.y among its words (100.0% of the training rows)")
    assert note.endswith("if it is not there when you predict, delete it from the texts")
    cut = [row | {"x": row["x"].replace("Yes", "").replace("No", "")} for row in train]
    assert not any("among its words" in note for note in notes(words, {"y": "category"}, cut))
    split = [row | {"x": row["x"].replace(",", " ,").split()} for row in train]
    (note,) = [note for note in notes({"x": "tokens"}, {"y": "category"}, split) if "among its words" in note]
    both = [row | {"x": f"{row['x']} yes or no"} for row in train]
    assert not any("among its words" in note for note in notes(words, {"y": "category"}, both))


def test_rows_that_are_alike_but_for_their_label_go_by_the_advice():
    draw = random.Random(2)
    train = [row | {"x": row["x"][:2], "place": draw.choice(["north", "south"])} for row in rows(80)]
    train = [row | {"x": f"{at % 40}", "y": "yes" if at < 40 or at % 4 else "no"} for at, row in enumerate(train)]
    (note,) = [note for note in notes(X, {"y": "category"}, train, rows(9, seed=1)) if "add an input" in note]
    assert note.startswith(
        "20 of 80 training rows have the same inputs as a row of another value of outputs.y: no model gets more than"
        " 87.5% of the training rows right; correct these values, or add an input that tells such rows apart"
    )
    held = [row | {"place": "north"} for row in rows(9, seed=1)]
    corrected = [row | {"y": "yes"} for row in train] + [row | {"place": "north"} for row in rows(9)]
    more = [row | {"place": "north" if at < 40 else "south"} for at, row in enumerate(train)]
    for inputs, data in ((X, corrected), (X | {"place": "category"}, more)):
        assert not any("add an input" in note for note in notes(inputs, {"y": "category"}, data, held))
    drawn = [{"x": row["x"], "y": [[0, 0, 0], [1, at, 1]]} for at, row in enumerate(train)]
    pen = {"y": {"type": "strokes", "align": "free", "head": {"type": "decoded", "step_head": "mixture_density"}}}
    assert not any("add an input" in note for note in notes(X, pen, drawn, drawn[:9]))
    amounts = [row | {"y": float(at % 7)} for at, row in enumerate(train)]
    assert not any("add an input" in note for note in notes(X, {"y": "number"}, amounts, amounts[:9]))


def test_labels_that_validation_alone_has_are_counted_and_go_by_the_advice(tmp_path):
    (tmp_path / "t.csv").write_text(
        "x,y\n"
        + "".join(f"{row['x']},{'rare' + str(at) if at % 4 == 0 else row['y']}\n" for at, row in enumerate(rows(200)))
    )
    data = {"train": str(tmp_path / "t.csv")}
    told = prepare(from_arguments(X, {"y": "category"}, data=data, training={"epochs": 1}))
    (note,) = [note for note in told.notes if "no model can know it" in note]
    assert (
        note.startswith("valid: ") and " of 20 rows have a label of outputs.y that no training row has, such as 'rare"
    )
    assert note.endswith("no model can know it; give more rows of such labels, or leave them out")
    kept = prepare(from_arguments(X, {"y": "category"}, data=data | {"valid": data["train"]}, training={"epochs": 1}))
    assert not any("no model can know it" in note for note in kept.notes)
