"""What the states of an encoder hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes

from ostinato.errors import ConfigError
from ostinato.evaluation.label_baseline import fitted
from ostinato.probes.kinds._symbols import symbols_of
from ostinato.probes.kinds._table import table
from ostinato.probes.kinds.contract import Finding, Probe, Subject
from ostinato.probes.pictures import drawable, picture
from ostinato.probes.summaries import plane
from ostinato.registry import Count
from ostinato.steps import Steps

AT_ONCE = 64
AROUND = 6
"""Symbols before and after the step of a context."""
DRAWN = 6
LETTERS = 40


@dataclass(frozen=True)
class Context:
    """A step that drives a unit.

    Args:
        value: of the unit there.
        before: the symbols before the step.
        symbol: its own.
        after: those that follow.
    """

    value: float
    before: str
    symbol: str
    after: str


LITTLE = 0.1
"""Of what a baseline leaves: a probe that is better by no more reads hardly anything."""


@dataclass(frozen=True)
class Read:
    """What a linear model reads in the last state of each example.

    Args:
        what: the column, or `length`.
        measure: `share right`, or `R2` of numbers.
        value: on held-out examples.
        control: the same of a control task: a value is drawn at random for each last symbol.
        baseline: of the commonest label; 0 of numbers.
        examples: held out.
    """

    what: str
    measure: str
    value: float
    control: float
    baseline: float
    examples: int

    @property
    def selectivity(self) -> float:
        return self.value - self.control


@dataclass(frozen=True)
class StateFinding(Finding):
    """What the states of one encoder hold.

    Args:
        place: of the encoder.
        size: units.
        shares: of the variance of all states, along their two main directions.
        paths: of a few examples the states in these directions, step by step.
        symbols: of these steps.
        unit: the number of the unit whose contexts are shown.
        highest: the contexts that drive it up most.
        lowest: down.
        reads: linear probes.
    """

    place: str
    size: int
    shares: list[float]
    paths: list[list[tuple[float, float]]]
    symbols: list[list[str]]
    unit: int
    highest: list[Context]
    lowest: list[Context]
    reads: list[Read]

    @property
    def title(self) -> str:
        top = ", ".join(dict.fromkeys(repr(context.symbol) for context in self.highest[:3]))
        driven = f"nit {self.unit} is highest at {top}; two directions hold {sum(self.shares):.0%} of the variance"
        if not self.reads:
            return f"U{driven}"
        known = max(self.reads, key=lambda read: read.value)
        reads = "reads" if known.value - known.baseline > LITTLE * (1 - known.baseline) else "hardly reads"
        how = f"{known.measure} {known.value:.2f}, {known.control:.2f} in a control task"
        return f"A linear model {reads} the {known.what} in the state ({how}); u{driven}"

    def to_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            **asdict(self),
            "reads": [asdict(read) | {"selectivity": read.selectivity} for read in self.reads],
        }

    def lines(self) -> list[str]:
        rows = [["value", "context of unit", str(self.unit), ""]]
        for context in (*self.highest, *self.lowest):
            rows.append([f"{context.value:+.3f}", context.before[-LETTERS:], context.symbol, context.after[:LETTERS]])
        probes = [["in the last state", "measure", "held out", "control", "selectivity", "baseline", "examples"]]
        for read in self.reads:
            numbers = (read.value, read.control, read.selectivity, read.baseline)
            probes.append([read.what, read.measure, *(f"{number:.3f}" for number in numbers), f"{read.examples:,}"])
        return [self.title, "", *table(rows), *(["", *table(probes)] if self.reads else [])]

    def draw(self, path: Path) -> None:
        count = 2 if self.reads else 1
        with picture(path, (5.5 * count + 0.5, 4.6), count) as (figure, panels):
            for number, points in enumerate(self.paths[:DRAWN]):
                across, up = zip(*points)
                (line,) = panels[0].plot(across, up, marker=".", linewidth=1, alpha=0.8)
                for at, symbol in enumerate(self.symbols[number]) if number < 2 else ():
                    shown = drawable(symbol.replace(" ", "\u2423"), 10)
                    panels[0].annotate(shown, points[at], fontsize=6, color=line.get_color())
            panels[0].set_xlabel(f"first direction ({self.shares[0]:.0%} of the variance)")
            panels[0].set_ylabel(f"second direction ({self.shares[1]:.0%})")
            panels[0].set_title("states over time, a line an example", fontsize=9)
            for axes in panels[1:]:
                self._draw_reads(axes)
            figure.suptitle(drawable(self.title), fontsize=10, wrap=True)

    def _draw_reads(self, axes: Axes) -> None:
        places = np.arange(len(self.reads))
        for shift, name in enumerate(("value", "control", "baseline")):
            values = [getattr(read, name) for read in self.reads]
            axes.bar(places + 0.27 * (shift - 1), values, 0.25, label="held out" if name == "value" else name)
        axes.set_xticks(places, [drawable(f"{read.what}\n({read.measure})", 24) for read in self.reads], fontsize=8)
        axes.set_xlabel("what is read in the last state")
        axes.set_ylabel("share right, or R2")
        axes.legend(frameon=False, fontsize=7)


class States(Probe):
    """What the states of an encoder hold: their paths over time, what drives a unit, what a linear model reads there.

        directions  the two in which the states of all steps vary most (principal components)
        contexts    the steps where unit j is highest and lowest, with the symbols around them
        probe       a linear model from the last state to a value, fitted on half of the examples, measured on the rest:
                    logistic regression for labels (accuracy), ridge regression for numbers (R2)
        control     the same for values that are drawn at random, one for each last symbol; selectivity is
                    the difference of the two

    The states are what the encoder of the first input with steps gives at each step. The length of an example is
    probed for where it differs. What a probe learns of the control task too, it learnt by heart from the symbol before
    it.

    Args:
        column: of the table, whose value is looked for in the state.
        unit: whose contexts are shown, from 0 up; -1: the one that varies most.
        contexts: how many of the highest and of the lowest.

    Errors:
        ConfigError: no encoder gives a vector for each step, or there is no such unit.

    Source: contexts: Karpathy, Johnson and Fei-Fei 2015, arXiv:1506.02078; control tasks: Hewitt and Liang 2019,
        arXiv:1909.03368.
    """

    rows = 512

    def __init__(self, *, column: str = "", unit: int = -1, contexts: Count = 8):
        self.column, self.unit, self.contexts = column, unit, contexts

    @property
    def columns(self) -> Sequence[str]:  # type: ignore[override]
        return (self.column,) if self.column else ()

    def look(self, subject: Subject) -> StateFinding:
        name, states = next(
            ((name, states) for name in subject.batch.inputs if (states := _states(subject, name)) is not None),
            ("", None),
        )
        if states is None:
            raise ConfigError(
                "probe states: no encoder of this model gives a vector for each step; train it with a recurrent, "
                "convolutional or transformer encoder"
            )
        values, lengths = states.values.double().cpu().numpy(), states.layout.lengths.numpy()
        size = values.shape[1]
        unit = int(values.var(0).argmax()) if self.unit < 0 else self.unit
        if unit >= size:
            raise ConfigError(f"probe states: unit: {unit}: the encoder of inputs.{name} has units 0 to {size - 1}")
        symbols = _symbols(subject, name, states)
        flat = [symbol for own in symbols for symbol in own]
        points, shares = plane(values)
        ends = np.cumsum(lengths)
        order = np.argsort(values[:, unit], kind="stable")
        starts = np.repeat(ends - lengths, lengths)
        last = np.repeat(ends, lengths)

        def context(at: int) -> Context:
            before = flat[max(starts[at], at - AROUND) : at]
            after = flat[at + 1 : min(last[at], at + 1 + AROUND)]
            gap = "" if all(len(symbol) == 1 for symbol in flat) else " "
            return Context(float(values[at, unit]), gap.join(before), flat[at], gap.join(after))

        final = ends[lengths > 0] - 1
        known = lengths[lengths > 0].astype(float).tolist()
        asked: list[tuple[str, Sequence[Any]]] = [("length", known)] if len(set(known)) > 1 else []
        if self.column:
            asked.append((self.column, [cell for cell, steps in zip(subject.columns[self.column], lengths) if steps]))
        split = [points[end - count : end] for end, count in zip(ends, lengths) if count][:DRAWN]
        return StateFinding(
            f"inputs.{name}.encoder",
            size,
            shares,
            [[(float(x), float(y)) for x, y in part] for part in split],
            [own for own in symbols if own][:DRAWN],
            unit,
            [context(int(at)) for at in order[::-1][: self.contexts]],
            [context(int(at)) for at in order[: self.contexts]],
            [_read(what, values[final], cells, [flat[at] for at in final]) for what, cells in asked],
        )


def _states(subject: Subject, name: str) -> Steps | None:
    """What the encoder of an input gives at each step; None where it gives nothing."""
    parts = []
    for rows in torch.arange(len(subject.batch)).split(AT_ONCE):
        batch = subject.batch.select(rows)
        with torch.no_grad():
            steps = subject.graph.encode({name: batch.inputs[name]})[name].steps
        if steps is None:
            return None
        parts += steps.split()
    return Steps.of(parts)


def _symbols(subject: Subject, name: str, states: Steps) -> list[list[str]]:
    read = zip(subject.batch.inputs[name].split(), states.layout.lengths.tolist())
    return [symbols_of(subject.modalities[f"inputs.{name}"], steps.cpu().numpy(), count) for steps, count in read]


def _read(what: str, states: np.ndarray, cells: Sequence[Any], symbols: Sequence[str]) -> Read:
    """A linear probe of these values, and its control: one of them drawn for each symbol."""
    known = [at for at, cell in enumerate(cells) if cell is not None]
    states, cells = states[known], [cells[at] for at in known]
    _, types = np.unique([symbols[at] for at in known], return_inverse=True)
    random = np.random.default_rng(0)
    order = random.permutation(len(cells))
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    numeric = all(isinstance(cell, (int, float)) and not isinstance(cell, bool) for cell in cells)
    values = np.array(cells, float) if numeric else np.unique([str(cell) for cell in cells], return_inverse=True)[1]
    drawn = random.choice(values, types.max() + 1)[types]
    score = _score_of_numbers if numeric else _score_of_labels
    measured = [score(states, own, *halves) for own in (values, drawn)]
    commonest = 0.0 if numeric else float((values[halves[1]] == np.bincount(values[halves[0]]).argmax()).mean())
    return Read(what, "R2" if numeric else "share right", *measured, commonest, len(halves[1]))


def _score_of_numbers(states: np.ndarray, values: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(train) < 2 or len(test) < 2 or not values[test].var():
        return 0.0
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 7))).fit(states[train], values[train])
    return float(model.score(states[test], values[test]))


def _score_of_labels(states: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(set(labels[train].tolist())) < 2 or not len(test):
        return float((labels[test] == labels[train][0]).mean()) if len(train) and len(test) else 0.0
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return float(fitted(model, states[train], labels[train]).score(states[test], labels[test]))
