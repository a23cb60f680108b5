"""Modalities of a recipe: built, fitted once for all who share, restored."""

import pytest

from ostinato.errors import ConfigError, DataError
from ostinato.preprocessing import fit as preprocessing_fit
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe.read import from_arguments, restore

WORD = {"type": "text", "tokenizer": "word"}


def recipe(inputs, outputs):
    return from_arguments(inputs, outputs).settings


def columns(**texts):
    return {place.replace("_", "."): (lambda values=values: list(values)) for place, values in texts.items()}


def test_each_column_has_its_own_vocabulary_unless_it_shares():
    settings = recipe({"a": WORD}, {"b": WORD})
    assert recipe_columns.vocabulary_owners(settings) == {"inputs.a": "inputs.a", "outputs.b": "outputs.b"}
    made = recipe_columns.build(settings)
    preprocessing_fit.fit(settings, made, columns(inputs_a=["red green"], outputs_b=["blue"]))
    assert made["inputs.a"].spec.size == 3 + 2 and made["outputs.b"].spec.size == 3 + 1


def test_a_shared_tokenizer_is_fitted_on_all_columns_and_equal_for_all():
    settings = recipe({"a": WORD}, {"b": {"type": "text", "tokenizer": {"same_as": "a"}}})
    made = recipe_columns.build(settings)
    preprocessing_fit.fit(settings, made, columns(inputs_a=["red green"], outputs_b=["blue red"]))
    assert made["inputs.a"].facts() == made["outputs.b"].facts()
    assert made["inputs.a"].encode("blue red").tolist() == made["outputs.b"].encode("blue red").tolist()
    assert made["outputs.b"].decode(made["outputs.b"].encode("green blue")) == "green blue"


def test_a_shared_encoder_shares_its_vocabulary():
    settings = recipe(
        {
            "a": WORD,
            "b": {"type": "text", "encoder": {"same_as": "a"}},
            "c": {"type": "text", "encoder": {"same_as": "b"}},
        },
        {"d": WORD},
    )
    reading = dict.fromkeys(("inputs.a", "inputs.b", "inputs.c"), "inputs.a")
    assert recipe_columns.vocabulary_owners(settings) == reading | {"outputs.d": "outputs.d"}
    made = recipe_columns.build(settings)
    preprocessing_fit.fit(
        settings, made, columns(inputs_a=["red"], inputs_b=["blue"], inputs_c=["green"], outputs_d=["x"])
    )
    assert [made[f"inputs.{name}"].spec.size for name in "abc"] == [6, 6, 6]


def test_each_column_is_read_once_for_fitting():
    settings = recipe({"a": WORD}, {"b": {"type": "text", "tokenizer": {"same_as": "a"}}})
    read = []
    readers = {place: lambda place=place: (read.append(place), ["word"])[1] for place in ("inputs.a", "outputs.b")}
    preprocessing_fit.fit(settings, recipe_columns.build(settings), readers)
    assert read == ["inputs.a", "outputs.b"]


def test_what_was_fitted_is_restored():
    settings = recipe({"a": WORD}, {"b": WORD})
    made, again = recipe_columns.build(settings), recipe_columns.build(settings)
    preprocessing_fit.fit(settings, made, columns(inputs_a=["red green"], outputs_b=["blue"]))
    preprocessing_fit.restore(again, {place: one.facts() for place, one in made.items()})
    assert again["inputs.a"].encode("green red").tolist() == made["inputs.a"].encode("green red").tolist()


@pytest.mark.parametrize(
    "inputs",
    [
        {"a": {"type": "text", "tokenizer": {"same_as": "b"}}, "b": {"type": "text", "tokenizer": {"same_as": "a"}}},
        {"a": {"type": "text", "encoder": {"same_as": "b"}}, "b": {"type": "text", "tokenizer": {"same_as": "a"}}},
        {"a": {"type": "text", "tokenizer": {"same_as": "a"}}},
    ],
)
def test_circles_are_refused(inputs):
    with pytest.raises(ConfigError, match="inputs.a.*circle"):
        recipe_columns.vocabulary_owners(recipe(inputs, {"c": "text"}))


def test_columns_of_two_types_cannot_share():
    with pytest.raises(ConfigError, match="tokens"):
        recipe_columns.vocabulary_owners(
            recipe({"a": "tokens"}, {"b": {"type": "text", "tokenizer": {"same_as": "a"}}})
        )


def test_a_refusal_names_the_column():
    with pytest.raises(ConfigError, match="inputs.a: stop_words: 'two words'"):
        recipe_columns.build(recipe({"a": {**WORD, "stop_words": ["two words"]}}, {"b": WORD}))


def test_a_column_without_anything_to_learn_is_named():
    settings = recipe({"a": WORD}, {"b": WORD})
    with pytest.raises(DataError, match="^outputs.b: nothing to learn"):
        preprocessing_fit.fit(settings, recipe_columns.build(settings), columns(inputs_a=["red"], outputs_b=["", ""]))


def test_own_settings_are_plain_and_hold_what_decides_an_encoding():
    own = recipe_columns.own_settings(recipe({"a": {**WORD, "lowercase": True}}, {"b": WORD}))
    assert own["inputs.a"]["lowercase"] is True and own["inputs.a"]["tokenizer"]["type"] == "word"
    assert set(own["inputs.a"]) == {
        "tokenizer",
        "lowercase",
        "normalize",
        "stop_words",
        "characters",
        "marks",
        "subword_pooling",
    }


WORDS = {"type": "text", "subword_pooling": "mean"}


@pytest.mark.parametrize("shared", ["encoder", "tokenizer"])
@pytest.mark.parametrize("tokenizer", ["word", {"type": "bpe", "size": 300}])
@pytest.mark.parametrize("owner", ["title", "words"])
def test_each_who_shares_a_vocabulary_reads_its_own_values(shared, tokenizer, owner):
    """One reads a text in one piece, the other a list of words, whichever of them has the vocabulary."""
    inputs = {"title": {"type": "text"}, "words": WORDS}
    for name in inputs:
        inputs[name] = inputs[name] | ({"tokenizer": tokenizer} if name == owner else {shared: {"same_as": owner}})
    settings = recipe(inputs, {"kinds": {"type": "tags", "reads": ["words"]}})
    made = recipe_columns.build(settings)
    preprocessing_fit.fit(
        settings, made, columns(inputs_title=["red green"], inputs_words=[["blue", "red"]], outputs_kinds=[["A", "B"]])
    )
    assert made["inputs.title"].facts() == made["inputs.words"].facts()
    assert made["inputs.title"].decode(made["inputs.title"].encode("blue green")) == "blue green"
    assert made["inputs.words"].decode(made["inputs.words"].encode(["green", "blue"])) == ["green", "blue"]


def test_each_who_shares_a_vocabulary_prepares_its_own_texts():
    settings = recipe({"a": WORD}, {"b": {"type": "text", "lowercase": True, "tokenizer": {"same_as": "a"}}})
    made = recipe_columns.build(settings)
    preprocessing_fit.fit(settings, made, columns(inputs_a=["Red"], outputs_b=["Blue"]))
    assert made["outputs.b"].decode(made["outputs.b"].encode("Blue")) == "blue", "what it says is lower case, and known"


def test_a_column_that_goes_on_is_counted_once():
    settings = recipe({"a": {"type": "text", "tokenizer": {"type": "word", "min_count": 2}}}, {"b": {"of": "a"}})
    made = recipe_columns.build(settings)
    preprocessing_fit.fit(settings, made, columns(inputs_a=["red red green"], outputs_b=["red red green"]))
    assert made["outputs.b"].facts() == made["inputs.a"].facts() == {"tokenizer": {"pieces": ["red"], "counts": [2]}}


def test_who_reads_by_anothers_encoder_takes_what_its_vocabulary_is():
    settings = recipe(
        {"a": WORD, "b": {"type": "text", "lowercase": True, "encoder": {"same_as": "a"}}}, {"c": "category"}
    )
    assert settings.inputs["b"].tokenizer.same_as == "a" and settings.inputs["b"].lowercase
    settings = recipe(
        {
            "a": {"type": "tokens", "lowercase": True},
            "b": {"type": "tokens", "separator": "", "encoder": {"same_as": "a"}},
        },
        {"c": "category"},
    )
    made = recipe_columns.build(settings)
    preprocessing_fit.fit(settings, made, columns(inputs_a=[["Red"]], inputs_b=[["Blue"]], outputs_c=["x", "y"]))
    assert made["inputs.b"].labels(made["inputs.b"].encode(["BLUE", "red"])) == ["blue", "red"]
    assert settings.inputs["b"].separator == ""
    settings = recipe(
        {"a": {"type": "series", "scale": "none"}, "b": {"type": "series", "encoder": {"same_as": "a"}}},
        {"c": {"of": "b"}},
    )
    assert settings.inputs["b"].scale == settings.outputs["c"].scale == "none"


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        (
            WORD,
            {"type": "text", "tokenizer": "char"},
            r'inputs\.b\.tokenizer: "char", and inputs\.a, .* has "word"; leave it out, set it in',
        ),
        (
            {"type": "text", "tokenizer": {"type": "bpe", "size": 300}},
            {"type": "text", "tokenizer": {"size": 400}},
            r"b\.tokenizer\.size: 400, .* 300",
        ),
        ("tokens", {"type": "tokens", "min_count": 2}, r"inputs\.b\.min_count: 2, .* has 1"),
        (
            {"type": "tokens", "lowercase": True},
            {"type": "tokens", "lowercase": False},
            r"inputs\.b\.lowercase: false, .* true",
        ),
        ("number", {"type": "number", "log": True}, r"inputs\.b\.log: true"),
        ("category", {"type": "category", "multilabel": True}, r"inputs\.b\.multilabel: true"),
    ],
)
def test_another_vocabulary_than_the_one_that_is_shared_is_refused(a, b, says):
    with pytest.raises(ConfigError, match=says):
        recipe({"a": a, "b": {**b, "encoder": {"same_as": "a"}}}, {"c": "category"})


def test_one_column_cannot_have_the_vocabularies_of_two():
    inputs = {"a": WORD, "b": {"type": "text", "tokenizer": {"same_as": "c"}, "encoder": {"same_as": "a"}}, "c": WORD}
    with pytest.raises(
        ConfigError,
        match=r"inputs\.b\.tokenizer\.same_as: the vocabulary of inputs\.c, and .* inputs\.a reads by .*inputs\.a; "
        r"leave",
    ):
        recipe(inputs, {"d": "category"})


def test_the_same_said_twice_is_no_mistake_and_a_trained_model_keeps_what_it_was_made_of():
    inputs = {
        "a": {"type": "text", "tokenizer": {"type": "bpe", "size": 300}},
        "b": {"type": "text", "tokenizer": "bpe", "encoder": {"same_as": "a"}},
    }
    made = from_arguments(inputs, {"c": "category"})
    assert recipe(made.plain()["inputs"], {"c": "category"}) == made.settings
    assert recipe({**inputs, "a": {**inputs["a"]}}, {"c": "category"}).inputs["b"].tokenizer.same_as == "a"
    saved = {"inputs": {**inputs, "b": {**inputs["b"], "tokenizer": "char"}}, "outputs": {"c": "category"}}
    assert restore(saved, "run").settings.inputs["b"].tokenizer.type == "char"
