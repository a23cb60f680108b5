"""The weights of a model by layer: their rates, and the order in which they are unfrozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from ostinato.errors import ConfigError
from ostinato.training.optimizers._together import Together
from ostinato.training.optimizers.contract import Optimizer

Layer = Sequence[nn.Parameter]


def by_layer(named: Mapping[str, nn.Parameter], distances: Mapping[str, int]) -> list[Layer]:
    """The weights from the layer nearest to the output down to the farthest; no layer is empty.

    Args:
        named: the weights that are trained.
        distances: of each from the output; 0 where there is none.
    """
    layers: dict[int, list[nn.Parameter]] = {}
    for name, weight in named.items():
        layers.setdefault(distances.get(name, 0), []).append(weight)
    return [layers[distance] for distance in sorted(layers)]


def refuse_one_layer(layers: Sequence[Layer], unfreeze_every: int | None, factor: float) -> None:
    """Refuses rates by layer, or layers unfrozen in turn, of a model of one layer.

    Errors:
        ConfigError: the weights that are trained are of one layer.
    """
    if len(layers) == 1 and (unfreeze_every is not None or factor != 1):
        asked = "unfreeze_every" if unfreeze_every is not None else "layer_factor"
        raise ConfigError(
            f"training.{asked}: all weights that are trained belong to one layer, so it would do nothing; leave it out"
        )


def optimizer_of(
    optimizer: Optimizer, layers: Sequence[Layer], weights: Sequence[nn.Parameter], factor: float
) -> tuple[torch.optim.Optimizer, list[float]]:
    """torch's optimizer of all weights, and the share of the learning rate that each of its groups has.

        share of layer d = 1 / factor^d                  d = 0 nearest to the output

    All groups are there from the first update on, also those that are frozen at first: so each finds its state again
    when a run is resumed.
    """
    if factor == 1:
        whole = optimizer.make(weights)
        return whole, [1.0] * len(whole.param_groups)
    parts = [optimizer.make(layer) for layer in layers]
    shares = [factor**-number for number, part in enumerate(parts) for _ in part.param_groups]
    return Together(parts), shares
