"""Metrics as a slot of an output: listed with options, or the defaults of modality, alignment and head."""

import pytest

from ostinato.errors import ConfigError
from ostinato.metrics.contract import key_of
from ostinato.recipe.metrics import metrics_of
from ostinato.recipe.read import from_arguments
from ostinato.recipe.rules import monitorable
from ostinato.registry import settings_class


def recipe(output, read="text", **training):
    return from_arguments({"x": read}, {"y": output}, training=training or None).settings


def keys(output, read="text"):
    return list(metrics_of(recipe(output, read).outputs["y"]))


def test_a_key_shows_the_options_that_are_not_the_defaults():
    key = lambda name, **options: key_of(settings_class("metrics", name)(**options))  # noqa: E731
    assert key("bleu") == key("bleu", tokenize="13a") == "bleu"
    assert key("bleu", lowercase=True, tokenize="intl") == "bleu(lowercase, intl)"
    assert key("f1", average="macro") == "f1(macro)" and key("f1", average="micro", over="steps") == "f1(micro, steps)"
    assert (
        key("repeated_ngrams", n=2) == "repeated_ngrams(n=2)"
        and key("sequence_error", first=True) == "sequence_error(first)"
    )


def test_an_output_lists_its_metrics_with_options():
    listed = ["exact_match", {"type": "bleu", "lowercase": True}, {"type": "repeated_ngrams", "n": 2}]
    settings = recipe({"type": "text", "metrics": listed}, monitor="y.bleu(lowercase)")
    assert list(metrics_of(settings.outputs["y"])) == ["exact_match", "bleu(lowercase)", "repeated_ngrams(n=2)"]
    assert monitorable(settings) == {
        "loss": False, "y.loss": False, "y.exact_match": True, "y.bleu(lowercase)": True,
        "y.repeated_ngrams(n=2)": False,
    }  # fmt: skip


def test_without_a_list_they_fit_modality_alignment_and_head():
    assert keys("category") == ["accuracy", "f1(macro)", "f1(micro)", "log_loss"]
    assert keys({"of": "x", "align": "next"}) == ["perplexity", "bits_per_character", "token_accuracy"]
    assert keys("tags", "tokens")[:3] == ["accuracy(steps)", "f1(macro, steps)", "span_f1(precision)"]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"type": "text", "metrics": ["blue"]}, "outputs.y.metrics.0.type: 'blue' is not known.*did you mean .bleu"),
        ({"type": "text", "metrics": [{"type": "bleu", "lower": True}]}, "outputs.y.metrics.*lower"),
        ({"type": "text", "metrics": []}, "outputs.y.metrics"),
        ({"type": "text", "metrics": ["bleu", {"type": "bleu"}]}, "outputs.y.metrics.1: bleu is listed twice"),
        (
            {"type": "category", "metrics": ["crps"]},
            "outputs.y.metrics.0: crps is made from quantiles, which head classifier",
        ),
        (
            {"type": "text", "metrics": ["kl_divergence"]},
            "outputs.y.metrics.0: kl_divergence is made from distance, which head autoregressive does not give",
        ),
        (
            {"type": "text", "join": "latent", "metrics": ["log_loss", "crps"]},
            "outputs.y.metrics.1: crps is made from quantiles, which head autoregressive with join latent does not",
        ),
        (
            {"of": "x", "align": "next", "metrics": ["bleu"]},
            "outputs.y.metrics.0: bleu is made from predicted, .* align: next",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused_by_its_place(output, message):
    with pytest.raises(ConfigError, match=message):
        recipe(output)


def test_a_monitor_is_one_of_the_listed_metrics():
    with pytest.raises(ConfigError, match=r"training.monitor: 'y.bleu' is not measured.*y.exact_match"):
        recipe({"type": "text", "metrics": ["exact_match"]}, monitor="y.bleu")
