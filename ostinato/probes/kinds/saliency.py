"""Which steps of the inputs an answer rests on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from ostinato.errors import ConfigError
from ostinato.kernels.watch import watched
from ostinato.modalities.contract import Symbols
from ostinato.model.batch import Batch
from ostinato.probes.kinds._losses import losses_of
from ostinato.probes.kinds._symbols import symbols_of
from ostinato.probes.kinds._table import table
from ostinato.probes.kinds.contract import Finding, Probe, Subject
from ostinato.probes.pictures import drawable, picture, short_numbers
from ostinato.registry import Count, Positive
from ostinato.steps import Layout

MOST_POINTS = 4096
"""Of one example's path."""
MOST_PANELS = 16
"""Parts of a path that are halved at once."""
MOST_STEPS = 16_384
"""Steps of examples that each lack one of theirs, computed at once."""
DRAWN, LETTERS, TOP, NAMED = 8, 14, 3, 40

Change = Callable[[str, Tensor, Tensor, Layout], Tensor]
"""From an input's name, its embedded steps, the baseline in their place and their layout to what is read."""


class Panel(NamedTuple):
    """A part of an example's path.

    Args:
        start, end: u there.
        before, after: F there.
        missed: what its attributions add up to more than F changes.
        parts: the attributions of each step, by input.
    """

    start: float
    end: float
    before: float
    after: float
    missed: float = math.inf
    parts: Mapping[str, Tensor] = MappingProxyType({})


@dataclass(frozen=True)
class Attribution:
    """What one input gives to the answer of one example.

    Args:
        output: whose answer it is.
        input: the input.
        symbols: of its steps, or its words where n-grams of letters are counted.
        gradients: of each of them by integrated gradients, in nats.
        occlusion: of each, the log-probability that is lost without it, in nats.
        agreement: the rank correlation of the two; None where one of them is the same at all steps.
    """

    output: str
    input: str
    symbols: list[str]
    gradients: list[float]
    occlusion: list[float]
    agreement: float | None

    def read(self) -> str:
        """The first steps of the input, as a name of the example."""
        gap = "" if all(len(symbol) == 1 for symbol in self.symbols) else " "
        text = gap.join(self.symbols)
        return text if len(text) <= NAMED else f"{text[: NAMED - 1]}\u2026"

    def top(self) -> str:
        """The steps that give most."""
        order = np.argsort(-np.abs(self.gradients), kind="stable")[:TOP]
        return ", ".join(f"{self._step(int(at))} {self.gradients[at]:+.2g}" for at in order)

    def _step(self, at: int) -> str:
        """A step by its symbol, and by its number where others have the same."""
        symbol = self.symbols[at]
        return f"{symbol!r} (step {at + 1})" if self.symbols.count(symbol) > 1 else repr(symbol)


@dataclass(frozen=True)
class Answered:
    """An example and an output of it.

    Args:
        answer: the example's own, as text.
        log_probability: of it, with the inputs as they are.
        without: of it, with the baseline in place of all inputs.
        error: by how much the integrated gradients of all inputs miss the difference of the two.
        inputs: of each input its part.
        points: of the path that gradients were taken at.
        tolerance: the error that was asked for.
        left: inputs that are read and have no part, since nothing divides them into steps.
    """

    answer: str
    log_probability: float
    without: float
    error: float
    inputs: list[Attribution]
    points: int
    tolerance: float
    left: Sequence[str] = ()

    @property
    def allowed(self) -> float:
        """The largest error of attributions that add up: what is asked for, and what 32 bits add to it."""
        return self.tolerance + 1e-5 * abs(self.log_probability - self.without)


@dataclass(frozen=True)
class SaliencyFinding(Finding):
    """Which steps each answer rests on.

    Args:
        examples: output by output.
    """

    examples: list[Answered]

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
        name = repr(example.answer) if len(example.answer) <= NAMED else f"{part.output} of {part.read()!r}"
        beside = f"; not explained: {', '.join(example.left)}" if example.left else ""
        read = f"{part.input}: " * (len(example.inputs) > 1)
        return f"{name} rests most on {read}{part.top()} (nats){beside}{agreed}{unsure}"

    @property
    def misses(self) -> bool:
        """Whether the attributions of an example do not add up, as of a model that is steep where all is blank."""
        return any(example.error > example.allowed for example in self.examples)

    def to_json(self) -> dict[str, Any]:
        return {"title": self.title, "examples": [asdict(example) for example in self.examples]}

    def lines(self) -> list[str]:
        rows = [["output", "answer", "log p", "without inputs", "input", "rests most on", "agreement"]]
        for example in self.examples:
            for part in example.inputs:
                agreement = "" if part.agreement is None else f"{part.agreement:.2f}"
                numbers = f"{example.log_probability:.3g}", f"{example.without:.3g}"
                rows.append([part.output, example.answer[:24], *numbers, part.input, part.top(), agreement])
        worst = max(example.error for example in self.examples)
        points = max(example.points for example in self.examples)
        notes = (
            f"Integrated gradients in nats, at most {points:,} points an example; their sum misses the "
            f"difference of log p by at most {worst:.2g}. Agreement: rank correlation with occlusion."
        )
        left = dict.fromkeys(f"{name} of {part.output}" for e in self.examples for part in e.inputs for name in e.left)
        missing = [f"Not explained, since no steps share it: what the model reads in {', '.join(left)}."] * bool(left)
        return [self.title, "", *table(rows), "", notes, *missing]

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
                    if symbol.count(" ") > 1:  # several numbers, which have no room in a cell
                        continue
                    shown = drawable(symbol.replace(" ", "\u2423"), LETTERS)
                    turned = 90 if len(shown) > 2 else 0
                    axes.text(
                        column + 1, row, shown, ha="center", va="center", color=colour, fontsize=6, rotation=turned
                    )
            extent = (0.5, longest + 0.5, len(parts) - 0.5, -0.5)
            colours = {"cmap": "RdBu", "vmin": -1, "vmax": 1}
            image = axes.imshow(shares, **colours, aspect="auto", interpolation="nearest", extent=extent)
            named = [
                drawable(f"{part.input} for {part.output if len(example.answer) > NAMED else example.answer}", 28)
                for example, part in parts
            ]
            axes.set_yticks(range(len(parts)), named, fontsize=7)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_xlabel("step")
            axes.set_ylabel("example")
            figure.colorbar(image, ax=axes, label="share of the largest (blue: for the answer)", shrink=0.8)
            figure.suptitle(drawable(self.title), fontsize=10, wrap=True)


class Saliency(Probe):
    """Which steps of the inputs an answer rests on: integrated gradients, and what is lost when a step is taken away.

        gradients    a[t] = (e[t] - b[t]) . mean over u in (0, 1) of d F(b + u (e - b)) / d e[t]
        occlusion    F(e) - F(e with b[t] in place of e[t])
        F            the log-probability of the example's own answer, all of its steps

    e are the embedded steps; the baseline b is the mean of all symbols' vectors, and the embedding of zeros for
    numbers. From the zero vector RMSNorm turns by as much between u = 1e-8 and 1e-3 as later on: a Transformer with a
    difference of 0.6 nats then had attributions of 9 and -7.

    Where n-grams are counted (encoder `ngrams`), whose summary is a sum, e[t] is what step t adds to it, and b = 0. An
    n-gram's part is shared by its occurrences in the row, and that of an occurrence by its steps (`Ngrams.by_step`), so
    that occlusion takes these shares away and keeps those of other steps. Letters are added up to words. Other
    features that a model counts stay as they are, and are named below the table.

    The mean over u is a Gauss-Legendre sum over parts of the path. What the attributions of a part have to add up to is
    known, the difference of F between its ends; those that miss it most are halved until all add up to F(e) - F(b).

    Args:
        points: of each part of the path from the baseline to the inputs.
        tolerance: how far the sum may be from F(e) - F(b), in nats.

    Errors:
        ConfigError: no input is embedded.

    Source: integrated gradients: Sundararajan, Taly and Yan 2017, arXiv:1703.01365, equation 1 and proposition 1;
        occlusion: Zeiler and Fergus 2014, arXiv:1311.2901.
    """

    rows = 6

    def __init__(self, *, points: Count = 8, tolerance: Positive = 0.001):
        self.points, self.tolerance = points, tolerance

    def look(self, subject: Subject) -> SaliencyFinding:
        answers = [
            answer
            for output in subject.graph.heads
            for answer in _answered(subject, output, self.points, self.tolerance)
        ]
        if not answers:
            raise ConfigError(
                "probe saliency: no input of this model is a sequence whose steps are embedded (pictures are none)"
                ", so there are no steps to explain; give it text, tokens or a series, read by a recurrent, "
                "convolutional or transformer encoder, or by n-grams"
            )
        return SaliencyFinding(answers)


class _Inputs:
    """The embedded inputs that an output reads, and its log-probability when others are read in their place."""

    def __init__(self, subject: Subject, output: str):
        self.graph, self.batch, self.output = subject.graph, subject.batch, output
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
        loss, layout, _ = losses_of(self.graph.heads[self.output], read, batch.targets[self.output])
        return -(loss if layout is None else layout.sums(loss))

    def at(self, row: int, u: Tensor) -> tuple[Tensor, dict[str, tuple[Tensor, Tensor, Layout]]]:
        """F of one example at places u (P,) of its path, and by input what is read there, e - b and their layout."""
        read = {}

        def between(name: str, embedded: Tensor, blank: Tensor, layout: Layout) -> Tensor:
            way = (embedded - blank).detach()
            leaf = (blank + u.to(way)[layout.rows, None] * way).detach().requires_grad_()
            read[name] = leaf, way, layout
            return leaf

        return self.log_probability(self.batch.select(torch.full((len(u),), row)), between), read

    def halves(self, row: int, panels: Sequence[Panel], points: int) -> list[Panel]:
        """Both halves of parts of an example's path, with the attributions of each."""
        places, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(points))
        inside, weights = (places + 1) / 4, weights / 4
        starts, widths = (torch.tensor([[p.start, p.end - p.start] for p in panels], dtype=torch.float64)).split(1, 1)
        with torch.enable_grad():
            u = starts + widths * torch.cat([inside, inside + 0.5, torch.tensor([0.5])])
            values, read = self.at(row, u.flatten())
            slopes = torch.autograd.grad(values.sum(), [leaf for leaf, _, _ in read.values()], allow_unused=True)
        parts = {}
        for (name, (leaf, way, _)), slope in zip(read.items(), slopes):
            each = torch.zeros(len(leaf)) if slope is None else (slope.double() * way.double()).sum(1).cpu()
            both = each.double().view(len(panels), 2 * points + 1, -1)[:, :-1].unflatten(1, (2, points))
            parts[name] = widths[:, :, None] * torch.einsum("k,phkt->pht", weights, both)
        halves = []
        for number, (panel, value) in enumerate(zip(panels, values.view(len(panels), -1)[:, -1].tolist())):
            ends = panel.before, value, panel.after
            middle = (panel.start + panel.end) / 2
            for half, (start, end) in enumerate(((panel.start, middle), (middle, panel.end))):
                own = {name: part[number, half] for name, part in parts.items()}
                missed = sum(part.sum().item() for part in own.values()) - (ends[half + 1] - ends[half])
                halves.append(Panel(start, end, ends[half], ends[half + 1], missed, own))
        return halves

    def integrated(self, row: int, path: Panel, points: int, allowed: float) -> tuple[dict[str, Tensor], int]:
        """The attributions of each step of an example by input, and how many points that took."""
        panels, used = [path], 0
        while used < MOST_POINTS and not _exact([panel.missed for panel in panels], allowed):
            panels.sort(key=lambda panel: -abs(panel.missed))
            worst = [panel for panel in panels if abs(panel.missed) > allowed / (2 * len(panels))][:MOST_PANELS]
            panels = panels[len(worst) :] + self.halves(row, worst, points)
            used += 2 * points * len(worst)
        return {name: sum(panel.parts[name] for panel in panels) for name in panels[0].parts}, used

    def without(self, row: int, name: str, runs: Sequence[range]) -> Tensor:
        """(runs,) the log-probability of one example's answer without each of these runs of steps of an input."""
        parts = [torch.zeros(0)]
        at_once = max(1, MOST_STEPS // max(1, sum(map(len, runs))))
        for first in range(0, len(runs), at_once):
            own = runs[first : first + at_once]

            def taken(read: str, embedded: Tensor, blank: Tensor, layout: Layout, own: Sequence[range] = own) -> Tensor:
                if read != name:
                    return embedded
                begins = layout.offsets[:-1].tolist()
                lost = [begin + step for begin, run in zip(begins, own) for step in run]
                changed = embedded.clone()
                changed[lost] = blank[lost]
                return changed

            with torch.no_grad():
                parts.append(self.log_probability(self.batch.select(torch.full((len(own),), row)), taken).cpu())
        return torch.cat(parts)


def _answered(subject: Subject, output: str, points: int, tolerance: float) -> Iterator[Answered]:
    """Each example's part of a finding; of none, where the output reads no embedded input."""
    inputs, modality = _Inputs(subject, output), subject.modalities[f"outputs.{output}"]
    read = {name: steps.split() for name, steps in subject.batch.inputs.items()}
    targets = subject.batch.targets[output].split()
    for row in range(len(subject.batch)):
        with torch.no_grad():
            ends, embedded = inputs.at(row, torch.tensor([0.0, 1.0]))
        if not embedded:
            return
        empty, whole = ends.tolist()
        parts, used = inputs.integrated(row, Panel(0.0, 1.0, empty, whole), points, tolerance)
        own = []
        for name, values in parts.items():
            steps, its = read[name][row].cpu().numpy(), subject.modalities[f"inputs.{name}"]
            runs = _runs(subject, name, steps, len(values))
            lost = [whole - left for left in inputs.without(row, name, runs).tolist()]
            words = symbols_of(its, steps, len(values))
            symbols = ["".join(words[run.start : run.stop]) for run in runs]
            gradients = [values[run.start : run.stop].sum().item() for run in runs]
            own.append(Attribution(output, name, symbols, gradients, lost, _agreement(gradients, lost)))
        error = abs(sum(sum(part.gradients) for part in own) - (whole - empty))
        text = short_numbers(modality, modality.write(modality.decode(targets[row].cpu().numpy())))
        left = [name for name in subject.graph.reads[output] if name not in parts]
        yield Answered(text, whole, empty, error, own, used, tolerance, left)


def _runs(subject: Subject, name: str, steps: np.ndarray, count: int) -> list[range]:
    """The runs of steps of an input that are explained as one: each its own, or the words of letters whose n-grams are
    counted, which no letter has alone."""
    spec = subject.modalities[f"inputs.{name}"].spec
    if not (subject.graph.encoder(name).counts and isinstance(spec, Symbols) and spec.separators):
        return [range(step, step + 1) for step in range(count)]
    apart = np.isin(steps, spec.separators)
    begins = [step for step in range(count) if step == 0 or apart[step] or apart[step - 1]]
    return [range(begin, end) for begin, end in zip(begins, [*begins[1:], count])]


def _exact(missed: Sequence[float], allowed: float) -> bool:
    """Whether the parts of a path add up, and not because they miss by as much above and below."""
    return abs(sum(missed)) <= allowed and sum(map(abs, missed)) <= 10 * allowed


def _agreement(first: list[float], second: list[float]) -> float | None:
    from scipy.stats import spearmanr

    if len(first) < 3 or len(set(first)) < 2 or len(set(second)) < 2:
        return None
    return float(spearmanr(first, second).statistic)
