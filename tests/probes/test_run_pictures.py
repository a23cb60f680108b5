"""Pictures in the folder of a run: which there are, what their titles and axes say."""

import json
import math
from contextlib import contextmanager

import pytest

import ostinato
from ostinato import api
from ostinato.probes import run_pictures
from ostinato.probes.pictures import picture
from ostinato.recipe.read import from_arguments


@pytest.fixture
def drawn(monkeypatch):
    """The titles, axis names and lines of each picture that is written, by file."""
    seen = {}

    @contextmanager
    def watched(path, *size):
        with picture(path, *size) as (figure, panels):
            yield figure, panels
            figure.canvas.draw()
            seen[path.name] = [
                (axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel(), axes) for axes in panels
            ]

    monkeypatch.setattr(run_pictures, "picture", watched)
    return seen


def trained(tmp_path, inputs, outputs, rows, **settings):
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"train": str(tmp_path / "train.jsonl"), **settings.pop("data", {})}
    recipe = from_arguments(inputs, outputs, data=data, training={"epochs": 3})
    return api.fit(recipe, tmp_path / "run", device="cpu")


def test_the_axis_of_several_outputs_is_called_by_what_all_of_them_have():
    many = ["stars: accuracy (%)", "topic: accuracy (%)", "tags: accuracy (%)"]
    assert run_pictures._axis_of(many) == "accuracy (%)"
    assert run_pictures._axis_of(["a: accuracy (%)", "b: mae (mm)"]) == "accuracy (%) / mae (mm)"
    assert (
        run_pictures._axis_of(["a: interval_coverage (%)", "b: exact_match (%)", "c: bits_per_character"]) == "metrics"
    )
    assert run_pictures._axis_of(["accuracy (%)"]) == "accuracy (%)"


def test_labels_have_a_learning_curve_and_a_confusion_matrix(tmp_path, drawn):
    rows = [{"x": word, "my label/$y$": label} for word, label in (("a", "yes"), ("b", "no"), ("a", "no"))] * 12
    run = trained(tmp_path, {"x": "category"}, {"my label/$y$": "category"}, rows)
    notes = []
    report = api.measure(run, say=notes.append)
    assert {path.name for path in run.folder.glob("*.png")} == {"learning_curve.png", "confusion_my_label_y_.png"}
    assert f"pictures: {run.folder / 'learning_curve.png'}, {run.folder / 'confusion_my_label_y_.png'}" in notes
    (loss, metric) = drawn["learning_curve.png"]
    assert loss[0].startswith("The validation loss was") and loss[1:3] == ("epoch", "loss per target")
    value = report.outputs["my label/$y$"]["accuracy"].value
    assert metric[0] == rf"Validation of the weights kept: my label/\$y\$: accuracy (%) {value:.4g}"
    (run.folder / "confusion_my_label_y_.png").unlink()
    notes.clear()
    api.evaluate(run, say=notes.append)
    assert notes == [f"pictures: {run.folder / 'confusion_my_label_y_.png'}"]
    api.evaluate(run, data=str(tmp_path / "train.jsonl"), say=notes.append)
    assert len(notes) == 1, "rows of others leave the run as it is"
    ((title, across, up, axes),) = drawn["confusion_my_label_y_.png"]
    (matrix,) = report.confusion.values()
    right = sum(matrix.counts[at][at] for at in range(len(matrix.labels)))
    assert title.startswith(rf"my label/\$y\$: {right} of {report.examples} rows of valid are right; most often ")
    assert (across, up) == ("predicted", "true")
    assert [text.get_text() for text in axes.texts] == [str(count) for row in matrix.counts for count in row]


def test_a_model_that_is_fitted_into_a_folder_has_its_pictures_there(tmp_path, drawn):
    rows = [{"x": word, "y": word} for word in "ab" * 6]
    model = ostinato.Model({"x": "category"}, {"y": "category"}, training={"epochs": 2})
    for number, valid in enumerate((rows[:4], None)):
        model.fit(rows, valid, folder=tmp_path / f"run{number}", device="cpu")
        names = {path.name for path in (tmp_path / f"run{number}").glob("*.png")}
        assert names == {"learning_curve.png", "confusion_y.png"}
        ((title, *_),) = drawn["confusion_y.png"]
        assert f" of {4 - number} rows of valid" in title, "3 of 12 are set aside"
    drawn.clear()
    model.fit(rows, rows[:4], device="cpu")
    assert not drawn and not list(model.run.folder.glob("*.png")), "no picture where nobody looks"


def test_a_forecast_is_drawn_beside_the_truth_with_its_band_from_the_worst(tmp_path, drawn):
    rows = [{"t": at, "load": math.sin(at / 3) + (at % 7) / 5} for at in range(120)]
    head = {"type": "linear_forecast"}
    inputs = {"load": {"type": "series", "encoder": "identity"}}
    outputs = {
        "ahead": {"type": "series", "of": "load", "column": "load", "horizon": 4, "align": "ahead", "head": head}
    }
    api.measure(trained(tmp_path, inputs, outputs, rows, data={"time": "t"}))
    model = ostinato.Model(inputs, outputs, data={"time": "t"}, training={"epochs": 3})
    model.fit(rows, folder=tmp_path / "fitted", device="cpu")
    assert (tmp_path / "fitted/forecast_ahead.png").read_bytes() == (tmp_path / "run/forecast_ahead.png").read_bytes()
    panels = drawn["forecast_ahead.png"]
    errors = []
    for name, (title, across, up, axes) in zip(("Worst", "Median", "Best"), panels):
        first, place = title.splitlines()
        assert first.startswith(f"{name} of ") and " windows: mean absolute error " in first and "from" in place
        assert (across, up) == ("steps after the last known one", "load")
        errors.append(float(first.rpartition(" ")[2]))
        _, truth, forecast, _ = axes.get_lines()
        difference = abs(truth.get_ydata() - forecast.get_ydata()).mean()
        assert difference == pytest.approx(errors[-1], rel=1e-2) and list(truth.get_xdata()) == [1, 2, 3, 4]
        assert len(axes.collections) == 1, "the band"
    assert errors == sorted(errors, reverse=True) and errors[0] > errors[-1]


def test_labels_of_any_script_are_drawn_without_a_warning(tmp_path):
    rows = [{"x": word, "y": label} for word, label in (("a", "日本"), ("b", "हाँ"))] * 15
    run = trained(tmp_path, {"x": "category"}, {"y": "category"}, rows)
    api.measure(run)
    assert (run.folder / "confusion_y.png").stat().st_size > 1000
