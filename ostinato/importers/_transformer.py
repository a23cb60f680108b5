"""Layers of the textbook's Transformer (`block: vaswani2017`), made of those of other tools under other names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ostinato.importers._files import Weights


@dataclass(frozen=True)
class Names:
    """What a tool calls the linear maps of a layer, each a name before `.weight` and `.bias`.

    Args:
        query, key, value, output: of an attention.
        first, second: of a feed-forward network.
    """

    query: str
    key: str
    value: str
    output: str
    first: str
    second: str


class Layers:
    """Takes the parts of layers, each from a place there to one here.

    Args:
        weights: where they are taken from; a linear map without a bias gets one of zeros.
        tensors: where they are put.
        names: of the tool.
    """

    def __init__(self, weights: Weights, tensors: dict[str, Tensor], names: Names):
        self._weights, self._tensors, self._names = weights, tensors, names

    def layer(
        self,
        theirs: str,
        ours: str,
        size: int,
        attention: str,
        norms: Sequence[str],
        cross: tuple[str, int] | None = None,
    ) -> None:
        """A whole layer.

        Args:
            theirs, ours: what is in front of the names of its parts.
            size: of its vectors.
            attention: what the attention to its own steps is called there.
            norms: likewise the norm of each of its parts, in order.
            cross: likewise the attention to the source, and the width of what it attends to; None: it has none.
        """
        self.self_attention(f"{theirs}{attention}", f"{ours}attention.", size)
        if cross is not None:
            name, memory = cross
            self.cross_attention(f"{theirs}{name}", f"{ours}crosses.0.", size, memory)
        self.feed_forward(f"{theirs}feed_forward.", f"{ours}feed_forward.")
        for place, norm in enumerate(norms):
            self.norm(f"{theirs}{norm}", f"{ours}norms.{place}.", size)

    def self_attention(self, theirs: str, ours: str, size: int) -> None:
        """
        Args:
            theirs, ours: what is in front of the names of its maps.
            size: of its vectors.
        """
        names = self._names
        read = [theirs + name for name in (names.query, names.key, names.value)]
        self._join(read, f"{ours}queries_keys_values", size, size)
        self._join([theirs + names.output], f"{ours}output", size, size)

    def cross_attention(self, theirs: str, ours: str, size: int, memory: int) -> None:
        """
        Args:
            theirs, ours: what is in front of the names of its maps.
            size: of its vectors.
            memory: the width of what it attends to.
        """
        names = self._names
        self._join([theirs + name for name in (names.key, names.value)], f"{ours}keys_values", size, memory)
        self._join([theirs + names.query], f"{ours}queries", size, size)
        self._join([theirs + names.output], f"{ours}output", size, size)

    def feed_forward(self, theirs: str, ours: str) -> None:
        """
        Args:
            theirs, ours: what is in front of the names of its maps.
        """
        self._join([theirs + self._names.first], f"{ours}first")
        self._join([theirs + self._names.second], f"{ours}second")

    def norm(self, theirs: str, ours: str, size: int) -> None:
        """
        Args:
            theirs, ours: what is in front of `weight` and `bias`.
            size: of its vectors.
        """
        for part in ("weight", "bias"):
            self._tensors[ours + part] = self._weights.take(theirs + part, size)

    def _join(self, names: list[str], ours: str, *shape: int) -> None:
        """Linear maps of the same vectors as one, each of a shape if one is given."""
        weights = [self._weights.take(f"{name}.weight", *shape) for name in names]
        biases = [self._bias(name, len(weight)) for name, weight in zip(names, weights)]
        self._tensors[f"{ours}.weight"], self._tensors[f"{ours}.bias"] = torch.cat(weights), torch.cat(biases)

    def _bias(self, name: str, size: int) -> Tensor:
        return self._weights.take(f"{name}.bias", size) if f"{name}.bias" in self._weights else torch.zeros(size)
