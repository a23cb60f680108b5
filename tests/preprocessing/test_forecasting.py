"""Forecasts from a recipe: trained, measured on every window, asked for what comes next; and what is wrong with a
recipe or its data."""

import json
import re
from datetime import datetime

import numpy as np
import pytest

import ostinato
from ostinato import api
from ostinato.errors import ConfigError, DataError
from ostinato.preprocessing import forecasting
from ostinato.preprocessing.prepare import prepare
from ostinato.recipe import read as recipe_read
from ostinato.recipe.yaml_text import parse_yaml
from ostinato.run import rows as row_sources
from ostinato.run import train as run_train
from ostinato.run.run import Run

SMALL = {"cell": "gru", "hidden_size": 4, "embedding_size": 3}
TRAINING = {"epochs": 1, "batch_rows": 32, "seed": 1}


def plain(file="load.csv", head=None, **more):
    data = {
        "file": str(file),
        "time": "date",
        "series": "site",
        "split": {"valid": "2013-01-08", "test": "2013-01-10 00:00"},
    }
    return {
        "data": data | more.pop("data", {}),
        "inputs": {
            "load": {"type": "series", "encoder": SMALL},
            "weather": {"type": "series", "known_future": True, "encoder": SMALL},
            "when": {"type": "calendar", "cycles": ["hour"], "encoder": SMALL},
            "site": {"type": "category", "encoder": {"hidden_size": 3, "embedding_size": 3}},
        }
        | more.pop("inputs", {}),
        "outputs": {
            "ahead": {
                "of": "load",
                "align": "ahead",
                "horizon": 6,
                "lookback": 12,
                "stride": 4,
                "head": {"hidden_size": 5, **(head or {})},
            }
            | more.pop("output", {})
        },
        "training": TRAINING,
        **more,
    }


def table(path, hours=270, changed=None, future=0):
    """Two sites, hour by hour; the load lacks its last `future` hours."""
    begin, lines = np.datetime64("2013-01-01T00"), ["date,site,load,weather"]
    for site, size in (("a", 1.0), ("b", 50.0)):
        for k in range(hours):
            load = size * (5 + np.sin(2 * np.pi * k / 24) + k * 7919 % 13 / 200)
            load = changed(k, load) if changed else load
            told = "" if k == 40 or k >= hours - future else f"{load:.4f}"
            lines.append(f"{str(begin + k).replace('T', ' ')}:00,{site},{told},{k % 7}")
    path.write_text("\n".join(lines) + "\n")
    return path


def trained(folder, recipe):
    origin = folder / "recipe.json"
    origin.write_text(json.dumps(recipe))
    return api.train(recipe_read.load(origin), folder / "run", device="cpu").to_json(), folder / "run"


@pytest.mark.parametrize(
    "head",
    [
        {},
        {"strategy": "recursive", "distribution": "student_t", "samples": 20},
        {"distribution": "point", "normalize": "window", "linear": 4},
    ],
)
def test_train_evaluate_and_predict(tmp_path, head):
    report, run = trained(tmp_path, plain(table(tmp_path / "load.csv"), head))
    # 2013-01-10 00:00 is hour 216: 54 hours of two sites, 49 windows of 6 each.
    assert report["split"] == "test" and report["examples"] == 2 * 49
    metrics = report["outputs"]["ahead"]
    assert {"mae", "mse", "rmse", "smape", "mase"} <= set(metrics)
    assert ("interval_coverage" in metrics) == ("crps" in metrics) == (head.get("distribution") != "point")
    rivals = report["baselines"]["ahead"]
    assert rivals["seasonal naive, 24 steps"]["mae"]["value"] < rivals["persistence"]["mae"]["value"] / 2
    assert api.evaluate(run, split="valid", device="cpu").to_json()["examples"] == 2 * 43
    grouped = api.evaluate(run, split="test", by="site", device="cpu").to_json()
    methods = [one["method"] for one in (metrics["mae"], rivals["persistence"]["mae"])]
    assert all(
        re.fullmatch(r"block bootstrap over \d+ blocks of \d+ windows, the same times in 2 series.*", one)
        for one in methods
    ), methods
    assert (
        "blocks of" in (one := grouped["by"]["groups"]["a"]["outputs"]["ahead"]["mae"]["method"])
        and "series" not in one
    )
    assert json.dumps(grouped)

    lines = list(api.predict(run, source=str(table(tmp_path / "future.csv", hours=60, future=6)), device="cpu"))
    assert len(lines) == 2
    answer = lines[1].to_json()["outputs"]["ahead"][0]
    assert len(answer["value"]) == 6 and np.isfinite(answer["value"]).all()
    if head.get("distribution") != "point":
        assert answer["quantiles"]["0.5"] == pytest.approx(answer["value"], rel=1e-5) and len(answer["quantiles"]) == 19
    (first, second) = api.predict(run, source=str(tmp_path / "future.csv"), device="cpu")
    assert [float(one) for one in second.best["ahead"].text.split()] == answer["value"]


def test_what_comes_after_the_border_changes_nothing_that_is_learnt(tmp_path):
    runs = []
    for name, changed in (("one", None), ("two", lambda k, load: load if k < 7 * 24 else 1000 * load)):
        (tmp_path / name).mkdir()
        kept = {**TRAINING, "keep_best": False}
        # Validation decides how wide intervals are, and nothing else.
        recipe = plain(table(tmp_path / name / "load.csv", changed=changed), {"calibrate": False}, training=kept)
        _, run = trained(tmp_path / name, recipe)
        runs.append(run)
    facts = [json.loads((run / "bundle.json").read_text())["modalities"] for run in runs]
    weights = [(run / "weights.safetensors").read_bytes() for run in runs]
    assert facts[0] == facts[1] and weights[0] == weights[1]


def test_whole_series_in_lists_and_lines_of_text(tmp_path):
    wave = [10 + np.sin(k / 3) for k in range(80)]
    (tmp_path / "all.jsonl").write_text(
        "".join(json.dumps({"name": name, "y": wave[: 80 - 5 * k]}) + "\n" for k, name in enumerate("abc"))
    )
    recipe = {
        "data": {"file": str(tmp_path / "all.jsonl"), "series": "name", "season": 19, "split": {"valid": 8, "test": 4}},
        "inputs": {"y": {"type": "series", "encoder": SMALL}},
        "outputs": {"ahead": {"of": "y", "horizon": 4, "head": {"distribution": "point"}}},
        "training": TRAINING,
    }
    report, run = trained(tmp_path, recipe)
    assert report["examples"] == 3, "one window of each series"
    assert "seasonal naive, 19 steps" in report["baselines"]["ahead"]
    assert json.loads((run / "bundle.json").read_text())["recipe"]["outputs"]["ahead"]["lookback"] == 35
    (told,) = api.predict(run, [" ".join(map(str, wave))], device="cpu")
    model = ostinato.load(run, device="cpu")
    (found,) = model.predict([{"name": "x", "y": wave}])
    assert [float(one) for one in told.best["ahead"].text.split()] == found and len(found) == 4
    with pytest.raises(DataError, match="series text: has 3 steps, and the forecast looks back at 35"):
        list(api.predict(run, ["1 2 3"], device="cpu"))


def test_several_columns_are_channels(tmp_path):
    lines = ["t,u,v", *(f"{k},{np.sin(k / 4):.3f},{'' if k == 9 else k}" for k in range(90))]
    (tmp_path / "two.csv").write_text("\n".join(lines) + "\n")
    recipe = {
        "data": {"file": str(tmp_path / "two.csv"), "time": "t", "split": {"test": 20}},
        "inputs": {"both": {"type": "series", "column": ["u", "v"], "encoder": SMALL}},
        "outputs": {"ahead": {"of": "both", "horizon": 3, "lookback": 5}},
        "training": TRAINING,
    }
    report, run = trained(tmp_path, recipe)
    assert report["examples"] == 18
    (prediction,) = api.predict(run, source=str(tmp_path / "two.csv"), device="cpu")
    assert np.shape(prediction.to_json()["outputs"]["ahead"][0]["value"]) == (3, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": {"fraction": 0.5}}, "data.fraction: keeps a share of the rows, and here they are windows of series"),
        ({"data": {"test": "other.csv"}}, "data.split: divides one file by time, and `valid` or `test` names another"),
        ({"data": {"split": {"valid": 0}}}, "data.split.valid: "),
        ({"inputs": {"load": {"type": "series", "known_future": True}}}, "outputs.ahead.of: 'load' is known ahead"),
        (
            {"inputs": {"load": {"type": "series", "scale": "row"}}},
            "outputs.ahead.scale: row scales each series by itself",
        ),
        (
            {"inputs": {"load": {"type": "series", "encoder": {"bidirectional": True}}}},
            "inputs.load.encoder.bidirectional: true shows it the steps",
        ),
        (
            {"inputs": {"when": {"type": "calendar", "column": "day"}}},
            "inputs.when: a calendar reads the column of dates that data.time names",
        ),
        (
            {"inputs": {"site": {"type": "category", "column": ["a", "b"]}}},
            "inputs.site.column: several columns are the channels of a series",
        ),
        ({"output": {"column": "other"}}, "outputs.ahead.column: is what 'load' reads; leave it out"),
        ({"training": {"max_steps": 5}}, "training.max_steps: all windows of a forecast are equally long"),
    ],
)
def test_what_cannot_be_forecast_is_said_before_any_data_is_read(change, message):
    with pytest.raises(ConfigError) as told:
        recipe_read.check(plain(**change), "recipe.yaml")
    assert message in str(told.value)


def test_a_date_is_a_text_in_yaml_and_one_of_pythons_own_is_written_out():
    assert parse_yaml("a: {valid: 2013-01-01, test: 2013-01-01 05:00}", "") == {
        "a": {"valid": "2013-01-01", "test": "2013-01-01 05:00"}
    }
    ends = recipe_read.check(plain(data={"split": {"valid": datetime(2013, 1, 1, 5)}}), "arguments").data.split
    assert ends.valid == "2013-01-01 05:00:00"


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"data": {"time": "date"}}, "data.time: belongs to a forecast"),
        (
            {"inputs": {"x": {"type": "series", "known_future": True}}},
            "inputs.x: is known ahead, and no output looks ahead",
        ),
        (
            {"inputs": {"x": {"type": "series", "column": ["a", "b"]}}},
            "inputs.x.column: several columns make the channels of a series that is forecast",
        ),
        (
            {"outputs": {"y": {"type": "category", "lookback": 3}}},
            "outputs.y.lookback: `lookback` belongs to the forecast of a series",
        ),
    ],
)
def test_what_belongs_to_a_forecast_alone_is_refused_elsewhere(recipe, message):
    with pytest.raises(ConfigError) as told:
        recipe_read.check({"inputs": {"x": "series"}, "outputs": {"y": "category"}} | recipe, "recipe.yaml")
    assert message in str(told.value)


def test_series_too_short_and_covariates_that_end_are_named(tmp_path):
    table(tmp_path / "load.csv")
    with pytest.raises(
        DataError,
        match=r"series a: has 270 steps, 168 of them for training, and lookback 200 \+ horizon 6 need 206 \(2.*at most "
        r"162,",
    ):
        trained(tmp_path, plain(tmp_path / "load.csv", output={"lookback": 200}))
    _, run = trained(tmp_path, plain(tmp_path / "load.csv"))
    with pytest.raises(
        DataError,
        match="series a: inputs.weather is known ahead and missing at 2013-01-03 11:00; give it for 6 steps from "
        "2013-01-03 06:00",
    ):
        list(api.predict(run, source=str(table(tmp_path / "short.csv", hours=59, future=5)), device="cpu"))


def in_lists(path, rows, **inputs):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {
        "data": {"file": str(path), "split": {"valid": 8}},
        "inputs": {"y": {"type": "series", "encoder": SMALL}, **inputs},
        "outputs": {"ahead": {"of": "y", "horizon": 4, "lookback": 6, "head": {"distribution": "point"}}},
        "training": TRAINING,
    }


WAVE = [10 + np.sin(k / 3) for k in range(40)]


@pytest.mark.parametrize(
    ("known", "told"), [(False, "'w' has 35 steps"), (True, "'w' is known ahead and has 35 steps")]
)
def test_lists_of_unequal_length_are_refused_by_row(tmp_path, known, told):
    rows = [{"y": WAVE, "w": WAVE}, {"y": WAVE, "w": WAVE[:35]}, {"y": WAVE, "w": WAVE}]
    recipe = in_lists(tmp_path / "all.jsonl", rows, w={"type": "series", "known_future": known, "encoder": SMALL})
    with pytest.raises(DataError, match=rf"all.jsonl line 2: {told}, and 'y' 40; give"):
        trained(tmp_path, recipe)


@pytest.mark.parametrize("gap", [None, "", float("nan")])
@pytest.mark.parametrize("kind", ["category", "number"])
def test_a_series_that_lacks_what_is_no_series_is_named(tmp_path, kind, gap):
    names = {"category": ["north", "south", gap, "north"], "number": [1.5, 2.5, gap, 3.5]}[kind]
    rows = [{"y": WAVE, "region": name} for name in names]
    recipe = in_lists(tmp_path / "all.jsonl", rows, region={"type": kind, "encoder": {"hidden_size": 3}})
    with pytest.raises(
        DataError,
        match=r"all.jsonl series 3: inputs.region is missing \(1 series like this\); fill it in, or leave the series "
        r"out",
    ):
        trained(tmp_path, recipe)


def test_a_text_beside_a_series_is_read_whole_in_training_as_in_prediction(tmp_path):
    texts = ["a long text of a site", "b", "", "a text"]
    rows = [{"y": WAVE, "about": text} for text in texts]
    recipe = in_lists(
        tmp_path / "all.jsonl",
        rows,
        about={"type": "text", "tokenizer": "char", "encoder": {"hidden_size": 3, "embedding_size": 3}},
    )
    recipe["outputs"]["ahead"]["stride"] = 1
    origin = tmp_path / "recipe.json"
    origin.write_text(json.dumps(recipe))
    prepared = prepare(recipe_read.load(origin), folder=tmp_path / "cache")
    examples = prepared.splits["train"]
    firsts = examples.windows.starts[:-1]
    steps = examples.steps("inputs.about", firsts)
    modality = prepared.modalities["inputs.about"]
    assert [modality.decode(one.numpy()) for one in steps.split()] == texts
    assert examples.lengths("inputs.about")[firsts].tolist() == [len(text) for text in texts]
    _, run = trained(tmp_path, recipe)
    found = [list(api.predict(run, source=str(tmp_path / "all.jsonl"), device="cpu"))]
    assert len(found[0]) == 4


def test_rows_at_the_end_whose_target_is_empty_are_forecast(tmp_path):
    recipe = plain(table(tmp_path / "load.csv"))
    recipe["inputs"] = {name: recipe["inputs"][name] for name in ("load", "when")}
    _, run = trained(tmp_path, recipe)
    told = []
    for name, hours, future in (("past.csv", 54, 0), ("future.csv", 60, 6)):
        told.append(
            [
                prediction.best["ahead"].text
                for prediction in api.predict(
                    run, source=str(table(tmp_path / name, hours=hours, future=future)), device="cpu"
                )
            ]
        )
    assert told[0] == told[1] and "nan" not in "".join(told[1])


def test_a_short_past_whose_steps_fit_those_of_training_goes_on_by_them(tmp_path):
    begin = np.datetime64("2011-01-01")
    (tmp_path / "load.csv").write_text(
        "\n".join(["day,load", *(f"{begin + 28 * step},{step % 5}" for step in range(40))]) + "\n"
    )
    recipe = plain(output={"horizon": 1, "lookback": 2})
    recipe["data"] = {"file": str(tmp_path / "load.csv"), "time": "day", "split": {"valid": 6}}
    recipe["inputs"] = {name: recipe["inputs"][name] for name in ("load", "when")}
    _, folder = trained(tmp_path, recipe)
    run = Run.load(folder, "cpu")
    past = [{"day": "2013-02-01", "load": 1.0}, {"day": "2013-03-01", "load": 2.0}]  # 28 days, and a month
    (row,) = row_sources.of_python(run, past).rows
    assert str(row["inputs.when"][-1]).startswith("2013-03-29")
    with pytest.raises(DataError, match="one step is one month, and .* was trained on steps of one 28 days"):
        row_sources.of_python(run, [{"day": "2013-01-01", "load": 1.0}, {"day": "2013-02-01", "load": 1.0}])


def test_a_split_whose_steps_are_further_apart_than_those_of_training_is_refused(tmp_path):
    table(tmp_path / "load.csv")
    days = [f"{np.datetime64('2014-01-01') + k},a,{k % 5},1" for k in range(60)]
    (tmp_path / "daily.csv").write_text("\n".join(["date,site,load,weather", *days]) + "\n")
    recipe = plain(tmp_path / "load.csv")
    del recipe["data"]["split"], recipe["data"]["file"]
    recipe["data"] |= {"train": str(tmp_path / "load.csv"), "valid": str(tmp_path / "daily.csv")}
    with pytest.raises(
        DataError,
        match=r"data.valid: .*daily.csv: one step is one day, and one hour in data.train; give steps as far apart",
    ):
        trained(tmp_path, recipe)


def test_a_single_step_goes_on_by_the_steps_of_training_where_these_are_known(tmp_path):
    recipe = plain(table(tmp_path / "load.csv"), output={"lookback": 1})
    recipe["inputs"] = {name: recipe["inputs"][name] for name in ("load", "when")}
    _, folder = trained(tmp_path, recipe)
    run, past = Run.load(folder, "cpu"), table(tmp_path / "past.csv", hours=1)
    first, _ = row_sources.of_python(run, past).rows
    assert str(first["inputs.when"][-1]) == "2013-01-01T06:00:00"
    del run.bundle.data["splits"]["train"]["frequency"]
    with pytest.raises(
        DataError, match="series a: has one step, and nothing tells how far the next one is; give at least two"
    ):
        row_sources.of_python(run, past)


def in_python(**data):
    words = {"time": "date", "series": "site", "split": {"valid": "2013-01-08"}} | data
    output = {
        "of": "load",
        "horizon": 6,
        "lookback": 12,
        "stride": 4,
        "head": {"distribution": "point", "hidden_size": 5},
    }
    inputs = {"load": {"type": "series", "encoder": SMALL}, "site": {"type": "category", "encoder": {"hidden_size": 3}}}
    return ostinato.Model(
        inputs, {"ahead": output}, data={key: one for key, one in words.items() if one is not None}, training=TRAINING
    )


def test_in_python_the_words_of_data_stand_in_the_model_and_the_rows_come_to_fit(tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    path = table(tmp_path / "load.csv")
    frame = pandas.read_csv(path, parse_dates=["date"])
    from_path, from_frame = in_python().fit(path, device="cpu"), in_python().fit(frame, device="cpu")
    assert (
        from_path.run.bundle.data["splits"]["valid"]["rows"]
        == from_frame.run.bundle.data["splits"]["valid"]["rows"]
        == 2 * 97
    )
    first, second = from_path.predict("load.csv", n_best=1), from_frame.predict(frame, n_best=1)
    for (one,), (other,), name in zip(first, second, "ab"):
        assert one.value == pytest.approx(other.value) and one.series == other.series == name
        assert [str(time) for time in one.times[:2]] == ["2013-01-12T06:00:00", "2013-01-12T07:00:00"] and len(
            other.times
        ) == 6
    assert from_path.predict(frame, as_frame=False) == [one.value for (one,) in first]

    named = in_python(file="load.csv", split={"valid": 40, "test": 30}).fit(device="cpu")
    assert named.evaluate().to_json()["split"] == "test" and named.evaluate().to_json()["examples"] == 2 * 25
    assert "notes" not in named.evaluate().to_json() and "was trained on" in named.evaluate(path).to_json()["notes"][0]
    with pytest.raises(
        ConfigError, match=r"fit: train rows are given, and the model's data.file names 'load.csv'; leave one"
    ):
        named.fit(path)
    with pytest.raises(
        ConfigError, match=r"fit: there are no rows to train on; give fit\(train\) a path, a list of dicts"
    ):
        in_python().fit()
    with pytest.raises(ConfigError, match="valid rows are given, and the model's data.split divides"):
        in_python().fit(path, path)
    with pytest.raises(ConfigError, match="evaluate: the model's data name no file"):
        from_path.evaluate()
    with pytest.raises(
        ConfigError, match="a list of rows is needed, not dict.*where it holds columns, give a list of dicts"
    ):
        from_path.predict({"date": ["2013-01-01"], "load": [1.0]})
    with pytest.raises(
        DataError,
        match="data.train: a dict names a text file for each column, and 1.5 of 'load' is none; to give the columns",
    ):
        in_python().fit({"load": [1.5, 2.5], "date": ["2013-01-01", "2013-01-02"]})


def test_predict_names_the_series_and_times_and_says_where_rows_are_left(tmp_path):
    recipe = plain(table(tmp_path / "load.csv"))
    recipe["inputs"] = {name: recipe["inputs"][name] for name in ("load", "when")}
    _, run = trained(tmp_path, recipe)
    asked = {"past": 0, "even": 6, "more": 8, "fewer": 2}
    notes, lines = {}, {}
    for name, future in asked.items():
        source, notes[name] = table(tmp_path / f"{name}.csv", hours=54 + future, future=future), []
        lines[name] = list(api.predict(run, source=str(source), device="cpu", say=notes[name].append))
    assert notes["past"] == notes["even"] == []
    assert len(notes["more"]) == len(notes["fewer"]) == 1
    told = (
        r"note: .*more.csv series a: 8 rows at the end are empty, and only the first 6, the horizon, are forecast "
        r"\(2 series like this\)"
    )
    assert re.fullmatch(told, notes["more"][0])
    assert (
        "fewer.csv series a: 2 rows at the end are empty, and 6 steps, the horizon, are forecast all the same"
        in notes["fewer"][0]
    )
    for found in lines.values():
        rows = [prediction.to_json() for prediction in found]
        assert [row["series"] for row in rows] == ["a", "b"]
        assert rows[1]["times"] == [f"2013-01-03 {hour:02}:00:00" for hour in range(6, 12)]
        assert rows[1]["outputs"] == lines["past"][1].to_json()["outputs"]


def test_what_no_column_tells_is_null_in_the_json_of_a_forecast(tmp_path):
    recipe = in_lists(tmp_path / "all.jsonl", [{"y": WAVE}] * 3)
    _, run = trained(tmp_path, recipe)
    found = [prediction.to_json() for prediction in api.predict(run, source=str(tmp_path / "all.jsonl"), device="cpu")]
    assert [(row["series"], row["times"]) for row in found] == [(None, None)] * 3


def test_a_score_on_training_rows_has_a_note(tmp_path):
    _, run = trained(tmp_path, plain(path := table(tmp_path / "load.csv")))
    said = f"{run} was trained on these rows"
    copied = tmp_path / "copied.csv"
    copied.write_bytes(path.read_bytes())
    assert said in api.evaluate(run, data=str(copied), device="cpu").to_json()["notes"][0]
    assert [said in note for note in api.compare(run, run, data=str(copied), device="cpu").to_json()["notes"]] == [True]
    other = str(table(tmp_path / "other.csv", hours=200))
    assert (
        "notes" not in api.evaluate(run, data=other, device="cpu").to_json()
        and not api.compare(run, run, data=other, device="cpu").to_json()["notes"]
    )


def test_the_advice_on_windows_that_validation_skips(tmp_path, monkeypatch):
    recipe, source = in_python().recipe, str(table(tmp_path / "load.csv"))
    whole = prepare(recipe, data={"train": source}).splits["valid"]
    monkeypatch.setattr(forecasting, "VALID_WINDOWS", len(whole) // 2)
    some = prepare(recipe, data={"train": source})
    assert f"validation looks at one in 2 of {len(whole):,} windows; evaluate measures all" in some.notes
    assert len(some.splits["valid"]) == -(-len(whole) // 2)
    model = ostinato.Model(
        {"load": {"type": "series", "encoder": SMALL}},
        {"ahead": {"of": "load", "horizon": 6, "lookback": 12}},
        data={"train": source, "time": "date", "series": "site", "split": {"valid": "2013-01-08"}},
        training={"epochs": 1, "max_updates": 1},
    )
    run = run_train.untrained(model.recipe, roots=(), data={}, say=str)
    assert len(row_sources.of_split(run, "valid", None, ())) == len(whole), "what evaluate measures"


@pytest.mark.parametrize("index", ["date", None])
def test_the_advice_on_dates_in_the_index_of_a_frame(tmp_path, index):
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(table(tmp_path / "load.csv"), parse_dates=["date"]).set_index("date").rename_axis(index)
    advice = "the times are in the frame's index, and the column 'date' is needed; give frame.reset_index"
    with pytest.raises(DataError, match=advice) as refusal:
        in_python().fit(frame, device="cpu")
    options = re.search(r"give frame.reset_index\((?:names='(.*)')?\)$", str(refusal.value))[1]
    mended = frame.reset_index(**({} if options is None else {"names": options}))
    assert "date" in mended.columns and prepare(in_python().recipe, data={"train": mended}).splits["train"]


@pytest.mark.parametrize(
    ("order", "told"), [("site", "2013-01-01 comes after 2013-01-12 05:00; sort"), ("date", "2013-01-01 occurs twice")]
)
@pytest.mark.parametrize("kind", ["file", "rows", "iterator"])
def test_rows_of_several_series_are_told_from_rows_out_of_order(tmp_path, order, told, kind):
    head, *lines = table(tmp_path / "load.csv").read_text().splitlines()
    lines.sort(key=lambda line: line.split(",")[order == "site"])
    (tmp_path / "load.csv").write_text("\n".join([head, *lines]) + "\n")
    rows = [dict(zip(head.split(","), line.split(","))) for line in lines]
    model = ostinato.Model({"load": "series"}, {"ahead": {"of": "load", "horizon": 6}}, data={"time": "date"})
    advice = "" if kind == "iterator" else ": site$"
    with pytest.raises(
        DataError, match=rf"{told}.*; rows of several series need data.series, the column that tells them apart{advice}"
    ):
        model.fit({"file": tmp_path / "load.csv", "rows": rows, "iterator": iter(rows)}[kind], device="cpu")


def test_what_a_bare_recipe_leaves_open_is_chosen_from_the_windows_with_reasons(tmp_path):
    recipe = plain(table(tmp_path / "load.csv"), head={}, output={"lookback": None})
    recipe["outputs"]["ahead"].pop("head")
    origin = tmp_path / "recipe.json"
    origin.write_text(json.dumps(recipe))
    lines = []
    folder = tmp_path / "run"
    run = api.fit(recipe_read.load(origin), folder, device="cpu", say=lines.append)
    head = run.recipe.settings.outputs["ahead"].head
    assert (head.normalize, head.start, head.calibrate) == ("window", "fitted", True)
    assert head.linear == run.recipe.settings.outputs["ahead"].lookback
    assert all(run.recipe.reasons[f"outputs.ahead.head.{word}"] for word in ("normalize", "start", "linear"))
    assert any(line.startswith("start of outputs.ahead: a linear map of the last") for line in lines)
    begins = json.loads((folder / "history.jsonl").read_text().splitlines()[0])
    assert begins["event"] == "start" and begins["update"] == 0 and np.isfinite(begins["valid.loss"])
    # The full recipe gives the same run, and resuming it chooses nothing anew.
    (tmp_path / "again").mkdir()
    again = api.fit(recipe_read.load(folder / "recipe.yaml"), tmp_path / "again" / "run", device="cpu")
    weights = [path.joinpath("weights.safetensors").read_bytes() for path in (folder, tmp_path / "again" / "run")]
    assert weights[0] == weights[1] and again.recipe.plain()["outputs"] == run.recipe.plain()["outputs"]


def test_what_is_given_is_left_as_it_is(tmp_path):
    head = {"normalize": "none", "relative": "last", "linear": None, "start": "random", "distribution": "point"}
    _, folder = trained(tmp_path, plain(table(tmp_path / "load.csv"), head))
    kept = Run.load(folder, "cpu").recipe.settings.outputs["ahead"].head
    assert {word: getattr(kept, word) for word in head} == head and kept.season is None


@pytest.mark.parametrize("head", ["naive_forecast", "linear_forecast"])
def test_a_naive_and_a_linear_forecast_are_bundles_like_any_other(tmp_path, head):
    recipe = plain(table(tmp_path / "load.csv"))
    recipe["inputs"] = {"load": {"type": "series", "encoder": "identity"}}
    recipe["outputs"]["ahead"] |= {"head": head, "lookback": 48}
    report, run = trained(tmp_path, recipe)
    metrics, naive = report["outputs"]["ahead"], report["baselines"]["ahead"]
    assert 60 < metrics["interval_coverage"]["value"] <= 100
    if head == "naive_forecast":
        assert Run.load(run, "cpu").recipe.settings.outputs["ahead"].head.season == 24
        assert metrics["mae"]["value"] == pytest.approx(naive["seasonal naive, 24 steps"]["mae"]["value"], rel=1e-4)
    else:
        assert metrics["mae"]["value"] < 1.05 * naive["seasonal naive, 24 steps"]["mae"]["value"]
    (first, _) = api.predict(run, source=str(table(tmp_path / "future.csv", hours=60, future=6)), device="cpu")
    assert len(first.to_json()["outputs"]["ahead"][0]["value"]) == 6


def test_a_season_is_found_where_nothing_tells_it(tmp_path):
    wave = [10 + np.sin(k * 2 * np.pi / 9) + k % 4 / 50 for k in range(120)]
    recipe = in_lists(tmp_path / "all.jsonl", [{"y": wave}, {"y": wave[3:]}])
    recipe["outputs"]["ahead"].pop("lookback")
    report, run = trained(tmp_path, recipe)
    kept = json.loads((run / "bundle.json").read_text())
    assert kept["recipe"]["data"]["season"] == 9 and "autocorrelation" in kept["reasons"]["data.season"]
    assert "seasonal naive, 9 steps" in api.evaluate(run, split="valid", device="cpu").to_json()["baselines"]["ahead"]
