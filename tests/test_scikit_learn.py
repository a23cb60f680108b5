"""scikit-learn's own tools work on a model: clone, cross_val_score, GridSearchCV."""

import pickle

import numpy as np
import pandas
import pytest

import ostinato
from ostinato.errors import ConfigError
from ostinato.settings import Ngrams, Text

model_selection = pytest.importorskip("sklearn.model_selection")
base = pytest.importorskip("sklearn.base")
measures = pytest.importorskip("sklearn.metrics")

KINDS = {"cheap flight to Oslo": "plane", "a train to Rome": "train", "late bus to Bern": "bus"}


def rows(number=48):
    texts = list(KINDS)
    return [
        {"text": f"{texts[at % 3]} {at % 5}", "kind": KINDS[texts[at % 3]], "size": float(at % 3), "back": "ab"[at % 2]}
        for at in range(number)
    ]


def model(outputs=("kind",), **training):
    types = {"kind": "category", "size": "number", "back": "text"}
    return ostinato.Model(
        {"text": Text(encoder=Ngrams())}, {name: types[name] for name in outputs}, training={"epochs": 1, **training}
    )


def writer():
    small = {"hidden_size": 8, "embedding_size": 4}
    return ostinato.Model(
        {"text": {"type": "text", "encoder": small}},
        {"back": {"type": "text", "head": {"decoder": {"hidden_size": 8}, "embedding_size": 4}}},
        training={"epochs": 1},
    )


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path))


@pytest.mark.parametrize("frame", [pandas.DataFrame, list])
def test_cross_val_score_measures_each_fold(frame):
    shares = model_selection.cross_val_score(model(), frame(rows()), cv=2, error_score="raise")
    assert shares.shape == (2,) and (shares == 1).all()


def test_a_clone_has_the_same_arguments_and_nothing_trained():
    first = model().fit(rows(), verbose=0)
    again = base.clone(first)
    assert again.run is None and again.recipe.plain() == first.recipe.plain()
    assert again.get_params(deep=False) is not first.get_params(deep=False)
    loaded = base.clone(ostinato.load(first.run.folder))
    assert loaded.run is None and loaded.recipe.plain() == first.run.recipe.plain()
    assert loaded.fit(rows(), verbose=0).predict(["a train to Rome"]) == first.predict(["a train to Rome"])
    travelled = base.clone(pickle.loads(pickle.dumps(again)))
    assert travelled.recipe.plain() == first.recipe.plain()


def test_parameters_have_scikit_learns_names():
    params = model().get_params()
    assert params["training"] == {"epochs": 1} and params["training__epochs"] == 1
    assert params["inputs__text__encoder__type"] == "ngrams" and params["data"] is None
    assert list(model().get_params(deep=False)) == ["inputs", "outputs", "data", "search", "training", "from_"]


def test_parameters_are_set_by_name_and_by_path():
    first = model()
    given = first.get_params(deep=False)["inputs"]
    assert first.set_params(training__epochs=3, inputs__text__encoder__words=2, data__fraction=0.5) is first
    settings = first.recipe.settings
    assert first.get_params()["training__epochs"] == settings.training.epochs == 3
    assert settings.inputs["text"].encoder.words == 2
    assert settings.data.fraction == 0.5 and isinstance(given["text"], Text)
    text = writer().set_params(outputs__back__head__decoder__hidden_size=5, search="greedy").recipe.settings
    assert text.outputs["back"].head.decoder.hidden_size == 5 and text.search.type == "greedy"


def test_a_refused_parameter_changes_nothing():
    first = model()
    with pytest.raises(ConfigError, match="training.epochs"):
        first.set_params(training__epochs=-1)
    assert first.recipe.settings.training.epochs == 1 and first.get_params()["training__epochs"] == 1


def test_a_grid_search_sets_settings_within_the_arguments():
    grid = {"inputs__text__encoder__words": [1, 2]}
    search = model_selection.GridSearchCV(model(), grid, cv=2, error_score="raise").fit(pandas.DataFrame(rows()))
    assert search.best_score_ == 1 and search.predict(["late bus"]) == ["bus"]


def test_the_score_of_labels_is_the_share_that_is_right():
    fitted = model().fit(rows(), verbose=0)
    asked = [*rows(9), {"text": "a train", "kind": "plane"}]
    right = np.mean([answer == row["kind"] for answer, row in zip(fitted.predict(asked), asked)])
    assert fitted.score(asked) == pytest.approx(right) and 0 < right < 1


def test_the_score_of_numbers_is_r2():
    fitted = model(["size"], epochs=3).fit(rows(), verbose=0)
    truth = [row["size"] for row in rows(20)]
    expected = measures.r2_score(truth, fitted.predict(rows(20)))
    assert fitted.score(pandas.DataFrame(rows(20))) == pytest.approx(expected, abs=1e-6)


def test_the_score_of_a_text_is_its_main_metric_as_a_share_or_with_a_minus():
    fitted = writer().fit(rows(), verbose=0)
    (main,) = fitted.evaluate(rows(9)).main.values()
    value = fitted.evaluate(rows(9)).outputs["back"][main].value
    assert main == "exact_match" and fitted.score(rows(9)) == pytest.approx(value / 100)
    rate = writer().set_params(outputs__back__metrics=["character_error_rate"]).fit(rows(), verbose=0)
    value = rate.evaluate(rows(9)).outputs["back"]["character_error_rate"].value
    assert rate.score(rows(9)) == pytest.approx(-value / 100)


def test_several_outputs_have_a_mean_where_they_are_scored_alike():
    both = ostinato.Model({"text": "text"}, {"kind": "category", "back": "category"}, training={"epochs": 1})
    both.fit(rows(), verbose=0)
    alone = [both.score(rows(12), output=output) for output in ("kind", "back")]
    assert both.score(rows(12)) == pytest.approx(sum(alone) / 2)


def test_the_advice_on_a_score():
    several = model(["kind", "size"]).fit(rows(), verbose=0)
    with pytest.raises(ConfigError) as why:
        several.score(rows(9))
    advice = "no one number sums these up; name one of them, such as score(rows, output='kind')"
    assert str(why.value) == f"score: kind by accuracy, size by r2: {advice}"
    assert several.score(rows(9), output="kind") <= 1
    with pytest.raises(ConfigError, match=r"^score: there is no output kin; give one of kind, size"):
        several.score(rows(9), output="kin")
    fitted = model().fit(rows(), verbose=0)
    with pytest.raises(ConfigError) as why:
        fitted.score([row["text"] for row in rows(9)], [row["kind"] for row in rows(9)])
    advice = "labels are given beside the rows, and are read from a column of these; put them into the table of the"
    assert str(why.value).startswith(f"score: {advice} first, as its column 'kind': score([{{'text': x, 'kind': y}}")
    with pytest.raises(ConfigError, match=r"^score: the model's data name no file; name one there, or give score\("):
        fitted.score()


def test_the_advice_on_parameters():
    with pytest.raises(ConfigError) as why:
        model().set_params(trainin__epochs=3)
    hint = "; did you mean 'training'? allowed here: data, from_, inputs, outputs, search, training"
    advice = "a setting within one is written with two underscores, such as training__epochs=3"
    assert str(why.value) == f"set_params: no parameter trainin__epochs{hint}; {advice}"
