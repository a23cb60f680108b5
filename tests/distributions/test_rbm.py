"""Restricted Boltzmann machines: estimates beside the sum over all states, in machines whose bits are firmly tied."""

import itertools

import pytest
import torch

from ostinato.distributions._boltzmann import Machine
from ostinato.distributions.rbm import Rbm
from ostinato.testing._tools import drawn

ROWS, SIZE, WIDTH = 60, 12, 11
EVERY = torch.tensor([*itertools.product((0.0, 1.0), repeat=SIZE)]).double()


def tied(scale=1.5):
    """Biases and weights of which the one is little without the other."""
    draw = drawn(0, torch.float64)
    return draw(ROWS, SIZE) - 1, draw(ROWS, WIDTH), scale * draw(SIZE, WIDTH)


def brute_force(visible, hidden, weight):
    """(2^V, R) log p of every target, each summed over all states of the hidden bits in a product."""
    logs = EVERY @ visible.T + (1 + (hidden + (EVERY @ weight).unsqueeze(1)).exp()).log().sum(2)
    return logs - logs.exp().sum(0).log()


PLACES = torch.arange(ROWS) * 61 % len(EVERY)
"""A target of each row."""


def errors(annealing):
    """(R,) of the estimated log-probability of those targets."""
    exact = brute_force(*tied())[PLACES, torch.arange(ROWS)]
    return Rbm(*tied(), annealing=annealing).log_prob(EVERY[PLACES]) - exact


@pytest.mark.parametrize("shape", [(3, 5), (5, 3)])
def test_the_sum_over_the_smaller_layer_is_the_sum_over_both(shape):
    draw = drawn(1, torch.float64)
    visible, hidden, weight = draw(4, shape[0]), draw(4, shape[1]), draw(*shape)
    layers = ([*itertools.product((0.0, 1.0), repeat=size)] for size in shape)
    both = [
        visible @ bits + hidden @ states + bits @ weight @ states
        for bits, states in itertools.product(*(torch.tensor(layer).double() for layer in layers))
    ]
    machine, expected = Machine(visible, hidden, weight, 1), torch.stack(both).logsumexp(0)
    nothing = torch.zeros(4, shape[0]).double()
    assert torch.allclose(machine.log_prob(nothing), -machine.free_energy(nothing) - expected)
    assert torch.allclose(machine.of_states(True).logsumexp(1), expected)
    assert torch.allclose(machine.of_states(False).logsumexp(1), expected)


def test_an_estimate_comes_near_the_sum_over_all_states_and_nearer_with_more_steps():
    few, more, many = errors(10), errors(100), errors(1000)
    assert few.std() > 2 * more.std() > 4 * many.std()
    assert more.mean().abs() < 0.05 and more.abs().max() < 0.5
    assert many.mean().abs() < 0.02 and many.abs().max() < 0.2


def test_estimated_probabilities_of_all_targets_sum_to_one_on_average():
    visible, hidden, weight = tied()
    sums = []
    for row in range(ROWS):
        alike = visible[row].expand(len(EVERY), -1), hidden[row].expand(len(EVERY), -1)
        sums.append(Rbm(*alike, weight, annealing=5).log_prob(EVERY).exp().sum())
    assert abs(sum(sums) / ROWS - 1) < 0.15


def test_neither_company_nor_place_changes_an_estimate_and_each_call_gives_the_same():
    visible, hidden, weight = tied()
    bits, rows = torch.zeros(ROWS, SIZE), torch.tensor([7, 2, 7, 50])
    whole = Rbm(visible, hidden, weight)
    assert torch.equal(whole.log_prob(bits), Rbm(*tied()).log_prob(bits))
    some = Rbm(visible[rows], hidden[rows], weight)
    assert torch.allclose(some.log_prob(bits[rows]), whole.log_prob(bits)[rows], atol=1e-9)
    assert torch.equal(some.mode(), whole.mode()[rows])


def test_rows_of_other_biases_have_other_random_numbers_and_each_chain_its_own():
    visible, hidden, weight = tied()
    numbers = Machine(visible, hidden, weight, 1)._streams()(1)[:, :, 0].T
    assert len(numbers.unique(dim=0)) > 0.8 * ROWS
    assert all(len(chains.unique()) == len(chains) for chains in numbers)


def slopes(loss, parts):
    return torch.cat([slope.flatten() for slope in torch.autograd.grad(loss, parts)])


def test_the_gradient_of_an_estimate_is_near_that_of_the_sum():
    parts = [part.requires_grad_() for part in tied()]
    bits = EVERY[PLACES]
    estimated = slopes(Rbm(*parts, annealing=1000).loss(bits).total, parts)
    exact = slopes(-brute_force(*parts)[PLACES, torch.arange(ROWS)].sum(), parts)
    assert (estimated - exact).norm() < 0.2 * exact.norm()


def contrast(sweeps, seed=0, rows=4000):
    """The loss and its gradient for many equal rows."""
    torch.manual_seed(seed)
    draw = drawn(2, torch.float64)
    parts = [draw(1, 4), draw(1, 3), 2.5 * draw(4, 3)]
    for part in parts:
        part.requires_grad_()
    rbm = Rbm(parts[0].expand(rows, -1), parts[1].expand(rows, -1), parts[2], contrast=sweeps)
    loss = rbm.loss(torch.tensor([[1.0, 0.0, 1.0, 1.0]]).expand(rows, -1))
    return loss.total.detach(), slopes(loss.total, parts), parts


def test_the_gradient_of_many_sweeps_is_that_of_the_log_probability_and_of_one_is_not():
    _, many, parts = contrast(200)
    exact = slopes(-4000 * Rbm(*parts).log_prob(torch.tensor([[1.0, 0.0, 1.0, 1.0]])).sum(), parts)
    assert (many - exact).norm() < 0.03 * exact.norm()
    assert (contrast(1)[1] - exact).norm() > 0.1 * exact.norm()


def test_a_seed_gives_one_loss_and_another_seed_another():
    (loss, slope, _), (again, same, _) = contrast(2), contrast(2)
    assert torch.equal(loss, again) and torch.equal(slope, same)
    assert not torch.equal(loss, contrast(2, seed=1)[0])


def test_a_target_of_which_a_bit_is_missing_is_not_in_the_loss():
    visible, hidden, weight = tied()
    bits = torch.zeros(ROWS, SIZE).double()
    bits[1:, 3] = torch.nan
    loss = Rbm(visible, hidden, weight, contrast=3).loss(bits)
    torch.manual_seed(0)
    assert loss.count == 1 and bool(loss.total.isfinite())
    bits[0, 3] = torch.nan
    assert float(Rbm(visible, hidden, weight, contrast=3).loss(bits).total) == 0


def test_no_step_of_an_ascent_lowers_the_probability_and_most_end_at_the_likeliest_bits():
    machine, every = Machine(*tied(), 100), brute_force(*tied())
    for bits in EVERY[::371]:
        bits = bits.expand(ROWS, -1)
        assert bool((machine.free_energy(machine.ascended(bits)) <= machine.free_energy(bits) + 1e-9).all())
    place = (Rbm(*tied()).mode() @ 2.0 ** torch.arange(SIZE - 1, -1, -1).double()).long()
    missed = every.max(0).values - every[place, torch.arange(ROWS)]
    assert (missed < 1e-9).double().mean() > 0.8 and missed.max() < 2


@pytest.mark.parametrize(("annealing", "near"), [(1, False), (200, True)])
def test_samples_by_annealing_are_as_frequent_as_they_are_probable(annealing, near):
    rows, odds = 20_000, brute_force(*tied())[:, 0].exp()
    visible, hidden, weight = tied()
    row = Rbm(visible[:1].expand(rows, -1), hidden[:1].expand(rows, -1), weight, annealing=annealing)
    uniform = torch.rand(rows, SIZE, row.draws, generator=torch.Generator().manual_seed(0))
    drawn_bits = row.sample(uniform).double()
    apart = (drawn_bits.T @ drawn_bits / rows - EVERY.T @ (odds.unsqueeze(1) * EVERY)).abs().max()
    assert apart < 0.04 if near else apart > 0.1
