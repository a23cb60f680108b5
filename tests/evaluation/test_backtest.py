"""Backtests: parts of a split in the order of time, each measured as it would be alone, with its baselines."""

import json
import statistics

import numpy as np
import pytest

from ostinato import api
from ostinato.errors import ConfigError
from ostinato.evaluation.report_text import text_of
from ostinato.recipe import read as recipe_read

TINY = {"cell": "gru", "hidden_size": 4, "embedding_size": 3}
OUTPUT = {"of": "load", "horizon": 4, "lookback": 8, "stride": 4}
RECIPE = {
    "data": {
        "file": "load.csv",
        "time": "date",
        "series": "site",
        "split": {"valid": "2013-01-06", "test": "2013-01-07"},
    },
    "inputs": {"load": {"type": "series", "encoder": TINY}},
    "outputs": {"ahead": OUTPUT},
    "training": {"epochs": 1, "batch_rows": 32, "seed": 1},
}


def table(path, sizes=(1.0, 20.0), jump=None):
    """Hours from the first of January; in the last part of the test split the load is `jump` times as large."""
    begin, lines = np.datetime64("2013-01-01T00"), ["date,site,load"]
    for site, size in zip("abcd", sizes):
        for k in range(24 * 8):
            load = (
                size
                * (5 + np.sin(2 * np.pi * k / 24) + k * 7919 % 13 / 100)
                * (jump if jump and k >= 24 * 7 + 12 else 1)
            )
            lines.append(f"{str(begin + k).replace('T', ' ')}:00,{site},{load:.4f}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backtest")
    table(folder / "load.csv", jump=9)
    (folder / "recipe.json").write_text(json.dumps(RECIPE))
    api.train(recipe_read.load(folder / "recipe.json"), folder / "run", device="cpu")
    return folder / "run"


def test_each_origin_is_measured_as_its_windows_alone(run):
    found = api.evaluate(run, origins=3, device="cpu").to_json()
    parts = found["backtest"]["origins"]
    # The test split has 48 hours from the 7th, so 45 windows of 4 hours in each of two series: 15 to an origin.
    assert [(one["from"], one["to"], one["examples"]) for one in parts] == [
        ("2013-01-07", "2013-01-07 14:00", 30),
        ("2013-01-07 15:00", "2013-01-08 05:00", 30),
        ("2013-01-08 06:00", "2013-01-08 20:00", 30),
    ]
    for metric in ("mae", "smape", "crps", "interval_coverage"):
        whole = found["outputs"]["ahead"][metric]["value"]
        assert statistics.fmean(one["outputs"]["ahead"][metric]["value"] for one in parts) == pytest.approx(whole)
    for name, own in found["baselines"]["ahead"].items():
        values = [one["baselines"]["ahead"][name]["mae"]["value"] for one in parts]
        assert statistics.fmean(values) == pytest.approx(own["mae"]["value"]) and len(set(values)) == 3
    assert found["backtest"]["refitted"] is False
    method = parts[0]["outputs"]["ahead"]["mae"]["method"]
    assert "blocks of" in method and "windows, the same times in 2 series" in method


def test_mean_deviation_and_worst_are_over_the_origins(run):
    backtest = api.evaluate(run, origins=3, device="cpu").to_json()["backtest"]
    one = backtest["summary"]["ahead"]["mae"]
    values = [part["outputs"]["ahead"]["mae"]["value"] for part in backtest["origins"]]
    assert one["mean"] == pytest.approx(statistics.fmean(values)) and one["deviation"] == pytest.approx(
        statistics.stdev(values)
    )
    assert one["worst"] == "2013-01-08 06:00" and max(values) == values[2], "the load jumps at noon of the 8th"
    assert set(one["baselines"]) == {"persistence", "seasonal naive, 24 steps"}
    persistence = [part["baselines"]["ahead"]["persistence"]["mae"]["value"] for part in backtest["origins"]]
    assert one["baselines"]["persistence"]["mean"] == pytest.approx(statistics.fmean(persistence))
    assert "worst" not in backtest["summary"]["ahead"]["interval_coverage"], "neither end is good"
    assert "baselines" not in backtest["summary"]["ahead"]["crps"], "points have none"


def test_a_person_reads_the_dates_the_baselines_and_the_worst(run):
    lines = text_of(api.evaluate(run, origins=2, device="cpu")).splitlines()
    assert "origin 2: forecasts from 2013-01-07 23:00 to 2013-01-08 20:00, 44 windows" in lines
    worst = [line for line in lines if line.startswith("origin 2  ahead  mae ")]
    assert len(worst) == 1 and worst[0].endswith("(the worst)") and "; persistence " in worst[0]
    (mean,) = (line for line in lines if line.startswith("2 origins  ahead  mae  mean "))
    assert "worst from 2013-01-07 23:00; persistence " in mean and "deviation" in mean
    assert "each origin: the model as trained, without retraining on the rows before the origin" in lines


def test_a_backtest_is_not_kept_in_the_run(run):
    before = (run / "metrics.json").read_text()
    api.evaluate(run, origins=2, device="cpu")
    assert (run / "metrics.json").read_text() == before


def test_origins_that_cannot_be_are_refused(run, tmp_path):
    with pytest.raises(
        ConfigError, match="--origins 46: forecasts of data.test begin at 45 steps of a series at most; give 2 to 45"
    ):
        api.evaluate(run, origins=46, device="cpu")
    lines = (run.parent / "load.csv").read_text().splitlines()
    (tmp_path / "one.csv").write_text("\n".join(lines[:13]))
    with pytest.raises(ConfigError, match="begin at 1 steps of a series at most; leave it out"):
        api.evaluate(run, data=str(tmp_path / "one.csv"), origins=2, device="cpu")


def test_an_origin_that_cannot_be_judged_is_left_out_with_a_note(run, tmp_path):
    lines = (run.parent / "load.csv").read_text().splitlines()
    (tmp_path / "gap.csv").write_text(
        "\n".join([*lines[:41], *(f"{line.rpartition(',')[0]}," for line in lines[41:81])])
    )
    report = api.evaluate(run, data=str(tmp_path / "gap.csv"), origins=2, device="cpu")
    backtest = report.to_json()["backtest"]
    assert "mae" in backtest["origins"][0]["outputs"]["ahead"] and backtest["origins"][1]["outputs"] == {"ahead": {}}
    (note,) = backtest["notes"]
    assert note.startswith(
        "--origins 2: the windows from 2013-01-02 19:00 to 2013-01-04 04:00 cannot be measured alone: "
    )
    assert backtest["summary"] == {"ahead": {}} and note in text_of(report).splitlines()


def test_a_forecast_is_scored_window_by_window_and_has_one_answer(run):
    source = str(run.parent / "load.csv")
    found = api.score(run, source, device="cpu")["ahead"]
    # 192 hours of two sites: the first window is read from 8 of them, and 4 follow.
    assert len(found.log_probability) == 2 * (192 - 8 - 4 + 1) and set(found.num_targets) == {4}
    assert np.isfinite(found.log_probability).all()
    assert len(list(api.predict(run, source=source, n_best=1, device="cpu"))) == 2
    with pytest.raises(ConfigError, match="--n-best 3: ahead: one answer to each row"):
        list(api.predict(run, source=source, n_best=3, device="cpu"))


def test_a_gap_is_scored_as_nothing(run, tmp_path):
    lines = (run.parent / "load.csv").read_text().splitlines()[:25]
    whole, gap = tmp_path / "whole.csv", tmp_path / "gap.csv"
    whole.write_text("\n".join(lines))
    gap.write_text("\n".join([*lines[:24], f"{lines[24].rpartition(',')[0]},"]))
    told, less = (api.score(run, str(one), device="cpu")["ahead"] for one in (whole, gap))
    assert less.log_probability[:-4] == pytest.approx(told.log_probability[:-4], rel=1e-5)
    assert told.num_targets[-4:] == [4, 4, 4, 4] and less.num_targets[-4:] == [4, 4, 4, 3]


def test_a_constant_series_has_numbers_and_no_scale(run, tmp_path):
    lines = (run.parent / "load.csv").read_text().splitlines()[:49]
    (tmp_path / "flat.csv").write_text("\n".join([lines[0], *(f"{line.rpartition(',')[0]},7.5" for line in lines[1:])]))
    said = []
    found = api.evaluate(run, data=str(tmp_path / "flat.csv"), device="cpu", say=said.append).to_json()
    assert any("outputs.ahead: mase is left out" in one for one in said) and "mase" not in found["outputs"]["ahead"]
    assert all(np.isfinite([one["value"], one["low"], one["high"]]).all() for one in found["outputs"]["ahead"].values())
    assert found["baselines"]["ahead"]["persistence"]["mae"]["value"] == 0


def test_what_is_no_forecast_has_no_origins(tmp_path):
    rows = [{"x": one, "y": "long" if len(one) > 3 else "short"} for one in ("a b", "a b c d e", "a", "a b c d") * 5]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    plain = {
        "data": {"file": "rows.jsonl"},
        "inputs": {"x": {"type": "text", "tokenizer": "word"}},
        "outputs": {"y": "category"},
    }
    (tmp_path / "recipe.json").write_text(json.dumps(plain | {"training": {"epochs": 1, "batch_rows": 8}}))
    api.train(recipe_read.load(tmp_path / "recipe.json"), tmp_path / "run", device="cpu")
    with pytest.raises(ConfigError, match="--origins 2: is for forecasts, and .* predicts no series; leave it out"):
        api.evaluate(tmp_path / "run", origins=2, device="cpu")
