"""The native library is found, checked before it is believed, and its absence is a reason, not a failure."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from ostinato.errors import KernelError
from ostinato.kernels import native_library as loading

needs_native = pytest.mark.skipif(loading.library() is None, reason="no native library in this installation")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An installation's folder, empty for now."""
    monkeypatch.setattr(loading, "_FOLDER", tmp_path)
    loading._found.cache_clear()
    yield tmp_path
    loading._found.cache_clear()


def test_an_installation_without_a_library_says_why(folder):
    assert loading.library() is None
    assert (
        loading.why_not() == "this installation has no native library: no C++ compiler was found when it was installed"
    )


def test_what_the_build_noted_is_told(folder):
    (folder / "_native_build_error.txt").write_text("CompileError: g++ said no\n")
    assert loading.why_not() == "this installation has no native library: CompileError: g++ said no"


def test_a_file_that_is_no_library_is_told(folder):
    (folder / "_native.so").write_bytes(b"no library")
    assert loading.library() is None
    assert "_native.so cannot be loaded" in loading.why_not()


@needs_native
def test_a_library_of_another_version_is_refused(monkeypatch):
    monkeypatch.setattr(loading, "ABI", loading.ABI + 1)
    with pytest.raises(
        KernelError, match=f"_native.so has boundary {loading.ABI - 1}, this package needs {loading.ABI}: install"
    ):
        loading.Library(Path(loading.__file__).with_name("_native.so"))


@needs_native
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            lambda fields: [fields[1], fields[0], *fields[2:]],
            "d_hidden_stride of Gradients is 8, this package has 0: install",
        ),
        (lambda fields: fields[:-1], "its size of Gradients is 112, this package has 104: install"),
        (
            lambda fields: [*fields, ("d_new", ctypes.c_void_p)],
            "d_new of Gradients is absent, this package has 112: install",
        ),
        (
            lambda fields: [("d_other", fields[0][1]), *fields[1:]],
            "d_other of Gradients is absent, this package has 0: install",
        ),
    ],
    ids=["swapped", "forgotten", "added", "renamed"],
)
def test_a_structure_whose_fields_lie_elsewhere_is_refused_when_the_library_is_loaded(monkeypatch, fields, message):
    changed = type("Gradients", (ctypes.Structure,), {"_fields_": fields(list(loading.Gradients._fields_))})
    monkeypatch.setattr(loading, "Gradients", changed)
    with pytest.raises(KernelError, match=message):
        loading.Library(Path(loading.__file__).with_name("_native.so"))


@needs_native
def test_the_cells_are_those_of_the_table_and_no_other():
    cells = loading.library().cells
    assert [facts.number for facts in cells.values()] == list(range(len(cells)))
    assert cells["lstm"] == (3, 4, 1, True, False, False) and cells["gru_after"].extra_product
    assert [cells[name].in_extra for name in ("rnn_tanh", "lstm", "gru_after", "slstm")] == [1, 1, 1, 3]
    with pytest.raises(KernelError, match="no cell has the name 'gru'; allowed here: gru_after, gru_before"):
        loading.library().cell("gru")


def test_every_cell_has_its_own_case_and_none_is_computed_by_default():
    sources = Path(loading.__file__).parents[2] / "native"
    dispatch = (sources / "kernels.h").read_text()
    assert "default:" not in dispatch and "switch (cell) { OSTINATO_CELLS(OSTINATO_CASE) }" in dispatch
    assert "const_cast" not in (sources / "recurrence.h").read_text()


@needs_native
def test_plain_is_on_every_machine_and_the_first_set_is_taken():
    one = loading.library()
    assert one.instruction_sets[-1] == "plain" and one.instruction_set in one.instruction_sets
    with pytest.raises(KernelError, match="no instruction set 'sse9'; this machine can use: .*plain"):
        one.use("sse9")


@needs_native
def test_the_words_python_hands_over_are_the_headers():
    header = (Path(__file__).parents[2] / "native" / "ostinato.h").read_text()
    assert f"#define OSTINATO_ABI {loading.ABI}\n" in header


@needs_native
@pytest.mark.skipif(shutil.which("nm") is None, reason="nm is not installed")
def test_the_library_exports_its_boundary_and_nothing_else():
    path = Path(loading.__file__).with_name("_native.so")
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", "--format=posix", path], capture_output=True, text=True, check=True
    )
    names = [line.split()[0] for line in listed.stdout.splitlines()]
    # beside the standard library's own templates (_ZNSt), which it declares visible
    assert names and all(name.startswith(("ostinato_", "_ZNSt")) for name in names), names


@needs_native
def test_the_library_needs_no_python_and_no_torch():
    path = Path(loading.__file__).with_name("_native.so")
    assert ctypes.CDLL(str(path)).ostinato_abi() == loading.ABI
    assert b"libtorch" not in path.read_bytes() and b"libpython" not in path.read_bytes()
