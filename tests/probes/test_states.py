"""What states hold: components and contexts by hand, a property that is there and one that is not, and a control."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ostinato.errors import ConfigError
from ostinato.probes.kinds.contract import Subject
from ostinato.probes.kinds.states import Read, States
from ostinato.testing import laws
from ostinato.testing.probes import subject_of


@pytest.fixture(scope="module")
def model():
    """States that count: unit 0 adds 0.01 at each step, unit 1 is high after a, unit 2 holds whether a b was seen."""
    random = np.random.default_rng(0)
    texts = ["".join(random.choice(list("ab"), size=random.integers(2, 9))) for _ in range(60)]
    model = subject_of({"cell": "rnn", "hidden_size": 3, "embedding_size": 2, "embedding": "learnt"}, texts)
    encoder, modality = model.graph.encoders["text"], model.modalities["inputs.text"]
    (a,), (b,) = modality.encode("a").tolist(), modality.encode("b").tolist()
    (cell,) = encoder.stack.cells
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.zero_()
        encoder.embedding.learnt.weight[a, 0] = 1
        encoder.embedding.learnt.weight[b, 1] = 1
        cell.weight_h[0, 0], cell.bias_x[0] = 1, 0.01
        cell.weight_x[1, 0] = 1
        cell.weight_x[2, 1], cell.weight_h[2, 2] = 3, 3
    return Subject(
        model.graph,
        model.batch,
        model.alignments,
        model.modalities,
        {"seen": ["b" in text for text in texts], "noise": random.random(60).tolist()},
    )


def test_what_is_in_the_state_is_read_there_and_noise_is_not(model):
    finding = States(column="seen").look(model)
    length, seen = finding.reads
    assert (length.what, length.measure, seen.what, seen.measure) == ("length", "R2", "seen", "share right")
    assert length.value > 0.99
    assert seen.value == 1 > seen.baseline and seen.examples == 30
    _, noise = States(column="noise").look(model).reads
    assert noise.measure == "R2" and noise.value < 0.3, (noise, length, seen)
    assert "reads the seen in the state (share right 1.00" in finding.title
    guess = Read("length", "R2", 0.03, 0.82, 0.0, 30)
    assert "hardly reads the length in the state (R2 0.03, 0.82 in a" in replace(finding, reads=[guess]).title
    assert replace(finding, reads=[]).title.startswith(f"Unit {finding.unit} is highest at")


def test_a_length_that_all_examples_share_is_not_looked_for(tmp_path):
    finding = States().look(subject_of({"hidden_size": 4, "embedding_size": 4}, ["abc", "bca", "cab", "bac"]))
    assert not finding.reads and "length" not in " ".join(finding.lines())
    finding.draw(tmp_path / "picture.svg")


def test_contexts_are_those_that_drive_a_unit(model):
    finding = States(unit=1, contexts=3).look(model)
    assert [context.symbol for context in finding.highest] == ["a"] * 3 and len(finding.lowest) == 3
    assert finding.highest[0].value == pytest.approx(np.tanh(1)) and finding.lowest[0].symbol != "a"
    assert States().look(model).unit == 2, "the one that varies most"
    text = model.modalities["inputs.text"].decode(model.batch.inputs["text"].split()[0].numpy())
    assert finding.symbols[0] == ["begin", *text]
    with pytest.raises(ConfigError, match="unit: 3: the encoder of inputs.text has units 0 to 2"):
        States(unit=3).look(model)


def test_paths_are_principal_components(model):
    finding = States().look(model)
    states = model.graph.encode(model.batch.inputs)["text"].steps
    values = states.values.detach().double().numpy()
    spread = np.linalg.svd(values - values.mean(0), compute_uv=False) ** 2
    assert np.allclose(finding.shares, spread[:2] / spread.sum())
    assert [len(path) for path in finding.paths] == states.layout.lengths[:6].tolist()


def test_its_laws_hold():
    laws.run("probes", "states", tried={"unit": [0], "contexts": [2]})
