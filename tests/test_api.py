"""Python's side: fit, predict, evaluate, save, load, with the habits of scikit-learn."""

import gc
import json
import pickle
import random
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy
import pandas
import polars
import pytest

import ostinato
from ostinato import api
from ostinato.data.memory import frame_like
from ostinato.errors import BundleError, ConfigError, DataError
from tests.advice import follow

WORDS = dict(zip("ein zwei drei vier".split(), "one two three four".split()))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSTINATO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
    torch.set_num_threads(threads)


def rows(number, seed=0):
    draw = random.Random(seed)
    texts = [draw.choices(list(WORDS), k=draw.randint(1, 3)) for _ in range(number)]
    return [{"de": " ".join(text), "en": " ".join(WORDS[word] for word in text)} for text in texts]


def model(**training):
    from ostinato.settings import GRU, Autoregressive, Beam, General, Recurrent, RecurrentDecoder, Text, Word

    return ostinato.Model(
        inputs={"de": Text(tokenizer=Word(), encoder=Recurrent(cell=GRU(), hidden_size=8, embedding_size=8))},
        outputs={
            "en": Text(
                tokenizer=Word(),
                head=Autoregressive(
                    decoder=RecurrentDecoder(cell=GRU(), hidden_size=8, attention=General()), embedding_size=8
                ),
            )
        },
        search=Beam(width=3),
        training={
            "epochs": 3,
            "batch_rows": 8,
            "optimizer": {"type": "adamw", "learning_rate": 0.03},
            "schedule": "constant",
            **training,
        },
    )


@pytest.fixture(scope="module")
def fitted(cache):
    return model().fit(rows(48), rows(8, seed=1), device="cpu")


def test_fit_predict_evaluate_save_and_load(fitted, tmp_path):
    answers = fitted.predict([{"de": "ein zwei"}, {"de": ""}])
    assert len(answers) == 2 and all(isinstance(one, str) for one in answers)
    report = fitted.evaluate(rows(10, seed=2)).to_json()
    assert (
        report["examples"] == 10 and {"value", "low", "high", "method"} == report["outputs"]["en"]["exact_match"].keys()
    )
    saved = fitted.save(tmp_path / "run")
    again = ostinato.load(saved)
    assert again.predict(["ein zwei", ""]) == answers
    assert again.evaluate(rows(10, seed=2)).to_json() == report
    with pytest.raises(BundleError, match="exists already"):
        again.save(tmp_path / "run")


def test_rows_are_dicts_frames_files_or_raw_values(fitted, tmp_path, monkeypatch):
    import pandas
    import polars

    monkeypatch.chdir(tmp_path)
    texts = ["ein", "zwei drei", ""]
    answers = fitted.predict(texts)
    assert fitted.predict([{"de": text, "more": 1} for text in texts]) == answers
    assert fitted.predict({"de": text} for text in texts) == answers
    for frame in (pandas.DataFrame({"de": texts}), polars.DataFrame({"de": texts})):
        assert list(fitted.predict(frame)["en_predicted"]) == answers
    Path("in.jsonl").write_text("".join(f'{{"de": "{text}"}}\n' for text in texts))
    assert fitted.predict(Path("in.jsonl")) == answers
    assert fitted.evaluate(pandas.DataFrame(rows(6))).to_json()["examples"] == 6
    assert fitted.predict([]) == []


def test_n_best_gives_answers_with_scores(fitted):
    (listed,) = fitted.predict(["ein"], n_best=3)
    assert [one.score for one in listed] == sorted((one.score for one in listed), reverse=True) and len(listed) == 3
    assert listed[0].value == fitted.predict(["ein"])[0]


def test_a_trained_model_takes_stops_and_another_search(fitted):
    texts = ["ein zwei drei vier", "neun neun neun acht", "drei sechs"]
    stop = next(word for line in fitted.predict(texts, sets=["search=greedy"]) for word in line.split())
    found = fitted.predict(texts, stop=[stop], sets=["search=greedy"])
    assert not any(stop in line for line in found) and found != fitted.predict(texts, sets=["search=greedy"])
    by_folder = {"stop": [stop], "sets": ["search=greedy"]}, {"sets": ["search=greedy", f"search.stop=[{stop}]"]}
    for options in by_folder:
        predictions = api.predict(fitted.run.folder, texts, device="cpu", **options)
        assert [next(iter(prediction.best.values())).text for prediction in predictions] == found
    with pytest.raises(ConfigError, match=r"stop: 'one' is one text.*\['one'\]"):
        fitted.predict(texts, stop="one")
    with pytest.raises(ConfigError, match="never generates"):
        fitted.predict(texts, stop=["\n\n"])


def test_what_is_no_list_of_rows_is_refused(fitted):
    with pytest.raises(ConfigError, match="put it in a list"):
        fitted.predict("ein zwei")
    with pytest.raises(ConfigError, match="put it in a list"):
        fitted.predict({"de": "ein"})
    with pytest.raises(DataError, match="has no 'de'.*it has: en"):
        fitted.predict([{"en": "one"}])
    with pytest.raises(DataError, match="row 1, inputs.de: a text is needed, not int 5"):
        fitted.predict(["ein", 5])
    with pytest.raises(ConfigError, match="n_best 9 is above width 3"):
        fitted.predict(["ein"], n_best=9)


def test_an_untrained_model_says_what_to_call():
    for call in (lambda one: one.predict(["x"]), lambda one: one.evaluate([]), lambda one: one.save("x")):
        with pytest.raises(ConfigError, match="not trained yet; call fit"):
            call(model())


def test_mistakes_in_arguments_are_those_of_a_recipe():
    with pytest.raises(ConfigError, match="arguments: training.epocs: unknown setting; did you mean 'epochs'"):
        model(epocs=3)
    with pytest.raises(ConfigError, match="'txt' is not known; did you mean 'text'"):
        ostinato.Model(inputs={"a": "txt"}, outputs={"b": "text"})


@pytest.mark.parametrize(
    ("inputs", "outputs", "other", "says"),
    [
        ("Subject", "Label", {}, "(?s)2 mistakes.*inputs: name at least one column.*{subject: text}.*outputs: name"),
        (["Subject"], {"Label": "category"}, {}, "inputs: name at least one column and its type"),
        ({}, {"Label": "category"}, {}, "inputs: name at least one column and its type"),
        ({"Subject": "text"}, {"Label": "category"}, {"lr": 0.1}, "is training.optimizer.learning_rate=0.1"),
        (
            {"Subject": "text"},
            {"Label": "category"},
            {"epochs": 3},
            "epochs: unknown setting here; it is training.epoc",
        ),
        ({"Subject": "text"}, {"Label": "category"}, {"training": 3}, "training: give settings by their names"),
    ],
)
def test_wrong_arguments_are_told_and_never_an_error_of_python(inputs, outputs, other, says):
    with pytest.raises(ostinato.OstinatoError, match=says):
        ostinato.Model(inputs, outputs, **other)


def test_a_model_and_the_package_say_what_they_are(fitted):
    assert repr(ostinato.Model({"a": "text"}, {"b": "category"})) == "<Model a (text) -> b (category); not trained>"
    assert "trained, " in repr(fitted) and "parameters" in repr(fitted)
    assert dir(ostinato) == sorted(ostinato.__all__) and "Model" in dir(ostinato)


def test_fit_without_a_folder_leaves_nothing_behind(cache, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    one = model(epochs=1).fit(rows(20), device="cpu")
    assert list((tmp_path / "temporary").iterdir())
    one.save("kept")
    assert [path.name for path in Path.cwd().iterdir()] == ["kept"]
    del one
    gc.collect()
    assert not list((tmp_path / "temporary").iterdir())


def test_fit_with_a_folder_is_a_run_that_resumes(cache, tmp_path):
    first = model().fit(rows(20), rows(4, seed=1), folder=tmp_path / "run", device="cpu")
    with pytest.raises(ConfigError, match="holds a run already"):
        model().fit(rows(20), rows(4, seed=1), folder=tmp_path / "run", device="cpu")
    again = model().fit(rows(20), rows(4, seed=1), folder=tmp_path / "run", resume=True, device="cpu")
    assert again.predict(["ein"]) == first.predict(["ein"])
    with pytest.raises(DataError, match="not what .* was trained on"):
        model().fit(rows(21), rows(4, seed=1), folder=tmp_path / "run", resume=True, device="cpu")


def test_a_model_travels_to_worker_processes(fitted):
    asked = [row["de"] for row in rows(4, seed=3)]
    assert pickle.loads(pickle.dumps(fitted)).predict(asked) == fitted.predict(asked)
    untrained = pickle.loads(pickle.dumps(model(epochs=1)))
    assert untrained.run is None and untrained.recipe.plain() == model(epochs=1).recipe.plain()


@pytest.mark.parametrize("kind", ["series", "list", "array"])
def test_the_advice_on_labels_as_a_second_argument(cache, kind):
    frame, labels = pandas.DataFrame({"text": ["a b", "c"] * 10}), pandas.Series(["x", "y"] * 10)
    labels = {"series": labels, "list": list(labels), "array": labels.to_numpy()}[kind]
    classifier = ostinato.Model({"text": "text"}, {"label": "category"}, training={"epochs": 1})
    advice = "these are labels; put them into the table of the first, as its column 'label': fit("
    with pytest.raises(ConfigError, match=re.escape(f"{advice}frame.assign(**{{'label': y}}))")):
        classifier.fit(frame, labels)
    assert classifier.fit(frame.assign(label=labels), device="cpu").run is not None
    asked = frame.text[:3]
    assert list(classifier.predict(asked)["label_predicted"]) == classifier.predict(list(asked))
    with pytest.raises(ConfigError) as error:
        classifier.fit(frame.text, labels)
    advised = re.search(r"fit\((.*)\)$", str(error.value))[1]
    rows = eval(advised, {"X": frame.text, "Y": labels})
    assert rows[0] == {"text": "a b", "label": "x"} and len(rows) == 20


def test_the_advice_of_python(cache, tmp_path):
    """On a model in memory: each refusal, and each way out of it."""
    labels = [{"x": text, "y": text[0]} for text in ("a b", "b a", "a a", "b b") * 3]
    table = tmp_path / "rows.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in labels))
    encoder = {"hidden_size": 4, "embedding_size": 4}

    def made(**data):
        named = {"data": data} if data else {}
        training = {"epochs": 1, "max_updates": 1}
        return ostinato.Model(
            {"x": {"type": "text", "encoder": encoder}}, {"y": "category"}, training=training, **named
        )

    fit = lambda model, *rows: model.fit(*rows, device="cpu")  # noqa: E731
    model, named = made(), made(train=str(table))
    follow(
        lambda: fit(named, labels),
        f"data.train names '{table}'; leave one of them out",
        lambda: fit(named),
        lambda: fit(model, labels),
    )
    series = ostinato.Model(
        {"n": {"type": "series", "encoder": encoder}},
        {"ahead": {"of": "n", "horizon": 1, "lookback": 2}},
        data={"time": "t", "split": {"valid": 3}},
        training={"epochs": 1, "max_updates": 1},
    )
    hours = [{"t": row, "n": row % 3} for row in range(20)]
    follow(
        lambda: fit(series, hours, hours),
        "data.split divides the training rows by time; leave one of them out",
        lambda: fit(series, hours),
    )
    frame = partial(model.predict, ["a b"], as_frame=True)
    follow(
        lambda: frame(n_best=2),
        "a frame holds the best answer to each row; leave out n_best, or as_frame=True",
        frame,
        lambda: model.predict(["a b"], n_best=2),
    )
    follow(
        model.evaluate,
        "the model's data name no file; name one there, or give evaluate(data) a path, a list of dicts, one for each",
        named.evaluate,
        lambda: model.evaluate(labels),
    )
    follow(
        lambda: model.predict({"x": ["a b"]}),
        "put it in a list: [{'x': ['a b']}]; where it holds columns, give a list of dicts, one for each row, or a data",
        lambda: model.predict([{"x": "a b"}]),
    )
    follow(lambda: model.predict(5), "rows: 5 is int; give a list of dicts, one for each row, or a data frame, a path")
    assert model.predict(pandas.DataFrame({"x": ["a b"]}), as_frame=False)


def test_an_interrupted_model_is_used_and_continued_to_the_same_bits(cache, capsys):
    def interrupt(progress):
        if progress.update == 8:
            signal.raise_signal(signal.SIGINT)

    broken, whole = model(), model().fit(rows(48), rows(8, seed=1), device="cpu", verbose=0)
    with pytest.raises(
        KeyboardInterrupt, match=r"after update 8 and saved; to continue, resume: fit\(..., resume=True\)"
    ):
        broken.fit(rows(48), rows(8, seed=1), device="cpu", on_event=interrupt, verbose=0)
    assert "training has not ended" in repr(broken) and len(broken.predict(["ein"])) == 1
    assert "training has not ended" in repr(ostinato.load(broken.run.folder))
    capsys.readouterr()
    broken.fit(rows(48), rows(8, seed=1), device="cpu", resume=True, verbose=0)
    assert capsys.readouterr().err == ""
    for name, tensor in whole.run.graph.state_dict().items():
        assert tensor.equal(broken.run.graph.state_dict()[name]), name


def test_results_are_readable_in_a_notebook(fitted):
    report = fitted.evaluate(rows(10, seed=2))
    assert repr(report).startswith("en  exact_match  ") and "more metrics: report.outputs" in repr(report)
    page = report._repr_html_()
    assert "<td>en</td><td>chrf</td>" in page and "10 examples of" in page
    assert ">baseline</th>" in page and page.count("<table>") == page.count("</table>") >= 1
    assert repr(fitted.run).startswith("<Run de (text) -&gt; en"[:12]) and "&lt;Run de" in fitted.run._repr_html_()
    assert "&lt;Run de" in fitted._repr_html_() and "not trained" in model()._repr_html_()


def test_threads_that_share_a_model_get_the_answers_that_each_would_get_alone(fitted):
    asked = [row["de"] for row in rows(40, seed=5)]
    draws = ["search=sample", "search.temperature=2"]
    for sets in ((), draws):
        alone = [fitted.predict([text], sets=sets, seed=3) for text in asked]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda text: fitted.predict([text], sets=sets, seed=3), asked)) == alone


def test_threads_that_train_reach_what_each_would_reach_alone(tmp_path):
    table = [{"x": text, "y": "even" if len(text) % 2 == 0 else "odd"} for text in ("a", "bb", "ccc", "dddd") * 5]
    small = {"encoder": {"type": "recurrent", "hidden_size": 4, "embedding_size": 4, "dropout": 0.5}}
    text = {"type": "text", "tokenizer": "char", **small}

    def weights(folder):
        model = ostinato.Model({"x": text}, {"y": "category"}, training={"epochs": 2, "batch_rows": 4})
        model.fit(table, folder=tmp_path / folder)
        return (tmp_path / folder / "weights.safetensors").read_bytes()

    alone = weights("alone")
    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(weights, ["left", "right"])) == {alone}


def test_a_frame_of_polars_holds_the_times_of_a_forecast():
    times = [numpy.datetime64("2024-01-01"), numpy.datetime64("2024-01-01T01", "h"), None]
    frame = frame_like(polars.DataFrame({"a": [1]}), {"time": times, "load": [1.0, 2.0, None]})
    assert frame["time"].to_list() == [datetime(2024, 1, 1), datetime(2024, 1, 1, 1), None]


def test_settings_that_fit_is_given_go_to_the_model_as_the_advice_says():
    inputs, outputs = {"text": "text"}, {"label": "category"}
    model = ostinato.Model(inputs, outputs)
    for words, says in (
        ({"epochs": 3}, "fit: epochs: unknown setting here; it is training.epochs"),
        ({"batch_size": 4}, "'batch_size' of other tools is training.batch_rows=4"),
        ({"training": {"epochs": 3}}, "fit: training: unknown here"),
    ):
        with pytest.raises(ConfigError, match=f"{says}; give settings to the model: Model") as refusal:
            model.fit([], **words)
    again = eval(str(refusal.value).partition("to the model: ")[2], {"Model": ostinato.Model}, locals())
    assert again.recipe.settings.training.epochs == 3
    with pytest.raises(ConfigError, match="fit: no argument verbos; did you mean 'verbose'"):
        model.fit([], verbos=0)
