"""What heads that predict read: one vector for an example, or one for each of its steps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError, DataError
from ostinato.heads.contract import Sizes
from ostinato.kernels.products import linear
from ostinato.layers.dropout import dropped
from ostinato.layers.pooling import Pool, Pooling
from ostinato.steps import Layout, Steps


class Summaries(nn.Module):
    """One vector for each example, of all inputs that are read.

        x = [p_1; ...; p_n]                    one pooled vector for each input
        x = relu(W x + b)                      with a layer

    An input that has a summary and no steps, such as a number, gives its summary.

    Args:
        sizes: of each input.
        pool: how an input's steps become one vector.
        layer_size: the width of the layer, or None.

    Errors:
        ConfigError: an input lacks a summary where that is read, no input has steps to pool, or nothing is read.
    """

    def __init__(self, sizes: Sequence[Sizes], *, pool: Pool, layer_size: int | None):
        super().__init__()
        pools = [_pool(pool, size) for size in sizes]
        widths = [_width(kind, size) for kind, size in zip(pools, sizes)]
        if pool not in pools or None in widths:
            place = f"input {widths.index(None) + 1} of {len(widths)} gives none" if None in widths else "it reads none"
            no_summary = pool == "last" or None in widths
            what, other = ("a summary", "mean, max or attention") if no_summary else ("steps", "last")
            raise ConfigError(f"pool: {pool} needs {what}, and {place}; choose {other}, or another encoder")
        self.pools = nn.ModuleList(Pooling(kind, width) for kind, width in zip(pools, widths))
        self.layer = None if layer_size is None else nn.Linear(sum(widths), layer_size)
        self.size = layer_size or sum(widths)

    def forward(self, encoded: Sequence[Encoded], dropout: float = 0.0) -> Tensor:
        """(B, size); `dropout` is on the vectors, and on the layer."""
        pooled = [pool(read, at) for at, (pool, read) in enumerate(zip(self.pools, encoded, strict=True))]
        x = torch.cat(pooled, 1)
        x = dropped(x, dropout) if dropout else x
        if self.layer is None:
            return x
        x = torch.relu(linear(x, self.layer.weight, self.layer.bias))
        return dropped(x, dropout) if dropout else x


def _pool(pool: Pool, size: Sizes) -> Pool:
    """How an input is pooled: one without steps gives its summary."""
    return "last" if size.steps is None else pool


def _width(pool: Pool, size: Sizes) -> int | None:
    """The width of what is pooled; None where the input lacks it."""
    if pool == "last":
        return size.summary
    if pool == "concatenated":
        return None if size.summary is None or size.steps is None else size.summary + 2 * size.steps
    return size.steps


def mapped(x: Tensor, layer: nn.Linear) -> Tensor:
    """W x + b; in float32 at least, whatever type autocast multiplies in: losses and scores are made from it."""
    y = linear(x, layer.weight, layer.bias)
    return y.to(torch.promote_types(y.dtype, torch.float32))


def single(rows: int, device: torch.device, targets: Steps | None = None) -> Layout:
    """The layout of one answer for each example.

    Errors:
        DataError: the targets are no such answers.
    """
    if targets is None:
        return Layout.equal(rows, 1, device)
    if targets.layout != Layout.equal(rows, 1):
        raise DataError(
            f"{rows:,} examples need one answer each, and the targets have {targets.layout.total:,} steps in"
            f" {len(targets.layout):,} examples; align: each has one answer for each step"
        )
    return targets.layout


def width_of_steps(head: str, sizes: Sequence[Sizes]) -> int:
    """The width of the steps of the one input that is read.

    Errors:
        ConfigError: there is not exactly one, or it gives no steps.
    """
    if len(sizes) != 1:
        raise ConfigError(
            f"{head} predicts a label for each step of one input, and reads {len(sizes)};"
            " name one in `reads`, or make them one by `join: attend`"
        )
    if sizes[0].steps is None:
        raise ConfigError(
            f"{head} predicts a label for each step of its input, and what it reads gives none; choose an encoder with"
            " steps, such as recurrent, or a join with steps, such as attend"
        )
    return sizes[0].steps


def steps_read(encoded: Sequence[Encoded], dropout: float, targets: Steps | None = None) -> Steps:
    """The steps that were read, some values dropped; checked against the targets.

    Errors:
        DataError: the targets are not one for each step.
    """
    steps = encoded[0].steps
    if targets is not None and targets.layout != steps.layout:
        unequal = _unequal(steps.layout, targets.layout)
        raise DataError(f"each step needs one answer: {unequal}; make the columns equally long")
    return steps.with_values(dropped(steps.values, dropout)) if dropout else steps


def sum_of_steps(encoded: Sequence[Encoded], targets: Steps | None = None) -> Steps:
    """The steps of several inputs added up, which are equally many; checked against the targets.

    Errors:
        DataError: the targets are not one for each step.
    """
    steps = [steps_read([read], 0.0, targets) for read in encoded]
    return steps[0].with_values(torch.stack([part.values for part in steps]).sum(0))


def _unequal(read: Layout, targets: Layout) -> str:
    numbers = f"{read.total:,} steps were read and {targets.total:,} answers are given"
    if len(read) != len(targets):
        return f"{numbers}, in {len(read):,} and {len(targets):,} examples"
    row = int((read.lengths != targets.lengths).nonzero()[0])
    mine, theirs = int(read.lengths[row]), int(targets.lengths[row])
    return f"{numbers}; example {row + 1} of the batch has {mine:,} steps and {theirs:,} answers"
