"""Run folders of an earlier version, in old words: they load, answer, score and measure as they did."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ostinato.recipe import read as recipe_read
from ostinato.recipe.migrate import report_today, tensor_names

OLD = Path(__file__).parents[1] / "fixtures" / "old_runs"
RUNS = sorted(path.name for path in OLD.iterdir())
OPTIONS = {
    "predict": [],
    "predict_n_best": ["--n-best", 3],
    "predict_greedy": ["--set", "search=greedy"],
    "predict_sample": ["--n-best", 2, "--set", "search=sample", "--set", "search.temperature=0.8", "--seed", 7],
}

NEWER = {"compared", "main", "labels", "words", "offsets", "entities", "probabilities", "step_probabilities"}
"""Keys that these runs did not know; what they knew stays."""
NO_SPREAD = ", which shows no spread"
"""What the method of an interval says since then where all examples are alike."""


@pytest.fixture(params=RUNS)
def old(request, tmp_path, monkeypatch):
    shutil.copytree(OLD / request.param, tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    return tmp_path / "old"


def data(folder, name):
    return next(folder.glob(f"{name}.*")).name


def like(found, expected):
    """The same values, numbers to rounding."""
    if isinstance(expected, dict):
        assert [key for key in found if key in expected] == list(expected)
        assert set(found) - set(expected) <= NEWER
        for key, value in expected.items():
            like(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            like(one, other)
    elif isinstance(expected, float):
        assert math.isclose(found, expected, rel_tol=1e-4, abs_tol=1e-5)
    else:
        assert (found.replace(NO_SPREAD, "") if isinstance(found, str) else found) == expected


def test_every_family_is_there():
    assert len(RUNS) >= 13 and sum(path.stat().st_size for path in OLD.rglob("*") if path.is_file()) < 500_000


def test_it_answers_as_it_did(old, cli):
    kept = [name for name in OPTIONS if (old / f"{name}.json").exists()]
    assert "predict" in kept
    for name in kept:
        options = [*OPTIONS[name]]
        if name == "predict_n_best" and "search: greedy" in (old / "recipe.yaml").read_text():
            options += ["--set", "search=beam"]
        done = cli("predict", "run", "--input", data(old, "ask"), "--json", *options)
        assert done.code == 0, done.err
        lines = (old / f"{name}.json").read_text().splitlines()
        like([json.loads(line) for line in done.out.splitlines()], [json.loads(line) for line in lines])


def test_it_scores_as_it_did(old, cli):
    done = cli("score", "run", "--input", data(old, "test"), "--json")
    assert done.code == 0, done.err
    lines = (old / "score.json").read_text().splitlines()
    like([json.loads(line) for line in done.out.splitlines()], [json.loads(line) for line in lines])


def test_it_measures_as_it_did(old, cli):
    done = cli("evaluate", "run", "--data", data(old, "test"), "--json")
    assert done.code == 0, done.err
    like(done.json, report_today(json.loads((old / "evaluate.json").read_text())))
    assert "was made by an earlier version; today" in done.err


def test_its_recipe_is_read_and_each_old_word_named(old):
    recipe = recipe_read.load("recipe.yaml")
    assert recipe.plain()["version"] == 3
    for word in ("both_ways", "known: ahead", "how: step_by_step", "watch"):
        assert word not in (old / "recipe.yaml").read_text() or any(word in note for note in recipe.notes)


def test_a_run_of_the_version_before_is_resumed_to_the_weights_that_it_would_have_had(tmp_path, monkeypatch, cli):
    shutil.copytree(OLD.parent / "old_checkpoint", tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    done = cli("train", "recipe.yaml", "--out", "run", "--resume", "--set", "training.epochs=5", "--device", "cpu")
    assert done.code == 0 and "trained 5 epochs" in done.err, done.err
    today = tensor_names(recipe_read.load("recipe.yaml").settings)
    reached, expected = load_file("run/weights.safetensors"), load_file("after_5_epochs.safetensors")
    assert reached.keys() == {today(name) for name in expected} != expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(reached[today(name)], tensor, rtol=1e-4, atol=1e-5)
