"""Rows for a trained run: each place reads its column in its own way, wherever the rows come from."""

import json

import numpy as np
import pytest

import ostinato
from ostinato import api
from ostinato.cli.reports import lines_of
from ostinato.errors import ConfigError
from ostinato.files import as_json
from ostinato.recipe.read import from_arguments
from ostinato.run import rows as row_sources

LINES = ["ab ba cc,p,1", "ba ba ab,n,2", "cc ab ba,p,0", "ab ab cc,n,1"] * 5
WORDS, CHARACTERS = {"type": "tokens", "column": "s"}, {"type": "tokens", "separator": "", "column": "s"}
TRAINING = {"epochs": 1, "batch_rows": 10}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    path.write_text("\n".join(["s,y,stars", *LINES]) + "\n")
    return path


def fitted(table, inputs, outputs, monkeypatch, tmp_path):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    recipe = from_arguments(inputs, outputs, data={"train": str(table), "test": str(table)}, training=TRAINING)
    report = api.train(recipe, tmp_path / "run", device="cpu").to_json()
    return ostinato.load(tmp_path / "run", device="cpu"), report


@pytest.mark.parametrize(
    "inputs", [{"words": WORDS, "chars": CHARACTERS}, {"a": {"type": "text", "column": "s"}, "b": CHARACTERS}], ids=list
)
def test_two_inputs_on_one_column_each_read_it_in_their_own_way(table, inputs, monkeypatch, tmp_path):
    model, report = fitted(table, inputs, {"y": "category"}, monkeypatch, tmp_path)
    run, first, second = model.run, *(f"inputs.{name}" for name in inputs)
    whole = ["ab", "ba", "cc"] if "words" in inputs else "ab ba cc"
    listed = [
        next(row_sources.asked(run, None, str(table)).rows),
        next(row_sources.asked(run, ["ab ba cc"], None).rows),
        next(row_sources.of_split(run, "train", table, ()).raw()),
    ]
    for row in listed:
        assert (row[first], row[second]) == (whole, list("ab ba cc"))
    (prediction,) = api.predict(tmp_path / "run", ["ab ba cc"], device="cpu")
    assert prediction.to_json()["inputs"] == dict(zip(inputs, (whole, list("ab ba cc"))))
    texts = [line.split(",")[0] for line in LINES]
    lines = lambda predictions: [line for one in predictions for line in lines_of(one, ranked=True)]  # noqa: E731
    told = lines(api.predict(tmp_path / "run", source=str(table), n_best=1, device="cpu"))
    assert told == lines(api.predict(tmp_path / "run", texts, n_best=1, device="cpu"))
    answers = model.predict(table, n_best=1)
    assert [f"1\t{one.score:.6f}\t{one.text}" for (one,) in answers] == told
    for rows in (texts, [{"s": text} for text in texts]):
        assert model.predict(rows, n_best=1) == answers
    scored = api.score(tmp_path / "run", str(table), device="cpu")["y"].log_probability
    for found in (report, model.evaluate(table).to_json()):
        assert found["outputs"]["y"]["log_loss"]["value"] == pytest.approx(-sum(scored) / len(scored), rel=1e-5)


def test_two_outputs_on_one_column_are_each_measured_on_their_own_values(table, monkeypatch, tmp_path):
    outputs = {"which": {"type": "category", "column": "stars"}, "stars": "number"}
    model, report = fitted(table, {"s": "tokens"}, outputs, monkeypatch, tmp_path)
    row = next(row_sources.of_split(model.run, "valid", table, ()).raw())
    assert (row["outputs.which"], row["outputs.stars"]) == ("1", 1.0)
    assert report["baselines"]["which"]["majority class"]["accuracy"]["value"] == 50
    # The rows' own mean, 1: off by 1 in half of them.
    assert report["baselines"]["stars"]["mean"]["mae"]["value"] == pytest.approx(0.5, abs=0.1)


def test_the_advice_on_rows_that_another_run_learnt_from_for_an_ensemble_and_for_a_comparison(
    table, monkeypatch, tmp_path
):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def train(name, **changed):
        data = {"train": str(table), **changed.pop("data", {})}
        api.train(
            from_arguments({"s": "tokens"}, {"y": "category"}, data=data, training={**TRAINING, **changed}),
            name,
            device="cpu",
        )
        return name

    first, alike, other = train("first", seed=1), train("alike", seed=1, clip_norm=0.5), train("other", seed=2)
    named = train("named", seed=1, data={"valid": str(table)})
    found = api.evaluate([first, alike], device="cpu").to_json()
    assert (found["split"], found["examples"]) == ("valid", 4)
    assert api.compare(first, alike, device="cpu").to_json()["examples"] == 4
    for second in (other, named):
        for judge in (
            lambda: api.evaluate([first, second], device="cpu"),
            lambda: api.compare(first, second, device="cpu"),
        ):
            with pytest.raises(ConfigError, match="valid of first was set aside from its training data, and") as why:
                judge()
            assert f"{second} set aside other rows" in str(why.value) and str(why.value).endswith(
                "so it was trained on some of these; give --data FILE, or train both on the same data with data.valid"
                " named, or one data.seed"
            )
        assert api.evaluate([first, second], data=str(table), device="cpu").to_json()["examples"] == len(LINES)
        assert api.compare(first, second, data=str(table), device="cpu").to_json()["examples"] == len(LINES)
    assert api.evaluate([named, other], device="cpu").to_json()["examples"] == len(LINES), (
        "named by a file: nobody set it aside"
    )
    with pytest.raises(ConfigError, match="valid of other was set aside.*and named"):
        api.compare(named, other, device="cpu")


def test_forecasts_that_read_other_columns_of_the_same_times_are_compared(monkeypatch, tmp_path):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    days = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]")
    for name, first in (("t", 0), ("later", 1)):
        lines = [f"{day},{number % 7},{number % 2}" for number, day in enumerate(days[first:])]
        (tmp_path / f"{name}.csv").write_text("\n".join(["day,y,w", *lines]) + "\n")

    def train(name, table, **inputs):
        inputs = {"y": "series", **inputs}
        outputs = {"ahead": {"of": "y", "horizon": 2, "lookback": 4}}
        data = {"train": table, "time": "day"}
        api.train(from_arguments(inputs, outputs, data=data, training=TRAINING), name, device="cpu")
        return name

    alone, beside = train("alone", "t.csv"), train("beside", "t.csv", w="series")
    assert api.compare(alone, beside, device="cpu").to_json()["examples"] > 0
    other = train("other", "later.csv")
    with pytest.raises(ConfigError, match="valid of alone was set aside.*and other set aside other rows"):
        api.compare(alone, other, device="cpu")


def test_dates_are_read_as_in_training_where_they_may_be_meant_in_two_ways(monkeypatch, tmp_path):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    days = np.datetime64("2024-01-01") + np.arange(60)
    rows = [{"day": f"{str(day)[8:]}/{str(day)[5:7]}/2024", "y": float(at % 7)} for at, day in enumerate(days)]
    outputs = {"ahead": {"of": "y", "horizon": 2, "lookback": 4}}
    recipe = from_arguments({"y": "series"}, outputs, data={"time": "day"}, training=TRAINING)
    run = api.fit(recipe, tmp_path / "run", data={"train": rows}, device="cpu")
    (answer,) = api.predict(ostinato.load(run.folder).run, rows=rows[:10], device="cpu")
    assert [str(time)[:10] for time in answer.best["ahead"].times] == ["2024-01-11", "2024-01-12"]


def test_a_gap_in_a_series_is_null_in_json(monkeypatch, tmp_path):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    rows = [{"x": [1.0, 2.0, float(number)], "y": "ab"[number % 2]} for number in range(20)]
    ostinato.Model({"x": "series"}, {"y": "category"}, training=TRAINING).fit(
        rows, folder=tmp_path / "run", device="cpu"
    )
    (prediction,) = api.predict(tmp_path / "run", ["1 NA 3"], device="cpu")
    found = json.loads(as_json(prediction.to_json()), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert found["inputs"] == {"x": [1.0, None, 3.0]} and found["outputs"]["y"][0]["value"] in ("a", "b")


def test_a_text_that_is_the_name_of_a_table_which_is_there_is_asked_about(table, monkeypatch, tmp_path):
    fitted(table, {"s": "tokens"}, {"y": "category"}, monkeypatch, tmp_path)
    assert list(api.predict(tmp_path / "run", ["nowhere.csv", str(tmp_path)], device="cpu")), "texts like any other"
    with pytest.raises(ConfigError, match=r"is a file, and a text is needed here; did you mean --input .*rows.csv\?"):
        list(api.predict(tmp_path / "run", ["ab", str(table)], device="cpu"))


def test_a_file_of_a_kind_that_is_not_read_is_named_with_those_that_are_as_advice(monkeypatch, tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "c.tiff"):
        pillow.new("L", (8, 8), len(name)).save(name)
    (tmp_path / "rows.csv").write_text("x,y\n" + "a.png,p\nb.png,n\n" * 5)
    model, _ = fitted(tmp_path / "rows.csv", {"x": "image"}, {"y": "category"}, monkeypatch, tmp_path)
    advice = (
        "c.tiff: is of no kind that this run reads; give a file that ends in .png, .jpg, .*, or a table of such files"
    )
    with pytest.raises(ConfigError, match=advice):
        row_sources.asked(model.run, ["c.tiff"], None)
    for texts, source in ((["a.png"], None), (None, "rows.csv")):
        assert len(list(row_sources.asked(model.run, texts, source).rows))
    with pytest.raises(ConfigError, match="did you mean --input rows.csv"):
        row_sources.asked(model.run, ["rows.csv"], None)
