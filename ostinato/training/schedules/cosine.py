"""Half a wave of a cosine."""

import math

from ostinato.registry import Share
from ostinato.training.schedules.contract import Schedule, Updates, course, ramp


class Cosine(Schedule):
    """A linear climb, then down along half a cosine: slow at first, fast in the middle, slow at the end.

        p      = (update - warmup) / (total - warmup)            share of the fall that lies behind, from 0 to 1
        factor = min(1, (update + 1) / warmup) * (end + (1 - end) (1 + cos(pi p)) / 2)

    More epochs on a resumed run stretch what is left of the fall; the updates already made stay what they were.

    Args:
        warmup: updates in which the rate climbs to its full height; 0 for none.
        end: the factor that the last update comes near to.

    Source: Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5, one cycle without restarts.
    """

    def __init__(self, *, warmup: Updates = 0, end: Share = 0.0):
        self.warmup = warmup
        self.end = end

    def factor(self, update: int, total: int) -> float:
        fall = (1 + math.cos(math.pi * course(update, total, self.warmup))) / 2
        return ramp(update, self.warmup) * (self.end + (1 - self.end) * fall)
