"""Averages and clipping, checked by hand."""

import pytest
import torch
from torch import nn

from ostinato.training.averages import MovingAverage, mean, worn
from ostinato.training.clip import clip


def test_the_moving_average_is_the_weighted_mean_of_the_weights_after_each_update():
    weight = nn.Parameter(torch.tensor([100.0]))
    average = MovingAverage({"w": weight}, 0.5)
    for update, value in enumerate([1.0, 2.0, 4.0], 1):
        weight.data.fill_(value)
        average.update(update)
    assert average.weights()["w"].item() == pytest.approx((0.25 * 1 + 0.5 * 2 + 1 * 4) / 1.75)


def test_the_mean_of_sets_of_weights_keeps_types_and_takes_counters_from_the_last():
    sets = [{"w": torch.tensor([value]), "n": torch.tensor(number)} for value, number in ((1.0, 3), (2.0, 5), (6.0, 8))]
    found = mean(sets)
    assert found["w"].item() == 3.0 and found["w"].dtype == torch.float32 and found["n"].item() == 8


def test_worn_weights_are_taken_off_to_the_bit_even_after_an_error():
    model = nn.Linear(3, 3)
    before = model.weight.detach().clone()
    with pytest.raises(KeyError), worn(model, {"weight": torch.zeros(3, 3)}):
        assert not model.weight.any()
        raise KeyError
    assert torch.equal(model.weight, before)


def given(*gradients):
    parameters = [nn.Parameter(torch.zeros(len(gradient))) for gradient in gradients]
    for parameter, gradient in zip(parameters, gradients):
        parameter.grad = torch.tensor(gradient)
    return [*parameters, nn.Parameter(torch.zeros(1))]


def test_clipping_by_norm_keeps_the_direction_over_all_parameters():
    parameters = given([3.0], [0.0, 4.0])
    assert clip(parameters, norm=1.0, value=None).item() == 5.0
    assert parameters[0].grad.tolist() == pytest.approx([0.6]) and parameters[1].grad.tolist() == pytest.approx(
        [0, 0.8]
    )


def test_a_small_gradient_is_not_clipped():
    parameters = given([0.3], [0.4])
    clip(parameters, norm=1.0, value=1.0)
    assert [parameter.grad.item() for parameter in parameters[:2]] == pytest.approx([0.3, 0.4])


def test_what_is_not_finite_is_left_as_it_arose():
    parameters = given([3.0, torch.inf], [4.0])
    assert clip(parameters, norm=1.0, value=2.0).item() == torch.inf
    assert [one.grad.tolist() for one in parameters[:2]] == [[3.0, torch.inf], [4.0]]


def test_clipping_by_value_comes_first_and_the_norm_told_is_that_before_it():
    parameters = given([-30.0], [0.0, 4.0])
    assert clip(parameters, norm=1.0, value=3.0).item() == pytest.approx(916**0.5)
    assert parameters[0].grad.item() == pytest.approx(-(0.5**0.5)) and parameters[1].grad[1].item() == pytest.approx(
        0.5**0.5
    )
