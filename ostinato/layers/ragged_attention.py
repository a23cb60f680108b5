"""Scaled dot-product attention of several heads over sequences of unequal length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.kernels.watch import Attended, show_attention
from ostinato.layers import packed_attention
from ostinato.steps import Layout, Steps

WASTE = 3 << 20
"""Products (pairs of steps, times the width of a step) that padding may cost before another group of sequences is worth
its own call. Training steps of 4 layers of 256, 8 to 32 sequences of T/5 to T steps, took 283 ms at T = 64 (one group
302, each sequence alone 334) and 447 at T = 256 (404, 505), on a core so busy that a tenth is noise."""
FEWER = 2
"""How many times fewer keys a block of queries has to see before long sequences are cut into blocks. Three sequences of
1,000 steps within a window of 128, 10 heads of 40, forward and backward on a busy core: with dropout 1.9 s whole and
0.39 in blocks, without 0.32 and 0.16."""


@dataclass(frozen=True, eq=False)
class Sight:
    """Which keys a query sees, and how a distance changes their scores.

        score(i, j) = q[i] . k[j] / sqrt(D) - slope |i - j|      -inf where i does not see j

    Args:
        causal: whether a query sees no later key.
        window: it sees keys less than so many steps away, itself included; None: all.
        slopes: (A,) of each head, or None: a distance changes nothing.
    """

    causal: bool = False
    window: int | None = None
    slopes: Tensor | None = None

    @property
    def plain(self) -> bool:
        """Whether places do not matter, beyond what comes later."""
        return self.window is None and self.slopes is None

    @property
    def reach(self) -> int | None:
        """Keys that a block of `window` neighbouring queries sees, itself in the middle or at the end; None: all."""
        return None if self.window is None else (2 if self.causal else 3) * self.window

    def mask(self, queries: Tensor, keys: Tensor, real: Tensor | None) -> Tensor | None:
        """What is added to scores, or which of them count; None where all do.

        Shapes:
            queries (G, T), keys (G, S): places of steps, G may be 1; real (G, S), false on padding; returns (G, 1 or A,
            T or 1, S)
        """
        seen = None if real is None else real[:, None, None]
        if not self.causal and self.plain:
            return seen
        distance = (queries.unsqueeze(2) - keys.unsqueeze(1)).unsqueeze(1)
        if self.causal:
            seen = distance >= 0 if seen is None else seen & (distance >= 0)
        if self.window is not None:
            near = distance.abs() < self.window
            seen = near if seen is None else seen & near
            if not self.causal:  # On padding a step sees itself: what sees nothing is not a number.
                seen = seen | (distance == 0)
        if self.slopes is None:
            return seen
        bias = -self.slopes.view(-1, 1, 1) * distance.abs()
        return bias if seen is None else bias.masked_fill(~seen, -torch.inf)


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *, causal: bool = False, dropout: float = 0.0
) -> Tensor:
    """Contexts of all heads; each head of the keys serves as many heads of the queries.

        context[i] = sum_j softmax_j(score(i, j)) v[j]

    Shapes:
        query (G, T, A, D); key and value (G, S, K, D), K divides A; returns (G, T, A, D)
    """
    query, key, value = (part.transpose(1, 2) for part in (query, key, value))
    if key.shape[1] != query.shape[1]:
        key, value = (part.repeat_interleave(query.shape[1] // part.shape[1], 1) for part in (key, value))
    if mask is not None and mask.is_floating_point():
        mask = mask.to(query.dtype)
    function = partial(functional.scaled_dot_product_attention, attn_mask=mask, dropout_p=dropout, is_causal=causal)
    return packed_attention.repeatable(function, query, key, value).transpose(1, 2)


@dataclass(frozen=True, eq=False)
class _Group:
    """Sequences that are attended to in one call: `rows` padded to T queries and S keys, and their mask."""

    shape: tuple[int, int, int]
    mask: Tensor | None


class Groups:
    """Whole sequences: sequences of like length are padded together, so that little is computed for padding, and none
    where torch's kernels of packed sequences can attend.

    Where a window is much shorter than sequences, these are cut into blocks of queries as long as the window, each with
    the keys that it sees: of T steps T * reach pairs are computed, not T^2.

    Made once per batch, for all layers. A sequence without keys has zero contexts.

    Args:
        queries: the layout of the queries.
        keys: that of the keys, of the same sequences.
        sight: which keys a query sees.
        width: numbers of a key, all heads together.
    """

    def __init__(self, queries: Layout, keys: Layout, sight: Sight, width: int):
        self.queries, self.keys, self.sight = queries, keys, sight
        self.limit = WASTE // width
        # A causal query sees no padding, which lies after it.
        self.by_order = sight.causal and sight.plain and queries == keys
        self.blocks = sight.reach is not None and queries == keys and queries.longest >= FEWER * sight.reach
        self.whole = not self.blocks and queries.full and keys.full and queries.total > 0 and keys.total > 0

    @cached_property
    def _plan(self) -> tuple[list[_Group], Tensor, Tensor, Tensor]:
        """The groups; of their padded queries and keys the packed places; of each query its padded place."""
        if self.blocks:
            return self._plan_of_blocks()
        groups, query_places, key_places = [], [], []
        back, begin = torch.full((self.queries.total,), -1), 0
        for rows in self._rows():
            lengths, others = self.queries.lengths[rows], self.keys.lengths[rows]
            shape = len(rows), int(lengths.max()), int(others.max())
            query_places.append(_padded(self.queries.offsets[rows], lengths, shape[1]))
            key_places.append(_padded(self.keys.offsets[rows], others, shape[2]))
            real = torch.arange(shape[1]) < lengths[:, None]
            back[query_places[-1][real]] = begin + real.flatten().nonzero().squeeze(1)
            begin += shape[0] * shape[1]
            groups.append(_Group(shape, self._mask(shape, others)))
        back[back < 0] = begin  # after the last of them comes a zero
        device = self.queries.device
        nothing = [torch.zeros(0, dtype=torch.int64)]
        index = [torch.cat([places.flatten() for places in parts or nothing]) for parts in (query_places, key_places)]
        return groups, index[0].to(device), index[1].to(device), back.to(device)

    def _plan_of_blocks(self) -> tuple[list[_Group], Tensor, Tensor, Tensor]:
        """As `_plan`: one group, of blocks of all sequences."""
        wide, reach = self.sight.window or 0, self.sight.reach or 0
        counts = -(-self.queries.lengths // wide)
        rows = torch.arange(len(counts)).repeat_interleave(counts)
        first = wide * (torch.arange(len(rows)) - (counts.cumsum(0) - counts)[rows])
        begins, lengths = self.queries.offsets[rows][:, None], self.queries.lengths[rows][:, None]
        # Padding asks as the last step does, which sees itself: what sees nothing is not a number.
        queries = first[:, None] + torch.arange(wide)
        real = queries < lengths
        queries = torch.minimum(queries, lengths - 1)
        keys = (first - wide)[:, None] + torch.arange(reach)
        there = (keys >= 0) & (keys < lengths)
        device = self.queries.device
        mask = self.sight.mask(queries.to(device), keys.to(device), there.to(device))
        back = torch.empty(self.queries.total, dtype=torch.int64)
        back[(begins + queries)[real]] = real.flatten().nonzero().squeeze(1)
        places = begins + keys.clamp(min=0).minimum(lengths - 1)
        groups = [_Group((len(rows), wide, reach), mask)]
        return groups, (begins + queries).flatten().to(device), places.flatten().to(device), back.to(device)

    def _rows(self) -> Iterator[Tensor]:
        """Sequences from the longest keys to the shortest, cut where padding would cost more than another call."""
        order = torch.argsort(self.keys.lengths, descending=True, stable=True)
        order = order[(self.keys.lengths[order] > 0) & (self.queries.lengths[order] > 0)]
        first, real, wide, longest = 0, 0, 0, 0
        pairs = zip(self.queries.lengths[order].tolist(), self.keys.lengths[order].tolist(), strict=True)
        for place, (queries, keys) in enumerate(pairs):
            wide, longest, real = max(wide, queries), max(longest, keys), real + queries * keys
            if (place + 1 - first) * wide * longest - real > self.limit:
                yield order[first:place]
                first, real, wide, longest = place, queries * keys, queries, keys
        if first < len(order):
            yield order[first:]

    def _mask(self, shape: tuple[int, int, int], lengths: Tensor) -> Tensor | None:
        if self.by_order:
            return None
        device, (_, queries, keys) = self.queries.device, shape
        ragged = not self.sight.causal and bool((lengths < keys).any())  # else padding comes later than what sees it
        real = (torch.arange(keys) < lengths[:, None]).to(device) if ragged else None
        places = torch.arange(max(queries, keys), device=device).unsqueeze(0)
        return self.sight.mask(places[:, :queries], places[:, :keys], real)

    @cached_property
    def _whole_mask(self) -> Tensor | None:
        return self._mask((len(self.queries), self.queries.longest, self.keys.longest), self.keys.lengths)

    @cached_property
    def _bounds(self) -> tuple[Tensor, Tensor]:
        """Where sequences begin among the packed queries and keys."""
        first, second = (layout.offsets.int().to(layout.device) for layout in (self.queries, self.keys))
        return first, second

    def obstacle(self, query: Tensor, dropout: float = 0.0) -> str | None:
        """Why torch's kernels of packed sequences cannot attend, or None; query (N, A, D)."""
        return packed_attention.obstacle(
            query,
            self.queries,
            self.keys,
            causal=self.sight.causal,
            window=self.sight.window,
            slopes=self.sight.slopes is not None,
            dropout=dropout,
        )

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        dropout: float = 0.0,
        by: nn.Module | None = None,
        source: int | None = None,
    ) -> Tensor:
        """Contexts (N, A, D) of the packed queries (N, A, D), of packed keys and values (M, K, D).

        Args:
            query: as above.
            key: as above.
            value: as above.
            dropout: of the weights.
            by: who shows its weights; None: they are not shown.
            source: as `Attended` has it; None: a sequence attends to itself.
        """
        if by is not None:
            show_attention(lambda: self._shown(query, key, by, source))
        return self._contexts(query, key, value, dropout)

    def _shown(self, query: Tensor, key: Tensor, by: nn.Module, source: int | None) -> Attended:
        """The weights are the contexts of values that are 1 at their own place alone; in 32 bits, as kernels of packed
        sequences take no such values."""
        places = torch.eye(self.keys.longest, device=query.device).index_select(0, self.keys.positions)
        values = places.unsqueeze(1).expand(-1, key.shape[1], -1).contiguous()
        weights = self._contexts(query.float(), key.float(), values, 0.0)
        if source is None:
            return Attended(by, weights, self.queries, self.keys, "self-attention")
        return Attended(by, weights, self.queries, self.keys, "cross-attention", source)

    def _contexts(self, query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
        options = {"causal": self.by_order, "dropout": dropout}
        if self.whole:
            query = query.unflatten(0, (len(self.queries), -1))
            key, value = (part.unflatten(0, (len(self.keys), -1)) for part in (key, value))
            return attend(query, key, value, self._whole_mask, **options).flatten(0, 1)
        if self.obstacle(query, dropout) is None:
            sight = {"causal": self.sight.causal, "window": self.sight.window}
            longest = self.queries.longest, self.keys.longest
            function = partial(packed_attention.attend, bounds=self._bounds, longest=longest, **sight)
            return packed_attention.repeatable(function, query, key, value)
        groups, query_places, key_places, back = self._plan
        counts = [group.shape[0] * group.shape[1] for group in groups]
        others = [group.shape[0] * group.shape[2] for group in groups]
        queries = query.index_select(0, query_places).split(counts)
        keys, values = (part.index_select(0, key_places).split(others) for part in (key, value))
        contexts = [
            attend(
                queries[k].unflatten(0, group.shape[:2]),
                keys[k].unflatten(0, group.shape[::2]),
                values[k].unflatten(0, group.shape[::2]),
                group.mask,
                **options,
            ).flatten(0, 1)
            for k, group in enumerate(groups)
        ]
        return torch.cat([*contexts, query.new_zeros(1, query.shape[1], value.shape[2])]).index_select(0, back)


def _padded(starts: Tensor, lengths: Tensor, longest: int) -> Tensor:
    """(G, longest), the packed places of the steps of sequences; on padding that of the last step."""
    return starts[:, None] + torch.minimum(torch.arange(longest), (lengths[:, None] - 1).clamp(min=0))


class Cached:
    """Sequences that continue others, whose keys and values were kept.

    Args:
        layout: of the new steps.
        sight: which keys a query sees.
        kept: (B, T, C), the keys and values kept, those of all layers beside each other, zeros where a row has fewer.
        count: (B, 1), the steps read so far, of which the last are kept.
    """

    def __init__(self, layout: Layout, sight: Sight, kept: Tensor, count: Tensor):
        self.layout, self.sight, self.kept = layout, sight, kept
        self.most = None if sight.window is None else sight.window - 1
        self.count = count.squeeze(1)
        self.here = self.count if self.most is None else self.count.clamp(max=self.most)
        # Whether packed and padded are the same memory, of what was kept and of what is new.
        self.even = layout.full and bool((self.here == kept.shape[1]).all())
        # Then layers write what is new into room behind what was kept, which is copied once.
        self.room = None
        if self.even and layout.total and kept.shape[1] and not torch.is_grad_enabled():
            self.room = torch.cat([kept, kept.new_empty(len(layout), layout.longest, kept.shape[2])], 1)

    @cached_property
    def _mask(self) -> Tensor | None:
        longest, device = self.layout.longest, self.kept.device
        if self.even and longest == 1 and self.sight.plain:
            return None
        new = torch.arange(longest, device=device)
        queries = self.count.unsqueeze(1) + new
        old = torch.arange(self.kept.shape[1], device=device)
        keys = torch.cat([(self.count - self.here).unsqueeze(1) + old, queries], 1)
        real = torch.cat([old < self.here.unsqueeze(1), torch.ones_like(queries, dtype=torch.bool)], 1)
        return self.sight.mask(queries, keys, None if self.even else real)

    @cached_property
    def _lengths(self) -> Tensor:
        return self.layout.lengths.to(self.kept.device)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, place: int, dropout: float = 0.0) -> Tensor:
        """Contexts (N, A, D) of the new queries, of the layer of this number."""
        padded = [Steps(part, self.layout).padded() for part in (query, key, value)]
        source = self.kept if self.room is None else self.room
        kept = source.unflatten(2, (-1, 2, *key.shape[1:]))[:, :, place]
        if self.room is None:
            keys, values = (torch.cat([kept[:, :, k], part], 1) for k, part in enumerate(padded[1:]))
        else:
            kept[:, self.kept.shape[1] :] = torch.stack(padded[1:], 2)
            keys, values = kept.unbind(2)
        return Steps.from_padded(attend(padded[0], keys, values, self._mask, dropout=dropout), self.layout).values

    def extended(self, new: Tensor) -> tuple[Tensor, Tensor]:
        """What is kept after the new keys and values (N, C), and the count."""
        after = self.count + self._lengths
        if self.even:
            joined = self.room
            if joined is None:
                joined = torch.cat([self.kept, Steps(new, self.layout).padded()], 1)
            return joined if self.most is None else joined[:, max(0, joined.shape[1] - self.most) :], after[:, None]
        stay = after if self.most is None else after.clamp(max=self.most)
        rows, kept = len(stay), self.kept.shape[1]
        place = torch.arange(int(stay.max()) if rows else 0, device=new.device)
        step = (after - stay).unsqueeze(1) + place  # counted from the first step of the sequence
        old = torch.arange(rows, device=new.device).unsqueeze(1) * kept + step - (self.count - self.here).unsqueeze(1)
        fresh = rows * kept + self.layout.offsets[:-1].to(new.device).unsqueeze(1) + step - self.count.unsqueeze(1)
        index = torch.where(step < self.count.unsqueeze(1), old, fresh)
        index = torch.where(place < stay.unsqueeze(1), index, rows * kept + len(new))
        source = torch.cat([self.kept.flatten(0, 1), new, new.new_zeros(1, new.shape[1])])
        return source.index_select(0, index.flatten()).view(rows, len(place), -1), after[:, None]


def weights_of(query: Tensor, key: Tensor, padding: Tensor | None) -> Tensor:
    """The weights of W queries of each sequence, the mean over their heads; zeros where it has no steps.

    Shapes:
        query (B, W, A, D); key (B, S, K, D); padding (B, 1, S), true where there is no step; returns (B, W, S)
    """
    grouped = query.unflatten(2, (key.shape[2], -1))
    scores = torch.einsum("bwkgd,bskd->bkgws", grouped, key) * query.shape[3] ** -0.5
    if padding is None:
        return scores.softmax(-1).mean((1, 2))
    padding = padding[:, None, None]
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(padding, lowest).softmax(-1).masked_fill(padding, 0).mean((1, 2))
