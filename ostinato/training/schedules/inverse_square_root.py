"""The Transformer's rate."""

from ostinato.registry import Count
from ostinato.training.schedules.contract import Schedule


class InverseSquareRoot(Schedule):
    """A linear climb, then down with the square root of the number of updates.

        factor = min((update + 1) / warmup, sqrt(warmup / (update + 1)))

    Args:
        warmup: updates in which the rate climbs to its full height; also the length by which it falls afterwards. The
            published 4,000 belong to 100,000 updates; the default is a tenth of a run of about 5,000.

    Source: Vaswani et al. 2017, arXiv:1706.03762, equation 3, scaled so that its peak is 1.
    """

    def __init__(self, *, warmup: Count = 500):
        self.warmup = warmup

    def factor(self, update: int, total: int) -> float:
        return min((update + 1) / self.warmup, (self.warmup / (update + 1)) ** 0.5)
