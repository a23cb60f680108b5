"""Imports point one way, rooms load nothing, and what should start at once loads nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ostinato

ROOT = Path(ostinato.__file__).parent

ORDER = (
    "errors",
    "notes",
    "files",
    "raw",
    "steps",
    "registry",
    "alignments",
    "tokenizers",
    "modalities",
    "metrics",
    "kernels",
    "cells",
    "attentions",
    "layers",
    "encoders",
    "joins",
    "decoders",
    "distributions",
    "heads",
    "searches",
    "nn",
    "model",
    "data",
    "settings",
    "training",
    "recipe",
    "preprocessing",
    "importers",
    "run",
    "evaluation",
    "probes",
    "reporting",
    "sweeps",
    "contracts",
    "verbs",
    "api",
    "estimator",
    "",  # ostinato/__init__.py: the face, which hands on what estimator has
    "cli",
    "__main__",
    "testing",
)
"""Files and folders of the package, lowest first: each may import only itself and what stands before it."""


def name_of(path):
    """The dotted name of a file below the package: `cells.gru`, `steps`, and nothing for the package itself."""
    return ".".join(part for part in path.relative_to(ROOT).with_suffix("").parts if part != "__init__")


def imported(path):
    """(line, dotted name below the package) of every import of a file, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: write the whole name, as all other files do"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "ostinato":
                yield node.lineno, rest


def arrows():
    for path in sorted(ROOT.rglob("*.py")):
        for line, target in imported(path):
            yield f"{path.relative_to(ROOT)}:{line}", name_of(path).partition(".")[0], target.partition(".")[0]


def test_every_file_and_room_has_its_place_in_the_order():
    found = {name_of(path).partition(".")[0] for path in ROOT.rglob("*.py")}
    assert found == set(ORDER), "a new room or file needs its place in ORDER, a deleted one none"


def test_no_import_points_upward():
    upward = [
        f"{place}: {source or 'ostinato'} imports {target}, which stands above it"
        for place, source, target in arrows()
        if {source, target} <= set(ORDER) and ORDER.index(target) > ORDER.index(source)
    ]
    assert not upward, "\n".join(upward)


def test_the_reader_of_imports_sees_all_of_them():
    seen = {(source, target) for _, source, target in arrows()}
    assert {
        ("cells", "kernels"),
        ("recipe", "training"),
        ("registry", "errors"),
        ("", "estimator"),
        ("model", "heads"),
    } <= seen


def test_the_init_of_every_room_is_empty():
    # nn is no room but a face, as torch.nn is: nothing lists it.
    for path in ROOT.rglob("__init__.py"):
        if path.parent not in (ROOT, ROOT / "nn"):
            assert path.read_text(encoding="utf-8") == "", path


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "ostinato", "list", "cells"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and "lstm" in done.stdout, done.stderr
    done = subprocess.run([sys.executable, "-m", "ostinato", "trian"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "python -m ostinato" in done.stderr, done.stderr


def test_every_folder_of_code_is_a_package():
    assert {path.parent for path in ROOT.rglob("*.py")} == {path.parent for path in ROOT.rglob("__init__.py")}


HEAVY = ("torch", "numpy", "polars", "matplotlib", "pandas", "tokenizers", "sacrebleu")


@pytest.mark.parametrize(
    "work",
    [
        "import ostinato",
        "import ostinato.settings",
        "from ostinato.registry import ROOMS, names; [names(room) for room in ROOMS]",
        *(f"import ostinato.cli.main as cli; cli.group.main({arguments!r}, standalone_mode=False)" for arguments in (
            ["--help"], ["list"], ["list", "cells"], ["--version"], ["data", "list"]
        )),
    ],
)  # fmt: skip
def test_what_should_start_at_once_loads_nothing_heavy(work):
    code = f"{work}\nimport sys; print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip().splitlines()[-1] == "[]"
