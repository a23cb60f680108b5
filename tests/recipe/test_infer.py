"""What a look at a file makes of its columns, and that the recipe which is written says just that."""

import json
import random

import numpy as np
import pytest

from ostinato import api
from ostinato.data.columns import columns_in
from ostinato.data.read import is_data
from ostinato.errors import ConfigError, DataError
from ostinato.evaluation.look import look
from ostinato.preprocessing.prepare import prepare
from ostinato.recipe import first_rows
from ostinato.recipe import read as recipe_read
from ostinato.recipe.continued import SHORT
from ostinato.recipe.first_rows import look_at
from ostinato.recipe.infer import guess, recipe_of
from ostinato.recipe.schema import opened
from ostinato.recipe.yaml_text import parse_yaml

DRAW = random.Random(3)
WORDS = "the cat sat on a red mat and saw no dog today but heard many birds near some old house".split()
PROSE = [" ".join(DRAW.choices(WORDS, k=DRAW.randint(3, 9))) + f" {row}." for row in range(100)]
TOPICS = [DRAW.choice(["food", "film", "sport"]) for _ in range(100)]
STARS = [DRAW.randint(1, 5) for _ in range(100)]
PRICES = [round(DRAW.random() * 100, 2) for _ in range(100)]
DNA = ["".join(DRAW.choices("ACGT", k=60)) for _ in range(100)]
TURNS = [" ".join(DRAW.choices(["left", "right", "on"], k=DRAW.randint(1, 6))) for _ in range(100)]
FEATURES = [";".join(map(DRAW.choice, (["N", "V"], ["NOM", "GEN", "ACC"], ["SG", "PL"]))) for _ in range(100)]
FOLDED = [
    ("".join(DRAW.choices("ACDEFGHIK", k=length)), "".join(DRAW.choices("HEC", k=length))) for length in range(12, 112)
]


def table(folder, columns, name="a.jsonl"):
    rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
    if name.endswith(".jsonl"):
        text = "\n".join(map(json.dumps, rows))
    else:
        text = "\n".join(["\t".join(columns), *("\t".join(map(str, row.values())) for row in rows)])
    (folder / name).write_text(text + "\n")
    return str(folder / name)


COLUMNS = {
    "prose": (PROSE, "text", True),
    "topics": (TOPICS, "category", True),
    "stars": (STARS, "category", False),
    "prices": (PRICES, "number", True),
    "signs": ([row % 2 for row in range(100)], "category", True),
    "years": ([1900 + row % 20 for row in range(100)], "number", False),
    "dna": (DNA, {"type": "tokens", "separator": ""}, False),
    "turns": (TURNS, "tokens", False),
    "questions": ([f"where is {('mary', 'john')[row % 2]} ?" for row in range(100)], "tokens", False),
    "features": (FEATURES, {"type": "tokens", "separator": ";"}, False),
    "zips": ([f"{row % 20:05}" for row in range(100)], "category", False),
    "ids": ([str(10**18 + row % 9) for row in range(100)], "category", False),
    "grouped": ([f"{row + 10},{row:03}" for row in range(100)], "number", True),
    "names": ([f"person {row}" for row in range(100)], "text", True),
}


@pytest.mark.parametrize("form", ["a.jsonl", "a.tsv"])
@pytest.mark.parametrize("name", COLUMNS)
def test_the_kind_of_a_column_is_seen_in_its_cells(tmp_path, name, form):
    cells, kind, is_sure = COLUMNS[name]
    made = guess(table(tmp_path, {"x": cells, "y": TOPICS}, form), ["x"], ["y"]).inputs["x"]
    assert made.settings == kind, made
    assert (made.instead is None) == is_sure, made


def test_parts_between_separators_are_steps_of_an_input_and_one_label_of_an_output(tmp_path):
    made = guess(table(tmp_path, {"x": PROSE, "y": FEATURES}), ["x"], ["y"])
    assert made.outputs["y"].settings == "category"
    for cells in (
        ["a;b", "c;d"] * 50,
        [cell.replace(";", " ") for cell in FEATURES],
        [f"x;{row}" for row in range(100)],
    ):
        made = guess(table(tmp_path, {"x": cells, "y": TOPICS}), ["x"], ["y"])
        assert made.inputs["x"].settings != {"type": "tokens", "separator": ";"}


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([[1.5, 2], [3]] * 50, "series"),
        ([[1, 2], [3]] * 50, "tokens"),
        ([["a", "b"]] * 100, "tokens"),
        ([True, False] * 50, "category"),
        ([None, *PRICES[1:]], "number"),
    ],
)
def test_values_that_are_no_text_are_seen_too(tmp_path, cells, kind):
    assert guess(table(tmp_path, {"x": cells, "y": TOPICS}), ["x"], ["y"]).inputs["x"].settings == kind


def test_as_many_labels_as_words_are_tags_and_the_input_then_has_a_step_for_each(tmp_path):
    labels = [" ".join(DRAW.choice(["N", "V", "D"]) for _ in text.split()) for text in PROSE]
    made = guess(table(tmp_path, {"words": PROSE, "labels": labels}), [], [])
    assert (made.inputs["words"].settings, made.outputs["labels"].settings) == ("tokens", "tags")
    assert "as many labels as words has words in every row" in made.outputs["labels"].reason
    one_long = guess(table(tmp_path, {"words": PROSE, "labels": [*labels[:-1], labels[-1] + " N"]}), [], [])
    assert one_long.outputs["labels"].settings == "tags" and one_long.outputs["labels"].instead
    assert "in all rows but 1," in one_long.outputs["labels"].reason
    several = [f"{row} N" if at % 20 == 0 else row for at, row in enumerate(labels)]
    assert guess(table(tmp_path, {"words": PROSE, "labels": several}), [], []).outputs["labels"].settings != "tags"
    told = guess(table(tmp_path, {"words": PROSE, "labels": labels}), ["words:text"], ["labels"])
    assert told.inputs["words"].settings == "text" and "write tokens" in told.outputs["labels"].instead
    rows = [{"word": ["Bo", "left", "Rome"], "tag": ["U-PER", "O", "U-LOC"]}] * 40
    (tmp_path / "same.conll").write_text(
        "\n".join("".join(f"{a} {b}\n" for a, b in zip(*row.values())) for row in rows)
    )
    same = guess("{word tag: same.conll}", ["word"], ["tag"], base=tmp_path)
    assert same.outputs["tag"].settings == "tags", (
        "columns of one file have a label for each word, however alike its rows"
    )
    spans = [" ".join("B-X" if at == 0 else "O" for at, _ in enumerate(text.split())) for text in PROSE]
    made = guess(table(tmp_path, {"words": PROSE, "labels": spans}), [], []).outputs["labels"]
    assert (made.settings, made.instead) == ("tags", None)


def test_a_label_for_each_letter_is_seen(tmp_path):
    sequence, states = zip(*FOLDED)
    made = guess(table(tmp_path, {"sequence": sequence, "states": states}), [], [])
    assert made.inputs["sequence"].settings == {"type": "tokens", "separator": ""}
    assert made.outputs["states"].settings == {"type": "tags", "separator": ""}


def test_the_last_column_is_the_output_and_what_numbers_the_rows_is_left_out(tmp_path):
    made = guess(table(tmp_path, {"id": range(1, 101), "review": PROSE, "topic": TOPICS}, "a.tsv"), [], [])
    assert (list(made.inputs), list(made.outputs), list(made.left_out)) == (["review"], ["topic"], ["id"])
    assert made.choice.startswith("NOT SURE: topic is the output because it is the last column")
    assert list(guess(table(tmp_path, {"id": range(1, 101), "topic": TOPICS}, "a.tsv"), [], []).inputs) == ["id"], (
        "there is nothing else"
    )
    assert guess(table(tmp_path, {"review": PROSE, "topic": TOPICS}), ["review"], ["topic"]).choice is None


def test_a_single_column_and_plain_text_become_a_model_of_what_goes_on(tmp_path):
    (tmp_path / "book.txt").write_text("\n".join(PROSE) + "\n")
    made = guess(str(tmp_path / "book.txt"), [], [])
    assert made.plain() == {"inputs": {"text": "text"}, "outputs": {"going_on": {"of": "text", "align": "next"}}}
    assert made.recipe().settings.outputs["going_on"].align == "next"


@pytest.mark.parametrize(
    "ending, form, instead",
    [
        (".wav", "audio", None),
        (".png", "image", "if they are video write video"),
        (".mid", {"type": "music", "notation": "remi", "well_formed": True}, None),
    ],
)
def test_files_that_are_no_text_are_of_the_kind_that_their_ending_tells(tmp_path, ending, form, instead):
    for number in range(20):
        folder = tmp_path / "files" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}{ending.upper() if number else ending}").write_bytes(b"\0\1RIFF")
    guessed = guess(str(tmp_path / "files"), (), ())
    assert guessed.inputs["text"].settings == form and guessed.inputs["text"].instead == instead
    assert guessed.plain()["outputs"] == {"label": "category"}
    assert look(str(tmp_path / "files")).lines()[1].startswith(f"text: {opened(form)['type']}; ")
    named = "path:file,size,label\n" + "".join(
        f"a/{n}{ending.upper() if n else ending},{n},{n % 2}\n" for n in range(0, 20, 2)
    )
    (tmp_path / "files" / "manifest.csv").write_text(named)
    assert guess(str(tmp_path / "files"), (), ()).inputs["path"].settings == form
    told = guess(str(tmp_path / "files"), ("path:text",), ("label",))
    assert told.inputs["path"].settings == "text"


@pytest.mark.parametrize("endings", [(".png", ".jpg"), (".svg", ".svg"), (".wav", ".flac")])
def test_few_files_of_one_kind_in_subfolders_have_labels(tmp_path, endings):
    for number in range(8):
        folder = tmp_path / "files" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}{endings[number // 2 % 2]}").write_bytes(b"<svg></svg>")
        (folder / "Thumbs.db").write_bytes(b"\0")
    guessed = guess(str(tmp_path / "files"), (), ())
    form = {".png": "image", ".svg": "strokes", ".wav": "audio"}[endings[0]]
    assert guessed.plain() == {"inputs": {"text": form}, "outputs": {"label": "category"}}
    assert form != "strokes" or guessed.inputs["text"].instead is None
    assert guess(str(tmp_path / "files"), (), ["label:text"]).plain()["outputs"] == {"label": "text"}


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ("a|b", {"type": "category", "multilabel": True}),
        ("a;b", {"type": "category", "multilabel": True, "separator": ";"}),
        ("a,b", "category"),
        ("ab", "category"),
    ],
)
def test_labels_between_separators_are_several_of_a_row(tmp_path, cells, kind):
    made = [cells, cells[::-1], "a", "", "b", cells.replace("b", "c"), "c"] * 10
    output = guess(table(tmp_path, {"x": [f"text {n}" for n in range(70)], "y": made}), ["x"], ["y"]).outputs["y"]
    assert output.settings == kind
    if kind != "category":
        assert "3 labels, such as a, b, c, in " in str(output) and "for one label in each row write category" in str(
            output
        )


def test_a_column_of_paths_is_of_the_kind_of_their_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rec").mkdir()
    rows = [{"file": f"rec/clip {n}.WAV", "speaker": n % 2, "word": "ab"[n % 2]} for n in range(20)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    away = guess("t.jsonl", (), ["word"]).inputs["file"]
    assert away.settings == "text" and "there is none such below the working folder; where they are write audio" in str(
        away
    )
    (tmp_path / "rec/clip 0.WAV").write_bytes(b"RIFF")
    here = guess("t.jsonl", (), ["word"])
    assert here.inputs["file"].settings == "audio" and not here.left_out
    assert str(here.inputs["file"]).startswith("paths of files that end in .wav; NOT SURE: to read the paths")
    assert guess("t.jsonl", ["file:text"], ["word"]).inputs["file"].settings == "text"


def test_tunes_are_read_as_notes_by_what_is_advised(tmp_path):
    (tmp_path / "tunes").mkdir()
    for number in range(4):
        (tmp_path / f"tunes/{number}.abc").write_text(f"X:{number}\nM:2/4\nK:G\nGBdB|{'G' * number}|]\n")
    found = guess(str(tmp_path / "tunes"), [], [])
    assert found.inputs["text"].settings == "text"
    assert "tunes in ABC: --in text:music reads their notes" in str(found.inputs["text"])
    again = guess(str(tmp_path / "tunes"), ["text:music"], [])
    assert again.inputs["text"].settings == "music" and "ABC" not in str(again.inputs["text"])
    assert again.recipe().settings.outputs["going_on"].type == "music"
    with pytest.raises(ConfigError, match="which has no continuation"):
        guess(table(tmp_path, {"x": PRICES}), [], [])


def test_a_file_of_tunes_is_read_tune_by_tune_and_so_it_is_in_a_recipe(tmp_path):
    tunes = [f"X:{number}\nM:2/4\nK:G\nGBdB|{'G' * number}|]" for number in range(1, 5)]
    (tmp_path / "tunes.abc").write_text("\n\n".join(tunes) + "\n")
    assert is_data("tunes.abc") and not is_data("tunes.yaml")
    found = guess(str(tmp_path / "tunes.abc"), [], [])
    assert found.rows == 4 and found.inputs["text"].settings == "music" and found.inputs["text"].instead is None
    (tmp_path / "a.yaml").write_text(found.yaml("tunes.abc", ""))
    assert len(prepare(recipe_read.load(tmp_path / "a.yaml")).splits["train"]) == 3
    with pytest.raises(DataError, match="the tune has no key"):
        prepare(recipe_read.load(tmp_path / "a.yaml", ["data.rows=lines"]))


def test_a_text_in_conll_form_is_told_from_texts_and_tables(tmp_path):
    """One word a line and blank lines between rows, as many words in each line."""
    for lines, columns in (
        (["the O", "old B"], "word tag"),
        (["the DT _ O", "# x", "old JJ _ B"], "word _ _ tag"),
        (["-DOCSTART- O", "", "the\tO", "old man\tB"], "word tag"),
        (["the O", "old"], ""),
        (["the", "old"], ""),
        (["two words"], ""),
    ):
        assert columns_in([*lines, ""] * 4) == columns
    assert columns_in(["the O", "old B"] * 9) == ""


@pytest.mark.parametrize(
    ("name", "header", "separator", "named"),
    [
        ("a.tsv", "word\ttag", "\t", "word tag"),
        ("a.tsv", "Token\tNER\n", "\t", "Token NER"),
        ("a.tsv", "word tag", " ", "word tag"),
        ("a.txt", "word tag", " ", "word tag"),
        ("a.tsv", "text\tlabel", "\t", ""),
        ("a.tsv", "word\tO", "\t", "word tag"),
    ],
)
def test_conll_form_below_a_header_is_named_by_it_and_read_without_it(
    tmp_path, monkeypatch, name, header, separator, named
):
    monkeypatch.chdir(tmp_path)
    lines = [f"the{separator}O", f"old{separator}O", f"town{separator}B", ""] * 4
    (tmp_path / name).write_text("\n".join([header, *lines]))
    if not named:
        assert guess(name, [], []).outputs["label"].settings == "category"
        return
    with pytest.raises(ConfigError, match=f"name its columns in place of the file: '{{{named}: {name}}}'"):
        guess(name, [], [])
    looked = look_at(f"{{{named}: {name}}}")
    assert looked.rows == 4 and looked.held(named.split()[1])[0][-2:] == ["O", "B"]
    assert (len(looked.held(named.split()[0])[0]) == 3) == ("O" not in header.split())
    assert any("line 1 holds the names of the columns" in note for note in looked.notes) == ("O" not in header.split())


@pytest.mark.parametrize(
    "rows",
    [
        [f"w{at}\t{at * 7 % 5}" for at in range(20)],
        [f"w{at}\t{chr(97 + at)}" for at in range(20)],
    ],
    ids=["numbers", "each its own"],
)
def test_tables_of_words_with_blank_lines_stay_tables(tmp_path, rows):
    parts = ["\n".join(rows[at : at + 4]) + "\n" for at in range(0, 20, 4)]
    (tmp_path / "a.tsv").write_text("word\tcount\n" + "\n".join(parts))
    assert list(guess(str(tmp_path / "a.tsv"), [], []).outputs) == ["count"]


def test_a_column_of_dates_is_one_of_dates_wherever_it_is_looked_at(tmp_path):
    days = [f"{day:02}.01.2024 10:00" for day in range(1, 29)] * 3
    source = table(tmp_path, {"day": days, "kind": ["a", "b", "c"] * 28})
    assert look_at(source).kind("day").settings == guess(source, ["day"], ["kind"]).inputs["day"].settings == "date"
    assert api.look(source).columns["day"].type == "date"
    with pytest.raises(ConfigError, match="of type date, which has no continuation"):
        guess(table(tmp_path, {"day": days}), [], [])


@pytest.mark.parametrize("output", ["turns", "text of it: {all}"])
def test_the_written_recipe_is_the_one_that_was_guessed(tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    table(tmp_path, {"dna": DNA, 'it\'s, "odd"': PROSE, output: TURNS})
    made = guess("a.jsonl", [], [])
    (tmp_path / "a.yaml").write_text(made.yaml("a.jsonl", "ostinato init a.jsonl"))
    read = recipe_read.load(tmp_path / "a.yaml")
    assert read.settings == made.recipe().settings
    comments = [line for line in (tmp_path / "a.yaml").read_text().splitlines() if line.strip().startswith("#")]
    assert any("NOT SURE" in line for line in comments) and any("each letter is a step" in line for line in comments)


def test_no_cell_breaks_out_of_a_comment(tmp_path):
    made = guess(table(tmp_path, {"x": PROSE, "y": ["a\nb: c", "\x85d # \x1b e"] * 50}), [], [])
    lines = made.yaml("a.jsonl", "ostinato init").splitlines()
    assert parse_yaml("\n".join(lines), "a")["outputs"] == {"y": "category"}
    assert (
        [line for line in lines if "b: c" in line]
        == [line for line in lines if "b: c" in line and line.startswith("  # ")]
        != []
    )


@pytest.mark.parametrize(
    ("inputs", "outputs", "says"),
    [
        (["x:txt"], [], "no type 'txt'; did you mean 'text'"),
        (["z"], [], "no column 'z'"),
        ([], ["runs/here"], "--run DIR"),
        (["x", "x:text"], [], "named twice"),
        (["x"], ["x"], "is an input too"),
        (["x", "y"], [], "every column is an input"),
        ([], ["x", "y"], "every column is an output"),
    ],
)
def test_what_cannot_be_is_told(tmp_path, inputs, outputs, says):
    with pytest.raises(ConfigError, match=says):
        guess(table(tmp_path, {"x": PROSE, "y": TOPICS}), inputs, outputs)


def test_a_column_of_nothing_is_told(tmp_path):
    with pytest.raises(DataError, match="the column 'x' of .* holds nothing in the first 100 rows"):
        guess(table(tmp_path, {"x": [None] * 100, "y": TOPICS}), [], [])


def test_columns_with_colons_are_columns(tmp_path):
    made = guess(table(tmp_path, {"a:text": PROSE, "b": TOPICS}), ["a:text"], ["b:category"])
    assert list(made.inputs) == ["a:text"] and made.outputs["b"].reason == "as told"
    assert (
        guess(table(tmp_path, {"a:text": PROSE, "b": TOPICS}), ["a:text:tokens"], ["b"]).inputs["a:text"].settings
        == "tokens"
    )


def test_only_the_first_rows_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(first_rows, "LOOKED_AT", 60)
    made = guess(table(tmp_path, {"x": [*PRICES[:60], *PROSE[:40]], "y": TOPICS}), [], [])
    assert made.rows == 60 and made.inputs["x"].settings == "number"
    assert "a look at the first 60 rows" in made.yaml("a", "ostinato init a")


@pytest.mark.parametrize("word", ["?", "N/A", "none", "NA", "null", "nan"])
@pytest.mark.parametrize("form", ["a.jsonl", "a.tsv"])
def test_what_says_that_a_number_is_missing_makes_no_text_of_numbers(tmp_path, word, form):
    cells = [word if row % 9 == 4 else price for row, price in enumerate(PRICES)]
    made = guess(table(tmp_path, {"x": cells, "y": TOPICS}, form), ["x"], ["y"]).inputs["x"]
    assert made.settings == "number" and made.instead is None, made
    stances = [word if row % 3 == 1 else "against" for row in range(100)]
    made = guess(table(tmp_path, {"x": stances, "y": TOPICS}, form), ["x"], ["y"]).inputs["x"]
    assert made.settings == "category" and made.reason.startswith("2 different values"), "beside words it is a label"
    with pytest.raises(DataError, match="'x'.*holds nothing"):
        guess(table(tmp_path, {"x": [word] * 100, "y": TOPICS}, form), ["x"], ["y"])


HOURS = [f"2024-01-{1 + row // 24:02d} {row % 24:02d}:00" for row in range(100)]


def test_what_is_told_to_be_a_series_is_forecast_from_the_past_by_date(tmp_path):
    found = guess(
        table(tmp_path, {"hour": HOURS, "price": PRICES, "load": PRICES[::-1], "note": PROSE}), [], ["load:series"]
    )
    assert found.plain()["inputs"] == {"load": "series", "price": "series", "when": "calendar"}
    assert found.plain()["outputs"] == {"forecast": {"of": "load", "horizon": 12}}
    assert found.data("a") == {"train": "a", "time": "hour"} and list(found.left_out) == ["note"]
    written = parse_yaml(found.yaml("a.jsonl", "ostinato init"), "written")
    assert written["data"] == {"train": "a.jsonl", "time": "hour"} and written["outputs"] == found.plain()["outputs"]
    assert found.recipe().settings.outputs["forecast"].horizon == 12


def test_several_other_columns_of_numbers_are_the_channels_of_one_series(tmp_path):
    columns = {"hour": HOURS, "price": PRICES, "heat": PRICES[::-1], "load": PRICES[::-1]}
    found = guess(table(tmp_path, columns), [], ["load:series"])
    others = {"type": "series", "column": ["price", "heat"]}
    assert found.plain()["inputs"] == {"load": "series", "others": others, "when": "calendar"}
    assert found.recipe().settings.inputs["others"].column == ["price", "heat"]
    assert guess(tmp_path / "a.jsonl", ["price", "heat:series"], ["load:series"]).plain()["inputs"].keys() == {
        "load", "price", "heat", "when"
    }  # fmt: skip


def test_dates_that_are_told_to_be_an_input_are_the_time(tmp_path):
    made = table(tmp_path, {"hour": HOURS, "price": PRICES, "load": PRICES[::-1]})
    found = guess(made, ["hour", "price"], ["load:series"])
    assert (
        found.plain()["inputs"] == {"load": "series", "price": "series", "when": "calendar"}
        and found.time_columns.time == "hour"
    )
    found.recipe()


def test_an_input_that_is_the_output_too_is_forecast_from_itself(tmp_path):
    columns = {"site": ["a"] * 50 + ["b"] * 50, "t": [*range(50)] * 2, "load": PRICES, "note": PROSE}
    found = guess(table(tmp_path, columns), ["load"], ["load"])
    assert found.plain() == {
        "inputs": {"load": "series"},
        "outputs": {"forecast": {"of": "load", "horizon": 50 // SHORT}},
    }
    assert (
        found.data("a") == {"train": "a", "time": "t", "series": "site"}
        and "one step from row to row within each site" in found.lines()[0]
    )
    found.recipe()


def test_rows_of_numbers_by_date_are_forecast_where_nothing_is_told(tmp_path):
    columns = {"hour": HOURS, "when": PRICES, "load": PRICES[::-1]}
    found = guess(table(tmp_path, columns), [], [])
    assert (
        found.plain()["inputs"] == {"load": "series", "when": "series", "when_": "calendar"}
        and "NOT SURE" in found.choice
    )
    assert guess(table(tmp_path, {**columns, "kind": TOPICS}), [], []).time_columns is None


def test_a_list_of_numbers_in_each_row_is_forecast_without_times(tmp_path):
    lists = [[float(step + row) for step in range(40)] for row in range(20)]
    found = guess(table(tmp_path, {"load": lists, "heat": lists, "id": list(range(20))}), [], ["load:series"])
    assert (
        found.plain()["inputs"] == {"load": "series", "heat": "series"}
        and found.time_columns is None
        and found.data("a") == {"train": "a"}
    )
    found.recipe()


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ((["note"], ["note"]), "would only copy it"),
        (
            ([], ["note:series"]),
            "a series is of numbers, and .*a.jsonl line 1, column 'note': .*; name another column or another type",
        ),
        (([], ["load:series", "price"]), "one column is forecast at a time"),
        ((["load:number"], ["load"]), "write --in load"),
        ((["hour:text"], ["load:series"]), "no column of .* has times that rise"),
    ],
)
def test_what_cannot_be_forecast_is_told(tmp_path, told, says):
    with pytest.raises(ConfigError, match=says):
        guess(table(tmp_path, {"hour": HOURS, "price": PRICES, "load": PRICES[::-1], "note": PROSE}), *told)


def test_the_cell_that_is_no_number_is_named(tmp_path):
    cells = [price if row != 41 else "inf" for row, price in enumerate(PRICES)]
    with pytest.raises(
        ConfigError,
        match="--out load:series: a series is of numbers, and .*a.tsv line 43, column 'load': .*infinite.*mend it.*; "
        "name another column",
    ):
        guess(table(tmp_path, {"hour": HOURS, "load": cells}, "a.tsv"), [], ["load:series"])


def test_numbers_by_date_that_no_series_is_asked_of_say_how_to_forecast(tmp_path):
    path = table(tmp_path, {"hour": HOURS, "price": PRICES, "load": PRICES[::-1]})
    found = guess(path, [], ["load"])
    assert found.plain() == {"inputs": {"price": "number"}, "outputs": {"load": "number"}}
    assert "NOT SURE: for a forecast by hour write --forecast load" in str(found.outputs["load"])
    assert "dates" in found.left_out["hour"]
    assert guess(path, [], ["load:number"]).outputs["load"].instead is None, "who says number is not asked again"
    assert guess(path, ["hour", "price"], ["load"]).plain()["inputs"]["hour"] == "date"


def test_dates_beside_other_inputs_are_read_as_parts_of_a_calendar_where_nothing_is_forecast(tmp_path):
    days = [f"{1 + row % 28:02}.{1 + row % 12:02}.2023" for row in range(100)]
    found = guess(table(tmp_path, {"opened": days, "note": PROSE, "topic": TOPICS}, "a.csv"), [], ["topic"])
    assert found.plain()["inputs"] == {"note": "text", "opened": "date"} and not found.left_out
    assert "weekday" in found.inputs["opened"].reason
    left = guess(table(tmp_path, {"opened": days, "note": PROSE, "load": PRICES}, "b.csv"), [], ["load"]).left_out
    assert "name each input by --in to read them" in left["opened"]


@pytest.mark.parametrize(
    "output, says",
    [
        ("load", "for a forecast write --forecast load; name the inputs by --in COLUMN"),
        ("note", "name the inputs by --in COLUMN"),
    ],
)
def test_dates_alone_are_no_input(tmp_path, output, says):
    columns = {"hour": HOURS, "load": PRICES, "note": PROSE}
    with pytest.raises(ConfigError, match=rf"--in: what is no output is left out: hour \(dates.*\); {says}"):
        guess(table(tmp_path, {name: columns[name] for name in ("hour", output)}), [], [output])


def test_commas_stand_between_columns_unless_one_is_called_so(tmp_path):
    columns = {"a": PROSE, "b": STARS, "a,b": TOPICS}
    path = table(tmp_path, columns)
    assert list(guess(path, ["a,b:category"], ["a"]).inputs) == ["a,b"]
    path = table(tmp_path, {"a": PROSE, "b": STARS, "c": TOPICS})
    assert guess(path, ["a:text,b:number"], ["c"]).plain()["inputs"] == {"a": "text", "b": "number"}
    assert list(guess(path, ["a:text,b"], ["c"]).plain()["inputs"]) == ["a", "b"]
    (tmp_path / "words.txt").write_text("Bo B-PER\nran O\n")
    with pytest.raises(ConfigError, match="columns of words and labels are named so: '{word tag: FILE}'"):
        guess(str(tmp_path / "words.txt"), ["words"], [])
    with pytest.raises(ConfigError, match="--in d: there is no column 'd'"):
        guess(path, ["a,d"], ["c"])


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ([f"2023-03-20 00:00:00.{row}00" for row in range(8)], "a.jsonl line 2, column 'ts': .* fraction of a second"),
        ([f"0{row}/01/2023" for row in range(1, 9)], "column 'ts': a time may be 2023-01-02 or 2023-02-01"),
        (
            [f"2023-03-2{row} 13:0{row} XYZ" for row in range(8)],
            "a.jsonl line 1, column 'ts': is '2023-03-20 13:00 XYZ'",
        ),
        ([f"2023M0{month}" for month in range(1, 9)], "a.jsonl line 1, column 'ts': is '2023M01', and a date such as"),
        (
            [f"2023-10-29 0{hour}:00" for hour in (0, 1, 2, 2, 3, 4, 5, 6)],
            "line 4, column 'ts': 2023-10-29 02:00 occurs twice; .* with their zone: 2023-10-29 02:00\\+01:00",
        ),
        (
            [f"2023-10-{day}" for day in (11, 12, 13, 10, 14, 15, 16, 17)],
            "line 4, column 'ts': 2023-10-10 comes after 2023-10-13; sort the rows by 'ts'",
        ),
    ],
)
def test_a_column_that_seems_to_hold_times_is_named_with_the_cell_that_cannot_be_read(tmp_path, cells, why):
    with pytest.raises(ConfigError, match=why):
        guess(table(tmp_path, {"ts": cells, "load": list(range(8))}), [], ["load:series"])


@pytest.mark.parametrize(("weeks", "series", "horizon"), [(104, 1, 13), (104, 3, 13), (24, 1, 3), (520, 1, 52)])
def test_the_horizon_that_is_guessed_leaves_steps_to_learn_from(tmp_path, weeks, series, horizon):
    days = [str(np.datetime64("2020-01-03") + 7 * week) for week in range(weeks)] * series
    shops = [shop for shop in "abc"[:series] for _ in range(weeks)]
    columns = {"week": days, "shop": shops, "sales": [row * 7 % 5 / 2 for row in range(weeks * series)]}
    forecast = guess(table(tmp_path, columns), [], ["sales:series"]).outputs["forecast"]
    assert forecast.settings["horizon"] == horizon


@pytest.mark.parametrize(
    ("cells", "inputs", "kind"),
    [
        (["a b", "c d", ""] * 20, ["note", "size"], "text"),
        (["a b", "c d", ""] * 20, ["note:category", "size"], "category"),
        (["a b", "c d", ""] * 20, ["note"], "category"),
        (["a b", "c d", "e"] * 20, ["note", "size"], "category"),
        (["1", "2", ""] * 20, ["note", "size"], "category"),
    ],
)
def test_a_few_texts_some_of_them_empty_are_texts_beside_another_input(tmp_path, cells, inputs, kind):
    columns = {"note": cells, "size": [row * 1.5 for row in range(60)], "y": ["p", "q"] * 30}
    guessed = guess(table(tmp_path, columns, "a.csv"), inputs, ["y"]).inputs["note"]
    assert guessed.settings == kind and ("20 empty ones" in guessed.reason) == (kind == "text")


@pytest.mark.parametrize(
    ("cells", "data", "range_of"),
    [
        (["1,5", "30,000", "-2,25"], {"decimal": ","}, "-2.25 to 30"),
        (["1.234,5", "0,5", "7"], {"decimal": ",", "thousands": "."}, "0.5 to 1234.5"),
        (["1,234.5", "12", "1,000"], {"decimal": ".", "thousands": ","}, "12 to 1234.5"),
        (["1 234.5", "12", "5 000 000"], {"decimal": ".", "thousands": " "}, "12 to 5e+06"),
        (["1'234.50", "12", "9"], {"decimal": ".", "thousands": "'"}, "9 to 1234.5"),
        (["30,000", "12,500", "1,250"], {}, None),
        (["1.234", "2.500", "7.125"], {}, "1.234 to 7.125"),
    ],
)
def test_how_numbers_are_written_is_seen_and_asked_for_where_it_may_be_either(tmp_path, cells, data, range_of):
    rows = "".join(f"item {row};{cell};{'pq'[row % 2]}\n" for row, cell in enumerate(cells * 20))
    (tmp_path / "t.csv").write_text(f"name;price;kind\n{rows}")
    found = guess(str(tmp_path / "t.csv"), [], ["kind"])
    assert {key: value for key, value in found.data("t.csv").items() if key != "train"} == data
    assert found.inputs["price"].settings == "number"
    if range_of is not None:
        assert f"numbers from {range_of}" in found.inputs["price"].reason
    written = found.recipe().settings.data
    assert (written.decimal, written.thousands) == (data.get("decimal"), data.get("thousands"))
    assert bool(data) == any("before their decimals" in line for line in found.lines())


def test_signs_of_numbers_that_are_named_are_not_looked_for(tmp_path):
    (tmp_path / "t.csv").write_text("price,kind\n" + '"30,000",p\n"12,500.5",q\n' * 20)
    sets = ["data.thousands=','", "data.delimiter=','"]
    lines = []
    made = recipe_of(str(tmp_path / "t.csv"), [], ["kind"], sets=sets, say=lines.append)
    assert made.settings.data.thousands == "," and "input price: number (numbers from 12500.5 to 30000" in "".join(
        lines
    )
    with pytest.raises(ConfigError, match="data.thousands: '.' stands before decimals already"):
        recipe_of(str(tmp_path / "t.csv"), [], ["kind"], sets=["data.thousands=."])
    with pytest.raises(ConfigError, match="data.encoding.*no encoding that Python knows"):
        recipe_of(str(tmp_path / "t.csv"), [], ["kind"], sets=["data.encoding=cp99"])


def test_columns_that_are_empty_or_the_same_in_each_row_are_left_out_where_others_are_read(tmp_path):
    columns = {"text": PROSE, "shop": ["here"] * 100, "note": [""] * 100, "topic": TOPICS}
    guessed = guess(table(tmp_path, columns, "t.tsv"), (), ("topic",))
    assert set(guessed.inputs) == {"text"}
    assert guessed.left_out == {"shop": "it is the same in each row", "note": "it is empty"}
    named = guess(table(tmp_path, columns, "t.tsv"), ("text", "shop"), ("topic",))
    assert set(named.inputs) == {"text", "shop"}
    alone = guess(table(tmp_path, {"shop": ["here"] * 100, "topic": TOPICS}, "t.tsv"), (), ("topic",))
    assert set(alone.inputs) == {"shop"}
