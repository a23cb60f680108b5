"""A metric's value with its 95 % interval, and the difference of two systems with whether it is real: of one run each,
or of several that differ by seed alone."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ostinato.errors import DataError
from ostinato.evaluation.blocks import Blocks, blocks, check, influence
from ostinato.evaluation.draws import (
    LEVEL,
    chance,
    ends,
    resampled,
    standard_error,
    students_t,
    widened,
    wilson,
    within_range,
)
from ostinato.metrics.contract import Measured, Metric, Order, Predictions, same

Runs = Sequence[np.ndarray]
"""Of each run, in the order of seeds: (examples, width), the metric's statistics."""
Orders = Sequence[Order]
ROUNDING = 1e-12
"""A difference of two values is none where it is so much smaller than they."""


@dataclass(frozen=True)
class Compared:
    """A metric of two systems on the same examples.

    Args:
        first: the first system's value, in the metric's unit.
        second: the second system's.
        difference: second - first.
        low: the lower end of the difference's 95 % interval.
        high: the upper end.
        p_value: two-sided: how often chance alone would make a difference as far from 0.
        real: whether the interval excludes 0, on enough examples.
        better: `first` or `second` where the difference is real and one end of the metric is good, else None.
        method: how this was computed.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float
    real: bool
    better: str | None
    method: str


def measure(metric: Metric, predictions: Predictions, *, draws: int = 1000, seed: int = 0) -> Measured:
    """The metric of all examples with its 95 % interval: Wilson's for shares, else a percentile bootstrap.

    Examples that are neighbours in time (`predictions.order`) tell less than as many independent ones: a bootstrap
    draws blocks of them, or whole series (`blocks.blocks`), of shares too.

        Wilson:     (p + z^2/2n ± z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)     z = 1.96, n examples, share p
        bootstrap:  the 2.5th and 97.5th percentile of the metric over `draws` samples of n examples, with replacement

    One example shows no spread, nor do examples that are all right: a bootstrap then gives the value twice, and its
    method names this.

    Args:
        metric: what to measure.
        predictions: the examples.
        draws: bootstrap samples.
        seed: of the draws.

    Errors:
        DataError: no example, columns of unequal length, or examples that the metric cannot score.

    Source: Wilson 1927 (JASA 22:209); Efron and Tibshirani 1993, chapter 13; of blocks see `blocks.blocks`.
    """
    rows, orders = [_rows(metric, predictions)], _orders(predictions)
    return over_seeds(metric, rows, shared=True, orders=orders, draws=draws, seed=seed)


def paired(metric: Metric, first: Predictions, second: Predictions, *, draws: int = 1000, seed: int = 0) -> Compared:
    """How far the second system is from the first, by a paired bootstrap: both on the same drawn examples.

        p = 2 min(share of draws with difference <= 0, share with difference >= 0), one draw added to each; where these
            are too few to count, `chance`

    With k examples on which the two differ, chance alone points them all the same way with probability 2^(1-k); p is
    never given as less, so that fewer than six can make no difference real; where examples are neighbours in time, k
    counts blocks.

    Args:
        metric: what to compare by.
        first: one system's answers.
        second: the other's, for the same examples in the same order.
        draws: bootstrap samples.
        seed: of the draws.

    Errors:
        DataError: the two were measured on different examples, references or steps, or cannot be measured.

    Source: Koehn 2004 (W04-3250); Efron and Tibshirani 1993, chapter 15.
    """
    _demand_same_examples(metric, first, second)
    sides = [[_rows(metric, predictions)] for predictions in (first, second)]
    return difference(metric, *sides, shared=True, orders=_orders(first), draws=draws, seed=seed)


def _orders(predictions: Predictions) -> list[Order]:
    return [] if predictions.order is None else [predictions.order]


def _rows(metric: Metric, predictions: Predictions) -> np.ndarray:
    """(examples, width): the metric's statistics."""
    lengths = {name: len(column) for name, column in predictions.columns().items()}
    if len(set(lengths.values())) > 1:
        counted = ", ".join(f"{number} {name}" for name, number in sorted(lengths.items()))
        raise DataError(f"{metric.name}: one entry per example is needed in each column, but there are {counted}")
    if not len(predictions.expected):
        raise DataError(f"{metric.name}: there is no example to measure; give a split with at least one")
    rows = np.asarray(metric.statistics(predictions), dtype=np.float64)
    if predictions.order is not None:
        check(predictions.order, rows, metric.name)
    return rows


def _demand_same_examples(metric: Metric, first: Predictions, second: Predictions) -> None:
    if len(first.expected) != len(second.expected):
        raise DataError(
            f"{metric.name}: the first system was measured on {len(first.expected)} examples, the second on"
            f" {len(second.expected)}; evaluate both on the same split"
        )
    for column in ("expected", "alternatives"):
        left, right = getattr(first, column), getattr(second, column)
        if (left is None) != (right is None):
            raise DataError(
                f"{metric.name}: only one of the two systems was measured with alternatives; evaluate both on the"
                " same data"
            )
        if left is None:
            continue
        for example, (value, other) in enumerate(zip(left, right, strict=True)):
            if not same(value, other):
                raise DataError(
                    f"{metric.name}: {column} of example {example + 1} is {value!r} for the first system and"
                    f" {other!r} for the"
                    " second; evaluate both on the same split, in the same order"
                )
    if metric.per_step and first.num_targets is not None and second.num_targets is not None:
        for example, (value, other) in enumerate(zip(first.num_targets, second.num_targets, strict=True)):
            if value != other:
                raise DataError(
                    f"{metric.name}: reference {example + 1} has {value:g} steps for the first system and {other:g}"
                    " for the second;"
                    " numbers per step compare only under one tokenizer: compare by the other metrics"
                )


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
    mean = statistics.fmean(values)
    if metric.is_share and not orders:
        hits, examples = (runs[0] if len(runs) == 1 else np.concatenate(runs)).sum(0).tolist()
        kept = examples / len(runs) if shared else examples
        hits = hits if kept == examples else hits / examples * kept
        low, high = (100 * end for end in wilson(hits, kept))
        how = f"wilson over {_examples(len(runs[0]) if shared else sum(map(len, runs)))}"
    else:
        drawn = _drawn(metric, [runs], shared, orders)
        means = _means(metric, [runs], shared, drawn, draws, seed)[0]
        low, high = within_range(metric, means, *ends(widened(means, drawn)))
        how = _name(runs, shared, drawn, draws, len(means), seed, spread=bool(np.ptp(means) > 0))
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
               the first part of few blocks as far out as `draws.widened` says
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
    how = f"paired {_name(first, shared, parts, draws, len(drawn), seed)}"
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
    how += f"; {num_differing} differ" if len(first) == 1 else ""
    return compared(metric, [statistics.fmean(side) for side in sides], mean, low, high, p_value, how)


def compared(
    metric: Metric, values: Sequence[float], difference: float, low: float, high: float, p_value: float, method: str
) -> Compared:
    """A difference of two values, and whether it is real."""
    real = (low > 0 or high < 0) and p_value < 1 - LEVEL
    better = None
    if real and metric.higher_is_better is not None:
        better = "second" if (difference > 0) == metric.higher_is_better else "first"
    return Compared(*values, difference, low, high, p_value, real, better, method)


def corrected(metric: Metric, pairs: Sequence[Compared]) -> list[Compared]:
    """The same differences with p corrected for their number (`holm`), and real or not by it."""
    p_values = holm([pair.p_value for pair in pairs])
    return [
        compared(metric, (pair.first, pair.second), pair.difference, pair.low, pair.high, p_value, pair.method)
        for pair, p_value in zip(pairs, p_values)
    ]


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


def _name(
    runs: Runs, shared: bool, drawn: Sequence[Blocks], draws: int, used: int, seed: int, spread: bool = True
) -> str:
    """What is drawn, and how often."""
    number = len(runs[0]) if shared else sum(map(len, runs))
    units = sum(blocks.number for blocks in drawn) if drawn else number
    what = _examples(number)
    if drawn:
        what = drawn[0].description if len(drawn) == 1 else f"{units} blocks of {len(drawn)} splits"
    alone = ", which shows no spread" if units == 1 or not spread else ""
    left_out = f" ({draws - used} without anything to divide by left out)" if used < draws else ""
    return f"{'block ' if drawn else ''}bootstrap over {what}{alone}, {draws} draws{left_out}, seed {seed}"


def _examples(number: int) -> str:
    return f"{number} example{'s' * (number > 1)}"


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
