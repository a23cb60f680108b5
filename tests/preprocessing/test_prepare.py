"""A share of the training rows: nested, drawn by seed, and no label of the task is lost with the rows that are left
out."""

import random
from types import SimpleNamespace

import numpy as np
import pytest

from ostinato import api
from ostinato.data.split import set_aside
from ostinato.errors import ConfigError, DataError
from ostinato.preprocessing import prepare as preprocessing_prepare
from ostinato.recipe.read import from_arguments
from ostinato.run.rows import of_split
from ostinato.run.run import Run
from ostinato.run.score import scores


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))


def rows(number):
    draw = random.Random(0)
    return [{"x": "".join(draw.choices("abcdef", k=3)), "y": str(row % number)} for row in range(40)]


def recipe(fraction, output="tokens", **training):
    small = {"type": "tokens", "separator": "", "encoder": {"hidden_size": 4}}
    made = {
        "y": {"type": output} if output == "category" else {"type": output, "head": {"decoder": {"hidden_size": 4}}}
    }
    return from_arguments(
        {"x": small}, made, data={"fraction": fraction}, training={"epochs": 1, "batch_rows": 8, **training}
    )


def train_rows(fraction, **training):
    return preprocessing_prepare.prepare(recipe(fraction, **training), data={"train": rows(2)}).splits["train"].rows


def test_a_smaller_fraction_is_part_of_a_larger_one_and_valid_stays_the_same():
    few, some, whole = (train_rows(fraction) for fraction in (0.1, 0.5, 1.0))
    assert [len(few), len(some), len(whole)] == [4, 18, 36]
    assert set(few.tolist()) < set(some.tolist()) < set(whole.tolist())
    assert not np.array_equal(some, train_rows(0.5, seed=2))
    made = preprocessing_prepare.prepare(recipe(0.1), data={"train": rows(2)})
    assert made.splits["valid"].rows.tolist() == set_aside(40, seed=1)[1].tolist()
    assert "data.fraction 0.1: 4 of 36 training rows kept, drawn by seed" in made.notes
    with pytest.raises(ConfigError, match="data.fraction"):
        recipe(0)


def test_runs_of_one_data_seed_set_the_same_rows_aside_and_keep_the_same_ones():
    def drawn(**seeds):
        made = from_arguments(
            {"x": "text"}, {"y": "category"}, data={"fraction": 0.5, "seed": seeds.get("data")}, training=seeds["own"]
        )
        splits = preprocessing_prepare.prepare(made, data={"train": rows(2)}).splits
        return splits["valid"].rows.tolist(), splits["train"].rows.tolist()

    assert drawn(own={"seed": 2}, data=1) == drawn(own={"seed": 1}) != drawn(own={"seed": 2})
    for data in ({"train": "a.tsv", "valid": "b.tsv"}, {"split": {"valid": 8}, "time": "t"}):
        columns = ({"x": "text"}, {"y": "category"}) if "train" in data else ({"x": "series"}, {"y": {"of": "x"}})
        with pytest.raises(ConfigError, match="data.seed: draws rows that are set aside or kept, and here none are"):
            from_arguments(*columns, data={**data, "seed": 1})


def test_windows_of_series_have_no_fraction():
    plain = {"load": "series"}, {"ahead": {"of": "load", "horizon": 3}}
    from_arguments(*plain)
    with pytest.raises(ConfigError, match="data.fraction: keeps a share of the rows, and here they are windows"):
        from_arguments(*plain, data={"fraction": 0.5})


def test_pieces_are_fitted_on_the_rows_that_are_kept_and_labels_on_all():
    data = {"train": rows(20), "valid": rows(20)}
    made = preprocessing_prepare.prepare(recipe(0.05, "category"), data=data)
    assert len(made.splits["train"].rows) == 2
    assert len(made.modalities["outputs.y"].facts()["labels"]) == 20
    kept = {letter for row in made.splits["train"].rows for letter in data["train"][row]["x"]}
    assert set(made.modalities["inputs.x"].facts()["symbols"]) == kept


@pytest.mark.parametrize("valid", ["valid.tsv", None])
def test_the_training_rows_that_a_run_knows_are_those_that_it_was_trained_on(tmp_path, valid):
    for name in ("train.tsv", "valid.tsv"):
        (tmp_path / name).write_text("x\ty\n" + "".join(f"{row['x']}\t{row['y']}\n" for row in rows(2)))
    data = {"train": str(tmp_path / "train.tsv"), "fraction": 0.25} | (
        {"valid": str(tmp_path / "valid.tsv")} if valid else {}
    )
    made = from_arguments({"x": "tokens"}, {"y": "tokens"}, data=data)
    run = SimpleNamespace(recipe=made, bundle=SimpleNamespace(data={}), modalities={})
    known = of_split(run, "train", None, ()).rows
    assert known.tolist() == preprocessing_prepare.prepare(made).splits["train"].rows.tolist() and len(known) in (9, 10)


def test_a_run_does_not_go_on_with_another_fraction(tmp_path):
    notes = []
    given = {"resume": True, "device": "cpu", "data": {"train": rows(2)}, "say": notes.append}
    api.fit(recipe(0.5), tmp_path / "run", **given)
    assert not any("this run is finished" in note for note in notes)
    api.fit(recipe(0.5), tmp_path / "run", **given)
    assert any("this run is finished" in note for note in notes)
    with pytest.raises(ConfigError, match="data.fraction was 0.5, is 1.0"):
        api.fit(recipe(1.0), tmp_path / "run", **given)


def test_what_follows_an_input_in_a_column_of_its_own_has_as_many_steps(tmp_path):
    text = {"type": "text", "tokenizer": "char", "encoder": {"hidden_size": 4}}
    made = from_arguments(
        {"x": text}, {"y": {"of": "x", "align": "next", "column": "y"}}, training={"epochs": 1, "batch_rows": 8}
    )
    shifted = [{"x": row["x"], "y": row["x"][1:] + "a"} for row in rows(2)]
    data = {"train": shifted}
    api.fit(made, tmp_path / "run", device="cpu", data=data)
    run = Run.load(tmp_path / "run", "cpu")
    uneven = [*shifted[:3], {"x": "abc", "y": "ab"}, *shifted[3:]]
    with pytest.raises(
        DataError,
        match=r"row 4: outputs.y has 2 steps and inputs.x 3 \(one row like this\); align: next predicts what follows",
    ):
        preprocessing_prepare.prepare(made, data={"train": shifted, "valid": uneven})
    assert len(scores([run], shifted[:3])["y"].rows) == 3
    with pytest.raises(
        DataError, match="row 3: outputs.y has 2 symbols and inputs.x 3 steps; align: next needs one symbol per step"
    ):
        scores([run], uneven)


def test_an_empty_text_among_several_is_read_as_one_and_the_advice_leaves_it_out():
    texts = [("a", "b"), ("", "b"), ("a", None), ("", None), ("a", "b")] * 4
    given = [{"x": x, "z": z, "y": "pq"[row % 2]} for row, (x, z) in enumerate(texts)]
    small = {"type": "text", "tokenizer": "char", "encoder": {"hidden_size": 4}}

    def prepared(**data):
        made = from_arguments({"x": small, "z": small}, {"y": "category"}, data=data, training={"epochs": 1})
        return preprocessing_prepare.prepare(made, data={"train": given, "valid": given[:5]})

    kept = prepared()
    assert kept.splits["train"].rows.tolist() == [row for row in range(20) if row % 5 != 3]
    assert kept.splits["train"].lengths("inputs.x").tolist() == [1, 0, 1, 1] * 4
    assert "train: 4 rows have an empty inputs.x, read as such; data.missing: drop leaves them out" in kept.notes
    assert any(
        "4 rows left out" in note and "are all missing (the first: data.train row 4)" in note for note in kept.notes
    )
    dropped = prepared(missing="drop")
    assert dropped.splits["train"].rows.tolist() == [0, 4, 5, 9, 10, 14, 15, 19]
    assert not any("read as such" in note for note in dropped.notes)


STORY, QUESTION = ["mary", "moved", "to", "the", "garden"], ["where", "is", "mary"]


def prepared_of(tmp_path, story=STORY, question=QUESTION, *, outputs=None, rows=2_200, encoder=None, **given):
    """What is chosen for rows of three of these words, and what is counted."""
    draw = random.Random(0)
    texts = [
        {
            "story": " ".join(draw.choices(story, k=3)),
            "question": " ".join(draw.choices(question, k=3)),
            "y": "ab"[i % 2],
        }
        for i in range(rows)
    ]
    (tmp_path / "v.txt").write_text("".join(f"{word} 1 2\n" for word in (*STORY, *QUESTION, *map(str, range(500)))))
    column = given or {"type": "tokens"}
    inputs = {name: {**column, **({"encoder": encoder} if encoder else {})} for name in ("story", "question")}
    made = from_arguments(inputs, outputs or {"y": "category"})
    recipe = preprocessing_prepare.prepare(made, data={"train": texts}, roots=[tmp_path]).recipe
    return "made by rules" in recipe.reasons["inputs.story.encoder.dropout"], [
        name for name in recipe.settings.inputs if name.endswith("ngrams")
    ]


def test_texts_made_by_rules_are_few_words_that_occur_often_and_are_not_counted(tmp_path):
    assert prepared_of(tmp_path) == (True, [])
    assert prepared_of(tmp_path, type="text", tokenizer="word") == (True, [])
    assert prepared_of(tmp_path, encoder={"embedding": {"file": "v.txt", "extend": True}}) == (True, [])


@pytest.mark.parametrize(
    "other",
    [
        {"story": list("ACGTN"), "question": list("ACG")},
        {"type": "text", "tokenizer": "char"},
        {"type": "text", "tokenizer": "bpe"},
        {"story": [f"word{number}" for number in range(101)]},
        {"rows": 300},
    ],
)
def test_other_texts_are_counted_too(tmp_path, other):
    assert prepared_of(tmp_path, **other) == (False, ["story_ngrams", "question_ngrams"])


def test_one_text_alone_is_counted_too_and_several_answers_are_as_one(tmp_path):
    rows = [{"story": "mary moved there now", "y": "ab"[place % 2], "z": "cd"[place % 2]} for place in range(3_000)]
    alone = preprocessing_prepare.prepare(from_arguments({"story": "tokens"}, {"y": "category"}), data={"train": rows})
    assert "story_ngrams" in alone.recipe.settings.inputs
    for row in rows:
        row["question"] = "where is mary"
    asked = from_arguments({"story": "tokens", "question": "tokens"}, {"y": "category", "z": "category"})
    both = preprocessing_prepare.prepare(asked, data={"train": rows})
    assert list(both.recipe.settings.inputs) == ["story", "question"]
    assert [place for place in both.modalities if place.startswith("inputs.")] == ["inputs.story", "inputs.question"]
    assert all(set(output.reads) == {"story", "question"} for output in both.recipe.settings.outputs.values())
