"""One cycle: up along half a wave, down along another."""

import math
from typing import Annotated

from pydantic import Field

from ostinato.registry import Share
from ostinato.training.schedules.contract import Schedule


class OneCycle(Schedule):
    """From a low rate up to a high one, then down to nearly none, each along half a cosine.

        between(a, b, p) = b + (a - b) (1 + cos(pi p)) / 2
        m      = climb * total - 1
        factor = between(start, 1, update / m)                              while update <= m
        factor = between(1, end, (update - m) / (total - 1 - m))            from then on

    The momentum stays what it is. More epochs on a resumed run stretch what is left of the cycle.

    Args:
        climb: the share of all updates in which the rate climbs.
        start: the factor of the first update.
        end: the factor of the last update.

    Source: Smith and Topin 2018, arXiv:1708.07120; the cosine and the defaults are those of torch's OneCycleLR.
    """

    def __init__(self, *, climb: Annotated[float, Field(gt=0, lt=1)] = 0.3, start: Share = 0.04, end: Share = 4e-6):
        self.climb = climb
        self.start = start
        self.end = end

    def factor(self, update: int, total: int) -> float:
        top = max(0.0, self.climb * total - 1)
        if update <= top and top:
            return _between(self.start, 1.0, update / top)
        return _between(1.0, self.end, min(1.0, (update - top) / max(1.0, total - 1 - top)))


def _between(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2
