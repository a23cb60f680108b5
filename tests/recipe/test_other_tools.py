"""Words that people bring from other tools: each is answered with a setting of ours that a recipe takes."""

import copy

import pytest

from ostinato.errors import ConfigError
from ostinato.recipe.other_tools import WORDS, advice
from ostinato.recipe.paths import parse_set, set_path
from ostinato.recipe.read import check

TEXTS = {"inputs": {"words": "text"}, "outputs": {"kind": "category"}}
TAGS = {"inputs": {"words": "tokens"}, "outputs": {"kind": "tags"}}
TEXT_OUT = {"inputs": {"words": "text"}, "outputs": {"kind": "text"}}
NEXT = {"inputs": {"words": "text"}, "outputs": {"following": {"of": "words"}}}
SERIES = {
    "data": {"train": "f.csv", "time": "day"},
    "inputs": {"load": "series"},
    "outputs": {"ahead": {"of": "load", "horizon": 2}},
}
GIVEN = {
    "cell_type": "gru",
    "rnn_type": "gru",
    "optim": "adam",
    "lr_scheduler_type": "linear",
    "do_lower_case": True,
    "lower": True,
    "restore_best_weights": True,
    "load_best_model_at_end": True,
    "top_p": 0.5,
    "label_smoothing_factor": 0.1,
    "ema_decay": 0.9,
    "word_dropout_rate": 0.1,
}
"""A value of each word that takes no 2."""


def test_there_are_words_of_many_tools():
    assert len(WORDS) >= 60


@pytest.mark.parametrize("word", WORDS)
def test_what_is_advised_is_taken(word):
    """The advice, followed as it is written, makes a recipe that is valid: FILE and METRIC are filled in."""
    written = advice(word, GIVEN.get(word, 2), TEXTS)
    if written.startswith("--"):
        return
    written = written.replace("OUTPUT.METRIC", "kind.accuracy")
    path, value = parse_set(written)
    for recipe in (TEXTS, TAGS, TEXT_OUT, NEXT, SERIES):
        first = next(iter(recipe["inputs"])), next(iter(recipe["outputs"]))
        plain = copy.deepcopy(recipe)
        try:
            settings = check(plain, "recipe")
            set_path(plain, path.replace("words", first[0]).replace("kind", first[1]), value, settings)
            check(plain, "recipe")
        except ConfigError as why:
            refusal = why
        else:
            return
    raise AssertionError(f"{word}: {written}: {refusal}")


def test_options_that_are_advised_are_options_of_train():
    from ostinato.cli.train_command import train

    options = {name for parameter in train.params for name in parameter.opts}
    assert {written.split()[0] for written in WORDS.values() if written.startswith("--")} <= options


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("lr", 0.1, "'lr' of other tools is training.optimizer.learning_rate=0.1"),
        ("training.batchSize", 8, "'batchSize' of other tools is training.batch_rows=8"),
        ("inputs.words.max-len", 20, "is training.max_steps=20"),
        ("crf", True, "is outputs.kind.head=crf"),
        ("temperature", 0, "'temperature' of other tools is search=greedy"),
        ("temperature", 0.7, "is search={type: sample, temperature: 0.7}"),
        ("epochs", 3, "unknown setting here; it is training.epochs"),
        ("hidden_size", 3, "it is inputs.words.encoder.hidden_size"),
        ("training.epocs", 3, "did you mean 'epochs'"),
    ],
)
def test_a_word_of_another_tool_and_a_setting_without_its_path_are_answered(path, value, says):
    plain = copy.deepcopy(TEXTS)
    set_path(plain, path, value, check(plain, "recipe"))
    with pytest.raises(ConfigError) as why:
        check(plain, "recipe")
    assert says in str(why.value)


def test_two_mistakes_are_both_answered():
    plain = {**TEXTS, "lr": 0.1, "training": {"batch_size": 4}}
    with pytest.raises(ConfigError, match="(?s)2 mistakes.*batch_rows=4.*learning_rate=0.1"):
        check(plain, "recipe")
