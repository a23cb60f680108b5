"""How far back gradients reach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ostinato.encoders.contract import Encoder
from ostinato.errors import ConfigError
from ostinato.kernels import dispatch
from ostinato.kernels.watch import Shown, watched
from ostinato.model.graph import Graph
from ostinato.probes.kinds._losses import losses_of
from ostinato.probes.kinds._table import table
from ostinato.probes.kinds.contract import Finding, Probe, Subject
from ostinato.probes.pictures import drawable, picture
from ostinato.registry import Count, Share
from ostinato.steps import Layout

LOW, HIGH = 0.1, 0.9
"""The quantiles beside the median."""
FEWEST = 0.25
"""The share of all pairs of an example and a step that a lag must have, to be part of a horizon: the longest lags are
those of few long examples."""
LOSS, STATE = "loss", "state"
MEANING = {LOSS: "d loss[t] / d s[t-k]", STATE: "d y[t] / d s[t-k]"}


@dataclass(frozen=True)
class Reach:
    """The size of one gradient by lag, in one layer and direction.

    Args:
        of: `loss`, the gradient of the loss at a step, or `state`, that of the encoder's vector at a step.
        output: whose loss it is; empty where it is none.
        place: the part of the model: `inputs.text.encoder`.
        layer: the layer, from 1 up; 0: the embedded input.
        later: whether the lag counts steps after t, in place of steps before.
        pairs: how many pairs of an example and a step t each lag has.
        norms: at each lag from 0 on the low quantile, the median and the high quantile of the norm.
        shares: the same of the norm divided by that of the same pair one step away, or at the next lag that has one.
            Not by that at lag 0: a way that passes a step on as it is would make all others look small.
        horizon: the lag from which on the median share stays below the threshold; None: it does not fall below.
        reached: the longest lag that enough pairs have.
    """

    of: str
    output: str
    place: str
    layer: int
    later: bool
    pairs: list[int]
    norms: list[tuple[float, float, float]]
    shares: list[tuple[float, float, float]]
    horizon: int | None
    reached: int

    @property
    def called(self) -> str:
        layer = f"layer {self.layer}" if self.layer else "input"
        return f"{self.place}, {layer}{', later steps' if self.later else ''}"

    def peak(self) -> float:
        """The largest median share after lag 0; infinite where one is no number."""
        shares = [median for _, median, _ in self.shares[1 : self.reached + 1]]
        norms = [median for _, median, _ in self.norms[: self.reached + 1]]
        return max(shares, default=0.0) if np.isfinite(norms).all() else float("inf")

    def last(self) -> float:
        """The median share at the longest lag that enough pairs have."""
        return self.shares[self.reached][1]


@dataclass(frozen=True)
class GradientFinding(Finding):
    """How far back gradients reach: each layer and direction that a gradient reaches.

    Args:
        reaches: layer by layer.
        share: the threshold of the horizon.
        products: how norms of matrices were computed, in words.
    """

    reaches: list[Reach]
    share: float
    products: str

    @property
    def title(self) -> str:
        head = self._headline()
        if head is None:
            return "No gradient reaches any layer: all are 0"
        if not head.reached:
            return "Examples of one step do not tell how far back gradients reach"
        what = "the loss" if head.of == LOSS else "the last layer"
        where = f"the gradient of {what} by {head.called}"
        if self._stays(head):
            return f"No gradient goes from step to step: {where} is 0 from one step away on"
        bad = next((lag for lag, (_, median, _) in enumerate(head.norms) if not np.isfinite(median)), None)
        if bad is not None:
            return f"Gradients explode: {where} is infinite or no number from {bad} steps back on"
        if head.peak() > 1 / self.share:
            return f"Gradients explode: {where} is {head.last():.2g} times as large {head.reached} steps back as one"
        if head.horizon is None:
            return f"Gradients reach back: {where} {head.reached} steps back is {head.last():.2g} of that one step back"
        below = f"is below {self.share:g} of that one step back"
        return f"Gradients vanish: {where} from {head.horizon} steps back on {below}"

    def exploding(self) -> list[str]:
        """The parts whose gradient is, some steps away, `1 / share` times as large as one step away, or no number."""
        return list(dict.fromkeys(reach.called for reach in self.reaches if reach.peak() > 1 / self.share))

    @staticmethod
    def _stays(reach: Reach) -> bool:
        """Whether it is 0 at all lags but 0."""
        return not any(median for _, median, _ in reach.norms[1 : reach.reached + 1])

    def _headline(self) -> Reach | None:
        """The gradient of the loss in the lowest layer, which has the longest way to go."""
        order = [(reach.of != LOSS, reach.later, reach.layer == 0, reach.layer) for reach in self.reaches]
        return self.reaches[order.index(min(order))] if order else None

    def to_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "share": self.share,
            "quantiles": [LOW, 0.5, HIGH],
            "products": self.products,
            "exploding": self.exploding(),
            "reaches": [asdict(reach) for reach in self.reaches],
        }

    def lines(self) -> list[str]:
        longest = max((reach.reached for reach in self.reaches), default=0)
        lags = [0, *(2**power for power in range(longest.bit_length()))]
        rows = [["gradient", "of", "horizon", *(f"k={lag}" for lag in lags)]]
        for reach in self.reaches:
            medians = [f"{reach.norms[lag][1]:.2g}" if lag <= reach.reached else "" for lag in lags]
            horizon = f"> {reach.reached}" if reach.horizon is None else str(reach.horizon)
            rows.append([MEANING[reach.of], reach.called, horizon, *medians])
        notes = (
            f"Medians of norms; horizon: lag from which on the median share of that at lag 1 is below {self.share:g}."
        )
        exploding = [f"Exploding: {'; '.join(self.exploding())}."] if self.exploding() else []
        head = self._headline()
        staying = [_STAYING] if head is not None and head.reached and self._stays(head) else []
        about = f"{notes} s: {_STATES}. Matrices: {self.products}."
        return [self.title, *exploding, *staying, "", *table(rows), "", about]

    def draw(self, path: Path) -> None:
        kinds = [kind for kind in (LOSS, STATE) if any(reach.of == kind for reach in self.reaches)] or [LOSS]
        with picture(path, (5.4 * len(kinds), 4.2 + 0.1 * len(self.reaches)), len(kinds)) as (figure, panels):
            for kind, axes in zip(kinds, panels):
                for reach in (reach for reach in self.reaches if reach.of == kind):
                    self._line(axes, reach)
                axes.axhline(self.share, color="0.6", linestyle=":", linewidth=1)
                axes.set_yscale("log")
                axes.set_xlabel("lag k (steps)")
                axes.set_ylabel("share of the norm one step away")
                axes.set_title(drawable(MEANING[kind]), fontsize=9)
                axes.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.16))
            figure.suptitle(drawable(self.title), fontsize=10, wrap=True)

    def _line(self, axes: Any, reach: Reach) -> None:
        shares = np.array(reach.shares[: reach.reached + 1])
        # A share of 0 has no place on a logarithmic axis: the line ends there.
        shares = np.where(np.isfinite(shares) & (shares > 0), shares, np.nan)
        lags = np.arange(len(shares))
        horizon = f"> {reach.reached}" if reach.horizon is None else reach.horizon
        (line,) = axes.plot(lags, shares[:, 1], label=drawable(f"{reach.called}: horizon {horizon}"))
        axes.fill_between(lags, shares[:, 0], shares[:, 2], color=line.get_color(), alpha=0.15, linewidth=0)


_STATES = "all states of a recurrence (h and c of an LSTM), or the vectors of another layer"


_STAYING = (
    "Layers whose last map begins at zero, those of a modern Transformer and of an mLSTM, pass nothing on before their"
    " first update; look at a recipe after an epoch too: --epochs 0,1."
)


class Gradients(Probe):
    """How far back a gradient reaches: its norm against the lag, in each layer and direction, and the memory horizon.

        loss     |d loss[t] / d s[t-k]|       Euclidean norm; loss[t] = -log p(target t)
        state    |d y[t] / d s[t-k]|          Frobenius norm; y what the encoder gives at a step
        horizon  the lag k from which on the median of norm(k) / norm(1) stays below `share`

    s are all states of a recurrence (h and c of an LSTM), and the vectors of any other layer or of the embedded input:
    in a convolution or a Transformer no state goes from step to step, so a layer's own lags show what the layers above
    it read, and the input's all of them. Where a loss belongs to a whole example and not to a step, t is the last step,
    and for what reads backward the first. In a linear recurrence of one layer the state's norm is that of W^k.

    Each product of a vector with a Jacobian is one backward pass, for all lags, layers and examples at once. A
    recurrence is computed step by step by the reference kernel for it.

    Args:
        share: the threshold of the horizon.
        positions: how many steps t of each example, evenly spread where most lags are.
        projections: random products for the norm of a matrix, E |v J|^2 = |J|^2 for v with mean 0 and variance 1.
        exact: the widest y whose norm is computed exactly, by a product for each of its numbers.

    Errors:
        ConfigError: no part of the model shows vectors of steps.

    Source: Bengio, Simard and Frasconi 1994, doi:10.1109/72.279181; Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063,
        equations 3 to 5; random products: Hutchinson 1990, doi:10.1080/03610919008812866.
    """

    def __init__(self, *, share: Share = 0.01, positions: Count = 4, projections: Count = 8, exact: Count = 16):
        self.share, self.positions, self.projections, self.exact = share, positions, projections, exact

    def look(self, subject: Subject) -> GradientFinding:
        curves: dict[tuple[str, str, str, int, bool], list[np.ndarray]] = {}
        widths: list[int] = []
        with torch.enable_grad(), dispatch.forced("reference"):
            for curve in (*self._of_losses(subject), *self._of_states(subject, widths)):
                curves.setdefault(curve.key, []).append(curve.norms)
        if not curves:
            raise ConfigError(
                "probe gradients: no part of this model has vectors of steps to look at; train it with a recurrent, "
                "convolutional or transformer encoder"
            )
        order = sorted(curves, key=lambda key: (key[0] != LOSS, *key[1:]))
        return GradientFinding(
            [self._reach(key, np.concatenate(curves[key])) for key in order], self.share, self._products(widths)
        )

    def _products(self, widths: Sequence[int]) -> str:
        estimated = [width for width in widths if width > self.exact]
        ways = ["exact"] * (len(estimated) < len(widths))
        ways += [f"estimated by {self.projections} random products"] * bool(estimated)
        return " and ".join(ways) or "none"

    def _of_losses(self, subject: Subject) -> Iterator[_Curve]:
        graph, batch = subject.graph, subject.batch
        for output, head in graph.heads.items():
            with watched() as watch:
                loss, layout, _ = losses_of(head, graph.read(output, batch.inputs), batch.targets[output])
            for place, layers in _layers(graph, watch.shown).items():
                key = (LOSS, output, place)
                steps = layers[0].shown.layout
                aligned = subject.alignments[output].per_step or place.startswith(f"outputs.{output}.")
                if layout is None or layout != steps or not aligned:
                    yield from _from_the_end(key, layers, _squares(loss.sum(), layers, None))
                    continue
                for at in self._steps_of(steps, graph.places()[place]):
                    squares = _squares(loss[at[at >= 0]].sum(), layers, None)
                    yield from _around(key, layers, squares, at)

    def _of_states(self, subject: Subject, widths: list[int]) -> Iterator[_Curve]:
        graph, random = subject.graph, torch.Generator().manual_seed(0)
        for name, steps in subject.batch.inputs.items():
            with watched() as watch:
                given = graph.encode({name: steps})[name].steps
            for place, layers in _layers(graph, watch.shown).items():
                if given is None or given.layout != layers[0].shown.layout:
                    continue
                widths.append(given.values.shape[1])
                for at in self._steps_of(given.layout, graph.places()[place]):
                    squares = [
                        _squares(given.values, layers, vectors)
                        for vectors in self._vectors(given.values, at[at >= 0], random)
                    ]
                    yield from _around((STATE, "", place), layers, [sum(parts) for parts in zip(*squares)], at)

    def _vectors(self, y: Tensor, rows: Tensor, random: torch.Generator) -> Iterator[Tensor]:
        """Vectors at these rows of y, whose products with a matrix have squared norms that add up to its own."""
        width = y.shape[1]
        for number in range(width if width <= self.exact else self.projections):
            vectors = torch.zeros_like(y)
            if width <= self.exact:
                vectors[rows, number] = 1.0
            else:
                drawn = torch.randn(len(rows), width, generator=random) / self.projections**0.5
                vectors[rows] = drawn.to(y)
            yield vectors

    def _steps_of(self, layout: Layout, part: nn.Module) -> list[Tensor]:
        """For each of the positions the packed number of a step of every example, -1 where it has none: in its second
        half, every other one mirrored where what follows is read too."""
        lengths, first = layout.lengths, layout.offsets[:-1]
        mirrors = isinstance(part, Encoder) and not part.causal
        chosen = []
        for number in range(self.positions):
            back = (lengths * (number / (2 * self.positions))).long()
            step = back if mirrors and number % 2 else lengths - 1 - back
            chosen.append(torch.where(lengths > 0, first + step, -1))
        return chosen

    def _reach(self, key: tuple[str, str, str, int, bool], norms: np.ndarray) -> Reach:
        """The quantiles of the norms of all pairs (pairs, lags), -1 where a pair has no such lag."""
        known = norms >= 0
        # Infinity times 0 on the way back is no number; what it stood for is larger than all others.
        norms = np.where(np.isnan(norms), np.inf, norms)
        known |= np.isinf(norms)
        # A dilated convolution reads every other step.
        away = np.where(norms[:, 1:] > 0, norms[:, 1:], np.nan)
        one = np.array([next((value for value in row if value == value), 1.0) for row in away])
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.where(norms == 0, 0.0, norms / one[:, None])
        shares = np.where(np.isnan(shares), np.inf, shares)
        pairs = known.sum(0)
        reached = int(np.flatnonzero(pairs >= max(1, FEWEST * pairs[0])).max())
        by_lag = _quantiles(shares, known)
        high = [lag for lag in range(1, reached + 1) if by_lag[lag][1] >= self.share]
        horizon = None if high and high[-1] == reached else high[-1] + 1 if high else 1
        return Reach(*key, pairs.tolist(), _quantiles(norms, known), by_lag, horizon, reached)


class _Layer(NamedTuple):
    """A layer, or a direction of one, and its number in its part of the model."""

    number: int
    shown: Shown


class _Curve(NamedTuple):
    """Norms by lag (pairs, lags), -1 where a pair has no such lag; and what `Reach` calls them."""

    key: tuple[str, str, str, int, bool]
    norms: np.ndarray


def _layers(graph: Graph, shown: Sequence[Shown]) -> Mapping[str, list[_Layer]]:
    """What was shown, by its part of the model; layers are counted from 1 up in each direction."""
    places = graph.owners()
    counts: Counter[tuple[str, bool | None]] = Counter()
    layers: dict[str, list[_Layer]] = {}
    for item in shown:
        if item.by not in places or not item.layout.total:
            continue
        place = places[item.by]
        counts[place, item.reverse] += not item.is_input
        number = 0 if item.is_input else counts[place, item.reverse]
        layers.setdefault(place, []).append(_Layer(number, item))
    return layers


def _squares(y: Tensor, layers: Sequence[_Layer], vectors: Tensor | None) -> list[np.ndarray]:
    """For each layer the squared norm of the gradient at each of its steps, in 64 bits."""
    leaves = [layer.shown.added for layer in layers]
    gradients = torch.autograd.grad(y, leaves, vectors, retain_graph=True, allow_unused=True)
    return [
        np.zeros(len(leaf)) if part is None else part.double().square().sum(1).cpu().numpy()
        for leaf, part in zip(leaves, gradients)
    ]


def _from_the_end(
    key: tuple[str, str, str], layers: Sequence[_Layer], squares: Sequence[np.ndarray]
) -> Iterator[_Curve]:
    """Lags from the last step, or from the first of what reads backward."""
    layout = layers[0].shown.layout
    for layer, part in zip(layers, squares):
        later = layer.shown.reverse is True
        at = layout.offsets[:-1] if later else layout.offsets[1:] - 1
        at = torch.where(layout.lengths > 0, at, -1)
        yield _Curve((*key, layer.number, later), _by_lag(part, layout, at, later))


def _around(
    key: tuple[str, str, str], layers: Sequence[_Layer], squares: Sequence[np.ndarray], at: Tensor
) -> Iterator[_Curve]:
    """Lags before and after these steps: of a recurrence those that it has read, of the input those before, and others
    that a gradient reaches."""
    for layer, part in zip(layers, squares):
        for later in (False, True):
            norms = _by_lag(part, layer.shown.layout, at, later)
            always = not later if layer.shown.is_input else layer.shown.reverse is later
            if always or (norms[:, 1:] > 0).any() or np.isnan(norms).any():
                yield _Curve((*key, layer.number, later), norms)


def _by_lag(squares: np.ndarray, layout: Layout, at: Tensor, later: bool) -> np.ndarray:
    """(pairs, longest) the norm at each lag from the steps `at`, -1 outside an example."""
    rows = (at >= 0).nonzero().squeeze(1)
    steps = at[rows].unsqueeze(1) + torch.arange(layout.longest) * (1 if later else -1)
    inside = (steps >= layout.offsets[:-1][rows].unsqueeze(1)) & (steps < layout.offsets[1:][rows].unsqueeze(1))
    return np.where(inside.numpy(), np.sqrt(squares)[steps.clamp(0, layout.total - 1).numpy()], -1.0)


def _quantiles(values: np.ndarray, known: np.ndarray) -> list[tuple[float, float, float]]:
    """Of each column: low, median and high, values of the column themselves; nothing of one that has none."""
    columns = (np.sort(column[there]) for column, there in zip(values.T, known.T) if there.any())
    return [
        tuple(float(column[round(level * (len(column) - 1))]) for level in (LOW, 0.5, HIGH))  # type: ignore[misc]
        for column in columns
    ]
