"""Baselines: what they are fitted on, what they may cost, and that nothing is read where there is none."""

import json
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

import ostinato
from ostinato import alignments, api
from ostinato.cli.main import group
from ostinato.errors import DataError
from ostinato.evaluation import baselines as module
from ostinato.evaluation.intervals import paired
from ostinato.evaluation.predictions import metrics_of, predict_all
from ostinato.evaluation.report import Report
from ostinato.modalities.contract import Symbols
from ostinato.recipe.read import from_arguments
from ostinato.run.rows import of_split
from ostinato.run.run import Run

LABELS = ("fruit", "metal", "river")
KINDS = {"fruit": ("apple", "plum", "pear"), "metal": ("iron", "tin", "gold"), "river": ("rhine", "oder", "elbe")}
REGRESSION = "n-gram logistic regression"


@pytest.fixture(scope="module")
def sorted_by_label(tmp_path_factory):
    """A recipe whose training rows come label by label."""
    folder = tmp_path_factory.mktemp("baselines")
    lines = [f"the {word} {number % 7},{label}" for label in LABELS for number in range(10) for word in KINDS[label]]
    for name, part in (("train", lines), ("test", lines[::5])):
        (folder / f"{name}.csv").write_text("\n".join(["x,y", *part]) + "\n")
    training = {"epochs": 1, "batch_rows": 30}
    data = {name: str(folder / f"{name}.csv") for name in ("train", "test")} | {"valid": str(folder / "test.csv")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSTINATO_CACHE", str(folder / "cache"))
        yield from_arguments({"x": "text"}, {"y": "category"}, data=data, training=training)


@pytest.fixture(scope="module")
def run(sorted_by_label, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    api.train(sorted_by_label, folder, device="cpu")
    return Run.load(folder)


def measured(run):
    return module.baselines(run, lambda: of_split(run, "train", None, ()), of_split(run, "test", None, ()))["y"]


class Unread:
    """Examples that nobody may read."""

    windows = None

    def __getattr__(self, name):
        raise AssertionError(f"{name} of the examples is asked for, and no output has a baseline")


def unopened():
    raise AssertionError("the training rows are opened, and no output has a baseline that learns from them")


def test_where_no_output_has_a_baseline_no_row_is_read():
    settings = from_arguments({"de": "text"}, {"en": "text"}).settings
    modalities = {"outputs.en": SimpleNamespace(spec=Symbols(4, 0, 1, 2))}
    run = SimpleNamespace(outputs=settings.outputs, modalities=modalities)
    assert alignments.of(settings.outputs["en"]) is alignments.free
    assert module.baselines(run, unopened, Unread()) == {}


def test_a_regression_that_is_stopped_early_says_nothing_to_the_user(run, monkeypatch):
    monkeypatch.setattr("ostinato.evaluation.label_baseline.ITERATIONS", 1)
    monkeypatch.setattr(run, "folder", None)
    assert REGRESSION in measured(run)


def test_of_many_rows_some_of_every_label_are_learnt_from_and_their_number_is_told(run, monkeypatch):
    assert set(measured(run)) == {"majority class", REGRESSION}
    monkeypatch.setattr(module, "MOST_ROWS", 30)
    found = measured(run)
    assert set(found) == {"majority class, 30 of 90 rows", f"{REGRESSION}, 30 of 90 rows"}
    assert found[f"{REGRESSION}, 30 of 90 rows"]["accuracy"].value > 90
    assert measured(run) == found, "drawn by seed"


def test_weights_are_bounded_and_what_is_left_out_is_told(run, monkeypatch):
    from sklearn.linear_model import LogisticRegression

    widths, fit = [], LogisticRegression.fit

    def seen(self, features, labels):
        widths.append(features.shape[1])
        return fit(self, features, labels)

    monkeypatch.setattr(LogisticRegression, "fit", seen)
    (run.folder / "baselines.safetensors").unlink(missing_ok=True)
    measured(run)
    (whole,) = widths
    monkeypatch.setattr(module, "MOST_WEIGHTS", 3 * whole)
    assert set(measured(run)) == {"majority class", REGRESSION}
    monkeypatch.setattr(module, "MOST_WEIGHTS", 3 * 60)
    assert set(measured(run)) == {"majority class", f"{REGRESSION}, the commonest 60 of {whole} features"}
    assert widths[:2] == [whole, whole] and 50 < widths[2] <= 60


def test_a_run_whose_baseline_is_stopped_keeps_its_metrics_and_examples(sorted_by_label, monkeypatch, tmp_path):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "predictions", stopped)
    with pytest.raises(KeyboardInterrupt):
        api.train(sorted_by_label, tmp_path / "run", device="cpu", examples=tmp_path / "kept.safetensors")
    assert "accuracy" in json.loads((tmp_path / "run/metrics.json").read_text())["test"]["outputs"]["y"]
    assert (tmp_path / "kept.safetensors").is_file()


def test_the_model_evaluates_as_the_command_does_baselines_included(run):
    done = CliRunner().invoke(group, ["evaluate", str(run.folder), "--json", "--device", "cpu"])
    printed = json.loads(done.stdout)
    assert set(printed["baselines"]["y"]) == {"majority class", REGRESSION} and "confusion" in printed
    assert ostinato.load(run.folder, device="cpu").evaluate().to_json() == printed
    assert api.evaluate(run).to_json() == printed, "of a run in memory"
    kept = json.loads((run.folder / "metrics.json").read_text())["test"]
    assert kept == printed and Report.from_json(kept).to_json() == printed


def test_what_cannot_be_measured_is_told_apart_from_rows_that_cannot_be_read(run, monkeypatch):
    def refuse(*_):
        raise DataError("no such number")

    def told():
        heard = []
        api.evaluate(run.folder, say=heard.append, device="cpu")
        return [note for note in heard if not note.startswith("pictures: ")]

    with monkeypatch.context() as patch:
        patch.setattr(module, "measure", refuse)
        assert told() == ["no baseline is measured: that of outputs.y cannot be measured: no such number"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "_training_rows", refuse)
        assert told() == [], "fitted baselines are kept with the run"
        (run.folder / "baselines.safetensors").unlink()
        assert told() == ["no baseline is measured: the training rows cannot be read: no such number"]


def test_what_baselines_predict_can_be_paired_with_the_runs_own_predictions(run):
    test = of_split(run, "test", None, ())
    own, metric = predict_all([run], test).outputs["y"], metrics_of(run, "y")["accuracy"]
    by_name = module.predictions(run, lambda: of_split(run, "train", None, ()), test)["y"]
    assert set(by_name) == {"majority class", REGRESSION}
    for name, known in by_name.items():
        assert known.expected == own.expected and len(known.predicted) == len(own.predicted)
        assert paired(metric, known, own).first == measured(run)[name]["accuracy"].value


def test_fitted_baselines_are_kept_and_answer_other_rows_without_training_rows(run, monkeypatch):
    def refuse(*_):
        raise AssertionError("fitted anew")

    expected = measured(run)
    assert (run.folder / "baselines.safetensors").is_file()
    monkeypatch.setattr(module.LabelBaseline, "fit", refuse)
    assert module.baselines(run, unopened, of_split(run, "test", None, ()))["y"] == expected
    monkeypatch.setattr(module, "MOST_ROWS", 30)
    with pytest.raises(AssertionError, match="fitted anew"):
        measured(run)


def test_a_damaged_file_of_baselines_is_fitted_anew(run):
    expected = measured(run)
    path = run.folder / "baselines.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    assert measured(run) == expected
    path.write_bytes(b"{}")
    assert measured(run) == expected


def test_baselines_of_labels_and_numbers_beside_a_text_are_kept_too(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    lines = [
        f"the {word},{number % 3},{KINDS[label].index(word)}.5,{label}"
        for label in LABELS
        for number in range(9)
        for word in KINDS[label]
    ]
    (tmp_path / "t.csv").write_text("\n".join(["x,c,n,y", *lines]) + "\n")
    recipe = from_arguments(
        {"x": "text", "c": "category", "n": "number"},
        {"y": "category"},
        data={"train": str(tmp_path / "t.csv")},
        training={"epochs": 1},
    )
    api.train(recipe, tmp_path / "run", device="cpu")
    run = Run.load(tmp_path / "run")
    kept = module.baselines(run, unopened, of_split(run, "valid", None, ()))
    (tmp_path / "run/baselines.safetensors").unlink()
    assert module.baselines(run, lambda: of_split(run, "train", None, ()), of_split(run, "valid", None, ())) == kept
