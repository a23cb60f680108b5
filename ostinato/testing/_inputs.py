"""Encoded inputs for the laws of joins, decoders and heads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch

from ostinato.encoders.contract import Encoded, Sizes, Source
from ostinato.modalities.contract import Symbols
from ostinato.steps import Layout, Steps
from ostinato.testing._modules import ROWS
from ostinato.testing._tools import drawn

SPEC = Symbols(size=7, begin=0, end=1, unknown=2)
"""Of the symbols that inputs were read from."""


class Input(NamedTuple):
    """What an encoder brings.

    Args:
        lengths: of its steps; None: it gives none, as a row of a table.
        steps: the width of its steps.
        summary: the width of its summary.
        state: the widths of its last state.
    """

    lengths: Sequence[int] | None
    steps: int | None
    summary: int
    state: tuple[int, ...] = ()


WIDTH = 6
"""Of the steps of every input, so that a head of this width may use any attention."""
FIRST = Input((4, 0, 3, 1, 2), WIDTH, 4, (3, 2))
INPUTS = {
    "one": (FIRST,),
    "two": (FIRST, Input((2, 3, 0, 1, 1), WIDTH, 4)),
    "one and a table row": (FIRST._replace(state=()), Input(None, None, 4)),
}
"""Several ways to be read from."""


def read(inputs: Iterable[Input], seed: int = 0, dtype: torch.dtype = torch.float32) -> list[Encoded]:
    """What encoders might have read: seeded numbers, and symbols that they might come from."""
    draw, random, encoded = drawn(seed, dtype), torch.Generator().manual_seed(3), []
    for lengths, width, summary, state in inputs:
        steps = source = None
        if lengths is not None:
            layout = Layout(list(lengths))
            symbols = torch.randint(2, SPEC.size, (layout.total,), generator=random)
            steps, source = Steps(draw(layout.total, width), layout), Source(Steps(symbols, layout), None)
        last = tuple(draw(len(ROWS), size) for size in state) or None
        encoded.append(Encoded(steps, draw(len(ROWS), summary), last, source))
    return encoded


def sizes_of(encoded: Iterable[Encoded]) -> list[Sizes]:
    return [
        Sizes(
            source.steps and source.steps.values.shape[1],
            source.summary.shape[1],
            tuple(part.shape[1] for part in source.state or ()),
        )
        for source in encoded
    ]
