"""The laws of cells, run on every member of the room with every option."""

import pytest

from ostinato import registry
from ostinato.testing import cells as laws
from ostinato.testing._options import other_values

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

CASES = [
    pytest.param(
        name, options, id=f"{name}-{'-'.join(f'{option}={value}' for option, value in options.items()) or 'default'}"
    )
    for name in registry.names("cells")
    for options in [
        {},
        *({option: value} for option, value in other_values(registry.settings_class("cells", name))),
        *FURTHER.get(name, []),
    ]
    if options != {"biases": 0} or name != "lstm"
]


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize(("name", "options"), CASES)
def test_law(law, name, options):
    law(laws.maker(name, options))


@pytest.mark.parametrize("name", registry.names("cells"))
def test_every_option_matters(name):
    laws.options_matter(name)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in registry.names("cells")),
        ("gru", {"reset": "before"}),
        ("lstm", {"coupled": True}),
        ("lstm", {"peepholes": True, "layer_norm": True}),
        ("rnn", {"start": "orthogonal"}),
        ("rnn", {"start": "identity", "activation": "relu"}),
    ],
)
def test_learns_to_remember_the_first_of_ten_symbols(name, options):
    laws.learns_to_remember(laws.maker(name, options))
