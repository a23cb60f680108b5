"""A backtest: the forecasts of a split from several origins, each part measured by itself and with its baselines."""

from __future__ import annotations

import statistics

import numpy as np

from ostinato.data.examples import Examples
from ostinato.errors import ConfigError, DataError
from ostinato.evaluation.baselines import baselines
from ostinato.evaluation.measured import measured_alone
from ostinato.evaluation.predictions import SplitPredictions, metrics_of
from ostinato.evaluation.report import Backtest, Origin, Spread
from ostinato.run.run import Run


def check(run: Run, examples: Examples, origins: int) -> None:
    """Errors:
    ConfigError: the run does not forecast, or no series has a window for each origin.
    """
    windows = examples.windows
    if windows is None:
        raise ConfigError(f"--origins {origins}: is for forecasts, and {run.folder} predicts no series; leave it out")
    most = int(np.diff(windows.starts).max())
    if not 2 <= origins <= most:
        advice = f"give 2 to {most:,}" if most > 1 else "leave it out, or give more steps"
        raise ConfigError(
            f"--origins {origins}: forecasts of {windows.where} begin at {most:,} steps of a series at most; {advice}"
        )


def backtest(run: Run, predictions: SplitPredictions, examples: Examples, origins: int) -> Backtest:
    """Every metric for the forecasts from each origin up to the next, with mean, deviation and the worst origin.

        origin k of K = the windows of each series from the share k / K of them up to (k + 1) / K, in the order of time

    The model is not trained anew with what lies before an origin. A metric that cannot be measured on the windows of an
    origin is left out there and from the summary, with a note.

    Args:
        run: whose forecasts they are.
        predictions: its predictions for these examples.
        examples: all windows of a split.
        origins: how many.

    Source: Tashman 2000 (International Journal of Forecasting 16:437), rolling origins of fixed coefficients.
    """
    windows = examples.windows
    part_of = windows.parts(origins)
    parts: list[Origin] = []
    notes: list[str] = []
    for number in range(origins):
        rows = np.flatnonzero(part_of == number)
        first, last = windows.extent(rows)
        who = f"--origins {origins}: the windows from {first} to {last}"
        outputs = {}
        for output, known in predictions.outputs.items():
            chosen = np.flatnonzero(np.isin(predictions.numbers[output], rows)).tolist()
            outputs[output] = measured_alone(run, output, known.pick(chosen), who, notes)
        beside = {}
        if all(outputs.values()):
            try:
                beside = baselines(run, lambda: examples, examples.pick(rows))
            except DataError as why:
                notes.append(f"{who}: baselines are left out: {why}")
        parts.append(Origin(first, last, len(rows), outputs, beside))
    return Backtest(parts, {output: _summary(run, output, parts) for output in run.outputs}, False, notes)


def _summary(run: Run, output: str, parts: list[Origin]) -> dict[str, Spread]:
    """The spread of each metric over the origins, with that of the baselines."""
    summary = {}
    for key, metric in metrics_of(run, output).items():
        if not all(key in part.outputs[output] for part in parts):
            continue
        values = [part.outputs[output][key].value for part in parts]
        worst = None
        if metric.higher_is_better is not None:
            pick = min if metric.higher_is_better else max
            worst = parts[values.index(pick(values))].first
        beside = {}
        for name in parts[0].baselines.get(output, {}):
            metrics = [part.baselines.get(output, {}).get(name, {}) for part in parts]
            if all(key in each for each in metrics):
                beside[name] = _spread([each[key].value for each in metrics])
        summary[key] = _spread(values, worst, beside)
    return summary


def _spread(values: list[float], worst: str | None = None, beside: dict[str, Spread] | None = None) -> Spread:
    return Spread(statistics.fmean(values), statistics.stdev(values), worst, beside or {})
