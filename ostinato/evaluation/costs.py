"""What a validation and the evaluation of a run take on this machine, measured on a few rows before it is trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ostinato.data.examples import Examples
from ostinato.data.split import evenly
from ostinato.errors import ConfigError, DataError
from ostinato.evaluation import baselines
from ostinato.evaluation.evaluate import report_of
from ostinato.evaluation.predictions import predict_all
from ostinato.evaluation.validate import SHOWN_ROWS, validate
from ostinato.preprocessing.prepare import Prepared
from ostinato.registry import Settings, build, settings_class
from ostinato.run import rows as row_sources
from ostinato.run.run import Run

FIRST, ROWS, FITTED = 4, (100, 400), 1000
"""Rows that prepare what is prepared once, rows that are measured, and training rows that baselines are fitted on."""
FEW_SECONDS, LEAST_SLOPE = 2.0, 0.25
"""So many rows alone are measured that take longer; and the least that a further row takes, as a share of the mean."""


def validation_costs(run: Run, prepared: Prepared, device: str) -> tuple[float, float]:
    """As `costs`, without what follows training."""
    run.graph.eval()
    try:
        with torch.no_grad():
            return _validation(run, prepared, device, _longest(run, prepared)), 0.0
    finally:
        run.graph.train()


def costs(run: Run, prepared: Prepared, device: str, *, roots: Sequence[Path] = ()) -> tuple[float, float]:
    """The seconds of a validation, and of all that follows training: predictions, intervals, baselines.

    A model that is not trained yet generates answers up to the longest that is allowed: their length is limited to
    that of an ordinary training target.

    Args:
        run: not trained yet.
        prepared: its data.
        device: to compute on.
        roots: folders where the data are looked for.
    """
    validation, _ = validation_costs(run, prepared, device)
    run.graph.eval()
    try:
        with torch.no_grad():
            return validation, _evaluation(run, prepared, _longest(run, prepared), roots)
    finally:
        run.graph.train()


def _longest(run: Run, prepared: Prepared) -> int:
    return max(int(np.mean(prepared.splits["train"].lengths(f"outputs.{output}"))) for output in run.outputs)


def _validation(run: Run, prepared: Prepared, device: str, longest: int) -> float:
    valid, greedy = prepared.splits["valid"], _limited(settings_class("searches", "greedy")(), longest)

    def measured(rows: int) -> None:
        some = replace(prepared, splits={**prepared.splits, "valid": _some(valid, rows)})
        validate(run, some, device, search=greedy)

    generates = any(head.generates for head in run.graph.heads.values())
    measured(FIRST)
    # Of answers that are generated few are validated, and they take most of the time.
    return _extrapolated(measured, min(SHOWN_ROWS, len(valid)) if generates else len(valid))


def _evaluation(run: Run, prepared: Prepared, longest: int, roots: Sequence[Path]) -> float:
    split = row_sources.default_split(run, None, None)
    try:
        examples = row_sources.of_split(run, split, None, roots)
    except (ConfigError, DataError):
        return 0.0  # The rows are in memory: nothing is evaluated after training.
    search = _limited(run.recipe.settings.search, longest)

    def predicted(rows: int) -> None:
        some = _some(examples, rows)
        # Where these are too few rows for every metric, the predictions are made, which take longer.
        with suppress(DataError):
            report_of(run, predict_all([run], some, search=search), split)

    train = prepared.splits["train"]

    def fitted(rows: int) -> None:
        with suppress(DataError):
            baselines.predictions(run, partial(_some, train, rows), _some(examples, FIRST))

    predicted(FIRST)
    fitted(FIRST)
    evaluation = _extrapolated(predicted, len(examples))
    fitting = _seconds(fitted, FITTED) * max(1.0, min(len(train), baselines.MOST_ROWS) / FITTED)
    return evaluation + fitting


def _extrapolated(measured: Callable[[int], Any], rows: int) -> float:
    """The seconds of so many rows, from those of some hundred: much is done once, and larger batches are faster."""
    few, more = (min(number, rows) for number in ROWS)
    seconds = _seconds(measured, few)
    if few < more and seconds < FEW_SECONDS:
        before, seconds = seconds, _seconds(measured, more)
        slope = max((seconds - before) / (more - few), LEAST_SLOPE * seconds / more)
        return seconds + slope * (rows - more)
    return seconds * rows / max(1, few)


def _seconds(measured: Callable[[int], Any], rows: int) -> float:
    began = time.monotonic()
    measured(rows)
    return time.monotonic() - began


def _some(examples: Examples, rows: int) -> Examples:
    """So many examples, evenly spread; all where there are not so many."""
    return examples.pick(evenly(len(examples), rows))


def _limited(search: Settings, longest: int) -> Settings:
    """The search with answers no longer than so many symbols, where it takes such a limit as it is set."""
    if "max_length" not in type(search).model_fields:
        return search
    limited = search.model_copy(update={"max_length": max(longest, search.min_length)})
    with suppress(ConfigError):
        build(limited, "searches")
        return limited
    return search
