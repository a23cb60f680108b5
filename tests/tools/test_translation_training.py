"""The translation benchmark on made-up captions, without its peer: that it runs, and what it counts."""

import gzip
import importlib.util
import json
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[2]
WORDS = "ein Mann eine Frau Hund läuft steht im Park am Strand mit Ball".split()


@pytest.fixture
def benchmark(tmp_path, monkeypatch):
    """benchmarks/translation_training.py with folders of its own and no peer."""
    spec = importlib.util.spec_from_file_location(
        "translation_training", HOME / "benchmarks" / "translation_training.py"
    )
    tool = importlib.util.module_from_spec(spec)
    monkeypatch.syspath_prepend(HOME / "benchmarks")
    monkeypatch.setitem(sys.modules, "translation_training", tool)
    spec.loader.exec_module(tool)
    monkeypatch.setattr(tool, "PEER", tmp_path / "no-peer")
    monkeypatch.setattr(tool, "FOLDER", tmp_path / "m30k")
    monkeypatch.setattr(tool, "RESULT", tmp_path / "result.json")
    monkeypatch.setattr(tool, "PIECES", 300)
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    return tool


def captions(folder: Path) -> None:
    folder.mkdir()
    for split, rows in (("train", 200), ("val", 70), ("test_2016_flickr", 10)):
        for language in ("de", "en"):
            lines = [
                " ".join(WORDS[(row * 7 + place) % len(WORDS)] for place in range(2 + row % 4)) for row in range(rows)
            ]
            lines[1] += " und" * 100
            (folder / f"{split}.{language}.gz").write_bytes(gzip.compress("\n".join(lines).encode()))


def test_without_the_peer_it_says_so_and_measures_ostinato_alone(benchmark, tmp_path, monkeypatch, capsys):
    captions(tmp_path / "multi30k-translation")
    arguments = ["--data-root", str(tmp_path), "--piece", "1", "--rounds", "2", "--sentences", "4", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["translation_training.py", *arguments])
    benchmark.main()
    told, found = capsys.readouterr().out, json.loads(benchmark.RESULT.read_text())
    assert "JoeyNMT is not installed" in told and found["peer"] is None and "ratio" not in found["training"]
    assert len(found["training"]["ostinato"]["all"]) == 2 and len(found["decoding"]["ostinato"]["all"]) == 3
    references = [line.split() for line in (benchmark.FOLDER / "test.en").read_text().splitlines()]
    assert found["decoding"]["symbols"]["ostinato"] == round(sum(len(one) + 1 for one in references) / len(references))
    assert str(tmp_path) not in benchmark.RESULT.read_text()


def test_both_sides_are_given_the_same_rows_none_longer_than_the_peer_takes(benchmark, tmp_path):
    captions(tmp_path / "multi30k-translation")
    sizes = benchmark.prepare_data(tmp_path, updates=2, sentences=5)
    for split, rows in (("train", 128), ("dev", 64), ("test", 5)):
        for language in ("de", "en"):
            lines = (benchmark.FOLDER / f"{split}.{language}").read_text().splitlines()
            assert len(lines) == rows and max(len(line.split()) for line in lines) <= 60
    known = set((benchmark.FOLDER / "voc.en").read_text().split())
    assert len(known) == sizes["en"] and known == set((benchmark.FOLDER / "train.en").read_text().split())


def test_the_ratio_is_taken_piece_by_piece(benchmark):
    found = benchmark.summed_up({"ostinato": [10.0, 30.0, 20.0], "joeynmt": [5.0, 10.0, 20.0]})
    assert found["ratio"] == {"median": 2.0, "low": 1.0, "high": 3.0, "all": [2.0, 3.0, 1.0]}
