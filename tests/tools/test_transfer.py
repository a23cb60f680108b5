"""The benchmark of transfer between pictures: its labels, and what is kept and drawn, the trainings replaced."""

import gzip
import json
import sys
import zipfile

import pytest

from tests.scripts import script


@pytest.fixture
def transfer(tmp_path, monkeypatch):
    module = script("benchmarks/transfer.py")
    for name in ("NUMBERS", "PLOT"):
        monkeypatch.setattr(module, name, tmp_path / getattr(module, name).name)
    return module


def photographs(root, told):
    """A folder as the data set's, each picture with so many captions of five that name a dog."""
    folder = root / "flickr8k-captions"
    folder.mkdir()
    lines = [
        f"{name}.jpg#{k}\t{'Two Puppies run' if k < number else 'A hotdog stand'} .\n"
        for name, number in told.items()
        for k in range(5)
    ]
    (folder / "captions.token.txt.gz").write_bytes(gzip.compress("".join(lines).encode()))
    with zipfile.ZipFile(folder / "pictures_128.zip", "w") as archive:
        for name in told:
            archive.writestr(f"{name}.jpg", name)
    for split in ("train", "dev", "test"):
        (folder / f"{split}.txt").write_text("".join(f"{name}.jpg\n" for name in told))
    return root


def test_pictures_are_as_many_with_a_dog_as_without_and_doubtful_ones_are_left_out(transfer, tmp_path):
    root = photographs(tmp_path, {"a": 5, "b": 3, "c": 2, "d": 0, "e": 0, "f": 0, "g": 1})
    splits = transfer.pictures(root)
    rows = splits["train"]
    assert splits == transfer.pictures(root), "the same order again"
    assert {row["picture"] for row in rows if row["dog"] == "dog"} == {b"a", b"b"}
    assert len(rows) == 4 and {row["picture"] for row in rows if row["dog"] == "none"} < {b"d", b"e", b"f"}


def test_each_draw_is_measured_once_on_pictures_of_its_own(transfer, tmp_path, monkeypatch):
    rows = [{"number": number} for number in range(1500)]
    monkeypatch.setattr(transfer, "pictures", lambda root: {"train": rows, "dev": rows, "test": rows})
    monkeypatch.setattr(transfer, "weights_file", lambda: tmp_path)
    monkeypatch.setattr(transfer, "plot", lambda measured: None)
    calls = []

    class Trained:
        def fit(self, train, valid, verbose):
            calls.append((train[0]["number"], len(train)))

        def evaluate(self, test):
            value = type("Value", (), {"value": 50.0 + len(calls)})()
            return type("Report", (), {"outputs": {"dog": {"accuracy": value}}})()

    monkeypatch.setattr(transfer, "model", lambda *about: Trained())
    for draws, count in ((1, 9), (2, 18)):
        monkeypatch.setattr(sys, "argv", ["x", "--data-root", "x", "--out", str(tmp_path), "--draws", str(draws)])
        transfer.main()
        assert len(calls) == count
    assert calls[:3] == [(0, 20), (0, 100), (0, 500)] and calls[-1] == (500, 500)
    measured = json.loads(transfer.NUMBERS.read_text())["accuracy"]
    assert measured["frozen"] == {"20": [51.0, 60.0], "100": [52.0, 61.0], "500": [53.0, 62.0]}


@pytest.mark.parametrize("way", ["frozen", "fine-tuned", "scratch"])
def test_settings_are_those_of_a_recipe(transfer, tmp_path, way):
    made = transfer.model(way, 20, tmp_path / "weights.pth", 1)
    tune = {"frozen": "none", "fine-tuned": "all"}.get(way)
    picture = made.recipe.plain()["inputs"]["picture"]
    assert picture["encoder"].get("tune") == tune and made.recipe.plain()["training"]["batch_rows"] == 16


@pytest.mark.slow
def test_the_plot_is_drawn(transfer):
    transfer.plot({way: {str(size): [40.0, 50.0] for size in transfer.SIZES} for way in transfer.WAYS})
    assert transfer.PLOT.stat().st_size > 5000
