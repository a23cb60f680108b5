"""`calibration: temperature`: fitted on validation once training is over, kept with the run, in every probability."""

import json
import math
import re
import shutil

import numpy as np
import pytest

from ostinato import api
from ostinato.errors import ConfigError
from ostinato.recipe.read import from_arguments
from ostinato.run import bundle as bundles
from ostinato.run.run import Run

WORDS = [["sun", "sea"], ["rain", "fog"], ["snow"]]


def recipe_of(folder, outputs, calibration):
    drawn = np.random.default_rng(0)
    # Training rows are always right, a third of the validation rows are wrong: what is learnt is too sure.
    for split, wrong in (("train", 0.0), ("valid", 0.35)):
        rows = [
            {"w": WORDS[at % 3], "y": "abc"[label], "t": ["XYZ"[label]] * len(WORDS[at % 3]), "m": ["abc"[label]]}
            for at in range(60)
            if (label := int(drawn.integers(3)) if drawn.random() < wrong else at % 3) is not None
        ]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return from_arguments(
        {"w": {"type": "tokens", "encoder": {"type": "recurrent", "hidden_size": 8, "embedding_size": 8}}},
        outputs,
        data={split: str(folder / f"{split}.jsonl") for split in ("train", "valid")},
        training={
            "epochs": 4,
            "batch_rows": 12,
            "keep_best": False,
            "optimizer": {"type": "adam", "learning_rate": 0.1},
        },
        refused={"calibration": calibration},
    )


OUTPUTS = {
    "y": "category",
    "t": {"type": "tags", "head": "tagger"},
    "chain": {"type": "tags", "column": "t", "head": "crf"},
    "m": {"type": "category", "multilabel": True},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder, notes = tmp_path_factory.mktemp("calibration"), []
    plain = api.fit(recipe_of(folder, OUTPUTS, "none"), folder / "none", device="cpu")
    shutil.copytree(folder / "none", folder / "temperature")
    changed = recipe_of(folder, OUTPUTS, "temperature")
    cool = api.fit(changed, folder / "temperature", resume=True, device="cpu", say=notes.append)
    return plain, cool, notes


def losses(run):
    examples = run.folder.parent / "valid.jsonl"
    return {
        output: -sum(scores.log_probability) for output, scores in api.score(run, str(examples), device="cpu").items()
    }


def test_every_head_of_labels_is_less_sure_and_fits_validation_better(runs):
    plain, cool, notes = runs
    before, after = losses(plain), losses(cool)
    assert all(after[output] < 0.95 * before[output] for output in OUTPUTS), (before, after)
    assert all(temperature > 1.1 for temperature in cool.bundle.temperatures.values())
    assert cool.bundle.temperatures.keys() == OUTPUTS.keys() and not plain.bundle.temperatures
    (note,) = [note for note in notes if note.startswith("outputs.y: temperature")]
    mean = re.search(r"60 targets of valid, whose loss it brings from ([\d.]+) to ([\d.]+) nats", note)
    assert float(mean[1]) == pytest.approx(before["y"] / 60, rel=1e-3)
    assert float(mean[2]) == pytest.approx(after["y"] / 60, rel=1e-3)


def test_probabilities_are_those_of_the_temperature_and_answers_stay(runs):
    plain, cool, _ = runs
    temperature = cool.bundle.temperatures["y"]
    rows = [{"w": words} for words in WORDS]
    for first, second in zip(api.predict(plain, rows=rows), api.predict(Run.load(cool.folder), rows=rows)):
        shares = {label: math.exp(math.log(p) / temperature) for label, p in first.best["y"].probabilities.items()}
        expected = {label: share / sum(shares.values()) for label, share in shares.items()}
        assert second.best["y"].probabilities == pytest.approx(expected, rel=1e-4)
        assert all(first.best[output].value == second.best[output].value for output in ("y", "t", "chain"))
    finding = api.probe(cool, "calibration", split="valid")
    (known,) = [output for output in finding.outputs if output.output == "y"]
    uncalibrated = api.probe(plain, "calibration", split="valid").outputs[0]
    assert known.own == temperature and known.before == pytest.approx(uncalibrated.ece, abs=1e-6)
    assert known.ece < known.before and uncalibrated.own == 1.0
    assert "without its temperature" in finding.title


def test_a_run_ends_calibrated_and_a_finished_one_takes_over_another_calibration(runs):
    plain, cool, notes = runs
    folder, outputs = plain.folder.parent, {"y": "category"}
    assert any(note.startswith("the calibration has changed") for note in notes)
    run = api.fit(recipe_of(folder, outputs, "temperature"), folder / "once", device="cpu")
    assert bundles.load(run.folder).temperatures == run.bundle.temperatures and run.bundle.temperatures["y"] > 1
    again = api.fit(recipe_of(folder, outputs, "none"), folder / "once", resume=True, device="cpu")
    assert not bundles.load(again.folder).temperatures and again.graph.heads["y"].temperature == 1


def test_outputs_without_labels_refuse_it(tmp_path):
    with pytest.raises(ConfigError, match="calibration: 'temperature' makes probabilities of labels more or less sure"):
        recipe_of(tmp_path, {"t": {"type": "text", "column": "y"}}, "temperature")
