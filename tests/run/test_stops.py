"""Texts that end an answer: every search finds in the language that stops what brute force finds, and what is cut is
exact."""

import itertools
import math

import pytest
import torch

from ostinato import registry
from ostinato.errors import ConfigError
from ostinato.registry import make
from ostinato.run.stops import Stops
from ostinato.testing import searches as laws

TEXTS = ["ab ab, cab. b", "é a\nb END b"]


def text(tokenizer, texts=TEXTS, **options):
    made = make("modalities", "text", (), {"tokenizer": tokenizer, **options})
    made.fit(texts)
    return made


class Letters:
    """Symbols 2, 3, 4 ... of a `TableGenerator` are the letters a, b, c ..., as far as stops ask a modality."""

    def parse(self, field):
        return field

    def encode(self, said):
        return [ord(letter) - 95 for letter in said]

    def decode(self, symbols):
        return "".join(chr(symbol + 95) for symbol in symbols if symbol > 1)


def stopped_answers(generator, example, longest, stops):
    """Every answer of the language that stops, the best first: log p of its symbols, and of the end where no stop is in
    it."""
    answers = []
    for length in range(longest + 1):
        for said in itertools.product(range(2, generator.num_symbols), repeat=length):
            letters = Letters().decode(said)
            if any(stop in letters[:-1] for stop in stops):
                continue
            stopped = any(stop in letters for stop in stops)
            scores, _ = laws.scored_one_by_one(generator, example, said)
            total = sum(float(row[symbol]) for row, symbol in zip(scores, said))
            answers.append((total if stopped else total + float(scores[-1][generator.end]), list(said)))
    return sorted(answers, key=lambda one: -one[0])


@pytest.mark.parametrize("stops", [["b"], ["ab", "c"], ["cab", "bb"]])
def test_a_wide_beam_finds_the_best_answers_that_stop(stops):
    generator = laws.TableGenerator(5, 3, end_bias=-1.0)
    over = Stops(stops, Letters()).over(generator)
    search = make("searches", "beam", (), {"width": 400, "n_best": 6, "normalization": "none"})
    for example in laws.random_examples(3, seed=2):
        (found,) = laws.found(search, over, [example], [5])
        expected = stopped_answers(generator, example, 5, stops)[:6]
        assert [one.symbols for one in found] == [said for _, said in expected]
        for one, (total, said) in zip(found, expected):
            assert one.log_probability == pytest.approx(total, rel=1e-5)
            assert one.finished or len(said) == 5
        assert any(any(stop in Letters().decode(one.symbols) for stop in stops) for one in found)


@pytest.mark.parametrize("name", registry.names("searches"))
def test_every_search_ends_with_the_first_stop_and_says_nothing_after(name):
    generator = laws.TableGenerator(6, 4, end_bias=-6.0)
    stops = Stops(["ba", "dd"], Letters())
    examples = laws.random_examples(12, seed=2)
    stopped = 0
    for answer, *_ in laws.found(make("searches", name), stops.over(generator), examples, [20] * 12):
        said = Letters().decode(answer.symbols)
        assert not {"ba", "dd"} & {said[place : place + 2] for place in range(len(said) - 2)}
        assert stops.cut(said) == (said[:-2] if said.endswith(("ba", "dd")) else said)
        stopped += said.endswith(("ba", "dd"))
        assert answer.finished or len(said) == 20
    assert stopped > 3


@pytest.mark.parametrize("name", registry.names("searches"))
def test_company_changes_nothing(name):
    examples = laws.random_examples(13, seed=5)
    over = Stops(["ab", "c"], Letters()).over(laws.TableGenerator(7, 1, end_bias=-2.0))
    laws.check_company(make("searches", name), over, examples, [3 + sum(one) % 9 for one in examples])


@pytest.mark.parametrize("name", ["greedy", "sample"])
def test_the_last_symbol_of_a_prompt_stops_nothing(name):
    generator = laws.TableGenerator(5, 4, end_bias=-9.0)
    found = []
    for one in (generator, Stops(["a"], Letters()).over(generator)):
        state = one.start(laws.encode([[1, 2], [7, 3]]))
        most, seeds, first = torch.tensor([6, 6]), torch.arange(2), torch.tensor([2, 2])
        answers = make("searches", name).search(one, state, most, seeds, attention=False, first=first)
        found.append([Letters().decode(each[0].symbols) for each in answers])
    for plain, stopped in zip(*found):
        assert "a" in plain and stopped == plain[: plain.index("a") + 1]


@pytest.mark.parametrize("name", registry.names("searches"))
def test_a_stop_comes_before_the_minimum(name):
    over = Stops(["a", "b"], Letters()).over(laws.TableGenerator(5, 4))
    search = make("searches", name, (), {"min_length": 9})
    for answer, *_ in laws.found(search, over, laws.random_examples(8, seed=2), [9] * 8):
        assert math.isfinite(answer.log_probability) and answer.finished
        assert set(Letters().decode(answer.symbols)[:-1]) <= {"c"}


def test_without_stops_the_generator_is_itself():
    generator = laws.TableGenerator(5, 4)
    assert Stops([], Letters()).over(generator) is generator


@pytest.mark.parametrize("tokenizer", ["word", "char", "byte", {"type": "bpe", "size": 270}])
def test_a_stop_is_seen_as_soon_as_it_is_said_whatever_the_pieces_are(tokenizer):
    modality = text(tokenizer)
    for stop in ("b", " ", ".", "ab", "END", "b END", ", c", "é a"):
        stops = Stops([stop], modality)
        for whole in TEXTS:
            symbols = modality.encode(whole).tolist()
            padded = [-1] * stops.reach + symbols
            last = [padded[place : place + stops.reach] for place in range(len(symbols) + 1)]
            seen = next((place for place, one in enumerate(last) if stops.in_last(one)), None)
            holds = [place for place in range(len(symbols) + 1) if stop in modality.decode(symbols[:place])]
            assert seen == (holds[0] if holds else None), (stop, whole)


def test_what_is_sure_grows_to_what_is_cut_and_never_beyond():
    stops = Stops(["ab ab", "\n\n", "b\n"], text("byte"))
    for whole, cut in (
        ("cab abc", "c"),
        ("ab aab", "ab aab"),
        ("x\n\ny", "x"),
        ("ab\n\n", "a"),
        ("a\nb", "a\nb"),
        ("", ""),
    ):
        told = ""
        for size in range(len(whole) + 1):
            now = stops.sure(whole[:size])
            assert now.startswith(told) and cut.startswith(now)
            told = now
        assert stops.cut(whole) == cut and cut.startswith(told)
    assert (stops.sure("ab a"), stops.sure("ab ac"), stops.sure("x\n"), stops.sure("x\ny")) == (
        "",
        "ab ac",
        "x",
        "x\ny",
    )


def test_symbols_stop_at_symbols():
    tokens = make("modalities", "tokens")
    tokens.fit([["A", "B", "END", "A B".replace(" ", "")]])
    stops = Stops(["END", "A B"], tokens)
    assert stops.cut(["A", "AB", "B", "END", "A"]) == ["A", "AB", "B"]
    assert (
        stops.cut(["B", "A", "B"]) == ["B"]
        and stops.sure(["B", "A"]) == ["B"]
        and stops.sure(["A", "AB"]) == ["A", "AB"]
    )
    assert stops.in_last([-1, *tokens.encode(["A", "B"])]) and not stops.in_last([-1, -1, -1])


@pytest.mark.parametrize(
    ("modality", "stop", "told"),
    [
        (text("char"), "x\ny", "never generates 'x', 'y'"),
        (text("word"), "\n\n", r"never generates '\\n'"),
        (text("char", lowercase=True), "END", "never generates 'E', 'N', 'D'"),
        (make("modalities", "tokens"), "X", "never generates 'X'"),
        (make("modalities", "tokens"), " ", "stop: ' ' holds no symbol of this output; give one, or leave it out"),
    ],
)
def test_the_advice_on_a_stop_that_can_never_be_said(modality, stop, told):
    tokens = not isinstance(modality.parse("a"), str)
    if tokens:
        modality.fit([["A", "B"]])
    with pytest.raises(ConfigError, match=told):
        Stops([stop], modality)
    assert Stops(["A"] if tokens else ["."], modality).texts and not Stops([], modality).texts


def test_a_mark_that_always_touches_a_word_is_a_stop():
    assert Stops([".", ", "], text("word")).texts == [".", ", "]


@pytest.mark.parametrize("name", registry.names("searches"))
def test_every_search_has_the_setting_and_refuses_an_empty_text(name):
    made = make("searches", name, (), {"stop": ["\n\n", "END"]})
    assert list(made.stop) == ["\n\n", "END"]
    with pytest.raises(ValueError, match="at least 1 character"):
        make("searches", name, (), {"stop": [""]})


@pytest.mark.parametrize("count", range(1, 9))
def test_what_is_said_again_of_a_prompt_is_no_stop_however_long_it_is(count):
    stops = Stops(["ab", "c"], Letters())
    resaid = "abcabcab"[:count]
    over = stops.over(laws.TableGenerator(6, 4, end_bias=-9.0), [resaid])
    for said, expected in (
        ("", False),
        ("a", False),
        ("dbad", False),
        ("ab", True),
        ("ddddddddddc", True),
        ("dddddddddda", False),
    ):
        state, held = over.start(laws.encode([[1, 2]])), []
        for symbol in [over.begin, *Letters().encode(resaid + said)]:
            logits, state = over.step(torch.tensor([symbol]), state)
            held.append(bool(torch.isinf(logits.log_probabilities[0, 2:]).all()))
        assert held[-1] == expected and not any(held[:-1]), (resaid, said)
