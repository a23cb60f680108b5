"""What the heads of a Transformer attend to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.errors import ConfigError
from ostinato.layers.transformer import SelfAttention
from ostinato.probes.kinds._symbols import symbols_of
from ostinato.probes.kinds._table import table
from ostinato.probes.kinds.contract import Finding, Probe, Subject
from ostinato.probes.pictures import drawable, picture
from ostinato.registry import Count

NAMED, LETTERS = 24, 10
"""Steps up to which a map names them; letters of a name."""


@dataclass(frozen=True)
class AttentionHead:
    """One head of one layer, over all steps of all examples.

    Args:
        place: the part of the model: `inputs.text.encoder`.
        layer: from 1 up.
        head: from 1 up.
        entropy: the mean over steps of -sum_j w[j] log2 w[j], in bits.
        distance: the mean over steps i of sum_j w[j] |i - j|, in steps.
        itself: the mean weight of a step's own place.
        weights: its map of the first example, a row for each step that attends.
        symbols: of these steps, where an input is encoded; of a decoder empty.
    """

    place: str
    layer: int
    head: int
    entropy: float
    distance: float
    itself: float
    weights: list[list[float]]
    symbols: list[str]


@dataclass(frozen=True)
class AttentionFinding(Finding):
    """What each layer and head attends to.

    Args:
        heads: layer by layer.
    """

    heads: list[AttentionHead]

    @property
    def title(self) -> str:
        far = max(self.heads, key=lambda head: head.distance)
        narrow = min(self.heads, key=lambda head: head.entropy)
        return (
            f"Head {far.head} of layer {far.layer} looks farthest, {far.distance:.3g} steps on average; head "
            f"{narrow.head} of layer {narrow.layer} is the most focused, with an entropy of {narrow.entropy:.3g} bits"
        )

    def to_json(self) -> dict[str, Any]:
        return {"title": self.title, "heads": [asdict(head) for head in self.heads]}

    def lines(self) -> list[str]:
        rows = [["of", "layer", "head", "entropy", "distance", "itself"]]
        for head in self.heads:
            numbers = (head.entropy, head.distance, head.itself)
            rows.append([head.place, str(head.layer), str(head.head), *(f"{number:.3f}" for number in numbers)])
        notes = "entropy: bits; distance: mean steps between a step and what it attends to; itself: weight of its own."
        return [self.title, "", *table(rows), "", notes]

    def draw(self, path: Path) -> None:
        layers = list(dict.fromkeys((head.place, head.layer) for head in self.heads))
        across, down = max(head.head for head in self.heads), len(layers)
        with picture(path, (2.4 * across + 0.8, 2.7 * down + 0.5), across, down) as (figure, panels):
            for axes in panels:
                axes.set_visible(False)
            for head in self.heads:
                axes = panels[across * layers.index((head.place, head.layer)) + head.head - 1]
                axes.set_visible(True)
                image = axes.imshow(np.array(head.weights), cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
                axes.set_title(drawable(f"{head.place}\nlayer {head.layer}, head {head.head}"), fontsize=7)
                axes.set_xlabel("attended step")
                axes.set_ylabel("step")
                if 0 < len(head.symbols) <= NAMED:
                    named = [drawable(symbol.replace(" ", "\u2423"), LETTERS) for symbol in head.symbols]
                    axes.set_xticks(range(len(named)), named, rotation=90, fontsize=6)
                    axes.set_yticks(range(len(named)), named, fontsize=6)
            figure.colorbar(image, ax=panels, label="attention weight", shrink=0.8)
            figure.suptitle(drawable(self.title), fontsize=10, wrap=True)


class AttentionMaps(Probe):
    """What each head of a Transformer's self-attention attends to: its map, how focused it is and how far it looks.

        entropy     -sum_j w[i, j] log2 w[i, j]         0: one step alone; log2 n: n steps alike
        distance    sum_j w[i, j] |i - j|               w[i, j]: the weight of step j where step i attends

    Both are means over the steps of all examples; encoders and decoders are looked at. What a decoder attends to in an
    input is drawn by `ostinato predict --attention`.

    Args:
        map_steps: the map of the first example is cut to so many steps.

    Errors:
        ConfigError: no part of the model has self-attention.

    Source: entropy: Clark, Khandelwal, Levy and Manning 2019, arXiv:1906.04341; distance: Vig and Belinkov
        2019, arXiv:1906.04284.
    """

    def __init__(self, *, map_steps: Count = 64):
        self.map_steps = map_steps

    def look(self, subject: Subject) -> AttentionFinding:
        places = subject.graph.owners()
        layers = [module for module in subject.graph.modules() if isinstance(module, SelfAttention)]
        recorded: dict[SelfAttention, list[np.ndarray]] = {layer: [] for layer in layers}
        with torch.no_grad(), ExitStack() as ends:
            for layer in layers:
                hook = layer.register_forward_pre_hook(_recording(recorded[layer]))
                ends.callback(hook.remove)
            # Example by example, so that the packed place of a step is its place in the example.
            for row in range(len(next(iter(subject.batch.inputs.values())).layout) if layers else 0):
                subject.graph.losses(subject.batch.select(torch.tensor([row])))
        heads: list[AttentionHead] = []
        for place in dict.fromkeys(places[layer] for layer in layers):
            own = [recorded[layer] for layer in layers if places[layer] == place and recorded[layer]]
            named = _symbols(subject, place, own[0][0].shape[2]) if own else []
            heads += [head for number, maps in enumerate(own, 1) for head in self._heads(place, number, maps, named)]
        if not heads:
            raise ConfigError(
                "probe attention_maps: no part of this model has self-attention to look at; train it with a "
                "transformer encoder or decoder"
            )
        return AttentionFinding(heads)

    def _heads(self, place: str, layer: int, maps: Sequence[np.ndarray], symbols: Sequence[str]) -> list[AttentionHead]:
        """Of maps (T, A, T), one an example, and the symbols of the first one's steps."""
        entropies, distances, own = [], [], []
        for weights in maps:
            steps = np.arange(len(weights))
            entropies.append(-(weights * np.log2(np.maximum(weights, 1e-30))).sum(2))
            distances.append((weights * np.abs(steps[:, None] - steps)[:, None]).sum(2))
            own.append(weights[steps, :, steps])
        means = [np.concatenate(parts).mean(0) for parts in (entropies, distances, own)]
        first, named = maps[0][: self.map_steps, :, : self.map_steps], list(symbols[: self.map_steps])
        return [
            AttentionHead(
                place, layer, head + 1, *(float(mean[head]) for mean in means), first[:, head].tolist(), named
            )
            for head in range(first.shape[1])
        ]


def _symbols(subject: Subject, place: str, count: int) -> list[str]:
    """Of the steps of the first example that the encoder of an input reads; of any other part none."""
    name = next((name for name in subject.batch.inputs if place == f"inputs.{name}.encoder"), None)
    if name is None:
        return []
    return symbols_of(subject.modalities[f"inputs.{name}"], subject.batch.inputs[name].split()[0].cpu().numpy(), count)


def _recording(maps: list[np.ndarray]) -> Callable[[Any, tuple[Any, ...]], tuple[Any, ...]]:
    """Keeps the weights of each call: the contexts of values that are 1 at their own place alone."""

    def before(_: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        x, attend, *others = arguments

        def recorded(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            places = torch.eye(len(key), dtype=value.dtype, device=value.device)
            weights = attend(query, key, places.unsqueeze(1).expand(-1, key.shape[1], -1).contiguous())
            if len(weights):
                maps.append(weights.double().cpu().numpy())
            return attend(query, key, value)

        return x, recorded, *others

    return before
