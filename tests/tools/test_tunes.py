"""The measures of generated tunes, on tunes whose values are known."""

import importlib.util
import math
from pathlib import Path

import pytest

HEAD = "X:1\nM:2/4\nL:1/8\nK:G\n"


@pytest.fixture(scope="module")
def tunes():
    spec = importlib.util.spec_from_file_location(
        "tunes_benchmark", Path(__file__).resolve().parents[2] / "benchmarks" / "tunes.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pitches_follow_key_and_signs_to_the_end_of_the_bar(tunes):
    notes = tunes.notes_of(f"{HEAD}F=FF^c|Fc,c'2")
    assert [pitch for pitch, _ in notes] == [6, 5, 5, 13, 6, 0, 24]
    assert tunes.signature("Bb") == {"B": -1, "E": -1} and tunes.signature("Em") == {"F": 1}


def test_runs_that_occur_in_training_are_counted_and_the_longest_is_followed(tunes):
    line = "ABcdefgaABcdefgaagfedcBA"
    assert tunes.copied([HEAD + line], [HEAD + line]) == (1.0, 24)
    share, longest = tunes.copied([HEAD + line[:18] + "zGGGGGG"], [HEAD + "E" + line])
    assert (round(share * 9), longest) == (3, 18)
    assert tunes.copied([HEAD + line], [HEAD + "C" * 24]) == (0.0, 0)


def test_distances_and_ngrams(tunes):
    assert tunes.distance("aabb", "ab") == 0 and tunes.distance("aab", "cc") == 1
    assert tunes.distance("ab", "bc") == 0.5
    alone = tunes.ngram_bits(["ab"], ["ab"], order=0)
    shares = (1 + 3 / 128) / 6
    assert math.isclose(alone, -3 * math.log2(shares) / 2)
    assert tunes.ngram_bits(["abab"], ["abababab"], order=2) < tunes.ngram_bits(["abab"], ["abababab"], order=0)


def test_tunes_are_accepted_where_the_parser_has_no_message(tunes):
    pytest.importorskip("symusic")
    assert tunes.accepted([f"{HEAD}ABcd|]", f"{HEAD}AB@d|]", "M:2/4\nABcd"]) == 1 / 3
