"""The join that looks things up: a question and its story."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated

import torch
from torch import Tensor, nn

from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.joins.contract import Join, Suits
from ostinato.kernels.products import linear
from ostinato.kernels.watch import Attended, show_attention
from ostinato.layers.attend import Memory
from ostinato.registry import Count, Room, Settings, build
from ostinato.steps import Layout, Steps

MUCH_LONGER = 4.0
"""How often the steps of what asks go into those of what it looks into, where it is chosen."""


class Attend(Join):
    """The first input reads the others: its summary, and each of its steps, attends to their steps, in one hop or more.

        q_0     = summary_1                                     or h[t], for each of its steps
        c_k     = [context of q_{k-1} in the steps of input 2; ...; in those of input n]            k from 1 to hops
        q_k     = q_{k-1} + tanh(W_k [q_{k-1}; c_k] + b_k)      what to ask next, k < hops
        summary = [q_{hops-1}; c_hops]
        steps   = the same of each step, where the first input has steps as wide as its summary

    Each other input has one attention, the same at all hops. An input without steps in a row gives a context of zeros.

    Shapes:
        summary (B, width of summary 1 + widths of the others' steps); steps (N_1, the same)

    Args:
        attention: how a query is compared with a step.
        hops: how often it looks: 1 finds a fact, 2 a fact that another one leads to.

    Errors:
        ConfigError: fewer than two inputs; a first one without summary; another one without steps; an attention that
            reads the weights of the hop before, with one hop.

    Source: hops: Sukhbaatar et al. 2015, arXiv:1503.08895, section 2.2; the untied update with W_k: Xiong et al. 2016,
        arXiv:1603.01417, equation 14, with tanh for their relu and added to what was asked.
    """

    keeps_steps = True

    @classmethod
    def suits(cls, lengths: Mapping[str, float]) -> Suits | None:
        """Where the shortest input is much shorter than the others, as a question is than what it is about."""
        asker, *others = sorted(lengths, key=lengths.__getitem__)
        if not others or lengths[others[0]] < MUCH_LONGER * lengths[asker]:
            return None
        reason = f"{asker} has {lengths[asker]:.0f} steps on average, the others {lengths[others[0]]:.0f} or more"
        return Suits([asker, *others], {"type": "attend", "attention": "scaled_dot", "hops": 2}, f"{reason}: it asks")

    def __init__(
        self,
        steps_sizes: Sequence[int | None],
        summary_sizes: Sequence[int | None],
        *,
        attention: Annotated[Settings, Room("attentions")] = "additive",
        hops: Count = 1,
    ):
        super().__init__()
        if len(steps_sizes) < 2:
            raise ConfigError(
                "attend: needs two inputs, the one that asks and one to look into; name both under `reads`"
            )
        query_size, memory_sizes = summary_sizes[0], steps_sizes[1:]
        if query_size is None:
            raise ConfigError(
                "attend: the first input gives no summary to ask with; name one that does first under `reads`"
            )
        if None in memory_sizes:
            raise ConfigError(
                f"attend: input {list(memory_sizes).index(None) + 2} of {len(steps_sizes)} gives no steps to look into;"
                " give it an encoder that does (recurrent, convolutional), name it first under `reads`, or choose "
                "join: concatenate, add or gate"
            )
        self.attentions = nn.ModuleList(build(attention, "attentions", query_size, size) for size in memory_sizes)
        if hops == 1 and any(member.needs_previous for member in self.attentions):
            raise ConfigError(
                f"attend: {attention.type} attention reads where it looked before, and with hops: 1 it looks once;"
                " set hops: 2 or more, or choose another attention"
            )
        context_size = sum(memory_sizes)
        self.hops = nn.ModuleList(nn.Linear(query_size + context_size, query_size) for _ in range(hops - 1))
        self.summary_size = query_size + context_size
        self.steps_size = self.summary_size if steps_sizes[0] == query_size else None

    def join(self, encoded: Sequence[Encoded]) -> Encoded:
        first, *others = encoded
        memories = [Memory.of(attention, source.steps) for attention, source in zip(self.attentions, others)]
        asked = first.summary.unsqueeze(1)
        if self.steps_size is None:
            return Encoded(None, self._look(asked, None, memories).squeeze(1), None)
        attended = self._look(torch.cat([asked, first.steps.padded()], 1), first.steps.layout, memories)
        return Encoded(Steps.from_padded(attended[:, 1:], first.steps.layout), attended[:, 0], None)

    def _look(self, query: Tensor, asking: Layout | None, memories: Sequence[Memory]) -> Tensor:
        """What queries (B, K, Q), the summary and the steps of `asking`, end with, beside what they found last: (B, K,
        summary_size)."""
        left: list[Tensor | None] = [None] * len(memories)
        for hop in [*self.hops, None]:
            moved = [attention.move(query, previous) for attention, previous in zip(self.attentions, left)]
            looked = [
                memory.attend(attention, query, previous)
                for attention, memory, previous in zip(self.attentions, memories, moved)
            ]
            weights = [weight for _, weight in looked]
            left = [
                weight if attention.carried_size is None else previous
                for attention, weight, previous in zip(self.attentions, weights, moved)
            ]
            for at, (memory, weight) in enumerate(zip(memories, weights), 1):
                show_attention(partial(_shown, self if hop is None else hop, weight, asking, memory.layout, at))
            joined = torch.cat([query, *(context for context, _ in looked)], 2)
            if hop is not None:
                query = query + torch.tanh(linear(joined, hop.weight, hop.bias))
        return joined


def _shown(by: nn.Module, weights: Tensor, asking: Layout | None, keys: Layout, source: int) -> Attended:
    """The weights (B, K, S) of one hop, which counts as a layer, in one other input."""
    queries = Layout.equal(len(keys), 1, keys.device) if asking is None else Layout(asking.lengths + 1, asking.device)
    return Attended(
        by, Steps.from_padded(weights, queries).values.unsqueeze(1), queries, keys, "cross-attention", source
    )
