"""The build: without a compiler the package is installed all the same, and says so; one wheel serves every Python."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("setuptools", minversion="77")

ROOT = Path(__file__).parents[2]
NOTE, LIBRARY = "_native_build_error.txt", "_native.so"


@pytest.fixture
def project(tmp_path):
    """A copy of what is installed, without what was built."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("native", "ostinato"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.so", NOTE))
    return tmp_path


def run(folder, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder, capture_output=True, text=True, timeout=1200,
        env={**os.environ, **{k: str(v) for k, v in environment.items()}},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def without_compiler(folder):
    """Environments in which nothing compiles."""
    (folder / "nothing").mkdir()
    return {
        "a compiler that fails": {"CC": "/bin/false", "CXX": "/bin/false"},
        "no compiler": {"PATH": folder / "nothing"},
    }


@pytest.mark.parametrize("how", ["a compiler that fails", "no compiler"])
def test_without_a_compiler_the_build_goes_on_and_the_package_says_why(project, how):
    kernels = project / "ostinato" / "kernels"
    (kernels / LIBRARY).write_bytes(b"of an earlier build")
    run(project, "setup.py", "-q", "build_ext", "--inplace", **without_compiler(project)[how])
    assert not (kernels / LIBRARY).exists(), "an earlier build's library would be taken for this one's"
    assert (kernels / NOTE).read_text()
    code = (
        "import torch; from ostinato.cells.lstm import LSTM; from ostinato.kernels import dispatch; from "
        "ostinato.steps import Layout\n"
        "cell = LSTM(3, 4); x = torch.ones(5, 3); print(dispatch.backend(cell, x))\n"
        "dispatch.scan(cell, x, cell.start_state(2), Layout([2, 3]))[0].sum().backward()\n"
        "from ostinato.cli.main import main; main()"
    )
    backend, facts = run(project, "-c", code, "doctor", "--json", PYTHONPATH=project, OSTINATO_KERNEL="").split("\n", 1)
    assert backend.startswith("reference (this installation has no native library: ")
    facts = json.loads(facts)
    assert facts["kernels"] == "reference, cudnn" and (kernels / NOTE).read_text().strip() in facts["native kernel"]


def test_a_wheel_is_for_every_python_and_says_so_where_it_has_no_library(project):
    run(project, "setup.py", "-q", "bdist_wheel", CC="/bin/false", CXX="/bin/false")
    (wheel,) = (project / "dist").glob("*.whl")
    assert "-py3-none-" in wheel.name and not wheel.name.endswith("-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert f"ostinato/kernels/{NOTE}" in names and f"ostinato/kernels/{LIBRARY}" not in names
    assert "ostinato/builtin/dates.yaml" in names and not any(name.startswith("native/") for name in names)


def test_a_source_distribution_has_what_it_is_built_from(project):
    run(project, "setup.py", "-q", "sdist")
    (archive,) = (project / "dist").glob("*.tar.gz")
    names = {name.partition("/")[2] for name in tarfile.open(archive).getnames()}
    wanted = {path.relative_to(ROOT).as_posix() for path in (ROOT / "native").rglob("*") if path.is_file()}
    assert wanted <= names and {"setup.py", "pyproject.toml", "constraints.txt"} <= names


@pytest.mark.skipif(not shutil.which("nm") or not shutil.which("g++"), reason="needs g++ and nm")
def test_no_object_shares_a_symbol_with_another_instruction_set(tmp_path):
    # Without optimisation every function that is used is a symbol: what is not local here could be linked into the
    # plain path.
    made = tmp_path / "plain.o"
    flags = ["-O0", "-std=c++17", "-fvisibility=hidden", "-Wno-psabi"]
    subprocess.run(["g++", *flags, "-c", ROOT / "native" / "plain.cpp", "-o", made], check=True)
    listed = subprocess.run(
        ["nm", "--defined-only", "--format=posix", made], capture_output=True, text=True, check=True
    )
    shared = {line.split()[0] for line in listed.stdout.splitlines() if line.split()[1] in "WVuTBDR"}
    assert shared == {"_ZN8ostinato11plain_tableE"}


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="needs g++")
def test_an_instruction_set_that_does_not_compile_is_left_out(project):
    compiler = project / "compiler"
    compiler.write_text('#!/bin/sh\ncase "$*" in *-mavx*) exit 1;; esac\nexec g++ "$@"\n')
    compiler.chmod(0o755)
    run(project, "setup.py", "-q", "build_ext", "--inplace", CC=compiler, CXX=compiler)
    code = "from ostinato.kernels.native_library import library; print(*library().instruction_sets)"
    sets = run(project, "-c", code, PYTHONPATH=project, OSTINATO_INSTRUCTION_SET="").split()
    assert sets[-1] == "plain" and not {"avx2", "avx512"} & {*sets}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["a compiler that fails", "no compiler"])
@pytest.mark.parametrize("editable", [False, True])
def test_pip_installs_without_a_compiler(project, how, editable):
    environment = without_compiler(project)[how]
    run(project, "-m", "venv", "--without-pip", "--system-site-packages", "empty")
    python = project / "empty" / "bin" / "python"
    packages = next((project / "empty").rglob("site-packages"))
    rest = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "rest.pth").write_text("\n".join(rest))
    stale = project / "ostinato" / "kernels" / LIBRARY
    stale.write_bytes(b"of an earlier build")
    options = [
        "--quiet",
        "--no-build-isolation",
        "--no-deps",
        "--force-reinstall",
        *(["--editable"] if editable else []),
    ]
    run(project, "-m", "pip", "--python", python, "install", *options, project, **environment)
    code = (
        "import ostinato; from ostinato.kernels import native_library; print(ostinato.__file__); "
        "print(native_library.why_not())"
    )
    done = subprocess.run([python, "-I", "-c", code], cwd="/", capture_output=True, text=True, timeout=120)
    place, why = done.stdout.splitlines()
    assert Path(place).is_relative_to(project if editable else packages)
    assert why.startswith("this installation has no native library: ") and not (editable and stale.exists())
