"""How good a run is in one number of which more is better, as scikit-learn's `score` gives it."""

from __future__ import annotations

from ostinato.data.examples import Examples
from ostinato.errors import ConfigError
from ostinato.evaluation.predictions import predict_all
from ostinato.metrics.contract import Metric
from ostinato.recipe.metrics import main_metric, metrics_of
from ostinato.registry import make
from ostinato.run.run import Run


def single_score(run: Run, examples: Examples, output: str | None = None) -> float:
    """The metric that an output's modality names for this (of labels accuracy, of numbers R2), else its main metric: a
    percentage as a share, and one of which less is better with a minus.

    Args:
        run: that is measured.
        examples: it is measured on; those without the output are left out.
        output: that is scored; None: all, on average.

    Errors:
        ConfigError: there is no such output, several are scored by different metrics, or one has none.
    """
    if output is not None and output not in run.outputs:
        raise ConfigError(f"score: there is no output {output}; give one of {', '.join(run.outputs)}")
    chosen = {name: _metric(run, name) for name in (run.outputs if output is None else [output])}
    kinds = {key for key, _ in chosen.values()}
    if len(kinds) > 1:
        listed = ", ".join(f"{name} by {key}" for name, (key, _) in chosen.items())
        raise ConfigError(
            f"score: {listed}: no one number sums these up; name one of them, such as score(rows,"
            f" output={next(iter(chosen))!r})"
        )
    known = predict_all([run], examples, metrics={name: dict([pair]) for name, pair in chosen.items()}).outputs
    values = []
    for name, (_, metric) in chosen.items():
        rows = metric.statistics(known[name])
        value = metric.value([sum(column) for column in zip(*rows)])
        values.append((value if metric.higher_is_better else -value) / (100 if metric.unit == "%" else 1))
    return float(sum(values) / len(values))


def _metric(run: Run, output: str) -> tuple[str, Metric]:
    """What an output is scored by, with its key."""
    alone = run.modalities[f"outputs.{output}"].single_score
    if alone is not None:
        return alone, make("metrics", alone)
    key = main_metric(run.outputs[output])
    if key is None:
        raise ConfigError(f"score: {output} has no metric of which one end is best; evaluate(rows) gives what it has")
    return key, metrics_of(run.outputs[output])[key]
