"""The laws of optimizers, as plain functions: each takes a way to make the optimizer, and fails by AssertionError."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.testing._tools import Check, Member, all_checks, drawn, same
from ostinato.training.optimizers.contract import Optimizer

Make = Callable[[], Optimizer]
TRIED: dict[str, Any] = {}


def it_goes_down(make: Make) -> None:
    """Many steps lower a bowl of unequal curvature, and all weights stay finite."""
    weights = _weights()
    before = _bowl(weights).item()
    _steps(make().make(weights), weights, 200)
    after = _bowl(weights).item()
    assert after < before, f"from {before:.3g} to {after:.3g} in 200 steps"


def its_state_is_tensors_and_numbers(make: Make) -> None:
    """What a checkpoint keeps is tensors and numbers, and an optimizer that takes it up continues with the same
    bits."""
    weights = _weights()
    optimizer = make().make(weights)
    _steps(optimizer, weights, 3)
    state = copy.deepcopy(optimizer.state_dict())
    for entry in state["state"].values():
        for name, value in entry.items():
            assert value is None or isinstance(value, (Tensor, int, float)), f"{name}: {type(value).__name__}"
    others = [nn.Parameter(weight.detach().clone()) for weight in weights]
    again = make().make(others)
    again.load_state_dict(state)
    _steps(optimizer, weights, 3)
    _steps(again, others, 3)
    assert same([*weights], [*others]), "after its state was taken up the steps are others"


def what_has_no_gradient_stays(make: Make) -> None:
    """A weight without a gradient is left alone; one step is a function of the gradients alone."""
    weights = _weights()
    before = weights[1].detach().clone()
    optimizer = make().make(weights)
    weights[0].grad = torch.ones_like(weights[0])
    optimizer.step()
    assert torch.equal(weights[1], before), "a weight without a gradient has moved"
    assert same(_path(make, 3), _path(make, 3)), "two runs of the same gradients differ"


def the_rate_is_a_factor(make: Make) -> None:
    """The rate that a schedule sets is in `param_groups`, and is the one that was asked for."""
    settings = make()
    for group in settings.make(_weights()).param_groups:
        assert group["lr"] == settings.learning_rate


LAWS = (it_goes_down, its_state_is_tensors_and_numbers, what_has_no_gradient_stays, the_rate_is_a_factor)


def checks(member: Member) -> list[Check]:
    """Every law of `LAWS`, and the law of options; ConfigError where the options are refused."""
    slow = member.given({"learning_rate": 0.01})  # above it some leave a bowl this steep
    slow()
    return all_checks(member, [(law, slow) for law in LAWS], lambda other: _path(other, 12), TRIED)


def _weights() -> list[nn.Parameter]:
    return [nn.Parameter(torch.tensor([1.5, -2.0], dtype=torch.float64)), nn.Parameter(torch.ones(2, 2).double())]


def _bowl(weights: list[nn.Parameter]) -> Tensor:
    return weights[0].square().sum() + 5 * (weights[1] - 3).square().sum()


def _steps(optimizer: Any, weights: list[nn.Parameter], count: int) -> None:
    for _ in range(count):
        optimizer.zero_grad()
        _bowl(weights).backward()
        optimizer.step()


def _path(make: Make, steps: int) -> list[Tensor]:
    """The weights after some gradients of any sign."""
    weights, draw = _weights(), drawn(0, torch.float64)
    optimizer = make().make(weights)
    for _ in range(steps):
        for weight in weights:
            weight.grad = draw(*weight.shape)
        optimizer.step()
    return [weight.detach().clone() for weight in weights]
