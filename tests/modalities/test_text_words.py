"""Text as a list of words in pieces: what a step is, how a word is cut wherever it stands, and how words come back."""

import json

import numpy as np
import pytest

from ostinato.errors import ConfigError, DataError
from ostinato.registry import make
from tests.tokenizers.fitted import FITTED

COLUMN = [["The", "dogs", "bark", "."], "dogs and\tdoglike  cats", ["don't", "naïve", "犬", "10.5"], None, []] * 3


def fitted(tokenizer="bpe", column=COLUMN, **options):
    text = make("modalities", "text", (), {"tokenizer": tokenizer, "subword_pooling": "mean", **options})
    text.fit(iter(column))
    return text


@pytest.mark.parametrize("tokenizer", FITTED)
def test_words_come_back_and_each_begins_once(tokenizer):
    text = fitted(tokenizer)
    for raw in COLUMN[0], COLUMN[2], [], ["dogs"]:
        encoded = text.encode(raw)
        dtype, shape = text.spec.stored
        assert encoded.dtype == dtype == "int32" and encoded.shape[1:] == shape == (2,)
        assert encoded[:, -1].sum() == len(raw) and set(encoded[:, -1].tolist()) <= {0, 1}
        assert not len(raw) or encoded[0, -1] == 1
        if raw != COLUMN[2] or tokenizer != "word":
            assert text.decode(encoded) == raw
    assert text.spec.pooling == "mean"


@pytest.mark.parametrize("tokenizer", FITTED)
def test_a_word_is_cut_in_the_same_way_wherever_it_stands(tokenizer):
    text = fitted(tokenizer)
    alone = {word: text.encode([word]).tolist() for word in ("The", "dogs", "bark", "doglike")}
    raw = ["dogs", "The", "doglike", "dogs", "bark"]
    assert text.encode(raw).tolist() == [step for word in raw for step in alone[word]]
    assert (
        text.encode(" ".join(raw)).tolist() == text.encode(tuple(raw)).tolist() == text.encode(np.array(raw)).tolist()
    )


def test_what_is_cut_is_what_was_fitted():
    assert fitted("bpe").labels(fitted("bpe").encode(["dogs", "dogs"]))[0][0] == "▁"
    texts = make("modalities", "text", (), {"tokenizer": "char"})
    texts.fit(iter([" The dogs bark ."]))
    assert fitted("char", [["The", "dogs", "bark", "."]]).facts() == texts.facts()


def test_a_word_that_holds_nothing_for_the_tokenizer_is_one_unknown_piece():
    text = fitted("word")
    encoded = text.encode(["dogs", "\u2003", "", "dogs"])
    assert encoded[:, 1].tolist() == [1, 1, 1, 1] and encoded[1:3, 0].tolist() == [2, 2]


def test_words_are_prepared_and_may_be_spelt():
    text = fitted("word", [["U.S.A.", "Dogs"]], lowercase=True, characters=True)
    encoded = text.encode(["DOGS", "", "a.b"])
    assert encoded.shape == (5, *text.spec.stored[1]) and text.spec.stored[1] == (1 + text.spec.longest + 1,)
    assert encoded[:, -1].tolist() == [1, 1, 1, 0, 0]
    assert (
        encoded[0].tolist()
        == fitted("word", [["U.S.A.", "Dogs"]], lowercase=True, characters=True).encode("dogs")[0].tolist()
    )
    assert not encoded[1, 1:-1].any(), "an empty word has no spelling"


def test_facts_through_json_make_a_fresh_object_behave_alike():
    before, after = fitted("bpe"), make("modalities", "text", (), {"tokenizer": "bpe", "subword_pooling": "mean"})
    after.restore(json.loads(json.dumps(before.facts())))
    assert after.spec == before.spec and after.encode(COLUMN[2]).tolist() == before.encode(COLUMN[2]).tolist()


def test_fields_are_divided_by_white_space_and_written_with_spaces():
    text = fitted()
    assert text.parse(" a\tb  c ") == ["a", "b", "c"] and text.parse("") == []
    assert text.take(("a", 3)) == ["a", "3"] and text.take(None) is text.take(float("nan")) is None
    assert text.write(["a", "b"]) == text.write("a  b") == "a b" and text.write(["a\nb"]) == "a\\nb"


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (5, "a list of words is needed, not int 5"),
        (None, "a missing value"),
        ([["a"]], "a word must be a string"),
        (["a", "\ud800"], "surrogate"),
    ],
)
def test_what_is_no_list_of_words_is_a_data_error(raw, says):
    with pytest.raises(DataError, match=says):
        fitted().encode(raw)


def test_no_word_can_be_left_out():
    with pytest.raises(ConfigError, match="stop_words: every word has a label"):
        fitted(stop_words=["the"])
