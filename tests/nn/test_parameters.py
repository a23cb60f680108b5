"""The parameters of the drop-in modules are torch's: names, order, first values; and they are real ones."""

import copy
import io
import pickle

import pytest
import torch
from torch.nn.utils import parametrizations, parametrize

from ostinato import nn
from ostinato.cells import gru, lstm, rnn
from ostinato.kernels import dispatch
from ostinato.steps import Layout, Steps

KINDS = [
    pytest.param("RNN", {}, id="tanh"),
    pytest.param("RNN", {"nonlinearity": "relu", "bias": False}, id="relu"),
    pytest.param("GRU", {}, id="gru"),
    pytest.param("LSTM", {"bias": False}, id="lstm"),
    pytest.param("LSTM", {"proj_size": 2}, id="projected"),
]
DEEP = {"num_layers": 2, "bidirectional": True}
OWN = [
    pytest.param("RNN", {"nonlinearity": "leaky_relu"}, id="leaky_relu"),
    pytest.param("GRU", {"reset": "before"}, id="reset"),
    pytest.param("LSTM", {"peepholes": True}, id="peepholes"),
    pytest.param("LSTM", {"coupled": True, "proj_size": 2}, id="coupled"),
    pytest.param("LSTM", {"layer_norm": True}, id="layer_norm"),
    pytest.param("LSTM", {"forget_bias": 1.0}, id="forget_bias"),
]


def make(kind, options, **more):
    return getattr(nn, kind)(3, 5, **DEEP | options | more)


def run(module):
    x = torch.randn(4, 2, 3, dtype=module.weight_ih_l0.dtype, generator=torch.Generator().manual_seed(1))
    output, last = module(x, lengths=[4, 2])
    return [output, *(last if isinstance(last, tuple) else (last,))]


def same(ours, theirs):
    return len(ours) == len(theirs) and all(torch.equal(one, other) for one, other in zip(ours, theirs))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_one_seed_gives_torchs_names_and_first_values(kind, options, dtype):
    torch.manual_seed(3)
    theirs = getattr(torch.nn, kind)(3, 5, **DEEP | options, dtype=dtype)
    after = torch.rand(1)
    torch.manual_seed(3)
    ours = make(kind, options, dtype=dtype)
    assert torch.equal(torch.rand(1), after), "what is drawn next must be the same too"
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert same(list(ours.parameters()), list(theirs.parameters()))
    assert [one.shape for way in ours.all_weights for one in way] == [
        one.shape for way in theirs.all_weights for one in way
    ]
    for one in (theirs, ours):
        torch.manual_seed(4)
        one.reset_parameters()
    assert same(list(ours.parameters()), list(theirs.parameters()))


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_weights_load_both_ways(kind, options):
    theirs, ours = getattr(torch.nn, kind)(3, 5, **DEEP | options), make(kind, options)
    theirs.load_state_dict(ours.state_dict())
    assert same(list(ours.parameters()), list(theirs.parameters()))
    theirs.reset_parameters()
    ours.load_state_dict(theirs.state_dict())
    assert same(list(ours.parameters()), list(theirs.parameters()))


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_it_prints_as_torchs_does(kind, options):
    theirs, ours = getattr(torch.nn, kind)(3, 5, **DEEP | options, dropout=0.5), make(kind, options, dropout=0.5)
    assert repr(ours) == repr(theirs)
    assert repr(getattr(nn, kind)(3, 5)) == repr(getattr(torch.nn, kind)(3, 5))


def test_own_options_are_printed():
    assert repr(nn.GRU(3, 5, reset="before")) == "GRU(3, 5, reset=before)"
    assert repr(nn.LSTM(3, 5, peepholes=True, forget_bias=0.0)) == "LSTM(3, 5, peepholes=True, forget_bias=0.0)"


@pytest.mark.parametrize(("kind", "options"), [*KINDS, *OWN])
def test_copies_pickles_and_state_dicts_carry_all(kind, options):
    module = make(kind, options)
    expected = run(module)
    kept = io.BytesIO()
    torch.save(module.state_dict(), kept)
    kept.seek(0)
    loaded = make(kind, options)
    assert not same(run(loaded), expected)
    loaded.load_state_dict(torch.load(kept))
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), loaded):
        assert same(run(other), expected)
        with torch.no_grad():
            other.weight_hh_l0.zero_()
        assert not same(run(other), expected)
        assert same(run(module), expected), "a copy shares nothing"


@pytest.mark.parametrize(("kind", "options"), [*KINDS, *OWN])
def test_every_parameter_is_used_and_learns(kind, options):
    module = make(kind, options)
    before = [one.detach().clone() for one in module.parameters()]
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    sum((one * torch.randn_like(one)).sum() for one in run(module)).backward()
    optimizer.step()
    for (name, one), other in zip(module.named_parameters(), before):
        assert one.grad is not None and not torch.equal(one, other), name


@pytest.mark.parametrize(("kind", "options"), [*KINDS, *OWN])
def test_functional_call_computes_with_the_tensors_that_it_is_given(kind, options):
    module, other = make(kind, options), make(kind, options)
    torch.manual_seed(1)
    x = torch.randn(4, 2, 3)
    output, _ = torch.func.functional_call(module, dict(other.named_parameters()), (x,))
    assert torch.equal(output, other(x)[0]) and not torch.equal(output, module(x)[0])
    halves = {name: (one.detach() / 2).requires_grad_() for name, one in module.named_parameters()}
    output, _ = torch.func.functional_call(module, halves, (x,))
    assert all(
        one is not None for one in torch.autograd.grad(output.sum(), list(halves.values()), allow_unused=kind == "LSTM")
    )


def test_a_parametrization_is_honoured():
    class Halved(torch.nn.Module):
        def forward(self, weight):
            return weight / 2

    module = nn.GRU(3, 5)
    other = copy.deepcopy(module)
    with torch.no_grad():
        other.weight_hh_l0.div_(2)
    parametrize.register_parametrization(module, "weight_hh_l0", Halved())
    assert same(run(module), run(other))
    parametrizations.weight_norm(module, "weight_ih_l0")
    for one, two in zip(run(module), run(other)):
        torch.testing.assert_close(one, two)
    sum(one.sum() for one in run(module)).backward()
    assert all(one.grad is not None for one in module.parameters())


def test_moving_and_casting_reach_every_parameter():
    module = make("LSTM", {"layer_norm": True, "peepholes": True}).double()
    assert {one.dtype for one in module.parameters()} == {torch.float64}
    assert run(module)[0].dtype == torch.float64
    assert {one.device.type for one in module.to("meta").parameters()} == {"meta"}


@pytest.mark.parametrize(("kind", "options"), [*KINDS, *OWN])
def test_a_module_made_on_meta_is_filled_later(kind, options):
    module = make(kind, options, device="meta", dtype=torch.float64)
    assert {(one.device.type, one.dtype) for one in module.parameters()} == {("meta", torch.float64)}
    module = module.to_empty(device="cpu")
    torch.manual_seed(0)
    module.reset_parameters()
    torch.manual_seed(0)
    assert same(run(module), run(make(kind, options, dtype=torch.float64)))


def test_names_of_what_torch_lacks():
    names = {name for name, _ in nn.LSTM(3, 5, peepholes=True, layer_norm=True, bidirectional=True).named_parameters()}
    assert {
        "peepholes_l0",
        "peepholes_l0_reverse",
        "norm_c_l0.weight",
        "norm_x_l0.bias",
        "norm_h_l0_reverse.bias",
    } < names
    assert not {name for name in names if name.startswith("bias")}, "the norms carry the biases"


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize(("coupled", "rows"), [(False, slice(5, 10)), (True, slice(0, 5))])
def test_a_forget_bias_is_set_in_every_layer_and_only_where_it_is_asked_for(coupled, rows, layer_norm):
    for asked in (2.5, None):
        module = nn.LSTM(3, 5, **DEEP, coupled=coupled, layer_norm=layer_norm, forget_bias=asked)
        for layer in ("l0", "l0_reverse", "l1", "l1_reverse"):
            names = ("norm_x_{}.bias", "norm_h_{}.bias") if layer_norm else ("bias_ih_{}", "bias_hh_{}")
            one, two = (module.get_parameter(name.format(layer)).detach() for name in names)
            assert torch.equal((one + two)[rows], torch.full((5,), 2.5)) == (asked is not None)
            assert (one != 0).all() and one.abs().max() <= max(5**-0.5, asked or 0)


def test_flatten_parameters_does_nothing():
    module = make("GRU", {})
    before = run(module)
    assert module.flatten_parameters() is None
    assert same(run(module), before)


@pytest.mark.parametrize(
    ("module", "cell"),
    [
        (lambda: nn.RNN(3, 5, nonlinearity="leaky_relu"), lambda: rnn.RNN(3, 5, activation="leaky_relu")),
        (lambda: nn.GRU(3, 5, reset="before"), lambda: gru.GRU(3, 5, reset="before")),
        (lambda: nn.LSTM(3, 5, peepholes=True), lambda: lstm.LSTM(3, 5, peepholes=True)),
        (lambda: nn.LSTM(3, 5, coupled=True), lambda: lstm.LSTM(3, 5, coupled=True)),
        (lambda: nn.LSTM(3, 5, layer_norm=True), lambda: lstm.LSTM(3, 5, layer_norm=True)),
        (lambda: nn.LSTM(3, 5, proj_size=2, bias=False), lambda: lstm.LSTM(3, 5, 2, biases=0, forget_bias=0.0)),
    ],
)
def test_options_are_those_of_the_cells(module, cell):
    module, cell = module(), cell()
    with torch.no_grad():
        for (name, ours), other in zip(module.named_parameters(), cell.parameters(), strict=True):
            assert ours.shape == other.shape, name
            other.copy_(ours)
    layout = Layout([4, 2])
    x = torch.randn(layout.total, 3)
    hidden, _ = dispatch.scan(cell, x, cell.start_state(2), layout)
    assert torch.equal(module(Steps(x, layout))[0].values, hidden)
