"""What a metric is: predictions beside references, one number with a 95 % interval and the name of the method."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import inf
from typing import Any, ClassVar

import numpy as np


@dataclass(frozen=True)
class Measured:
    """A metric's value with its 95 % interval.

    Args:
        value: the number, in the metric's unit.
        low: the lower end of the interval.
        high: the upper end.
        method: how the interval was made, such as `wilson` or `bootstrap over 1000 examples, 1000 draws, seed 0`.
    """

    value: float
    low: float
    high: float
    method: str


@dataclass(frozen=True)
class Order:
    """Examples that come one after the other in a series or a text, and so are not independent of each other.

    Args:
        stretch: of each example the series or text it is of, by number; those of one stand in the order of time.
        least: so many neighbours have values in common, as windows that overlap.
        unit: what an example is, such as `window`.
        whole: what a stretch is, in the plural: `series`, `texts`.
        time: of each example when it is, as a number that compares between stretches; None where nothing tells it.
    """

    stretch: Sequence[int]
    least: int
    unit: str
    whole: str
    time: Sequence[int] | None = None

    def pick(self, examples: Sequence[int]) -> "Order":
        """The same of these examples, in rising order."""
        time = None if self.time is None else [self.time[at] for at in examples]
        return replace(self, stretch=[self.stretch[at] for at in examples], time=time)


@dataclass(frozen=True)
class Judged:
    """What is known of one output on one split, an entry per example.

    Args:
        predicted: raw predictions.
        expected: raw references.
        alternatives: further right answers per example, or None where the data list none.
        log_probability: log-probability of the reference, natural logarithm, or None where it was not computed.
        num_targets: how many steps that log-probability covers, the end symbol included.
        num_right: how many of these steps had the highest probability, or None.
        quantiles: what is known of each prediction's distribution: level (0.05 for the 5 % quantile) -> values, in the form of the
            reference; or None where predictions are points.
        scales: for each example how large an error is ordinary, or one number per channel: the mean absolute error of the
            seasonal naive forecast within the series' past (`data.series.seasonal_error`), NaN where it is not known; or None.
        order: which examples are neighbours in time, so that intervals are made over blocks; None where examples are independent.
    """

    predicted: Sequence[Any]
    expected: Sequence[Any]
    alternatives: Sequence[Sequence[Any]] | None = None
    log_probability: Sequence[float] | None = None
    num_targets: Sequence[int] | None = None
    num_right: Sequence[int] | None = None
    quantiles: Sequence[Mapping[float, Any]] | None = None
    scales: Sequence[Any] | None = None
    order: Order | None = None

    def pick(self, examples: Sequence[int]) -> "Judged":
        """The same of these examples alone, in rising order."""
        columns: dict[str, Any] = {
            field.name: getattr(self, field.name) for field in fields(self) if field.name != "order"
        }
        picked: dict[str, Any] = {
            name: None if column is None else [column[at] for at in examples] for name, column in columns.items()
        }
        return replace(self, **picked, order=None if self.order is None else self.order.pick(examples))


class Metric(ABC):
    """One number that says how good predictions are.

    A corpus metric is a function of sums: `statistics` gives one row of numbers per example, `value` turns the sum of any
    set of rows into the metric. That is all a bootstrap, a paired comparison and a group table need.
    """

    higher_is_better: ClassVar[bool | None]
    """None where neither end is good, as with a ratio whose best value lies in the middle."""
    unit: ClassVar[str]
    """`%`, `nats`, `bits` or empty."""
    greatest: ClassVar[float] = inf
    """What no value is above, where `unit` and direction do not tell: an error in % may be above 100, a score may not."""
    is_share: ClassVar[bool]
    """Whether each example counts 0 or 1, so that Wilson's interval is right; its rows are then (0 or 1, 1), the metric 100
    times the first sum over the second."""
    needs_log_probability: ClassVar[bool]
    """Whether it is made from the references' log-probability rather than from predictions."""
    per_step: ClassVar[bool] = False
    """Whether it is a mean over the steps that the model reads references in (`num_targets`): two systems then compare only where
    each reference has the same number of them, under one tokenizer."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Further columns of `Judged` without which it cannot be measured: `quantiles`, `scales`, which may be None; `expected` where it
    reads the references themselves although it is made from their log-probability."""

    def __init__(self) -> None:  # noqa: B027 (a default, not a duty)
        """A metric has no settings unless it declares some; without this, the settings would be read off `object`."""

    @abstractmethod
    def statistics(self, judged: Judged) -> list[Sequence[float]] | np.ndarray:
        """One row of sufficient statistics per example, all of one width; an array where they are many."""

    @abstractmethod
    def value(self, total: Sequence[float]) -> float:
        """The metric for the sum of some examples' rows, in `unit`; DataError where these examples have nothing to divide by."""

    @abstractmethod
    def signature(self) -> str:
        """The library and options that define the number, such as sacreBLEU's signature."""
