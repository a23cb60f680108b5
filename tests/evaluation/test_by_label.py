"""Precision, recall and F1 of each label or type of entity, and how a report shows them."""

import json
from dataclasses import replace

import pytest

import ostinato
from ostinato.evaluation.by_label import LabelScores, by_label
from ostinato.evaluation.evaluate import by_group, report_of
from ostinato.evaluation.predictions import SplitPredictions
from ostinato.evaluation.report import Report
from ostinato.evaluation.report_text import text_of
from ostinato.metrics.contract import Predictions


def run_of(output, values):
    rows = [{"x": ["a"] * (len(value) if isinstance(value, list) else 1), "y": value} for value in values]
    model = ostinato.Model({"x": "tokens"}, {"y": output}, training={"epochs": 1, "batch_rows": 8})
    return model.fit(rows, rows, device="cpu").run


def test_each_label_by_hand_the_worst_first():
    run = run_of("category", ["a", "b", "c"] * 3)
    known = Predictions(["a", "a", "b", "b"], ["a", "b", "b", "c"])
    assert by_label(run, "y", known) == {
        "c": LabelScores(0.0, 0.0, 0.0, 1, 0),
        "b": LabelScores(50.0, 50.0, 50.0, 2, 2),
        "a": LabelScores(50.0, 100.0, pytest.approx(200 / 3), 1, 2),
    }


def test_several_labels_of_a_row_and_labels_of_steps():
    run = run_of({"type": "category", "multilabel": True}, [["a", "b"], ["a"], ["b"]] * 3)
    scores = by_label(run, "y", Predictions([["a"], ["a", "b"]], [["a", "b"], ["b"]]))
    assert scores["a"] == LabelScores(50.0, 100.0, pytest.approx(200 / 3), 1, 2) and scores["b"].recall == 50
    run = run_of("tags", [["N", "V"]] * 6)
    scores = by_label(run, "y", Predictions([["N", "N", "V"]], [["N", None, "N"]]))
    assert scores == {
        "V": LabelScores(0.0, 0.0, 0.0, 0, 1),
        "N": LabelScores(100.0, 50.0, pytest.approx(200 / 3), 2, 1),
    }


def test_entities_are_right_where_label_and_both_ends_are():
    run = run_of({"type": "tags", "scheme": "bioes"}, [["B-PER", "I-PER", "O"], ["B-LOC", "O"]] * 4)
    truth, answer = ["B-PER", "I-PER", "O", "B-LOC", "B-LOC"], ["B-PER", "O", "O", "B-LOC", "O"]
    scores = by_label(run, "y", Predictions([answer], [truth]))
    assert scores["PER"] == LabelScores(0.0, 0.0, 0.0, 1, 1)
    assert scores["LOC"] == LabelScores(100.0, 50.0, pytest.approx(200 / 3), 2, 1)
    assert by_label(run_of("number", [1.0, 2.0, 3.0]), "y", Predictions([1.0], [2.0])) == {}


def report():
    run = run_of("category", ["a", "b"] * 3)
    names = [f"g{at:02}" for at in range(30) for _ in range(2)]
    # Group g07 has no row right, g03 one of two, all others both.
    wrong = {"g07": 2, "g03": 1}
    expected, predicted, left = ["a"] * 60, [], dict(wrong)
    for name in names:
        predicted.append("b" if left.get(name, 0) > 0 else "a")
        left[name] = left.get(name, 0) - 1
    scores = {"log_probability": [-0.1] * 60, "num_targets": [1] * 60}
    known = SplitPredictions(60, {"y": Predictions(predicted, expected, **scores)}, {"y": list(range(60))})
    return replace(report_of(run, known, "valid"), by=by_group(run, known, "site", names))


def test_a_report_shows_the_main_metric_alone_and_its_method_once():
    text = text_of(report(), every=False)
    lines = text.splitlines()
    assert lines[0].startswith("y  accuracy  95  [") and "f1(macro)" not in text and "wilson" not in lines[0]
    assert text.count("wilson over 60 examples") == 1 and lines[-1] == "3 more metrics: --all"
    whole = text_of(report(), every=True)
    assert "f1(macro)" in whole and "more metric" not in whole
    assert whole.count("bootstrap over 60 examples, 1000 draws, seed 0 (f1(macro), f1(micro), log_loss)") == 1


def test_groups_are_shown_from_the_worst_and_counted_beyond_twenty():
    lines = text_of(report(), every=False).splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("site "))
    assert [line.split()[0] for line in lines[start + 1 : start + 3]] == ["g07", "g03"]
    assert lines[start + 21] == "and 10 more groups, no worse: --json"


def test_labels_stay_with_a_report_that_is_kept():
    kept = report()
    plain = json.loads(json.dumps(kept.to_json()))
    assert plain["main"] == {"y": "accuracy"} and list(plain["labels"]["y"]["b"]) == [
        "precision",
        "recall",
        "f1",
        "support",
        "predicted",
    ]
    back = Report.from_json(plain)
    assert (back.labels, back.main) == (kept.labels, kept.main)
    table = text_of(back).splitlines()
    head = next(at for at, line in enumerate(table) if line.split()[1:3] == ["precision", "recall"])
    assert table[head + 1].split() == ["b", "0.0", "0.0", "0.0", "0"]
