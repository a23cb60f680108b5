"""The head of numbers of a whole example: the laws with every loss, and densities that are densities."""

import math

import pytest
import torch
from torch.nn import functional

from ostinato import registry
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError, DataError
from ostinato.heads.contract import Sizes
from ostinato.modalities.contract import Labels, Values
from ostinato.steps import Layout, Steps
from ostinato.testing import heads
from ostinato.testing import laws as every
from ostinato.testing import predictors as laws
from ostinato.testing._tools import Member
from tests.heads.making import every_option_matters

LOSSES = ["squared", "absolute", "huber"]
SETS = [
    *({"loss": loss} for loss in LOSSES),
    *({"pool": pool} for pool in ("mean", "max", "attention")),
    {"layer_size": 4},
    {"dropout": 0.3, "layer_size": 4, "loss": "absolute"},
]


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("options", SETS, ids=str)
def test_law(law, size, options):
    for inputs in ("one", "two"):
        law(laws.Predicting(Member.of("heads", "regressor", options), Values(size), inputs))


def test_every_option_matters():
    for beside in ({}, {"pool": "mean", "layer_size": 3, "loss": "huber"}):
        every_option_matters(lambda other: laws.Predicting(other, Values(2)), Member.of("heads", "regressor", beside))


@pytest.mark.parametrize("loss", LOSSES)
def test_it_learns_to_count(loss):
    make = Member.of("heads", "regressor", {"loss": loss})
    right = heads.learns(make, Values(1), lambda symbols: (symbols == 3).sum().float().view(1, 1))
    assert right >= 0.95, f"{right:.0%} within 1/2"


def head(loss="squared", size=1):
    torch.manual_seed(0)
    return registry.make("heads", "regressor", (Values(size), [Sizes(None, 4)]), {"loss": loss}).double()


def summary(rows):
    torch.manual_seed(1)
    return [Encoded(None, torch.randn(1, 4, dtype=torch.float64).repeat(rows, 1), None)]


def one_each(values):
    return Steps(values, Layout.equal(len(values), 1))


@torch.no_grad()
@pytest.mark.parametrize("loss", LOSSES)
def test_the_density_sums_to_one(loss):
    at = torch.linspace(-40, 40, 80001, dtype=torch.float64)[:, None]
    density = head(loss).score(summary(len(at)), one_each(at)).log_probability.exp()
    assert float(torch.trapezoid(density, at[:, 0])) == pytest.approx(1, abs=1e-6)


@torch.no_grad()
def test_the_densities_are_those_of_torch():
    truth = torch.linspace(-3, 3, 13, dtype=torch.float64)[:, None]
    for loss, family in (("squared", torch.distributions.Normal), ("absolute", torch.distributions.Laplace)):
        found = head(loss).predict(summary(13)).steps.values
        expected = family(found, 1.0).log_prob(truth)[:, 0]
        assert torch.allclose(head(loss).score(summary(13), one_each(truth)).log_probability, expected)


@torch.no_grad()
def test_huber_is_torchs_and_a_constant():
    truth = torch.linspace(-3, 3, 13, dtype=torch.float64)[:, None]
    found = head("huber").predict(summary(13)).steps.values
    scored = head("huber").score(summary(13), one_each(truth)).log_probability
    apart = -scored - functional.huber_loss(found, truth, reduction="none")[:, 0]
    assert torch.allclose(apart, apart[:1]) and 1.07 < float(apart[0]) < 1.08


def test_numbers_that_are_missing_are_left_out_one_by_one():
    values = torch.tensor([[1.0, math.nan], [math.nan, math.nan], [0.0, 2.0]])
    one = head(size=2)
    found = one.predict(summary(3)).steps.values
    expected = ((found - values.double()).nan_to_num() ** 2).sum() / 2 + 3 * math.log(2 * math.pi) / 2
    loss = one.loss(summary(3), one_each(values))
    loss.total.backward()
    assert torch.allclose(loss.total, expected) and loss.count == 3
    assert bool(one.output.weight.grad.isfinite().all())
    assert one.score(summary(3), one_each(values)).num_targets.tolist() == [1, 0, 2]


def test_what_is_no_number_is_refused():
    with pytest.raises(
        ConfigError, match="regressor predicts real numbers, and a step of this output is one of 3 labels"
    ):
        registry.make("heads", "regressor", (Labels(3), [Sizes(None, 4)]))


def test_more_than_one_answer_an_example_is_refused():
    with pytest.raises(DataError, match="3 examples need one answer each, and the targets have 6 steps in 3 examples"):
        head().loss(summary(3), Steps(torch.zeros(6, 1), Layout.equal(3, 2)))


@pytest.mark.parametrize("name", ["classifier", "regressor", "tagger", "crf"])
def test_the_laws_of_the_room_are_those_of_predictors(name):
    every.run("heads", name)
