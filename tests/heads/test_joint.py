"""CTC beside attention: what both say together."""

import math

import pytest
import torch
from click.testing import CliRunner

from ostinato.cli.main import group
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.heads.contract import Sizes
from ostinato.registry import make
from ostinato.steps import Layout, Steps
from ostinato.testing import laws
from tests.heads.test_ctc import SPEC, frames, model

SMALL = {"attention": {"decoder": {"hidden_size": 6}, "embedding_size": 5}}


def test_laws():
    laws.run("heads", "joint", SMALL)


@torch.no_grad()
def test_loss_and_probabilities_are_weighted_sums_of_both():
    torch.manual_seed(0)
    head = make("heads", "joint", (SPEC, [Sizes(6, 6)]), {**SMALL, "weight": 0.25}).eval()
    layout, target = Layout([5, 4]), Steps(torch.tensor([3, 4, 2]), Layout([2, 1]))
    encoded = [Encoded(Steps(2 * torch.randn(9, 6), layout), torch.randn(2, 6), None)]
    head.train()
    parts = [part.loss(encoded, target) for part in (head.attention, head.ctc)]
    loss = head.loss(encoded, target)
    assert loss.count == parts[0].count == 5
    assert float(loss.total) == pytest.approx(0.75 * float(parts[0].total) + 0.25 * float(parts[1].total), rel=1e-6)
    head.eval()
    steps, state = target.prepended(head.begin), head.start(encoded)
    logs = [part.extend(steps, part.start(encoded))[0].log_probabilities for part in (head.attention, head.ctc)]
    expected = 0.75 * logs[0] + 0.25 * logs[1]
    assert torch.allclose(head.extend(steps, state)[0].log_probabilities, expected, atol=1e-6)
    # What the source has too few steps to say is out of the question, whatever attention says.
    long = Steps(torch.tensor([3] * 4), Layout([4, 0]))
    assert float(head.score(encoded, long).log_probability[0]) == -math.inf


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": 0.0}, "weight: 0 leaves CTC out; set head: autoregressive"),
        ({"attention": "classifier"}, "classifier generates no symbols by attention"),
        ({"attention": "ctc"}, "ctc generates no symbols by attention"),
    ],
)
def test_parts_that_are_none_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        make("heads", "joint", (SPEC, [Sizes(6, 6)]), options)


def test_it_is_trained_answers_and_tells_times_and_attention(tmp_path):
    reader = model(embedding_size=8, head={"type": "joint", "attention": {"decoder": {"hidden_size": 16}}})
    fitted = reader.fit(frames(120), frames(20, seed=1), device="cpu", folder=tmp_path / "run")
    assert fitted.evaluate(frames(30, seed=2)).to_json()["outputs"]["letters"]["exact_match"]["value"] > 80
    command = ["predict", str(tmp_path / "run"), "--device", "cpu", "--times", "a a - a a - b b b -"]
    shown = CliRunner().invoke(group, [*command, "--attention", str(tmp_path / "looks.png")])
    answer, *times = shown.stdout.splitlines()
    assert len(times) == len(answer.split()) >= 2
    assert (tmp_path / "looks.png").stat().st_size > 1000
