"""Recipes: the schema holds what is written, a full recipe says everything, a value can be set anywhere."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from ostinato.errors import ConfigError
from ostinato.recipe import read as recipe_read
from ostinato.recipe.paths import parse_set, set_path
from ostinato.recipe.read import from_arguments, load
from ostinato.recipe.schema import schema
from ostinato.recipe.yaml_text import dump_yaml, flow, line_numbers, parse_yaml

HERE = Path(__file__).parents[2]
FILES = sorted([*(HERE / "recipes").glob("*.yaml"), HERE / "ostinato/builtin/dates.yaml"])


@pytest.fixture(scope="module")
def validator():
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_schema_takes_every_recipe_short_and_written_out(validator, path):
    recipe = load(path)
    for text in (path.read_text(), recipe.yaml()):
        assert not list(validator.iter_errors(parse_yaml(text, path.name)))
    assert not list(validator.iter_errors(json.loads(json.dumps(recipe.plain()))))


@pytest.mark.parametrize(
    "change",
    [
        {"training": {"epocs": 3}},
        {"inputs": {}},
        {"search": {"type": "beam", "width": "five"}},
        {"inputs": {"a": {"type": "txt"}}},
        {"odd": 1},
    ],
)
def test_the_schema_refuses_what_a_recipe_refuses(validator, change):
    plain = {"inputs": {"a": "text"}, "outputs": {"b": "text"}} | change
    assert list(validator.iter_errors(plain))
    with pytest.raises(ConfigError):
        recipe_read.check(plain, "here")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_recipe_written_out_is_the_same_recipe(path, tmp_path):
    recipe = load(path)
    (tmp_path / "full.yaml").write_text(recipe.yaml(), encoding="utf-8")
    again = load(tmp_path / "full.yaml")
    assert again.settings == recipe.settings
    assert again.yaml() == recipe.yaml()


def test_what_is_switched_off_stays_off_when_written_out(tmp_path):
    made = from_arguments(
        {"a": "text"}, {"b": {"type": "text", "head": {"decoder": {"attention": None}}}}, training={"clip_norm": None}
    )
    (tmp_path / "full.yaml").write_text(made.yaml())
    again = load(tmp_path / "full.yaml").settings
    assert again.outputs["b"].head.decoder.attention is None and again.training.clip_norm is None


def test_chosen_values_are_taken_and_their_reasons_are_comments_that_stay_yaml():
    made = from_arguments({"a": "text"}, {"b": "text"}).with_chosen(
        {"training.epochs": (7, "two\nlines: {of [reason"), "training.seed": (3, "x")}
    )
    assert made.settings.training.epochs == 7
    assert parse_yaml(made.yaml(), "made")["training"]["epochs"] == 7
    assert "# training.epochs: two lines: {of [reason\n" in made.yaml()


def test_set_path_opens_names_and_makes_what_is_not_there():
    plain = {"search": "greedy", "training": None}
    set_path(plain, "search.max_length", 3)
    set_path(plain, "training.optimizer.learning_rate", 0.1)
    assert plain == {"search": {"type": "greedy", "max_length": 3}, "training": {"optimizer": {"learning_rate": 0.1}}}


@pytest.mark.parametrize(
    ("text", "value"), [("a.b=3", 3), ("a.b=x=y", "x=y"), ("a.b=", None), ("a.b=[1, 2]", [1, 2]), ("a.b=no", "no")]
)
def test_set_values_are_yaml_1_2(text, value):
    assert parse_set(text) == ("a.b", value)


def test_lines_are_known_of_every_key_and_item():
    found = line_numbers("a:\n  b: 1\n  c:\n    - x\n    - y: 2\n")
    assert found == {"a": 1, "a.b": 2, "a.c": 3, "a.c.0": 4, "a.c.1": 5, "a.c.1.y": 5}


def test_text_of_any_script_comes_back_from_yaml():
    plain = {"a": "日本 \u2028 é", "b": ["no", "1", "null", "~", "x: y", "# y"], "c": {"d": 1e-8, "e": True}}
    assert parse_yaml(dump_yaml(plain), "here") == plain


def test_a_chosen_column_is_shown_as_it_was_chosen_and_not_with_every_default():
    recipe = from_arguments({"text": "text"}, {"label": "category"})
    column = {"type": "text", "column": "text", "encoder": {"type": "ngrams", "size": 2}}
    chosen = recipe.with_chosen({"inputs.counted": (column, "for a test")})
    assert chosen.at("inputs.counted") == column
    assert flow(chosen.at("inputs.counted")) == "{type: text, column: text, encoder: {type: ngrams, size: 2}}"
    assert flow(chosen.at("inputs.counted.encoder.size")) == "2" and flow(["a", "b"]) == "['a', 'b']"


@pytest.mark.parametrize(
    ("place", "value", "advice"),
    [
        ("training.freeze", "inputs.text.encoder", "give a list, such as [inputs.text.encoder], got the text"),
        ("training.freeze", 3, "give a list, such as [3], got 3"),
        ("from", {"run": "run", "parts": []}, "name at least one, or leave it out; this is empty"),
    ],
)
def test_the_advice_on_what_should_be_a_list(place, value, advice):
    plain = {"inputs": {"text": "text"}, "outputs": {"label": "category"}}
    head, _, last = place.partition(".")
    with pytest.raises(ConfigError, match=re.escape(advice)):
        recipe_read.check(plain | {head: {last: value} if last else value}, "test")
