"""An input that goes on: a causal encoder and the head above it as one generator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ostinato.encoders._contract import Encoded, Encoder
from ostinato.heads._contract import Decoding, Generator
from ostinato.heads.next_step import NextStep
from ostinato.steps import Layout, Steps


class Continuation(Generator):
    """A `next` output together with its encoder, which keeps in its state what was said.

    What other inputs say stands beside each step, from first to last.

    Args:
        encoder: a causal one.
        head: what it predicts with.
    """

    def __init__(self, encoder: Encoder, head: NextStep):
        self.encoder, self.head = encoder, head
        self.begin, self.end, self.num_symbols = head.begin, head.end, head.num_symbols

    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        """One hypothesis per example, its prompt heard; what follows goes on from the state of the first of `encoded`."""
        first, *others = encoded
        values = {f"state.{k}": one for k, one in enumerate(first.state)}
        rows = torch.arange(len(first.steps.layout), device=first.steps.values.device)
        return Decoding(tuple(one.summary for one in others), rows, values)

    def extend(self, steps: Steps, state: Decoding) -> tuple[Tensor, Decoding]:
        if not steps.layout.total:
            return steps.values.new_zeros(0, self.num_symbols, dtype=next(self.head.output.parameters()).dtype), state
        read = self.encoder.encode(steps, tuple(state.values[f"state.{k}"] for k in range(len(state.values))))
        beside = None
        if state.memory:
            rows = state.rows.index_select(0, read.steps.layout.rows)
            beside = torch.cat([one.index_select(0, rows) for one in state.memory], 1)
        logits = self.head.logits(read.steps.values, beside, state.packed)
        after = {f"state.{k}": one for k, one in enumerate(read.state)}
        return logits, Decoding(state.memory, state.rows, after, (), state.packed)

    def step(self, symbols: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        return self.extend(Steps(symbols, Layout.equal(len(symbols), 1, symbols.device)), state)
