"""The benchmark of transfer between pictures: its labels, and what is kept and drawn, the trainings replaced."""

import json
import sys

import pytest

from tests.scripts import script

pytest.importorskip("PIL")


@pytest.fixture
def transfer(tmp_path, monkeypatch):
    module = script("benchmarks/transfer.py")
    for name in ("NUMBERS", "PLOT"):
        monkeypatch.setattr(module, name, tmp_path / getattr(module, name).name)
    return module


def test_pictures_have_the_same_labels_again_and_other_ones_by_another_seed(transfer):
    first, again, other = (transfer.pictures(6, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert {"number", "most", "kind", "color"} < set(first[0]) and first[0]["picture"].startswith(b"\x89PNG")


def test_each_draw_is_measured_once(transfer, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "pretrained", lambda folder, valid: folder)
    monkeypatch.setattr(transfer, "pictures", lambda count, seed: [{}] * count)
    monkeypatch.setattr(transfer, "plot", lambda measured: None)
    calls = []

    def accuracy(way, train, *others):
        calls.append((way, len(train)))
        return 50.0 + len(calls)

    monkeypatch.setattr(transfer, "accuracy", accuracy)
    for draws, count in ((1, 9), (2, 18)):
        monkeypatch.setattr(sys, "argv", ["transfer.py", "--out", str(tmp_path), "--draws", str(draws)])
        transfer.main()
        assert len(calls) == count
    measured = json.loads(transfer.NUMBERS.read_text())["accuracy"]
    assert measured["frozen"] == {"20": [51.0, 60.0], "100": [52.0, 61.0], "500": [53.0, 62.0]}


@pytest.mark.slow
def test_the_plot_is_drawn(transfer):
    transfer.plot({way: {str(size): [40.0, 50.0] for size in transfer.SIZES} for way in transfer.WAYS})
    assert transfer.PLOT.stat().st_size > 5000
