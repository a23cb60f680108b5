"""The preparation of data sets that are not tables, on tiny made-up inputs."""

import csv
import gzip
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "prepare.py"


def packed(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()))


def prepare(name: str, root: Path, out: Path) -> subprocess.CompletedProcess:
    words = [sys.executable, str(TOOL), name, "--data-root", str(root), "--out", str(out)]
    return subprocess.run(words, capture_output=True, text=True)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_scan_becomes_commands_beside_actions(tmp_path):
    folder = tmp_path / "scan-commands"
    packed(folder / "tasks_train_simple.txt.gz", "IN: jump left OUT: I_TURN_LEFT I_JUMP\nIN: run OUT: I_RUN\n")
    packed(folder / "tasks_test_simple.txt.gz", "IN: walk OUT: I_WALK\r\n")
    assert prepare("scan", tmp_path, tmp_path).returncode == 0
    assert rows(tmp_path / "prepared-scan/train.tsv") == [
        {"command": "jump left", "actions": "I_TURN_LEFT I_JUMP"},
        {"command": "run", "actions": "I_RUN"},
    ]
    assert rows(tmp_path / "prepared-scan/test.tsv") == [{"command": "walk", "actions": "I_WALK"}]


def test_a_line_that_is_not_scan_is_refused_with_its_place(tmp_path):
    for name in ("train", "test"):
        packed(tmp_path / f"scan-commands/tasks_{name}_simple.txt.gz", "IN: run OUT: I_RUN\nrun I_RUN\n")
    told = prepare("scan", tmp_path, tmp_path)
    assert told.returncode == 1 and "tasks_train_simple.txt.gz line 2" in told.stderr and "Traceback" not in told.stderr


def test_cmudict_loses_stress_comments_and_repeated_variants_and_keeps_a_word_on_one_side(tmp_path):
    words = [f"w{number:02d}" for number in range(23)]
    lines = [f"{word} W AH{number % 3}" for number, word in enumerate(words)]
    lines += ["W01(2) W EH1 # rare", "w02(2) W IH0", "w02(3) W IH2", "w20(2) W OW1"]
    packed(tmp_path / "cmu-pronouncing-dictionary/cmudict.dict.gz", "\n".join(lines) + "\n")
    assert prepare("cmudict", tmp_path, tmp_path).returncode == 0
    split = {name: rows(tmp_path / f"prepared-cmudict/{name}.tsv") for name in ("train", "valid", "test")}
    assert split["test"] == [
        {"word": "w00", "sounds": "W AH", "variants": "W AH"},
        {"word": "w20", "sounds": "W AH", "variants": "W AH | W OW"},
    ]
    assert split["valid"][0] == {"word": "w01", "sounds": "W AH", "variants": "W AH | W EH"}
    assert [row["word"] for row in split["valid"]] == ["w01", "w21"]
    assert [row["sounds"] for row in split["train"] if row["word"] == "w02"] == ["W AH", "W IH"]
    assert [row["word"] for row in split["train"]] == sorted(["w02", *set(words) - {"w00", "w01", "w20", "w21"}])


def test_copies_are_equal_of_every_tested_length_and_the_same_in_every_run(tmp_path):
    for run in ("first", "second"):
        assert prepare("copy", tmp_path, tmp_path / run).returncode == 0
    for split in ("train", "test"):
        first, second = (tmp_path / run / f"prepared-copy/{split}.tsv" for run in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
        made = rows(first)
        assert all(row["given"] == row["copied"] and len(row["given"].split()) == int(row["length"]) for row in made)
        counts = Counter(int(row["length"]) for row in made)
        if split == "train":
            assert set(counts) == set(range(1, 41)) and max(counts.values()) < 1.3 * min(counts.values())
        else:
            assert counts == dict.fromkeys(range(1, 61), 100)


@pytest.mark.parametrize("name", ["scan", "cmudict"])
def test_missing_data_are_told_without_a_traceback(tmp_path, name):
    told = prepare(name, tmp_path, tmp_path)
    assert told.returncode == 1 and "no such file" in told.stderr and "Traceback" not in told.stderr
