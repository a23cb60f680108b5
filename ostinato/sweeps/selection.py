"""Which of several trained runs answer best together, by what they predict for the validation split."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import torch

from ostinato.data.examples import Examples
from ostinato.distributions.contract import Distribution
from ostinato.errors import ConfigError, DataError
from ostinato.evaluation.predictions import metrics_of
from ostinato.evaluation.validate import SHOWN_ROWS
from ostinato.heads.contract import predicted, scored
from ostinato.metrics.contract import Predictions
from ostinato.recipe.metrics import main_metric
from ostinato.recipe.rules import monitorable
from ostinato.run.run import Run
from ostinato.run.score import scores
from ostinato.steps import Steps

ROWS, MOST_ROWS = 128, 5000
"""Validation rows computed at once, and at all."""
ROUNDS, GENERATED_ROUNDS = 16, 4
"""Members are added so many times; where answers are generated each trial computes all symbols anew."""

Figures = Mapping[str, float]
"""What is known of a model on the validation split: `loss`, `OUTPUT.loss`, `OUTPUT.METRIC`."""


class Selection(NamedTuple):
    """What was selected.

    Args:
        counts: how often each run counts.
        figures: of them together.
        default: those of the default run alone.
    """

    counts: dict[str, int]
    figures: Figures
    default: Figures


class Voting:
    """What runs predict for one validation split, alone and together; distributions are computed once.

    Args:
        runs: by name.
        valid: the split as each of them encodes it, in the same order of rows.
    """

    def __init__(self, runs: Mapping[str, Run], valid: Mapping[str, Examples]):
        self.runs, self.lead = runs, next(iter(runs.values()))
        number = len(next(iter(valid.values())))
        some = np.arange(0, number, -(-number // MOST_ROWS))
        valid = {name: examples.pick(some) for name, examples in valid.items()}
        self.rows = list(next(iter(valid.values())).raw())
        self.generated = {name for name, head in self.lead.graph.heads.items() if head.generates}
        self.at_once = [name for name in self.lead.outputs if name not in self.generated]
        self.targets: dict[str, list[Steps]] = {output: [] for output in self.at_once}
        self.numbers: dict[str, list[int]] = {output: [] for output in self.at_once}
        self.known = {name: self._distributions(name, valid[name]) for name in runs if self.at_once}

    @torch.no_grad()
    def _distributions(self, name: str, valid: Examples) -> dict[str, list[Distribution]]:
        """The distribution of each output, batch by batch."""
        run, first = self.runs[name], self.runs[name] is self.lead
        known: dict[str, list[Distribution]] = {output: [] for output in self.at_once}
        for numbers in np.array_split(np.arange(len(valid)), -(-len(valid) // ROWS)):
            batch = valid.batch(numbers).to(run.device)
            for output, distributions in known.items():
                rows, read = batch.given.get(output), run.graph.read(output, batch.inputs)
                read = read if rows is None else [part.select(rows) for part in read]
                targets = batch.targets[output]
                distributions.append(run.graph.heads[output].predict_distribution(read, targets))
                if first:
                    self.targets[output].append(targets)
                    present = numbers if rows is None else numbers[rows.cpu().numpy()]
                    self.numbers[output] += present.tolist()
        return known

    def figures(self, members: Sequence[str], *, metrics: bool = True) -> dict[str, float]:
        """The loss and the main metric of each output, and the loss of all.

        Args:
            members: names, each as often as it counts.
            metrics: whether metrics are measured beside losses.

        Errors:
            ConfigError: their distributions have no average.
        """
        figures: dict[str, float] = {}
        for output in self.at_once:
            together = [
                own.mean_of(others)
                for own, *others in zip(*(self.known[name][output] for name in members), strict=True)
            ]
            figures |= self._of_output(output, together, metrics)
        if self.generated:
            some = self.rows[:: max(1, len(self.rows) // SHOWN_ROWS)]
            by_output = scores([self.runs[name] for name in members], some)
            for output in self.generated:
                known = by_output[output].scored
                figures[f"{output}.loss"] = float(-known.log_probability.sum() / known.num_targets.sum())
        settings = self.lead.outputs
        return {"loss": sum(settings[name].weight * figures[f"{name}.loss"] for name in settings), **figures}

    def _of_output(self, output: str, together: Sequence[Distribution], metrics: bool) -> dict[str, float]:
        parts = [scored(distribution, targets) for distribution, targets in zip(together, self.targets[output])]
        total, count = (
            sum(float(getattr(part, name).double().sum()) for part in parts)
            for name in ("log_probability", "num_targets")
        )
        figures, key = {f"{output}.loss": -total / count}, main_metric(self.lead.outputs[output])
        if metrics and key is not None:
            place, modality = f"outputs.{output}", self.lead.modalities[f"outputs.{output}"]
            answers = [steps for distribution in together for steps in predicted(distribution).steps.split()]
            known = Predictions(
                [modality.decode(steps.cpu().numpy()) for steps in answers],
                [self.lead.raw(self.rows[number], place) for number in self.numbers[output]],
            )
            metric = metrics_of(self.lead, output)[key]
            # Rows that no metric can be measured by, such as those without a span.
            with suppress(DataError):
                if not metric.lacks(known):
                    figures[f"{output}.{key}"] = metric.value(np.sum(metric.statistics(known), 0).tolist())
        return figures


def select(voting: Voting, monitor: str) -> Selection:
    """The run, or the ensemble of runs, that is best on the validation split and in no main metric worse than the
    first one, the default.

        E[0] = the best run alone
        E[k] = E[k - 1] and the run that makes it best, which may be in it already

    Args:
        voting: of the runs, the default first.
        monitor: what they are compared by, as in training.

    Source: Caruana, Niculescu-Mizil, Crew and Ksikes 2004, doi:10.1145/1015330.1015432.
    """
    names, higher = [*voting.runs], monitorable(voting.lead.recipe.settings)

    def cost(figures: Figures) -> float:
        # A metric of what is generated is not measured here.
        name = monitor if monitor in figures else "loss"
        value = -figures[name] if higher[name] else figures[name]
        return value if math.isfinite(value) else math.inf

    alone = {name: voting.figures([name]) for name in names}
    best = min(names, key=_by(cost, alone))
    tried: list[list[str]] = [[name] for name in names]
    chosen, rounds = [best], GENERATED_ROUNDS if voting.generated else ROUNDS
    while len(chosen) < rounds and len(names) > 1:
        trials = {}
        for name in names:
            # What has no average, such as a point and quantiles, answers alone.
            with suppress(ConfigError):
                trials[name] = voting.figures([*chosen, name], metrics=not _is_loss(monitor))
        chosen = [*chosen, min(trials, key=_by(cost, trials))]
        tried.append(chosen)
    default = alone[names[0]]
    measured = [(members, voting.figures(members)) for members in tried]
    good = [(members, figures) for members, figures in measured if _is_no_worse(figures, default, higher)]
    members, figures = min(good, key=_by_cost(cost))
    return Selection(dict(Counter(members).most_common()), figures, default)


def _by(cost: Callable[[Figures], float], figures: Mapping[str, Figures]) -> Callable[[str], float]:
    def key(name: str) -> float:
        return cost(figures[name])

    return key


def _by_cost(cost: Callable[[Figures], float]) -> Callable[[tuple[list[str], Figures]], tuple[float, int]]:
    def key(item: tuple[list[str], Figures]) -> tuple[float, int]:
        return cost(item[1]), len(set(item[0]))

    return key


def _is_no_worse(figures: Figures, default: Figures, higher: Mapping[str, bool]) -> bool:
    """Whether no metric is worse than the default run's."""
    metrics = [name for name in default if not _is_loss(name) and name in figures]
    return all(figures[name] >= default[name] if higher[name] else figures[name] <= default[name] for name in metrics)


def _is_loss(name: str) -> bool:
    return name.rpartition(".")[2] == "loss"
