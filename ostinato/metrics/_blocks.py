"""Intervals where examples depend on their neighbours: what is drawn is a block of consecutive ones, or a whole series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ostinato.errors import DataError
from ostinato.metrics._contract import Metric, Order

MANY_SERIES = 30
"""From so many series up each is one draw: what holds within a series then needs no model."""
FEW_BLOCKS = 10
_NORMAL = 1.959964


class Blocks(NamedTuple):
    """What a bootstrap draws in place of single examples.

        stretch longer than `length`:  a block begins at each of its examples, in a circle; `length` draws stand for one block
        another stretch:               is one block

    so that every example is drawn equally often.

    Args:
        stretches: the examples of each stretch, in order.
        length: examples of a block.
        number: blocks of a draw.
        told: what they are, for the name of a method.
    """

    stretches: list[np.ndarray]
    length: int
    number: int
    told: str

    def sums(self, rows: np.ndarray) -> np.ndarray:
        """(units, width): the rows of every block that can be drawn, summed."""
        return np.concatenate([self._sums(rows[one]) for one in self.stretches])

    def _sums(self, rows: np.ndarray) -> np.ndarray:
        if len(rows) <= self.length:
            return rows.sum(0, keepdims=True)
        through = np.concatenate([np.zeros((1, rows.shape[1])), rows, rows[: self.length - 1]]).cumsum(0)
        return through[self.length :] - through[: -self.length]

    def chances(self) -> np.ndarray | None:
        """(units,) how likely each is drawn; None: all alike."""
        if all(len(one) > self.length for one in self.stretches) or all(len(one) <= self.length for one in self.stretches):
            return None
        weights = [np.full(len(one), 1 / self.length) if len(one) > self.length else np.ones(1) for one in self.stretches]
        found = np.concatenate(weights)
        return found / found.sum()

    def differing(self, differ: np.ndarray) -> int:
        """How many blocks, end to end, hold an example that differs."""
        return sum(
            int(np.logical_or.reduceat(differ[one], np.arange(0, len(one), self.length)).sum()) for one in self.stretches
        )


def blocks(order: Order, influence: np.ndarray) -> Blocks:
    """Whole series where there are many, else blocks of at least `order.least` examples, longer where neighbours are alike.

        length = max(least, (2 G^2 / D)^(1/3) n^(1/3))     G = sum over k of lambda(k / M) |k| R(k),  D = 4/3 (sum of lambda(k / M) R(k))^2
        R(k)      autocovariance of the influence at lag k, within stretches
        lambda(t) = 1 up to 1/2, then 2 (1 - t) down to 0
        M         twice the lag after which autocorrelations are no more than chance

    Args:
        order: which examples are neighbours.
        influence: (examples,) how much each moves the metric.

    Source: Kunsch 1989 (Annals of Statistics 17:1217); in a circle: Politis and Romano 1992; the length: Politis and White 2004
        (Econometric Reviews 23:53), corrected by Patton, Politis and White 2009 (28:372).
    """
    numbers = np.asarray(order.stretch)
    sorted_by = np.argsort(numbers, kind="stable")
    ends = np.flatnonzero(np.diff(numbers[sorted_by])) + 1
    stretches = np.split(sorted_by, ends)
    count, longest = len(numbers), max(map(len, stretches))
    length = longest if len(stretches) >= MANY_SERIES else min(longest, max(order.least, automatic([influence[one] for one in stretches])))
    number = round(sum(max(1.0, len(one) / length) for one in stretches))
    few = ", few to judge by" if 1 < number < FEW_BLOCKS else ""
    if length == longest and len(stretches) > 1:
        return Blocks(stretches, length, number, f"{len(stretches)} {order.whole}{few}")
    size = length if number > 1 else count
    among = f" in {len(stretches)} {order.whole}" if len(stretches) > 1 else ""
    told = f"{number} block{'s' * (number > 1)} of {size} {order.unit}{'s' * (size > 1)}{among}{few}"
    return Blocks(stretches, length, number, told)


def influence(metric: Metric, rows: np.ndarray) -> np.ndarray:
    """(examples,) how much each moves the metric, to first order: its row times the metric's slope at the sum of all."""
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
    """The block length of `blocks` for numbers whose neighbours stand within parts; 1 where they tell nothing of each other."""
    count = sum(map(len, parts))
    mean = np.concatenate(parts).mean()
    centred = [one - mean for one in parts]
    near = max(5, math.ceil(math.sqrt(math.log10(max(count, 2)))))
    most = min(math.ceil(math.sqrt(count)) + near, max(map(len, parts)) - 1)
    if most < 1:
        return 1
    covariances = np.array([sum(float(one[k:] @ one[: max(0, len(one) - k)]) for one in centred) for k in range(most + 1)]) / count
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
        raise DataError(f"{metric}: {len(order.stretch)} examples have a place in time and there are {len(rows)}; give one for each")
