"""Validation and evaluation take the metrics of the recipe, and what a head does not know is absent."""

import json

import ostinato
from ostinato import api
from ostinato.evaluation.predictions import metrics_of, predict_all
from ostinato.registry import component
from ostinato.run.rows import of_split

WORDS = ("ab", "ba", "aab", "bba", "abab", "b")
ROWS = [{"x": word, "y": word[::-1], "n": float(len(word))} for word in WORDS * 4]
SMALL = {"hidden_size": 6}
ERRORS = "character_error_rate"


def fitted(outputs, folder, **training):
    encoder = {"hidden_size": 6, "embedding_size": 4}
    inputs = {"x": {"type": "text", "tokenizer": "char", "encoder": encoder}}
    model = ostinato.Model(inputs=inputs, outputs=outputs, training={"epochs": 2, "batch_rows": 8, **training})
    heard = []
    model.fit(ROWS, ROWS[:6], folder=folder, device="cpu", on_event=heard.append)
    return model


def test_a_metric_with_options_is_monitored_evaluated_and_compared(tmp_path):
    output = {"type": "text", "tokenizer": "char", "metrics": [{"type": "repeated_ngrams", "n": 1}, "perplexity"]}
    monitor = "y.repeated_ngrams(n=1)"
    model = fitted({"y": output}, tmp_path / "run", monitor=monitor)
    history = (tmp_path / "run/history.jsonl").read_text()
    assert f'"valid.{monitor}":' in history and '"valid.y.perplexity":' in history
    report = api.evaluate(model.run, data=ROWS[:6])
    assert list(report.outputs["y"]) == ["repeated_ngrams(n=1)", "perplexity"]
    assert list(api.compare(model.run, tmp_path / "run", data=ROWS[:6]).outputs["y"]) == list(report.outputs["y"])


def test_training_shows_what_the_search_of_the_recipe_says_where_that_follows_one_path(tmp_path):
    """At the beginning the best labels of steps are blanks alone, and greedy search finds symbols all the same."""
    model = ostinato.Model(
        inputs={"x": {"type": "text", "tokenizer": "char", "encoder": {"hidden_size": 6, "embedding_size": 4}}},
        outputs={"y": {"type": "text", "tokenizer": "char", "align": "free", "head": "ctc", "metrics": [ERRORS]}},
        search={"type": "greedy", "path": True},
        training={"epochs": 4, "batch_rows": 8, "optimizer": {"type": "adam", "learning_rate": 0.02}},
    )
    rows = [{"x": 3 * word, "y": word} for word in WORDS * 4]
    model.fit(rows, rows[:6], folder=tmp_path / "run", device="cpu")
    epochs = map(json.loads, (tmp_path / "run/history.jsonl").read_text().splitlines())
    shown = [event[f"valid.y.{ERRORS}"] for event in epochs if event.get("best")]
    own, other = (
        api.evaluate(model.run, data=rows[:6], sets=sets).outputs["y"][ERRORS].value
        for sets in ([], ["search.path=false"])
    )
    assert shown[-1] == own != other


def test_a_quantity_that_a_head_does_not_know_is_absent_and_never_0(tmp_path):
    model = fitted({"n": {"type": "number"}}, tmp_path / "run")
    metrics = {"n": metrics_of(model.run, "n") | {"log_loss": component("metrics", "log_loss")()}}
    known = predict_all([model.run], of_split(model.run, "test", ROWS[:6], ()), metrics=metrics).outputs["n"]
    assert set(known.columns()) == {"predicted", "expected", "log_probability", "num_targets"}
