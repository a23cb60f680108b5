"""Predictions as a table: what was read, the answers, their probabilities, in each form, and as frames in Python."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pandas
import polars
import pytest

import ostinato
from ostinato.cli.reports import _excerpt
from ostinato.data.read import open_table
from ostinato.data.write import write_table
from ostinato.errors import ConfigError, DataError
from ostinato.evaluation.errors import HeldOut
from ostinato.run.predictions import Prediction

REVIEWS = ["the food was great", 'sad, "late"\nand rude', "great", "sad"]
LABELS = ["good", "bad", "good", "bad"]


def csv_rows(name):
    with open(name, newline="") as file:
        return list(csv.DictReader(file))


def json_rows(name):
    return [json.loads(line) for line in Path(name).read_text().splitlines()]


@pytest.fixture(scope="module")
def labels(tmp_path_factory, cache):
    """A run that tells two labels apart."""
    folder = tmp_path_factory.mktemp("labels")
    model = ostinato.Model(
        {"text": {"type": "text", "tokenizer": "word", "encoder": {"type": "recurrent", "hidden_size": 8}}},
        {"label": "category"},
        training={"epochs": 12, "batch_rows": 4, "optimizer": {"type": "adamw", "learning_rate": 0.05}},
    )
    rows = [{"text": text, "label": label} for text, label in zip(REVIEWS, LABELS)] * 8
    model.fit(rows, rows[:4], folder=folder / "run", device="cpu")
    return folder / "run"


@pytest.fixture(scope="module")
def tagged(tmp_path_factory, cache):
    """A run that labels words."""
    rows = [{"words": ["ein", "Bo"], "tags": ["O", "B-PER"]}] * 4
    settings = {"words": "tokens"}, {"tags": {"type": "tags", "scheme": "bioes"}}
    folder = tmp_path_factory.mktemp("tagged") / "run"
    ostinato.Model(*settings, training={"epochs": 1}).fit(rows, rows, folder=folder, device="cpu")
    return folder


@pytest.fixture
def new(tmp_path, monkeypatch):
    """A table of rows without labels, with columns that the model does not read."""
    monkeypatch.chdir(tmp_path)
    rows = [("007", REVIEWS[0], "x"), ("008", REVIEWS[1], "")]
    with open("new.csv", "w", newline="") as file:
        csv.writer(file).writerows([("id", "text", "note"), *rows])
    return "new.csv"


def test_a_table_comes_back_with_every_column_the_answer_and_its_probability(labels, new, cli):
    for command in (("predict", labels, new), ("predict", labels, "--input", new)):
        done = cli(*command, "--output", "answers.csv", "--device", "cpu")
        assert (done.code, done.out) == (0, "") and "answers.csv: 2 rows" in done.err
        rows = csv_rows("answers.csv")
        assert [list(row) for row in rows] == [["id", "text", "note", "label_predicted", "label_probability"]] * 2
        assert [(row["id"], row["text"], row["note"]) for row in rows] == [
            ("007", REVIEWS[0], "x"),
            ("008", REVIEWS[1], ""),
        ]
        assert [row["label_predicted"] for row in rows] == ["good", "bad"]
        assert all(0.5 < float(row["label_probability"]) < 1 for row in rows)


def test_csv_has_the_signs_of_the_table_that_was_read(labels, tmp_path, monkeypatch, cache, cli):
    monkeypatch.chdir(tmp_path)
    Path("sizes.csv").write_text("size;price\n" + "".join(f"{size},5;{2 * size},25\n" for size in range(40)))
    options = ["--in", "size", "--out", "price", "--set", "training.epochs=1", "--run", "run", "--device", "cpu"]
    assert cli("train", "sizes.csv", *options).code == 0
    done = cli("predict", "run", "sizes.csv", "--output", "answers.csv")
    assert "40 rows, with ';' between fields and ',' before decimals as sizes.csv has" in done.err
    header, *lines = Path("answers.csv").read_text().splitlines()
    assert header.startswith("size;price;price_predicted") and len(lines) == 40
    for line in lines:
        size, _, predicted, *_ = line.split(";")
        assert size.endswith(",5") and "." not in line and float(predicted.replace(",", ".")) is not None
    assert cli("predict", "run", "answers.csv", "--output", "again.jsonl").code == 2  # price_predicted is there
    assert cli("predict", "run", "sizes.csv", "--output", "answers.jsonl").code == 0
    assert f"{json_rows('answers.jsonl')[0]['price_predicted']}".replace(".", ",") == lines[0].split(";")[2]
    Path("plain.csv").write_text("text,note\ngreat,x\n")
    done = cli("predict", labels, "plain.csv", "--output", "plain_answers.csv", "--device", "cpu")
    assert done.err.strip().endswith("plain_answers.csv: 1 row")


def test_a_workbook_holds_the_same_and_is_read_again(labels, new, cli):
    pytest.importorskip("xlsxwriter")
    pytest.importorskip("fastexcel")
    for form in ("xlsx", "jsonl"):
        done = cli("predict", labels, new, "--output", f"answers.{form}", "--device", "cpu")
        assert done.code == 0 and f"answers.{form}: 2 rows" in done.err
    table = open_table("answers.xlsx", columns=None, base=Path(), data_root=None, where="data.train")
    rows = json_rows("answers.jsonl")
    assert table.columns == tuple(rows[0]) and table.column("id") == ["007", "008"]
    assert table.column("text") == REVIEWS[:2] and table.column("label_predicted") == ["good", "bad"]
    assert table.column("label_probability") == pytest.approx([row["label_probability"] for row in rows])


def test_each_form_holds_the_same_and_the_probability_of_each_label_on_demand(labels, new, cli):
    for form in ("csv", "jsonl", "parquet"):
        done = cli("predict", labels, new, "--output", f"deep/answers.{form}", "--probabilities", "--device", "cpu")
        assert done.code == 0, done.err
    rows = json_rows("deep/answers.jsonl")
    for row in rows:
        assert row["label_probability_good"] + row["label_probability_bad"] == pytest.approx(1, abs=1e-5)
        assert row["label_probability"] == row[f"label_probability_{row['label_predicted']}"]
    assert polars.read_parquet("deep/answers.parquet").to_dicts() == rows
    with_csv = csv_rows("deep/answers.csv")
    assert [float(row["label_probability_bad"]) for row in with_csv] == [row["label_probability_bad"] for row in rows]


def test_cells_of_any_kind_come_through(labels, tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    rows = [{"text": "great", "tags": ["a", 1], "v": 1}, {"text": "sad", "v": "two", "more": {"x": "é\n"}}]
    Path("mixed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for form in ("jsonl", "csv", "parquet"):
        assert cli("predict", labels, "mixed.jsonl", "--output", f"out.{form}", "--device", "cpu").code == 0
    (first, second) = json_rows("out.jsonl")
    assert (first["tags"], first["v"], first["more"]) == (["a", 1], 1, None)
    assert (second["tags"], second["v"], second["more"]) == (None, "two", {"x": "é\n"})
    (first, second) = csv_rows("out.csv")
    assert (first["tags"], first["v"], json.loads(second["more"])) == ('["a", 1]', "1", {"x": "é\n"})
    assert polars.read_parquet("out.parquet")["v"].to_list() == ["1", "two"]


def test_what_no_table_can_hold_is_refused_before_anything_is_predicted(labels, new, cli, refused):
    refused("predict", labels, new, "--output", "a.ods", says=["--output a.ods", ".csv, .jsonl, .parquet"])
    refused("predict", labels, new, "--output", "a.csv.gz", says=["--output a.csv.gz", ".csv, .jsonl, .parquet"])
    refused("predict", labels, "nwe.csv", "--output", "a.csv", says=["no file nwe.csv", "did you mean 'new.csv'?"])
    refused("predict", labels, "x", "--probabilities", says=["--probabilities needs --output FILE"])
    refused("predict", labels, "x", "--output", "a.csv", "--n-best", "2", says=["leave out --n-best"])
    assert cli("predict", labels, new, "--output", "a.csv", "--device", "cpu").code == 0
    before = Path("a.csv").read_text()
    refused("predict", labels, "a.csv", "--output", "a.csv", says=["has a column 'label_predicted' already"])
    assert Path("a.csv").read_text() == before


def test_a_text_that_names_a_file_is_asked_about_and_the_advice_works(labels, tmp_path, monkeypatch, cli, refused):
    monkeypatch.chdir(tmp_path)
    Path("my texts.txt").write_text("great\nsad\n")
    message = refused("predict", labels, "my texts.txt", says=["did you mean --input 'my texts.txt'?"])
    assert "--input -" in message
    assert cli("predict", labels, "--input", "my texts.txt", "--device", "cpu").out == "good\nbad\n"


def test_generated_text_has_its_log_probability_and_texts_alone_are_the_input(trained, tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    assert cli("predict", trained, "ein zwei", "drei", "--output", "a.jsonl", "--device", "cpu").code == 0
    rows = json_rows("a.jsonl")
    plain = cli("predict", trained, "ein zwei", "drei", "--json", "--device", "cpu").out.splitlines()
    best = [json.loads(line)["outputs"]["en"][0] for line in plain]
    assert rows == [
        {"de": text, "en_predicted": answer["value"], "en_log_probability": answer["log_probability"]}
        for text, answer in zip(("ein zwei", "drei"), best)
    ]


def test_python_gives_a_frame_back_with_its_index(labels):
    model = ostinato.load(labels, device="cpu")
    frame = pandas.DataFrame({"text": REVIEWS}, index=[7, 3, 9, 1])
    answers = model.predict(frame)
    assert list(answers.index) == [7, 3, 9, 1] and list(answers["label_predicted"]) == LABELS
    shares = model.predict_proba(frame)
    assert list(shares.columns) == model.classes_ == ["bad", "good"] and list(shares.index) == [7, 3, 9, 1]
    assert np.allclose(shares.max(axis=1), answers["label_probability"])
    assert isinstance(model.predict(polars.DataFrame({"text": REVIEWS})), polars.DataFrame)
    assert list(model.predict(REVIEWS, as_frame=True)["label_predicted"]) == LABELS
    assert model.predict(frame, as_frame=False) == model.predict(REVIEWS) == LABELS
    assert np.array_equal(model.predict_proba(REVIEWS), shares.to_numpy())
    with pytest.raises(ConfigError, match="leave out n_best"):
        model.predict(frame, n_best=2, as_frame=True)


def test_a_path_is_rows_in_python(labels, new):
    model = ostinato.load(labels, device="cpu")
    assert model.predict("new.csv") == LABELS[:2]
    Path("lines.txt").write_text("great\nsad\n")
    assert model.predict("lines.txt") == ["good", "bad"]
    with pytest.raises(DataError, match="no file nowhere.csv.*did you mean 'new.csv'"):
        model.predict("nowhere.csv")


def test_probabilities_of_what_is_no_label_are_refused(trained):
    with pytest.raises(ConfigError, match="predict_proba: en: no output is a label"):
        ostinato.load(trained, device="cpu").predict_proba(["ein"])


def test_each_of_several_labels_has_its_probability(tmp_path):
    rows = [{"text": text, "kinds": kinds} for text, kinds in (("a b", ["x", "y"]), ("a", ["x"]), ("b", ["y"]))] * 4
    model = ostinato.Model(
        {"text": {"type": "tokens", "encoder": {"hidden_size": 4}}},
        {"kinds": {"type": "category", "multilabel": True}},
        training={"epochs": 1, "batch_rows": 4},
    ).fit(rows, rows[:3], device="cpu")
    shares = model.predict_proba([row["text"] for row in rows[:3]])
    assert model.classes_ == ["x", "y"] and shares.shape == (3, 2)
    chosen = [[name for name, share in zip("xy", row) if share > 0.5] for row in shares]
    assert chosen == model.predict([row["text"] for row in rows[:3]])


@pytest.mark.parametrize("dated", [True, False])
def test_a_forecast_has_a_row_for_each_series_and_time(tmp_path, monkeypatch, cli, dated):
    monkeypatch.chdir(tmp_path)
    rows = [
        {"site": site, "date": f"2024-01-{1 + hour // 24:02} {hour % 24:02}:00", "load": math.sin(hour / 4) + hour % 3}
        for site in "ab"
        for hour in range(80)
    ]
    data = {"series": "site", **({"time": "date"} if dated else {})}
    head = {"type": "linear_forecast"}
    model = ostinato.Model(
        {"load": {"type": "series", "encoder": "identity"}},
        {"next": {"type": "series", "of": "load", "column": "load", "align": "ahead", "horizon": 3, "head": head}},
        data=data,
        training={"epochs": 1},
    )
    whole = [{"site": site, "load": [row["load"] for row in rows if row["site"] == site]} for site in "ab"]
    frame = pandas.DataFrame(rows if dated else whole)
    model.fit(frame, folder=tmp_path / "run", device="cpu")
    polars.DataFrame(rows if dated else whole).write_parquet("load.parquet")
    assert cli("predict", "run", "load.parquet", "--output", "ahead.csv", "--device", "cpu").code == 0
    ahead = csv_rows("ahead.csv")
    assert [row["site"] for row in ahead] == list("aaabbb")
    if dated:
        times = ["2024-01-04 08:00:00", "2024-01-04 09:00:00", "2024-01-04 10:00:00"]
        assert [row["date"] for row in ahead] == times * 2
    else:
        assert [row["step"] for row in ahead] == ["1", "2", "3"] * 2
    levels = [name for name in ahead[0] if name.startswith("next_quantile_")]
    assert len(levels) == 19 and levels[0] == "next_quantile_0.05"
    for row in ahead:
        values = [float(row[name]) for name in levels]
        assert values == sorted(values) and float(row["next_predicted"]) == pytest.approx(values[9], rel=1e-5)
    assert len(model.predict(frame)) == 6


def test_every_field_of_json_is_on_the_page(labels, trained, tagged, cli):
    page = (Path(__file__).parents[2] / "docs" / "predictions.md").read_text()
    for run in (labels, trained, tagged):
        for line in cli("predict", run, "ein zwei", "--json", "--device", "cpu").out.splitlines():
            plain = json.loads(line)
            answers = [answer for listed in plain["outputs"].values() for answer in listed]
            for name in {*plain, *(field for answer in answers for field in answer)}:
                assert f"`{name}`" in page, name


@pytest.mark.parametrize(
    "labels, classes",
    [([0, 1, 2], [0, 1, 2]), ([True, False, True], [False, True]), ([1.0, 0.0, None], [0, 1]), (["1", 2, 3], None)],
)
def test_labels_of_python_come_back_as_they_were_given(tmp_path, labels, classes):
    frame = pandas.DataFrame({"text": ["a", "b", "c"] * 8, "label": labels * 8})
    inputs = {"text": {"type": "tokens", "encoder": {"hidden_size": 4}}}
    training = {"epochs": 20, "batch_rows": 8, "optimizer": {"learning_rate": 0.05}}
    model = ostinato.Model(inputs, {"label": "category"}, training=training).fit(frame, frame[:3], device="cpu")
    model.save(tmp_path / "run")
    loaded = ostinato.load(tmp_path / "run", device="cpu")
    assert loaded.classes_ == (["1", "2", "3"] if classes is None else classes)
    known = frame[frame["label"].notna()]
    if classes is not None:
        assert (loaded.predict(known)["label_predicted"] == known["label"]).all()
    assert loaded.predict(["a", "b"]) == (["1", "2"] if classes is None else labels[:2])
    assert list(loaded.predict_proba(frame).columns) == list(map(str.lower, map(str, loaded.classes_)))
    assert [type(answer) for answer in loaded.predict(["a"])] == [type(loaded.classes_[0])]


def test_sets_of_whole_numbers_come_back_as_lists_of_them():
    rows = [{"text": text, "kinds": kinds} for text, kinds in (("a b", [1, 20]), ("a", [1]), ("b", [20]))] * 4
    model = ostinato.Model(
        {"text": {"type": "tokens", "encoder": {"hidden_size": 4}}},
        {"kinds": {"type": "category", "multilabel": True}},
        training={"epochs": 1, "batch_rows": 4},
    ).fit(rows, rows[:3], device="cpu")
    assert model.classes_ == [1, 20]
    assert {label for labels in model.predict(["a b", "a", "b"]) for label in labels} <= {1, 20}


@pytest.mark.parametrize("kind", ["tags", "tokens"])
def test_labels_of_steps_and_symbols_come_back_as_numbers_where_they_were_numbers(tmp_path, kind):
    rows = [{"words": words.split(), "out": [len(word) for word in words.split()]} for words in ("a bb", "bb ccc a")]
    inputs = {"words": {"type": "tokens", "encoder": {"hidden_size": 4}}}
    training = {"epochs": 2, "batch_rows": 4}
    model = ostinato.Model(inputs, {"out": kind}, training=training).fit(rows * 4, rows, device="cpu")
    model.save(tmp_path / "run")
    for answers in (model.predict(rows), ostinato.load(tmp_path / "run", device="cpu").predict(rows)):
        assert {type(label) for answer in answers for label in answer} <= {int}
    texts = [{**row, "out": list(map(str, row["out"]))} for row in rows]
    mixed = ostinato.Model(inputs, {"out": kind}, training=training).fit(rows + texts * 4, rows, device="cpu")
    assert {type(label) for answer in mixed.predict(rows) for label in answer} <= {str}


@pytest.mark.parametrize("labels, written", [([0, 1], ("0", "1")), ([True, False], ("true", "false"))])
def test_tables_hold_labels_of_the_type_that_training_had(tmp_path, cli, labels, written):
    rows = [{"text": text, "label": label} for text, label in zip(["a", "b"], labels)]
    inputs = {"text": {"type": "tokens", "encoder": {"hidden_size": 4}}}
    training = {"epochs": 1, "batch_rows": 4}
    model = ostinato.Model(inputs, {"label": "category"}, training=training).fit(rows * 4, rows, device="cpu")
    model.save(tmp_path / "run")
    write_table(tmp_path / "in.jsonl", rows)
    for name, read in (("o.jsonl", polars.read_ndjson), ("o.parquet", polars.read_parquet)):
        cli("predict", tmp_path / "run", tmp_path / "in.jsonl", "--output", tmp_path / name)
        assert set(read(tmp_path / name)["label_predicted"]) <= set(labels)
        assert type(read(tmp_path / name)["label_predicted"][0]) is type(labels[0])
    cli("predict", tmp_path / "run", tmp_path / "in.jsonl", "--output", tmp_path / "o.csv")
    lines = (tmp_path / "o.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in lines[1:]] == list(written)
    assert {line.split(",")[2] for line in lines[1:]} <= set(written)


def test_what_a_forecast_read_is_shown_as_numbers():
    read = Prediction({"y": np.array([1.5, np.nan]), "tags": ["a", "b"]}, {})
    assert _excerpt(HeldOut(0, "t.csv:2", read, {})) == "1.5 NA a b"


NO_ROWS = polars.DataFrame({"text": [], "stars": []}, schema={"text": polars.String, "stars": polars.Int64})
ANSWERED = ["label_predicted", "label_probability", "label_probability_bad", "label_probability_good"]
EMPTY = {
    ".csv": "text,stars\n",
    ".tsv": "text\tstars\n",
    ".semicolon.csv": "text;stars\n",
}


@pytest.mark.parametrize("ending", [*EMPTY, ".parquet"])
def test_a_table_without_rows_gives_its_columns_and_those_of_the_answers(labels, tmp_path, cli, ending):
    source = tmp_path / f"in{ending}"
    if ending in EMPTY:
        source.write_text(EMPTY[ending])
    else:
        NO_ROWS.write_parquet(source)
    columns = [*NO_ROWS.columns, *ANSWERED]
    for name in ("o.csv", "o.jsonl", "o.parquet"):
        done = cli("predict", labels, source, "--output", tmp_path / name, "--probabilities")
        assert f"{name}: 0 rows" in done.err
    sign = ";" if "semicolon" in ending else ","
    assert (tmp_path / "o.csv").read_text() == sign.join(columns) + "\n"
    assert (tmp_path / "o.jsonl").read_text() == ""
    written = polars.read_parquet(tmp_path / "o.parquet")
    assert written.columns == columns and written.height == 0
    assert written.schema["label_predicted"] == polars.String and polars.Null not in written.schema.dtypes()
    assert written.schema["label_probability"] == polars.Float64


def test_a_workbook_without_rows_gives_its_columns_and_those_of_the_answers(labels, tmp_path, cli):
    pytest.importorskip("xlsxwriter")
    pytest.importorskip("fastexcel")
    NO_ROWS.write_excel(tmp_path / "in.xlsx")
    done = cli("predict", labels, tmp_path / "in.xlsx", "--output", tmp_path / "o.xlsx", "--probabilities")
    assert "o.xlsx: 0 rows" in done.err
    assert polars.read_excel(tmp_path / "o.xlsx").columns == [*NO_ROWS.columns, *ANSWERED]


def test_frames_without_rows_give_frames_of_the_same_columns(labels):
    model = ostinato.load(labels, device="cpu")
    full = pandas.DataFrame({"text": REVIEWS})
    for frame in (full, polars.DataFrame({"text": REVIEWS})):
        for ask in (model.predict, model.predict_proba):
            some, none = ask(frame), ask(frame.head(0))
            assert len(none) == 0 and list(none.columns) == list(some.columns)
            assert list(none.dtypes) == list(some.dtypes)
    assert list(model.predict([], as_frame=True).columns) == list(model.predict(full).columns)
    assert model.predict(full.head(0), as_frame=False) == []


def test_what_measures_still_needs_rows(labels, tmp_path, refused):
    (tmp_path / "in.csv").write_text("text,label\n")
    refused("evaluate", labels, "--data", tmp_path / "in.csv", says=["and no rows; give a file with"])


def test_tagged_words_without_rows_give_all_columns(tagged, tmp_path, cli):
    (tmp_path / "none.csv").write_text("words,id\n")
    (tmp_path / "one.csv").write_text("words,id\nein Bo,1\n")
    for name in ("none", "one"):
        cli("predict", tagged, tmp_path / f"{name}.csv", "--output", tmp_path / f"{name}.o.csv")
    none, some = ((tmp_path / f"{name}.o.csv").read_text().splitlines() for name in ("none", "one"))
    assert none == some[:1]
