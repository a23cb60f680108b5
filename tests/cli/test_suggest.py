"""How suggestions are printed."""

from ostinato.cli.suggest_command import _lines
from ostinato.run.complete import Suggestion
from ostinato.run.predictions import Suggestions


def test_a_probability_is_told_however_small_it_is():
    one = Suggestions("the", [Suggestion("cat", 0.25), Suggestion("dog", 1.2345e-9)], [])
    assert _lines([one]) == ["0.25\tword\tcat", "1.23e-09\tword\tdog"]
    assert _lines([one, one])[::3] == ["the", "the"]
