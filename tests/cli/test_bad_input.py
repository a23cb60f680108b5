"""Bad input from recipe to answers: refused with the place, what was given, what is allowed and what to do, or counted
and told."""

import json
import random

import numpy as np
import pytest

ENCODER = "{cell: gru, hidden_size: 4, embedding_size: 4}"
TRAINING = "training: {epochs: 1, batch_rows: 8}\n"
LABELS = f"""\
data: {{train: train.csv, valid: valid.csv, test: test.csv}}
inputs: {{text: {{type: text, tokenizer: char, encoder: {ENCODER}}}}}
outputs: {{label: category}}
{TRAINING}"""
TAGS = f"""\
data: {{train: train.jsonl, test: test.jsonl}}
inputs: {{words: {{type: tokens, encoder: {ENCODER}}}}}
outputs: {{tags: {{type: tags, scheme: bioes}}}}
{TRAINING}"""
TABLE = f"""\
data: {{train: table.jsonl, valid: table.jsonl}}
inputs: {{size: number, kind: category}}
outputs: {{price: number}}
{TRAINING}"""
CURVES = f"""\
data: {{train: curves.jsonl}}
inputs: {{curve: {{type: series, encoder: {ENCODER}}}}}
outputs: {{label: category}}
{TRAINING}"""
FORECAST = f"""\
data: {{file: load.csv, time: date, split: {{valid: 12, test: 12}}}}
inputs:
  load: {{type: series, encoder: {ENCODER}}}
  weather: {{type: series, known_future: true, encoder: {ENCODER}}}
outputs: {{ahead: {{of: load, horizon: 4, lookback: 8, head: {{hidden_size: 4}}}}}}
{TRAINING}"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for split, count in (("train", 20), ("valid", 6), ("test", 6)):
        write_labels(tmp_path / f"{split}.csv", labels(count))
    write_rows(tmp_path / "train.jsonl", tagged(20))
    write_rows(tmp_path / "test.jsonl", tagged(6))
    return tmp_path


def labels(count):
    draw = random.Random(count)
    return [("".join(draw.choices("abcd", k=4)), ("no", "yes")[row % 2]) for row in range(count)]


def write_labels(path, rows, header="text,label"):
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")


def tagged(count):
    draw = random.Random(count)
    rows = [{"words": draw.choices("abcd", k=4)} for _ in range(count)]
    return [row | {"tags": ["B-X" if word in "ab" else "O" for word in row["words"]]} for row in rows]


def priced(count):
    return [{"size": float(row), "kind": "ab"[row % 2], "price": 2.0 * row} for row in range(count)]


def curves(count):
    return [{"curve": [float(row % 2), row / 7, 1.0], "label": "ab"[row % 2]} for row in range(count)]


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def load_table(path, hours=120, future=0, header="date,load,weather"):
    """Hour by hour; the load lacks its last `future` hours."""
    begin = np.datetime64("2013-01-01T00")
    loads = ["" if hour >= hours - future else f"{5 + np.sin(hour / 4):.3f}" for hour in range(hours)]
    lines = [f"{str(begin + hour).replace('T', ' ')}:00,{load},{hour % 7}" for hour, load in enumerate(loads)]
    path.write_text("\n".join([header, *lines]) + "\n")


def change_lines(path, change):
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


def cell(line, column, value):
    """A change of one cell; lines count from 1."""

    def change(lines):
        cells = lines[line - 1].split(",")
        cells[column] = value
        return [*lines[: line - 1], ",".join(cells), *lines[line:]]

    return change


@pytest.fixture
def train(folder, cli):
    def run(recipe, out="run", *words):
        (folder / "recipe.yaml").write_text(recipe)
        said = cli("train", "recipe.yaml", "--out", out, *words, "--json")
        assert said.code == 0, said.err
        return said

    return run


@pytest.fixture
def refuses(folder, refused):
    """Training is refused and leaves no run behind."""

    def run(recipe, says):
        (folder / "recipe.yaml").write_text(recipe)
        refused("train", "recipe.yaml", "--out", "run", says=says)
        assert not (folder / "run").exists(), "nothing stands in the way of the next try"

    return run


def finite(report):
    values = [one["value"] for metrics in report["outputs"].values() for one in metrics.values()]
    assert values and np.isfinite(values).all()


# Labels


def test_a_label_that_training_never_saw_is_named_with_its_line(folder, refuses):
    write_labels(folder / "valid.csv", [*labels(6), ("abc", "yees")])
    says = [
        "valid.csv line 8",
        "column 'label'",
        "'yees' was not known in training",
        "did you mean 'yes'",
        "known: no, yes",
        "unknown: missing",
    ]
    refuses(LABELS.replace("category", "{type: category, unknown: error}"), says)


def test_a_label_of_validation_that_training_never_saw_does_not_stop_training_where_nothing_is_said(folder, train):
    write_labels(folder / "valid.csv", [*labels(6), ("abc", "yees")])
    said = train(LABELS, "run", "--verbose")
    assert "outputs.label.unknown = missing (validation has labels that training lacks, such as yees" in said.err


def test_a_label_that_occurs_once_does_not_stop_training_wherever_it_is_set_aside(folder, cli):
    write_labels(folder / "all.csv", [*labels(18), ("abc", "never"), ("abcd", "once")])
    for seed in range(1, 4):
        said = cli("train", "all.csv", "--in", "text", "--out", "label", "--run", f"run{seed}", "--seed", str(seed),
                   "--set", "training.epochs=1")  # fmt: skip
        assert said.code == 0, said.err


def test_a_bad_test_split_does_not_cost_the_training(folder, cli, refused):
    (folder / "recipe.yaml").write_text(LABELS.replace("category", "{type: category, unknown: error}"))
    for content, says in (
        (
            "text,label\nabc,no\nabc,yees\n",
            ["test.csv line 3, outputs.label", "'yees' was not known", "did you mean 'yes'"],
        ),
        ("text,label\n", ["data.test: test.csv has a header (text, label) and no rows", "at least one row"]),
    ):
        (folder / "test.csv").write_text(content)
        refused("train", "recipe.yaml", "--out", "run", "--resume", says=says)
    weights = (folder / "run/weights.safetensors").read_bytes()
    write_labels(folder / "test.csv", labels(6))
    said = cli("train", "recipe.yaml", "--out", "run", "--resume", "--json")
    assert said.code == 0 and said.json["examples"] == 6
    assert (folder / "run/weights.safetensors").read_bytes() == weights, "what was trained is kept"


def test_an_unknown_label_is_counted_as_wrong_where_the_recipe_says_so(folder, train, cli):
    train(LABELS.replace("category", "{type: category, unknown: missing}"))
    write_labels(folder / "test.csv", [("abcd", "never")] * 3)
    found = cli("evaluate", "run", "--data", "test.csv", "--json").json
    assert found["outputs"]["label"]["accuracy"]["value"] == 0 and "log_loss" not in found["outputs"]["label"]
    assert any("log_loss" in note and "to divide by" in note for note in found["notes"]), (
        "labels that nobody knows have no log-probability"
    )
    write_labels(folder / "test.csv", [("abcd", "never")] * 3 + [("abcd", "no"), ("abcd", "yes")])
    found = cli("evaluate", "run", "--data", "test.csv", "--json").json["outputs"]["label"]
    assert found["accuracy"]["value"] == 20 and found["accuracy"]["method"] == "wilson over 5 examples"


def test_an_unknown_label_of_an_input_is_named_at_prediction_where_it_is_refused(folder, train, refused):
    write_rows(folder / "table.jsonl", priced(20))
    train(TABLE.replace("kind: category", "kind: {type: category, unknown: error}"))
    write_labels(folder / "in.csv", [("1", "a"), ("2", "c")], "size,kind")
    refused(
        "predict",
        "run",
        "--input",
        "in.csv",
        says=["in.csv line 3, inputs.kind", "'c' was not known in training", "known: a, b"],
    )


def test_new_labels_of_an_input_are_unknown_and_those_of_an_output_wrong_with_a_note(folder, train, cli):
    write_rows(folder / "table.jsonl", [row | {"dear": ["no", "yes"][row["kind"] == "b"]} for row in priced(20)])
    said = train(TABLE.replace("price: number", "dear: category"), "run", "--verbose")
    assert "chosen: inputs.kind.encoder.rare_label_dropout = 0.25" in said.err
    write_labels(folder / "in.csv", [("1", "a", "no"), ("2", "c", "no"), ("3", "b", "maybe")], "size,kind,dear")
    said = cli("evaluate", "run", "--data", "in.csv", "--json")
    assert said.code == 0 and said.json["outputs"]["dear"]["accuracy"]["value"] < 70
    lacks = "1 rows have a label of {} that training lacks, which {} (the first: in.csv line {})"
    assert lacks.format("inputs.kind", "is read as unknown: 'c'", 3) in said.err
    assert lacks.format("outputs.dear", "counts as wrong: 'maybe'", 4) in said.err
    assert cli("predict", "run", "--input", "in.csv").code == 0


def test_rows_without_a_label_are_left_out_of_training_and_counted(folder, train):
    write_labels(folder / "train.csv", [*labels(20), ("abcd", ""), ("abcd", "")])
    said = train(LABELS)
    assert "train: 2 rows left out, outputs.label is missing (the first: train.csv line 22)" in said.err
    assert "2 rows left out" in (folder / "run/README.md").read_text()


def test_one_label_alone_is_nothing_to_learn(folder, refuses):
    write_labels(folder / "train.csv", [(text, "yes") for text, _ in labels(20)])
    refuses(LABELS, ["outputs.label", "all 20 rows", "have the label 'yes'", "right column"])


def test_no_label_at_all_is_nothing_to_learn(folder, refuses):
    write_labels(folder / "train.csv", [(text, "") for text, _ in labels(20)])
    refuses(LABELS, ["outputs.label", "no row of the training split has a label"])


# Tags


def test_an_illegal_sequence_of_tags_is_named_with_its_line_and_step(folder, refuses, cli):
    rows = tagged(20)
    rows[4] = {"words": list("abcd"), "tags": ["O", "I-X", "O", "O"]}
    write_rows(folder / "train.jsonl", rows)
    refuses(TAGS, ["train.jsonl line 5, column 'tags'", "step 2", "'I-X' follows 'O'", "iob2", "lenient: true"])
    (folder / "recipe.yaml").write_text(TAGS.replace("bioes}", "bioes, lenient: true}"))
    assert cli("train", "recipe.yaml", "--out", "run").code == 0


def test_what_is_no_tag_is_named_with_its_line(folder, refuses):
    rows = tagged(20)
    rows[6]["tags"][1] = "NOUN"
    write_rows(folder / "train.jsonl", rows)
    refuses(TAGS, ["train.jsonl line 7, outputs.tags", "step 2", "'NOUN' is no tag of a scheme", "scheme: none"])


def test_tags_and_words_of_unequal_number_are_named_in_training_and_in_evaluation(folder, refuses, train, refused):
    rows = tagged(20)
    rows[4]["tags"] = ["O", "O"]
    write_rows(folder / "uneven.jsonl", rows)
    says = ["uneven.jsonl line 5", "outputs.tags has 2 labels and inputs.words 4 steps", "one label per step"]
    refuses(TAGS.replace("train.jsonl", "uneven.jsonl"), says)
    train(TAGS)
    refused("evaluate", "run", "--data", "uneven.jsonl", says=says)


@pytest.mark.parametrize("missing", [None, "_"])
def test_a_step_without_a_label_is_missing_in_training_and_in_the_references(folder, train, missing):
    rows = [row | {"tags": ["AB" if word in "ab" else "CD" for word in row["words"]]} for row in tagged(30)]
    for row in rows:
        row["tags"][1] = missing
    write_rows(folder / "train.jsonl", rows)
    write_rows(folder / "test.jsonl", rows)
    recipe = TAGS.replace(", scheme: bioes", f", missing: {missing}" if missing else "").replace(
        "epochs: 1", "epochs: 40"
    )
    said = train(
        recipe.replace(
            "batch_rows: 8", "batch_rows: 8, optimizer: {type: adamw, learning_rate: 0.05}, schedule: constant"
        )
    )
    assert json.loads((folder / "run/bundle.json").read_text())["modalities"]["outputs.tags"]["counts"] != []
    assert said.json["outputs"]["tags"]["accuracy(steps)"]["value"] == 100, "a missing step is no wrong one"
    assert said.json["baselines"]["tags"]["majority class of the symbol"]["accuracy(steps)"]["value"] == 100


def test_several_files_of_columns_are_named_once(folder, train, refuses):
    for name, text in (("a.txt", "x _ O\ny _ B-X\n\nz _ O\ny _ B-X\n\n" * 5), ("b.txt", "z _ O\n\nx _ O\ny _ B-X\n")):
        (folder / name).write_text(text)
    recipe = TAGS.replace("train: train.jsonl, test: test.jsonl", "train: {word _ tags: [a.txt, b.txt]}").replace(
        "words:", "word:"
    )
    (folder / "c.txt").write_text("z _ O\n\nx O\n")
    refuses(
        recipe.replace("b.txt", "c.txt"),
        ["c.txt line 3 has 2 columns apart by spaces, and 3 are named (word, _, tags)"],
    )
    said = train(recipe)
    splits = json.loads((folder / "run/bundle.json").read_text())["data"]["splits"]
    assert sum(one["rows"] for one in splits.values()) == 12
    finite(said.json)


def test_lists_of_whole_numbers_are_learnt_and_judged_as_symbols(folder, train):
    write_rows(folder / "train.jsonl", [{"a": [1, 2, 3], "b": [3, 2, 1]}] * 20)
    recipe = f"data: {{train: train.jsonl}}\ninputs: {{a: {{type: tokens, encoder: {ENCODER}}}}}\n"
    said = train(
        recipe
        + "outputs: {b: {type: tokens, head: {decoder: {cell: gru, hidden_size: 4}}}}\nsearch: greedy\n"
        + TRAINING
    )
    finite(said.json)


# Series


def test_a_series_shorter_than_its_window_is_named_with_what_it_needs(folder, refuses, train, refused):
    load_table(folder / "load.csv", hours=30)
    says = [
        "series 1: has 30 steps, 6 of them for training",
        "lookback 8 + horizon 4 need 12",
        "set a lookback of at most 2",
    ]
    refuses(FORECAST, says)
    load_table(folder / "load.csv")
    train(FORECAST)
    load_table(folder / "short.csv", hours=9, future=4)
    refused(
        "predict",
        "run",
        "--input",
        "short.csv",
        says=["short.csv series 1: has 5 steps", "looks back at 8", "longer past"],
    )


def test_a_constant_series_trains_and_gives_finite_numbers(folder, train, cli):
    load_table(folder / "load.csv")
    change_lines(folder / "load.csv", lambda lines: [lines[0], *(line.split(",")[0] + ",5,1" for line in lines[1:])])
    finite(train(FORECAST).json)
    change_lines(folder / "load.csv", lambda lines: [*lines[:-4], *(line.replace(",5,", ",,") for line in lines[-4:])])
    said = cli("predict", "run", "--input", "load.csv")
    assert np.allclose([float(one) for one in said.out.split()], 5, atol=0.5)
    write_rows(folder / "curves.jsonl", [row | {"curve": [2.0] * 5} for row in curves(20)])
    finite(train(CURVES, "flat").json)
    write_rows(folder / "table.jsonl", [row | {"size": 3, "price": 7} for row in priced(20)])
    finite(train(TABLE, "same").json)


@pytest.mark.parametrize("infinite", ["inf", "-Infinity", "1e999"])
def test_an_infinite_number_is_named_with_its_place(folder, refuses, infinite):
    load_table(folder / "load.csv")
    change_lines(folder / "load.csv", cell(11, 1, infinite))
    refuses(FORECAST, ["load.csv line 11, column 'load'", "infinite", "leave the cell empty where it is missing"])


def test_infinite_numbers_in_lists_and_cells_are_named_with_their_lines(folder, refuses):
    rows = curves(20)
    rows[3]["curve"][2] = float("inf")
    write_rows(folder / "curves.jsonl", rows)
    refuses(CURVES, ["curves.jsonl line 4", "inputs.curve", "step 3", "infinite"])
    rows[3]["curve"] = [[1.0, 2.0]]
    write_rows(folder / "curves.jsonl", rows)
    refuses(CURVES, ["curves.jsonl line 4, inputs.curve", "each step has 2 channels", "1 channel"])
    rows = priced(20)
    rows[5]["size"] = float("-inf")
    write_rows(folder / "table.jsonl", rows)
    refuses(TABLE, ["table.jsonl line 6, column 'size'", "infinite"])
    forecast = (
        f"data: {{file: curves.jsonl, split: {{valid: 5}}}}\ninputs: {{y: {{type: series, encoder: {ENCODER}}}}}\n"
    )
    forecast += "outputs: {ahead: {of: y, horizon: 2, lookback: 3}}\n" + TRAINING
    write_rows(folder / "curves.jsonl", [{"y": [1.0] * 20}, {"y": [1.0, 2.0, float("inf"), *[0.0] * 17]}])
    refuses(forecast, ["curves.jsonl line 2, column 'y'", "step 3 is infinite"])


def test_missing_numbers_are_gaps_of_a_series_and_leave_out_rows_of_a_table(folder, train, cli, refused):
    load_table(folder / "load.csv")
    change_lines(folder / "load.csv", cell(11, 1, ""))
    change_lines(folder / "load.csv", cell(31, 2, "NA"))
    finite(train(FORECAST).json)
    rows = curves(20)
    rows[3]["curve"][2], rows[0]["curve"], rows[5]["curve"] = None, None, []
    write_rows(folder / "curves.jsonl", rows)
    said = train(CURVES.replace("{train: curves.jsonl}", "{train: curves.jsonl, valid: curves.jsonl}"), "curves")
    finite(said.json)
    assert "n-gram" not in str(said.json["baselines"]) and "logistic regression" in said.json["baselines"]["label"]
    assert "1 row left out, inputs.curve is missing" in said.err and "1 row left out, inputs.curve is empty" in said.err
    finite(cli("evaluate", "curves", "--data", "curves.jsonl", "--json").json)

    rows = priced(20)
    rows[2]["size"], rows[4]["kind"], rows[6]["price"] = float("nan"), None, float("nan")
    write_rows(folder / "table.jsonl", rows)
    said = train(TABLE, "table")
    for place, line in (("inputs.size", 3), ("inputs.kind", 5), ("outputs.price", 7)):
        assert f"train: 1 row left out, {place} is missing (the first: table.jsonl line {line})" in said.err
    assert "inputs.kind is missing (the first: table.jsonl line 5); as text it may be empty" in said.err
    assert "line 3); as text" not in said.err, "a number is no text"
    assert said.json["examples"] == 17
    assert (
        "1 row left out, inputs.size is missing (the first: table.jsonl line 3)" in said.err.partition("\ntrained ")[2]
    )
    finite(said.json)
    says = ["table.jsonl line 3, inputs.size: is missing", "only a sequence can be empty", "leave the row out"]
    refused("predict", "table", "--input", "table.jsonl", says=says)
    rows[9]["size"] = rows[12]["size"] = None
    write_rows(folder / "holes.jsonl", rows)
    refused("predict", "table", "--input", "holes.jsonl", says=["is missing, in 2 more rows too, and only a sequence"])


def test_a_covariate_known_ahead_that_is_missing_is_named_by_its_first_date(folder, train, refused):
    load_table(folder / "load.csv")
    train(FORECAST)
    load_table(folder / "in.csv", hours=40, future=4)
    change_lines(folder / "in.csv", cell(39, 2, ""))
    says = [
        "in.csv series 1: inputs.weather is known ahead and missing at 2013-01-02 13:00",
        "give it for 4 steps from 2013-01-02 12:00",
    ]
    refused("predict", "run", "--input", "in.csv", says=says)
    load_table(folder / "in.csv", hours=40, future=2)
    refused(
        "predict",
        "run",
        "--input",
        "in.csv",
        says=["missing at 2013-01-02 16:00", "give it for 4 steps from 2013-01-02 14:00"],
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]],
            ["line 7: 2013-01-01 04:00 comes after 2013-01-01 05:00", "sort the rows by 'date'"],
        ),
        (lambda lines: [*lines[:5], lines[4], *lines[5:]], ["line 6: 2013-01-01 03:00 occurs twice", "keep one row"]),
        (
            lambda lines: lines[:60] + lines[60::2],
            ["line 62: 2013-01-03 13:00 comes after 2013-01-03 11:00", "one step is one hour", "add a row"],
        ),
        (
            lambda lines: lines[:60] + lines[72:],
            ["line 61: 2013-01-03 23:00 comes after 2013-01-03 10:00", "one step is one hour"],
        ),
        (cell(11, 0, "01.02.2013"), ["line 11, column 'date'", "'01.02.2013'", "write all in one form"]),
    ],
)
def test_dates_out_of_order_twice_or_of_another_frequency_are_named(folder, refuses, change, says):
    load_table(folder / "load.csv")
    change_lines(folder / "load.csv", change)
    refuses(FORECAST, ["load.csv", *says])


def test_a_few_missing_times_are_steps_without_numbers_and_told(folder, train, cli):
    load_table(folder / "load.csv")
    change_lines(folder / "load.csv", lambda lines: lines[:60] + lines[62:])
    note = "note: 2 of {} times have no row (the first: 2013-01-03 11:00); they are steps without numbers"
    assert note.format(120) in train(FORECAST).err
    load_table(folder / "in.csv", hours=80, future=4)
    change_lines(folder / "in.csv", lambda lines: lines[:60] + lines[62:])
    assert note.format(80) in cli("predict", "run", "--input", "in.csv").err


def test_a_forecast_of_steps_further_apart_than_those_of_training_is_refused(folder, train, refused):
    load_table(folder / "load.csv")
    train(FORECAST)
    change_lines(folder / "load.csv", lambda lines: [lines[0], *lines[1::2]])
    says = ["load.csv: one step is one 2 hours", "was trained on steps of one hour"]
    refused("predict", "run", "--input", "load.csv", says=says)
    refused("evaluate", "run", "--data", "load.csv", says=says)


# Files and columns


def test_two_inputs_with_different_numbers_of_rows_are_refused(folder, refuses, refused, train):
    (folder / "a.txt").write_text("a\nb\nc\n")
    (folder / "b.txt").write_text("x\ny\n")
    recipe = (
        "data: {train: {a: a.txt, b: b.txt, c: a.txt}}\ninputs: {a: text, b: text}\noutputs: {c: text}\n" + TRAINING
    )
    refuses(recipe, ["data.train", "a.txt has 3 lines", "b.txt has 2 lines", "line n of one"])


@pytest.mark.parametrize(
    ("content", "says"), [("", ["is empty"]), ("text,label\n", ["has a header (text, label) and no rows"])]
)
@pytest.mark.parametrize("split", ["train", "valid"])
def test_an_empty_file_and_a_header_alone_are_refused(folder, refuses, split, content, says):
    (folder / f"{split}.csv").write_text(content)
    refuses(LABELS, [f"data.{split}: {split}.csv", *says, "at least one row"])


def test_a_column_that_is_not_there_is_named_with_the_nearest(folder, refuses, train, refused):
    refuses(
        LABELS.replace("{label:", "{lable:"),
        ["data.train: train.csv has no column 'lable'", "did you mean 'label'", "allowed here: label, text"],
    )
    load_table(folder / "load.csv", header="date,load,wether")
    refuses(FORECAST, ["data.train: load.csv has no column 'weather'", "did you mean 'wether'"])
    train(LABELS)
    refused(
        "evaluate", "run", "--by", "lable", says=["data.test: test.csv has no column 'lable'", "did you mean 'label'"]
    )


def test_rows_to_predict_that_lack_an_input_are_refused(folder, train, refused):
    write_rows(folder / "table.jsonl", priced(20))
    train(TABLE)
    write_labels(folder / "in.csv", [("1", "a")], "sise,kind")
    refused("predict", "run", "--input", "in.csv", says=["--input: in.csv has no column 'size'", "did you mean 'sise'"])
    write_rows(folder / "in.jsonl", [{"size": 1, "kind": "a"}, {"kind": "a"}])
    refused("predict", "run", "--input", "in.jsonl", says=["in.jsonl line 2, inputs.size: is missing"])
    refused("predict", "run", "3", says=["size, kind", "--input FILE"])


# Recipes


@pytest.mark.parametrize(
    ("inputs", "outputs", "says"),
    [
        ("{a: {type: text, encoder: {same_as: b}}, b: {type: text, encoder: {same_as: a}}}", "{y: category}",
         ["line 2, inputs.a: same_as", "circle: inputs.a -> inputs.b -> inputs.a"]),
        ("{a: {type: text, encoder: {same_as: a}}}", "{y: category}",
         ["inputs.a", "circle: inputs.a -> inputs.a", "its own"]),
        ("{a: text}", "{y: {type: text, tokenizer: {same_as: y}}}",
         ["line 3, outputs.y: same_as", "circle: outputs.y -> outputs.y"]),
        ("{a: text, b: {type: tokens, encoder: {same_as: a}}}", "{y: category}",
         ["line 2, inputs.b: same_as joins tokens and text", "one type"]),
        ("{a: number, b: {type: category, encoder: {same_as: a}}}", "{y: category}",
         ["inputs.b", "same_as joins category and number"]),
        ("{a: tokens}", "{y: {type: text, tokenizer: {same_as: a}}}", ["outputs.y", "same_as joins text and tokens"]),
        ("{a: text, b: {type: text, encoder: {same_as: c}}}", "{y: category}",
         ["line 2, inputs.b.encoder.same_as", "no input 'c'"]),
        ("{a: text}", "{y: {type: category, reads: []}}",
         ["line 3, outputs.y.reads", "must read an input", "inputs: a"]),
        ("{a: {type: text, encoder: {bidirectional: true}}}", "{y: {of: a, align: next}}",
         ["line 2, inputs.a.encoder.bidirectional", "outputs.y", "leave it out"]),
        ("{a: {type: series, encoder: {bidirectional: true}}}", "{y: {of: a, horizon: 2}}",
         ["line 2, inputs.a.encoder.bidirectional", "outputs.y"]),
    ],
)  # fmt: skip
def test_what_refers_in_a_circle_or_to_another_type_reads_nothing_or_looks_ahead_is_refused(
    refuses, inputs, outputs, says
):
    refuses(f"data: {{train: train.csv}}\ninputs: {inputs}\noutputs: {outputs}\n", ["recipe.yaml", *says])
