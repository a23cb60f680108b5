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
from ostinato.model.reading import Reading
from ostinato.recipe.metrics import main_metric
from ostinato.recipe.rules import monitorable
from ostinato.run.run import Run
from ostinato.run.score import scores as generated_scores
from ostinato.steps import Steps

ROWS, MOST_ROWS = 128, 5000
"""Validation rows computed at once, and at all."""
ROUNDS, BAGS = 10, 10
GENERATED_ROUNDS, GENERATED_BAGS = 4, 1
"""Members are added so many times to each of so many bags; where answers are generated each trial computes all symbols
anew."""
LIBRARY, GENERATED_LIBRARY = 16, 6
"""So many runs are tried as members, those of the least loss."""
PRIOR = 5
"""So many examples, or blocks of neighbours in time, weigh as much as equal shares: what fewer of them choose is
chance."""
COUNTS = 20
"""The sum of how often members count, as nearly as whole numbers allow."""

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
        first = next(iter(valid.values()))
        self.rows, order = list(first.raw()), first.order(np.arange(len(first)))
        self.block = 1 if order is None else order.least
        self.generated = {name for name, head in self.lead.graph.heads.items() if head.generates}
        self.at_once = [name for name in self.lead.outputs if name not in self.generated]
        self.targets: dict[str, list[Steps]] = {output: [] for output in self.at_once}
        self.numbers: dict[str, list[int]] = {output: [] for output in self.at_once}
        self.known = {name: self._distributions(name, valid[name]) for name in runs if self.at_once}
        self.measured: dict[tuple[str, ...], dict[str, np.ndarray]] = {}

    @torch.no_grad()
    def _distributions(self, name: str, valid: Examples) -> dict[str, list[Distribution]]:
        """The distribution of each output, batch by batch."""
        run, first = self.runs[name], self.runs[name] is self.lead
        known: dict[str, list[Distribution]] = {output: [] for output in self.at_once}
        for numbers in np.array_split(np.arange(len(valid)), -(-len(valid) // ROWS)):
            batch = valid.batch(numbers).to(run.device)
            reading = Reading(run.graph, batch.inputs)
            for output, distributions in known.items():
                rows, targets = batch.given.get(output), batch.targets[output]
                distributions.append(reading.predict_distribution(output, targets, rows))
                if first:
                    self.targets[output].append(targets)
                    present = numbers if rows is None else numbers[rows.cpu().numpy()]
                    self.numbers[output] += present.tolist()
        return known

    def loss(self, members: Sequence[str], weights: np.ndarray | None = None) -> float:
        """The loss of all outputs; `weights` (rows,) tell how often each row counts.

        Errors:
            ConfigError: their distributions have no average.
        """
        total = 0.0
        for output, rows in self._scores(members).items():
            counted = rows if weights is None else rows * weights
            total -= self.lead.outputs[output].weight * float(counted[0].sum() / counted[1].sum())
        return total

    def figures(self, members: Sequence[str]) -> dict[str, float]:
        """The loss and the main metric of each output, and the loss of all.

        Args:
            members: names, each as often as it counts.

        Errors:
            ConfigError: their distributions have no average.
        """
        figures = {"loss": self.loss(members)}
        for output, rows in self._scores(members).items():
            figures[f"{output}.loss"] = -float(rows[0].sum() / rows[1].sum())
            if output not in self.generated:
                figures |= self._metric(output, self._together(output, members))
        return figures

    def _together(self, output: str, members: Sequence[str]) -> list[Distribution]:
        return [own.mean_of(others) for own, *others in zip(*(self.known[name][output] for name in members))]

    @torch.no_grad()
    def _scores(self, members: Sequence[str]) -> dict[str, np.ndarray]:
        """Of each output the log-probability of each row's targets, and their number: (2, rows), 0 without targets."""
        key = tuple(sorted(members))
        if key not in self.measured:
            scores = {output: np.zeros((2, len(self.rows))) for output in self.lead.outputs}
            for output in self.at_once:
                parts = map(scored, self._together(output, key), self.targets[output])
                columns = [(part.log_probability.double(), part.num_targets.double()) for part in parts]
                scores[output][:, self.numbers[output]] = [torch.cat(column).cpu() for column in zip(*columns)]
            if self.generated:
                some = range(0, len(self.rows), max(1, len(self.rows) // SHOWN_ROWS))
                given = generated_scores([self.runs[name] for name in key], [self.rows[number] for number in some])
                for output in self.generated:
                    known, numbers = given[output].scored, [some[row] for row in given[output].rows]
                    scores[output][:, numbers] = [known.log_probability, known.num_targets]
            self.measured[key] = scores
        return self.measured[key]

    @torch.no_grad()
    def _metric(self, output: str, together: Sequence[Distribution]) -> dict[str, float]:
        """The main metric of an output by its name, where it can be measured."""
        key, place, modality = main_metric(self.lead.outputs[output]), f"outputs.{output}", self.lead.modalities
        if key is None:
            return {}
        answers = [steps for distribution in together for steps in predicted(distribution).steps.split()]
        known = Predictions(
            [modality[place].decode(steps.cpu().numpy()) for steps in answers],
            [self.lead.raw(self.rows[number], place) for number in self.numbers[output]],
        )
        metric = metrics_of(self.lead, output)[key]
        # Rows that no metric can be measured by, such as those without a span.
        with suppress(DataError):
            if not metric.lacks(known):
                return {f"{output}.{key}": metric.value(np.sum(metric.statistics(known), 0).tolist())}
        return {}


def select(voting: Voting, monitor: str) -> Selection:
    """The ensemble of runs that is best on the validation split, if it is there no worse than the first run, the
    default; else its average with the default, or the best run, if that holds of them.

        E[0] = the run of least loss
        E[k] = E[k - 1] and the run that makes its loss least, which may be in it already

    Each bag draws the validation rows anew, with replacement, windows in blocks of neighbours, and takes its best E.
    A member's share is its mean over bags, drawn to equal shares as if PRIOR rows or blocks had chosen these.
    So few rows, which differ much from bag to bag, spread the weights.

    Args:
        voting: of the runs, the default first.
        monitor: what training monitors: no run or ensemble is kept that is worse there, or in a main metric, than the
            default.

    Source: Caruana, Niculescu-Mizil, Crew and Ksikes 2004, doi:10.1145/1015330.1015432; they draw models for each bag.
    """
    names, higher = [*voting.runs], monitorable(voting.lead.recipe.settings)
    rounds, bags = (GENERATED_ROUNDS, GENERATED_BAGS) if voting.generated else (ROUNDS, BAGS)
    alone = {name: voting.figures([name]) for name in names}
    default, library = alone[names[0]], GENERATED_LIBRARY if voting.generated else LIBRARY
    names = [names[0], *sorted(names[1:], key=_by(alone, "loss", higher))[: library - 1]]
    draw, blocks = np.random.default_rng(0), -(-len(voting.rows) // voting.block)
    shares = Counter(dict.fromkeys(names, PRIOR / (PRIOR + blocks) / len(names)))
    for bag in range(bags):
        drawn = np.bincount(draw.integers(blocks, size=blocks), minlength=blocks)
        weights = None if not bag else np.repeat(drawn, voting.block)[: len(voting.rows)]
        best = _best_of_bag(voting, names, rounds, weights)
        for name, count in Counter(best).items():
            shares[name] += blocks / (PRIOR + blocks) * count / len(best) / bags
    counts = {name: round(COUNTS * share) for name, share in shares.most_common()}
    together = [name for name, count in counts.items() for _ in range(count)]
    # What has no average, such as a point and quantiles, answers alone.
    with suppress(ConfigError):
        for ensemble in (together, [*together, *names[:1] * len(together)]):
            figures = voting.figures(ensemble)
            if _is_no_worse(figures, default, monitor, higher):
                return Selection(_reduced(Counter(ensemble)), figures, default)
    good = [name for name in names if name == names[0] or _is_no_worse(alone[name], default, monitor, higher)]
    best_alone = min(good, key=_by(alone, monitor, higher))
    return Selection({best_alone: 1}, alone[best_alone], default)


def _best_of_bag(voting: Voting, names: Sequence[str], rounds: int, weights: np.ndarray | None) -> list[str]:
    """The best E for rows of these weights."""
    chosen: list[str] = []
    tried: list[tuple[float, list[str]]] = []
    for _ in range(rounds if len(names) > 1 else 1):
        trials = []
        for name in names:
            with suppress(ConfigError):
                trials.append((_finite(voting.loss([*chosen, name], weights)), [*chosen, name]))
        loss, chosen = min(trials, key=_first)
        tried.append((loss, chosen))
    return min(tried, key=_first)[1]


def _first(trial: tuple[float, list[str]]) -> float:
    return trial[0]


def _finite(loss: float) -> float:
    return loss if math.isfinite(loss) else math.inf


def _reduced(counts: Mapping[str, int]) -> dict[str, int]:
    """The same shares in the smallest whole numbers."""
    kept = {name: count for name, count in counts.items() if count}
    divisor = math.gcd(*kept.values())
    return {name: count // divisor for name, count in kept.items()}


def _cost(figures: Figures, monitor: str, higher: Mapping[str, bool]) -> float:
    """What training monitors, lower for the better; a metric of what is generated is not measured here."""
    name = monitor if monitor in figures else "loss"
    return _finite(-figures[name] if higher[name] else figures[name])


def _by(alone: Mapping[str, Figures], monitor: str, higher: Mapping[str, bool]) -> Callable[[str], float]:
    def key(name: str) -> float:
        return _cost(alone[name], monitor, higher)

    return key


def _is_no_worse(figures: Figures, default: Figures, monitor: str, higher: Mapping[str, bool]) -> bool:
    """Whether neither what training monitors nor a main metric is worse than the default run's."""
    metrics = [name for name in default if name.rpartition(".")[2] != "loss" and name in figures]
    no_worse = all(_cost(figures, name, higher) <= _cost(default, name, higher) for name in metrics)
    return no_worse and _cost(figures, monitor, higher) <= _cost(default, monitor, higher)
