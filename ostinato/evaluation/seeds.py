"""Runs that differ by seed alone: a metric over all of them, and two such sets compared by seed and example."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ostinato.errors import DataError
from ostinato.evaluation.blocks import Blocks, blocks, influence
from ostinato.evaluation.intervals import (
    LEVEL,
    Compared,
    chance,
    ends,
    resampled,
    standard_error,
    students_t,
    widened,
    wilson,
    within_range,
)
from ostinato.metrics.contract import Measured, Metric, Order

Runs = Sequence[np.ndarray]
"""Of each run, in the order of seeds: (examples, width), the metric's statistics."""
Orders = Sequence[Order]
ROUNDING = 1e-12
"""A difference of two values is none where it is so much smaller than they."""


def over_seeds(
    metric: Metric, runs: Runs, *, shared: bool, orders: Orders = (), draws: int = 1000, seed: int = 0
) -> Measured:
    """The mean of a metric over runs, with a 95 % interval for both what varies: the examples, and the seeds.

        low  = mean - sqrt((mean - e_low)^2  + s^2)      e: Wilson's interval for shares, else a bootstrap over examples
        high = mean + sqrt((e_high - mean)^2 + s^2)      s = t(k - 1) sd / sqrt(k) over k runs; 0 for one run

    Args:
        metric: what is measured.
        runs: their statistics, by position.
        shared: whether all runs were measured on the same examples.
        orders: of each run which examples are neighbours in time, so that blocks of them are drawn; empty where none
            are.
        draws: bootstrap samples.
        seed: of the draws.

    Errors:
        DataError: these examples cannot be measured.

    Source: Zou and Donner 2008 (Statistics in Medicine 27:1693) for the sum of squares.
    """
    values = [metric.value(rows.sum(0).tolist()) for rows in runs]
    mean, number = statistics.fmean(values), len(runs[0]) if shared else sum(map(len, runs))
    if metric.is_share and not orders:
        hits, examples = (runs[0] if len(runs) == 1 else np.concatenate(runs)).sum(0).tolist()
        kept = examples / len(runs) if shared else examples
        low, high = (100 * end for end in wilson(hits / examples * kept, kept))
        how = f"wilson over {number} examples"
    else:
        drawn = _drawn(metric, [runs], shared, orders)
        means = _means(metric, [runs], shared, drawn, draws, seed)[0]
        low, high = within_range(metric, means, *ends(widened(means, drawn)))
        how = f"block bootstrap over {_described(drawn)}" if drawn else f"bootstrap over {number} examples"
    if len(runs) == 1:
        return Measured(mean, low, high, how)
    spread = students_t(len(runs) - 1) * statistics.stdev(values) / len(runs) ** 0.5
    low, high = mean - ((mean - low) ** 2 + spread**2) ** 0.5, mean + ((high - mean) ** 2 + spread**2) ** 0.5
    # Student's t knows nothing of where a share, a rate, an error or an F1 ends.
    low, high = within_range(metric, np.array(values), low, high)
    return Measured(mean, low, high, f"{how} and Student's t over {len(runs)} seeds")


def difference(
    metric: Metric, first: Runs, second: Runs, *, shared: bool, orders: Orders = (), draws: int = 1000, seed: int = 0
) -> Compared:
    """How far the second runs are from the first, run by run of one seed and example by example.

        draw = mean over seeds of (second - first) on the drawn examples  +  t(k - 1) sd(second - first) / sqrt(k)
               the first part of few blocks as far out as `_intervals.widened` says
        p    = 2 min(share of draws <= 0, share of draws >= 0), one draw added to each; `chance` where these are few

    The first part is a paired bootstrap over examples, the second a draw from Student's t for what another set of k
    seeds would give; one run has no second part, and the result holds for these two runs alone. As in `paired`, p is
    never below 2^(1 - k) for k examples, or blocks of neighbours, that differ.

    Args:
        metric: what to compare by.
        first: the statistics of one side, by position.
        second: of the other, for the same seeds and the same examples, by position.
        shared: whether all seeds were measured on the same examples.
        orders: as in `over_seeds`.
        draws: bootstrap samples.
        seed: of the draws.

    Errors:
        DataError: the two sides are not measured on as many examples, or cannot be measured.
    """
    if [len(rows) for rows in first] != [len(rows) for rows in second]:
        raise DataError(
            f"{[len(rows) for rows in first]} examples beside {[len(rows) for rows in second]}; only equal ones can be"
            " paired"
        )
    sides = [[metric.value(rows.sum(0).tolist()) for rows in runs] for runs in (first, second)]
    differences = [other - value for value, other in zip(*sides)]
    mean = statistics.fmean(differences)
    nothing = ROUNDING * max(map(abs, itertools.chain(*sides)))
    mean = mean if abs(mean) > nothing else 0.0
    parts = _drawn(metric, [second, first], shared, orders)
    drawn = widened(np.subtract(*_means(metric, [second, first], shared, parts, draws, seed)), parts)
    how = f"paired block bootstrap over {_described(parts)}" if parts else "paired bootstrap over examples"
    freedom = sum(len(rows) - 1 for rows in (first[:1] if shared else first))
    errors = [standard_error(drawn, parts, freedom)]
    if len(first) > 1:
        error = statistics.stdev(differences) / len(first) ** 0.5
        errors.append((error, len(first) - 1))
        drawn = drawn + error * np.random.default_rng(seed).standard_t(len(first) - 1, len(drawn))
        how += f" and Student's t over {len(first)} seeds"
    low, high = (end if abs(end) > nothing else 0.0 for end in ends(drawn))
    differ = [(rows != other).any(1) for rows, other in zip(first, second)]
    differing = [np.any(differ, 0)] if shared else differ
    counted = zip(parts, differing) if parts else ((None, rows) for rows in differing)
    num_differing = sum(int(rows.sum()) if part is None else part.differing(rows) for part, rows in counted)
    p_value = chance(drawn, mean, errors, num_differing)
    real = (low > 0 or high < 0) and p_value < 1 - LEVEL
    return Compared(
        statistics.fmean(sides[0]),
        statistics.fmean(sides[1]),
        mean,
        low,
        high,
        p_value,
        real,
        _better(metric, mean, real),
        how,
    )


def corrected(metric: Metric, compared: Sequence[Compared]) -> list[Compared]:
    """The same differences with p corrected for their number (`holm`), and real or not by it."""
    results = []
    for pair, p_value in zip(compared, holm([pair.p_value for pair in compared])):
        real = pair.real and p_value < 1 - LEVEL
        results.append(replace(pair, p_value=p_value, real=real, better=_better(metric, pair.difference, real)))
    return results


def holm(p_values: Sequence[float]) -> list[float]:
    """Probabilities corrected for their number, in their order.

        p(i) = max over j <= i of min(1, (m - j + 1) p(j))      p(1) <= ... <= p(m)

    Source: Holm 1979 (Scandinavian Journal of Statistics 6:65).
    """
    results, highest = list(p_values), 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[at]))
        results[at] = highest
    return results


def _better(metric: Metric, mean: float, real: bool) -> str | None:
    if not real or metric.higher_is_better is None:
        return None
    return "second" if (mean > 0) == metric.higher_is_better else "first"


def _drawn(metric: Metric, sides: Sequence[Runs], shared: bool, orders: Orders) -> list[Blocks]:
    """The blocks that are drawn of each run, one for all where they share their examples; empty: single examples.

    Of two sides it is their difference whose neighbours are asked whether they are alike.
    """
    if not orders:
        return []
    signs = (1, -1)
    moved = [sum(sign * influence(metric, rows) for sign, rows in zip(signs, of_seed)) for of_seed in zip(*sides)]
    if shared:
        return [blocks(orders[0], np.mean(moved, 0))]
    return [blocks(order, influences) for order, influences in zip(orders, moved)]


def _described(drawn: Sequence[Blocks]) -> str:
    return (
        drawn[0].description
        if len(drawn) == 1
        else f"{sum(blocks.number for blocks in drawn)} blocks of {len(drawn)} splits"
    )


def _means(
    metric: Metric, sides: Sequence[Runs], shared: bool, drawn: Sequence[Blocks], draws: int, seed: int
) -> np.ndarray:
    """(sides, draws): the mean over runs on drawn examples, the same for all sides, and for runs that share them."""
    if shared:
        flat = [matrix for runs in sides for matrix in runs]
        values = np.array(resampled(metric, flat, draws, seed, drawn[0] if drawn else None))
        return values.reshape(len(values), len(sides), -1).mean(2).T
    each = [
        np.array(resampled(metric, matrices, draws, seed + number, drawn[number] if drawn else None))
        for number, matrices in enumerate(map(list, zip(*sides)))
    ]
    least = min(map(len, each))
    return np.mean([column[:least] for column in each], 0).T
