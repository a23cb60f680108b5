"""Laws that every attention keeps."""

import pytest

from ostinato import registry
from ostinato.testing import attentions, laws
from ostinato.testing._tools import Member

NAMES = registry.names("attentions")


@pytest.mark.parametrize(
    ("name", "options"), [(name, options) for name in NAMES for options in laws.variants("attentions", name)], ids=str
)
def test_every_attention_keeps_the_laws(name, options):
    laws.run("attentions", name, options)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "gaussian"])
def test_it_learns_to_find_by_name(name):
    """All but the window, which reads the places of steps and not what is there."""
    right, looked = attentions.find_by_name(Member.of("attentions", name), updates=250, seed=0)
    assert right >= 0.95 and looked >= 0.95


@pytest.mark.parametrize("name", NAMES)
def test_the_contract_is_told(name):
    attention, _ = attentions.cases(Member.of("attentions", name))[0].made()
    assert attention.needs_previous == (name in ("location", "gaussian"))
    assert attention.pair_size == {"additive": 6, "concat": 6, "location": 6}.get(name, 1)
