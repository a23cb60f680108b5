"""What `ostinato.nn` recommends, followed."""

import re

import pytest
import torch

from ostinato import nn
from ostinato.steps import Layout, Steps
from tests.advice import follow

INPUT, DOUBLE = torch.zeros(6, 4, 3), torch.zeros(6, 4, 3, dtype=torch.float64)
STEPS, LENGTHS = Steps(torch.zeros(3, 3), Layout([2, 1])), torch.tensor([2, 1])
META = torch.zeros(6, 4, 3, device="meta")


def gru(**options):
    """Parameters on the device "meta" hold nothing to copy: `to_empty` is their `to`."""
    return nn.GRU(3, 5, **options)


ROWS = {
    "a bias of the forget gate": (
        lambda: nn.LSTM(3, 5, bias=False, forget_bias=1.0),
        "bias=False leaves no place for forget_bias=1; leave one of the two out",
        lambda: nn.LSTM(3, 5, bias=False),
        lambda: nn.LSTM(3, 5, forget_bias=1.0),
    ),
    "lengths": (
        lambda: gru()(STEPS, lengths=LENGTHS),
        "lengths= is for a padded batch; Steps has its own: leave lengths out",
        lambda: gru()(STEPS),
    ),
    "no steps": (
        lambda: gru(batch_first=True)(torch.zeros(4, 0, 3)),
        "sequences without steps need lengths=",
        lambda: gru(batch_first=True)(torch.zeros(4, 0, 3), lengths=torch.zeros(4, dtype=torch.int64)),
    ),
    "the input's type": (
        lambda: gru()(DOUBLE),
        "Convert input: input.to(torch.float32), or convert model: model.to(torch.float64)",
        lambda: gru()(DOUBLE.to(torch.float32)),
        lambda: gru().to(torch.float64)(DOUBLE),
    ),
    "the input's device": (
        lambda: gru(device="meta")(INPUT),
        "input is on cpu and the module on meta; move one with .to(...)",
        lambda: gru(device="meta").to_empty(device="cpu")(INPUT),
    ),
    "the state's device": (
        lambda: gru(device="meta")(META, torch.zeros(1, 4, 5)),
        "hx is on cpu and the module on meta; move one with .to(...)",
        lambda: gru(device="meta").to_empty(device="cpu")(INPUT, torch.zeros(1, 4, 5)),
    ),
    "the state's type": (
        lambda: gru()(INPUT, torch.zeros(1, 4, 5).double()),
        "hx is torch.float64 and the module torch.float32; convert one with .to(...)",
        lambda: gru()(INPUT, torch.zeros(1, 4, 5).double().to(torch.float32)),
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_module_that_follows_the_advice_computes(row):
    refused, advice, *ways = row
    follow(refused, advice, *ways, error=(RuntimeError, ValueError))


def hooked():
    module = torch.nn.GRU(3, 5)
    return module, module.register_forward_hook(print)


def parametrized(module):
    torch.nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
    return module


CONVERSIONS = {
    "scripted": (torch.jit.script, "compiled by torch.jit.script; convert before scripting"),
    "parametrized": (parametrized, "parametrized (weight_hh_l0); convert before parametrizing"),
    "quantized": (
        lambda _: torch.ao.nn.quantizable.LSTM(3, 5),
        "quantized (torch.ao.nn.quantizable.modules.rnn.LSTM); convert before quantizing",
    ),
}


@pytest.mark.parametrize(("change", "advice"), CONVERSIONS.values(), ids=CONVERSIONS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_is_converted_first_as_the_advice_says_is_converted(change, advice):
    ((_, why),) = nn.convert(torch.nn.Sequential(change(torch.nn.GRU(3, 5)))).kept.items()
    assert why == advice
    assert nn.convert(torch.nn.Sequential(torch.nn.GRU(3, 5))).swapped


def test_hooks_are_removed_or_added_later_as_the_advice_says():
    module, hook = hooked()
    (why,) = nn.convert(torch.nn.Sequential(module)).kept.values()
    assert why.endswith("(_forward_hooks); remove them, or convert before they are added")
    hook.remove()
    model = torch.nn.Sequential(module)
    assert nn.convert(model).swapped and model[0].register_forward_hook(print)


def test_the_advice_for_a_model_that_is_a_layer_itself():
    old = torch.nn.GRU(3, 5)
    (why,) = nn.convert(old).kept.values()
    advice = "make ostinato.nn.GRU with the same arguments and load_state_dict(model.state_dict()), or convert what"
    assert advice in why and re.search(r"or convert what contains it$", why)
    new = nn.GRU(3, 5)
    new.load_state_dict(old.state_dict())
    torch.testing.assert_close(new(INPUT + 1)[0], old(INPUT + 1)[0])
    assert nn.convert(torch.nn.Sequential(old)).swapped
