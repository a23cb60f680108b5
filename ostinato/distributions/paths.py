"""Numbers by sampled paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ostinato.distributions.contract import Numbers


class Paths(Numbers):
    """Windows of numbers by paths that were sampled step by step.

    The quantiles are those of the paths. The density of a path has no closed form; what is reported is that of each
    step in the middle of the paths, made by the model itself.

    Shapes:
        paths (B, horizon, C, samples); start (B, horizon, C)

    Args:
        paths: sampled values.
        start: what each step is relative to, subtracted from the quantiles.
        density: of each step.
    """

    lacks: ClassVar[Mapping[str, str]] = {"sample": "the paths are the samples"}

    def __init__(self, paths: Tensor, start: Tensor, density: Numbers):
        self.paths, self.start, self.density = paths, start, density

    def densities(self, values: Tensor) -> Tensor:
        return self.density.densities(values)

    def mode(self) -> Tensor:
        """The median."""
        return self.quantile([0.5])[0]

    def quantile(self, levels: Sequence[float]) -> Tensor:
        return torch.quantile(self.paths, torch.tensor(levels).to(self.paths), dim=-1) - self.start
