"""The join of two that are to be compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.joins._parts import summaries
from ostinato.joins.contract import Join
from ostinato.registry import Count

Feature = Literal["first", "second", "difference", "product"]


class Compare(Join):
    """Two summaries beside each other with their distance and their product: whether two sentences mean the same.

        summary = [u; v; |u - v|; u * v; b]        those that `features` names, in this order
        b_k     = u^T W_k v                        with `bilinear`, k from 1 to its number

    It gives no steps.

    Shapes:
        u, v (B, H); summary (B, H for each feature + bilinear)

    Args:
        features: which of the four are taken: first (u), second (v), difference, product.
        bilinear: how many bilinear forms are added; none by default.

    Errors:
        ConfigError: other than two inputs; one that gives no summary; a difference or product of different widths; a
            feature named twice; nothing taken.

    Source: Conneau et al. 2017, arXiv:1705.02364, section 3.1; Mou et al. 2016, arXiv:1512.08422, section 3.2. Encoders
        that share their weights (`same_as`) make u and v comparable.
    """

    def __init__(
        self,
        steps_sizes: Sequence[int | None],
        summary_sizes: Sequence[int | None],
        *,
        features: list[Feature] = ["first", "second", "difference", "product"],  # noqa: B006
        bilinear: Count | None = None,
    ):
        super().__init__()
        if len(summary_sizes) != 2:
            raise ConfigError(
                f"compare: takes two inputs, {len(summary_sizes)} given; name two under `reads`, or choose concatenate"
            )
        first, second = summaries("compare", summary_sizes)
        if first != second and {"difference", "product"} & set(features):
            raise ConfigError(
                f"compare: the summaries are {first} and {second} wide; share the encoder (encoder: {{same_as: ...}}), "
                "give both one hidden_size, or set features: [first, second]"
            )
        if len(set(features)) < len(features):
            raise ConfigError(f"compare: features names one twice: {', '.join(features)}; name each once")
        if not features and bilinear is None:
            raise ConfigError(
                "compare: nothing is taken; name a feature (first, second, difference, product), or set bilinear"
            )
        self.features = frozenset(features)
        self.bilinear = None if bilinear is None else nn.Bilinear(first, second, bilinear, bias=False)
        if self.bilinear is not None:
            # A sum of first * second products: torch's own start, made for a sum of `first`, would make it too large by
            # far.
            nn.init.normal_(self.bilinear.weight, std=(first * second) ** -0.5)
        widths = {"first": first, "second": second, "difference": first, "product": first}
        self.summary_size = sum(widths[feature] for feature in self.features) + (bilinear or 0)
        self.steps_size = None

    def join(self, encoded: Sequence[Encoded]) -> Encoded:
        u, v = (source.summary for source in encoded)
        parts = []
        if "first" in self.features:
            parts.append(u)
        if "second" in self.features:
            parts.append(v)
        if "difference" in self.features:
            parts.append((u - v).abs())
        if "product" in self.features:
            parts.append(u * v)
        if self.bilinear is not None:
            parts.append(self.bilinear(u, v))
        return Encoded(None, torch.cat(parts, 1), None)
