"""Real numbers beside real numbers: one, a list, or steps with several channels, some of them missing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ostinato.errors import TRAIN_AGAIN, DataError
from ostinato.metrics.contract import Predictions


def pairs(predictions: Predictions) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(predicted, expected) of each example as arrays of one shape; what is missing (None or NaN) is NaN in `expected`.

    Errors:
        DataError: a value is no number, a reference is infinite, a prediction is not finite where there is a reference,
            or the two have different shapes.
    """
    for example, (predicted, raw) in enumerate(zip(predictions.predicted, predictions.expected, strict=True)):
        expected = _expected(raw, example)
        yield _fitted(predicted, expected, example, "the prediction"), expected


def summed(predictions: Predictions, error: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> list[Sequence[float]]:
    """Of each example the sum of `error(predicted, expected)` over its true values, and their number."""
    return [[np.nansum(error(predicted, true)), np.isfinite(true).sum()] for predicted, true in pairs(predictions)]


def squared(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The squared error."""
    return (predicted - true) ** 2


def distributions(predictions: Predictions, metric: str) -> Iterator[tuple[Mapping[float, np.ndarray], np.ndarray]]:
    """(level -> values, expected) of each example, all in one shape, all examples with the same levels in rising order.

    Errors:
        DataError: there are no quantiles, a level is not between 0 and 1, or examples have different levels; and what
            `pairs` refuses.
    """
    if predictions.quantiles is None:
        raise DataError(
            f"{metric} needs a predictive distribution, and these predictions are points; leave the metric out, or"
            " train a head"
            " that gives quantiles or a distribution"
        )
    levels: list[float] | None = None
    for example, (quantiles, raw) in enumerate(zip(predictions.quantiles, predictions.expected, strict=True)):
        own = sorted(quantiles)
        levels = own if levels is None else levels
        if own != levels or not own:
            listed = ", ".join(f"{level:g}" for level in own) or "none"
            raise DataError(
                f"{metric}: the quantile levels of example {example + 1} ({listed}) are not those of the first; give"
                " all the same"
            )
        if not 0 < own[0] <= own[-1] < 1:
            raise DataError(
                f"{metric}: level {own[0] if own[0] <= 0 else own[-1]:g} is not between 0 and 1; give 0.05 for the 5"
                " % quantile"
            )
        expected = _expected(raw, example)
        yield (
            {level: _fitted(quantiles[level], expected, example, f"the {level:g} quantile") for level in own},
            expected,
        )


def pinball_losses(predictions: Predictions, metric: str) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """(levels, pinball loss at each summed over true values, their number) of each example."""
    for quantiles, true in distributions(predictions, metric):
        errors = {level: true - quantile for level, quantile in quantiles.items()}
        losses = [np.nansum(np.maximum(level * error, (level - 1) * error)) for level, error in errors.items()]
        yield np.array(list(quantiles)), np.array(losses), int(np.isfinite(true).sum())


def _fitted(raw: Any, expected: np.ndarray, example: int, what: str) -> np.ndarray:
    """An array in the shape of its reference."""
    array = _array(raw, example, what)
    if array.shape != expected.shape:
        raise DataError(
            f"example {example + 1}: {what} has shape {array.shape}, the reference {expected.shape}; they must be equal"
        )
    if not np.isfinite(array[~np.isnan(expected)]).all():
        raise DataError(f"example {example + 1}: {what} is not finite: its training diverged; {TRAIN_AGAIN}")
    return array


def _expected(raw: Any, example: int) -> np.ndarray:
    array = _array(raw, example, "the reference")
    if np.isinf(array).any():
        raise DataError(
            f"example {example + 1}: the reference is infinite; mend it, or leave it empty where it is unknown"
        )
    return array


def _array(raw: Any, example: int, what: str) -> np.ndarray:
    try:
        return np.asarray(raw, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"example {example + 1}: {what} is {raw!r:.60}, and this metric reads real numbers, one, a list, or a"
            " list per step,"
            " all of one length; measure labels by accuracy, texts by exact_match"
        ) from None
