"""The modality category: a label per row, several labels at once, labels in an order."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.errors import ConfigError, DataError
from ostinato.modalities.contract import MISSING, Labels
from ostinato.registry import make

LABELS = ["no", "yes", "New York", "<s>", "é", "10", "9", "true"]


def fitted(column, **options):
    category = make("modalities", "category", (), options)
    category.fit(iter(column))
    return category


@given(st.sampled_from(LABELS))
def test_a_known_label_comes_back_and_is_one_step(raw):
    category = fitted(LABELS)
    encoded = category.encode(raw)
    assert encoded.dtype == category.spec.stored[0] and encoded.shape == (1, *category.spec.stored[1])
    assert category.decode(encoded) == raw and category.labels(encoded) == [raw]
    assert category.parse(category.write(raw)) == raw


@given(st.sets(st.sampled_from(LABELS)))
def test_any_number_of_labels_come_back_in_the_order_of_their_numbers(raw):
    category = fitted([LABELS, ["no"]], multilabel=True)
    encoded = category.encode(list(raw))
    assert encoded.dtype == np.float32 and encoded.shape == (1, len(LABELS)) == (1, *category.spec.stored[1])
    assert category.decode(encoded) == sorted(raw)
    assert category.labels(encoded) == [category.write(sorted(raw))]
    assert category.parse(category.write(sorted(raw))) == sorted(raw)


def test_labels_are_numbered_in_sorted_order_and_counted():
    category = fitted(["b", "a", "c", "b", None])
    assert category.spec == Labels(3, counts=(1, 2, 1))
    assert [category.encode(label).tolist() for label in "abc"] == [[0], [1], [2]]
    assert category.decode(np.array([MISSING])) is None and category.labels([MISSING, 2]) == ["<missing>", "c"]


def test_ratings_keep_the_order_that_they_were_given_in():
    category = fitted(["5", 1, "3", 5], ordinal=[5, "3", 2, 1])
    assert category.spec == Labels(4, ordinal=True, counts=(2, 1, 0, 1))
    assert category.encode(2).tolist() == [2] and category.decode([0]) == "5"


def test_numbers_truth_values_and_their_text_are_one_label():
    category = fitted([1, "1", 2.0, True, "true", np.int64(2), np.bool_(False), " 1 "])
    assert category.facts() == {"labels": ["1", "2", "false", "true"], "counts": [3, 2, 1, 2]}
    assert category.decode(category.encode(1.0)) == "1"


def test_fields_are_split_only_where_several_may_stand():
    several = make("modalities", "category", (), {"multilabel": True})
    assert several.parse("a| b ||c") == ["a", "b", "c"] and several.parse("") == []
    one = make("modalities", "category")
    assert one.parse(" a|b ") == "a|b" and one.parse(" ") is None and one.write(None) == ""
    assert make("modalities", "category", (), {"multilabel": True, "separator": "#"}).parse("flight#fare") == [
        "flight",
        "fare",
    ]


def test_several_labels_are_read_from_lists_fields_and_arrays_and_count_once():
    category = fitted(["a|b|a", ["b", 7], np.array(["b"]), [], None], multilabel=True)
    assert category.spec == Labels(3, multilabel=True, counts=(1, 1, 3))
    assert category.encode([]).tolist() == [[0, 0, 0]] and category.encode("b|a").tolist() == [[0, 1, 1]]
    assert category.decode(np.array([[0.4, 0.6, 1.0]])) == ["a", "b"]


def test_one_label_that_some_rows_lack_is_enough_for_several():
    assert fitted([["spam"], []], multilabel=True).spec.size == 1
    with pytest.raises(DataError, match="all 2 rows of the training split have the label 'spam'"):
        fitted([["spam"], ["spam"]], multilabel=True)


def test_facts_through_json_make_a_fresh_object_behave_alike():
    for options in ({}, {"multilabel": True}, {"ordinal": ["yes", "no"]}):
        before, after = fitted(["yes", "no", "no"], **options), make("modalities", "category", (), options)
        after.restore(json.loads(json.dumps(before.facts())))
        assert after.spec == before.spec and after.facts() == before.facts()
        assert after.encode("no").tolist() == before.encode("no").tolist()


def test_an_unknown_label_names_the_nearest_and_the_known_ones():
    with pytest.raises(
        DataError,
        match=r"'yess' was not known in training; did you mean 'yes'\?; known: no, yes; mend the label, .*a trained "
        r"model cannot take it$",
    ):
        fitted(["yes", "no"]).encode("yess")
    with pytest.raises(
        DataError, match=r"'qqq' was not known in training; known: 000, .*, 019, and 30 more; "
    ) as error:
        fitted([f"{number:03}" for number in range(50)]).encode("qqq")
    assert "020" not in str(error.value)
    with pytest.raises(DataError, match="'c' was not known in training"):
        fitted(["a", "b|a"], multilabel=True).encode(["a", "c"])
    with pytest.raises(DataError, match="'6' is not in `ordinal`; allowed here: 1, 2; add it"):
        fitted(["1", "6"], ordinal=["1", "2"])


def test_an_unknown_label_counts_as_missing_where_the_recipe_says_so():
    one = fitted(["yes", "no"], unknown="missing")
    assert one.encode("maybe").tolist() == [MISSING] and one.decode(one.encode("maybe")) is None
    assert fitted(["a", "b|a"], multilabel=True, unknown="missing").encode("a|c").tolist() == [[1, 0]]
    with pytest.raises(DataError, match="a label must be"):
        one.encode(None)


def test_other_rows_may_have_new_labels_where_some_occur_once_or_validation_has_new_ones():
    category = make("modalities", "category", (), {})
    for train, valid, reason in (
        (["a", "b"] * 2, ["b", "a"], "other rows may have new ones"),
        (["a", "a", "b"], [], "1 of 2 labels occur once"),
        (["a"] * 2, ["c"], "such as c"),
    ):
        value, why = category.choices(train, valid, lambda _: False, False)["unknown"]
        assert value == "missing" and reason in why


@pytest.mark.parametrize(
    "raw, message",
    [
        (None, "a missing value"),
        (1.5, "not 1.5; a column of real numbers is a `number`"),
        (float("nan"), "not nan"),
        (["a"], "`multilabel: true` takes lists"),
        ("  ", "a label is empty; leave the cell out"),
    ],
)
def test_what_is_no_label_is_a_data_error(raw, message):
    with pytest.raises(DataError, match=message):
        fitted(["a", "b"]).encode(raw)


@pytest.mark.parametrize("raw", [None, 5, {"a": 1}, [None], [["a"]], ["a", ""]])
def test_what_is_no_list_of_labels_is_a_data_error(raw):
    with pytest.raises(DataError, match="a list of labels is needed|a label must be|a label is empty"):
        fitted(["a|b", "a"], multilabel=True).encode(raw)


def test_nothing_to_tell_apart_is_a_data_error():
    for column in (["a", "a", None], ["a"]):
        with pytest.raises(
            DataError, match="have the label 'a', so there is nothing to tell apart; check that this is the right"
        ):
            fitted(column)
    with pytest.raises(DataError, match="all 1 rows"):
        fitted([3], ordinal=[1, 2, 3])
    for column, options in (([], {}), ([None], {}), ([[], []], {"multilabel": True})):
        with pytest.raises(DataError, match="nothing to learn: no row of the training split has a label"):
            fitted(column, **options)


def test_a_label_that_a_field_could_not_hold_is_refused():
    with pytest.raises(DataError, match=r"the label 'a\|b' holds separator: '\|' .*; choose a separator"):
        fitted([["a|b"], ["c"]], multilabel=True)
    assert fitted(["a|b", "c"]).decode([0]) == "a|b"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"ordinal": ["a", "b"], "multilabel": True}, "ordinal: labels in an order exclude each other"),
        ({"ordinal": ["a"]}, "ordinal: needs at least two labels"),
        ({"ordinal": []}, "ordinal: needs at least two labels, .* not none"),
        ({"ordinal": [1, 2, "1"]}, "ordinal: needs at least two labels, each once, .* not 1, 2, 1"),
        ({"separator": " ", "multilabel": True}, "separator: ' ' is blank"),
        ({"separator": "", "multilabel": True}, "separator: '' is blank"),
        ({"separator": "#"}, "separator: '#' splits a field into several labels; set `multilabel: true`"),
    ],
)
def test_settings_that_cannot_be_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        make("modalities", "category", (), options)
