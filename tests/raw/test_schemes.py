"""Schemes of tags: spans by conlleval's definition, the way back, what is legal, and which scheme a column is in."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.errors import DataError
from ostinato.raw import schemes
from ostinato.raw.schemes import Span

SCHEMES = ("iob1", "iob2", "bioes")
WORDS = "Alex Smith met Kim Lee in Rome".split()
SAME = {
    "iob1": "I-PER I-PER O I-PER B-PER O I-LOC",
    "iob2": "B-PER I-PER O B-PER B-PER O B-LOC",
    "bioes": "B-PER E-PER O S-PER S-PER O S-LOC",
}
SPANS = [("PER", 0, 2), ("PER", 3, 4), ("PER", 4, 5), ("LOC", 6, 7)]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_three_ways_to_write_the_same_spans(scheme):
    tags = SAME[scheme].split()
    assert schemes.spans(tags) == SPANS
    assert schemes.tags_of([Span(*one) for one in SPANS], len(WORDS), scheme) == tags
    assert schemes.fault(tags, scheme) is None
    assert [schemes.fault(tags, other) is None for other in SCHEMES if other != scheme] == [False, False]


@st.composite
def some_spans(draw):
    """Spans in order that do not overlap, and the length of their sequence."""
    found, at = [], 0
    for gap, size, label in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(["PER", "LOC", "a-b"])))
    ):
        found.append(Span(label, at + gap, at + gap + size))
        at += gap + size
    return found, at + draw(st.integers(0, 2))


@given(some_spans(), st.sampled_from(SCHEMES))
def test_spans_come_back_from_every_scheme(drawn, scheme):
    found, length = drawn
    tags = schemes.tags_of(found, length, scheme)
    assert len(tags) == length and schemes.fault(tags, scheme) is None
    assert schemes.spans(tags) == found


@pytest.mark.parametrize("scheme", SCHEMES)
def test_legal_is_what_spans_can_make_and_nothing_else(scheme):
    """Oracle: of all sequences of four tags the legal ones are those that some set of spans is written as."""
    vocabulary = schemes.vocabulary(["X", "Y"], scheme)
    rules = schemes.legal(vocabulary, scheme)
    for tags in itertools.product(range(len(vocabulary)), repeat=3 if scheme == "bioes" else 4):
        by_table = (
            rules.starts[tags[0]]
            and rules.ends[tags[-1]]
            and all(rules.follows[a][b] for a, b in itertools.pairwise(tags))
        )
        words = [vocabulary[one] for one in tags]
        by_spans = schemes.tags_of(schemes.spans(words), len(words), scheme) == words
        assert by_table == by_spans == (schemes.fault(words, scheme) is None), words


def conlleval(tags):
    """conlleval's own two questions, as its Perl source asks them with S- added, in its order; an oracle for
    `spans`."""
    found, start = [], None
    before, kind_before = "O", ""
    for step, tag in enumerate([*tags, "O"]):
        here, _, kind = tag.partition("-")
        ends = before in "ES" and before != "O"
        ends |= (before, here) in {("B", "B"), ("B", "O"), ("B", "S"), ("I", "B"), ("I", "O"), ("I", "S")}
        ends |= before != "O" and kind_before != kind
        starts = here in ("B", "S") or (here in ("I", "E") and before in ("O", "E", "S"))
        starts |= here != "O" and kind_before != kind
        if ends and start is not None:
            found.append((kind_before, start, step))
            start = None
        if starts:
            start = step
        before, kind_before = here, kind
    return found


def test_any_sequence_at_all_has_conllevals_spans():
    tags = ["O", *(f"{prefix}-{label}" for prefix in "BIES" for label in "XY")]
    for sequence in itertools.product(tags, repeat=4):
        assert schemes.spans(sequence) == conlleval(sequence), sequence


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        # seqeval's tests of get_entities (last step included there).
        ("O O O B-MISC I-MISC I-MISC O B-PER I-PER", [("MISC", 3, 6), ("PER", 7, 9)]),
        # conlleval: I- after O, at the start, or after another label begins a span.
        ("I-PER O I-LOC I-PER", [("PER", 0, 1), ("LOC", 2, 3), ("PER", 3, 4)]),
        ("B-PER I-LOC", [("PER", 0, 1), ("LOC", 1, 2)]),
        ("B-X B-X I-X", [("X", 0, 1), ("X", 1, 3)]),
        ("E-X E-X", [("X", 0, 1), ("X", 1, 2)]),
        ("B-X I-X S-X I-X", [("X", 0, 2), ("X", 2, 3), ("X", 3, 4)]),
        ("B I O B", [("", 0, 2), ("", 3, 4)]),
        ("B-creative-work I-creative-work", [("creative-work", 0, 2)]),
        ("", []),
    ],
)
def test_spans_by_hand(tags, expected):
    assert schemes.spans(tags.split()) == expected


def test_a_step_without_a_tag_ends_a_span():
    assert schemes.spans(["B-X", None, "I-X"]) == [("X", 0, 1), ("X", 2, 3)]
    assert schemes.fault(["B-X", None, "I-X"], "iob2").step == 2


@pytest.mark.parametrize(
    ("tags", "scheme", "step", "reason"),
    [
        ("O I-PER", "iob2", 1, "'I-PER' follows 'O'"),
        ("B-PER I-LOC", "iob2", 1, "'I-LOC' follows 'B-PER'"),
        ("I-PER", "iob2", 0, "'I-PER' begins the sequence"),
        ("I-PER O B-PER", "iob1", 2, "'B-PER' follows 'O'"),
        ("B-PER O", "bioes", 1, "'O' follows 'B-PER'"),
        ("O S-PER B-PER I-PER", "bioes", 3, "'I-PER' ends the sequence"),
        ("E-PER", "bioes", 0, "'E-PER' begins the sequence"),
        ("S-PER E-PER", "bioes", 1, "'E-PER' follows 'S-PER'"),
        ("O S-PER", "iob2", 1, "'S-PER' is no tag of iob2"),
    ],
)
def test_a_fault_names_its_place_and_the_tags(tags, scheme, step, reason):
    found = schemes.fault(tags.split(), scheme)
    assert found.step == step and found.reason.startswith(reason) and scheme in found.reason


@pytest.mark.parametrize("tag", ["NOUN", "B-", "X-PER", "BPER", "O-PER", "", "b-PER"])
def test_what_is_no_tag_of_any_scheme_is_refused(tag):
    with pytest.raises(DataError, match="step 2: .* is no tag of a scheme; .*give scheme: none"):
        schemes.spans(["O", tag])


def found(column):
    detector = schemes.Detector()
    for tags in column:
        detector.add(tags)
    return detector.scheme()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_scheme_of_a_column_is_found(scheme):
    assert found([["O"], SAME[scheme].split(), []]) == scheme


def test_a_column_without_spans_is_iob2_and_one_that_fits_nothing_has_the_scheme_with_the_fewest_faults():
    assert found([["O", "O"], []]) == "iob2"
    assert found([SAME["iob2"].split()] * 3 + [["O", "O", "I-PER"], ["I-PER"]]) == "iob2"


@pytest.mark.parametrize("tags", ["B-PER I-PER L-PER O U-LOC", "B-PER M-PER E-PER O S-LOC"])
def test_bilou_and_bmes_are_read_as_bioes(tags):
    detector = schemes.Detector()
    detector.add(tags.split())
    assert detector.scheme() == "bioes" and schemes.fault(tags.split(), "bioes") is None
    assert schemes.spans(tags.split()) == [schemes.Span("PER", 0, 3), schemes.Span("LOC", 4, 5)]
