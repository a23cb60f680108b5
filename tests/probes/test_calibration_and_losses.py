"""How sure a model is beside how often it is right, and where its loss is: closed forms and sums by hand."""

import dataclasses
import json

import numpy as np
import pytest

import ostinato
from ostinato import api
from ostinato.errors import ConfigError
from ostinato.probes.kinds.calibration import Calibration, _temperature
from ostinato.probes.kinds.losses import Losses
from ostinato.testing import laws
from ostinato.testing.probes import TEXTS, subject_of


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibration")
    rows = [
        {
            "w": [["sun", "sea"], ["rain"]][at % 2] * (1 + at % 3),
            "y": "gb"[at % 2 if at % 7 else 0],
            "place": "ab"[at % 2],
        }
        for at in range(40)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    built = ostinato.Model(
        {"w": {"type": "tokens", "encoder": {"hidden_size": 4, "embedding_size": 4}}},
        {"y": "category"},
        data={"train": str(folder / "rows.jsonl")},
        training={"epochs": 2, "batch_rows": 8},
    )
    return built.fit(folder=folder / "run", device="cpu").run


def test_the_error_of_a_model_is_that_of_its_probabilities(run, tmp_path):
    data = str(run.folder.parent / "rows.jsonl")
    finding = api.probe(run, "calibration", data=data, options={"bins": 4}, picture=tmp_path / "picture.svg")
    (known,) = finding.outputs
    rows = [json.loads(line) for line in (run.folder.parent / "rows.jsonl").read_text().splitlines()]
    shares = [answer.best["y"].probabilities for answer in api.predict(run, rows=rows)]
    sure = np.array([max(share.values()) for share in shares])
    right = np.array([max(share, key=share.get) == row["y"] for share, row in zip(shares, rows)])
    place = np.minimum((sure * 4).astype(int), 3)
    error = sum(abs((right - sure)[place == at].sum()) for at in range(4)) / 40
    assert known.ece == pytest.approx(error, abs=1e-6) and known.low <= known.ece <= known.high
    assert known.accuracy == right.mean() and known.confidence == pytest.approx(sure.mean(), abs=1e-6)
    assert sum(part.count for part in known.bins) == 40
    assert f"y is {abs(known.confidence - known.accuracy):.1%}" in finding.title
    assert "y is" in (tmp_path / "picture.svg").read_text() and finding.lines()[0] == finding.title
    with pytest.raises(ConfigError, match="no output of this model predicts labels at once"):
        plain = ostinato.Model({"x": "number"}, {"y": "number"}, training={"epochs": 1})
        plain.fit([{"x": float(at), "y": 1.0} for at in range(12)], device="cpu")
        api.probe(plain.run, "calibration", data=[{"x": 1.0, "y": 1.0}], split="valid")


def test_a_temperature_is_found_that_was_put_in():
    random = np.random.default_rng(0)
    scores = random.normal(size=(4_000, 3))
    right = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    labels = (random.random((4_000, 1)) > right.cumsum(1)).sum(1)
    sharper = right**2 / (right**2).sum(1, keepdims=True)
    assert _temperature(sharper, labels) == pytest.approx(2, rel=0.1)
    rows = np.arange(4_000)
    known = Calibration()._calibrated("y", sharper, labels, rows)
    assert known.ece > 0.1 > 0.05 > known.scaled and known.low > 0.1
    exact = Calibration()._calibrated("y", right, labels, rows)
    assert exact.ece < 0.05 and exact.temperature == pytest.approx(1, rel=0.1)


def test_losses_divide_as_their_sums_by_hand(run):
    model = subject_of({"cell": "gru", "hidden_size": 6, "embedding_size": 4})
    finding = Losses(parts=2).look(model)
    scored = model.graph.heads["follows"].score(
        model.graph.read("follows", model.batch.inputs), model.batch.targets["follows"]
    )
    losses = [-part[:, 0].detach().numpy() for part in scored.by_step.split()]
    whole = np.concatenate(losses)
    assert finding.mean["follows"] == pytest.approx(whole.mean(), rel=1e-5)
    by = {division.by: {part.name: part for part in division.parts} for division in finding.divisions}
    position = by["position"]["3 to 4"]
    own = [part[2:4] for part in losses]
    assert position.targets == sum(map(len, own)) and position.loss == pytest.approx(
        np.concatenate(own).mean(), rel=1e-5
    )
    sums = np.array([part.sum() - position.loss * len(part) for part in own])
    half = 1.96 * np.sqrt((sums**2).sum()) / position.targets
    assert position.high - position.loss == pytest.approx(half, rel=1e-4)
    longest = by["length"]["9 to 16"]
    assert longest.targets == len(TEXTS[2]) + 1 and "frequency" in by
    assert longest.low is None and longest.interval == "", "a single example has no interval"
    counted = sum(part.targets for part in by["frequency"].values())
    assert counted == sum(map(len, TEXTS)), "the end is no symbol that is counted"
    cut = Losses(parts=2).look(dataclasses.replace(model, cut=frozenset({0, 1})))
    ends = np.concatenate([losses[0][:-1], losses[1][:-1], *losses[2:]])
    assert cut.mean["follows"] == pytest.approx(ends.mean(), rel=1e-5), "where a text was cut is not its end"
    data = str(run.folder.parent / "rows.jsonl")
    groups = api.probe(run, "losses", data=data, options={"by": "place"}, rows=40)
    parts = next(division for division in groups.divisions if division.by == "place").parts
    assert {part.name for part in parts} == {"a", "b"} and sum(part.targets for part in parts) == 40
    assert parts[0].loss >= parts[1].loss and "y" in groups.title
    by = {division.by: {part.name: part.targets for part in division.parts} for division in groups.divisions}
    assert by["length"] == {"1": 7, "2": 14, "3 to 4": 12, "5 to 8": 7}, "of the input: each example has one label"
    assert len(by["frequency"]) == 2 and sum(by["frequency"].values()) == 40, "two labels are two frequencies"
    errors = api.errors(run, data=data, device="cpu")
    own = [row.outputs["y"].loss for row in errors.rows if row.prediction.cells["place"] == "a"]
    assert next(part for part in parts if part.name == "a").loss == pytest.approx(np.mean(own), rel=1e-4)


def test_their_laws_hold():
    laws.run("probes", "losses", tried={"parts": [1]})
    laws.run("probes", "calibration", tried={"bins": [1]})
