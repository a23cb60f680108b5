"""How far back gradients reach: as in closed forms, as autograd has it state by state, 0 where nothing is read, and
infinite where it explodes."""

import json
import math

import numpy as np
import pytest
import torch

from ostinato.errors import ConfigError
from ostinato.kernels.watch import watching
from ostinato.probes.kinds.gradients import Gradients
from ostinato.probes.probe import made
from ostinato.testing import laws
from ostinato.testing.probes import subject_of

TEXTS = ["abcdeabcde" * 2, "edcbaedcbaedc", "aabbccddeeaa", "ecaecaeca"]


def reaches(finding, of, layer=1, later=False):
    (reach,) = [each for each in finding.reaches if (each.of, each.layer, each.later) == (of, layer, later)]
    return reach


def linear(spectral_radius, texts=TEXTS):
    """A relu RNN whose weights and inputs are above 0 is linear."""
    subject = subject_of(
        {"cell": {"type": "rnn", "activation": "relu"}, "hidden_size": 6, "embedding_size": 4, "bidirectional": False},
        texts,
    )
    with torch.no_grad():
        for weight in subject.graph.encoders.parameters():
            weight.abs_()
        (cell,) = subject.graph.encoders["text"].stack.cells
        cell.weight_h *= spectral_radius / torch.linalg.eigvals(cell.weight_h).abs().max()
    return subject, cell.weight_h.double()


def test_of_a_linear_recurrence_it_is_the_norm_of_a_power_of_its_matrix():
    subject, weight = linear(0.6)
    finding = Gradients().look(subject)
    reach = reaches(finding, "state")
    powers = [torch.linalg.matrix_power(weight, lag).norm().item() for lag in range(len(reach.norms))]
    assert reach.reached >= 12
    for quantile in range(3):
        assert np.allclose([norms[quantile] for norms in reach.norms], powers, rtol=1e-4)
    below = [lag for lag, power in enumerate(powers) if power < 0.01 * powers[1]]
    assert reach.horizon == below[0] and "exact" in finding.products
    drawn = Gradients(exact=5, projections=200, positions=1).look(subject)
    estimate = [median for _, median, _ in reaches(drawn, "state").norms]
    assert np.allclose(estimate, powers[: len(estimate)], rtol=0.2) and "200 random products" in drawn.products


@pytest.mark.parametrize("cell", ["rnn", "lstm", {"type": "gru", "reset": "before"}])
def test_of_any_cell_it_is_what_autograd_gives_for_each_state(cell):
    text = "abcdeab"
    subject = subject_of({"cell": cell, "hidden_size": 5, "embedding_size": 4, "bidirectional": False}, [text])
    finding = Gradients(positions=1).look(subject)
    encoder, head = subject.graph.encoders["text"], subject.graph.heads["follows"]
    x = encoder.embedding(head.prepare_input(subject.batch.inputs["text"])).values
    (layer,) = encoder.stack.cells
    state, leaves = layer.start_state(1), []
    for step in x:
        # h of an LSTM is made from its c: what is moved is what both hand on.
        leaves.append(tuple(torch.zeros_like(part, requires_grad=True) for part in state))
        state = tuple(part + zeros for part, zeros in zip(layer(step[None], state), leaves[-1]))
    loss = -head.predict_next(state[0]).score(torch.tensor([head.end]))
    expected = {"loss": [], "state": []}
    for moved in leaves:
        gradients = torch.autograd.grad(loss.sum(), moved, retain_graph=True, allow_unused=True)
        expected["loss"].append(norm(gradients))
        rows = [
            torch.autograd.grad(state[0][0, number], moved, retain_graph=True, allow_unused=True) for number in range(5)
        ]
        expected["state"].append(math.hypot(*map(norm, rows)))
    for of, values in expected.items():
        assert np.allclose([median for _, median, _ in reaches(finding, of).norms], values[::-1], rtol=1e-4), of


def test_a_cell_of_a_scan_is_watched_step_by_step():
    subject = subject_of({"cell": "mingru", "hidden_size": 5, "embedding_size": 4, "bidirectional": False}, ["abcdeab"])
    reach = reaches(Gradients(positions=1).look(subject), "state")
    encoder, head = subject.graph.encoders["text"], subject.graph.heads["follows"]
    x = encoder.embedding(head.prepare_input(subject.batch.inputs["text"])).values
    (cell,) = encoder.stack.cells
    z = torch.sigmoid(x @ cell.weight_x[:5].T + cell.bias_x[:5])
    kept = torch.cat([torch.ones(1, 5), (1 - z).flip(0)[:-1]]).cumprod(0)
    assert np.allclose([median for _, median, _ in reach.norms], kept.norm(dim=1), rtol=1e-5)


def norm(parts):
    return math.hypot(*(part.norm().item() for part in parts if part is not None))


def test_it_reaches_as_far_as_an_encoder_reads_by_layer_and_direction():
    convolutional = {"type": "convolutional", "hidden_size": 12, "layers": 2, "embedding_size": 4}
    reach = reaches(Gradients().look(subject_of({**convolutional, "bidirectional": False}, TEXTS)), "state", layer=0)
    # Two blocks of two convolutions of 3, dilated 1 and 2: 2 (1 + 1 + 2 + 2) steps back.
    assert [lag for lag, (_, median, _) in enumerate(reach.norms) if median > 0][-1] == 12
    transformer = {"type": "transformer", "hidden_size": 12, "layers": 2, "block": "vaswani2017"}
    finding = Gradients().look(subject_of(transformer, TEXTS))
    assert all(median > 0 for _, median, _ in reaches(finding, "state", layer=0).norms)
    assert reaches(finding, "state", layer=1).norms[5][1] > 0, "the layer above reads it"
    assert not [reach for reach in finding.reaches if reach.layer == 2 and reach.of == "state"], "nobody reads it again"
    windowed = Gradients().look(subject_of({"type": "windowed", "hidden_size": 12, "window": 3}, TEXTS))
    assert reaches(windowed, "loss", layer=0).horizon == 3


def test_zero_and_infinity_are_told_and_not_hidden():
    subject, _ = linear(0.7)
    dead = Gradients().look(subject)
    assert dead.title.startswith("Gradients vanish: the gradient of the loss by inputs.text.encoder, layer 1 from ")
    exploding, _ = linear(1.6, ["abcde" * 8] * 3)
    loud = Gradients().look(exploding)
    assert "times as large" in loud.title and not dead.exploding()
    assert loud.exploding() == ["inputs.text.encoder, input", "inputs.text.encoder, layer 1"]
    assert f"Exploding: {'; '.join(loud.exploding())}." in loud.lines() and loud.to_json()["exploding"]
    infinite, _ = linear(1e5, ["abcde" * 8] * 3)
    finding = Gradients().look(infinite)
    assert "infinite or no number from" in finding.title and "inputs.text.encoder, layer 1" in finding.exploding()
    assert json.loads(json.dumps(finding.to_json()).replace("Infinity", "null"))
    rough = {"cell": {"type": "rnn", "spectral_radius": 1e-6}, "hidden_size": 5, "bidirectional": False}
    nothing = reaches(Gradients(positions=1).look(subject_of(rough, ["abcde" * 8])), "loss")
    assert nothing.norms[-1] == (0, 0, 0) and nothing.horizon == 2, "1e-6 to the 39th is 0 in 32 bits"


def test_nobody_watches_afterwards_and_settings_are_checked():
    laws.run("probes", "gradients")
    assert watching() is None
    with pytest.raises(ConfigError, match="probe gradients: share: 3.0: Input should be less than or equal to 1"):
        made("gradients", {"share": 3.0})
    with pytest.raises(ConfigError, match="probes has no 'gradient'; did you mean 'gradients'"):
        made("gradient", {})


@pytest.mark.parametrize("name", ["transformer", "mlstm"])
def test_the_advice_on_layers_that_pass_nothing_on_before_their_first_update(name):
    advice = "look at a recipe after an epoch too: --epochs 0,1"
    encoder = {"type": name, "hidden_size": 12, "layers": 1, "heads": 3, "bidirectional": False}
    encoder |= {"block": "modern"} if name == "transformer" else {}
    subject = subject_of(encoder, TEXTS)
    before = Gradients().look(subject)
    assert before.title.startswith("No gradient goes from step to step: the gradient of the loss by inputs.text")
    assert any(advice in line for line in before.lines()) and reaches(before, "state", layer=0).horizon == 1
    reader = subject.graph.encoders["text"].requires_grad_(True)
    optimizer = torch.optim.Adam(reader.parameters(), 0.003)
    reader.encode(subject.batch.inputs["text"]).steps.values.sin().sum().backward()
    optimizer.step()
    after = Gradients().look(subject)
    assert not any(advice in line for line in after.lines()) and reaches(after, "state", layer=0).horizon != 1
