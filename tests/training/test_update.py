"""An update's clipping and AdamW: torch's numbers to the bit, with less of torch's Python around them."""

import copy

import pytest
import torch
from torch import nn

from ostinato.registry import make
from ostinato.training.clip import clip

SHAPES = [(1,), (3,), (16,), (17,), (31, 7), (64, 33), (5, 1, 3), (2049,), (128, 65), (0,)]


def weights(dtype=torch.float32):
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(shape, dtype=dtype)) for shape in SHAPES]


def with_gradients(*sets, update, scale=1.0, without=()):
    torch.manual_seed(update)
    for number, parameters in enumerate(zip(*sets)):
        gradient = torch.randn_like(parameters[0]) * scale * 10 ** (number % 5 - 3)
        for parameter in parameters:
            parameter.grad = None if number in without else gradient.clone()


def theirs(parameters, **options):
    return torch.optim.AdamW(parameters, 1e-3, (0.9, 0.999), 1e-8, 0.01, fused=True, **options)


def states(optimizer, parameters):
    return [value for parameter in parameters for _, value in sorted(optimizer.state[parameter].items())]


@pytest.mark.parametrize("norm", [None, 1.0])
def test_a_thousand_updates_are_torchs_to_the_bit(norm):
    ours, torchs = weights(), weights()
    own, other = make("optimizers", "adamw").make(ours), theirs(torchs)
    for update in range(1000):
        rate = 1e-3 * (1 + update % 7)
        own.param_groups[0]["lr"] = other.param_groups[0]["lr"] = rate
        # a gradient that is missing once leaves that weight's own count of steps behind the others'
        with_gradients(ours, torchs, update=update, scale=update % 3, without=(2, 5) if update % 50 == 7 else ())
        before = clip(ours, norm=norm, value=None)
        if norm is None:
            expected = torch.nn.utils.get_total_norm([one.grad for one in torchs if one.grad is not None])
        else:
            expected = torch.nn.utils.clip_grad_norm_(torchs, norm)
        assert torch.equal(before, expected)
        own.step()
        other.step()
        if update % 100 == 99:
            assert all(map(torch.equal, ours, torchs)), update
            assert all(map(torch.equal, states(own, ours), states(other, torchs))), update


def test_after_the_first_update_nothing_of_torchs_own_step_is_run(monkeypatch):
    parameters = weights()
    optimizer = make("optimizers", "adamw").make(parameters)
    with_gradients(parameters, update=0)
    optimizer.step()
    monkeypatch.setattr(torch.optim.AdamW, "step", None)
    with_gradients(parameters, update=1)
    optimizer.step()
    assert all(optimizer.state[one]["step"] == 2 for one in parameters)
    with_gradients(parameters, update=2, without=[1])
    with pytest.raises(TypeError):
        optimizer.step()


def test_a_restored_state_is_the_one_that_goes_on():
    ours, torchs = weights(), weights()
    own, other = make("optimizers", "adamw").make(ours), theirs(torchs)
    for update in range(10):
        if update == 5:
            for optimizer in (own, other):
                state = copy.deepcopy(optimizer.state_dict())
                for values in state["state"].values():
                    values["exp_avg"] = values["exp_avg"] * 2
                optimizer.load_state_dict(state)
        with_gradients(ours, torchs, update=update)
        own.step()
        other.step()
    assert all(map(torch.equal, ours, torchs))


def test_weights_of_two_types_are_torchs_too():
    ours, torchs = ([*weights(), *weights(torch.float64)] for _ in range(2))
    own, other = make("optimizers", "adamw").make(ours), theirs(torchs)
    for update in range(5):
        with_gradients(ours, torchs, update=update)
        assert torch.equal(clip(ours, norm=1.0, value=0.5), torch.nn.utils.get_total_norm([one.grad for one in torchs]))
        torch.nn.utils.clip_grad_value_(torchs, 0.5)
        torch.nn.utils.clip_grad_norm_(torchs, 1.0)
        own.step()
        other.step()
    assert all(map(torch.equal, ours, torchs))


def test_no_gradient_at_all():
    assert clip([nn.Parameter(torch.zeros(2))], norm=1.0, value=None) == 0
