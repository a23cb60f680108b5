"""The laws of cells, as plain functions: each takes a way to make the cell, and fails by AssertionError."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ostinato.cells.contract import Cell
from ostinato.kernels.dispatch import scan
from ostinato.steps import Layout
from ostinato.testing._tools import Member, near, options_matter

Make = Callable[[int, int], Cell]
"""A cell from its input size and hidden size."""

LENGTHS = (4, 0, 7, 1, 4)
"""Unequal lengths in no order, with a tie, a single step and no step at all."""


def build(member: Member) -> Cell:
    """One of these options, or ConfigError."""
    return member(3, 5)


def run(member: Member) -> None:
    """Every law of `LAWS`, and the law of options."""
    build(member)
    for law in LAWS:
        law(member)
    options_matter(member, _fingerprint)


def stepwise_equals_whole(make: Make) -> None:
    """Law a: the cell called step by step gives what the whole sequence gives."""
    cell, x, state, layout = _case(make)
    hidden, final = scan(cell, x, state, layout)
    for row, (sequence, read) in enumerate(zip(x.split(list(LENGTHS)), hidden.split(list(LENGTHS)))):
        one = tuple(part[row : row + 1] for part in state)
        for step, (now, expected) in enumerate(zip(sequence, read)):
            one = cell(now[None], one)
            near(one[0][0], expected, f"hidden state of sequence {row} at step {step}")
        for k, part in enumerate(one):
            near(part[0], final[k][row], f"final state {k} of sequence {row}")


def company_changes_nothing(make: Make) -> None:
    """Law b: a sequence gives the same alone, among others and in any order."""
    cell, x, state, layout = _case(make)
    hidden, final = scan(cell, x, state, layout)
    parts = hidden.split(list(LENGTHS))
    for rows in ([row] for row in range(len(LENGTHS))), ([4, 2, 0, 3, 1],), ([1, 2],):
        for chosen in rows:
            some = torch.cat([x.split(list(LENGTHS))[row] for row in chosen])
            again, last = scan(
                cell, some, tuple(part[chosen] for part in state), Layout([LENGTHS[row] for row in chosen])
            )
            near(again, torch.cat([parts[row] for row in chosen]), f"hidden states of sequences {chosen}")
            for k in range(len(last)):
                near(last[k], final[k][chosen], f"final state {k} of sequences {chosen}")


def both_directions_mirror(make: Make) -> None:
    """Reading backward is reading the reversed sequence, its hidden states put back in place."""
    cell, x, state, layout = _case(make)
    hidden, final = scan(cell, x, state, layout, reverse=True)
    mirrored, last = scan(cell, x[layout.reversed], state, layout)
    near(hidden, mirrored[layout.reversed], "hidden states read backward")
    for k in range(len(final)):
        near(final[k], last[k], f"final state {k} read backward")


def is_causal(make: Make) -> None:
    """Law k: what comes later changes nothing before it, to the bit."""
    cell, x, state, layout = _case(make)
    changed = torch.where((layout.positions >= 2)[:, None], x + 1, x)
    hidden, other = scan(cell, x, state, layout)[0], scan(cell, changed, state, layout)[0]
    early = layout.positions < 2
    assert torch.equal(hidden[early], other[early]), "a step before the change came out otherwise"
    assert not torch.equal(hidden[~early], other[~early]), "the changed steps came out the same: the input is not read"


def same_seed_same_bits(make: Make) -> None:
    """Law i: one seed gives one set of weights, outputs and gradients."""
    runs = []
    for _ in range(2):
        cell, x, state, layout = _case(make)
        hidden, final = scan(cell, x, state, layout)
        (hidden.square().sum() + sum(part.sum() for part in final)).backward()
        runs.append([hidden, *final, *cell.parameters(), *(one.grad for one in cell.parameters())])
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True)), "two runs of one seed differ"


def gradients_are_right(make: Make) -> None:
    """Law c: gradients of inputs, states and parameters agree with finite differences in float64, also under a state
    mask."""
    cell, x, state, layout = _case(make, sizes=(2, 3), lengths=(2, 0, 3), dtype=torch.float64)
    mask = torch.full_like(state[0], 2.0)
    mask[range(3), range(3)] = 0.0
    inputs = (x.requires_grad_(), *(part.requires_grad_() for part in state), *cell.parameters())

    # gradcheck moves its inputs in place, so the parameters need not travel as arguments.
    def outputs(*_: Tensor) -> tuple[Tensor, ...]:
        forward, last = scan(cell, x, state, layout, state_mask=mask)
        backward, first = scan(cell, x, state, layout, reverse=True)
        return forward, backward, *last, *first

    assert torch.autograd.gradcheck(outputs, inputs)


def learns_to_remember(make: Make, *, updates: int = 300) -> float:
    """Law j: trained to name the first of 10 symbols after the last, of 8 symbols, it comes to 95 % right; returns the
    share."""
    torch.manual_seed(1)
    cell = make(8, 32)
    output = nn.Linear(cell.state_sizes[0], 8)
    weights = [*cell.parameters(), *output.parameters()]
    optimizer = torch.optim.Adam(weights, lr=0.01)
    layout = Layout([10] * 64)
    right = 0.0
    for _ in range(updates):
        symbols = torch.randint(8, (64, 10))
        one_hot = nn.functional.one_hot(symbols.flatten(), 8).float()
        logits = output(scan(cell, one_hot, cell.start_state(64), layout)[1][0])
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits, symbols[:, 0]).backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        right = 0.9 * right + 0.1 * (logits.argmax(1) == symbols[:, 0]).float().mean().item()
    assert right >= 0.95, f"only {right:.0%} of first symbols remembered after {updates} updates"
    return right


LAWS = (
    stepwise_equals_whole,
    company_changes_nothing,
    both_directions_mirror,
    is_causal,
    same_seed_same_bits,
    gradients_are_right,
)
"""What `run` runs: the laws that hold for a cell with any options."""


def _case(
    make: Make, sizes: tuple[int, int] = (3, 5), lengths: tuple[int, ...] = LENGTHS, dtype: torch.dtype = torch.float32
) -> tuple[Cell, Tensor, tuple[Tensor, ...], Layout]:
    """A seeded cell, inputs, a state before them that is not zero, and their layout."""
    torch.manual_seed(0)
    cell = make(*sizes).to(dtype)
    layout = Layout(list(lengths))
    state = tuple(torch.randn(len(layout), size, dtype=dtype) / 2 for size in cell.state_sizes)
    return cell, torch.randn(layout.total, sizes[0], dtype=dtype), state, layout


def _fingerprint(make: Make) -> list[Tensor]:
    """Output, then parameters."""
    cell, x, state, layout = _case(make)
    return [scan(cell, x, state, layout)[0].detach(), *(one.detach() for one in cell.parameters())]
