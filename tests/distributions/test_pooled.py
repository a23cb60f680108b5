"""The logarithmic opinion pool of each kind of labels is the normalized product of powers, answer by answer."""

import itertools

import pytest
import torch

from ostinato.distributions.bernoulli import Bernoulli
from ostinato.distributions.categorical import Categorical
from ostinato.distributions.chain import Chain
from ostinato.distributions.normal import Normal
from ostinato.errors import ConfigError
from ostinato.layers.crf import CRF
from ostinato.modalities.contract import Legal
from ostinato.steps import Layout, Steps
from ostinato.testing._tools import drawn

WEIGHTS = torch.tensor([0.7, 1.6], dtype=torch.float64)
LEGAL = Legal((True, True, False), (True, True, True), ((True, True, False), (True, True, True), (True, True, True)))


def chain():
    chain = CRF(3, LEGAL).double().requires_grad_(False)
    chain.follows.copy_(drawn(4, torch.float64)(3, 3))
    chain.starts.copy_(drawn(5, torch.float64)(3))
    return Chain(Steps(drawn(6, torch.float64)(3, 3), Layout([3])), chain)


def categorical(steps):
    return Categorical(drawn(7, torch.float64)(steps, 3), Layout([1] * steps))


@pytest.mark.parametrize(
    ("members", "answers"),
    [
        ([Categorical(drawn(8, torch.float64)(1, 3)), categorical(1)], [[label] for label in range(3)]),
        (
            [Bernoulli(drawn(seed, torch.float64)(1, 2)) for seed in (1, 2)],
            [[labels] for labels in itertools.product((0.0, 1.0), repeat=2)],
        ),
        ([chain(), categorical(3)], list(itertools.product(range(3), repeat=3))),
    ],
    ids=["one label", "several", "chain"],
)
def test_a_pool_is_the_normalized_product_of_powers(members, answers):
    answers = torch.tensor(answers)
    pool = members[0].pooled(members[1:], WEIGHTS)
    products = torch.stack(
        [sum(w * m.log_prob(answer).sum() for w, m in zip(WEIGHTS, members)).exp() for answer in answers]
    )
    shares = torch.stack([pool.log_prob(answer).sum().exp() for answer in answers])
    torch.testing.assert_close(shares, products / products.sum())
    assert pool.log_prob(pool.mode()).sum().exp() == shares.max()


def test_a_chain_that_is_pooled_has_gradients_of_the_weights():
    weights = WEIGHTS.clone().requires_grad_()

    def score(weights):
        return chain().pooled([categorical(3)], weights).log_prob(torch.tensor([0, 1, 2])).sum()

    assert torch.autograd.gradcheck(score, weights)


def test_what_has_no_pool_refuses():
    normal = Normal(torch.zeros(1, 1), torch.ones(1, 1))
    with pytest.raises(ConfigError, match="Normal has no pool"):
        normal.pooled([normal], WEIGHTS)
