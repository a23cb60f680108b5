"""Validation during training: losses and metrics after each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ostinato.data.examples import Examples
from ostinato.errors import DataError
from ostinato.evaluation.predictions import SCORED, metrics_of, predict_all
from ostinato.heads.contract import Scored
from ostinato.metrics.contract import Metric, Predictions
from ostinato.model.reading import Reading
from ostinato.preprocessing.prepare import Prepared
from ostinato.recipe.metrics import known_of, main_metric
from ostinato.registry import Settings, component, settings_class
from ostinato.run.run import Run

VALID_ROWS = 1000
"""Rows predicted after each epoch where a metric of predictions is monitored: enough to rank epochs."""
SHOWN_ROWS = 200
"""Rows predicted where the metric is only shown and answers are generated symbol by symbol."""


def validate(run: Run, prepared: Prepared, device: str, *, search: Settings | None = None) -> dict[str, float]:
    """The validation loss of each output, the metrics of its scores, its main metric and the monitored one.

    Args:
        run: whose graph is measured.
        prepared: its data.
        device: to compute on.
        search: of answers that are generated; by default the recipe's own where it follows one path and draws nothing,
            else greedy.
    """
    examples = prepared.splits["valid"]
    scored: dict[str, list[Scored]] = {output: [] for output in run.outputs}
    for numbers in examples.evaluation_batches(run.recipe.settings.training):
        batch = examples.batch(numbers).to(device)
        reading = Reading(run.graph, batch.inputs)
        for output in run.outputs:
            scored[output].append(reading.score(output, batch.targets[output], batch.given.get(output)))
    monitored = run.recipe.settings.training.monitor
    predicted: dict[str, dict[str, Metric]] = {}
    values: dict[str, float] = {}
    for output in run.outputs:
        possible = known_of(run.outputs[output])
        scores = {name: _joined(scored[output], name) if name in possible else None for name in SCORED}
        values[f"{output}.loss"] = float(-scores["log_probability"].sum() / scores["num_targets"].sum())
        columns = {name: None if column is None else column.tolist() for name, column in scores.items()}
        known = Predictions(None, [""] * len(columns["num_targets"]), **columns)
        for key, metric in metrics_of(run, output).items():
            if "expected" not in metric.needs and not metric.lacks(known):
                values[f"{output}.{key}"] = _value(metric, known)
            elif f"{output}.{key}" == monitored or key == main_metric(run.outputs[output]):
                predicted.setdefault(output, {})[key] = metric
    if predicted:
        values |= _of_predictions(run, predicted, monitored, examples, search)
    values["loss"] = sum(run.outputs[output].weight * values[f"{output}.loss"] for output in run.outputs)
    return values


def _joined(scored: Sequence[Scored], name: str) -> np.ndarray | None:
    """A quantity of all batches, or None where the head does not know it."""
    parts = [getattr(part, name) for part in scored]
    return None if any(part is None for part in parts) else torch.cat([part.cpu().double() for part in parts]).numpy()


def _of_predictions(
    run: Run,
    metrics: Mapping[str, Mapping[str, Metric]],
    monitored: str,
    examples: Examples,
    search: Settings | None,
) -> dict[str, float]:
    """Metrics of predictions for some of the examples; one that these cannot be measured by is left out, unless
    it is monitored."""
    is_monitored = any(f"{output}.{key}" == monitored for output, listed in metrics.items() for key in listed)
    shown = any(run.graph.heads[output].generates for output in metrics) and not is_monitored
    some = examples.pick(np.arange(0, len(examples), max(1, len(examples) // (SHOWN_ROWS if shown else VALID_ROWS))))
    values = {}
    try:
        search = search or _cheap(run.recipe.settings.search)
        predictions = predict_all([run], some, search=search, metrics=metrics).outputs
        for output, listed in metrics.items():
            for key, metric in listed.items():
                if not metric.lacks(predictions[output]):
                    values[f"{output}.{key}"] = _value(metric, predictions[output])
    except DataError:
        if is_monitored:
            raise
    return values


def _cheap(own: Settings) -> Settings:
    """A recipe's own search where it costs as little as the greedy one and says the same each time, else that one."""
    member = component("searches", own.type)
    return own if member.one_path and not member.random else settings_class("searches", "greedy")()


def _value(metric: Metric, predictions: Predictions) -> float:
    return metric.value(np.sum(metric.statistics(predictions), 0).tolist())
