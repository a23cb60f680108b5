"""Where the loss is: by position, length, frequency and group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ostinato.modalities.contract import Labels, Symbols
from ostinato.probes.kinds._losses import losses_of
from ostinato.probes.kinds._table import table
from ostinato.probes.kinds.contract import Finding, Probe, Subject
from ostinato.probes.pictures import drawable, picture
from ostinato.registry import Count

AT_ONCE = 64
MOST_GROUPS = 20
FEW = 5
"""Examples below which an interval is too narrow by chance to call a part the worst."""


@dataclass(frozen=True)
class Part:
    """The targets of one range of positions, lengths or frequencies, or of one group.

    Args:
        name: of the range or the group.
        targets: how many; of an output that is scored as a whole, how many examples.
        examples: that they are of.
        loss: their mean, in nats.
        low: the lower end of its 95 % interval; None of a single example.
        high: the upper end.
    """

    name: str
    targets: int
    examples: int
    loss: float
    low: float | None
    high: float | None

    @property
    def interval(self) -> str:
        return "" if self.low is None else f"[{self.low:.3g}, {self.high:.3g}]"


@dataclass(frozen=True)
class Division:
    """The loss of an output divided by one quantity.

    Args:
        output: whose loss it is.
        by: the quantity.
        parts: in its order; of groups the highest loss first.
    """

    output: str
    by: str
    parts: list[Part]

    def worst(self) -> Part:
        """Of the parts with enough examples for an interval, if there are any, the one that is surely highest."""
        known = [part for part in self.parts if part.examples >= FEW] or self.parts
        return max(known, key=lambda part: part.loss if part.low is None else part.low)


@dataclass(frozen=True)
class LossFinding(Finding):
    """Where the loss is.

    Args:
        mean: of each output, over all targets.
        divisions: output by output.
    """

    mean: dict[str, float]
    divisions: list[Division]

    @property
    def title(self) -> str:
        known = [division for division in self.divisions if len(division.parts) > 1]
        if not known:
            return "All targets are alike in position, length and frequency: the loss divides by nothing"
        worst = max(known, key=lambda one: (one.worst().low or 0.0) / max(self.mean[one.output], 1e-12))
        part = worst.worst()
        return (
            f"The loss of {worst.output} is highest at {worst.by} {part.name}: {part.loss:.3g} nats "
            f"{part.interval}, {self.mean[worst.output]:.3g} on average"
        )

    def to_json(self) -> dict[str, Any]:
        return {"title": self.title, "mean": self.mean, "divisions": [asdict(part) for part in self.divisions]}

    def lines(self) -> list[str]:
        rows = [["output", "by", "", "targets", "loss", "95 % interval"]]
        for division in self.divisions:
            rows += [
                [
                    division.output,
                    division.by,
                    part.name,
                    f"{part.targets:,}",
                    f"{part.loss:.4g}",
                    part.interval,
                ]
                for part in division.parts
            ]
        return [self.title, "", *table(rows), "", "Loss in nats per target; intervals over examples."]

    def draw(self, path: Path) -> None:
        count = max(1, len(self.divisions))
        with picture(path, (3.8 * count + 0.6, 3.8), count) as (figure, panels):
            for division, axes in zip(self.divisions, panels):
                at = range(len(division.parts))
                losses = np.array([part.loss for part in division.parts])
                ends = [0 if part.high is None else part.high - part.loss for part in division.parts]
                axes.errorbar(at, losses, ends, marker="o", linestyle="none", capsize=2)
                axes.axhline(self.mean[division.output], color="0.6", linestyle=":", label="mean")
                axes.set_xticks(at, [drawable(part.name, 16) for part in division.parts], rotation=60, fontsize=7)
                axes.set_xlabel(drawable(division.by))
                axes.set_ylabel(drawable(f"loss of {division.output} (nats per target)", 48))
                axes.legend(frameon=False, fontsize=7)
            if not self.divisions:
                panels[0].bar([drawable(output, 24) for output in self.mean], [*self.mean.values()], 0.4)
                panels[0].set_xlabel("output")
                panels[0].set_ylabel("mean loss (nats per target)")
            figure.suptitle(drawable(self.title), fontsize=10, wrap=True)


class Losses(Probe):
    """Where the loss is: by the position of a target, the length of its example, the frequency of its symbol, by group.

        loss of a part   r = sum of losses / number of targets n
        interval         r +- 1.96 sqrt(sum over examples i of (s_i - r n_i)^2) / n     s_i, n_i: those of an example

    Positions and lengths count from 1, in ranges that double; where all examples have as many targets, lengths are
    those of the longest input. Frequencies are those of training where the vocabulary
    has counted them, else those of the examples that are read; their parts hold about as many targets each.

    Args:
        by: a column of the table, each value of which is a group.
        parts: into how many frequencies are divided.

    Source: the interval: Cochran 1977, Sampling Techniques, chapter 6 (ratio estimator).
    """

    rows = 256

    def __init__(self, *, by: str = "", parts: Count = 5):
        self.by, self.parts = by, parts

    @property
    def columns(self) -> Sequence[str]:  # type: ignore[override]
        return (self.by,) if self.by else ()

    def look(self, subject: Subject) -> LossFinding:
        means, divisions = {}, []
        for output in subject.graph.heads:
            losses, rows, positions, symbols = (np.concatenate(part) for part in zip(*_targets(subject, output)))
            means[output] = float(losses.mean())
            lengths = np.bincount(rows)
            if len(set(lengths)) == 1:
                inputs = [subject.batch.inputs[name].layout.lengths.numpy() for name in subject.graph.reads[output]]
                lengths = np.max(inputs, axis=0)
            kinds = [("position", *_doubling(positions)), ("length", *_doubling(lengths[rows]))]
            if symbols.any():
                kinds.append(("frequency", *self._frequencies(subject, output, symbols - 1)))
            if self.by:
                kinds.append((self.by, *_groups(subject.columns[self.by], rows)))
            for by, names, at in kinds:
                parts = [
                    _part(name, losses, rows, at == number) for number, name in enumerate(names) if (at == number).any()
                ]
                parts = sorted(parts, key=lambda part: -part.loss)[:MOST_GROUPS] if by == self.by else parts
                if len(parts) > 1:
                    divisions.append(Division(output, by, parts))
        return LossFinding(means, divisions)

    def _frequencies(self, subject: Subject, output: str, symbols: np.ndarray) -> tuple[list[str], np.ndarray]:
        """Ranges of how often symbols occur, and that of each target; -1 where it has no symbol."""
        known = symbols >= 0
        spec = subject.modalities[f"outputs.{output}"].spec
        if isinstance(spec, Symbols):
            symbols = np.where(symbols < spec.size, symbols, spec.unknown)
        counts = np.array(spec.counts if isinstance(spec, (Labels, Symbols)) else ())
        if len(counts) <= symbols.max() or not counts.any():
            counts = np.bincount(symbols[known])
        often = counts[symbols[known]]
        bounds = np.unique(np.quantile(often, np.linspace(0, 1, self.parts + 1)[1:], method="nearest"))
        within = np.searchsorted(bounds, often)
        at = np.full(len(symbols), -1)
        at[known] = within
        lows = [often[within == number].min() for number in range(len(bounds))]
        return [f"{low:,} to {bound:,}" if low < bound else f"{bound:,}" for low, bound in zip(lows, bounds)], at


def _targets(subject: Subject, output: str) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Of each target its loss, its example, its position from 1 up, and its symbol + 1, 0 where it has none."""
    for rows in torch.arange(len(subject.batch)).split(AT_ONCE):
        batch = subject.batch.select(rows)
        targets = batch.targets[output]
        with torch.no_grad():
            read = subject.graph.read(output, batch.inputs)
            losses, layout, counts = losses_of(subject.graph.heads[output], read, targets)
        real = counts.cpu().numpy() > 0
        if layout is None:
            columns = (losses.double().cpu().numpy(), rows.numpy(), np.ones(len(rows), int), np.zeros(len(rows), int))
            yield tuple(column[real] for column in columns)
            continue
        symbols = np.zeros(layout.total, int)
        values = targets.values
        if values.ndim == 1 and not values.is_floating_point():
            ended = targets if layout == targets.layout else targets.appended(-1)
            if ended.layout == layout:
                symbols = ended.values.cpu().numpy().astype(int) + 1
        positions, own = layout.positions.cpu().numpy() + 1, rows[layout.rows.cpu()].numpy()
        ends = positions > targets.layout.lengths.numpy()[layout.rows.cpu().numpy()]
        real &= ~(ends & np.isin(own, list(subject.cut)))
        yield losses.double().cpu().numpy()[real], own[real], positions[real], symbols[real]


def _doubling(values: np.ndarray) -> tuple[list[str], np.ndarray]:
    """1, 2, 3 to 4, 5 to 8 and so on: their names, and that of each value."""
    powers = np.ceil(np.log2(np.maximum(values, 1))).astype(int)
    first = int(powers.min())
    names = [
        f"{2 ** (power - 1) + 1:,} to {2**power:,}" if power > 1 else f"{2**power}"
        for power in range(first, int(powers.max()) + 1)
    ]
    return names, powers - first


def _groups(cells: Sequence[Any], rows: np.ndarray) -> tuple[list[str], np.ndarray]:
    names, at = np.unique([str(cell) for cell in cells], return_inverse=True)
    return [str(name) for name in names], at[rows]


def _part(name: str, losses: np.ndarray, rows: np.ndarray, there: np.ndarray) -> Part:
    sums, counts = np.bincount(rows[there], losses[there]), np.bincount(rows[there])
    total = int(counts.sum())
    mean = float(sums.sum() / total)
    half = 1.96 * float(np.sqrt(((sums - mean * counts) ** 2).sum())) / total
    examples = int((counts > 0).sum())
    return Part(name, total, examples, mean, *((mean - half, mean + half) if examples > 1 else (None, None)))
