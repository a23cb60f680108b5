"""Validation during training: losses and metrics after each epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ostinato.data.examples import Examples
from ostinato.evaluation.predictions import SCORED, metrics_of, predict_all
from ostinato.heads.contract import Scored
from ostinato.metrics.contract import Metric, Predictions
from ostinato.preprocessing.prepare import Prepared
from ostinato.recipe.metrics import known_of
from ostinato.registry import settings_class
from ostinato.run.run import Run

VALID_ROWS = 1000
"""Rows decoded after each epoch where a metric of predictions is monitored: enough to rank epochs."""


def validate(run: Run, prepared: Prepared, device: str) -> dict[str, float]:
    """The validation loss of each output, the metrics of its scores, and the monitored metric, whatever it needs."""
    examples = prepared.splits["valid"]
    scored: dict[str, list[Scored]] = {output: [] for output in run.outputs}
    for numbers in examples.evaluation_batches(run.recipe.settings.training):
        batch = examples.batch(numbers).to(device)
        for output in run.outputs:
            scored[output].append(run.graph.score(output, batch))
    monitored = run.recipe.settings.training.monitor
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
            elif f"{output}.{key}" == monitored:
                values[monitored] = _value(metric, _predictions(run, output, examples))
    values["loss"] = sum(run.outputs[output].weight * values[f"{output}.loss"] for output in run.outputs)
    return values


def _joined(scored: Sequence[Scored], name: str) -> np.ndarray | None:
    """A quantity of all batches, or None where the head does not know it."""
    parts = [getattr(part, name) for part in scored]
    return None if any(part is None for part in parts) else torch.cat([part.cpu().double() for part in parts]).numpy()


def _predictions(run: Run, output: str, examples: Examples) -> Predictions:
    """Greedy predictions for some of the examples."""
    some = examples.pick(np.arange(0, len(examples), max(1, len(examples) // VALID_ROWS)))
    return predict_all([run], some, search=settings_class("searches", "greedy")()).outputs[output]


def _value(metric: Metric, predictions: Predictions) -> float:
    return metric.value(np.sum(metric.statistics(predictions), 0).tolist())
