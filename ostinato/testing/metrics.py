"""The laws of metrics: each takes a `Measuring`, a metric and predictions of one kind, and fails by AssertionError."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ostinato.errors import DataError
from ostinato.evaluation.intervals import measure
from ostinato.metrics.contract import Metric, Predictions
from ostinato.testing._tools import Check, Member, all_checks

PAIRS: dict[str, tuple[Sequence[Any], Sequence[Any]]] = {
    "texts": (
        [
            "the cat sat on the mat .",
            "A Dog didn't run (in the U.S.), it's said: $3.50!",
            "a a a b",
            "我们 去北京 吧,好",
        ],
        ["the cat sat on a mat .", "a dog didn't run in the U.S. , it's said : $ 3.50 !", "a b", "我们去 北京吧,好"],
    ),
    "lists": (
        [list("abcdefg"), list("aaaaaa"), list("cdefg"), list("bacdef")],
        [list("abcdefg"), list("acdefg"), list("cdefgh"), list("abcdef")],
    ),
    "spans": (
        [["B-X", "I-X", "O"], ["O", "B-Y"], ["B-X", "O", "B-Y"]],
        [["B-X", "I-X", "O"], ["O", "B-X"], ["O", "O", "B-Y"]],
    ),
    "labels": (["a", "b", "a", "c", "b"], ["a", "b", "b", "c", "a"]),
    "several labels": ([["a"], ["a", "b"], []], [["a"], ["b"], ["c"]]),
    "numbers": ([1.0, 2.5, -3.0, 4.0], [1.7, 2.9, -1.0, 8.0]),
    "series": ([[1.0, 2.0], [3.0, 5.0], [4.0, 4.0]], [[1.5, 2.0], [2.0, 4.0], [4.0, 6.0]]),
}
"""Predictions and references of many kinds: a member is tried on those that it takes."""
TRIED = {"season": (2,), "n": (1, 3), "order": (3,), "level": (0.5,)}
"""Values of options that a type tells little of."""


def predictions(kind: str) -> Predictions:
    """All columns of one kind."""
    predicted, expected = PAIRS[kind]
    rows = len(expected)
    numbers = kind in ("numbers", "series")
    levels = [round(0.05 * k, 2) for k in range(1, 20)]
    spread = {level: 2 * level - 1 for level in levels}
    return Predictions(
        predicted,
        expected,
        alternatives=[list(predicted[:1]), *[[]] * (rows - 1)],
        log_probability=[-1.5 - 0.5 * row for row in range(rows)],
        num_targets=[2 + row for row in range(rows)],
        num_right=[1 + row % 2 for row in range(rows)],
        distance=[0.25 + 0.5 * row for row in range(rows)],
        quantiles=[{level: np.asarray(raw) + spread[level] for level in levels} for raw in predicted]
        if numbers
        else None,
        scales=[0.5 + row for row in range(rows)] if numbers else None,
    )


@dataclass(frozen=True)
class Measuring:
    """A metric, and predictions of one kind."""

    make: Callable[[], Metric]
    kind: str

    def made(self) -> tuple[Metric, Predictions, np.ndarray]:
        """The metric, the predictions, and a row of statistics of each."""
        metric, columns = self.make(), predictions(self.kind)
        return metric, columns, _rows(metric, columns)

    def takes(self) -> bool:
        metric, columns = self.make(), predictions(self.kind)
        if metric.lacks(columns):
            return False
        try:
            metric.value(_rows(metric, columns).sum(0))
        except (DataError, TypeError, ValueError, AttributeError):
            return False
        return True


def rows_add_up(case: Measuring) -> None:
    """A row of statistics for each example, all of one width, the same in any company."""
    metric, columns, rows = case.made()
    assert rows.ndim == 2 and len(rows) == len(columns.expected), f"rows are {rows.shape}"
    for example in range(len(rows)):
        alone = _rows(metric, columns.pick([example]))
        if alone.shape[1] == rows.shape[1]:  # a row may hold a number for each label that there is
            assert np.allclose(alone[0], rows[example]), f"example {example}"


def values_are_in_bounds(case: Measuring) -> None:
    """A value is finite and between `least` and `greatest`; where examples count 0 or 1 it is their share."""
    metric, _, rows = case.made()
    value = metric.value(rows.sum(0))
    assert np.isfinite(value) and metric.least - 1e-9 <= value <= metric.greatest + 1e-9, f"{value}"
    if metric.is_share:
        assert set(rows[:, 0].tolist()) <= {0, 1} and (rows[:, 1] == 1).all(), f"{rows}"
        assert abs(value - 100 * rows[:, 0].mean()) < 1e-9


def the_reference_itself_is_best(case: Measuring) -> None:
    """A prediction that is the reference is at least as good as another."""
    metric, columns, rows = case.made()
    if metric.higher_is_better is None or not {"predicted", "expected"} <= set(metric.needs):
        return
    perfect = metric.value(_rows(metric, replace(columns, predicted=columns.expected)).sum(0))
    other, sign = metric.value(rows.sum(0)), 1 if metric.higher_is_better else -1
    assert sign * perfect >= sign * other - 1e-9, f"the reference has {perfect}, another prediction {other}"


def what_it_lacks_is_named(case: Measuring) -> None:
    """A missing column is named in the message."""
    metric, columns, _ = case.made()
    for column in set(metric.needs) - {"expected"}:
        assert column in metric.lacks(replace(columns, **{column: None})), f"{column} is needed, and is not missed"


def order_changes_nothing(case: Measuring) -> None:
    """The examples in another order have the same value."""
    metric, columns, rows = case.made()
    backwards = replace(columns, **{name: column[::-1] for name, column in columns.columns().items()})
    value, other = metric.value(rows.sum(0)), metric.value(_rows(metric, backwards).sum(0))
    assert math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-12), f"{value}, backwards {other}"


def the_interval_holds_the_value(case: Measuring) -> None:
    """The 95 % interval has the value inside and ends within `least` and `greatest`."""
    metric, columns, _ = case.made()
    measured = measure(metric, columns, draws=200)
    assert metric.least <= measured.low <= measured.value <= measured.high <= metric.greatest, f"{measured}"


LAWS = (
    rows_add_up,
    order_changes_nothing,
    values_are_in_bounds,
    the_reference_itself_is_best,
    the_interval_holds_the_value,
    what_it_lacks_is_named,
)


def checks(member: Member) -> list[Check]:
    """Every law of `LAWS` on each kind of predictions that it takes, and the law of options; ConfigError where the
    options are refused."""
    taken = _cases(member)
    assert taken, f"{member} takes no predictions of any kind: {', '.join(PAIRS)}"
    return all_checks(member, [(law, case) for case in taken for law in LAWS], _fingerprint, TRIED)


def _cases(member: Member) -> list[Measuring]:
    return [case for case in (Measuring(member, kind) for kind in PAIRS) if case.takes()]


def _rows(metric: Metric, columns: Predictions) -> np.ndarray:
    return np.asarray(metric.statistics(columns), dtype=np.float64)


def _fingerprint(member: Member) -> list[Any]:
    every = [case.made() for case in _cases(member)]
    return [member().unit, *((rows.tolist(), metric.value(rows.sum(0))) for metric, _, rows in every)]
