"""How suggestions are printed."""

from ostinato.cli.suggest_command import _lines


def test_a_probability_is_told_however_small_it_is():
    words = [{"text": "cat", "probability": 0.25}, {"text": "dog", "probability": 1.2345e-9}]
    one = {"text": "the", "words": words, "completions": []}
    assert _lines([one]) == ["0.25\tword\tcat", "1.23e-09\tword\tdog"]
    assert _lines([one, one])[::3] == ["the", "the"]
