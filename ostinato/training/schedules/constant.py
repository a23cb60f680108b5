"""One rate all the way."""

from ostinato.training.schedules.contract import Schedule, Updates, ramp


class Constant(Schedule):
    """The full rate from the end of the warm-up to the end.

        factor = min(1, (update + 1) / warmup)

    Args:
        warmup: updates in which the rate climbs to its full height; 0 for none.
    """

    def __init__(self, *, warmup: Updates = 0):
        self.warmup = warmup

    def factor(self, update: int, total: int) -> float:
        return ramp(update, self.warmup)
