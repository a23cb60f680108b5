"""Heads that generate, and what they read, for the tests of several rooms."""

import torch

from ostinato import registry
from ostinato.steps import Layout, Steps
from ostinato.testing import _inputs, _modules
from ostinato.testing._inputs import INPUTS, SPEC, WIDTH, sizes_of
from ostinato.testing._stepwise import TARGETS
from ostinato.testing._tools import Member, near, options_matter

__all__ = ["SPEC", "TARGETS", "WIDTH", "every_option_matters", "maker", "near", "nested", "read", "rows_of", "sizes_of"]


def nested(name, options, decoder="recurrent"):
    """Options of a head, those that are a decoder's under `decoder`."""
    own = registry.settings_class("heads", name).model_fields
    below = {key: value for key, value in options.items() if key not in own}
    return {key: value for key, value in options.items() if key in own} | {"decoder": {"type": decoder, **below}}


def maker(name, options=None):
    """Makes the head that a recipe would make, `WIDTH` wide; `options` may name the settings of its decoder beside its
    own."""
    return Member.of("heads", name, nested(name, {"hidden_size": WIDTH, "embedding_size": 5, **(options or {})}))


def read(inputs, seed=0, dtype=torch.float32):
    return _inputs.read(INPUTS[inputs], seed, dtype)


def rows_of(encoded, rows):
    """These examples alone, in this order."""
    return _modules.pick(encoded, rows)


def targets(lengths=TARGETS, seed=1):
    random = torch.Generator().manual_seed(seed)
    return Steps(torch.randint(2, SPEC.size, (sum(lengths),), generator=random), Layout(list(lengths)))


def every_option_matters(case, member):
    """Each value of each option of a member changes what `case` of it gives, or is refused."""
    options_matter(member, lambda other: _modules.fingerprint([case(other)]), {})
