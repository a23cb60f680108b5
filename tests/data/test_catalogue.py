"""The catalogue: complete, typed, and true where the files lie."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ostinato.data import catalogue
from ostinato.errors import DataError

ENTRIES = catalogue.entries()
NOT_SAFE = re.compile(r"(^/|\.\.|\\|:)")


def test_the_light_part_stays_light():
    code = (
        "import sys, ostinato.data.catalogue, ostinato.data.fetch; ostinato.data.catalogue.entries(); "
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "polars", "pydantic"} & set(done.stdout.split())


def test_thirty_five_sets_and_the_built_in_one():
    assert len(ENTRIES) == 36
    assert [name for name, entry in ENTRIES.items() if entry.builtin] == ["dates"]


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=lambda entry: entry.name)
def test_an_entry_says_what_it_is_and_where_it_lives(entry):
    assert entry.task and entry.licence and entry.files
    assert bool(entry.reason) is not entry.free
    assert entry.builtin or re.fullmatch(r"[\w.-]+/[\w.-]+", entry.repository)
    assert entry.builtin or re.fullmatch(r"[0-9a-f]{7}|[0-9a-f]{40}", entry.commit)
    assert entry.home.startswith("https://github.com/") is not entry.builtin
    assert len({file.name for file in entry.files}) == len(entry.files)
    assert "\n" not in entry.task and len(entry.task) < 80


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=lambda entry: entry.name)
def test_the_facts_of_every_file_fit_together(entry):
    for file in entry.files:
        assert isinstance(file.bytes, int) and file.bytes > 0
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert not NOT_SAFE.search(file.name) and "/" not in file.name
        assert bool(file.path) is (entry.free and not entry.builtin)
        assert not NOT_SAFE.search(file.path)
        assert file.store in ("", "gz") and (file.store == "gz") is bool(file.original_sha256) is bool(
            file.original_bytes
        )
        assert file.store == "" or (file.name.endswith(".gz") and re.fullmatch(r"[0-9a-f]{64}", file.original_sha256))
        assert file.archive in ("", "zip", "tar") and bool(file.archive) is bool(file.member)


def test_what_has_no_free_licence_is_not_free():
    forbidden = ("not stated", "BY-NC", "Linguistic Data Consortium", "Reuters", "Microsoft")
    for entry in ENTRIES.values():
        assert not (entry.free and any(word in entry.licence for word in forbidden)), entry.name


def test_the_built_in_files_are_those_of_the_catalogue():
    dates = ENTRIES["dates"]
    assert dates.missing(Path("nowhere")) == []
    for file in dates.files:
        content = (dates.folder(Path("nowhere")) / file.name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)


def test_missing_files_are_named(tmp_path):
    entry = ENTRIES["tiny-shakespeare"]
    assert entry.missing(tmp_path) == ["input.txt.gz"]
    (tmp_path / entry.name).mkdir()
    (tmp_path / entry.name / "input.txt.gz").write_bytes(b"x")
    assert entry.missing(tmp_path) == []


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(DataError, match="did you mean 'scan-commands'"):
        catalogue.find("scan-comands")


@pytest.mark.skipif("OSTINATO_DATA" not in os.environ, reason="OSTINATO_DATA names no folder of data sets")
def test_what_lies_under_the_data_root_is_what_the_catalogue_says():
    root, seen = Path(os.environ.get("OSTINATO_DATA", "")), 0
    for entry in ENTRIES.values():
        for file in entry.files:
            path = entry.folder(root) / file.name
            if path.exists():
                seen += 1
                assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256, path
    assert seen
