"""Averages of the weights over the course of training, and the way to put them on for a while."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """The mean of the weights after each update, older ones counting less.

        rate[t]    = (1 - decay) / (1 - decay^t)
        average[t] = average[t-1] + rate[t] (w[t] - average[t-1])

    That is sum_i decay^(t-i) w[i] / sum_i decay^(t-i): the start weights, which were never trained, have no part in it.

    Args:
        named: the weights to follow, by name.
        decay: how much less each older update counts.

    Source: Polyak and Juditsky 1992 for averaging; Kingma and Ba 2015, section 3, for dividing by 1 - decay^t.
    """

    def __init__(self, named: Mapping[str, nn.Parameter], decay: float):
        self._live = list(named.values())
        self._names = list(named)
        self._average = [weight.detach().clone() for weight in self._live]
        self.decay = decay

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Takes in the weights after update number `updates`, counted from 1."""
        rate = (1 - self.decay) / (1 - self.decay**updates)
        torch._foreach_lerp_(self._average, [weight.detach() for weight in self._live], rate)

    def weights(self) -> dict[str, Tensor]:
        return dict(zip(self._names, self._average))

    def restore(self, saved: Mapping[str, Tensor]) -> None:
        for name, average in zip(self._names, self._average):
            average.copy_(saved[name])


def mean(saved: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several sets of weights, summed in float64 in the order given; whole numbers come from the last."""
    total: dict[str, Tensor] = {}
    number = 0
    for weights in saved:
        number += 1
        for name, tensor in weights.items():
            if not tensor.is_floating_point():
                total[name] = tensor
            else:
                total[name] = total[name] + tensor.double() if name in total else tensor.double()
    real = {
        name: (tensor / number).to(weights[name].dtype) for name, tensor in total.items() if tensor.is_floating_point()
    }
    return total | real


@contextmanager
def worn(model: nn.Module, weights: Mapping[str, Tensor] | None) -> Iterator[None]:
    """The model with other weights for as long as the block runs; afterwards its own, to the bit. None: as it is."""
    if weights is None:
        yield
        return
    own = model.state_dict()
    kept = {name: own[name].clone() for name in weights}
    try:
        with torch.no_grad():
            for name, tensor in weights.items():
                own[name].copy_(tensor)
        yield
    finally:
        with torch.no_grad():
            for name, tensor in kept.items():
                own[name].copy_(tensor)
