"""A backtest: the forecasts of a split from several origins, each part judged by itself and beside the plain rivals."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np

from ostinato.data.examples import Examples
from ostinato.errors import ConfigError, DataError
from ostinato.evaluation import baselines as rivals
from ostinato.evaluation.evaluate import Examined, measured_alone, metrics_of
from ostinato.run.run import Run


def check(run: Run, examples: Examples, origins: int) -> None:
    """Errors:
    ConfigError: the run does not forecast, or no series has a window for each origin.
    """
    windows = examples.windows
    if windows is None:
        raise ConfigError(
            f"--origins {origins}: is of forecasts, and {run.folder} says what is no series; leave it out"
        )
    most = int(np.diff(windows.starts).max())
    if not 2 <= origins <= most:
        advice = f"give 2 to {most:,}" if most > 1 else "leave it out, or give more steps"
        raise ConfigError(
            f"--origins {origins}: forecasts of {windows.where} begin at {most:,} steps of a series at most; {advice}"
        )


def backtest(run: Run, examined: Examined, examples: Examples, origins: int) -> dict[str, Any]:
    """Every metric for the forecasts that begin from each origin up to the next, with mean, deviation and the worst origin.

        origin k of K = the windows of each series from the share k / K of them up to (k + 1) / K, in the order of time

    The model stays as it was trained: it is not trained anew with what lies before an origin. A metric that the windows of an
    origin cannot be judged by is left out there and from the summary, with a note.

    Args:
        run: whose forecasts they are.
        examined: its answers to these examples.
        examples: all windows of a split.
        origins: how many.

    Source: Tashman 2000 (International Journal of Forecasting 16:437), rolling origins of fixed coefficients.
    """
    windows = examples.windows
    part_of = windows.parts(origins)
    parts: list[dict[str, Any]] = []
    notes: list[str] = []
    for number in range(origins):
        rows = np.flatnonzero(part_of == number)
        begins, ends = windows.extent(rows)
        chosen = {
            output: np.flatnonzero(np.isin(numbers, rows)).tolist() for output, numbers in examined.numbers.items()
        }
        who = f"--origins {origins}: the windows from {begins} to {ends}"
        picked = {output: judged.pick(chosen[output]) for output, judged in examined.outputs.items()}
        outputs = {output: measured_alone(run, output, judged, who, notes) for output, judged in picked.items()}
        plain: dict[str, Any] = {}
        if all(outputs.values()):
            try:
                plain = rivals.measured(run, lambda: examples, examples.pick(rows))
            except DataError as why:
                notes.append(f"{who}: plain rivals are left out: {why}")
        parts.append({"from": begins, "to": ends, "examples": len(rows), "outputs": outputs, "rivals": plain})
    summary = {output: _summary(run, output, parts) for output in run.outputs}
    return {"origins": parts, "summary": summary, "refitted": False, "notes": notes}


def _summary(run: Run, output: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each metric mean and deviation over origins, and the worst; the rivals' beside it."""
    found = {}
    for name, metric in metrics_of(run, output).items():
        if not all(name in part["outputs"][output] for part in parts):
            continue
        values = [part["outputs"][output][name]["value"] for part in parts]
        found[name] = _over(values)
        if metric.higher_is_better is not None:
            pick = min if metric.higher_is_better else max
            found[name]["worst"] = parts[values.index(pick(values))]["from"]
        by_part = [part["rivals"].get(output, {}) for part in parts]
        by_rival = {rival: [one.get(rival, {}).get(name) for one in by_part] for rival in by_part[0]}
        told = {rival: _over([one["value"] for one in each]) for rival, each in by_rival.items() if None not in each}
        if told:
            found[name]["rivals"] = told
    return found


def _over(values: list[float]) -> dict[str, Any]:
    return {"mean": statistics.fmean(values), "deviation": statistics.stdev(values)}
