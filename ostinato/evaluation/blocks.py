"""Block bootstraps, where examples depend on their neighbours: blocks of consecutive ones, of time, or whole series."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ostinato.errors import DataError
from ostinato.metrics.contract import Metric, Order

MANY_SERIES = 30
"""From so many series up each is one draw: what holds within a series then needs no model."""
FEW_BLOCKS = 10
_MOST_COUNTS = 1 << 22
"""Counts at a time: 32 MB, whatever the number of examples."""
_NORMAL = 1.959964


class Blocks(NamedTuple):
    """What a bootstrap draws in place of single examples.

        stretch longer than `length`:  a block begins at each of its examples, in a circle
        another stretch:               is one block

    Where series have times in common, drawn are blocks of time, the same in all series: the examples of one time are
    added up first, and form one stretch.

    From few series that give two blocks or more each, blocks are drawn within each series, which then has the share
    that it has; else from all, so that every example is drawn equally often.

    Args:
        stretches: the examples, or the times, of each stretch, in order.
        length: examples of a block.
        number: blocks of a draw.
        within: whether so many as belong to a stretch are drawn from it.
        description: what they are, for the name of a method.
        times: the number of each example's time, where those of one time are drawn together.
    """

    stretches: list[np.ndarray]
    length: int
    number: int
    within: bool
    description: str
    times: np.ndarray | None = None

    @property
    def strata(self) -> int:
        """Parts from each of which as many are drawn as belong to it; no draw shows how they differ."""
        return len(self.stretches) if self.within else 1

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the blocks' spread."""
        return self.number - self.strata

    @property
    def worth(self) -> float:
        """How many blocks there are end to end, with the part of one that may be left."""
        return sum(max(1.0, len(stretch) / self.length) for stretch in self.stretches)

    def sums(self, rows: np.ndarray) -> np.ndarray:
        """(units, width): the rows of every block that can be drawn, summed."""
        rows = rows if self.times is None else _by_time(self.times, rows)
        return np.concatenate([self._sums(rows[stretch]) for stretch in self.stretches])

    def _sums(self, rows: np.ndarray) -> np.ndarray:
        if len(rows) <= self.length:
            return rows.sum(0, keepdims=True)
        through = np.concatenate([np.zeros((1, rows.shape[1])), rows, rows[: self.length - 1]]).cumsum(0)
        return through[self.length :] - through[: -self.length]

    def counts(self, draws: int, seed: int) -> Iterator[np.ndarray]:
        """(some draws, units): how often each unit is drawn."""
        generator = np.random.default_rng(seed)
        sizes = np.array([len(stretch) if len(stretch) > self.length else 1 for stretch in self.stretches])
        lengths = np.array([len(stretch) for stretch in self.stretches])
        some = max(1, _MOST_COUNTS // int(sizes.sum()))
        for start in range(0, draws, some):
            rows = min(some, draws - start)
            if not self.within:
                weights = np.repeat(np.where(sizes > 1, 1 / self.length, 1.0), sizes)
                yield counted(generator, int(sizes.sum()), rows, self.number, weights)
                continue
            numbers = _numbers_within(lengths, self.length)
            parts = [counted(generator, size, rows, number) for size, number in zip(sizes.tolist(), numbers.tolist())]
            yield np.concatenate([part * share for part, share in zip(parts, lengths / (numbers * self.length))], 1)

    def differing(self, differ: np.ndarray) -> int:
        """How many blocks, end to end, hold an example that differs; a part of one that is left is none of its own."""
        differ = differ if self.times is None else np.bincount(self.times, differ) > 0
        number = sum(
            int(np.logical_or.reduceat(differ[stretch], np.arange(0, len(stretch), self.length)).sum())
            for stretch in self.stretches
        )
        return min(number, self.number)


def blocks(order: Order, influence: np.ndarray) -> Blocks:
    """Blocks of time where series have times in common, whole series where there are many, else blocks of neighbours.

    A block has at least `order.least` examples or times, more where neighbours are alike:

        length    max(least, (2 G^2 / D)^(1/3) n^(1/3))
        G         sum over k of lambda(k / M) |k| R(k)
        D         4/3 (sum of lambda(k / M) R(k))^2
        R(k)      autocovariance of the influence at lag k, within stretches
        lambda(t) = 1 up to 1/2, then 2 (1 - t) down to 0
        M         twice the lag after which autocorrelations are no more than chance

    What happens at one time happens to all series: errors that they share average out where blocks are drawn in each
    series by itself, and in the mean they do not. So blocks are drawn of the sums over series; nothing is said of other
    series then. Where all of that time is one block, series are drawn whole, as if they shared nothing.

    Args:
        order: which examples are neighbours.
        influence: (examples,) how much each moves the metric.

    Source: Kunsch 1989 (Annals of Statistics 17:1217); in a circle: Politis and Romano 1992; the length: Politis and
        White 2004 (Econometric Reviews 23:53), corrected by Patton, Politis and White 2009 (28:372). Sums over series:
        Driscoll and Kraay 1998 (Review of Economics and Statistics 80:549); Goncalves 2011 (Econometric Theory 27:1048)
        for drawing them.
    """
    numbers = np.asarray(order.stretch)
    sorted_by = np.argsort(numbers, kind="stable")
    ends = np.flatnonzero(np.diff(numbers[sorted_by])) + 1
    stretches = np.split(sorted_by, ends)
    lengths = np.array([len(stretch) for stretch in stretches])
    longest = int(lengths.max())
    times, is_shared = None, False
    if order.time is not None:
        distinct, times = np.unique(np.asarray(order.time), return_inverse=True)
        is_shared = len(distinct) < len(numbers)
    if is_shared:
        moved = _by_time(times, influence[:, None])[:, 0]
        length = max(order.least, automatic([moved]))
        number = round(len(moved) / length)
        if number > 1:
            few = ", few to judge by" if number < FEW_BLOCKS else ""
            among = f"the same times in {len(stretches)} {order.whole}{few}"
            description = f"{number} blocks of {length} {order.unit}{'s' * (length > 1)}, {among}"
            return Blocks([np.arange(len(moved))], length, number, False, description, times)
    length = longest
    if len(stretches) < MANY_SERIES and not is_shared:
        length = min(longest, max(order.least, automatic([influence[stretch] for stretch in stretches])))
    within = 1 < len(stretches) < MANY_SERIES and lengths.min() >= 2 * length
    number = (
        int(_numbers_within(lengths, length).sum()) if within else round(float(np.maximum(1, lengths / length).sum()))
    )
    if number == 1:
        # Blocks longer than half of the only stretch overlap wherever they begin: they show too little spread.
        length = longest
    few = ", few to judge by" if 1 < number < FEW_BLOCKS else ""
    if length == longest and len(stretches) > 1:
        alike = " of the same times" if is_shared else ""
        return Blocks(stretches, length, number, False, f"{len(stretches)} {order.whole}{alike}{few}")
    among = f" in {len(stretches)} {order.whole}" if len(stretches) > 1 else ""
    description = f"{number} block{'s' * (number > 1)} of {length} {order.unit}{'s' * (length > 1)}{among}{few}"
    return Blocks(stretches, length, number, within, description)


def _by_time(times: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(times, width): the rows of each time, summed."""
    return np.stack([np.bincount(times, column) for column in rows.T], 1)


def _numbers_within(lengths: np.ndarray, length: int) -> np.ndarray:
    """How many blocks each stretch gives."""
    return np.maximum(1, np.round(lengths / length)).astype(int)


def counted(
    generator: np.random.Generator, units: int, draws: int, size: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """(draws, units): how often each unit is among `size` drawn with replacement."""
    if weights is None or (weights == weights[0]).all():
        drawn = generator.integers(0, units, (draws, size))
    else:
        drawn = generator.choice(units, (draws, size), p=weights / weights.sum())
    drawn = drawn + units * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * units).reshape(draws, units).astype(np.float64)


def influence(metric: Metric, rows: np.ndarray) -> np.ndarray:
    """(examples,) how much each moves the metric, to first order: its row times the slope at the sum of all."""
    total = rows.sum(0)
    value = metric.value(total.tolist())
    slope = np.zeros(len(total))
    for at in range(len(total)):
        moved = total.copy()
        # Upwards: a sum of squares may be 0, and below it there is no root.
        moved[at] += 1e-6 * max(1.0, abs(total[at]))
        slope[at] = (metric.value(moved.tolist()) - value) / (moved[at] - total[at])
    return rows @ slope


def automatic(parts: Sequence[np.ndarray]) -> int:
    """The block length of `blocks` for numbers in parts, each about its mean; 1 where neighbours are independent."""
    count = sum(map(len, parts))
    centred = [part - part.mean() for part in parts]
    # Squares of a diverged model's numbers would pass the greatest float; lengths depend on no unit.
    largest = max((float(abs(part).max()) for part in centred if len(part)), default=0.0) or 1.0
    centred = [part / largest for part in centred]
    near = max(5, math.ceil(math.sqrt(math.log10(max(count, 2)))))
    most = min(math.ceil(math.sqrt(count)) + near, max(map(len, parts)) - 1)
    if most < 1:
        return 1
    covariances = (
        np.array([sum(float(part[k:] @ part[: max(0, len(part) - k)]) for part in centred) for k in range(most + 1)])
        / count
    )
    if covariances[0] <= 0:
        return 1
    small = abs(covariances[1:] / covariances[0]) < _NORMAL * math.sqrt(math.log10(max(count, 2)) / count)
    runs = [k for k in range(len(small)) if small[k : k + near].all()]
    width = min(2 * max(runs[0] if runs else most, 1), most)
    lags = np.arange(width + 1)
    taper = np.minimum(1, 2 * (1 - lags / width)) * covariances[: width + 1]
    spectrum = taper[0] + 2 * taper[1:].sum()
    slope = 2 * (lags * taper).sum()
    if spectrum <= 0:
        return 1
    best = (2 * slope**2 / (4 / 3 * spectrum**2)) ** (1 / 3) * count ** (1 / 3)
    return max(1, min(math.ceil(min(3 * math.sqrt(count), count / 3)), round(best)))


def check(order: Order, rows: np.ndarray, metric: str) -> None:
    """Errors:
    DataError: not every example has its place in the order.
    """
    if len(order.stretch) != len(rows):
        raise DataError(
            f"{metric}: {len(order.stretch)} examples have a place in time and there are {len(rows)}; give one for each"
        )
