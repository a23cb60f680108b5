"""What distributions of real numbers share, and their average."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ostinato.distributions._logs import mean_of_logs
from ostinato.distributions.contract import Distribution, Loss
from ostinato.errors import ConfigError


class Numbers(Distribution):
    """Real numbers, each with a density of its own; those of a row are added up."""

    parameters: tuple[Tensor, ...] = ()
    """What the densities are made of, each of the shape of the values or spread over it; by position, as the class takes them."""

    @abstractmethod
    def densities(self, values: Tensor) -> Tensor:
        """The logarithm of the density of each number."""

    def values_of(self, target: Tensor) -> Tensor:
        """A target in the shape of the parameters, NaN where a number is missing."""
        return target

    def mean_of(self, others: Sequence[Numbers]) -> Numbers:
        return Average((self, *others)) if others else self

    def counts(self, target: Tensor) -> Tensor:
        return (~self.values_of(target).isnan()).flatten(1).sum(1)

    def right(self, target: Tensor) -> Tensor:
        return (self.mode() == target).flatten(1).sum(1).to(target.dtype)

    def log_prob(self, target: Tensor) -> Tensor:
        if "log_prob" in self.lacks:
            self.refuse("log_prob")
        return self.score(target)

    def score(self, target: Tensor) -> Tensor:
        densities, real = self._known(target)
        return densities.masked_fill(~real, 0).sum(tuple(range(1, densities.ndim)))

    def loss(self, target: Tensor) -> Loss:
        densities, real = self._known(target)
        return Loss(-densities[real].sum(), int(real.sum()))

    def _known(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """The density of each number, of 0 where it is missing, and which are not."""
        values = self.values_of(target)
        # A gap that is only left out of the sum would still make the gradient NaN: 0 times NaN.
        return self.densities(values.nan_to_num()), ~values.isnan()


class Average(Numbers):
    """The average of several distributions of numbers, whatever their kinds.

        q(level) = mean over i of q_i(level),  and so the mode
        p(y)     = mean over i of p_i(y)

    A mean of quantiles is as sharp as its members are on average, where a mixture is wider; of distributions that differ in place
    and scale alone it has the mean place and the mean scale. Its density has no closed form, so that of the mixture is reported.

    Args:
        members: of one shape.

    Errors:
        ConfigError: some have quantiles and others have none.

    Source: Lichtendahl, Grushka-Cockayne and Winkler 2013, doi:10.1287/mnsc.1120.1667; the density: Lakshminarayanan 2017,
    arXiv:1612.01474, section 2.4.
    """

    def __init__(self, members: Sequence[Numbers]):
        self.members, self.layout = members, members[0].layout
        self.lacks: Mapping[str, str] = {"sample": "an average of quantiles is not a mixture"}
        for member in members:
            self.lacks = {**self.lacks, **member.lacks}
        if len({"quantile" in member.lacks for member in members}) > 1:
            raise ConfigError("points cannot be averaged with quantiles; give runs of one distribution")

    @property
    def joint(self) -> bool:
        return self.members[0].joint

    def densities(self, values: Tensor) -> Tensor:
        return mean_of_logs([member.densities(values) for member in self.members])

    def values_of(self, target: Tensor) -> Tensor:
        return self.members[0].values_of(target)

    def mode(self) -> Tensor:
        return torch.stack([member.mode() for member in self.members]).mean(0)

    def quantile(self, levels: Sequence[float]) -> Tensor:
        return torch.stack([member.quantile(levels) for member in self.members]).mean(0)

    def right(self, target: Tensor) -> Tensor:
        return self.members[0].right(target) if self.joint else super().right(target)


def levels_like(levels: Sequence[float], values: Tensor) -> Tensor:
    """(levels, 1, ...) numbers that spread over these values."""
    return torch.tensor(levels, dtype=values.dtype, device=values.device).view(-1, *[1] * values.ndim)
