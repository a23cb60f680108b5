"""The benchmark of memory horizons: its ranking, its task, what it keeps, and what the page claims of it."""

import json
import sys

import pytest
import torch

from tests.scripts import script


@pytest.fixture
def horizon(tmp_path, monkeypatch):
    module = script("benchmarks/horizon.py")
    monkeypatch.setattr(module, "RESULT", tmp_path / "horizon.json")
    monkeypatch.setattr(module, "PICTURE", tmp_path / "ranking.png")
    return module


def test_a_rank_correlation_counts_what_was_not_reached_as_the_largest(horizon):
    ordered = [(5, 8), (9, 12), (20, 16), (40, 64), (None, 128), (None, None)]
    found = horizon.rank_correlation(ordered)
    scipy = pytest.importorskip("scipy.stats")
    value = scipy.spearmanr([5, 9, 20, 40, 999, 999], [8, 12, 16, 64, 128, 999]).statistic
    assert found["spearman"] == pytest.approx(value, abs=1e-3) and found["low"] < value <= found["high"] <= 1
    assert found["p"] == pytest.approx(2 / 720, abs=0.001), "of 720 orders 2 rank as well, with the tie"
    assert horizon.rank_correlation([(a, -b) for (a, _), b in zip(ordered, range(6))])["spearman"] < -0.9


def test_an_example_is_a_symbol_and_noise_of_other_symbols(horizon):
    steps, right = horizon.recall(6, 50, torch.Generator().manual_seed(0))
    rows = steps.values.view(50, 7) - 3
    assert torch.equal(rows[:, 0], right.int()) and set(right.tolist()) == set(range(8))
    assert rows[:, 1:].min() == 8 and rows[:, 1:].max() == 15


def test_an_example_of_adding_has_two_marked_numbers_the_first_among_them(horizon):
    steps, right = horizon.adding(6, 300, torch.Generator().manual_seed(0))
    rows = steps.values.view(300, 7) - 3
    marked, numbers = rows >= 8, rows % 8
    assert marked[:, 0].all() and (marked.sum(1) == 2).all() and marked[:, 1:].any(0).all()
    assert torch.equal((numbers * marked).sum(1), right) and int(right.max()) < horizon.TASKS["adding"].answers


def test_a_model_fails_at_the_first_lag_that_no_rate_learns(horizon, monkeypatch):
    tried = []

    def accuracy(encoder, task, lag, rate):
        tried.append((lag, rate))
        return {4: 1.0, 6: 0.5 if rate == 0.003 else 0.95}.get(lag, 0.3)

    monkeypatch.setattr(horizon, "accuracy", accuracy)
    assert horizon.failure({}, horizon.TASKS["recall"]) == (8, {"4": 1.0, "6": 0.95, "8": 0.3})
    assert tried == [(4, 0.003), (6, 0.003), (6, 0.001), (8, 0.003), (8, 0.001)]


def test_a_convolution_learns_within_its_field_and_not_beyond(horizon, monkeypatch):
    monkeypatch.setattr(horizon, "WIDTH", 16)
    one, task = {"type": "convolutional", "layers": 1}, horizon.TASKS["recall"]._replace(updates=120)
    assert horizon.accuracy(one, task, 4, 0.01) > 0.9 > 0.3 > horizon.accuracy(one, task, 5, 0.01)


def test_each_part_of_each_model_is_measured_once(horizon, monkeypatch, capsys):
    measured = []

    def measure(encoder, updates=0):
        measured.append((encoder["name"], updates))
        if len(measured) == 6:
            raise KeyboardInterrupt
        far = 1 if encoder["name"] == "c" and updates == 0 else ord(encoder["name"])
        return {str(share): far for share in horizon.SHARES}

    monkeypatch.setattr(horizon, "SAMPLES", 100)
    monkeypatch.setattr(horizon, "ORDERS", 1000)
    monkeypatch.setattr(horizon, "MODELS", {name: {"name": name} for name in "abcdef"})
    monkeypatch.setattr(horizon, "at_start", measure)
    monkeypatch.setattr(horizon, "later", measure)
    monkeypatch.setattr(horizon, "failure", lambda encoder, task: (ord(encoder["name"]), {"4": 1.0}))
    monkeypatch.setattr(sys, "argv", ["horizon.py"])
    with pytest.raises(KeyboardInterrupt):
        horizon.main()
    horizon.main()
    assert measured == [*((name, part) for name in "ab" for part in (0, 1, None)), *measured[6:]]
    assert measured[5:7] == [("b", None), ("b", 0)], "a model is kept once it is whole"
    kept = json.loads(horizon.RESULT.read_text())
    start, first, learnt, without = kept["ranking"]["adding"].values()
    assert first["spearman"] == learnt["spearman"] == without["spearman"] == 1 > start["spearman"]
    assert start["models"] == first["models"] == without["models"] + 1 == 6
    assert horizon.PICTURE.stat().st_size > 10_000 and "ranks 6 models" in capsys.readouterr().out
    before = len(measured)
    horizon.main()
    assert len(measured) == before


def test_after_one_update_layers_that_passed_nothing_on_do(horizon):
    mlstm, convolution = (horizon.MODELS[name] for name in ("mLSTM", "convolution, 1 layer"))
    assert horizon.at_start(mlstm)["0.01"] == 1 and horizon.at_start(convolution)["0.01"] == 5
    assert horizon.later(mlstm, 1)["0.01"] is None and horizon.later(convolution, 1)["0.01"] == 5
