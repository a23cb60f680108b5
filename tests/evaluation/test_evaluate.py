"""Long texts are judged in pieces: their sums are those of the texts, and one text has an interval."""

import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import ostinato
from ostinato.errors import DataError
from ostinato.evaluation.compare import compared
from ostinato.evaluation.evaluate import by_group, report_of
from ostinato.evaluation.predictions import SplitPredictions, in_pieces, metrics_of, predict_all
from ostinato.evaluation.report import Backtest, Origin, Report, Spread
from ostinato.evaluation.report_text import text_of
from ostinato.metrics.contract import Measured, Predictions
from ostinato.model.reading import Reading
from ostinato.registry import component
from ostinato.run.rows import of_split
from ostinato.run.score import scores

LENGTHS = (4000, 30, 900)


def texts():
    """Words that come back for a while: neighbours are alike."""
    draw, made = random.Random(0), []
    for length in LENGTHS:
        text = ""
        while len(text) < length:
            text += (draw.choice(["ab", "cd", "ef"]) + " ") * draw.randint(5, 30)
        made.append({"text": text[:length]})
    return made


@pytest.fixture(scope="module", params=["char", "word"])
def run(request, tmp_path_factory):
    encoder = {"cell": "gru", "hidden_size": 6, "embedding_size": 4}
    model = ostinato.Model(
        inputs={"text": {"type": "text", "tokenizer": request.param, "encoder": encoder}},
        outputs={"on": {"of": "text", "align": "next"}},
        training={"epochs": 1, "batch_rows": 4, "seed": 1},
    )
    rows = [{"text": one["text"][at : at + 60]} for one in texts() for at in range(0, len(one["text"]), 60)]
    return model.fit(rows, rows[:5], folder=tmp_path_factory.mktemp("run") / "run").run


def examined(run, rows):
    return predict_all([run], of_split(run, "test", rows, ()))


def test_pieces_sum_to_the_texts(run):
    rows = texts()
    whole, found = scores([run], rows)["on"], examined(run, rows)
    judged, numbers = found.outputs["on"], found.numbers["on"]
    assert found.examples == 3 and set(numbers) == {0, 1, 2} and len(numbers) == 4000 // 50 + 1 + 900 // 50
    for number, row in enumerate(rows):
        mine = [at for at, one in enumerate(numbers) if one == number]
        assert "".join(judged.expected[at] for at in mine) == row["text"]
        for name in ("log_probability", "num_targets", "num_right"):
            told = float(getattr(whole.scored, name)[number])
            assert sum(getattr(judged, name)[at] for at in mine) == pytest.approx(told, rel=1e-4), name
        sums = [float(getattr(whole.scored, name)[number]) for name in ("log_probability", "num_right", "num_targets")]
        assert whole.by_step[number].sum(0) == pytest.approx(sums, rel=1e-4)


def test_one_text_has_an_interval_over_blocks_of_its_pieces(run):
    told = report_of(run, examined(run, texts()[:1]), "test").outputs["on"]
    assert set(told) == set(metrics_of(run, "on"))
    for one in told.values():
        assert one.low <= one.value <= one.high and "block bootstrap over " in one.method and "piece" in one.method
    assert told["bits_per_character"].low < told["bits_per_character"].value < told["bits_per_character"].high


def test_a_piece_without_an_end_has_as_many_targets_as_frames_however_many_pieces_there_are():
    roll = {"type": "piano_roll", "lowest": 55, "keys": 12, "encoder": {"hidden_size": 8, "bidirectional": False}}
    model = ostinato.Model({"roll": roll}, {"on": {"of": "roll", "column": "roll"}}, training={"epochs": 1, "seed": 1})
    rows = [{"roll": [[60], [62, 64], []] * 2}]
    model.fit(rows * 8, rows, verbose=0)
    alone, many = (model.evaluate(rows * number).outputs["on"]["log_loss"].value for number in (1, 120))
    assert alone == pytest.approx(many, rel=1e-6)


def test_many_texts_are_judged_as_they_are(run):
    rows = [{"text": "ab cd ef " * 30}] * 120
    found = examined(run, rows)
    assert found.numbers["on"] == list(range(120))
    assert " row" in report_of(run, found, "test").outputs["on"]["perplexity"].method


def kept(*expected):
    columns = {name: [0.0] * len(expected) for name in ("log_probability", "num_targets", "num_right")}
    return columns | {"expected": list(expected), "predicted": [None] * len(expected)}


def test_a_text_is_cut_at_equal_shares_of_its_characters_and_of_its_steps():
    steps = np.stack([-np.arange(31.0), np.arange(31) % 2, np.arange(31) < 30], 1)
    made, stand = in_pieces(kept(list(range(150))), [steps], [7])
    assert made["expected"] == [list(range(50)), list(range(50, 100)), list(range(100, 150))] and stand == [7, 7, 7]
    assert made["num_targets"] == [10, 11, 9], "the end of the text has no target"
    assert made["predicted"] == [None] * 3
    assert made["log_probability"] == [-sum(range(10)), -sum(range(10, 21)), -sum(range(21, 31))]
    assert made["num_right"] == [5, 5, 5]


def test_what_is_short_empty_or_not_told_by_step_stays_whole():
    steps = np.ones((3, 3))
    made, stand = in_pieces(kept("short", ""), [steps, steps[:1]], [3, 5])
    assert (made["expected"], made["num_targets"], stand) == (["short", ""], [3, 1], [3, 5])
    long = kept("x" * 500)
    assert in_pieces(long, [None], [3]) == (long, [3])
    nothing = kept()
    assert in_pieces(nothing, [], []) == (nothing, [])


def known(name, kind, align):
    """As much of a run as judgement asks for."""
    head = SimpleNamespace(type=component("modalities", kind).default_head[align])
    output = SimpleNamespace(type=kind, align=align, head=head, metrics=None, join=None, scheme="none")
    modalities = {"outputs.y": SimpleNamespace(spec=None)}
    graph = SimpleNamespace(heads={"y": SimpleNamespace(estimated="")})
    return SimpleNamespace(folder=Path("runs") / name, outputs={"y": output}, modalities=modalities, graph=graph)


def forecasts(quantiles=True, scales=True):
    draw = np.random.default_rng(0)
    expected = [draw.normal(size=4) for _ in range(40)]
    said = [one + draw.normal(size=4) for one in expected]
    levels = [{level: one + shift for level, shift in ((0.05, -1.6), (0.95, 1.6))} for one in said]
    judged = Predictions(said, expected, quantiles=levels if quantiles else None, scales=[1.0] * 40 if scales else None)
    return SplitPredictions(40, {"y": judged}, {"y": list(range(40))})


def test_forecasts_without_quantiles_or_scales_are_compared_by_what_both_have():
    runs = [known(name, "series", "ahead") for name in ("a", "b")]
    neither = compared(*runs, (forecasts(False, False), forecasts(False, False)), "test")
    assert set(neither.outputs["y"]) == {"mae", "mse", "rmse", "smape"} and neither.notes == []
    one = compared(*runs, (forecasts(), forecasts(quantiles=False)), "test")
    assert set(one.outputs["y"]) == {"mae", "mse", "rmse", "smape", "mase"}
    assert (
        one.notes[0]
        == "y.pinball_loss is left out: pinball_loss: runs/b gives no quantiles, which it is made from; compare by the "
        "others"
    )
    assert [note.split()[0] for note in one.notes] == ["y.pinball_loss", "y.crps", "y.interval_coverage"]


def translations(num_targets, expected="abcdefgh"):
    columns = {"log_probability": [-5.0] * 40, "num_targets": [num_targets] * 40, "num_right": [num_targets - 1] * 40}
    return SplitPredictions(40, {"y": Predictions(["abcd"] * 40, [expected] * 40, **columns)}, {"y": list(range(40))})


def test_texts_of_two_tokenizers_are_compared_by_what_does_not_count_their_steps():
    runs = [known(name, "text", "free") for name in ("a", "b")]
    found = compared(*runs, (translations(5), translations(3)), "test")
    assert set(metrics_of(runs[0], "y")) - set(found.outputs["y"]) == {"perplexity", "token_accuracy"}
    assert len(found.notes) == 2 and all(
        "has 5 steps for the first system and 3 for the second" in note for note in found.notes
    )
    runs = [known(name, "text", "next") for name in ("a", "b")]
    assert set(compared(*runs, (translations(5), translations(3)), "test").outputs["y"]) == {"bits_per_character"}


def test_runs_that_have_nothing_to_pair_are_refused():
    runs = [known(name, "text", "free") for name in ("a", "b")]
    with pytest.raises(DataError, match="y.bleu is left out: bleu: expected of example 1 is 'abcdefgh'"):
        compared(*runs, (translations(5), translations(5, "other")), "test")


def test_a_group_that_one_metric_cannot_judge_keeps_the_others():
    run = known("a", "tags", "each")
    tags = [["B-x", "O"], ["O", "O"], ["B-x"]]
    found = SplitPredictions(
        3, {"y": Predictions(tags, tags, log_probability=[-1.0] * 3, num_targets=[2, 2, 1])}, {"y": [0, 1, 3]}
    )
    by = by_group(run, found, "source", ["mail", "web", "mail", "mail", "fax"])
    sizes = {name: group.examples for name, group in by.groups.items()}
    assert sizes == {"mail": 2, "web": 1}, "rows that were left out count for no group"
    assert set(by.groups["mail"].outputs["y"]) == set(metrics_of(run, "y"))
    assert set(metrics_of(run, "y")) - set(by.groups["web"].outputs["y"]) == {
        "span_f1(precision)",
        "span_f1(recall)",
        "span_f1",
    }
    assert [note.split(" is left out: ")[0] for note in by.notes][-1] == "--by source: the 1 row of 'web': y.span_f1"
    told = text_of(replace(report_of(run, found, "test"), by=by))
    lines = [line.split() for line in told.splitlines()]
    assert ["source", "rows", "y", "span_f1"] in lines and ["source", "rows", "y", "accuracy(steps)"] in lines
    assert by.notes[0] in told.splitlines()


def test_a_group_of_series_without_a_scale_has_no_mase():
    run, found = known("a", "series", "ahead"), forecasts()
    found.outputs["y"].scales[:10] = [np.nan] * 10
    by = by_group(run, found, "site", ["flat"] * 10 + ["lively"] * 30)
    assert "mase" in by.groups["lively"].outputs["y"] and "mase" not in by.groups["flat"].outputs["y"]
    assert "mae" in by.groups["flat"].outputs["y"] and by.worst["y"]["mase"] == "lively"
    assert len(by.notes) == 1 and by.notes[0].startswith("--by site: the 10 rows of 'flat': y.mase is left out: ")


def test_a_split_that_one_metric_cannot_judge_keeps_the_others():
    run = known("a", "tags", "each")
    nothing = Predictions([["O"]], [["O"]], log_probability=[-1.0], num_targets=[1])
    told = report_of(run, SplitPredictions(1, {"y": nothing}, {"y": [0]}), "test")
    assert "span_f1" not in told.outputs["y"] and "accuracy(steps)" in told.outputs["y"]
    assert told.notes[0] in text_of(told)
    impossible = Predictions(None, ["ab"], log_probability=[-np.inf], num_targets=[2], num_right=None)
    with pytest.raises(DataError, match="perplexity: the log-probability of reference 1 is -inf"):
        report_of(known("a", "text", "next"), SplitPredictions(1, {"y": impossible}, {"y": [0]}), "test")


def test_an_origin_that_lacks_a_metric_is_read_beside_those_that_have_it():
    one = Measured(1.0, 0.5, 1.5, "")
    known = {"a": {"mae": one, "mase": one}, "b": {"mae": one}}
    parts = [Origin(at, at, 3, {"y": each}, {}) for at, each in known.items()]
    notes = ["the windows from b to b: y.mase is left out"]
    backtest = Backtest(parts, {"y": {"mae": Spread(1.0, 0.0, "a")}}, False, notes)
    lines = text_of(Report("test", 6, {"y": {}}, backtest=backtest)).splitlines()
    assert "origin 1  y  mase  1  [0.5, 1.5]" in lines and notes[0] in lines


def test_what_no_metric_needs_is_not_computed(monkeypatch):
    rows = [{"x": f"a{'b' * (number % 3)}", "y": "even" if number % 2 else "odd"} for number in range(40)]
    model = ostinato.Model({"x": "text"}, {"y": "category"}, training={"epochs": 1}).fit(rows)
    examples, metrics = of_split(model.run, "test", rows[:9], ()), metrics_of(model.run, "y")
    readings = []
    read = Reading.read
    monkeypatch.setattr(Reading, "read", lambda *args, **more: readings.append(1) or read(*args, **more))

    def known(*keys):
        readings.clear()
        return predict_all([model.run], examples, metrics={"y": {key: metrics[key] for key in keys}}).outputs["y"]

    answers, scored = known("accuracy"), known("log_loss")
    assert answers.log_probability is None and scored.predicted is None and len(readings) == 1
    both = known("accuracy", "log_loss")
    assert len(readings) == 2
    assert both.predicted == answers.predicted and both.log_probability == scored.log_probability
