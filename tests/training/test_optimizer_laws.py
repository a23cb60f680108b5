"""The laws of optimizers, on every member of the room with every option."""

import pytest

from ostinato import registry
from ostinato.testing import laws


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, options) for name in registry.names("optimizers") for options in laws.variants("optimizers", name)],
    ids=str,
)
def test_every_optimizer_keeps_the_laws(name, options):
    laws.run("optimizers", name, options)
