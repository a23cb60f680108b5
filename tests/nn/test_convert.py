"""`convert` swaps the recurrent modules of a model in place, keeps what would lose something, and says both."""

import copy

import pytest
import torch
from torch import nn as torchs
from torch.nn.utils import parametrizations

from ostinato import nn


class Tagger(torchs.Module):
    """Recurrent modules at several depths and in several kinds of containers."""

    def __init__(self):
        super().__init__()
        self.embedding = torchs.Embedding(11, 6)
        self.reader = torchs.LSTM(6, 8, 2, batch_first=True, bidirectional=True, dropout=0.3)
        self.middle = torchs.ModuleDict({"gru": torchs.ModuleList([torchs.GRU(16, 8, bias=False, batch_first=True)])})
        self.top = torchs.Sequential(torchs.RNN(8, 8, nonlinearity="relu", batch_first=True))
        self.again = self.top[0]
        self.output = torchs.Linear(8, 3)

    def forward(self, symbols):
        x, _ = self.reader(self.embedding(symbols))
        x, _ = self.middle["gru"][0](x)
        x, _ = self.again(self.top(x)[0])
        return self.output(x)


SYMBOLS = torch.arange(20).view(4, 5) % 11


def test_a_nested_model_computes_the_same_and_goes_on_learning_with_its_optimizer():
    torch.manual_seed(0)
    model = Tagger().eval()
    peer = copy.deepcopy(model)
    optimizers = [torch.optim.Adam(one.parameters(), lr=0.01) for one in (model, peer)]

    def update():
        for one, optimizer in zip((model, peer), optimizers):
            optimizer.zero_grad()
            one(SYMBOLS).square().sum().backward()
            optimizer.step()

    update()
    parameters = list(model.parameters())
    done = nn.convert(model)
    assert list(done.swapped) == ["reader", "middle.gru.0", "top.0", "again"] and not done.kept
    assert (type(model.reader), type(model.middle["gru"][0]), type(model.top[0])) == (nn.LSTM, nn.GRU, nn.RNN)
    assert model.again is model.top[0], "one module in two places stays one"
    assert all(one is other for one, other in zip(model.parameters(), parameters, strict=True))
    assert list(model.state_dict()) == list(peer.state_dict())
    update()
    for one, other in zip(model.parameters(), peer.parameters()):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    torch.testing.assert_close(model(SYMBOLS), peer(SYMBOLS), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "made",
    [
        lambda: torchs.LSTM(3, 5, 2, proj_size=2, batch_first=True, dropout=0.5, dtype=torch.float64),
        lambda: torchs.GRU(3, 5, bidirectional=True, bias=False),
        lambda: torchs.RNN(3, 5, 2, "relu", True, True),
    ],
)
def test_arguments_mode_type_and_frozen_parameters_are_carried_over(made):
    model = torchs.Sequential(made()).eval()
    old = model[0]
    old.weight_hh_l0.requires_grad_(False)
    drawn = torch.get_rng_state()
    assert list(nn.convert(model).swapped) == ["0"]
    assert torch.equal(torch.get_rng_state(), drawn), "nothing is drawn"
    new = model[0]
    assert repr(new) == repr(old) and not new.training and new.mode == old.mode
    assert {name: id(one) for name, one in new.named_parameters()} == {
        name: id(one) for name, one in old.named_parameters()
    }
    assert not new.weight_hh_l0.requires_grad


def test_the_warning_about_dropout_is_not_given_twice():
    with pytest.warns(UserWarning, match="num_layers=1"):
        model = torchs.Sequential(torchs.GRU(3, 5, dropout=0.5))
    nn.convert(model)
    assert model[0].dropout == 0.5


class Scaled(torchs.LSTM):
    def forward(self, input, hx=None):
        return super().forward(2 * input, hx)


def hooked():
    module = torchs.GRU(3, 5)
    module.register_forward_hook(lambda module, args, output: None)
    return module


def marked():
    module = torchs.GRU(3, 5)
    module.language = "de"
    return module


def patched():
    module = torchs.GRU(3, 5)
    module.forward = lambda input: input
    return module


def extended():
    module = torchs.GRU(3, 5)
    module.register_parameter("gain", torchs.Parameter(torch.ones(1)))
    return module


def stripped():
    module = torchs.GRU(3, 5)
    module.weight_hh_l0 = torchs.Parameter(torch.zeros(3, 5))
    return module


KEPT = {
    "subclass": (lambda: Scaled(3, 5), "Scaled is a subclass of torch.nn.LSTM"),
    "hook": (hooked, "_forward_hooks"),
    "attribute": (marked, "attributes that torch.nn.GRU has not: language"),
    "patch": (patched, "has not: forward"),
    "parameter": (extended, "its arguments make: gain"),
    "shape": (stripped, "its arguments make: weight_hh_l0"),
    "parametrized": (
        lambda: parametrizations.weight_norm(torchs.GRU(3, 5), "weight_hh_l0"),
        r"parametrized \(weight_hh_l0\)",
    ),
    "cell": (lambda: torchs.LSTMCell(3, 5), "a torch.nn.LSTMCell computes one step"),
    "quantizable": (lambda: torch.ao.nn.quantizable.LSTM(3, 5), "quantized .*convert before"),
}


@pytest.mark.parametrize(("made", "reason"), KEPT.values(), ids=KEPT)
def test_what_would_lose_something_is_kept_and_the_reason_said(made, reason):
    model = torchs.Sequential(made(), torchs.GRU(3, 5))
    old = model[0]
    done = nn.convert(model)
    assert model[0] is old and list(done.swapped) == ["1"]
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(done.kept["0"])


@pytest.mark.filterwarnings("ignore:`torch.jit.:DeprecationWarning")
def test_scripted_parts_are_kept():
    model = torchs.Sequential(torch.jit.script(torchs.Sequential(torchs.LSTM(3, 5))), torchs.GRU(3, 5))
    done = nn.convert(model)
    assert list(done.swapped) == ["1"] and done.kept == {
        "0.0": "compiled by torch.jit.script; convert before scripting"
    }


def test_the_model_itself_cannot_be_swapped_and_what_to_do_is_said():
    model = torchs.LSTM(3, 5)
    done = nn.convert(model)
    assert not done.swapped
    assert "ostinato.nn.LSTM with the same arguments and load_state_dict" in done.kept["(the model)"]
    assert "subclass" in nn.convert(Scaled(3, 5)).kept["(the model)"]


def test_a_model_that_is_converted_or_has_none_is_left_alone():
    model = Tagger()
    nn.convert(model)
    before = list(model.modules())
    for one in (model, torchs.Linear(2, 3), nn.LSTM(3, 5)):
        done = nn.convert(one)
        assert done == nn.Conversion() and str(done) == "no recurrent module of torch.nn found"
    assert before == list(model.modules())


def test_a_model_that_contains_itself_is_walked_once():
    model = torchs.ModuleDict({"reader": torchs.GRU(3, 5), "cell": torchs.GRUCell(3, 5)})
    model.add_module("whole", model)
    done = nn.convert(model)
    assert list(done.swapped) == ["reader"] and list(done.kept) == ["cell"]


def test_a_module_that_went_through_copy_or_pickle_is_still_torchs():
    model = copy.deepcopy(torchs.Sequential(torchs.GRU(3, 5)))
    assert list(nn.convert(model).swapped) == ["0"]


def test_the_report_reads_line_by_line():
    model = torchs.ModuleDict({"reader": torchs.GRU(3, 5), "cell": torchs.GRUCell(3, 5)})
    lines = str(nn.convert(model)).splitlines()
    assert lines[:3] == ["swapped 1 of 2 recurrent modules", "  reader  GRU(3, 5)", "left 1 as they were"]
    assert lines[3].startswith("  cell    a torch.nn.GRUCell computes one step")
