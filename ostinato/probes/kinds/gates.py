"""What the gates of a recurrence do, and how long it remembers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.ticker import LogLocator, NullFormatter
from torch import Tensor

from ostinato.cells.contract import Cell
from ostinato.data.cache import encode_values, to_steps
from ostinato.errors import ConfigError
from ostinato.kernels import dispatch
from ostinato.kernels.contract import State
from ostinato.kernels.watch import Shown, Watch, watched
from ostinato.model.graph import Graph
from ostinato.probes.kinds._symbols import symbols_of
from ostinato.probes.kinds._table import table
from ostinato.probes.kinds.contract import Finding, Probe, Subject
from ostinato.probes.pictures import drawable, picture
from ostinato.registry import Rate

SCALES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Steps between which units are counted by their time constants."""
LONGEST = 1e6
"""Steps: a time constant above, where a gate is 1 in 32 bits, is given as this."""
BINS = 20
UNITS = 48
"""Of a heat map."""


@dataclass(frozen=True)
class Gate:
    """One gate of one layer and direction, over all units and steps.

    Args:
        place: the part of the model: `inputs.text.encoder`.
        layer: from 1 up.
        backward: whether it reads from the last step to the first.
        name: of the gate.
        mean: of its values.
        shut: the share of its values near 0.
        open: the share near 1.
        histogram: the shares of its values in as many bins of equal width from 0 to 1.
        time_constants: of each unit in steps, of the gate that keeps the state; of others empty.
    """

    place: str
    layer: int
    backward: bool
    name: str
    mean: float
    shut: float
    open: float
    histogram: list[float]
    time_constants: list[float]

    @property
    def layer_name(self) -> str:
        return f"{self.place}, layer {self.layer}{', backward' if self.backward else ''}"

    def scales(self) -> list[int]:
        """How many units have a time constant up to each of `SCALES`, and above the last."""
        counts = np.bincount(np.searchsorted(SCALES, self.time_constants), minlength=len(SCALES) + 1)
        return [int(count) for count in counts]


@dataclass(frozen=True)
class HeatMap:
    """The gate that keeps the state, over a text: of the first layer that the text goes through.

    Args:
        gate: which one, in words.
        symbols: of the steps.
        units: their numbers, from 0 up, those of the longest time constants over the examples first.
        values: of each unit at each step.
    """

    gate: str
    symbols: list[str]
    units: list[int]
    values: list[list[float]]


@dataclass(frozen=True)
class GateFinding(Finding):
    """What the gates of each layer and direction do.

    Args:
        gates: layer by layer; of each layer in the cell's order.
        saturated: a gate is open above 1 minus this, and shut below it.
        text: what a text makes of the first gate that keeps; None: no text was given.
    """

    gates: list[Gate]
    saturated: float
    text: HeatMap | None

    @property
    def title(self) -> str:
        gate = next(gate for gate in self.gates if gate.time_constants)
        least, median, most = np.quantile(gate.time_constants, [0, 0.5, 1])
        return (
            f"Half of the units keep their state for {median:.3g} steps or longer, all between {least:.3g} and "
            f"{most:.3g}: the {gate.name} gate of {gate.layer_name}, open in {gate.open:.0%} and shut in "
            f"{gate.shut:.0%} of all values"
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "saturated": self.saturated,
            "scales": list(SCALES),
            "gates": [asdict(gate) | {"units_by_scale": gate.scales()} for gate in self.gates if gate.time_constants]
            + [asdict(gate) for gate in self.gates if not gate.time_constants],
            "text": None if self.text is None else asdict(self.text),
        }

    def lines(self) -> list[str]:
        bounds = [f"<= {bound:g}" for bound in SCALES] + [f"> {SCALES[-1]:g}"]
        rows = [["gate", "of", "mean", "shut", "open", "time constant", "half-life", *bounds]]
        for gate in self.gates:
            row = [gate.name, gate.layer_name, f"{gate.mean:.3f}", f"{gate.shut:.1%}", f"{gate.open:.1%}"]
            if gate.time_constants:
                median = float(np.median(gate.time_constants))
                row += [f"{median:.3g}", f"{median * np.log(2):.3g}", *map(str, gate.scales())]
            rows.append(row + [""] * (len(rows[0]) - len(row)))
        notes = (
            f"shut: below {self.saturated:g}, open: above {1 - self.saturated:g}; time constant: the median unit's "
            "-1 / mean log f, in steps; half-life: ln 2 times it; then units by time constant, in steps."
        )
        return [self.title, "", *table(rows), "", notes, *self._text_lines()]

    def _text_lines(self) -> list[str]:
        if self.text is None:
            return []
        means = np.mean(self.text.values, 0)
        rows = [[str(at), symbol, f"{mean:.3f}"] for at, (symbol, mean) in enumerate(zip(self.text.symbols, means), 1)]
        units = f"mean of the {len(self.text.units)} units with the longest time constants"
        return ["", f"{self.text.gate}, {units}:", *table([["step", "symbol", "mean"], *rows])]

    def draw(self, path: Path) -> None:
        with picture(
            path, (5.4 * (2 + (self.text is not None)), 4.2 + 0.15 * len(self.gates)), 2 + (self.text is not None)
        ) as (figure, panels):
            centres = (np.arange(BINS) + 0.5) / BINS
            for gate in self.gates:
                panels[0].plot(centres, gate.histogram, label=drawable(f"{gate.name}, {gate.layer_name}"))
                if gate.time_constants:
                    constants = np.sort(gate.time_constants)
                    panels[1].plot(np.linspace(0, 1, len(constants)), constants, label=drawable(gate.layer_name))
            panels[0].set_xlabel("value of the gate (0 shut, 1 open)")
            panels[0].set_ylabel(f"share of values in {BINS} bins")
            panels[1].set_xlabel("share of units")
            panels[1].set_ylabel("time constant -1 / mean log f (steps)")
            panels[1].set_yscale("log")
            panels[1].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            panels[1].yaxis.set_major_formatter("{x:g}")
            panels[1].yaxis.set_minor_formatter(NullFormatter())
            for axes in panels[:2]:
                axes.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.16))
            if self.text is not None:
                values = np.array(self.text.values)
                image = panels[2].imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
                symbols = [drawable(symbol.replace(" ", "\u2423"), 12) for symbol in self.text.symbols]
                panels[2].set_xticks(range(len(symbols)), symbols, rotation=90 if max(map(len, symbols)) > 2 else 0)
                panels[2].set_xlabel("step")
                panels[2].set_ylabel("unit, longest time constant first")
                panels[2].set_yticks([])
                figure.colorbar(image, ax=panels[2], label=drawable(self.text.gate), shrink=0.8)
            figure.suptitle(drawable(self.title), fontsize=10, wrap=True)


class Gates(Probe):
    """What the gates of a recurrence do, and how long its units remember.

        time constant   T = -1 / mean log f             f: the gate that multiplies a unit's state, over all steps
        half-life       T ln 2                          the steps after which half of a state is left

    A state that nothing is added to is exp(-k / T) of itself after k steps. A cell names its gates in `Cell.gates`; one
    without (a plain recurrence) has nothing to show. All recurrences that read whole sequences are looked at, in
    encoders and heads; a decoder that attends at each step is not.

    Args:
        saturated: a gate counts as shut below this, and as open above 1 minus this.
        text: a text for the first input, over which the gate that keeps its state is told, and drawn as a heat map.

    Errors:
        ConfigError: no cell of the model has gates.

    Source: shares of saturated gates: Karpathy, Johnson and Fei-Fei 2015, arXiv:1506.02078; time
        constants: Tallec and Ollivier 2018, arXiv:1804.11188.
    """

    def __init__(self, *, saturated: Rate = 0.1, text: str = ""):
        self.saturated, self.text = saturated, text

    def look(self, subject: Subject) -> GateFinding:
        graph = subject.graph
        recorded = _recorded(graph, lambda: graph.losses(subject.batch))
        gates = [
            self._gate(layer, name, values, keeps=name == layer.cell.keeping)
            for layer, named in recorded.items()
            for name, values in named.items()
        ]
        if not gates:
            raise ConfigError(
                "probe gates: no cell of this model has gates to look at; train it with a gated cell, such as lstm or "
                "gru"
            )
        return GateFinding(gates, self.saturated, self._heat_map(subject, gates) if self.text else None)

    def _gate(self, layer: _Layer, name: str, values: np.ndarray, *, keeps: bool) -> Gate:
        shares = np.histogram(values, BINS, (0, 1))[0] / values.size
        return Gate(
            layer.place,
            layer.number,
            layer.backward,
            name,
            float(values.mean()),
            float((values < self.saturated).mean()),
            float((values > 1 - self.saturated).mean()),
            [float(share) for share in shares],
            _time_constants(values) if keeps else [],
        )

    def _heat_map(self, subject: Subject, gates: Sequence[Gate]) -> HeatMap:
        graph, name = subject.graph, next(iter(subject.batch.inputs))
        modality = subject.modalities[f"inputs.{name}"]
        encoded = encode_values(modality, [modality.parse(self.text)])
        steps = to_steps(*encoded).to(graph.device)
        recorded = _recorded(graph, lambda: graph.encode({name: steps}))
        layer = next(iter(recorded), None)
        if layer is None:
            raise ConfigError(
                f"probe gates: text: the encoder of inputs.{name}, the first input, has no gates to draw; leave --text "
                "out"
            )
        values = recorded[layer][layer.cell.keeping].T
        gate = next(
            gate
            for gate in gates
            if gate.time_constants
            and (gate.place, gate.layer, gate.backward) == (layer.place, layer.number, layer.backward)
        )
        units = np.argsort(gate.time_constants)[::-1][:UNITS]
        symbols = symbols_of(modality, encoded[0], values.shape[1])
        shown = [[float(value) for value in values[unit]] for unit in units]
        return HeatMap(f"{gate.name} gate of {gate.layer_name}", symbols, [int(unit) for unit in units], shown)


@dataclass(frozen=True)
class _Layer:
    """One direction of a layer."""

    cell: Cell
    place: str
    number: int
    backward: bool


def _time_constants(values: np.ndarray) -> list[float]:
    """Of each column."""
    with np.errstate(divide="ignore"):
        fading = -np.log(values.astype(np.float64)).mean(0)
    return [float(constant) for constant in 1 / np.maximum(fading, 1 / LONGEST)]


@torch.no_grad()
def _recorded(graph: Graph, read: Callable[[], object]) -> dict[_Layer, dict[str, np.ndarray]]:
    """The gates (N, H) of each layer, by name, while something is read; layers from the bottom up."""
    with watched() as watch, dispatch.forced("reference"), _recording(graph, watch) as parts:
        read()
    places = graph.owners()
    layers: dict[Cell, _Layer] = {}
    counts: Counter[tuple[str, bool]] = Counter()
    recorded: dict[_Layer, dict[str, list[np.ndarray]]] = {}
    for number, steps in parts.items():
        shown = watch.shown[number]
        if shown.by not in layers:
            key = places[shown.by], bool(shown.reverse)
            counts[key] += 1
            layers[shown.by] = _Layer(shown.by, key[0], counts[key], key[1])
        for name in steps[0]:
            values = _packed(shown, [step[name] for step in steps])
            recorded.setdefault(layers[shown.by], {}).setdefault(name, []).append(values)
    return {
        layer: {name: np.concatenate(values) for name, values in named.items()} for layer, named in recorded.items()
    }


def _packed(shown: Shown, steps: Sequence[Tensor]) -> np.ndarray:
    """What a scan gave step by step, in the order of its layout."""
    back = shown.layout.packed
    back = back.index_select(0, shown.layout.reversed) if shown.reverse else back
    return torch.cat([*steps]).index_select(0, back).cpu().numpy()


@contextmanager
def _recording(graph: Graph, watch: Watch) -> Iterator[Mapping[int, list[dict[str, Tensor]]]]:
    """The gates at each step of each scan, by the scan's number in what the watch was shown."""
    parts: dict[int, list[dict[str, Tensor]]] = {}

    def record(cell: Cell) -> None:
        pointwise = cell.pointwise

        def recorded(gates_x: Tensor, gates_h: Tensor | None, state: State) -> State:
            after = pointwise(gates_x, gates_h, state)
            gates = cell.gates(gates_x, gates_h, state, after)
            # A step outside a scan has no layout.
            if gates and watch.shown and watch.shown[-1].by is cell:
                parts.setdefault(len(watch.shown) - 1, []).append(gates)
            return after

        vars(cell)["pointwise"] = recorded
        ends.callback(vars(cell).pop, "pointwise")

    with ExitStack() as ends:
        for module in graph.modules():
            if isinstance(module, Cell):
                record(module)
        yield parts
