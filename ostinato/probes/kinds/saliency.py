"""Which steps of the inputs an answer rests on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.errors import ConfigError
from ostinato.kernels.watch import watched
from ostinato.model.batch import Batch
from ostinato.probes.kinds._losses import losses_of
from ostinato.probes.kinds._symbols import symbols_of
from ostinato.probes.kinds._table import table
from ostinato.probes.kinds.contract import Finding, Probe, Subject
from ostinato.probes.pictures import drawable, picture, short_numbers
from ostinato.registry import Count, Share
from ostinato.steps import Layout, Steps

MOST_POINTS = 256
MOST_STEPS = 16_384
"""Steps of examples that each lack one of theirs, computed at once."""
DRAWN, LETTERS, TOP = 8, 14, 3

Change = Callable[[str, Tensor, Tensor, Layout], Tensor]
"""From an input's name, its embedded steps, the baseline in their place and their layout to what is read."""


@dataclass(frozen=True)
class Attribution:
    """What one input gives to the answer of one example.

    Args:
        output: whose answer it is.
        input: the input.
        symbols: of its steps.
        gradients: of each step by integrated gradients, in nats.
        occlusion: of each step, the log-probability that is lost without it, in nats.
        agreement: the rank correlation of the two; None where one of them is the same at all steps.
    """

    output: str
    input: str
    symbols: list[str]
    gradients: list[float]
    occlusion: list[float]
    agreement: float | None

    def top(self) -> str:
        """The steps that give most."""
        order = np.argsort(-np.abs(self.gradients), kind="stable")[:TOP]
        return ", ".join(f"{self.symbols[at]!r} {self.gradients[at]:+.2g}" for at in order)


@dataclass(frozen=True)
class Answered:
    """An example and an output of it.

    Args:
        answer: the example's own, as text.
        log_probability: of it, with the inputs as they are.
        without: of it, with the baseline in place of all inputs.
        error: by how much the integrated gradients of all inputs miss the difference of the two.
        inputs: of each input its part.
    """

    answer: str
    log_probability: float
    without: float
    error: float
    inputs: list[Attribution]

    @property
    def allowed(self) -> float:
        """The largest error of attributions that add up, with what 32 bits add to it."""
        return 2e-3 * max(1.0, abs(self.log_probability - self.without))


@dataclass(frozen=True)
class SaliencyFinding(Finding):
    """Which steps each answer rests on.

    Args:
        examples: output by output.
        points: of the path that gradients were taken at.
    """

    examples: list[Answered]
    points: int

    @property
    def title(self) -> str:
        example = self.examples[0]
        part = max(example.inputs, key=lambda one: float(np.abs(one.gradients).sum()))
        known = [part.agreement for example in self.examples for part in example.inputs if part.agreement is not None]
        agreed = f"; rank correlation with occlusion {np.median(known):.2f}" if known else ""
        missed = (
            max(example.error for example in self.examples if example.error > example.allowed) if self.misses else 0
        )
        unsure = f"; not to be trusted: their sum misses the difference of log p by {missed:.2g}" * self.misses
        return f"'{example.answer[:40]}' rests most on {part.top()} (nats){agreed}{unsure}"

    @property
    def misses(self) -> bool:
        """Whether the attributions of an example do not add up, as of a model that is steep where all is blank."""
        return any(example.error > example.allowed for example in self.examples)

    def to_json(self) -> dict[str, Any]:
        return {"title": self.title, "points": self.points, "examples": [asdict(example) for example in self.examples]}

    def lines(self) -> list[str]:
        rows = [["output", "answer", "log p", "without inputs", "input", "rests most on", "agreement"]]
        for example in self.examples:
            for part in example.inputs:
                agreement = "" if part.agreement is None else f"{part.agreement:.2f}"
                numbers = f"{example.log_probability:.3g}", f"{example.without:.3g}"
                rows.append([part.output, example.answer[:24], *numbers, part.input, part.top(), agreement])
        worst = max(example.error for example in self.examples)
        notes = (
            f"Integrated gradients in nats, {self.points} points; their sum misses the difference of log p by at most "
            f"{worst:.2g}. Agreement: rank correlation with occlusion."
        )
        return [self.title, "", *table(rows), "", notes]

    def draw(self, path: Path) -> None:
        parts = [(example, part) for example in self.examples for part in example.inputs][:DRAWN]
        longest = max(len(part.symbols) for _, part in parts)
        with picture(path, (min(14, 3 + 0.34 * longest), 1.4 + 0.55 * len(parts))) as (figure, (axes,)):
            shares = np.full((len(parts), longest), np.nan)
            for row, (_, part) in enumerate(parts):
                values = np.array(part.gradients)
                shares[row, : len(values)] = values / max(float(np.abs(values).max(initial=0)), 1e-12)
                for column, symbol in enumerate(part.symbols):
                    colour = "white" if abs(shares[row, column]) > 0.6 else "black"
                    shown = drawable(symbol.replace(" ", "\u2423"), LETTERS)
                    turned = 90 if len(shown) > 2 else 0
                    axes.text(column, row, shown, ha="center", va="center", color=colour, fontsize=6, rotation=turned)
            image = axes.imshow(shares, cmap="RdBu", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
            named = [drawable(f"{part.input}: {example.answer}", 28) for example, part in parts]
            axes.set_yticks(range(len(parts)), named, fontsize=7)
            axes.set_xlabel("step")
            axes.set_ylabel("example")
            figure.colorbar(image, ax=axes, label="share of the largest (blue: for the answer)", shrink=0.8)
            figure.suptitle(drawable(self.title), fontsize=10, wrap=True)


class Saliency(Probe):
    """Which steps of the inputs an answer rests on: integrated gradients, and what is lost when a step is taken away.

        gradients    a[t] = (e[t] - b[t]) . mean over u in (0, 1) of d F(b + u (e - b)) / d e[t]
        occlusion    F(e) - F(e with b[t] in place of e[t])
        F            the log-probability of the example's own answer, all of its steps

    e are the embedded steps; the baseline b is the zero vector for symbols, and the embedding of zeros for numbers. The
    mean is a Gauss-Legendre sum over the cube root of u, whose points are doubled until the attributions add up to
    F(e) - F(b).

    Args:
        points: of the path from the baseline to the inputs, at least.
        tolerance: how far the sum may be from F(e) - F(b), as a share of it (of 1, where it is smaller).

    Errors:
        ConfigError: no input is embedded.

    Source: integrated gradients: Sundararajan, Taly and Yan 2017, arXiv:1703.01365, equation 1 and proposition 1;
        occlusion: Zeiler and Fergus 2014, arXiv:1311.2901.
    """

    rows = 6

    def __init__(self, *, points: Count = 16, tolerance: Share = 0.001):
        self.points, self.tolerance = points, tolerance

    def look(self, subject: Subject) -> SaliencyFinding:
        points, examples = self.points, []
        for output in subject.graph.heads:
            parts, differences, used = self._integrated(subject, output)
            points = max(points, used)
            if parts:
                examples += _answered(subject, output, parts, differences)
        if not examples:
            raise ConfigError(
                "probe saliency: no input of this model is embedded, so there are no steps to explain; train it with a "
                "recurrent, convolutional or transformer encoder"
            )
        return SaliencyFinding(examples, points)

    def _integrated(self, subject: Subject, output: str) -> tuple[dict[str, Steps], tuple[Tensor, Tensor], int]:
        """The attributions of each step by input; F of each example with the inputs and with the baseline; points."""
        inputs = _Inputs(subject, output)
        with torch.no_grad():
            whole = inputs.log_probability(subject.batch, lambda _, x, __, ___: x)
            empty = inputs.log_probability(subject.batch, lambda _, __, blank, ___: blank)
        points = self.points
        while True:
            parts = inputs.gradients(subject.batch, points)
            total = sum((part.layout.sums(part.values) for part in parts.values()), torch.zeros_like(whole).double())
            wanted = (whole - empty).double()
            if points >= MOST_POINTS or ((total - wanted).abs() <= self.tolerance * wanted.abs().clamp(min=1)).all():
                return parts, (whole, empty), points
            points *= 2


class _Inputs:
    """The embedded inputs that an output reads, and its log-probability when others are read in their place."""

    def __init__(self, subject: Subject, output: str):
        self.graph, self.output = subject.graph, output
        self.owners = self.graph.owners()

    def log_probability(self, batch: Batch, change: Change) -> Tensor:
        """(B,) of each example's own answer."""
        waiting = {
            f"inputs.{name}.encoder": [other for other in self.graph.reads[self.output] if other in of]
            for name in self.graph.encoders
            if (of := self.graph.readers(name))
        }

        def changed(by: Any, values: Tensor, layout: Layout) -> Tensor:
            names = waiting.get(self.owners.get(by, ""), [])
            return change(names.pop(0), values, by.blank().expand_as(values), layout) if names else values

        with watched(changed):
            read = self.graph.read(self.output, batch.inputs)
        loss, layout = losses_of(self.graph.heads[self.output], read, batch.targets[self.output])
        return -(loss if layout is None else layout.sums(loss))

    def gradients(self, batch: Batch, points: int) -> dict[str, Steps]:
        """The attribution of each step, by input, in 64 bits."""
        places, weights = np.polynomial.legendre.leggauss(points)
        # u = v^3: what normalizes its inputs changes most where they are small.
        v = (places + 1) / 2
        sums: dict[str, Tensor] = {}
        layouts: dict[str, Layout] = {}
        for place, weight in zip(v**3, 3 * v**2 * weights / 2):
            read: dict[str, tuple[Tensor, Tensor]] = {}

            def between(
                name: str, embedded: Tensor, blank: Tensor, layout: Layout, u: float = place, read: Any = read
            ) -> Tensor:
                way = (embedded - blank).detach()
                leaf = (blank + u * way).detach().requires_grad_()
                read[name], layouts[name] = (leaf, way), layout
                return leaf

            with torch.enable_grad():
                total = self.log_probability(batch, between).sum()
                leaves = [leaf for leaf, _ in read.values()]
                slopes = torch.autograd.grad(total, leaves, allow_unused=True) if leaves else ()
            for (name, (leaf, way)), slope in zip(read.items(), slopes):
                part = torch.zeros(len(leaf)) if slope is None else (slope.double() * way.double()).sum(1)
                sums[name] = sums.get(name, 0) + weight * part
        return {name: Steps(values, layouts[name]) for name, values in sums.items()}

    def without(self, batch: Batch, row: int, name: str, count: int) -> Tensor:
        """(count,) the log-probability of one example's answer without each of the steps of an input."""
        parts = []
        at_once = max(1, MOST_STEPS // max(1, count))
        for first in range(0, count, at_once):
            steps = torch.arange(first, min(count, first + at_once))

            def taken(read: str, embedded: Tensor, blank: Tensor, layout: Layout, steps: Tensor = steps) -> Tensor:
                if read != name:
                    return embedded
                lost = layout.offsets[:-1] + steps
                changed = embedded.clone()
                changed[lost] = blank[lost]
                return changed

            with torch.no_grad():
                parts.append(self.log_probability(batch.select(torch.full((len(steps),), row)), taken))
        return torch.cat(parts)


def _answered(
    subject: Subject, output: str, parts: Mapping[str, Steps], scores: tuple[Tensor, Tensor]
) -> list[Answered]:
    inputs, modality, answered = _Inputs(subject, output), subject.modalities[f"outputs.{output}"], []
    split = {name: part.values.split(part.layout.lengths.tolist()) for name, part in parts.items()}
    read = {name: subject.batch.inputs[name].split() for name in parts}
    targets = subject.batch.targets[output].values.split(subject.batch.targets[output].layout.lengths.tolist())
    for row, (whole, empty) in enumerate(zip(*(score.tolist() for score in scores))):
        own = []
        for name, values in split.items():
            gradients = values[row].tolist()
            occluded = inputs.without(subject.batch, row, name, len(gradients))
            lost = [whole - left for left in occluded.tolist()]
            symbols = symbols_of(subject.modalities[f"inputs.{name}"], read[name][row].cpu().numpy(), len(gradients))
            own.append(Attribution(output, name, symbols, gradients, lost, _agreement(gradients, lost)))
        error = abs(sum(sum(part.gradients) for part in own) - (whole - empty))
        text = short_numbers(modality, modality.write(modality.decode(targets[row].cpu().numpy())))
        answered.append(Answered(text, whole, empty, error, own))
    return answered


def _agreement(first: list[float], second: list[float]) -> float | None:
    from scipy.stats import spearmanr

    if len(first) < 3 or len(set(first)) < 2 or len(set(second)) < 2:
        return None
    return float(spearmanr(first, second).statistic)
