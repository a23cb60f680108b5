"""What gates do: those of every cell are the derivative of its state, in the order of the steps, and time constants are
as in closed forms."""

import math

import numpy as np
import pytest
import torch
from matplotlib import pyplot

from ostinato import registry
from ostinato.data.cache import encode_values, to_steps
from ostinato.errors import ConfigError
from ostinato.layers.recurrent import RecurrentStack
from ostinato.probes.kinds.gates import LONGEST, Gates, _recorded
from ostinato.steps import Layout, Steps
from ostinato.testing import laws
from ostinato.testing.probes import subject, subject_of

CELLS = [
    ("gru", {}, 0),
    ("gru", {"reset": "before"}, 0),
    ("lstm", {}, 1),
    ("lstm", {"coupled": True, "layer_norm": True}, 1),
    ("mingru", {}, 0),
    ("minlstm", {}, 0),
    ("sru", {}, 1),
]


@pytest.mark.parametrize(("name", "options", "kept"), CELLS)
def test_the_gate_that_keeps_is_the_derivative_of_the_state(name, options, kept):
    torch.manual_seed(0)
    cell = registry.component("cells", name)(3, 5, **options)
    drawn = [torch.randn(2, cell.num_gates * 5) for _ in range(2)]
    state = tuple(torch.randn(2, size, requires_grad=True) for size in cell.state_sizes)
    after = cell.pointwise(*drawn, state)
    gates = cell.gates(*drawn, state, after)
    (slope,) = torch.autograd.grad(after[kept].sum(), state[kept])
    assert torch.allclose(slope, gates[cell.keeping], atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"peepholes": True}, {"coupled": True, "peepholes": True}])
def test_those_of_an_lstm_make_its_next_state(options):
    torch.manual_seed(0)
    cell = registry.component("cells", "lstm")(3, 5, **options)
    drawn = [torch.randn(2, cell.num_gates * 5) for _ in range(2)]
    state = (torch.randn(2, 5), torch.randn(2, 5))
    h, c = cell.pointwise(*drawn, state)
    gates = cell.gates(*drawn, state, (h, c))
    candidate = torch.tanh(sum(drawn).chunk(cell.num_gates, 1)[-2])
    assert torch.allclose(gates["forget"] * state[1] + gates["input"] * candidate, c, atol=1e-6)
    assert torch.allclose(gates["output"] * torch.tanh(c), h, atol=1e-6)


def of_bias(bias, **encoder):
    """Gates that are the same at every step: a GRU of biases alone."""
    model = subject_of({"cell": "gru", "hidden_size": 4, "embedding_size": 4, **encoder})
    with torch.no_grad():
        for weight in model.graph.encoders["text"].stack.parameters():
            weight.zero_()
        model.graph.encoders["text"].stack.cells[0].bias_x[4:8] = torch.as_tensor(bias)
    return model


def test_time_constants_are_those_of_closed_forms():
    biases = [-50.0, 0.0, 3.0, 50.0]
    finding = Gates().look(of_bias(biases, bidirectional=False))
    reset, update = finding.gates
    expected = [1 / math.log1p(math.exp(-bias)) for bias in biases[:3]]
    assert np.allclose(update.time_constants[:3], expected, rtol=1e-5) and update.time_constants[3] == LONGEST
    assert (update.shut, update.open, reset.mean) == (0.25, 0.5, 0.5) and reset.time_constants == []
    assert update.scales() == [1, 1, 0, 1, 0, 0, 1]
    assert sum(update.histogram) == pytest.approx(1) and update.histogram[0] == 0.25
    assert Gates(saturated=0.02).look(of_bias(biases, bidirectional=False)).gates[1].open == 0.25
    assert "the update gate of inputs.text.encoder, layer 1, open in 50% and shut in 25%" in finding.title


def test_a_text_is_drawn_step_by_step_beside_its_symbols(tmp_path):
    encoder = {"cell": "lstm", "hidden_size": 5, "embedding_size": 4, "bidirectional": False, "layers": 2}
    model = subject_of(encoder)
    finding = Gates(text="abca").look(model)
    text = finding.text
    assert text.symbols == ["begin", "a", "b", "c", "a"] and sorted(text.units) == list(range(5))
    by_unit = dict(zip(text.units, text.values))
    encoder, symbols = model.graph.encoders["text"], encode_values(model.modalities["inputs.text"], ["abca"])
    cell, _ = encoder.stack.cells
    x = encoder.embedding(model.graph.heads["follows"].prepare_input(to_steps(*symbols))).values
    state = cell.start_state(1)
    for step, vector in enumerate(x):
        _, f, _, _ = (cell.weight_x @ vector + cell.bias_x + cell.weight_h @ state[0][0] + cell.bias_h).chunk(4)
        assert np.allclose([by_unit[unit][step] for unit in range(5)], torch.sigmoid(f), atol=1e-6)
        state = cell(vector[None], state)
    assert [gate.layer for gate in finding.gates] == [1, 1, 1, 2, 2, 2]
    told = [line.split() for line in finding.lines()[-6:]]
    means = np.mean(text.values, 0)
    assert told == [
        ["step", "symbol", "mean"],
        *([str(at), *row] for at, row in enumerate(zip(text.symbols, (f"{mean:.3f}" for mean in means)), 1)),
    ]
    finding.draw(tmp_path / "gates.png")
    height, width, _ = pyplot.imread(tmp_path / "gates.png").shape
    assert width > 3 * height, "a third panel holds the text"


class Reader(torch.nn.Module):
    """A stack that reads both ways, as a part of a graph."""

    def __init__(self):
        super().__init__()
        self.stack = RecurrentStack(registry.settings_class("cells", "gru")(), 3, [4], reads="both")

    def owners(self):
        return dict.fromkeys(self.modules(), "inputs.text.encoder")


def test_gates_of_both_directions_are_in_the_order_of_the_steps():
    torch.manual_seed(0)
    reader, steps = Reader(), Steps(torch.randn(9, 3), Layout([2, 4, 0, 3]))
    forward, backward = reader.stack.cells
    with torch.no_grad():
        forward.weight_h.zero_()
        backward.load_state_dict(forward.state_dict())
    by_layer = _recorded(reader, lambda: reader.stack(steps))
    assert [(layer.number, layer.backward) for layer in by_layer] == [(1, False), (1, True)]
    expected = torch.sigmoid(steps.values @ forward.weight_x[4:8].T + forward.bias_x[4:8] + forward.bias_h[4:8])
    for gates in by_layer.values():
        assert np.allclose(gates["update"], expected.detach(), atol=1e-6)


def test_its_laws_hold_and_nothing_records_afterwards():
    laws.run("probes", "gates")
    Gates().look(subject())
    assert not any("pointwise" in vars(module) for module in subject().graph.modules())
    with pytest.raises(ConfigError, match="no cell of this model has gates to look at"):
        Gates().look(subject_of({"cell": "rnn", "hidden_size": 4}))
    model = subject_of({"cell": "gru", "hidden_size": 4, "embedding_size": 4})
    model.graph.encode = lambda inputs: {}
    with pytest.raises(ConfigError, match="the first input, has no gates to draw; leave --text out"):
        Gates(text="abc").look(model)
