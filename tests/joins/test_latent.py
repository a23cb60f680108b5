"""The code between a reader and a writer: its distance, what is paid of it and when, and what is made from it alone."""

import json
import math
import random

import pytest
import torch
from click.testing import CliRunner

import ostinato
from ostinato import api
from ostinato.cli.main import group
from ostinato.encoders.contract import Encoded
from ostinato.joins.latent import Latent
from ostinato.recipe.read import load


def read(rows=6, width=3):
    torch.manual_seed(1)
    return [Encoded(None, torch.randn(rows, width), None)]


@torch.no_grad()
def test_the_distance_is_that_of_two_normals_and_the_code_is_drawn_from_the_first():
    torch.manual_seed(0)
    join, encoded = Latent([None], [3], size=2), read()
    mean, spread = join.code(encoded[0].summary).chunk(2, 1)
    first = torch.distributions.Normal(mean, torch.exp(spread / 2))
    expected = torch.distributions.kl_divergence(first, torch.distributions.Normal(0.0, 1.0))
    total, count = join.train().join(encoded).penalties["kl"]
    assert count is None and torch.allclose(total, expected.sum(), rtol=1e-5)
    drawn = torch.stack([join.join(encoded).summary for _ in range(4000)])
    assert torch.allclose(drawn.mean(0), mean, atol=0.1) and torch.allclose(drawn.std(0), first.scale, atol=0.1)
    assert torch.allclose(join.eval().join(encoded).summary, mean, atol=1e-6)
    code, cost = join.scored(encoded)
    assert torch.allclose(cost, expected.sum(1), rtol=1e-5) and not torch.equal(code.summary, mean)


@torch.no_grad()
def test_free_nats_are_paid_in_training_alone_and_the_weight_rises():
    torch.manual_seed(0)
    join, encoded = Latent([None], [3], size=2, free=5.0, weight=0.5, annealing=10), read()
    assert float(join.train().join(encoded).penalties["kl"][0]) == pytest.approx(6 * 2 * 5.0)
    assert float(join.eval().join(encoded).penalties["kl"][0]) < 6 * 2 * 5.0
    assert [join.penalty_weights(update)["kl"] for update in (0, 4, 10, 99)] == pytest.approx([0, 0.2, 0.5, 0.5])


RECIPE = """
data:    {train: words.jsonl, valid: words.jsonl}
inputs:  {word: {type: text, tokenizer: char, encoder: {cell: gru, hidden_size: 24, embedding_size: 8}}}
outputs:
  again:
    column: word
    type: text
    tokenizer: {same_as: word}
    align: free
    join: {type: latent, size: 4, annealing: 40, weight: 0.05}
    head: {decoder: {cell: gru, hidden_size: 32, attention: none}, embedding_size: 8, word_dropout: 0.2}
search: greedy
training: {epochs: 25, batch_rows: 8, optimizer: {type: adam, learning_rate: 0.01}, schedule: constant}
"""
COUNTED = {"column": "word", "type": "text", "encoder": {"type": "ngrams"}}
WORDS = ["aaaa", "bbbb", "abab", "baba"]


def test_words_are_bounded_generated_and_mixed(tmp_path):
    draw = random.Random(0)
    lines = [json.dumps({"word": draw.choice(WORDS)}) + "\n" for _ in range(64)]
    (tmp_path / "words.jsonl").write_text("".join(lines))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    run = api.fit(load(tmp_path / "recipe.yaml"), tmp_path / "run", device="cpu")
    loss = [json.loads(line) for line in (tmp_path / "run/history.jsonl").read_text().splitlines()]
    assert any("again.kl" in json.dumps(line) for line in loss)

    def asked(*words):
        told = CliRunner().invoke(group, ["generate", str(run.folder), *words, "--device", "cpu"])
        assert told.exit_code == 0, told.output
        return told.output.splitlines()

    assert asked("--number", "12") == asked("--number", "12") != asked("--number", "12", "--seed", "1")
    drawn = asked("--number", "40")
    assert sum(word in WORDS for word in drawn) >= 20 and len(set(drawn)) >= 2
    ends = [prediction.best["again"].text for prediction in api.predict(run, ["aaaa", "bbbb"], device="cpu")]
    between = asked("--number", "5", "--between", "aaaa", "bbbb")
    assert [between[0], between[-1]] == ends and ends == ["aaaa", "bbbb"]
    hot = ("--set", "search={type: sample, temperature: 30}", "--number", "9", "--between", "aaaa", "bbbb")
    assert asked(*hot, "--seed", "1") == asked(*hot, "--seed", "1") != asked(*hot, "--seed", "2")

    # What a code costs and what is then reconstructed make the loss, each reported beside it.
    measured = api.evaluate(run, split="valid", device="cpu").outputs["again"]
    scored = api.score(run, str(tmp_path / "words.jsonl"), device="cpu")["again"]
    loss = -sum(scored.log_probability) / sum(scored.num_targets)
    targets = sum(scored.num_targets) / len(scored.num_targets)
    reconstruction, distance = measured["reconstruction_loss"].value, measured["kl_divergence"].value
    assert math.log(2) < distance < 20 and 0 < reconstruction < loss
    assert reconstruction + distance / targets == pytest.approx(loss, rel=1e-4)

    # A bound: it is not better than the entropy of four words of equal chance.
    scores = api.score(run, str(tmp_path / "words.jsonl"), device="cpu")["again"].log_probability
    assert math.log(3.5) < -sum(scores) / len(scores) < 12.0


def test_what_is_counted_beside_a_code_is_scored_with_it(tmp_path):
    draw = random.Random(0)
    words = [draw.choice(WORDS) for _ in range(48)]
    rows = [{"word": word, "kind": word[0]} for word in words]
    model = ostinato.Model(
        {"word": {"type": "text", "tokenizer": "char", "encoder": {"hidden_size": 8}}, "counted": COUNTED},
        {"kind": {"type": "category", "join": {"type": "latent", "size": 2}}},
        training={"epochs": 2},
    )
    model.fit(rows[:32], rows[32:], device="cpu", folder=tmp_path / "run")
    measured = model.evaluate(rows[32:]).outputs["kind"]
    assert math.isfinite(measured["log_loss"].value) and 0 <= measured["accuracy"].value <= 100, list(measured)


def test_a_run_without_a_code_is_refused_with_what_to_do():
    class Plain:
        folder, outputs = "run", {"label": None}

        class graph:
            joins: dict = {}

    from ostinato.run.generate import generated

    with pytest.raises(Exception, match="needs a run of one output .* `join: latent`"):
        generated(Plain, 3, None)
