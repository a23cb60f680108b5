"""The laws of schedules, on every member of the room with every option."""

import pytest

from ostinato import registry
from ostinato.testing import laws


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (name, options)
        for name in registry.names("schedules")
        for options in laws.variants("schedules", name)
        if "lowest" not in options
    ],
    ids=str,
)
def test_every_schedule_keeps_the_laws(name, options):
    laws.run("schedules", name, options)
