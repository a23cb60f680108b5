"""The public door for plug-ins: every name of every room's contract is there, and it opens without anything heavy."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import ostinato.contracts as contracts
from ostinato import registry

ROOMS = {room: importlib.import_module(f"{module}.contract") for room, module in registry.ROOMS.items()}


def public(module):
    """The names that a module defines itself, without an underscore in front."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    yield target.id


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_of_a_rooms_contract_is_re_exported(room):
    missing = {name for name in public(ROOMS[room]) if not name.startswith("_")} - set(contracts.__all__)
    assert not missing, f"add them to the imports of ostinato/contracts.py: {', '.join(sorted(missing))}"
    for name in public(ROOMS[room]):
        if not name.startswith("_"):
            assert getattr(contracts, name) is getattr(ROOMS[room], name)


@pytest.mark.parametrize("name", contracts.__all__)
def test_every_listed_name_is_there(name):
    assert getattr(contracts, name) is not None and name in dir(contracts)


def test_a_name_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(AttributeError, match="has no 'Cel'; it has .*Cell"):
        contracts.Cel  # noqa: B018


def test_a_star_imports_all_of_them():
    names = {}
    exec("from ostinato.contracts import *", names)
    assert set(contracts.__all__) <= set(names)


def test_importing_it_loads_nothing_heavy():
    code = "import ostinato.contracts, sys; assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
