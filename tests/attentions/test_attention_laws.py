"""Laws that every attention keeps."""

import pytest
import torch

from ostinato import registry
from ostinato.testing import attentions as laws

NAMES = registry.names("attentions")
OPTIONS = {
    "additive": {"size": 5},
    "concat": {"size": 5},
    "location": {"size": 5, "filters": 2, "reach": 1},
    "scaled_dot": {"size": 5},
}


def make(name, sizes=(6, 4), options=None):
    torch.manual_seed(0)
    sizes = (sizes[0], sizes[0]) if name == "dot" else sizes
    return registry.make("attentions", name, sizes, options)


CHECKS = [laws.check_weights, laws.check_company, laws.check_one_by_one, laws.check_rows, laws.check_gradients]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", NAMES)
def test_law(name, check):
    check(make(name))


@pytest.mark.parametrize("name", NAMES)
def test_every_option_changes_the_parameters(name):
    fields = set(registry.settings_class("attentions", name).model_fields) - {"type"}
    assert fields == set(OPTIONS.get(name, {}))
    laws.check_options(lambda options: make(name, options=options), OPTIONS.get(name, {}))


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_to_find_by_name(name):
    make = lambda query, memory: registry.make("attentions", name, (query, memory))  # noqa: E731
    right, looked = laws.find_by_name(make, updates=250, seed=0)
    assert right >= 0.95 and looked >= 0.95


@pytest.mark.parametrize("name", NAMES)
def test_the_contract_is_told(name):
    attention = make(name)
    assert attention.needs_previous == (name == "location")
    assert attention.pair_size == {"additive": 6, "concat": 6, "location": 6}.get(name, 1)
