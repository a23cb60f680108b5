"""The measures of generated tunes, on tunes whose values are known."""

import math

import pytest

from tests.scripts import script

HEAD = "X:1\nM:2/4\nL:1/8\nK:G\n"


@pytest.fixture(scope="module")
def tunes():
    return script("benchmarks/tunes.py")


def test_pitches_follow_key_and_signs_to_the_end_of_the_bar(tunes):
    notes = tunes.notes_of(f"{HEAD}F=FF^c|Fc,c'2")
    assert [pitch for pitch, _ in notes] == [6, 5, 5, 13, 6, 0, 24]
    assert tunes.signature("Bb") == {"B": -1, "E": -1} and tunes.signature("Em") == {"F": 1}


def test_runs_that_occur_in_training_are_counted_and_the_longest_is_followed(tunes):
    line = "ABcdefgaABcdefgaagfedcBA"
    assert tunes.copied([HEAD + line], [HEAD + line]) == ([[True] * 9], 24)
    known, longest = tunes.copied([HEAD + line[:18] + "zGGGGGG"], [HEAD + "E" + line])
    assert (sum(known[0]), longest) == (3, 18)
    assert tunes.copied([HEAD + line], [HEAD + "C" * 24]) == ([[False] * 9], 0)


def test_distances_ngrams_and_their_intervals(tunes):
    assert tunes.away(["aabb"], "ab")["value"] == 0 and tunes.away(["aab"], "cc")["value"] == 100
    part = tunes.away(["ab", "ab", "bb"], "bc")
    assert part["value"] == 50 and part["low"] == part["high"] == 50
    mixed = tunes.share([0, 1, 0, 1], [1, 1, 1, 1], beyond=0.25)
    assert mixed["value"] == 0.25 and -0.25 <= mixed["low"] < 0.25 < mixed["high"] <= 0.75
    (alone,) = tunes.ngram_bits(["ab"], ["ab"], order=0)
    shares = (1 + 3 / 128) / 6
    assert math.isclose(alone, -3 * math.log2(shares))
    assert tunes.ngram_bits(["abab"], ["abababab"], order=2) < tunes.ngram_bits(["abab"], ["abababab"], order=0)


def test_tunes_are_accepted_where_the_parser_has_no_message(tunes):
    pytest.importorskip("symusic")
    assert tunes.accepted([f"{HEAD}ABcd|]", f"{HEAD}AB@d|]", "M:2/4\nABcd"]) == [True, False, False]


def test_midi_is_measured_as_its_notes(tunes):
    pytest.importorskip("symusic")
    pytest.importorskip("miditok")
    from ostinato.modalities._notes import score_of_abc

    content = score_of_abc(f"{HEAD}ABcd efga|]").dumps_midi()
    assert [pitch for pitch, _ in tunes.notes_of(content)][:3] == [69, 71, 72]
    report = tunes.measures([content, content], [content], 1.0)
    assert report["accepted"]["value"] == 100 and report["pitches"]["value"] == 0 and "bars" not in report
    assert tunes.accepted([content[:30]]) == [False] and tunes.notes_of(content[:30]) == []
