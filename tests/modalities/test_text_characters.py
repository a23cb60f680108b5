"""Text as words with their characters beside: what a step is, what shares it, where it is refused, and a run from end
to end."""

import json

import numpy as np
import pytest

import ostinato
from ostinato.errors import ConfigError
from ostinato.modalities.contract import Symbols
from ostinato.recipe.read import from_arguments
from ostinato.registry import make


def fitted(column, **options):
    text = make("modalities", "text", (), {"tokenizer": "word", "characters": True, **options})
    text.fit(iter(column))
    return text


def test_a_step_is_the_word_and_its_spelling_and_punctuation_is_spelt_without_its_marks():
    text = fitted(["to, Ba to", "to"])
    assert text.facts()["characters"] == [",", "B", "a", "o", "t"] and text.facts()["longest"] == 3
    assert text.spec == Symbols(size=3 + 3, begin=0, end=1, unknown=2, characters=7, longest=3)
    number = {word: 3 + at for at, word in enumerate(text.labels([3, 4, 5]))}
    encoded = text.encode("Ba to, tax")
    assert encoded.dtype == np.int32
    assert encoded.tolist() == [[number["Ba"], 3, 4, 0], [number["to"], 6, 5, 0], [number[","], 2, 0, 0], [2, 6, 4, 1]]
    assert text.decode(encoded) == "Ba to, \ufffd" and text.labels(encoded)[3] == "<unknown>"
    assert text.encode("").shape == (0, 4) == (0, *text.spec.stored[1]) and text.decode(text.encode("")) == ""


def test_the_numbers_are_those_of_the_words_alone_and_of_tokens():
    column = ["one two three", "two three", "three"]
    alone = fitted(column, characters=False)
    assert [row[0] for row in fitted(column).encode("two four three").tolist()] == alone.encode(
        "two four three"
    ).tolist()
    tokens = make("modalities", "tokens", (), {"characters": True})
    tokens.fit(iter(column))
    assert tokens.encode("two four three").tolist() == fitted(column).encode("two four three").tolist()


def test_what_prepares_the_text_prepares_its_spelling():
    text = fitted(["The CAT", "cat"], lowercase=True, stop_words=["the"])
    assert text.facts()["characters"] == list("act") and text.words() == [None, None, None, "cat"]
    assert text.encode("the CAT").tolist() == text.encode("cat").tolist()


def test_facts_through_json_make_a_fresh_object_behave_alike():
    before, after = (
        fitted(["Ein Hund, zwei", "Äpfel"]),
        make("modalities", "text", (), {"tokenizer": "word", "characters": True}),
    )
    after.restore(json.loads(json.dumps(before.facts())))
    assert after.spec == before.spec and after.facts() == before.facts()
    assert after.encode("ein Apfel, Hund").tolist() == before.encode("ein Apfel, Hund").tolist()


def test_a_vocabulary_is_shared_with_what_has_no_spelling():
    alone = make("modalities", "text", (), {"tokenizer": "word"})
    alone.restore(fitted(["a b"]).facts())
    assert alone.spec == Symbols(size=5, begin=0, end=1, unknown=2) and alone.encode("b a").tolist() == [4, 3]


WORDS = {"type": "text", "tokenizer": "word", "characters": True}
TOKENS = {"type": "tokens", "characters": True}
SHARED = {"same_as": "a"}


@pytest.mark.parametrize(
    ("inputs", "outputs", "says"),
    [
        (
            {"a": {**WORDS, "tokenizer": "bpe"}},
            {"b": "category"},
            "inputs.a: characters: true: the pieces of bpe are parts of words; .*word",
        ),
        ({"a": "text"}, {"b": WORDS}, "outputs.b.characters: .*belong to an input, leave them out"),
        ({"a": "tokens"}, {"b": TOKENS}, "outputs.b.characters: .*belong to an input"),
        ({"a": WORDS}, {"b": {**WORDS, "tokenizer": SHARED}}, "outputs.b.characters: .*belong to an input"),
        ({"a": TOKENS}, {"b": {"of": "a"}}, "inputs.a.characters: outputs.b continues from its own symbols"),
        (
            {"a": TOKENS},
            {"b": {"of": "a", "align": "next", "characters": False}},
            "inputs.a.characters: outputs.b continues",
        ),
        ({"a": WORDS}, {"b": {"of": "a", "align": "next"}}, "inputs.a.characters: outputs.b continues"),
        (
            {"a": {**WORDS, "tokenizer": {"same_as": "b"}}},
            {"b": {"type": "text", "tokenizer": "word"}},
            "inputs.a.characters: true, and outputs.b, .* let outputs.b share the vocabulary of inputs.a",
        ),
        (
            {"a": WORDS, "c": {"type": "text", "encoder": SHARED}},
            {"b": "category"},
            "inputs.c.characters: false, and inputs.a",
        ),
        (
            {"a": "tokens", "c": {**TOKENS, "encoder": SHARED}},
            {"b": "category"},
            "inputs.c.characters: true, and inputs.a, .*set it there too",
        ),
    ],
)
def test_where_a_spelling_cannot_be_it_is_refused_before_any_data_is_read(inputs, outputs, says):
    with pytest.raises(ConfigError, match=says):
        from_arguments(inputs, outputs)


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ({"a": WORDS}, {"b": {"type": "text", "tokenizer": SHARED}}),
        ({"a": WORDS, "c": {**WORDS, "encoder": SHARED}}, {"b": "category"}),
        ({"a": WORDS, "c": {"type": "text", "tokenizer": SHARED}}, {"b": "category"}),
    ],
)
def test_what_can_share_shares(inputs, outputs):
    from_arguments(inputs, outputs)


def test_a_model_tells_unknown_words_apart_by_their_letters_also_once_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    words = [f"{stem}{ending}" for stem in ("ab", "cd", "ef", "gh", "bd", "fa") for ending in ("ung", "ig")]
    rows = [{"said": word, "kind": "noun" if word.endswith("ung") else "adjective"} for word in words]
    encoder = {"hidden_size": 12, "embedding_size": 4}
    model = ostinato.Model(
        {
            "said": {
                "type": "text",
                "tokenizer": {"type": "word", "min_count": 2},
                "characters": True,
                "encoder": encoder,
            }
        },
        {"kind": "category"},
        training={
            "epochs": 40,
            "batch_rows": 8,
            "optimizer": {"type": "adamw", "learning_rate": 0.03},
            "schedule": "constant",
        },
    )
    # One word is known; all others, in training and here, are the unknown word and their letters.
    model.fit([*rows, rows[0]], rows, device="cpu")
    new = ["hcung", "hcig", "hadung", "eaig"]
    assert model.predict(new) == ["noun", "adjective", "noun", "adjective"]
    model.save(tmp_path / "run")
    assert ostinato.load(tmp_path / "run").predict(new) == ["noun", "adjective", "noun", "adjective"]
