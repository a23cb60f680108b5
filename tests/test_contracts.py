"""The public door for plug-ins: every name of every room's contract is there, and it opens without anything heavy."""

import subprocess
import sys

import pytest

import ostinato.contracts as contracts


@pytest.mark.parametrize("name", contracts.__all__)
def test_every_listed_name_is_there(name):
    assert getattr(contracts, name) is not None and name in dir(contracts)


def test_a_name_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(AttributeError, match="has no 'Cel'; it has .*Cell"):
        contracts.Cel


def test_a_star_imports_all_of_them():
    names = {}
    exec("from ostinato.contracts import *", names)
    assert set(contracts.__all__) <= set(names)


def test_importing_it_loads_nothing_heavy():
    code = "import ostinato.contracts, sys; assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
