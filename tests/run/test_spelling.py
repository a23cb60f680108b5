"""A language model of words that judges letters: as probable as the words that they spell."""

import itertools
import math

import pytest
import torch

import ostinato
from ostinato import api
from ostinato.decoders.contract import Decoding
from ostinato.distributions.categorical import Categorical
from ostinato.heads.contract import Generator
from ostinato.run.spelling import Spelled

WORDS = ["", "", "", "a", "ab", "b", "ba"]
"""Unknown, begin, end and four words."""
LETTERS = ["", "", "a", "b", " "]
BEGIN, END = 0, 1


class Language(Generator):
    """A bigram of words."""

    begin, end, num_symbols = 1, 2, len(WORDS)

    def __init__(self):
        scores = torch.randn(self.num_symbols, self.num_symbols, generator=torch.Generator().manual_seed(0))
        scores[:, [0, 1]] = -30
        self.table = scores.log_softmax(1)

    def start(self, encoded):
        return Decoding((), torch.arange(3), {"last": torch.zeros(3)})

    def extend(self, steps, state):
        raise NotImplementedError

    def step(self, steps, state):
        return Categorical(self.table[steps.long()]), Decoding((), state.rows, {"last": steps.float()})


def spelled(text):
    """The logarithm of a text's probability, letter by letter, in the middle of three hypotheses."""
    generator = Spelled(Language(), 0, WORDS, LETTERS, BEGIN, END)
    state, total, before = generator.start([]), 0.0, BEGIN
    for letter in [*map(LETTERS.index, text), END]:
        distribution, state = generator.step(torch.tensor([BEGIN, before, 2]), state.reorder(torch.tensor([0, 1, 0])))
        logs = distribution.by_symbol(len(LETTERS))[1]
        assert logs[1:].exp().sum() == pytest.approx(1, abs=1e-4)
        total, before = total + float(logs[letter]), letter
    return total


@pytest.mark.parametrize("text", ["a", "ab", "ba", "a b", "b ba ab"])
def test_letters_are_as_probable_as_the_words_that_they_spell(text):
    table, words = Language().table, [1, *map(WORDS.index, text.split()), 2]
    first = math.log1p(-math.exp(float(table[1, 2])))  # a text has a first word
    expected = sum(float(table[before, after]) for before, after in itertools.pairwise(words)) - first
    assert spelled(text) == pytest.approx(expected, abs=1e-4)


def test_an_unknown_word_costs_its_probability_and_a_choice_for_each_letter():
    generator = Spelled(Language(), 0, WORDS, LETTERS, BEGIN, END)
    state, costs = generator.start([]), []
    for before, letter in itertools.pairwise([BEGIN, 3, 3, 2]):
        distribution, state = generator.step(torch.tensor([before] * 3), state)
        costs.append(float(distribution.by_symbol(len(LETTERS))[0, letter]))
    choice = math.log(len(LETTERS))
    assert costs[1:] == pytest.approx([float(Language().table[1, 0]) - choice, -choice])


def test_words_that_were_learnt_decide_between_letters_that_sound_alike(tmp_path):
    rows = [{"frames": list("xyx"), "letters": text} for text in ("a b", "b b")] * 8
    training = {"epochs": 5, "batch_rows": 10, "optimizer": {"type": "adam", "learning_rate": 0.05}}
    small = {"hidden_size": 4, "embedding_size": 4}
    reader = ostinato.Model(
        inputs={"frames": {"type": "tokens", "encoder": small}},
        outputs={"letters": {"type": "text", "tokenizer": "char", "align": "free", "head": "ctc"}},
        training=training,
    ).fit(rows, rows, device="cpu")
    texts = [{"line": "a b"}, {"line": "a"}] * 10
    options = {"type": "text", "tokenizer": "word", "column": "line"}
    language = ostinato.Model(
        inputs={"line": {**options, "encoder": {**small, "bidirectional": False}}},
        outputs={"rest": {**options, "tokenizer": {"same_as": "line"}, "of": "line", "align": "next"}},
        training=training,
    ).fit(texts, texts, device="cpu", folder=tmp_path / "lm")
    options = {
        "sets": ["search=beam", "search.width=8"],
        "language_model": language.run,
        "language_weight": 2.0,
        "device": "cpu",
    }
    (prediction,) = api.predict(reader.run, rows=[{"frames": list("xyx")}], **options)
    assert prediction.best["letters"].text.startswith("a")
    for text in ("a b", "b b"):
        measured = api.evaluate(reader.run, data=[{"frames": list("xyx"), "letters": text}] * 4, **options)
        right = 100 * (text == prediction.best["letters"].text)
        assert measured.outputs["letters"]["exact_match"].value == right
