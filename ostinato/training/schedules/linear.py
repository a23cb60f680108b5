"""Up in a line, down in a line."""

from ostinato.registry import Share
from ostinato.training.schedules.contract import Schedule, Updates, course, ramp


class Linear(Schedule):
    """A linear climb, then a linear fall to the last update.

        p      = (update - warmup) / (total - warmup)            share of the fall that lies behind, from 0 to 1
        factor = min(1, (update + 1) / warmup) * (1 - (1 - end) p)

    More epochs on a resumed run stretch what is left of the fall; the updates already made stay what they were.

    Args:
        warmup: updates in which the rate climbs to its full height; 0 for none.
        end: the factor that the last update comes near to.
    """

    def __init__(self, *, warmup: Updates = 0, end: Share = 0.0):
        self.warmup = warmup
        self.end = end

    def factor(self, update: int, total: int) -> float:
        return ramp(update, self.warmup) * (1 - (1 - self.end) * course(update, total, self.warmup))
