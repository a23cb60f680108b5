"""Sampling."""

import numpy as np
import pytest
import torch

from ostinato.searches.greedy import Greedy
from ostinato.searches.sample import Sample, _draw, _keys, _uniform
from ostinato.testing import searches as laws


def allowed(logits, temperature=1.0, top_k=None, top_p=1.0, min_p=0.0):
    """Probabilities of what may be drawn from one row, by the definition."""
    shares = np.exp((logits - logits.max()) / temperature)
    shares /= shares.sum()
    ranked = sorted(range(len(shares)), key=lambda symbol: (-shares[symbol], symbol))[:top_k]
    whole, kept, mass = sum(shares[symbol] for symbol in ranked), [], 0.0
    for symbol in ranked:
        if kept and mass >= top_p * whole:
            break
        kept.append(symbol)
        mass += shares[symbol]
    kept = [symbol for symbol in kept if shares[symbol] >= min_p * shares.max()]
    mass = sum(shares[symbol] for symbol in kept)
    return {symbol: shares[symbol] / mass for symbol in kept}


FILTERS = [
    {},
    {"temperature": 0.5},
    {"temperature": 3.0},
    {"top_k": 1},
    {"top_k": 4},
    {"top_p": 0.6},
    {"top_p": 0.0},
    {"min_p": 0.2},
    {"min_p": 1.0},
    {"top_k": 6, "top_p": 0.7},
    {"temperature": 1.5, "top_k": 8, "top_p": 0.9, "min_p": 0.1},
]


@pytest.mark.parametrize("options", FILTERS, ids=str)
def test_exactly_what_may_not_be_drawn_is_left_out(options):
    random = torch.Generator().manual_seed(0)
    for size, sharpness in ((10, 2.0), (700, 2.0), (700, 0.3)):
        logits = torch.randn(30, size, generator=random) * sharpness
        shares = Sample(**options).kept(logits.log_softmax(1))
        for row, expected in zip(shares, logits.double().numpy()):
            expected = allowed(expected, **options)
            assert row.nonzero().squeeze(1).tolist() == sorted(expected)
            made = row / row.sum()
            assert made[sorted(expected)].tolist() == pytest.approx(
                [expected[one] for one in sorted(expected)], rel=1e-4
            )


def test_of_equal_symbols_the_lower_are_kept():
    scores = torch.tensor([[0.0, 1.0, 1.0, 0.0, 1.0, 1.0]]).log_softmax(1)
    assert Sample(top_k=2).kept(scores).nonzero()[:, 1].tolist() == [1, 2]
    assert Sample(top_p=0.5).kept(scores).nonzero()[:, 1].tolist() == [1, 2, 4]


@pytest.mark.parametrize("options", [{}, {"temperature": 0.6}, {"top_k": 4}, {"top_p": 0.8}, {"min_p": 0.15}], ids=str)
def test_symbols_come_as_often_as_they_are_probable(options):
    # one symbol an answer and the end after it; the first step forbids begin and, by the minimum, the end
    generator, draws = laws.TableGenerator(12, 5), 20_000
    search = Sample(n_best=draws, min_length=1, **options)
    (answers,) = laws.found(search, generator, [[3, 4]], [1])
    scores = laws.scored_one_by_one(generator, [3, 4], [])[0][0].numpy()
    scores[[generator.begin, generator.end]] = -np.inf
    expected = allowed(scores, **options)
    counts = dict.fromkeys(expected, 0)
    for answer in answers:
        counts[answer.symbols[0]] += 1
    chi_square = sum((counts[symbol] - draws * share) ** 2 / (draws * share) for symbol, share in expected.items())
    freedom = len(expected) - 1
    # Wilson and Hilferty's approximation of the quantile that chance passes once in 100,000
    assert chi_square < freedom * (1 - 2 / (9 * freedom) + 4.265 * (2 / (9 * freedom)) ** 0.5) ** 3


def test_uniform_numbers_are_uniform_over_examples_samples_steps_and_seeds():
    numbers = np.arange(40_000)
    rows = [
        _uniform(_keys(0, torch.from_numpy(numbers), 1), 0),
        _uniform(_keys(0, torch.tensor([7]), 40_000), 3),
        np.array([_uniform(_keys(0, torch.tensor([7]), 1), step)[0] for step in range(2_000)]),
        np.array([_uniform(_keys(seed, torch.tensor([-1]), 1), 0)[0] for seed in range(-1000, 1000)]),
    ]
    for row in rows:
        assert row.min() >= 0 and row.max() < 1
        counts = np.histogram(row, 50, (0, 1))[0]
        chi_square = ((counts - len(row) / 50) ** 2 / (len(row) / 50)).sum()
        assert chi_square < 100, chi_square  # 49 degrees of freedom: chance passes 100 once in 40,000
        assert abs(np.corrcoef(row[1:], row[:-1])[0, 1]) < 5 / len(row) ** 0.5


def test_a_share_of_zero_is_never_drawn():
    shares = torch.tensor([[0.0, 1.0, 0.0, 0.5, 0.0]]).expand(3, -1)
    assert _draw(shares, torch.tensor([0.0, 1 - 2.0**-53, 0.5], dtype=torch.float64)).tolist() == [1, 3, 1]


def test_a_seed_and_a_sample_number_name_a_sample():
    generator, examples = laws.TableGenerator(20, 1, end_bias=-1.0), laws.random_examples(6, seed=3)
    said = lambda **options: laws.found(Sample(**options), generator, examples, [10] * 6)  # noqa: E731
    once = said()
    assert once == said()
    assert once != said(seed=1)
    for (one,), three, four in zip(once, said(n_best=3), said(n_best=4)):
        assert one in three and all(sample in four for sample in three)
    assert len({tuple(one.symbols) for one in said(n_best=8)[0]}) > 4


def test_almost_no_temperature_is_greedy():
    generator, examples = laws.TableGenerator(20, 1), laws.random_examples(20, seed=3)
    greedy = [one.symbols for (one,) in laws.found(Greedy(), generator, examples, [10] * 20)]
    for options in ({"temperature": 1e-30}, {"top_k": 1}, {"top_p": 0.0}):
        assert [one.symbols for (one,) in laws.found(Sample(**options), generator, examples, [10] * 20)] == greedy
