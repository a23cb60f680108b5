"""The laws of metrics, on every member of the room with every option."""

import pytest

from ostinato import registry
from ostinato.testing import laws


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, options) for name in registry.names("metrics") for options in laws.variants("metrics", name)],
    ids=str,
)
def test_every_metric_keeps_the_laws(name, options):
    laws.run("metrics", name, options)
