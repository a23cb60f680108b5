"""What the heads of every attention attend to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ostinato.errors import ConfigError
from ostinato.kernels import dispatch
from ostinato.kernels.watch import Attended, attention_watched
from ostinato.probes.kinds._symbols import symbols_of
from ostinato.probes.kinds._table import table
from ostinato.probes.kinds.contract import Finding, Probe, Subject
from ostinato.probes.pictures import drawable, picture
from ostinato.registry import Count

NAMED, LETTERS = 32, 12
"""Steps up to which a map names them; letters of a name."""
INCHES = 0.13
"""Of a named step in a map."""
FIRST = ("cross-attention", "self-attention", "copying", "pooling")
"""The kinds, the one that the sentence is about first."""


@dataclass(frozen=True)
class AttentionHead:
    """One head of one layer, over all steps of all examples.

    Args:
        place: the part of the model: `inputs.text.encoder`.
        kind: self-attention, cross-attention, pooling or copying.
        to: the place of the input or join attended to; empty where a sequence attends to itself.
        layer: from 1 up; of a join its hop.
        head: from 1 up.
        entropy: in bits, the mean over steps.
        normalized_entropy: its share of that of equal weights, from 0 to 1.
        focus: the mean over steps of the largest weight.
        distance: from the diagonal in attended steps, the mean over steps; None where what attends has no place.
        itself: the mean weight of a step's own place; None where it attends to another sequence.
        weights: its map of the first example, a row for each step that attends.
        queries: the words of these steps; of a decoder that attends to an input, what it generates there.
        keys: those of the steps attended to.
    """

    place: str
    kind: str
    to: str
    layer: int
    head: int
    entropy: float
    normalized_entropy: float
    focus: float
    distance: float | None
    itself: float | None
    weights: list[list[float]]
    queries: list[str]
    keys: list[str]

    @property
    def group(self) -> tuple[str, str, str, int]:
        """Its layer among all parts of the model."""
        return self.place, self.kind, self.to, self.layer


@dataclass(frozen=True)
class AttentionFinding(Finding):
    """What each layer and head attends to.

    Args:
        heads: layer by layer.
    """

    heads: list[AttentionHead]

    @property
    def title(self) -> str:
        kind = min((head.kind for head in self.heads), key=FIRST.index)
        heads = [head for head in self.heads if head.kind == kind]
        narrow = min(heads, key=lambda head: head.entropy)
        bits = f"an entropy of {narrow.entropy:.3g} bits, {narrow.normalized_entropy:.0%} of that of equal weights"
        far = max(heads, key=lambda head: head.distance or 0.0)
        diagonal = " from the diagonal" if far.to else ""
        if len(heads) == 1:
            where = "" if far.distance is None else f", {far.distance:.3g} steps{diagonal} on average"
            return f"{narrow.place} attends to {narrow.to or 'itself'} with {bits}{where}"
        focused = f"{_named(narrow, heads)} is the most focused, with {bits}"
        if far.distance is not None:
            focused = f"{_named(far, heads)} looks farthest, {far.distance:.3g} steps{diagonal} on average; {focused}"
        return f"In {kind}, {focused}" if far.to else f"H{focused[1:]}"

    def to_json(self) -> dict[str, Any]:
        return {"title": self.title, "heads": [asdict(head) for head in self.heads]}

    def lines(self) -> list[str]:
        rows = [["of", "attention", "layer", "head", "entropy", "of equal", "focus", "distance", "itself"]]
        for head in self.heads:
            numbers = (head.entropy, head.normalized_entropy, head.focus, head.distance, head.itself)
            kind = f"{head.kind} to {head.to}" if head.to else head.kind
            cells = ["" if number is None else f"{number:.3f}" for number in numbers]
            rows.append([head.place, kind, str(head.layer), str(head.head), *cells])
        notes = (
            "entropy: bits; of equal: as a share of that of equal weights; focus: the largest weight; distance: mean "
            "steps from the diagonal; itself: weight of a step's own place."
        )
        return [self.title, "", *table(rows), "", notes]

    def draw(self, path: Path) -> None:
        layers = list(dict.fromkeys(head.group for head in self.heads))
        across, down = max(head.head for head in self.heads), len(layers)
        wide, high = (max(2.4, 0.9 + INCHES * max(map(_room, sides))) for sides in self._sides())
        size = (max(5.0, wide * across + 0.8), (high + 0.4) * down + 0.6)
        with picture(path, size, across, down) as (figure, panels):
            for axes in panels:
                axes.set_visible(False)
            for head in self.heads:
                axes = panels[across * layers.index(head.group) + head.head - 1]
                axes.set_visible(True)
                weights = np.array(head.weights)
                image = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
                axes.set_title(drawable(f"{head.place}, {head.kind}\nlayer {head.layer}, head {head.head}"), fontsize=7)
                axes.set_xlabel(drawable(f"step of {head.to}" if head.to else "attended step"), fontsize=8)
                axes.set_ylabel("step", fontsize=8)
                axes.tick_params(labelsize=6)
                keys, queries = _drawn(head.keys), _drawn(head.queries)
                if keys:
                    axes.set_xticks(range(len(keys)), keys, rotation=90 if max(map(len, keys)) > 2 else 0)
                if queries:
                    axes.set_yticks(range(len(queries)), queries)
            figure.colorbar(image, ax=panels, label="attention weight", shrink=min(0.8, 3 / size[1]))
            figure.suptitle(drawable(self.title), fontsize=10, wrap=True)

    def _sides(self) -> tuple[list[list[str]], list[list[str]]]:
        return [head.keys for head in self.heads], [head.queries for head in self.heads]


class AttentionMaps(Probe):
    """What each head of every attention attends to: its map, how focused it is and how far it looks.

        entropy             -sum_j w[i, j] log2 w[i, j]     0: one step alone; log2 n: n steps alike
        normalized entropy  entropy / log2 n                n: the steps that i sees, whose weight is above 0
        focus               max_j w[i, j]
        distance            sum_j w[i, j] |j - d[i]|        d[i] = (i + 1/2) S / T - 1/2, the diagonal of T by S steps

    w[i, j] is the weight of step j, of S, where step i, of T, attends, both from 0 up. Where a sequence attends to
    itself d[i] is i. All are means over the steps of all examples; of the normalized entropy, the ratio of two means.
    Looked at are the self-attention of Transformers, what recurrent and Transformer decoders attend to in each input,
    joins that attend, hop by hop, pooling by attention, and what a head copies; not the attention of a `pretrained`
    encoder. A decoder reads the true target. What an answer attends to, the mean over the heads of the top layer, is
    drawn by `ostinato predict --attention`.

    Args:
        map_steps: the map of the first example is cut to so many steps.

    Errors:
        ConfigError: no part of the model attends.

    Source: entropy: Clark, Khandelwal, Levy and Manning 2019, arXiv:1906.04341; distance: Vig and Belinkov
        2019, arXiv:1906.04284, from the diagonal where lengths differ.
    """

    def __init__(self, *, map_steps: Count = 64):
        self.map_steps = map_steps

    def look(self, subject: Subject) -> AttentionFinding:
        layers: dict[tuple[str, str, str], dict[Any, _Layer]] = {}
        places, sources = subject.graph.owners(), subject.graph.sources()
        for row in range(len(next(iter(subject.batch.inputs.values())).layout)):
            with torch.no_grad(), dispatch.forced("reference"), attention_watched() as seen:
                subject.graph.losses(subject.batch.select(torch.tensor([row])))
            for item in seen:
                place = places[item.by]
                to = "" if item.kind == "self-attention" else sources[place][item.source]
                own = layers.setdefault((place, item.kind, to), {})
                own.setdefault(item.by, _Layer()).add(item, row)
        heads = [
            head
            for group, own in layers.items()
            for number, layer in enumerate(own.values(), 1)
            for head in self._heads(subject, (*group, number), layer)
        ]
        if not heads:
            raise ConfigError(
                "probe attention_maps: no part of this model shows what it attends to, as a pretrained encoder shows"
                " nothing; train it with a transformer encoder, or with a decoder or join that attends"
            )
        return AttentionFinding(heads)

    def _heads(self, subject: Subject, group: tuple[str, str, str, int], layer: _Layer) -> Iterator[AttentionHead]:
        if layer.first is None:
            return
        place, kind, to, _ = group
        means = layer.sums / layer.steps
        has_place = kind != "pooling" and not place.endswith(".join")
        first = layer.first[: self.map_steps, :, : self.map_steps]
        queries = _queries(subject, place, kind, layer.row, len(layer.first))[: self.map_steps]
        keys = _words(subject, to, layer.row, layer.first.shape[2]) if to else queries
        for head, (entropy, most, focus, distance, itself) in enumerate(means.T.tolist()):
            yield AttentionHead(
                *group,
                head + 1,
                entropy,
                entropy / most if most else 0.0,
                focus,
                distance if has_place else None,
                None if to else itself,
                first[:, head].tolist(),
                queries,
                keys[: self.map_steps],
            )


class _Layer:
    """The sums over steps of what is measured of each head of a layer, and its weights of the first example."""

    def __init__(self) -> None:
        self.sums: np.ndarray = np.zeros((5, 1))
        self.steps = 0
        self.first: np.ndarray | None = None
        self.row = 0

    def add(self, seen: Attended, row: int) -> None:
        """Its weights of one example, the one of this number."""
        shares = seen.weights.double().cpu().numpy()
        for begin, count, width in zip(seen.queries.offsets, seen.queries.lengths, seen.keys.lengths):
            if count and width:
                self._add(shares[begin : begin + count, :, :width], row)

    def _add(self, weights: np.ndarray, row: int) -> None:
        """Weights (T, A, S) of one sequence."""
        queries, _, keys = weights.shape
        if self.first is None:
            self.first, self.row = weights, row
        steps = np.arange(queries)
        diagonal = (steps + 0.5) * keys / queries - 0.5
        measured = (
            -(weights * np.log2(np.maximum(weights, 1e-30))).sum(2),
            np.log2((weights > 0).sum(2)),
            weights.max(2),
            (weights * np.abs(np.arange(keys) - diagonal[:, None])[:, None]).sum(2),
            weights[steps, :, steps % keys],
        )
        self.sums = self.sums + np.stack(measured).sum(1)
        self.steps += queries


def _queries(subject: Subject, place: str, kind: str, row: int, count: int) -> list[str]:
    """Words of the steps that attend."""
    if kind == "pooling":
        return ["summary"]
    whole, _, part = place.rpartition(".")
    if part == "join":
        return ["summary", *_words(subject, subject.graph.sources()[place][0], row, count - 1)]
    words = _words(subject, whole, row, count)
    return [*words[1:], "end"] if part == "head" and kind != "self-attention" else words


def _words(subject: Subject, place: str, row: int, count: int) -> list[str]:
    """Words of the steps of an example's input or target; of what a join gives their numbers."""
    side, _, name = place.partition(".")
    columns = subject.batch.inputs if side == "inputs" else subject.batch.targets
    if name not in columns:
        return [str(step + 1) for step in range(count)]
    return symbols_of(subject.modalities[place], columns[name].split()[row].cpu().numpy(), count)


def _named(head: AttentionHead, others: Sequence[AttentionHead]) -> str:
    """A head in words, its part of the model and what it attends to where there are several."""
    place = f" of {head.place}" if len({other.place for other in others}) > 1 else ""
    to = f" on {head.to}" if len({other.to for other in others}) > 1 else ""
    return f"head {head.head} of layer {head.layer}{place}{to}"


def _room(words: Sequence[str]) -> int:
    """Steps that a side of a map has room for."""
    return min(max(len(words), 1), NAMED)


def _drawn(words: Sequence[str]) -> list[str]:
    """What a side of a map is named by: nothing where there is no room."""
    return [drawable(word.replace(" ", "\u2423"), LETTERS) for word in words] if len(words) <= NAMED else []
