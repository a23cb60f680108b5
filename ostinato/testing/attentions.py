"""Laws of the room `attentions`: each is checked on a member as `layers/attend.py` runs it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ostinato.attentions.contract import Attention
from ostinato.errors import ConfigError
from ostinato.layers.attend import Memory, attend
from ostinato.steps import Layout, Steps
from ostinato.testing._tools import Member, drawn, options_matter

LENGTHS = (5, 1, 3, 0, 5)


def batch(
    attention: Attention, num_queries: int, seed: int, lengths: tuple[int, ...] = LENGTHS
) -> tuple[Tensor, Steps, Tensor]:
    """Queries (B, K, Q), a memory, and weights of a step before (B, K, S), of the attention's type."""
    draw = drawn(seed, next((parameter.dtype for parameter in attention.parameters()), torch.float64))
    layout = Layout(list(lengths))
    query = draw(len(lengths), num_queries, attention.query_size)
    memory = Steps(draw(layout.total, attention.memory_size), layout)
    scores = draw(len(lengths), num_queries, layout.longest).masked_fill(~layout.mask.unsqueeze(1), -1e9)
    return query, memory, scores.softmax(2) * layout.mask.unsqueeze(1)


def check_weights(attention: Attention) -> None:
    """Weights are shares of the real steps, the context their sum; an example without steps has neither."""
    query, memory, previous = batch(attention, 4, seed=0)
    kept = Memory.of(attention, memory)
    context, weights = attend(attention, query, kept.keys, kept.values, memory.layout, previous)
    real = memory.layout.mask.unsqueeze(1)
    assert (weights >= 0).all() and (weights[(~real).expand_as(weights)] == 0).all()
    full = (memory.layout.lengths > 0).to(weights).unsqueeze(1).expand(-1, 4)
    torch.testing.assert_close(weights.sum(2), full)
    for example, steps in enumerate(memory.split()):
        expected = weights[example, :, : len(steps)] @ steps
        torch.testing.assert_close(context[example], expected, rtol=1e-6, atol=1e-6)
    # and they are the softmax of the scores
    scores = attention.scores(query, kept.keys, previous)
    torch.testing.assert_close(weights[0], scores[0].softmax(1))


def check_company(attention: Attention) -> None:
    """An example alone, in a batch, in another order and beside any padding: one answer."""
    query, memory, previous = batch(attention, 3, seed=1)
    kept = Memory.of(attention, memory)
    context, weights = kept.attend(attention, query, previous)
    for example, steps in enumerate(memory.split()):
        alone = Memory.of(attention, Steps(steps, Layout([len(steps)])))
        one = slice(example, example + 1)
        single, looks = alone.attend(attention, query[one], previous[one, :, : len(steps)])
        torch.testing.assert_close(single[0], context[example], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(looks[0], weights[example, :, : len(steps)], rtol=1e-5, atol=1e-6)
    padded = memory.padded(fill=1e4)
    longer = torch.cat([padded, torch.full_like(padded[:, :2], -1e4)], 1)
    wide = nn.functional.pad(previous, (0, 2))
    dirty, looks = attend(attention, query, attention.prepare(longer), longer, memory.layout, wide)
    torch.testing.assert_close(dirty, context, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(looks[..., :-2], weights, rtol=1e-5, atol=1e-6)


def check_one_by_one(attention: Attention) -> None:
    """K queries at once are K queries one after the other."""
    query, memory, previous = batch(attention, 4, seed=2)
    kept = Memory.of(attention, memory)
    context, weights = kept.attend(attention, query, previous)
    for place in range(4):
        part = slice(place, place + 1)
        one, looks = kept.attend(attention, query[:, part], previous[:, part])
        torch.testing.assert_close(one, context[:, part], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(looks, weights[:, part], rtol=1e-5, atol=1e-6)


def check_rows(attention: Attention) -> None:
    """Hypotheses in any order read their own example."""
    query, memory, previous = batch(attention, 4, seed=3)
    kept = Memory.of(attention, memory)
    context, weights = kept.attend(attention, query, previous)
    in_beams = [(example, place) for example in range(len(LENGTHS)) for place in range(4)]
    for pairs in (in_beams, in_beams[4:8] + in_beams[16:], [(4, 0), (0, 3), (0, 1), (3, 2)], [(2, 1)], []):
        examples = torch.tensor([example for example, _ in pairs], dtype=torch.int64)
        places = torch.tensor([place for _, place in pairs], dtype=torch.int64)
        made = kept.attend_rows(attention, query[examples, places], examples, previous[examples, places])
        torch.testing.assert_close(made[0], context[examples, places], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(made[1], weights[examples, places], rtol=1e-5, atol=1e-6)


def check_gradients(attention: Attention) -> None:
    """Gradients by finite differences, in float64, an example without steps among them; every parameter has one."""
    attention = attention.double()
    query, memory, previous = batch(attention, 2, seed=4, lengths=(3, 0, 2))

    def run(query: Tensor, values: Tensor, previous: Tensor, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        return Memory.of(attention, Steps(values, memory.layout)).attend(attention, query, previous)

    inputs = [one.detach().requires_grad_() for one in (query, memory.values, previous)]
    assert torch.autograd.gradcheck(run, (*inputs, *attention.parameters()), fast_mode=False)
    context, weights = run(*inputs)
    (context.sum() + weights.square().sum()).backward()
    for name, parameter in attention.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()) and bool(parameter.grad.any()), name
    assert bool(inputs[0].grad.isfinite().all()) and not bool(inputs[0].grad[1].any())


LAWS = (check_weights, check_company, check_one_by_one, check_rows, check_gradients)
"""What `run` runs."""


def build(member: Member) -> Attention:
    """One with these options, or ConfigError; of one width where it refuses two."""
    torch.manual_seed(0)
    try:
        return member(6, 4)
    except ConfigError:
        return member(6, 6)


def run(member: Member) -> None:
    """Every law of `LAWS`, and the law of options."""
    for law in LAWS:
        law(build(member))
    options_matter(member, lambda other: list(build(other).parameters()))


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
    """Trains a `Finder`; the shares of 500 new lists where the answer is right, and where the highest weight is at the
    name."""
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    num_names, num_values, rows = 12, 8, 64
    model = Finder(make, num_names, num_values, 32)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def draw(rows: int) -> tuple[Tensor, Tensor, Tensor, Layout, Tensor, Tensor]:
        lengths = torch.randint(2, 9, (rows,), generator=random)
        layout = Layout(lengths)
        names = torch.rand(rows, num_names, generator=random).argsort(1)[layout.rows, layout.positions]
        values = torch.randint(0, num_values, (layout.total,), generator=random)
        places = (torch.rand(rows, generator=random) * lengths).long()
        index = layout.offsets[:-1] + places
        return names[index], names, values, layout, values[index], places

    for _ in range(updates):
        asked, names, values, layout, expected, _ = draw(rows)
        loss = nn.functional.cross_entropy(model(asked, names, values, layout)[0], expected)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        asked, names, values, layout, expected, places = draw(500)
        logits, weights = model(asked, names, values, layout)
    return (logits.argmax(1) == expected).double().mean().item(), (weights.argmax(1) == places).double().mean().item()
