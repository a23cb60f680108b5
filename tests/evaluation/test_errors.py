"""The held-out rows by loss, likely label errors, labels that are written almost alike."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import ostinato
from ostinato import api
from ostinato.cli.reports import error_lines
from ostinato.evaluation.errors import ErrorReport, HeldOut, Judged, likely_labels, similar_labels
from ostinato.run.predictions import Prediction


def test_confident_learning_by_hand():
    shares = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.6, 0.4], [0.1, 0.9], [0.55, 0.45]])
    own = np.array([0, 0, 0, 1, 1, 1])
    # t[0] = (0.9 + 0.7 + 0.2) / 3 = 0.6, t[1] = (0.4 + 0.9 + 0.45) / 3 = 0.583: row 2 reaches t[1], row 3 reaches t[0],
    # row 5 reaches neither.
    assert likely_labels(shares, own).tolist() == [-1, -1, 1, 0, -1, -1]


def test_a_model_that_is_not_sure_of_any_label_names_none():
    shares = np.array([[0.4, 0.3, 0.3], [0.35, 0.33, 0.32], [0.3, 0.36, 0.34]])
    # t = 0.3, 0.33, 0.34: the last row reaches t[1] and is label 2's, and no label has half of the probability.
    assert likely_labels(shares, np.array([1, 0, 2])).tolist() == [-1, -1, -1]
    assert likely_labels(np.array([[0.2, 0.8], [0.3, 0.7], [0.6, 0.4]]), np.array([0, 1, 0])).tolist() == [1, -1, -1]


def test_a_label_that_the_model_agrees_with_is_never_named_and_one_without_rows_never_likely():
    shares = np.array([[0.6, 0.3, 0.1], [0.9, 0.05, 0.05], [0.5, 0.2, 0.3]])
    # t[1] = 0.2: every row but the second reaches it, and only the last has label 1.
    assert likely_labels(shares, np.array([0, 0, 1])).tolist() == [-1, -1, -1]
    assert likely_labels(shares, np.array([1, 0, 0])).tolist() == [-1, -1, -1]


def test_labels_that_are_written_almost_alike():
    counts = {"Low": 9, "low": 2, " LOW": 1, "high": 5, "New York": 3, "new-york": 1, "type 1": 4, "type 2": 4}
    assert similar_labels(counts) == [{"Low": 9, "low": 2, " LOW": 1}, {"New York": 3, "new-york": 1}]
    assert similar_labels({"positive": 90, "positve": 2, "negative": 80}) == [{"positive": 90, "positve": 2}]
    assert similar_labels({"cat": 5, "bat": 5, "+": 1, "-": 1, "version1": 2, "version2": 2}) == []


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two labels; one of its validation rows has the wrong one."""
    folder = tmp_path_factory.mktemp("errors")
    rows = [("sun warm", "good"), ("rain cold", "bad")] * 12
    valid = [("sun", "good"), ("rain", "bad"), ("warm sun", "good"), ("cold rain", "bad"), ("sun warm", "bad")]
    for name, listed in (("train", [*rows, ("rain", "Bad")]), ("valid", valid)):
        with open(folder / f"{name}.csv", "w", newline="") as file:
            csv.writer(file).writerows([("id", "text", "label"), *((at, *row) for at, row in enumerate(listed))])
    model = ostinato.Model(
        {"text": {"type": "tokens", "encoder": {"type": "recurrent", "hidden_size": 8, "dropout": 0.0}}},
        {"label": {"type": "category", "head": {"pool": "last"}}},
        data={"train": str(folder / "train.csv"), "valid": str(folder / "valid.csv")},
        training={"epochs": 15, "batch_rows": 4, "optimizer": {"type": "adamw", "learning_rate": 0.03}},
    )
    return model.fit(folder=folder / "run", device="cpu").run


def test_the_worst_row_comes_first_and_its_label_is_likely_wrong_and_the_advice_is_to_mend_it(run):
    report = api.errors(run, device="cpu")
    worst = report.rows[0]
    assert repr(report) == "ErrorReport of 5 rows of valid: .rows[:20], .likely(OUTPUT), .to_json(top=20)"
    assert worst.place.endswith("valid.csv line 6") and worst.prediction.inputs == {"text": ["sun", "warm"]}
    judged = worst.outputs["label"]
    assert (judged.expected, judged.predicted, judged.wrong, judged.likely) == ("bad", "good", True, "good")
    assert judged.loss == pytest.approx(-np.log(judged.probability), rel=1e-4)
    assert report.likely("label") == [worst] and [row.outputs["label"].wrong for row in report.rows[1:]] == [False] * 4
    losses = [row.outputs["label"].loss for row in report.rows]
    assert losses == sorted(losses, reverse=True)
    assert report.similar == {"label": [{"bad": 12, "Bad": 1}]}
    text = "\n".join(error_lines(report, 2))
    for part in ("1 of 5 rows of valid are predicted wrongly", "bad  ->  good", "'bad' (12)  'Bad' (1)"):
        assert part in text, text
    assert "label: labels that are written almost alike (rows of training); mend the data if they are one:" in text
    assert similar_labels({"good": 12, "bad": 13}) == []
    assert "3 more rows: --top N, or --output FILE for all of them" in text
    assert "more rows" not in "\n".join(error_lines(report, 5))


def test_rows_that_the_model_was_trained_on_are_told(run):
    report = api.errors(run, data=str(run.folder.parent / "train.csv"), device="cpu")
    (note,) = report.notes
    assert "was trained on these rows" in note and note in error_lines(report, 1)


def test_all_rows_that_were_held_out_can_be_written_with_their_columns(run, tmp_path):
    notes = []
    api.errors(run, output=tmp_path / "held.csv", device="cpu", say=notes.append)
    with open(tmp_path / "held.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ["id", "text", "label", "label_predicted", "label_probability", "label_loss", "label_likely"]
    assert [list(row) for row in rows] == [names] * 5 and {row["id"] for row in rows} == set("01234")
    assert (rows[0]["id"], rows[0]["label_likely"]) == ("4", "good") and notes == [f"{tmp_path / 'held.csv'}: 5 rows"]
    again = ostinato.load(run.folder, device="cpu").errors(output=tmp_path / "again.csv")
    assert again.to_json() == api.errors(run, device="cpu").to_json()
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "held.csv").read_text()
    plain = api.errors(run, device="cpu").to_json(top=1)
    page = (Path(__file__).parents[2] / "docs" / "predictions.md").read_text()
    for name in (*plain, *plain["rows"][0], *plain["rows"][0]["outputs"]["label"]):
        assert f"`{name}`" in page, name
    assert plain["examples"] == 5 and len(plain["rows"]) == 1 and json.dumps(plain)


def test_a_table_of_them_has_the_delimiter_of_the_table_that_they_are_from(run, tmp_path):
    notes = []
    (tmp_path / "other.csv").write_text("id;text;label\n7;sun;bad\n8;rain;bad\n")
    api.errors(run, data=str(tmp_path / "other.csv"), output=tmp_path / "held.csv", device="cpu", say=notes.append)
    with open(tmp_path / "held.csv", newline="") as file:
        written = list(csv.DictReader(file, delimiter=";"))
    assert [(row["id"], row["text"]) for row in written] == [("7", "sun"), ("8", "rain")]
    assert notes[-1].endswith("2 rows, with ';' between fields as the data has")


def test_words_that_are_labelled_wrongly_are_marked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{"words": ["Bo", "met", "Al"], "tags": ["P", "O", "P"]}] * 8
    held = [{"words": ["Bo", "met", "Al"], "tags": ["P", "O", mark]} for mark in "OPPP"]
    held.append({"words": ["met"], "tags": ["P"]})
    Path("valid.jsonl").write_text("\n".join(map(json.dumps, held)))
    model = ostinato.Model(
        {"words": {"type": "tokens", "encoder": {"type": "recurrent", "hidden_size": 8, "dropout": 0.0}}},
        {"tags": "tags"},
        training={"epochs": 20, "batch_rows": 4, "optimizer": {"type": "adamw", "learning_rate": 0.05}},
    ).fit(rows, rows[:2], device="cpu")
    report = api.errors(model.run, data="valid.jsonl", device="cpu")
    text, judged = "\n".join(error_lines(report, 2)), {row.number: row.outputs["tags"] for row in report.rows}
    assert judged[0].marked == "Bo met Al{O>P}" and "Bo met Al{O>P}" in text
    # t[P] is low, since a step of three that is P in the data is none for the model; t[O] likewise.
    assert [judged[number].likely for number in range(5)] == ["P O P", None, None, None, "O"]
    assert judged[0].likely_steps == ("Al{O->P}",) and "valid.jsonl line 1  Al{O->P}" in text
    assert "labels that are likely wrong in the data, 2 by" in text


def test_numbers_are_ranked_without_being_right_or_wrong(tmp_path):
    rows = [{"x": "a" if at % 2 else "b", "y": float(at % 2)} for at in range(20)]
    model = ostinato.Model({"x": "category"}, {"y": "number"}, training={"epochs": 2}).fit(rows, rows[:4], device="cpu")
    report = api.errors(model.run, data=[*rows[:3], {"x": "a", "y": 50.0}], device="cpu")
    assert report.rows[0].outputs["y"].expected == "50.0" and report.rows[0].outputs["y"].wrong is None


def test_real_numbers_are_shown_to_five_digits_and_texts_as_they_are():
    for are_numbers, shown in ((True, "268.31 242.39 NA"), (False, "268.3086252941551 242.39 NA")):
        judged = Judged("191.7 294.8 NA", "268.3086252941551 242.39 NA", 2.0, None, None, are_numbers=are_numbers)
        row = HeldOut(0, "t.csv series W", Prediction({"y": [1.5, float("nan")]}, {}), {"y": judged})
        text = "\n".join(error_lines(ErrorReport("valid", [row]), 1))
        assert shown in text and "191.7 294.8 NA" in text and "1.5 NA" in text
