"""The modality tokens: lists of symbols as they are, fields of text split at the separator."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.errors import DataError
from ostinato.modalities.contract import Symbols
from ostinato.registry import make

SYMBOLS = ["jump", "walk", "AH0", "<s>", "क्ष", "👍🏽", "é", "\0"]


def fitted(column, **options):
    tokens = make("modalities", "tokens", (), options)
    tokens.fit(iter(column))
    return tokens


@given(st.lists(st.sampled_from(SYMBOLS)))
def test_known_symbols_come_back(raw):
    tokens = fitted([SYMBOLS])
    ids = tokens.encode(raw)
    assert ids.dtype == np.int32 and ids.shape == (len(raw),)
    assert tokens.decode([0, *ids, 1]) == raw
    assert tokens.labels(ids) == raw
    assert tokens.parse(tokens.write(raw)) == raw
    assert tokens.encode(tokens.write(raw)).tolist() == ids.tolist()
    assert tokens.write(tokens.write(raw)) == tokens.write(raw), "a text that nobody has split is its own field"


def test_numbers_begin_after_the_special_symbols_the_most_frequent_first():
    tokens = fitted(["b a b c", ["b", "c"]])
    assert tokens.spec == Symbols(size=6, begin=0, end=1, unknown=2)
    assert tokens.encode(["b", "c", "a", "never"]).tolist() == [3, 4, 5, 2]
    assert tokens.decode([0, 3, 2, 1]) == ["b", "\ufffd"]
    assert tokens.labels([0, 1, 2, 3]) == ["<begin>", "<end>", "<unknown>", "b"]


@pytest.mark.parametrize(
    "separator, field, symbols",
    [
        (" ", "a b  c ", ["a", "b", "c"]),
        ("", "AC GT", ["A", "C", " ", "G", "T"]),
        (",", "a,b c,,d", ["a", "b c", "d"]),
        (" | ", "a | b|c | d", ["a", "b|c", "d"]),
        (" ", "", []),
        ("", "", []),
        (",", "", []),
    ],
)
def test_fields_are_split_at_the_separator(separator, field, symbols):
    tokens = make("modalities", "tokens", (), {"separator": separator})
    assert tokens.parse(field) == symbols
    assert tokens.parse(tokens.write(symbols)) == symbols


def test_bases_of_dna_need_no_separator():
    tokens = fitted(["ACGT", "AAC"], separator="")
    assert tokens.spec.size == 7
    assert tokens.write(tokens.decode(tokens.encode("GATTACA"))) == "GATTACA"


def test_an_empty_list_has_no_steps():
    tokens = fitted(["a", ""])
    for raw in ("", [], ()):
        assert tokens.encode(raw).shape == (0,) and tokens.encode(raw).dtype == np.int32
    assert tokens.decode([]) == [] and tokens.decode([0, 1]) == [] and tokens.write([]) == ""


def test_limits_keep_the_most_frequent_and_lower_case_makes_cases_one():
    column = ["a a a B B c"]
    assert fitted(column).facts() == {"symbols": ["a", "B", "c"], "counts": [3, 2, 1]}
    assert fitted(column, size=2).facts() == {"symbols": ["a", "B"], "counts": [3, 2]}
    assert fitted(column, min_count=3).facts() == {"symbols": ["a"], "counts": [3]}
    assert fitted(["a A b", ["B", "B"]], lowercase=True).facts() == {"symbols": ["b", "a"], "counts": [3, 2]}
    assert fitted(["a"], lowercase=True).encode("A a").tolist() == [3, 3]


def test_facts_through_json_make_a_fresh_object_behave_alike():
    before, after = fitted([SYMBOLS]), make("modalities", "tokens")
    after.restore(json.loads(json.dumps(before.facts())))
    assert after.spec == before.spec and after.facts() == before.facts()
    assert after.encode([*SYMBOLS, "new"]).tolist() == before.encode([*SYMBOLS, "new"]).tolist()


def test_counts_are_those_of_training_and_a_run_of_before_has_none():
    tokens = fitted(["b a b", "b"])
    assert tokens.spec.counts == (0, 0, 0, 3, 1)
    tokens.restore({"symbols": ["b", "a"]})
    assert tokens.spec.counts == (0, 0, 0, 0, 0) and tokens.encode("a b").tolist() == [4, 3]


def test_whole_numbers_and_arrays_are_read_as_symbols():
    tokens = fitted([[1, 2, 2], np.array([2, 10]), ("1",)])
    assert tokens.encode([10, "2", np.int64(1).item()]).tolist() == tokens.encode("10 2 1").tolist()
    assert tokens.decode(tokens.encode(np.array([1, 10]))) == ["1", "10"]


@pytest.mark.parametrize("raw", [None, 5, {"a": 1}, [1.5], [True], [None], [["a"]]])
def test_what_is_no_list_of_symbols_is_a_data_error(raw):
    with pytest.raises(
        DataError, match="a list of symbols is needed, not|a symbol must be a string or a whole number, not"
    ):
        fitted(["a"]).encode(raw)


@pytest.mark.parametrize(
    "column, options", [([["a,b", "is"]], {"separator": ","}), ([["a", ""]], {}), ([["ab"]], {"separator": ""})]
)
def test_a_symbol_that_a_field_could_not_hold_is_refused(column, options):
    with pytest.raises(DataError, match="choose a separator that occurs in no symbol|a symbol is empty"):
        fitted(column, **options)
    assert fitted([["New York", "is"]], separator=",").write(["New York", "is"]) == "New York,is"


def test_a_symbol_of_a_list_may_hold_a_space_which_a_field_has_as_a_no_break_one():
    tokens = fitted([["1 000", "ans"]])
    assert tokens.decode(tokens.encode(["ans", "1 000"])) == ["ans", "1 000"]
    assert tokens.write(["1 000", "ans"]) == "1\u00a0000 ans" and tokens.parse("1 000") == ["1", "000"]


def test_one_symbol_is_enough_and_none_is_a_data_error():
    assert fitted(["a a"]).spec.size == 4
    for column in ([], ["", []], [None]):
        with pytest.raises(DataError, match="nothing to learn: .*; check that this is the right column"):
            fitted(column)
    with pytest.raises(DataError, match="lower min_count"):
        fitted(["a b"], min_count=2)


def test_one_line_of_output_holds_no_tab_and_no_break():
    assert make("modalities", "tokens", (), {"separator": ","}).write(["a\tb", "c\nd"]) == "a\\tb,c\\nd"


def test_a_step_with_characters_is_the_symbol_and_its_spelling():
    tokens = fitted(["to Ba to"], characters=True)
    assert tokens.facts() == {
        "symbols": ["to", "Ba"],
        "counts": [2, 1],
        "characters": ["B", "a", "o", "t"],
        "longest": 3,
    }
    assert tokens.spec == Symbols(size=5, begin=0, end=1, unknown=2, characters=6, longest=3)
    encoded = tokens.encode(["Ba", "t", "tax", "new"])
    assert encoded.dtype == np.int32 and encoded.tolist() == [[4, 2, 3, 0], [2, 5, 0, 0], [2, 5, 3, 1], [2, 1, 1, 1]]
    assert tokens.decode(encoded) == ["Ba", "\ufffd", "\ufffd", "\ufffd"] and tokens.labels(encoded)[0] == "Ba"
    assert tokens.decode([0, 4, 1]) == ["Ba"]
    assert tokens.encode([]).shape == (0, 4) == (0, *tokens.spec.stored[1]) and tokens.decode(tokens.encode([])) == []


def test_a_long_spelling_is_cut_and_every_character_of_training_is_known():
    tokens = fitted(["x" * 30 + "y", "z"], characters=True, size=1)
    assert tokens.spec.longest == 20 and tokens.spec.characters == 5
    assert tokens.encode(["x" * 30 + "y"])[0].tolist() == [3, *[2] * 20]
    assert tokens.encode(["zyq"])[0].tolist()[:5] == [2, 4, 3, 1, 0]


def test_lower_case_symbols_keep_the_case_of_their_spelling():
    tokens = fitted(["Ab ab"], characters=True, lowercase=True)
    assert tokens.facts() == {"symbols": ["ab"], "counts": [2], "characters": ["A", "a", "b"], "longest": 3}
    assert tokens.encode("Ab ab").tolist() == [[3, 2, 4, 0], [3, 3, 4, 0]] and tokens.decode(tokens.encode("Ab")) == [
        "ab"
    ]


def test_facts_with_characters_through_json_make_a_fresh_object_behave_alike():
    before, after = fitted([SYMBOLS], characters=True), make("modalities", "tokens", (), {"characters": True})
    after.restore(json.loads(json.dumps(before.facts())))
    assert after.spec == before.spec and after.facts() == before.facts()
    assert after.encode([*SYMBOLS, "new"]).tolist() == before.encode([*SYMBOLS, "new"]).tolist()


def test_places_count_where_all_rows_are_equally_long():
    tokens = make("modalities", "tokens", (), {"separator": ""})
    choices = tokens.choices(["ACG", "CCT"], ["ACT"], lambda _: False, True)
    assert choices["encoder.places"][0] is True
    assert tokens.choices(["ACG", "CC"], ["ACG"], lambda _: False, True) == {}
    assert tokens.choices(["A", "C"], ["A"], lambda _: False, True) == {}, "one step has no place"
