"""The modality text: numbers for special symbols that no text can produce, spelling options, exact return."""

import json
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ostinato.errors import ConfigError, DataError
from ostinato.modalities.contract import Symbols
from ostinato.registry import SameAs, component, make, settings_class
from tests.tokenizers.fitted import FITTED

COLUMN = ["A dog runs.", "The dog barks at the cat.", "", "Ein Hund läuft über die Wiese.", "कुत्ता दौड़ता है।", "كلب يركض"]


def fitted(column=COLUMN, **options):
    text = make("modalities", "text", (), options)
    text.fit(iter(column))
    return text


@pytest.fixture(scope="module")
def exact_ones():
    return {name: fitted(tokenizer={"type": name}) for name in ("byte", "bpe", "unigram")}


@pytest.mark.parametrize("name", ["byte", "bpe", "unigram"])
@given(raw=st.text())
@settings(max_examples=100)
def test_a_text_comes_back_exactly_and_never_holds_a_special_symbol(exact_ones, name, raw):
    text = exact_ones[name]
    ids = text.encode(raw)
    assert ids.dtype == np.int32 and ids.ndim == 1
    assert text.decode(ids) == raw
    assert bool((ids >= 3).all()) and bool((ids < text.spec.size).all())


def test_special_symbols_stand_outside_the_tokenizer():
    text = fitted(tokenizer={"type": "byte"})
    white_space = tuple(3 + byte for byte in b"\t\n\v\f\r\x1c\x1d\x1e\x1f ")
    assert text.spec == Symbols(size=259, begin=0, end=1, unknown=2, separators=white_space)
    assert text.encode("AB").tolist() == [68, 69]
    assert text.decode([0, 68, 69, 1]) == "AB"
    assert text.decode(np.array([0, 68, 2, 69, 1], dtype=np.int32)) == "A\ufffdB"
    assert text.labels([0, 68, 2, 1]) == ["<begin>", "A", "<unknown>", "<end>"]


@pytest.mark.parametrize("name", FITTED)
def test_a_typed_special_symbol_is_text(name):
    text = fitted(["<s> a </s> <unk>", "b"], tokenizer={"type": name})
    ids = text.encode("<s> a </s>").tolist()
    assert min(ids) >= 3 and text.decode([0, *ids, 1]) == "<s> a </s>"


@pytest.mark.parametrize("name", ["word", "char"])
def test_what_training_never_saw_is_the_unknown_symbol(name):
    text = fitted(["a b"], tokenizer={"type": name})
    ids = text.encode("a z").tolist()
    assert ids[-1] == 2 and 2 not in ids[:-1]
    assert text.decode(ids) == "a \ufffd"


@pytest.mark.parametrize("name", FITTED)
def test_an_empty_text_has_no_steps(name):
    text = fitted(tokenizer={"type": name})
    assert text.encode("").shape == (0,) and text.encode("").dtype == np.int32
    assert text.decode(text.encode("")) == "" and text.decode([]) == "" and text.labels([]) == []


@pytest.mark.parametrize("name", FITTED)
def test_facts_through_json_make_a_fresh_text_behave_alike(name):
    options = {"tokenizer": {"type": name}, "lowercase": True, "normalize": "NFKC", "stop_words": ["the"]}
    before, after = fitted(**options), make("modalities", "text", (), options)
    after.restore(json.loads(json.dumps(before.facts())))
    assert after.spec == before.spec and after.facts() == before.facts()
    for raw in [*COLUMN, "never seen: Ωμέγα \ufeff"]:
        ids = before.encode(raw)
        assert after.encode(raw).tolist() == ids.tolist()
        assert after.decode(ids) == before.decode(ids) and after.labels(ids) == before.labels(ids)


def test_labels_are_one_per_step_and_follow_what_is_restored():
    text = fitted(["a b"], tokenizer={"type": "word"})
    assert text.labels(text.encode("b a")) == ["b", "a"]
    text.restore({"tokenizer": {"pieces": ["c", "d"]}})
    assert text.labels([3, 4]) == ["c", "d"]
    text.fit(["x"])
    assert text.labels([3]) == ["x"]


def test_lower_casing_makes_cases_one():
    text = fitted(lowercase=True)
    assert text.encode("THE Dog").tolist() == text.encode("the dog").tolist()
    assert text.decode(text.encode("ÜBER Die")) == "über die"
    assert fitted().decode(fitted().encode("ÜBER")) == "ÜBER"


@pytest.mark.parametrize("form", ["NFC", "NFKC", "NFD", "NFKD"])
@given(raw=st.text(alphabet=st.characters(exclude_categories=["Cs"], max_codepoint=0x2FFF)))
@settings(max_examples=50)
def test_normalisation_brings_each_text_into_the_form_also_after_lower_casing(form, raw):
    plain = make("modalities", "text", (), {"tokenizer": "byte", "normalize": form})
    assert plain.decode(plain.encode(raw)) == unicodedata.normalize(form, raw)
    both = make("modalities", "text", (), {"tokenizer": "byte", "normalize": form, "lowercase": True})
    said = both.decode(both.encode(raw))
    assert unicodedata.is_normalized(form, said) and said == unicodedata.normalize(
        form, unicodedata.normalize(form, raw).lower()
    )


def test_a_letter_that_lower_casing_takes_out_of_its_form_is_brought_back():
    text = make("modalities", "text", (), {"tokenizer": "byte", "normalize": "NFC", "lowercase": True})
    assert text.decode(text.encode("\u03aa\u0301")) == "\u0390"


def test_composed_and_decomposed_letters_are_one_only_with_normalisation():
    text, plain = fitted(normalize="NFC"), fitted()
    assert text.encode("e\u0301").tolist() == text.encode("é").tolist()
    assert plain.encode("e\u0301").tolist() != plain.encode("é").tolist()


@pytest.mark.parametrize(
    "raw, left",
    [
        ("The cat sat on THE mat", "cat sat mat"),
        ("on the", ""),
        ("cat on the", "cat"),
        ("other theme don't", "other theme don't"),
        ("sat, on a mat", "sat, a mat"),
        ("  no stop word  ", "  no stop word  "),
        ("on\tthe\nmat", "mat"),
        ("की बात", "बात"),
        ("कीमत", "कीमत"),
    ],
)
def test_stop_words_are_left_out_in_any_case_and_only_whole(raw, left):
    text = make("modalities", "text", (), {"tokenizer": "byte", "stop_words": ["the", "ON", "don", "की"]})
    assert text.decode(text.encode(raw)) == left


def test_stop_words_meet_the_text_in_one_spelling():
    text = make(
        "modalities",
        "text",
        (),
        {"tokenizer": "byte", "stop_words": ["e\u0301te\u0301"], "normalize": "NFC", "lowercase": True},
    )
    assert text.decode(text.encode("l Été fini")) == "l fini"


@pytest.mark.parametrize("word", ["", "two words", "!", "end.", " the"])
def test_a_stop_word_that_could_never_match_is_refused(word):
    with pytest.raises(ConfigError, match="stop_words: .* is not one word"):
        make("modalities", "text", (), {"stop_words": [word]})


def test_options_of_the_wrong_kind_are_refused():
    for wrong in (
        {"normalize": "nfc"},
        {"stop_words": "the"},
        {"stop_words": [1]},
        {"lowercase": "no"},
        {"tokenizer": "bp"},
    ):
        with pytest.raises(ValidationError):
            make("modalities", "text", (), wrong)


def test_stop_words_stand_in_the_full_recipe_as_a_list():
    made = settings_class("modalities", "text")(stop_words=["the"])
    assert made.plain()["stop_words"] == ["the"] and made.plain()["tokenizer"] == {"type": "bpe", "size": 8000}


def test_a_reference_to_another_tokenizer_must_have_been_looked_up():
    with pytest.raises(ConfigError, match="tokenizer: the reference same_as: de was not looked up"):
        component("modalities", "text")(tokenizer=SameAs(same_as="de"))


@pytest.mark.parametrize("name", FITTED)
def test_a_column_without_any_text_is_a_data_error_and_one_letter_is_enough(name):
    for column in ([], ["", ""], [None]):
        with pytest.raises(DataError, match="nothing to learn: .*; check that this is the right column"):
            fitted(column, tokenizer={"type": name})
    text = fitted(["", None, "a"], tokenizer={"type": name})
    assert text.decode(text.encode("a")) == "a"


@pytest.mark.parametrize(
    "raw, message",
    [(None, "not a missing value"), (5, "not int 5"), ({"a": 1}, "not dict"), ("ab\ud800", "character 3")],
)
def test_a_value_that_is_no_text_is_a_data_error(raw, message):
    with pytest.raises(DataError, match=message):
        fitted().encode(raw)


def test_one_line_of_output_holds_no_tab_and_no_break_and_input_is_taken_as_it_stands():
    text = fitted()
    assert text.write("a\tb\r\nc\\d") == "a\\tb\\r\\nc\\d"
    assert text.parse("a\\tb\tc") == "a\\tb\tc"
    for raw in ("C:\\new", "plain", "", "नमस्ते 👩‍👩‍👧"):
        assert text.parse(text.write(raw)) == raw


def test_whole_words_where_training_knows_nearly_all_of_validation_and_the_text_has_one_answer():
    train, valid = ["good film", "bad film", "good plot"] * 4, ["bad plot"]
    text = make("modalities", "text", (), {})

    def choices(valid, summarized=True, gives=lambda _: False):
        return text.choices(train, valid, gives, summarized)

    assert choices(valid)["tokenizer.type"][0] == "word"
    assert choices(valid)["encoder.rare_word_dropout"][0] > 0
    assert choices(["bad prose"]) == {}, "half of the words are new: pieces of them are known"
    assert set(choices(valid, summarized=False)) == {"metrics"}, "what is generated needs every word"
    assert choices(valid, gives=lambda path: path == "tokenizer.type") == {}, "pieces of words were asked for"


@pytest.mark.parametrize(("marks", "before", "after"), [("begin", [0], []), ("end", [], [1]), ("both", [0], [1])])
def test_marks_stand_around_the_text_and_are_no_part_of_it(marks, before, after):
    made = {kind: make("modalities", "text", options={"tokenizer": "word", "marks": kind}) for kind in ("none", marks)}
    for modality in made.values():
        modality.fit(["a b c"])
    for text in ("c a", "b unknown", ""):
        assert made[marks].encode(text).tolist() == [*before, *made["none"].encode(text).tolist(), *after]
        assert made[marks].decode(made[marks].encode(text)) == made["none"].decode(made["none"].encode(text))
    assert made[marks].labels(made[marks].encode("")) == [{0: "<begin>", 1: "<end>"}[mark] for mark in before + after]
