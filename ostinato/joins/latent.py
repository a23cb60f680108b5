"""A code drawn from a distribution: the variational autoencoder of sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ostinato.encoders.contract import Encoded
from ostinato.joins._parts import summaries
from ostinato.joins.contract import Join
from ostinato.kernels.products import linear
from ostinato.registry import Count, NonNegative, Whole

NARROWEST, WIDEST = -10.0, 10.0
"""Bounds of log s^2: a deviation of 0 or without bound has no finite distance."""


class Latent(Join):
    """Summaries through a code z, drawn from a normal distribution that is held near the standard one.

        m, log s^2 = W [summary_1; ...; summary_n] + b
        z          = m + s e,   e ~ N(0, 1) in training and in scores; m in predictions
        kl[d]      = (s[d]^2 + m[d]^2 - 1 - log s[d]^2) / 2
        loss      += weight min(1, update / annealing) sum over d of max(free, kl[d])

    With weight 1 and no free nats the loss is the negative evidence lower bound (ELBO), for each target: the distances
    of all rows are divided by the number of their targets, as the loss is. The score of a target is that
    bound, log p(y | z) - sum over d of kl[d], with one e for all rows, so that perplexity and log_loss are upper
    bounds. `generate` draws z from the standard normal in place of an input. It gives no steps: a head knows z alone.

    Args:
        size: of the code.
        weight: of the distance in the loss; below 1 reconstruction is worth more, at 0 nothing holds the code.
        annealing: updates over which that weight rises from 0: at once it teaches a decoder to do without the code.
        free: nats of each number of the code that cost nothing.

    Shapes:
        summary (B, size)

    Units:
        kl in nats per row; as a part of the loss per target

    Errors:
        ConfigError: an input that gives no summary.

    Source: Kingma and Welling 2014, arXiv:1312.6114, appendix B; sequences and annealing: Bowman et al. 2016,
        arXiv:1511.06349, section 3.1; free: Kingma et al. 2016, arXiv:1606.04934, appendix C.8, per row and number of
        the code where theirs is per group over a batch; weight: Higgins et al. 2017, beta-VAE.
    """

    penalties = ("kl",)
    draws_codes = True
    gives = frozenset({"distance"})
    metrics = ("reconstruction_loss", "kl_divergence")

    def __init__(
        self,
        steps_sizes: Sequence[int | None],
        summary_sizes: Sequence[int | None],
        *,
        size: Count = 64,
        weight: NonNegative = 1.0,
        annealing: Whole = 0,
        free: NonNegative = 0.0,
    ):
        super().__init__()
        self.steps_size, self.summary_size = None, size
        self.weight, self.annealing, self.free = weight, annealing, free
        self.code = nn.Linear(sum(summaries("latent", summary_sizes)), 2 * size)

    def penalty_weights(self, update: int) -> Mapping[str, float]:
        return {"kl": self.weight * min(1.0, update / self.annealing if self.annealing else 1.0)}

    def join(self, encoded: Sequence[Encoded]) -> Encoded:
        mean, spread = self._posterior(encoded)
        if not self.training:
            return Encoded(None, mean, None, penalties={"kl": (_distance(mean, spread).sum(), None)})
        code = mean + torch.exp(spread / 2) * torch.randn_like(mean)
        return Encoded(None, code, None, penalties={"kl": (self._paid(mean, spread), None)})

    def _paid(self, mean: Tensor, spread: Tensor) -> Tensor:
        return _distance(mean, spread).clamp(min=self.free).sum()

    def scored(self, encoded: Sequence[Encoded]) -> tuple[Encoded, Tensor]:
        mean, spread = self._posterior(encoded)
        draw = torch.randn(mean.shape[1], generator=torch.Generator().manual_seed(0)).to(mean)
        return Encoded(None, mean + torch.exp(spread / 2) * draw, None), _distance(mean, spread).sum(1)

    def _posterior(self, encoded: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
        every = torch.cat([source.summary for source in encoded], 1)
        mean, spread = linear(every, self.code.weight, self.code.bias).chunk(2, 1)
        return mean, spread.clamp(NARROWEST, WIDEST)


def _distance(mean: Tensor, spread: Tensor) -> Tensor:
    """(B, size) the divergence of each number of the code from the standard normal, in nats."""
    return 0.5 * (spread.exp() + mean.square() - 1 - spread)
