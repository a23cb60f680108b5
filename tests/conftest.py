"""What every test starts from: one thread, Ctrl-C as in a terminal, a name that is the same in every process."""

import os
import signal

import hypothesis
import pytest

# A machine that does other work too is slow, and no timing decides a test.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
# The workers share the cores, and torch's threads wait for each other by spinning.
os.environ["OMP_NUM_THREADS"] = "1"
# A shell that starts a job in the background has it ignore Ctrl-C, and its children too.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """A name that holds an address differs between the workers, which then refuse to run at all."""
    addressed = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if addressed:
        raise pytest.UsageError(f"{addressed[0]}: the address of an object names it; leave ids=str out there")
