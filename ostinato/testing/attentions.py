"""The laws of attentions: each takes a `Look`, an attention and what it reads, as `layers/attend.py` runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.attentions.contract import Attention
from ostinato.layers.attend import Memory, attend
from ostinato.steps import Layout, Steps
from ostinato.testing import _modules
from ostinato.testing._modules import Case
from ostinato.testing._tools import Check, Member, all_checks, drawn, near, trained

TRIED: dict[str, Any] = {}
LENGTHS = (5, 0, 3, 1, 5)
QUERIES = 4
SIZES = ((6, 4), (6, 6))
"""Widths of queries and of the memory; some attentions refuse two widths."""


def batch(
    sizes: tuple[int, int],
    num_queries: int,
    seed: int,
    lengths: tuple[int, ...] = LENGTHS,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Steps, Tensor]:
    """Queries (B, K, Q), a memory, and weights of a step before (B, K, S)."""
    draw, layout = drawn(seed, dtype), Layout(list(lengths))
    query = draw(len(lengths), num_queries, sizes[0])
    memory = Steps(draw(layout.total, sizes[1]), layout)
    scores = draw(len(lengths), num_queries, layout.longest).masked_fill(~layout.mask.unsqueeze(1), -1e9)
    return query, memory, scores.softmax(2) * layout.mask.unsqueeze(1)


@dataclass(frozen=True)
class Look(Case):
    """Several queries of each example look into its memory; weights stand beside the steps of the memory."""

    make: Callable[[int, int], Attention]
    sizes: tuple[int, int] = SIZES[1]

    def read(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Steps, Steps | Tensor]:
        query, memory, previous = batch(self.sizes, QUERIES, seed, dtype=dtype)
        carried = self.make(*self.sizes).carried_size
        if carried is not None:
            return query, memory, drawn(seed + 1, dtype)(len(memory.layout), QUERIES, carried).abs()
        return query, memory, Steps.from_padded(previous.transpose(1, 2), memory.layout)

    def build(self, *_: Any) -> Attention:
        return self.make(*self.sizes)

    def run(self, attention: Attention, query: Tensor, memory: Steps, previous: Steps | Tensor) -> tuple[Tensor, Steps]:
        context, weights = Memory.of(attention, memory).attend(attention, query, _read(attention, query, previous))
        return context, Steps.from_padded(weights.transpose(1, 2), memory.layout)


def _read(attention: Attention, query: Tensor, previous: Steps | Tensor) -> Tensor:
    """What scores read of what the step before left: its weights, which stand beside the memory, or other numbers of
    each query."""
    left = previous.padded().transpose(1, 2) if isinstance(previous, Steps) else previous
    moved = attention.move(query, left)
    assert moved is not None
    return moved


@torch.no_grad()
def weights_are_shares(case: Look) -> None:
    """Weights are the softmax of the scores over the real steps, the context is their sum; an example without steps has
    neither."""
    attention, (query, memory, previous) = case.made()
    before = _read(attention, query, previous)
    scores = attention.scores(query, attention.prepare(memory.padded()), before)
    context, weights = case.run(attention, query, memory, previous)
    for example, (steps, shares) in enumerate(zip(memory.split(), weights.split())):
        near(shares, scores[example, :, : len(steps)].softmax(1).T, f"weights of example {example}")
        near(context[example], shares.T @ steps, f"context of example {example}")


@torch.no_grad()
def padding_changes_nothing(case: Look) -> None:
    """Whatever numbers stand beyond the last step of an example, and however many."""
    attention, (query, memory, previous) = case.made()
    clean = Memory.of(attention, memory).attend(attention, query, before := _read(attention, query, previous))
    padded = memory.padded(fill=1e4)
    longer = torch.cat([padded, torch.full_like(padded[:, :2], -1e4)], 1)
    wide = nn.functional.pad(before, (0, 2)) if isinstance(previous, Steps) else before
    context, weights = attend(attention, query, attention.prepare(longer), longer, memory.layout, wide)
    _modules.near_trees((context, weights[..., :-2]), clean, "beside other padding")


@torch.no_grad()
def queries_look_alone(case: Look) -> None:
    """A query looks as it does among others; hypotheses in any order and number look into their own example."""
    attention, (query, memory, previous) = case.made()
    kept, before = Memory.of(attention, memory), _read(attention, query, previous)
    context, weights = kept.attend(attention, query, before)
    for place in range(QUERIES):
        part = slice(place, place + 1)
        alone = kept.attend(attention, query[:, part], before[:, part])
        _modules.near_trees(alone, (context[:, part], weights[:, part]), f"of query {place}")
    beams = [(example, place) for example in range(len(LENGTHS)) for place in range(QUERIES)]
    for pairs in (beams, beams[4:8] + beams[16:], [(4, 0), (0, 3), (0, 1), (3, 2)], [(2, 1)], []):
        examples, places = torch.tensor(pairs, dtype=torch.int64).view(-1, 2).T
        looked = kept.attend_rows(attention, query[examples, places], examples, before[examples, places])
        _modules.near_trees(looked, (context[examples, places], weights[examples, places]), f"of hypotheses {pairs}")


LAWS = (*_modules.LAWS, weights_are_shares, padding_changes_nothing, queries_look_alone)
"""The laws that hold for an attention with any options."""


def cases(member: Member) -> list[Look]:
    return _modules.taken(Look, [(member, sizes) for sizes in SIZES])[:1]


def checks(member: Member) -> list[Check]:
    """Every law of `LAWS`, and the law of options; ConfigError where the options are refused."""
    trials = [(law, case) for case in cases(member) for law in LAWS]
    return all_checks(member, trials, lambda other: _modules.fingerprint(cases(other)), TRIED)


class Finder(nn.Module):
    """Reads the value beside a name in a list: names and values are symbols, the list is in any order."""

    def __init__(self, make: Callable[[int, int], Attention], num_names: int, num_values: int, size: int):
        super().__init__()
        self.names = nn.Embedding(num_names, size)
        self.values = nn.Embedding(num_values, size)
        self.query = nn.Linear(size, size)
        self.attention = make(size, size)
        self.out = nn.Linear(size, num_values)

    def forward(self, asked: Tensor, names: Tensor, values: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
        memory = Memory.of(self.attention, Steps(self.names(names) + self.values(values), layout))
        context, weights = memory.attend(self.attention, self.query(self.names(asked)).unsqueeze(1))
        return self.out(context.squeeze(1)), weights.squeeze(1)


def find_by_name(make: Callable[[int, int], Attention], *, updates: int, seed: int) -> tuple[float, float]:
    """Law j: trains a `Finder`; the shares of 500 new lists where the answer is right, and where the highest weight is
    at the name."""
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    num_names, num_values, rows = 12, 8, 64
    model = Finder(make, num_names, num_values, 32)

    def draw(rows: int) -> tuple[Tensor, Tensor, Tensor, Layout, Tensor, Tensor]:
        lengths = torch.randint(2, 9, (rows,), generator=random)
        layout = Layout(lengths)
        names = torch.rand(rows, num_names, generator=random).argsort(1)[layout.rows, layout.positions]
        values = torch.randint(0, num_values, (layout.total,), generator=random)
        places = (torch.rand(rows, generator=random) * lengths).long()
        index = layout.offsets[:-1] + places
        return names[index], names, values, layout, values[index], places

    def loss() -> Tensor:
        *lists, expected, _ = draw(rows)
        return nn.functional.cross_entropy(model(*lists)[0], expected)

    trained(model, loss, updates)
    with torch.no_grad():
        *lists, expected, places = draw(500)
        logits, weights = model(*lists)
    return (logits.argmax(1) == expected).double().mean().item(), (weights.argmax(1) == places).double().mean().item()
