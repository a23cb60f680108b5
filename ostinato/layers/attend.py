"""From an attention's scores to weights and contexts, for all queries of a batch at once, and the memory that they
read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.utils import _pytree, checkpoint

from ostinato.attentions.contract import Attention
from ostinato.steps import Layout, Steps

# Numbers that one piece of scoring may hold. On two cores with 1 MiB of L2 each, additive attention 512 wide ran 1.7
# times as fast in pieces of 2**19 to 2**21 numbers as in one of 2**23 or more, which page faults dominate.
_PIECE = {"cpu": 2**21}
_PIECE_ELSEWHERE = 2**26


def attend(
    attention: Attention, query: Tensor, keys: Tensor, memory: Tensor, layout: Layout, previous: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Contexts and weights of K queries for each example of a batch.

        weights[k] = softmax over the real steps s of scores[k, s]
        context[k] = sum_s weights[k, s] * memory[s]

    An example without steps has zero weights, a zero context and a zero gradient.

    All queries at once need (B, K, S, A) numbers in an additive attention that is not native, so they are scored in
    pieces along K. While training, a piece keeps its result alone and is scored again for its gradient: memory stays
    that of one piece, and on a CPU this is no slower than keeping everything.

    Shapes:
        query (B, K, Q); keys (B, S, A) from `attention.prepare(memory)`; memory (B, S, M); previous (B, K, S),
        or what `attention.move` gave
        context (B, K, M); weights (B, K, S), zero on padding

    Args:
        memory: padded with finite numbers; S may exceed the layout's longest sequence.
    """
    return _attend(attention, query, keys, memory, _padding(layout, memory), _has_empty(layout), previous)


def _attend(
    attention: Attention,
    query: Tensor,
    keys: Tensor,
    memory: Tensor,
    padding: Tensor | None,
    has_empty: bool,
    previous: Tensor | None,
) -> tuple[Tensor, Tensor]:
    num_queries = query.shape[1]
    if memory.shape[1] == 0:
        weights = query.new_zeros(query.shape[0], num_queries, 0)
        return weights @ memory, weights
    limit = _PIECE.get(query.device.type, _PIECE_ELSEWHERE)
    per_query = query.shape[0] * memory.shape[1] * attention.held(query, keys)
    at_once = max(1, limit // max(1, per_query))
    if at_once >= num_queries:
        return _piece(attention, query, keys, memory, padding, has_empty, previous)
    contexts, weights = [], []
    for begin in range(0, num_queries, at_once):
        part = slice(begin, begin + at_once)
        arguments = (
            attention,
            query[:, part],
            keys,
            memory,
            padding,
            has_empty,
            None if previous is None else previous[:, part],
        )
        if torch.is_grad_enabled():
            result = checkpoint.checkpoint(_piece, *arguments, use_reentrant=False, preserve_rng_state=False)
        else:
            result = _piece(*arguments)
        contexts.append(result[0])
        weights.append(result[1])
    return torch.cat(contexts, 1), torch.cat(weights, 1)


def _piece(
    attention: Attention,
    query: Tensor,
    keys: Tensor,
    memory: Tensor,
    padding: Tensor | None,
    has_empty: bool,
    previous: Tensor | None,
) -> tuple[Tensor, Tensor]:
    scores = attention.scores(query, keys, previous)
    if padding is None:
        weights = scores.softmax(-1)
    else:
        # the lowest finite number, not -inf: a row without steps would be NaN on its way, which a search for NaN would
        # report
        weights = scores.masked_fill(padding, torch.finfo(scores.dtype).min).softmax(-1)
        if has_empty:
            weights = weights.masked_fill(padding, 0)
    return weights.to(memory.dtype) @ memory, weights


def _padding(layout: Layout, memory: Tensor) -> Tensor | None:
    """(B, 1, S), True where there is no step; None where every place is a step."""
    if layout.full and memory.shape[1] == layout.longest:
        return None
    if memory.shape[1] == layout.longest:
        return ~layout.mask.unsqueeze(1)
    return (torch.arange(memory.shape[1]) >= layout.lengths[:, None]).unsqueeze(1).to(memory.device)


def _has_empty(layout: Layout) -> bool:
    return bool((layout.lengths == 0).any())


@dataclass(frozen=True, eq=False)
class Memory:
    """What an attention reads, prepared once per batch.

    Shapes:
        values  (B, S, M)  the steps, padded with zeros
        keys    (B, S, A)  what `attention.prepare` made of them

    Args:
        values: S may exceed the layout's longest sequence, so that weights of earlier steps still fit after `take`.
        keys: row for row as `values`.
        layout: whose steps they are.
    """

    values: Tensor
    keys: Tensor
    layout: Layout

    @staticmethod
    def of(attention: Attention, steps: Steps) -> Memory:
        values = steps.padded()
        return Memory(values, attention.prepare(values), steps.layout)

    @cached_property
    def packed(self) -> tuple[Steps, Tensor]:
        """The real steps alone, and their keys (N, A)."""
        return Steps.from_padded(self.values, self.layout), Steps.from_padded(self.keys, self.layout).values

    @cached_property
    def padding(self) -> Tensor | None:
        return _padding(self.layout, self.values)

    @cached_property
    def has_empty(self) -> bool:
        return _has_empty(self.layout)

    @cached_property
    def _numbers(self) -> Tensor:
        return torch.arange(len(self.layout), device=self.values.device).unsqueeze(1)

    def take(self, rows: Tensor) -> Memory:
        """The memory of these examples, in that order; S stays."""
        layout = Layout(self.layout.lengths.index_select(0, rows.cpu()), self.layout.device)
        return Memory(self.values.index_select(0, rows), self.keys.index_select(0, rows), layout)

    def first(self, count: int) -> Memory:
        """The memory of the first `count` examples, as views; S stays."""
        return Memory(self.values[:count], self.keys[:count], Layout(self.layout.lengths[:count], self.layout.device))

    def attend(self, attention: Attention, query: Tensor, previous: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As the function `attend`: query (B, K, Q) to contexts (B, K, M) and weights (B, K, S)."""
        return _attend(attention, query, self.keys, self.values, self.padding, self.has_empty, previous)

    def attend_rows(
        self, attention: Attention, query: Tensor, rows: Tensor, previous: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """One query for each hypothesis: query (R, Q), example `rows` (R,), previous (R, S) to (R, M) and (R, S).

        Where each example has W hypotheses one after the other, as in a beam, they become W queries of that example and
        the memory is read in place; where only some examples are left, their memory is copied once, not W times.
        """
        if not len(rows):
            return query.new_zeros(0, self.values.shape[2]), query.new_zeros(0, self.values.shape[1])
        memory, width = self.grouped(rows)
        context, weights = memory.attend(
            attention, query.unflatten(0, (-1, width)), None if previous is None else previous.unflatten(0, (-1, width))
        )
        return context.flatten(0, 1), weights.flatten(0, 1)

    def grouped(self, rows: Tensor) -> tuple[Memory, int]:
        """A memory with one example for each run of W rows, and W."""
        examples, width = self.runs(rows)
        return (self if examples is None else self.take(examples)), width

    def runs(self, rows: Tensor) -> tuple[Tensor | None, int]:
        """The example that each run of W rows reads, and W; None: all examples in their order."""
        width, rest = divmod(len(rows), len(self.layout))
        if width and not rest and bool((rows.view(-1, width) == self._numbers).all()):
            return None, width
        examples, counts = torch.unique_consecutive(rows, return_counts=True)
        width = int(counts[0])
        return (examples, width) if bool((counts == width).all()) else (rows, 1)


_pytree.register_pytree_node(
    Memory,
    lambda memory: ([memory.values, memory.keys, memory.layout], None),
    lambda children, _: Memory(*children),
    serialized_type_name="ostinato.Memory",
)
