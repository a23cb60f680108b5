"""What a metric is: predictions and references in, one number out, with all that a 95 % interval needs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import inf, isfinite
from typing import Any, ClassVar

import numpy as np

from ostinato.errors import TRAIN_AGAIN, DataError
from ostinato.registry import Settings


@dataclass(frozen=True)
class Measured:
    """A metric's value with its 95 % interval.

    Args:
        value: the number, in the metric's unit.
        low: the lower end of the interval.
        high: the upper end.
        method: how the interval was computed, such as `wilson` or `bootstrap over 1000 examples, 1000 draws, seed 0`.
    """

    value: float
    low: float
    high: float
    method: str


@dataclass(frozen=True)
class Order:
    """Examples that follow each other in a series or a text, and so are not independent.

    Args:
        stretch: for each example the number of its series or text; examples of one stretch are in the order of time.
        least: how many neighbours share values, as overlapping windows do.
        unit: what an example is, such as `window`.
        whole: what a stretch is, in the plural: `series`, `texts`.
        time: for each example its time, as a number that compares between stretches; None where no time is known.
    """

    stretch: Sequence[int]
    least: int
    unit: str
    whole: str
    time: Sequence[int] | None = None

    def pick(self, examples: Sequence[int]) -> "Order":
        """The order of some examples, given in rising order."""
        time = None if self.time is None else [self.time[at] for at in examples]
        return replace(self, stretch=[self.stretch[at] for at in examples], time=time)


@dataclass(frozen=True)
class Predictions:
    """What is known of one output on one split, an entry per example; a quantity that is not known is None.

    Args:
        predicted: raw predictions.
        expected: raw references.
        alternatives: further right answers per example.
        log_probability: natural logarithm of the reference's probability.
        num_targets: how many steps that log-probability covers, the end symbol included.
        num_right: how many of these steps had the highest probability.
        distance: what that log-probability holds of the distance of a drawn code from the standard normal, in nats.
        quantiles: the quantiles of each prediction's distribution: level (0.05 for the 5 % quantile) -> values, in the
            form of the reference.
        scales: for each example the size of an ordinary error, or one number per channel: the mean absolute error of
            the seasonal naive forecast within the series' past (`data.series.seasonal_error`), NaN where it is unknown.
        order: which examples are neighbours in time, so that intervals are computed over blocks; None: they are
            independent.
    """

    predicted: Sequence[Any] | None
    expected: Sequence[Any]
    alternatives: Sequence[Sequence[Any]] | None = None
    log_probability: Sequence[float] | None = None
    num_targets: Sequence[int] | None = None
    num_right: Sequence[int] | None = None
    distance: Sequence[float] | None = None
    quantiles: Sequence[Mapping[float, Any]] | None = None
    scales: Sequence[Any] | None = None
    order: Order | None = None

    def columns(self) -> dict[str, Sequence[Any]]:
        """Every column that is known, by name."""
        columns = {column.name: getattr(self, column.name) for column in fields(self) if column.name != "order"}
        return {name: column for name, column in columns.items() if column is not None}

    def pick(self, examples: Sequence[int]) -> "Predictions":
        """The predictions of some examples, given in rising order."""
        picked: dict[str, Any] = {name: [column[at] for at in examples] for name, column in self.columns().items()}
        return replace(self, **picked, order=None if self.order is None else self.order.pick(examples))


class Metric(ABC):
    """One number for the quality of predictions.

    A corpus metric is a function of sums: `statistics` gives one row of numbers per example, `value` turns the sum of
    any set of rows into the metric. A bootstrap, a paired comparison and a table by group need nothing else.
    """

    higher_is_better: ClassVar[bool | None]
    """None where neither end is best, as with a ratio whose best value is 1."""
    unit: ClassVar[str] = ""
    """`%`, `nats`, `bits` or empty."""
    least: ClassVar[float] = 0.0
    """No value is below it."""
    greatest: ClassVar[float] = inf
    """No value is above it."""
    is_share: bool = False
    """Whether each example counts 0 or 1, so that Wilson's interval is right; its rows are then (0 or 1, 1), the metric
    100 times the first sum over the second."""
    per_step: ClassVar[bool] = False
    """Whether it is a mean over the steps in which the model reads references (`num_targets`): two systems then compare
    only where each reference has the same number of them, under one tokenizer."""
    needs: ClassVar[tuple[str, ...]] = ("predicted", "expected")
    """The columns of `Predictions` that it reads and cannot do without."""

    def __init__(self) -> None:  # noqa: B027 (a default, not a duty)
        """A metric has no settings unless it declares some; without this, the settings would be read off `object`."""

    @property
    def name(self) -> str:
        """The name of its file, for messages."""
        return type(self).__module__.rpartition(".")[2]

    @abstractmethod
    def statistics(self, predictions: Predictions) -> Sequence[Sequence[float]] | np.ndarray:
        """One row of sufficient statistics per example, all of one width; an array where they are many."""

    @abstractmethod
    def value(self, total: Sequence[float]) -> float:
        """The metric of the sum of some examples' rows, in `unit`; DataError where there is nothing to divide by."""

    def lacks(self, predictions: Predictions) -> list[str]:
        """The columns that it needs and that are not known."""
        return [name for name in self.needs if getattr(predictions, name) is None]


class Ratio(Metric):
    """A metric that is one sum ratio by another: its rows are (numerator, denominator)."""

    factor: ClassVar[float] = 1.0
    """What the ratio is multiplied by, 100 for a percentage."""
    counted: ClassVar[str]
    """What the denominator counts, for the error where it is 0."""

    def value(self, total: Sequence[float]) -> float:
        return self.factor * ratio(self, total, self.counted)


def ratio(metric: Metric, total: Sequence[float], counted: str) -> float:
    """total[0] / total[1], where there are some `counted` to divide by.

    Errors:
        DataError: the denominator is 0.
    """
    if total[1] == 0:
        raise DataError(
            f"{metric.name}: these examples hold no {counted} to divide by; give a split whose references are not all"
            " empty,"
            " or another metric"
        )
    return total[0] / total[1]


def without_scores(metric: Metric) -> DataError:
    """What is wrong with a metric where nothing scores the references, or draws no code for them."""
    known = "codes" if "distance" in metric.needs else "scores"
    return DataError(
        f"{metric.name} needs the reference's {known}; this model or output gives none: leave the metric out"
    )


def reference_scores(metric: Metric, predictions: Predictions) -> Sequence[float]:
    """The log-probability of each reference.

    Errors:
        DataError: a log-probability is unknown or not finite.
    """
    scores = predictions.log_probability
    if scores is None or metric.lacks(predictions):
        raise without_scores(metric)
    for example, score in enumerate(scores):
        if not isfinite(score):
            raise DataError(
                f"{metric.name}: the log-probability of reference {example + 1} is {score}, so that the metric has no"
                f" finite value; leave the example out, or {TRAIN_AGAIN}"
            )
    return scores


def distances(metric: Metric, predictions: Predictions) -> Sequence[float]:
    """The distance of each example's code.

    Errors:
        DataError: the model draws none.
    """
    if predictions.distance is None:
        raise without_scores(metric)
    return predictions.distance


def same(left: Any, right: Any) -> bool:
    """Whether two raw values are equal; a tuple equals a list of the same items, and in arrays a gap equals a gap."""
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return np.array_equal(left, right, equal_nan=True)
    return (list(left) if isinstance(left, tuple) else left) == (list(right) if isinstance(right, tuple) else right)


def key_of(settings: Settings) -> str:
    """The key of a metric in reports: its name and its options that are not defaults, such as `bleu(lowercase, intl)`.

    A switch shows its name, a word itself, any other option its name and value.
    """
    options = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if name == "type" or value == field.default:
            continue
        is_word = isinstance(value, str)
        options.append(name if value is True else value if is_word else f"{name}={value}")
    return settings.type + (f"({', '.join(options)})" if options else "")
