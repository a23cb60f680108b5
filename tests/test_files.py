"""Writes are whole or absent, and what the disk refuses is said clearly."""

import errno
import os
import shutil
import subprocess
import sys

import pytest

from ostinato import files
from ostinato.errors import DataError


def test_a_file_is_written_whole_with_its_folder_and_nothing_beside_it(tmp_path):
    files.write(tmp_path / "a" / "b.txt", "grün")
    files.write(tmp_path / "a" / "b.txt", b"\x00new")
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"\x00new" and len(list((tmp_path / "a").iterdir())) == 1


@pytest.mark.parametrize("moment", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, r"the disk is full \([\d,]+ MB free\); free some space or choose another folder"),
        (errno.EROFS, "the folder is read-only for this user; choose another or change its permissions"),
        (errno.EACCES, "the folder is read-only for this user; choose another or change its permissions"),
        (errno.EIO, "Input/output error; choose another folder, or look at the disk"),
    ],
)
def test_the_advice_on_a_refused_write_and_the_old_file_stands(tmp_path, monkeypatch, moment, number, advice):
    """Another folder, or this one once the system takes it, is written."""
    files.write(tmp_path / "a", "old")

    def refuse(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, moment, refuse)
    with pytest.raises(
        DataError, match=f"{tmp_path}/a: could not be written: {advice}. What was written before is int"
    ):
        files.write(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old" and len(list(tmp_path.iterdir())) == 1
    monkeypatch.undo()
    for folder in (tmp_path, tmp_path / "other"):
        files.write(folder / "a", "new")


def test_the_advice_on_a_path_through_a_file(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(DataError, match=r"is a file, not a folder \(.*\); choose another folder"):
        files.write(tmp_path / "a" / "b", "")
    files.write(tmp_path / "c" / "b", "")


def test_the_advice_on_the_systems_limit_on_a_files_size_and_nothing_half_stays(tmp_path):
    """A real refusal in the middle of a real write; the raised limit lets it be."""
    script = (
        "import resource, sys; from pathlib import Path; from ostinato import files; from ostinato.errors import "
        "DataError\n"
        "most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, most))\n"
        "def write(name):\n"
        "    with files.new_folder(Path(sys.argv[1]) / name) as new: files.write_synced(new / 'y', bytes(1 << 20))\n"
        "try: write('x')\n"
        "except DataError as problem: print(problem)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))\n"
        "write('z')"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "the file would exceed the system's limit on file sizes; raise it (ulimit -f)." in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["z"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_explained(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="read-only"):
        files.write(tmp_path / "a", "")
    tmp_path.chmod(0o700)


def test_a_folder_appears_whole_or_not_at_all_and_the_advice_is_to_choose_another_name(tmp_path):
    with pytest.raises(KeyError), files.new_folder(tmp_path / "x") as new:
        files.write_synced(new / "a", "1")
        raise KeyError
    assert not list(tmp_path.iterdir())
    with files.new_folder(tmp_path / "x") as new:
        files.write_synced(new / "a", "1")
        assert not (tmp_path / "x").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["x"] and (tmp_path / "x" / "a").read_text() == "1"
    advice = "exists already; delete it or choose another name"
    with pytest.raises(DataError, match=advice), files.new_folder(tmp_path / "x"):
        pytest.fail("was entered")
    shutil.rmtree(tmp_path / "x")
    for name in ("x", "z"):
        with files.new_folder(tmp_path / name) as new:
            files.write_synced(new / "a", "1")


def test_sweeping_deletes_what_was_never_finished_and_nothing_else(tmp_path):
    (tmp_path / ".a.1.partial").mkdir()
    (tmp_path / ".a.1.partial" / "b").write_text("")
    (tmp_path / ".c.2.partial").write_text("")
    (tmp_path / "partial").write_text("")
    assert files.sweep(tmp_path) == 2 and [path.name for path in tmp_path.iterdir()] == ["partial"]
    assert files.sweep(tmp_path / "not there") == 0


def test_json_has_null_for_what_is_not_finite_at_any_depth():
    text = files.as_json({"a": [1.5, float("nan"), ("grün", float("-inf"))], "b": {"c": float("inf")}})
    assert text == '{"a": [1.5, null, ["grün", null]], "b": {"c": null}}'
