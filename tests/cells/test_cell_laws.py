"""The laws of cells, run on every member of the room with every option."""

import pytest

from ostinato import registry
from ostinato.testing import cells, laws
from ostinato.testing._tools import Member

FURTHER = {
    "gru": [{"reset": "before", "biases": 0}],
    "lstm": [
        {"biases": 0, "forget_bias": 0.0},
        {"layer_norm": True, "biases": 0, "forget_bias": 0.0},
        {"layer_norm": True, "biases": 1},
        {"coupled": True, "peepholes": True, "layer_norm": True},
    ],
    "rnn": [{"activation": "relu", "start": "identity", "biases": 0}],
}
"""Combinations beyond one option at a time."""

SLOW = ("lru", "mingru", "minlstm", "slstm", "sru")
"""Cells that take a second or more to learn."""

CASES = [
    (name, options)
    for name in registry.names("cells")
    for options in [*laws.variants("cells", name), *FURTHER.get(name, [])]
    if options != {"biases": 0} or name != "lstm"
]


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_every_cell_keeps_the_laws(name, options):
    laws.run("cells", name, options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in registry.names("cells") if name not in SLOW),
        *(pytest.param(name, {}, marks=pytest.mark.slow) for name in SLOW),
        ("gru", {"reset": "before"}),
        ("lstm", {"coupled": True}),
        ("lstm", {"peepholes": True, "layer_norm": True}),
        ("rnn", {"start": "orthogonal"}),
        ("rnn", {"start": "identity", "activation": "relu"}),
    ],
)
def test_learns_to_remember_the_first_of_ten_symbols(name, options):
    cells.learns_to_remember(Member.of("cells", name, options))
