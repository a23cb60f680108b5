"""The encoder of local features: what it counts of each step is what its docstring lists."""

import itertools

import pytest
import torch

from ostinato.data.cache import encode_values, to_steps
from ostinato.encoders.local_features import LocalFeatures
from ostinato.errors import ConfigError
from ostinato.modalities.contract import Symbols
from ostinato.modalities.tokens import Tokens
from ostinato.steps import Layout, Steps

SENTENCES = [
    ["The", "dogs", "of", "Paris", "bark", "24.12", "times"],
    [],
    ["A", "dog", "barks"],
    ["the", "McDonald", "dogs", "dog", "dogs"],
]


def read(sentences):
    tokens = Tokens(characters=True)
    tokens.fit(SENTENCES)
    return tokens.spec, to_steps(*encode_values(tokens, sentences))


def form(word):
    kinds = ["X" if c.isupper() else "x" if c.isalpha() else "9" if c.isdigit() else c for c in word]
    return "".join(kind for kind, _ in itertools.groupby(kinds))


def features(words, at, window, affixes):
    def beside(by, what):
        return what(words[at + by]) if 0 <= at + by < len(words) else "<border>"

    word = words[at]
    yield "word", 0, word
    for by in range(-window, window + 1):
        if by:
            yield "word", by, beside(by, str)
    if affixes:
        yield "form", 0, form(word)
        for by in (-1, 1) if window else ():
            yield "form", by, beside(by, form)
            yield "ending beside", by, beside(by, lambda other: other[-3:])
        for length in range(1, affixes + 1):
            if len(word) > length:
                yield "ending", length, word[-length:]
                yield "beginning", length, word[:length]


@pytest.mark.parametrize(("window", "affixes"), [(2, 4), (0, 0), (0, 2), (3, 0), (1, 5)])
@pytest.mark.parametrize("sentences", [SENTENCES, [["Paris", "dogs"], ["nose", "dog"], []]])
def test_features_are_those_that_the_docstring_lists(window, affixes, sentences):
    spec, steps = read(SENTENCES)
    encoder = LocalFeatures(spec, size=3, features=900, window=window, affixes=affixes)
    encoder.count([steps])
    known = {f for words in SENTENCES for at in range(len(words)) for f in features(words, at, window, affixes)}
    bag = encoder.bag(read(sentences)[1])
    numbers = [sorted(bag.numbers[bag.rows == row].tolist()) for row in range(sum(map(len, sentences)))]
    names, pairs = {}, [(words, at) for words in sentences for at in range(len(words))]
    for (words, at), found in zip(pairs, numbers, strict=True):
        mine = {f for f in features(words, at, window, affixes) if f in known}
        assert len(mine) == len(found), (words[at], mine)
        names.setdefault(frozenset(mine), set()).add(tuple(found))
    # The same features are the same numbers, and others are others.
    assert all(len(found) == 1 for found in names.values())
    for (mine, found), (others, theirs) in itertools.combinations(names.items(), 2):
        assert len(mine & others) == len(set(*found) & set(*theirs))


def test_features_of_few_training_rows_can_be_left_out():
    spec, steps = read(SENTENCES)
    encoder = LocalFeatures(spec, size=3, features=900, min_count=2, window=0, affixes=0)
    encoder.count([steps])
    rows = encoder.bag(steps).rows.tolist()
    words = [word for words in SENTENCES for word in words]
    assert [words[row] for row in rows] == ["dogs", "dog", "dogs", "dog", "dogs"]


def test_codes_are_read_in_a_wider_window_and_have_no_affixes():
    spec = Symbols(9, 0, 1, 2)
    encoder = LocalFeatures(spec, size=2)
    assert (encoder.window, encoder.affixes, encoder.look_ahead) == (7, 0, 7)
    steps = Steps(torch.tensor([3, 4, 5]), Layout([2, 1]))
    encoder.count([steps])
    bag = encoder.bag(steps)
    assert [int((bag.rows == row).sum()) for row in range(3)] == [15, 15, 15]
    with pytest.raises(
        ConfigError,
        match="affixes: the steps of this input come without characters; set characters: true there, or leave",
    ):
        LocalFeatures(spec, affixes=2)
