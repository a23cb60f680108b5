"""Several inputs through a noisy code, which costs what it says."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ostinato.contracts import ConfigError, Count, Encoded, Join, NonNegative


class Noisy(Join):
    """A code drawn from a normal that the summaries give, with the distance from the standard normal as a penalty.

        m, s = W [summary_1; ...; summary_n] + b
        code = m + exp(s / 2) e, e ~ N(0, 1) in training; m elsewhere
        kl   = beta / 2 sum over the code of exp(s) + m^2 - 1 - s         added to the loss, per row

    Args:
        size: the width of the code.
        beta: the weight of the penalty.

    Errors:
        ConfigError: an input gives no summary.

    Source: Kingma and Welling 2014, arXiv:1312.6114, appendix B; beta: Higgins et al. 2017.
    """

    penalties = ("kl",)

    def __init__(
        self,
        steps_sizes: Sequence[int | None],
        summary_sizes: Sequence[int | None],
        *,
        size: Count = 8,
        beta: NonNegative = 0.1,
    ):
        super().__init__()
        if None in summary_sizes:
            raise ConfigError("noisy: an input gives no summary; choose another encoder")
        self.steps_size, self.summary_size, self.beta = None, size, beta
        self.code = nn.Linear(sum(width or 0 for width in summary_sizes), 2 * size)

    def join(self, encoded: Sequence[Encoded]) -> Encoded:
        summaries = [one.summary for one in encoded if one.summary is not None]
        mean, spread = self.code(torch.cat(summaries, 1)).chunk(2, 1)
        code: Tensor = mean + torch.exp(spread / 2) * torch.randn_like(mean) if self.training else mean
        distance = self.beta * 0.5 * (spread.exp() + mean.square() - 1 - spread).sum()
        return Encoded(None, code, None, penalties={"kl": (distance, len(mean))})
