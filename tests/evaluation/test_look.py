"""What a look at data shows before anything is trained."""

import pytest

from ostinato import api
from ostinato.errors import BundleError, ConfigError
from ostinato.recipe.infer import recipe_of
from ostinato.run import bundle


@pytest.fixture
def table(tmp_path):
    labels = ["Low"] * 88 + ["low"] * 2 + ["high"] * 9 + ["once"]
    rows = [
        f"T-{row}X,{'Привет' if row % 4 == 0 else 'hello'} {row % 50},{hash_of(label)},{label}"
        for row, label in enumerate(labels)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["id,text,code,level", *rows, rows[0]]) + "\n")
    return str(tmp_path / "t.csv")


def hash_of(label):
    return {"Low": 1, "low": 1, "high": 2, "once": 3}[label]


def test_labels_ids_scripts_and_repeated_rows_are_told(table):
    found = api.look(table)
    assert found.rows == 101 and found.columns["text"].scripts == ["Latin", "Cyrillic"]
    assert found.columns["text"].lengths == [7, 8, 9] and found.columns["level"].different == 4
    told = "\n".join(found.notes)
    for part in (
        "1 of 101 rows occur before",
        "'level' is 'Low' in 88% of the rows",
        "1 label of 'level' occurs once ('once')",
        "labels of 'level' are written almost alike: 'Low' (89) and 'low' (2)",
        "'id' has a value of its own in nearly every row",
    ):
        assert part in told, told
    assert len(found.notes) == 5 and "text: " in "\n".join(found.lines())
    with pytest.raises(ConfigError, match="--out lebel: there is no column 'lebel'; did you mean 'level'"):
        api.look(table, ["lebel"])


def test_a_column_that_gives_the_answer_away_is_told(tmp_path):
    rows = "".join(f"{'ab'[row % 2]},some text {row % 7},{'pq'[row % 2]}\n" for row in range(60))
    (tmp_path / "t.csv").write_text(f"copy,text,label\n{rows}")
    notes = api.look(str(tmp_path / "t.csv")).notes
    assert any("'copy' gives 'label' almost alone (100.0% of the rows)" in note for note in notes)
    assert not any("'text' gives" in note for note in notes)


def test_training_from_a_table_tells_the_same_of_its_labels_and_reads_no_ids(table):
    lines = []
    recipe = recipe_of(table, [], ["level"], say=lines.append)
    assert set(recipe.settings.inputs) == {"text", "code"}
    assert any(line.startswith("left out: id (an id") for line in lines)
    notes = api.label_notes(table, recipe)
    assert len(notes) == 3 and all(note in api.look(table).notes for note in notes)


def test_one_label_alone_is_told(tmp_path):
    (tmp_path / "t.csv").write_text("text,label\n" + "some text,p\n" * 20)
    assert any(
        "'p' in all 20 rows: there is nothing to learn" in note for note in api.look(str(tmp_path / "t.csv")).notes
    )


def test_the_folder_of_a_run_whose_name_is_too_long_is_not_there():
    with pytest.raises(BundleError, match="there is no such folder"):
        bundle.load(bundle.Path("x" * 5000))
