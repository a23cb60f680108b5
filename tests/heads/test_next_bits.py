"""Sets of labels that follow each other: the laws of the head, the density, and what a chorale of two voices teaches
it."""

import json
import math
import random

import numpy as np
import pytest
import torch

from ostinato import api
from ostinato.distributions.bernoulli import Bernoulli
from ostinato.distributions.nade import Nade
from ostinato.recipe.read import load
from ostinato.testing import laws


@pytest.mark.parametrize("options", [{}, {"bits": "nade", "hidden_units": 3}])
def test_laws(options):
    laws.run("heads", "next_bits", options)


def test_a_nade_whose_hidden_units_read_nothing_is_independent():
    torch.manual_seed(0)
    visible, hidden, writing = torch.randn(4, 5), torch.randn(4, 3), torch.randn(5, 3)
    bits = torch.randint(2, (4, 5)).float()
    alone = Bernoulli(visible + hidden.sigmoid() @ writing.T)
    nade = Nade(visible, hidden, torch.zeros(5, 3), writing)
    assert torch.allclose(nade.log_prob(bits), alone.log_prob(bits), atol=1e-5)
    assert torch.equal(nade.mode(), alone.mode())


RECIPE = """
data:    {train: train.jsonl, valid: valid.jsonl}
inputs:
  roll: {type: piano_roll, lowest: 48, keys: 28, encoder: {bidirectional: false, hidden_size: 8, embedding_size: 8}}
outputs:
  next:
    {column: roll, of: roll, type: piano_roll, lowest: 48, keys: 28, head: {type: next_bits, bits: nade}}
search:  {type: sample, max_length: 20}
training: {epochs: 20, batch_rows: 5, optimizer: {type: adam, learning_rate: 0.05}, schedule: constant}
"""
CHORDS = ([48, 55, 64, 72], [50, 57, 65, 74])


def test_one_choice_between_two_chords_costs_one_bit_and_not_one_for_each_key(tmp_path):
    drawn = random.Random(0)
    for name in ("train", "valid"):
        rolls = [[drawn.choice(CHORDS) for _ in range(12)] for _ in range(40)]
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps({'roll': roll})}\n" for roll in rolls))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    run = api.fit(load(tmp_path / "recipe.yaml"), tmp_path / "run", device="cpu")
    evaluated = api.evaluate(run, data=str(tmp_path / "valid.jsonl"), device="cpu").to_json()
    assert math.log(2) - 0.1 < evaluated["outputs"]["next"]["log_loss"]["value"] < math.log(2) + 0.6
    rows = [{"roll": []}, {"roll": np.zeros((3, 28))}]
    for prediction in api.predict(run, rows=rows, device="cpu"):
        frames = prediction.best["next"].value
        assert len(frames) == 20
        assert sum(frame in CHORDS for frame in frames) >= 14
