"""All metrics of one output on some examples."""

from __future__ import annotations

from collections.abc import Iterable

from ostinato.errors import DataError
from ostinato.evaluation.intervals import measure
from ostinato.evaluation.predictions import metrics_of
from ostinato.evaluation.report import Metrics
from ostinato.metrics.contract import Predictions
from ostinato.run.run import Run


def measured(run: Run, output: str, predictions: Predictions) -> tuple[Metrics, dict[str, DataError]]:
    """Every metric whose columns are known, and why one cannot be measured on these examples."""
    values, refused = {}, {}
    for key, metric in metrics_of(run, output).items():
        if not metric.lacks(predictions):
            try:
                values[key] = measure(metric, predictions)
            except DataError as why:
                refused[key] = why
    return values, refused


def measured_alone(run: Run, output: str, predictions: Predictions, who: str, notes: list[str]) -> Metrics:
    """Every metric of some examples; one that cannot be measured on them is left out with a note that names them."""
    values, refused = measured(run, output, predictions)
    if refused and not values:
        notes.append(f"{who} cannot be measured alone: {next(iter(refused.values()))}")
    else:
        notes += [f"{who}: {output}.{key} is left out: {why}" for key, why in refused.items()]
    return values


def estimates(run: Run, output: str, keys: Iterable[str]) -> list[str]:
    """A note on those metrics that rest on estimated log-probabilities."""
    metrics, how = metrics_of(run, output), run.graph.heads[output].estimated
    named = [f"{output}.{key}" for key in keys if how and "log_probability" in metrics[key].needs]
    return [f"{', '.join(named)}: an estimate, by {how}"] if named else []
