"""Validation during training: losses and metrics after each epoch."""

from __future__ import annotations

import numpy as np
import torch

from ostinato.evaluation import evaluate as judging
from ostinato.metrics.contract import Predictions
from ostinato.preprocessing.prepare import Prepared
from ostinato.registry import settings_class
from ostinato.run.run import Run

VALID_ROWS = 1000
"""Rows decoded after each epoch where a metric of predictions is monitored: enough to rank epochs, few enough to wait for."""


def validate(run: Run, prepared: Prepared, device: str) -> dict[str, float]:
    """The validation loss of each output, and the metrics that come with it; others only where one of them is monitored."""
    examples, found = prepared.splits["valid"], {}
    scored: dict[str, list[np.ndarray]] = {output: [] for output in run.outputs}
    for numbers in examples.evaluation_batches(run.recipe.settings.training):
        batch = examples.batch(numbers).to(device)
        for output in run.outputs:
            one = run.graph.score(output, batch)
            scored[output].append(
                torch.stack([one.log_probability.cpu(), one.num_targets, one.num_right.cpu()]).double().numpy()
            )
    monitored = run.recipe.settings.training.monitor
    for output in run.outputs:
        log_probability, num_targets, num_right = np.concatenate(scored[output], 1)
        found[f"{output}.loss"] = float(-log_probability.sum() / num_targets.sum())
        blank = [""] * len(num_targets)
        judged = Predictions(None, blank, None, log_probability.tolist(), num_targets.tolist(), num_right.tolist())
        for name, metric in judging.metrics_of(run, output).items():
            if {"log_probability", "num_targets", "num_right"}.issuperset(metric.needs):
                found[f"{output}.{name}"] = metric.value(np.sum(metric.statistics(judged), 0).tolist())
            elif f"{output}.{name}" == monitored:
                some = examples.pick(np.arange(0, len(examples), max(1, len(examples) // VALID_ROWS)))
                greedy = settings_class("searches", "greedy")()
                examined = judging.examine([run], some, search=greedy)
                judged_rows = metric.statistics(examined.outputs[output])
                found[monitored] = metric.value(np.sum(judged_rows, 0).tolist())
    found["loss"] = sum(run.outputs[output].weight * found[f"{output}.loss"] for output in run.outputs)
    return found
