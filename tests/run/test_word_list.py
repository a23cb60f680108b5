"""Answers of listed words: the likeliest text of words of the list, whatever the search, and nothing else."""

import itertools

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import ostinato
from ostinato import api
from ostinato.cli.main import group
from ostinato.decoders.contract import Decoding
from ostinato.distributions.categorical import Categorical
from ostinato.errors import ConfigError, DataError
from ostinato.heads.contract import Generator
from ostinato.model.legal import Legal
from ostinato.registry import make
from ostinato.run.word_list import Words
from ostinato.verbs import answering

LETTERS = ["", "", "", "a", "b", " ", "ab"]
"""Unknown, begin, end, letters, a blank, and a piece of two letters."""
BEGIN, END = 1, 2


class Bigram(Generator):
    begin, end, num_symbols = BEGIN, END, len(LETTERS)

    def __init__(self, seed):
        scores = torch.randn(self.num_symbols, self.num_symbols, generator=torch.Generator().manual_seed(seed))
        self.table = (2 * scores).log_softmax(1)

    def start(self, encoded):
        return Decoding((), torch.arange(1), {"last": torch.zeros(1)})

    def extend(self, steps, state):
        raise NotImplementedError

    def step(self, steps, state):
        return Categorical(self.table[steps.long()], normalized=True), Decoding((), state.rows, {"last": steps.float()})


def likeliest(table, words, longest):
    """Of all answers of so many symbols at most that hold words of the list alone, the symbols of the likeliest."""
    best = (-np.inf, ())
    for length in range(longest + 1):
        for symbols in itertools.product([3, 4, 5, 6], repeat=length):
            text = "".join(LETTERS[symbol] for symbol in symbols)
            if set(text.split()) <= words:
                path = [BEGIN, *symbols, END]
                score = sum(float(table[one, other]) for one, other in itertools.pairwise(path))
                best = max(best, (score, symbols))
    return best


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("words", [{"ab", "abb"}, {"ba", "a"}, {"bab"}])
def test_a_wide_beam_finds_the_likeliest_answer_of_listed_words(seed, words):
    generator = Bigram(seed)
    listed = Legal(generator, Words(LETTERS, words, END, False), divided=False)
    search = make("searches", "beam", options={"width": 200, "normalization": "none", "max_length": 4})
    state, most, seeds = listed.start([]), torch.tensor([4]), torch.zeros(1, dtype=torch.int64)
    ((found,),) = search.search(listed, state, most, seeds, attention=False)
    score, symbols = likeliest(generator.table, words, 4)
    assert tuple(found.symbols) == symbols and found.log_probability == pytest.approx(score, abs=1e-4)


def test_words_that_are_symbols_are_allowed_by_name():
    words = ["", "", "", "one", "two", "three"]
    grammar = Words(words, ["two", "four"], END, True)
    assert grammar.allowed(grammar.start()).tolist() == [False, False, True, False, True, False]
    assert grammar.advance(grammar.start(), 4) == grammar.start()


@pytest.mark.parametrize(
    ("texts", "apart", "unspelt"),
    [
        (LETTERS, False, ["abc", "c"]),
        (["", " a", "ab", "b "], False, ["abc", "ba", "c"]),
        (["", "ab", "ba"], True, ["aab", "abc", "c"]),
    ],
)
def test_words_that_no_symbols_spell_are_known(texts, apart, unspelt):
    assert Words(texts, ["ab", "ba", "aab", "abc", "c"], END, apart).unspelt() == unspelt


DIGITS = ["one", "two", "six", "ten"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Letters by CTC from frames that say each letter, so noisy that words come out wrong."""
    draw = np.random.default_rng(0)
    letters = sorted(set("".join(DIGITS)) | {" "})

    def row():
        said = " ".join(draw.choice(DIGITS, 2))
        frames = np.repeat(np.eye(len(letters))[[letters.index(letter) for letter in said]], 3, 0)
        return {"x": frames + draw.normal(0, 0.45, frames.shape), "y": said}

    rows = [row() for _ in range(120)]
    model = ostinato.Model(
        {"x": {"type": "series", "encoder": {"hidden_size": 16, "embedding_size": 8}}},
        {"y": {"type": "text", "tokenizer": "char", "align": "free", "head": "ctc"}},
        training={"epochs": 20, "batch_rows": 10, "optimizer": {"type": "adam", "learning_rate": 0.01}},
    )
    folder = tmp_path_factory.mktemp("listed") / "run"
    model.fit(rows[:80], rows[80:100], device="cpu", folder=folder)
    return api.loaded_runs(folder, "cpu")[0], rows[100:]


@pytest.mark.parametrize("search", ["greedy", "beam", "sample"])
def test_answers_hold_listed_words_whatever_the_search(run, tmp_path, search):
    (tmp_path / "words.txt").write_text("six\nten two")
    answers = api.predict(run[0], rows=run[1], sets=[f"search={search}"], words=tmp_path / "words.txt", device="cpu")
    said = [answer.best["y"].text for answer in answers]
    assert set(" ".join(said).split()) == {"six", "ten", "two"}
    plain = [answer.best["y"].text for answer in api.predict(run[0], rows=run[1], device="cpu")]
    assert not set(" ".join(plain).split()) <= {"six", "ten", "two"}


def test_a_list_makes_more_answers_right(run, tmp_path):
    (tmp_path / "words.txt").write_text("\n".join(DIGITS))

    def right(**options):
        report = api.evaluate(run[0], data=run[1], sets=["search=beam"], device="cpu", **options)
        return report.outputs["y"]["exact_match"].value

    assert right(words=tmp_path / "words.txt") > right()


def test_the_advice_about_words_is_followed(run, tmp_path):
    def asked(text):
        (tmp_path / "words.txt").write_text(text, encoding="utf-8")
        return list(api.predict(run[0], rows=run[1][:2], words=tmp_path / "words.txt", device="cpu"))

    with pytest.raises(
        DataError, match="--words: .*none.txt cannot be read .*; give a text file in UTF-8, a word a li"
    ):
        list(api.predict(run[0], rows=run[1][:2], words=tmp_path / "none.txt", device="cpu"))
    with pytest.raises(DataError, match="--words: .*words.txt holds no word; write one a line"):
        asked(" \n")
    with pytest.raises(ConfigError, match="spell none of the 2 words of .*; give the words as the answers have them"):
        asked("ZWEI\nDREI")
    assert asked("two\nsix")


def test_the_advice_about_listed_words_that_cannot_be_spelt_is_told_once(run, tmp_path):
    told = []
    (tmp_path / "words.txt").write_text("two six zwei sieben", encoding="utf-8")
    known = answering.predict(run[0], rows=run[1][:2], words=tmp_path / "words.txt", device="cpu", say=told.append)
    assert len(list(known)) == 2
    (note,) = [note for note in told if "--words" in note]
    assert note.startswith("note: --words: 2 of 4 words of ")
    assert note.endswith("are never answered, since the output's symbols cannot spell them: 'sieben', 'zwei'")


def test_the_advice_where_nothing_is_generated_is_followed(tmp_path):
    (tmp_path / "words.txt").write_text("yes no")
    (tmp_path / "rows.tsv").write_text("x\ty\n" + "".join(f"{'ab'[at % 2]} c\t{'ny'[at % 2]}\n" for at in range(40)))
    (tmp_path / "texts.txt").write_text("ab cd ef.\n" * 60)

    def asked(*words):
        result = CliRunner().invoke(group, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code == 0, result.output

    short = ["--set", "training.epochs=1", "--run"]
    asked("train", tmp_path / "rows.tsv", "--in", "x:text", "--out", "y:category", *short, tmp_path / "labels")
    asked("train", tmp_path / "texts.txt", *short, tmp_path / "texts")
    for run, option, given, message in (
        (
            "labels",
            "--words",
            "words.txt",
            "--words: keeps generated texts .* this output is none; leave it out",
        ),
        ("texts", "--words", "words.txt", "--words: an answer that continues a text may .*; leave it out"),
        ("labels", "--language-model", "texts", "--language-model: judges the symbols of a text, .*; leave it out"),
    ):
        with pytest.raises(ConfigError, match=message):
            asked("predict", tmp_path / run, "a c", option, tmp_path / given)
        asked("predict", tmp_path / run, "a c")
