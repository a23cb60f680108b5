"""What a look at data shows before anything is trained."""

import numpy as np
import pytest

from ostinato import api
from ostinato.errors import BundleError, ConfigError
from ostinato.modalities import _pictures
from ostinato.modalities.music import Music
from ostinato.model.graph import Graph
from ostinato.preprocessing.prepare import prepare
from ostinato.recipe.infer import recipe_of
from ostinato.recipe.read import from_arguments
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


def test_the_advice_on_a_column_that_gives_the_answer_away(tmp_path):
    rows = "".join(f"{'ab'[row % 2]},some text {row % 7},{'pq'[row % 2]}\n" for row in range(60))
    (tmp_path / "t.csv").write_text(f"copy,text,label\n{rows}")
    notes = api.look(str(tmp_path / "t.csv")).notes
    advice = "'copy' gives 'label' almost alone (100.0% of the rows), as a copy of the label would; if it is not known"
    assert any(f"{advice} when you predict, leave it out" in note for note in notes)
    assert not any("'text' gives" in note for note in notes)
    (tmp_path / "t.csv").write_text(
        "\n".join(line.partition(",")[2] for line in f"copy,text,label\n{rows}".splitlines())
    )
    assert not any("almost alone" in note for note in api.look(str(tmp_path / "t.csv")).notes)


def test_amounts_that_occur_once_are_no_rare_labels_and_repeated_headers_go_by_the_advice(tmp_path):
    names = "text,temp\n"
    rows = [f"word {row % 50} of a{row},{row % 40 + 0.5}\n" for row in range(400)] + ["b,99.25\n"]
    (tmp_path / "t.csv").write_text(names + "".join(rows))
    assert api.look(str(tmp_path / "t.csv")).notes == []
    (tmp_path / "t.csv").write_text("text,label\n" + "a,x\nb,y\n" * 9 + "text,label\n" + "c,x\n")
    path = str(tmp_path / "t.csv")
    advice = f"1 row repeats the names of the columns (the first: {path} line 20); delete it"
    assert advice in api.look(path).notes and advice in api.label_notes(path, recipe_of(path, [], ["label"]))
    (tmp_path / "t.csv").write_text("text,label\n" + "a,x\nb,y\n" * 9 + "c,x\n")
    assert not any("the names of the columns" in note for note in api.look(path).notes)


def test_training_from_a_table_tells_the_same_of_its_labels_and_reads_no_ids(table):
    lines = []
    recipe = recipe_of(table, [], ["level"], say=lines.append)
    assert set(recipe.settings.inputs) == {"text", "code"}
    assert any(line.startswith("left out: id (an id") for line in lines)
    notes = api.label_notes(table, recipe)
    assert len(notes) == 3 and all(note in api.look(table).notes for note in notes)


@pytest.mark.parametrize(
    ("labels", "advice", "mended"),
    [
        ("p" * 20, "'label' is 'p' in all 20 rows: there is nothing to learn; give rows of others too", "pq" * 10),
        (
            "p" * 29 + "q" * 3,
            "look at F1 of the others rather than at accuracy, or set head.class_weights: balanced",
            "p" * 20 + "q" * 12,
        ),
        (
            "pq" * 10 + "r",
            "1 label of 'label' occurs once ('r'), too few to learn and to test; give more rows of them, or join them"
            " with others",
            "pq" * 10 + "rr",
        ),
        (
            "pq" * 10 + "PP",
            "labels of 'label' are written almost alike: 'p' (10) and 'P' (2); write them as one if they are",
            "pq" * 10 + "pp",
        ),
    ],
)
def test_the_advice_on_labels(tmp_path, labels, advice, mended):
    """Once it is followed, it is given no more."""

    def notes(labels):
        (tmp_path / "t.csv").write_text("text,label\n" + "".join(f"some text,{label}\n" for label in labels))
        return [note for note in api.look(str(tmp_path / "t.csv")).notes if "label" in note]

    assert any(advice in note for note in notes(labels)) and not notes(mended)


def test_the_advice_of_training_to_leave_a_copy_of_the_label_out_and_to_balance_labels():
    rows = [{"copy": "ab"[row % 9 == 0], "text": f"some {row % 7}", "label": "pq"[row % 9 == 0]} for row in range(63)]

    def notes(inputs):
        label = {"label": {"type": "category", "head": {"class_weights": "balanced"}}}
        prepared = prepare(from_arguments(inputs, label), data={"train": rows, "valid": rows})
        assert Graph(prepared.recipe.settings.inputs, prepared.recipe.settings.outputs, prepared.modalities)
        return [note for note in prepared.notes if "as a copy of the label would" in note]

    (told,) = notes({"copy": "text", "text": "text"})
    assert "training rows), as a copy of the label would; if 'copy' is not known when you predict, leave it out" in told
    assert not notes({"text": "text"})


def test_the_folder_of_a_run_whose_name_is_too_long_is_not_there():
    with pytest.raises(BundleError, match="there is no such folder"):
        bundle.load(bundle.Path("x" * 5000))


def test_numbers_that_are_no_text_have_no_lengths(tmp_path):
    rows = "".join(f'{{"size": {row / 7}, "count": {row}, "kind": "{"ab"[row % 2]}"}}\n' for row in range(40))
    (tmp_path / "t.jsonl").write_text(rows)
    lines = api.look(str(tmp_path / "t.jsonl")).lines()
    assert lines[1] == "size: number; 40 different" and lines[3].startswith("kind: category; 2 different; lengths 1")


def test_damaged_tunes_are_read_by_their_own_notation_and_named(tmp_path):
    pytest.importorskip("symusic")
    tune = Music().render(["X:1\nM:2/4\nK:G\nGBdB|"], ".mid")
    for name, content in {"a": tune, "b": tune[:30], "c": tune}.items():
        (tmp_path / f"{name}.mid").write_bytes(content)
    (tmp_path / "manifest.csv").write_text("tune:file,mood\na.mid,x\nb.mid,y\nc.mid,x\n")
    look = api.look(str(tmp_path))
    assert look.columns["tune"].type == "music"
    assert any("line 3: 'tune' cannot be read: this is no whole MIDI file" in note for note in look.notes)
    assert not any("line 2" in note or "line 4" in note for note in look.notes)


def test_tunes_in_abc_that_a_manifest_names_are_read_as_such(tmp_path):
    for name, key in {"a": "K:G\n", "b": "", "c": "K:D\n"}.items():
        (tmp_path / f"{name}.abc").write_text(f"X:1\nM:2/4\n{key}GBdB|\n")
    (tmp_path / "manifest.csv").write_text("tune:file,mood\na.abc,x\nb.abc,y\nc.abc,x\n")
    (note,) = [note for note in api.look(str(tmp_path)).notes if "cannot be read" in note]
    assert "line 3: 'tune' cannot be read: the tune has no key before its first note" in note


def test_files_are_not_opened_where_what_reads_them_is_not_installed(tmp_path, monkeypatch):
    def missing(self, raw):
        raise ConfigError("MIDI is read by a package that is not here: pip install it")

    monkeypatch.setattr(Music, "flaw", missing)
    for number in range(8):
        (tmp_path / f"{number}.mid").write_bytes(b"MThd")
    (note,) = [note for note in api.look(str(tmp_path)).notes if "not opened" in note]
    assert note == "files of 'text' were not opened: MIDI is read by a package that is not here: pip install it"


@pytest.fixture
def clips(tmp_path):
    """A table of 60 folders of frames beside it, in one of which a frame is damaged."""
    (tmp_path / "clips").mkdir()
    rows = []
    for number in range(60):
        folder = tmp_path / "clips" / f"c{number}"
        folder.mkdir()
        for frame in range(2):
            (folder / f"{frame}.png").write_bytes(_pictures.png(np.full((4, 5), (frame + number) % 3 / 2)))
        rows.append(f"clips/c{number},{'ab'[number % 2]},{number % 7}\n")
    (tmp_path / "clips/c1/1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "t.csv").write_text("clip,kind,place\n" + "".join(rows))
    return tmp_path


def test_a_column_of_folders_of_frames_is_one_of_videos(clips, monkeypatch):
    monkeypatch.chdir(clips)
    look = api.look("t.csv", ["kind"])
    assert look.columns["clip"].type == "video" and not look.columns["clip"].lengths
    (note,) = look.notes
    assert note.startswith("t.csv line 3: 'clip' cannot be read: frame 2 (clips/c1/1.png): this is no picture")
    (clips / "clips/c1/1.png").write_bytes((clips / "clips/c0/1.png").read_bytes())
    recipe = recipe_of("t.csv", (), ["kind"], say=(told := []).append)
    assert recipe.settings.inputs["clip"].type == "video"
    advice = "NOT SURE: to read the paths themselves write text"
    assert f"input clip: video (paths of folders of files that end in .png; {advice})" in told
    assert recipe_of("t.csv", ["clip:text"], ["kind"]).settings.inputs["clip"].type == "text"


def test_the_advice_on_a_column_of_folders_beside_the_table(clips, monkeypatch):
    monkeypatch.chdir(clips / "clips")
    look = api.look("../t.csv", ["kind"])
    assert look.notes == [
        "'clip' names folders beside the table, and paths are relative to the working folder; change to .. to have them"
        " read"
    ]
    monkeypatch.chdir(clips)
    assert not any("beside the table" in note for note in api.look("t.csv", ["kind"]).notes)


def test_words_that_happen_to_name_a_folder_stay_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a0b").mkdir()
    (tmp_path / "t.csv").write_text("id,kind,text\n" + "".join(f"a{n}b,{n % 2},x {n % 9}\n" for n in range(60)))
    look = api.look("t.csv", ["kind"])
    assert look.columns["id"].type == "text" and any("as ids do" in note for note in look.notes)


def look_at(path, text):
    path.write_text(text)
    found = api.look(str(path))
    return found.lines()[0], "\n".join(found.notes)


def test_empty_rows_are_no_repeated_ones_and_one_row_is_one(tmp_path):
    rows, notes = look_at(tmp_path / "t.csv", "text,label\n" + "".join(f"a {row},x\n,\n" for row in range(30)))
    assert rows.endswith(": 60 rows") and "30 rows are empty, and left out (the first: " in notes and "line 3" in notes
    assert "occur before" not in notes
    assert look_at(tmp_path / "t.csv", "text,label\na,b\n")[0].endswith(": 1 row")
    many = "".join(f"a {row},x\n" for row in range(6000))
    assert look_at(tmp_path / "t.csv", "text,label\n" + many)[0].endswith(": the first 5,000 rows")


def test_the_advice_on_a_constant_and_on_labels_that_stand_for_none(tmp_path):
    marks = ["good", "bad", "NA", "n/a", "?", "-"]
    rows = "".join(f"some text {row},here,{marks[row % 6]}\n" for row in range(120))
    _, notes = look_at(tmp_path / "t.csv", "text,shop,label\n" + rows)
    assert "'shop' says nothing, since it is the same in each row; a model learns nothing of it: leave it out" in notes
    assert (
        "labels of 'label' seem to stand for none: 'NA' (20), 'n/a' (20), '?' (20), '-' (20); if they do, empty"
        in notes
    )
    assert "'text' says" not in notes


def test_the_advice_on_a_file_whose_first_line_is_a_row(tmp_path):
    rows = "".join(f"some text {row},{'good' if row % 3 else 'bad'}\n" for row in range(60))
    _, notes = look_at(tmp_path / "t.csv", "a first text,good\n" + rows)
    assert "the first line calls a column 'good', which is its value in 40 rows too, so it seems to be a row" in notes
    assert "; write a line of names before it" in notes
    assert "calls a column" not in look_at(tmp_path / "t.csv", "text,label\n" + rows)[1]


@pytest.mark.parametrize(
    ("days", "told"),
    [
        ([*range(1, 29)], "rows of numbers by date: `ostinato train "),
        ([*range(1, 9), *range(10, 29)], "rows of numbers by date: `ostinato train "),
        ([1, 2, 3, 3, 4, 5, 6], "2022-01-03 occurs twice; keep one row for each time"),
        ([1, 2, 3, 5, 4, 6, 7], "2022-01-04 comes after 2022-01-05; sort the rows by 'date'"),
    ],
)
def test_the_advice_on_rows_by_date_and_on_the_order_that_a_forecast_needs(tmp_path, days, told):
    rows = "".join(f"2022-01-{day:02},{20.5 + day * day % 7}\n" for day in days)
    _, notes = look_at(tmp_path / "t.csv", "date,load\n" + rows)
    assert told in notes and "as ids do" not in notes
    texts = "".join(f"2022-01-{day:02},some text {day}\n" for day in days)
    assert not any(
        part in look_at(tmp_path / "t.csv", "date,text\n" + texts)[1] for part in ("forecast", "comes after")
    )
