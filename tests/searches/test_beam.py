"""Beam search against searches that are right by their simplicity."""

import math
from functools import partial

import pytest
import torch

from ostinato.distributions.categorical import Categorical
from ostinato.errors import ConfigError
from ostinato.searches.beam import Beam
from ostinato.searches.greedy import Greedy
from ostinato.testing import searches as laws
from tests.advice import follow
from tests.searches import brute_force

DIVISORS = {
    "none": lambda length, alpha: 1.0,
    "average": lambda length, alpha: length**alpha,
    "gnmt": lambda length, alpha: ((5 + length) / 6) ** alpha,
}


def scorer(normalization="average", alpha=1.0, coverage_penalty=0.0):
    """The score by its definition, from log p, the length with the end and the weights of each step."""

    def score(total, length, weights):
        covered = torch.stack(weights).sum(0).double()
        coverage = sum(math.log(min(float(one), 1.0)) for one in covered)
        return total / DIVISORS[normalization](length, alpha) + coverage_penalty * coverage

    return score


def check(answers, expected):
    assert [one.symbols for one in answers] == [symbols for _, symbols in expected]
    assert [one.score for one in answers] == pytest.approx([score for score, _ in expected], rel=1e-5, abs=1e-6)


RANKINGS = [
    {"normalization": "none"},
    {},
    {"alpha": 0.5},
    {"alpha": 0.0},
    {"normalization": "gnmt"},
    {"normalization": "gnmt", "alpha": 0.2},
    {"coverage_penalty": 0.4},
    {"normalization": "none", "coverage_penalty": 2.0},
]


@pytest.mark.parametrize("ranking", RANKINGS, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_an_unlimited_beam_finds_what_brute_force_finds(ranking, seed):
    generator = laws.TableGenerator(5, seed, end_bias=(0.0, -1.0, 1.0, -3.0)[seed])
    examples = laws.random_examples(3, seed)
    answers = laws.found(Beam(width=3**4 * 4, n_best=7, **ranking), generator, examples, [4, 3, 4])
    for found, example, longest in zip(answers, examples, [4, 3, 4]):
        check(found, brute_force.all_answers(generator, example, longest, scorer(**ranking))[:7])


LIMITS = [{"min_length": 2}, {"min_length": 9}, {"max_length": 3}, {"min_length": 3, "max_length": 3}]


@pytest.mark.parametrize("limits", LIMITS, ids=str)
def test_the_length_of_answers_keeps_its_limits(limits):
    generator, example = laws.TableGenerator(5, 1, end_bias=0.5), [4, 9]
    (found,) = laws.found(Beam(width=400, n_best=5, **limits), generator, [example], [4])
    longest = min(4, limits.get("max_length", 4))
    check(
        found,
        brute_force.all_answers(generator, example, longest, scorer(), min_length=limits.get("min_length", 0))[:5],
    )


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_no_sequence_of_symbols_is_said_twice(size, seed):
    generator, example = laws.TableGenerator(5, seed, end_bias=-4.0), [4, 9]
    generator.table[:, 3] += 2
    (found,) = laws.found(Beam(width=1000, n_best=6, no_repeat_ngrams=size), generator, [example], [5])
    check(found, brute_force.all_answers(generator, example, 5, scorer(), no_repeat_ngrams=size)[:6])
    assert not any(brute_force.repeats(one.symbols, size) for one in found)
    (free,) = laws.found(Beam(width=1000, n_best=6), generator, [example], [5])
    assert [one.symbols for one in free] != [one.symbols for one in found]


SETTINGS = [
    {"width": 1, "n_best": 1},
    {"width": 2, "n_best": 2},
    {"width": 4, "n_best": 3},
    {"width": 5, "n_best": 1, "min_length": 3},
    {"width": 5, "n_best": 5, "no_repeat_ngrams": 2},
    {"width": 3, "n_best": 2, "no_repeat_ngrams": 1, "min_length": 7},
]


@pytest.mark.parametrize("options", SETTINGS, ids=str)
@pytest.mark.parametrize(
    "ranking", [RANKINGS[0], {}, {"normalization": "gnmt", "alpha": 0.6, "coverage_penalty": 0.5}], ids=str
)
def test_it_equals_a_beam_that_never_stops_early(options, ranking):
    for seed, bias in ((0, 0.0), (1, -1.5), (2, 1.0)):
        generator = laws.TableGenerator(8, seed, end_bias=bias, sharpness=2.0)
        examples = laws.random_examples(8, seed)
        longest = [9, 2, 10, 9, 0, 9, 5, 9]
        answers = laws.found(Beam(**options, **ranking), generator, examples, longest)
        for found, example, most in zip(answers, examples, longest):
            check(found, brute_force.beam_one_by_one(generator, example, most, scorer(**ranking), **options))


@pytest.mark.parametrize("limits", [{}, {"min_length": 3}, {"max_length": 4}], ids=str)
def test_a_width_of_one_without_normalization_is_greedy(limits):
    examples = laws.random_examples(40, seed=3)
    for seed, bias in ((0, 0.0), (1, -1.0), (2, 1.5)):
        generator = laws.TableGenerator(9, seed, end_bias=bias)
        beam = laws.found(Beam(width=1, normalization="none", **limits), generator, examples, [10] * 40)
        greedy = laws.found(Greedy(**limits), generator, examples, [10] * 40)
        assert [(one.symbols, one.finished) for (one,) in beam] == [(one.symbols, one.finished) for (one,) in greedy]
        assert [one.score for (one,) in beam] == pytest.approx([one.score for (one,) in greedy], rel=1e-6)


def scripted(rows, num_symbols=4):
    """A generator whose probabilities depend on the number of symbols said: one row of probabilities for each step."""
    generator = laws.TableGenerator(num_symbols, 0)
    step, asked = generator.step, []

    def by_step(symbols, state):
        asked.append(len(symbols))
        row = rows[min(len(asked), len(rows)) - 1]
        return Categorical(torch.tensor(row).log().expand(len(symbols), -1)), step(symbols, state)[1]

    generator.step = by_step
    return generator, asked


def test_the_search_ends_as_soon_as_nothing_alive_can_pass():
    # the end at once has log .9; the best that goes on has log .1, and growing cannot raise it
    generator, asked = scripted([[1e-9, 0.9, 0.06, 0.04]])
    ((answer,),) = laws.found(Beam(width=3, normalization="none"), generator, [[1]], [50])
    assert answer.symbols == [] and len(asked) == 1


def test_the_search_goes_on_while_a_longer_answer_can_have_the_better_average():
    # log .5 / 1 for the end at once; log .4 / 51 could still be reached, and log(.4 * .9 * .9) / 3 is better than log
    # .5
    generator, asked = scripted([[1e-9, 0.5, 0.4, 0.1], [1e-9, 0.05, 0.9, 0.05], [1e-9, 0.9, 0.05, 0.05]])
    ((answer,),) = laws.found(Beam(width=2), generator, [[1]], [50])
    assert answer.symbols == [2, 2] and answer.score == pytest.approx(math.log(0.4 * 0.9 * 0.9) / 3, rel=1e-5)
    # the same with at most one symbol: log(.4 * .05) / 2 is worse
    generator, asked = scripted([[1e-9, 0.5, 0.4, 0.1], [1e-9, 0.05, 0.9, 0.05]])
    ((answer,),) = laws.found(Beam(width=2), generator, [[1]], [1])
    assert answer.symbols == [] and len(asked) == 2


def test_the_search_waits_for_the_worst_of_the_n_best():
    generator, asked = scripted([[1e-9, 0.9, 0.06, 0.04]])
    (answers,) = laws.found(Beam(width=3, n_best=3, normalization="none"), generator, [[1]], [50])
    assert [one.symbols for one in answers] == [[], [2], [3]] and len(asked) == 2


def test_a_finished_answer_keeps_its_place_while_others_go_on():
    generator, _ = scripted([[1e-9, 0.5, 0.3, 0.2], [1e-9, 0.6, 0.3, 0.1], [1e-9, 0.7, 0.2, 0.1]])
    (answers,) = laws.found(Beam(width=2, n_best=2, normalization="none"), generator, [[1]], [50])
    assert [one.symbols for one in answers] == [[], [2]]
    assert [one.score for one in answers] == pytest.approx([math.log(0.5), math.log(0.3 * 0.6)], rel=1e-5)


def test_equals_are_ranked_by_the_lower_symbol():
    generator = laws.TableGenerator(6, 0)
    generator.table[:] = 0.0
    (answers,) = laws.found(Beam(width=4, n_best=4, min_length=1), generator, [[1]], [1])
    assert [one.symbols for one in answers] == [[2], [3], [4], [5]]


def test_an_answer_that_the_maximum_cut_says_so():
    generator = laws.TableGenerator(6, 0, end_bias=-20.0)
    ((answer,),) = laws.found(Beam(), generator, [[1]], [3])
    assert not answer.finished and len(answer.symbols) == 3
    generator = laws.TableGenerator(6, 0, end_bias=-20.0)
    generator.table[:, generator.end] = 30.0
    ((answer,),) = laws.found(Beam(min_length=3), generator, [[1]], [3])
    assert answer.finished and len(answer.symbols) == 3


def test_what_is_done_is_no_longer_computed():
    generator, examples = laws.TableGenerator(9, 0), laws.random_examples(64, seed=1)
    generator.table[:, generator.end] = -50
    laws.found(Beam(width=5), generator, examples, [2] * 60 + [40] * 4)
    assert generator.num_steps == 41 and generator.num_rows == 64 * (1 + 5 + 5) + 4 * 5 * 38
    assert generator.num_remembered == 64 * 3 + 4 * 38


def test_impossible_settings_are_refused():
    with pytest.raises(ConfigError, match="n_best 6 is above width 5"):
        Beam(n_best=6)
    with pytest.raises(ConfigError, match="alpha 0.6 has no meaning"):
        Beam(normalization="none", alpha=0.6)


def test_the_advice_on_a_penalty_of_what_is_not_attended_to():
    def search(penalty, looks):
        laws.found(Beam(coverage_penalty=penalty), laws.TableGenerator(5, 0, looks=looks), [[1]], [4])

    follow(
        partial(search, 0.1, False),
        "and this output has none; leave coverage_penalty out, or give the output's head an attention",
        partial(search, 0.0, False),
        partial(search, 0.1, True),
    )


@pytest.mark.parametrize("seed", range(5))
def test_with_patience_a_search_ends_once_so_many_answers_have_ended(seed):
    generator, examples = laws.TableGenerator(6, seed, end_bias=0.5), laws.random_examples(4, seed)

    def answers(search):
        return [
            [(answer.symbols, answer.score) for answer in own]
            for own in laws.found(search, generator, examples, [9] * 4)
        ]

    first = [[symbols for symbols, _ in own] for own in answers(Beam(width=1, patience=1.0))]
    assert first == [[symbols for symbols, _ in own] for own in answers(Greedy())]
    assert answers(Beam(width=3, patience=100.0)) == answers(Beam(width=3))
    assert all(len(own) == 3 for own in answers(Beam(width=3, n_best=3, patience=0.1)))
