"""The modality tags: one label a step, plain or in a scheme of spans."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.errors import ConfigError, DataError
from ostinato.modalities.contract import MISSING, Labels
from ostinato.registry import make

SAME = {
    "iob1": ["I-PER I-PER O I-PER B-PER O I-LOC"],
    "iob2": ["B-PER I-PER O B-PER B-PER O B-LOC"],
    "bioes": ["B-PER E-PER O S-PER S-PER O S-LOC"],
}


def fitted(column, **options):
    tags = make("modalities", "tags", (), options)
    tags.fit(iter(column))
    return tags


@given(st.lists(st.sampled_from(["NOUN", "VERB", "-LRB-", "k'ʷ", None])))
def test_plain_labels_come_back(raw):
    tags = fitted([["VERB", "NOUN", "NOUN", "-LRB-", "k'ʷ"]], missing="_")
    ids = tags.encode(raw)
    assert ids.dtype == np.int32 and ids.shape == (len(raw),)
    assert tags.decode(ids) == raw
    assert tags.parse(tags.write(raw)) == raw
    assert tags.encode(tags.write(raw)).tolist() == ids.tolist()
    assert tags.write(tags.write(raw)) == tags.write(raw), "a text that nobody has split is its own field"


def test_plain_labels_are_numbered_from_the_most_frequent_and_counted():
    tags = fitted(["b a b c", None, ["b", "c", None]])
    assert tags.spec == Labels(3, counts=(3, 2, 1)) and tags.spec.stored == ("int32", ())
    assert tags.encode(["b", "c", "a", None]).tolist() == [0, 1, 2, MISSING]
    assert tags.labels([0, 2, MISSING]) == ["b", "a", "<missing>"]


@pytest.mark.parametrize("scheme", ["iob1", "iob2", "bioes"])
@pytest.mark.parametrize("data", ["iob1", "iob2", "bioes"])
def test_every_scheme_is_read_trained_on_and_given_back(scheme, data):
    tags = fitted(SAME[data], scheme=scheme)
    assert tags.facts()["reads"] == data
    ids = tags.encode(SAME[data][0])
    assert " ".join(tags.labels(ids)) == SAME[scheme][0]
    assert " ".join(tags.decode(ids)) == SAME[data][0]


def test_a_label_has_all_tags_of_its_scheme_and_the_data_count_them():
    tags = fitted(["B-PER I-PER O B-LOC"], scheme="bioes")
    assert tags.labels(range(9)) == "O B-PER I-PER E-PER S-PER B-LOC I-LOC E-LOC S-LOC".split()
    assert tags.spec.counts == (1, 1, 0, 1, 0, 0, 0, 0, 1)
    assert tags.encode("B-LOC I-LOC I-LOC").tolist() == [5, 6, 7]
    rules = tags.spec.legal
    assert rules.starts == (True, True, False, False, True, True, False, False, True)
    assert rules.ends == (True, False, False, True, True, False, False, True, True)
    assert rules.follows[1] == (False, False, True, True, False, False, False, False, False)
    assert fitted(["a b"]).spec.legal is None


def test_what_a_model_says_against_the_scheme_is_read_as_conlleval_reads_it():
    tags = fitted(["B-PER I-PER O B-LOC"], scheme="bioes")
    said = [tags.labels(range(9)).index(tag) for tag in "I-PER E-PER I-LOC O E-PER B-LOC".split()]
    assert tags.decode(said) == "B-PER I-PER B-LOC O B-PER B-LOC".split()


def test_spans_without_a_label_are_read():
    tags = fitted(["B I O B"], scheme="bioes")
    assert tags.labels(tags.encode("B I I O B")) == ["B", "I", "E", "O", "S"]
    assert tags.decode(tags.encode("B I O B")) == ["B", "I", "O", "B"]


@pytest.mark.parametrize(
    ("options", "field", "labels"),
    [
        ({}, "a b  c ", ["a", "b", "c"]),
        ({}, "a _ b", ["a", "_", "b"]),
        ({"missing": "_"}, "a _ b", ["a", None, "b"]),
        ({"separator": ""}, "HHE", ["H", "H", "E"]),
        ({"separator": "", "missing": "-"}, "H-E", ["H", None, "E"]),
        ({"separator": ",", "missing": ""}, "a,,b,", ["a", None, "b", None]),
        ({"separator": ",", "missing": ""}, "", []),
        ({"separator": ","}, "a,,b,", ["a", "b"]),
    ],
)
def test_fields_are_split_and_missing_labels_known(options, field, labels):
    tags = make("modalities", "tags", (), options)
    assert tags.parse(field) == labels
    assert tags.parse(tags.write(labels)) == labels


def test_a_missing_label_in_a_list_is_the_marker_or_null():
    tags = fitted([["H", "E", "_"]], missing="_")
    assert tags.spec.size == 2
    assert tags.encode(["H", "_", None]).tolist()[1:] == [MISSING, MISSING]
    assert tags.take(["H", "_", None]) == ["H", None, None] and tags.take(None) is None
    with pytest.raises(DataError, match="step 2 has no label; set missing"):
        fitted(["a"]).write(["a", None])


def test_missing_tags_stay_where_they_were_and_end_a_span():
    tags = fitted(["B-X I-X _ B-X"], scheme="bioes", missing="_")
    ids = tags.encode("B-X I-X _ B-X")
    assert tags.labels(ids) == ["B-X", "E-X", "<missing>", "S-X"]
    assert tags.decode(ids) == ["B-X", "I-X", None, "B-X"]
    with pytest.raises(DataError, match="step 3: 'I-X' follows 'O'"):
        tags.encode("B-X _ I-X")


def test_an_unknown_label_is_refused_with_the_nearest_or_left_out():
    with pytest.raises(
        DataError, match="step 2: the label 'NUON' .*did you mean 'NOUN'.*allowed here: NOUN, VERB.*unknown: missing"
    ):
        fitted(["NOUN VERB"]).encode("VERB NUON")
    with pytest.raises(DataError, match="step 1: the label 'LOK' .*did you mean 'LOC'.*allowed here: LOC, PER"):
        fitted(["B-LOC B-PER"], scheme="bioes").encode("B-LOK I-LOK")
    assert fitted(["NOUN VERB"], unknown="missing").encode("VERB NUON").tolist() == [1, MISSING]
    kept = fitted(["B-LOC O"], scheme="iob2", unknown="missing")
    assert kept.encode("B-LOC B-ORG I-ORG O").tolist() == [1, MISSING, MISSING, 0]


def test_an_illegal_sequence_is_refused_by_place_unless_read_leniently():
    column = ["B-PER I-PER O", "O I-PER"]
    for tags in (fitted(column, scheme="bioes"), fitted(column[:1], scheme="bioes")):
        with pytest.raises(DataError, match="step 2: 'I-PER' follows 'O', which iob2 does not allow.*lenient: true"):
            tags.encode(column[1])
    lenient = fitted(column, scheme="bioes", lenient=True)
    assert lenient.facts()["reads"] == "iob2"
    assert lenient.decode(lenient.encode(column[1])) == ["O", "B-PER"]


def test_a_scheme_of_the_data_that_is_named_is_demanded():
    assert fitted(["O O"], scheme="bioes", data_scheme="iob1").decode([0, 0]) == ["O", "O"]
    with pytest.raises(DataError, match="step 1: 'B-X' begins the sequence, which iob1 does not allow"):
        fitted(["B-X"], scheme="bioes", data_scheme="iob1").encode("B-X")


def test_fitting_again_finds_the_scheme_again():
    tags = fitted(SAME["iob1"], scheme="bioes")
    tags.fit(SAME["iob2"])
    assert tags.facts()["reads"] == "iob2"


@pytest.mark.parametrize("scheme", ["none", "iob1", "bioes"])
def test_facts_through_json_make_a_fresh_object_behave_alike(scheme):
    before, after = fitted(SAME["iob2"], scheme=scheme), make("modalities", "tags", (), {"scheme": scheme})
    after.restore(json.loads(json.dumps(before.facts())))
    assert after.spec == before.spec and after.facts() == before.facts()
    assert (
        after.decode(after.encode(SAME["iob2"][0]))
        == before.decode(before.encode(SAME["iob2"][0]))
        == SAME["iob2"][0].split()
    )


def test_whole_numbers_and_arrays_are_read_as_labels():
    tags = fitted([[1, 2, 2], np.array([2, 10]), ("1",)])
    assert tags.encode([10, "2"]).tolist() == tags.encode("10 2").tolist()
    assert tags.decode(tags.encode(np.array([1, 10]))) == ["1", "10"]


@pytest.mark.parametrize("raw", [None, 5, {"a": 1}, [1.5], [True], [["a"]]])
def test_what_is_no_list_of_labels_is_a_data_error(raw):
    with pytest.raises(
        DataError, match="a list of labels is needed, not|a label must be a string or a whole number, not"
    ):
        fitted(["a"]).encode(raw)


@pytest.mark.parametrize(
    "column, options", [([["New York", "is"]], {}), ([["a", ""]], {}), ([["ab"]], {"separator": ""})]
)
def test_a_label_that_a_field_could_not_hold_is_refused(column, options):
    with pytest.raises(DataError, match="choose a separator that is in no label|a label is empty"):
        fitted(column, **options)


@pytest.mark.parametrize("column", [[], ["", []], [None], ["_ _"]])
def test_no_label_at_all_is_a_data_error(column):
    with pytest.raises(DataError, match="nothing to learn: .*; check that this is the right column"):
        fitted(column, missing="_")


def test_plain_labels_in_a_scheme_are_refused_with_the_way_out():
    with pytest.raises(DataError, match="'NOUN' is no tag of a scheme.*give scheme: none"):
        fitted(["NOUN VERB"], scheme="bioes")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data_scheme": "iob1"}, "data_scheme: plain labels have no scheme"),
        ({"lenient": True}, "lenient: plain labels have no scheme"),
        ({"missing": "a b"}, "missing: 'a b' cannot be part of a field"),
        ({"missing": "", "separator": ""}, "missing: '' cannot be part of a field .*one character"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        make("modalities", "tags", (), options)


def test_an_empty_list_has_no_steps():
    tags = fitted(["B-X", ""], scheme="bioes")
    for raw in ("", [], ()):
        assert tags.encode(raw).shape == (0,) and tags.encode(raw).dtype == np.int32
    assert tags.decode([]) == [] and tags.write([]) == ""


def test_one_line_of_output_holds_no_tab_and_no_break():
    assert make("modalities", "tags", (), {"separator": ","}).write(["a\tb", "c\nd"]) == "a\\tb,c\\nd"
