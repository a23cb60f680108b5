"""One label of several: what is missing, supports of each row, averages and draws."""

import math

import pytest
import torch

from ostinato.distributions.categorical import Categorical
from ostinato.distributions.contract import Costs
from ostinato.errors import ConfigError
from ostinato.modalities.contract import MISSING


def scores(rows=5, size=4, seed=0):
    return torch.randn(rows, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_is_torchs_categorical():
    logits, target = scores(), torch.tensor([0, 3, 1, 2, 2])
    ours, theirs = Categorical(logits), torch.distributions.Categorical(logits=logits)
    torch.testing.assert_close(ours.log_prob(target), theirs.log_prob(target))
    assert torch.equal(ours.mode(), theirs.mode)
    loss = ours.loss(target)
    torch.testing.assert_close(loss.total, -theirs.log_prob(target).sum())
    assert loss.count == 5
    known = Categorical(logits.log_softmax(1), normalized=True)
    torch.testing.assert_close(known.log_prob(target), ours.log_prob(target))


def test_a_missing_target_is_left_out():
    target = torch.tensor([0, MISSING, 1, MISSING, 2])
    ours = Categorical(scores())
    assert ours.log_prob(target)[[1, 3]].tolist() == [0, 0]
    assert ours.counts(target).tolist() == [1, 0, 1, 0, 1]
    assert ours.loss(target).count == 3
    assert ours.right(ours.mode()).tolist() == [1] * 5


def test_costs_belong_to_the_loss_alone():
    target, weights = torch.tensor([0, 3, 1, 2, 2]), torch.tensor([1.0, 2.0, 0.5, 1.0], dtype=torch.float64)
    plain, costly = Categorical(scores()), Categorical(scores(), costs=Costs(0.1, 0.0, weights))
    expected = torch.nn.functional.cross_entropy(scores(), target, weight=weights, label_smoothing=0.1, reduction="sum")
    torch.testing.assert_close(costly.loss(target).total, expected)
    assert torch.equal(costly.log_prob(target), plain.log_prob(target))


def test_a_support_gives_each_row_symbols_of_its_own():
    support = torch.tensor([[7, 2, 7, 5], [0, 1, 2, 3]])
    ours = Categorical(scores(2), support=support)
    odds = ours.probabilities
    torch.testing.assert_close(
        ours.log_prob(torch.tensor([7, 3])).exp(), torch.stack([odds[0, 0] + odds[0, 2], odds[1, 3]])
    )
    assert float(ours.log_prob(torch.tensor([6, 3]))[0]) == -math.inf
    assert ours.log_prob(torch.tensor([MISSING, 3]))[0] == 0
    best = odds.argmax(1)
    assert ours.mode().tolist() == [int(support[0, best[0]]), int(support[1, best[1]])]
    torch.testing.assert_close(ours.loss(torch.tensor([7, 3])).total, -ours.log_prob(torch.tensor([7, 3])).sum())


def test_averages():
    one, other = Categorical(scores(seed=1)), Categorical(scores(seed=2))
    torch.testing.assert_close(one.mean_of([other]).probabilities, (one.probabilities + other.probabilities) / 2)
    product = (one.probabilities * other.probabilities).sqrt()
    torch.testing.assert_close(one.ensemble_of([other]).probabilities, product / product.sum(1, keepdim=True))
    with pytest.raises(ConfigError, match="different symbols"):
        one.mean_of([Categorical(scores(), support=torch.zeros(5, 4, dtype=torch.int64))])


def test_samples_have_its_frequencies():
    ours = Categorical(scores(1).expand(100_000, 4))
    uniform = torch.rand(100_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shares = torch.bincount(ours.sample(uniform), minlength=4) / 100_000
    torch.testing.assert_close(shares.double(), ours.probabilities[0], atol=0.01, rtol=0)


def test_labels_have_no_quantiles():
    with pytest.raises(ConfigError, match="no quantile: labels have no order"):
        Categorical(scores()).quantile([0.5])


def test_a_search_reads_copied_symbols_by_their_number():
    """Row 0 copies symbol 1 again and symbol 5, which the vocabulary of 3 lacks; row 1 copies 2 and 4."""
    scores = torch.randn(2, 5, generator=torch.Generator().manual_seed(1))
    support = torch.tensor([[0, 1, 2, 1, 5], [0, 1, 2, 2, 4]])
    distribution, shares = Categorical(scores, support=support), scores.softmax(1)
    expected = torch.zeros(2, 6)
    expected[0, [0, 1, 2, 5]] = torch.stack([shares[0, 0], shares[0, 1] + shares[0, 3], shares[0, 2], shares[0, 4]])
    expected[1, [0, 1, 2, 4]] = torch.stack([shares[1, 0], shares[1, 1], shares[1, 2] + shares[1, 3], shares[1, 4]])
    torch.testing.assert_close(distribution.by_symbol(3).exp(), expected)
    assert Categorical(scores[:0], support=support[:0]).by_symbol(3).shape == (0, 3)
    scored = distribution.log_prob(torch.tensor([1, 4]))
    torch.testing.assert_close(scored, distribution.by_symbol(3)[[0, 1], [1, 4]])
