"""The encoder of n-grams: its features are scikit-learn's, and what it knows is counted."""

import math

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from ostinato.data.cache import encode_values, to_steps
from ostinato.encoders import ngrams as module
from ostinato.encoders._keys import UNUSED
from ostinato.encoders.ngrams import Ngrams
from ostinato.errors import ConfigError
from ostinato.modalities.contract import Symbols
from ostinato.modalities.text import Text
from ostinato.registry import settings_class
from ostinato.steps import Layout, Steps

TEXTS = ["the cat sat on the mat", "a cat, a dog", "Łódź", "the the the", "", "on a mat"]


def read(texts, tokenizer="char", learnt=TEXTS):
    text = Text(tokenizer=settings_class("tokenizers", tokenizer)(), lowercase=True)
    text.fit(learnt)
    return text.spec, to_steps(*encode_values(text, texts))


def counted(spec, steps, **options):
    encoder = Ngrams(spec, **{"size": 3, "features": 500, "min_count": 1, **options})
    encoder.count([steps])
    return encoder


def by_row(bag, rows):
    return [sorted(bag.weights[bag.rows == row].tolist()) for row in range(rows)]


def known(encoder):
    return int((encoder.keys != UNUSED).sum())


@pytest.mark.parametrize("tokenizer", ["char", "byte"])
@pytest.mark.parametrize("texts", [TEXTS, ["the cat unseen", "zzz a mat"]])
def test_features_are_those_of_scikit_learn(tokenizer, texts):
    if tokenizer == "byte":  # of bytes n-grams are others where letters have several
        texts = [text for text in texts if text.isascii()]
    learnt = [text for text in TEXTS if tokenizer == "char" or text.isascii()]
    spec, steps = read(learnt, tokenizer)
    encoder = counted(spec, steps)
    vectorizers = [
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+"),
        TfidfVectorizer(analyzer="char", ngram_range=(1, 4), sublinear_tf=True),
    ]
    expected = [vectorizer.fit(learnt).transform(texts).toarray() for vectorizer in vectorizers]
    found = by_row(encoder.bag(read(texts, tokenizer)[1]), len(texts))
    for row, text in enumerate(texts):
        weights = np.concatenate([matrix[row][matrix[row] > 0] for matrix in expected])
        np.testing.assert_allclose(found[row], sorted(weights), rtol=1e-5, err_msg=text)


def test_the_order_of_symbols_counts_and_rows_are_apart():
    spec = Symbols(9, 0, 1, 2)
    steps = Steps(torch.tensor([3, 4, 4, 3, 3, 4]), Layout([2, 2, 2]))
    bag = counted(spec, steps, shortest=2, longest=2).bag(steps)
    first, second, third = (bag.numbers[bag.rows == row].tolist() for row in range(3))
    assert first == third != second and len(first) == 1


def test_places_tell_equal_ngrams_apart_and_begin_anew_in_each_row():
    spec = Symbols(9, 0, 1, 2)
    steps = Steps(torch.tensor([3, 4, 4, 3, 3, 4]), Layout([2, 2, 2]))
    encoder = counted(spec, steps, shortest=1, longest=1, places=True)
    assert known(encoder) == 2 + 4, "two symbols anywhere, and each at two places"
    bag = encoder.bag(steps)
    first, second, third = (sorted(bag.numbers[bag.rows == row].tolist()) for row in range(3))
    assert first == third and len(set(first) & set(second)) == 2
    alone = encoder.bag(Steps(torch.tensor([4, 3]), Layout([2])))
    assert sorted(alone.numbers.tolist()) == second


def test_the_ngrams_of_most_rows_are_known():
    spec = Symbols(9, 0, 1, 2)
    steps = Steps(torch.tensor([3, 4, 3, 5, 3, 4, 6, 6, 6]), Layout([2, 2, 2, 3]))
    options = {"shortest": 1, "longest": 1}
    assert known(counted(spec, steps, **options)) == 4
    assert known(counted(spec, steps, min_count=2, **options)) == 2, "6 occurs often, but in one row"
    encoder = counted(spec, steps, features=1, **options)
    bag = encoder.bag(steps)
    assert bag.rows.tolist() == [0, 1, 2] and encoder.idf.tolist() == pytest.approx([1 + math.log(5 / 4)])


def test_counting_and_reading_in_pieces_change_nothing(monkeypatch):
    spec, steps = read(TEXTS)
    whole = counted(spec, steps)
    monkeypatch.setattr(module, "PIECE", 7)
    other = counted(spec, steps)
    assert torch.equal(whole.keys, other.keys) and torch.equal(whole.idf, other.idf)
    monkeypatch.undo()
    expected = by_row(whole.bag(steps), len(TEXTS))
    monkeypatch.setattr(module, "PIECE", 7)
    assert by_row(whole.bag(steps), len(TEXTS)) == expected


def test_keys_of_different_ngrams_differ():
    texts = ["".join(chr(97 + number % 26) for number in (k, k // 3, k // 7, k * k)) for k in range(2000)]
    ngrams = {row[at : at + n] for row in texts for n in range(1, 5) for at in range(len(row) - n + 1)}
    encoder = counted(*read(texts, learnt=texts), features=20_000)
    assert known(encoder) == len(ngrams) + len(set(texts)) > 2500


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="shortest: 4 is above longest: 3"):
        Ngrams(Symbols(9, 0, 1, 2), shortest=4)
    with pytest.raises(ConfigError, match="steps of this input are no characters; set words: 0, or tokenizer: char"):
        Ngrams(Symbols(9, 0, 1, 2), words=2)


@pytest.mark.parametrize("tokenizer, options", [("char", {}), ("char", {"places": True}), ("word", {"longest": 3})])
def test_what_steps_add_sums_to_the_summary(monkeypatch, tokenizer, options):
    monkeypatch.setattr(module, "PIECE", 12)
    spec, steps = read([*TEXTS, ""], tokenizer)
    encoder = counted(spec, steps, size=3, **options)
    own = encoder.by_step(steps)
    sums = torch.zeros(len(steps.layout), 3).index_add(0, steps.layout.rows, own) + encoder.bias
    assert torch.allclose(sums, encoder.encode(steps).summary, atol=1e-5)


def test_an_ngram_is_shared_by_its_occurrences_and_each_by_its_steps():
    """Of `aab`: a occurs twice, b, aa and ab once."""
    steps = Steps(torch.tensor([1, 1, 2]), Layout([3]))
    encoder = counted(Symbols(5, 3, 4, 0), steps, size=1, longest=2)
    with torch.no_grad():
        encoder.table.fill_(1)
    once = 1 / math.sqrt(3 + (1 + math.log(2)) ** 2)
    twice = (1 + math.log(2)) * once
    expected = [twice / 2 + once / 2, twice / 2 + once / 2 + once / 2, once + once / 2]
    assert encoder.by_step(steps).squeeze(1).tolist() == pytest.approx(expected, abs=1e-6)
