"""A short climb and a long fall, both in a line."""

from typing import Annotated

from pydantic import Field

from ostinato.training.schedules.contract import Schedule, course


class SlantedTriangular(Schedule):
    """A short linear climb, then a long linear fall, in shares of the whole training.

        c      = climb * total
        p      = update / c                            while update < c
        p      = 1 - (update - c) / (total - c)        from then on
        factor = (1 + p (ratio - 1)) / ratio

    More epochs on a resumed run stretch what is left; the updates already made stay what they were.

    Args:
        climb: the share of all updates in which the rate climbs.
        ratio: how many times lower than the highest rate the lowest is.

    Source: Howard and Ruder 2018, arXiv:1801.06146, equation 3; climb and ratio are their cut_frac and ratio.
    """

    def __init__(
        self,
        *,
        climb: Annotated[float, Field(gt=0, lt=1)] = 0.1,
        ratio: Annotated[float, Field(gt=1)] = 32.0,
    ):
        self.climb = climb
        self.ratio = ratio

    def factor(self, update: int, total: int) -> float:
        top = int(self.climb * total)
        share = update / top if update < top else 1 - course(update, total, top)
        return (1 + share * (self.ratio - 1)) / self.ratio
