"""The laws of cells: each takes a `Reading`, a cell and what it reads, and fails by AssertionError."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.cells.contract import Cell
from ostinato.kernels.contract import State
from ostinato.kernels.dispatch import scan
from ostinato.steps import Layout, Steps
from ostinato.testing import _modules
from ostinato.testing._modules import LENGTHS, ROWS, Sequential
from ostinato.testing._tools import Check, Member, all_checks, drawn, near, trained

TRIED: dict[str, Any] = {"spectral_radius": (0.5,)}
"""1 is what an identity has."""
INPUT, HIDDEN = 3, 5


@dataclass(frozen=True)
class Reading(Sequential):
    """A cell that reads whole sequences from a state that is not zero."""

    make: Callable[[int, int], Cell]

    def read(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[Steps, State]:
        draw, cell = drawn(seed, dtype), self.build()
        state = tuple(draw(len(ROWS), size) / 2 for size in cell.state_sizes)
        return Steps(draw(sum(LENGTHS), INPUT), Layout(list(LENGTHS))), state

    def build(self, *_: Any) -> Cell:
        return self.make(INPUT, HIDDEN)

    def run(self, cell: Cell, steps: Steps, state: State) -> tuple[Steps, State]:
        hidden, final = scan(cell, steps.values, state, steps.layout)
        return steps.with_values(hidden), final

    def losses(self, cell: Cell, steps: Steps, state: State) -> tuple[Any, ...]:
        """Both directions, one under a state mask."""
        mask = torch.arange(state[0].numel()).view_as(state[0]).remainder(3).to(state[0])
        forward = scan(cell, steps.values, state, steps.layout, state_mask=mask)
        return forward, scan(cell, steps.values, state, steps.layout, reverse=True)

    def resume(self, cell: Cell, steps: Steps, state: Any, *read: Any) -> tuple[Tensor, State]:
        return scan(cell, steps.values, read[1] if state is None else state, steps.layout)


@torch.no_grad()
def stepwise_equals_whole(case: Reading) -> None:
    """Law a: the cell called step by step gives what the whole sequence gives."""
    cell, (steps, state) = case.made()
    hidden, final = case.run(cell, steps, state)
    for row, (sequence, outputs) in enumerate(zip(steps.split(), hidden.split())):
        now = tuple(part[row : row + 1] for part in state)
        for step, (x, expected) in enumerate(zip(sequence, outputs)):
            now = cell(x[None], now)
            near(now[0][0], expected, f"hidden state of sequence {row} at step {step}")
        _modules.near_trees(now, _modules.pick(final, [row]), f"final state of sequence {row}")


@torch.no_grad()
def both_directions_mirror(case: Reading) -> None:
    """Reading backward is reading the reversed sequence, its hidden states put back in place."""
    cell, (steps, state) = case.made()
    mirrored, last = case.run(cell, steps.reversed(), state)
    backward = scan(cell, steps.values, state, steps.layout, reverse=True)
    _modules.near_trees(backward, (mirrored.reversed().values, last), "read backward")


@torch.no_grad()
def gates_are_shares(case: Reading) -> None:
    """A step's gates, if it has any, are H wide, from 0 to 1, and the one that keeps the state is among them."""
    cell, (_, state) = case.made()
    draw = drawn(1, state[0].dtype)
    state = tuple(part.abs() for part in state)  # A sum of weights, as some cells have, is never below 0.
    gates_x = 3 * draw(len(ROWS), cell.num_gates * HIDDEN)
    gates_h = None if cell.weight_h is None else 3 * draw(len(ROWS), cell.num_gates * HIDDEN)
    gates = cell.gates(gates_x, gates_h, state, cell.pointwise(gates_x, gates_h, state))
    assert not gates or cell.keeping in gates, f"no gate is called {cell.keeping}, as `keeping` has it"
    for name, values in gates.items():
        assert values.shape == (len(ROWS), HIDDEN), f"{name}: {tuple(values.shape)} are not (B, H)"
        assert bool(((values >= 0) & (values <= 1)).all()), f"{name}: not all values are from 0 to 1"


def learns_to_remember(make: Callable[[int, int], Cell], *, updates: int = 300) -> None:
    """Law j: trained to name the first of 10 symbols after the last, of 8 symbols, it comes to 95 % right; two layers
    where gates read no state, since the first alone cannot know which symbol is the first."""
    torch.manual_seed(1)
    below = make(8, 32)
    layers = [below] if below.weight_h is not None else [below, make(below.state_sizes[0], 32)]
    output = nn.Linear(layers[-1].state_sizes[0], 8)
    right = 0.0

    def loss() -> Tensor:
        nonlocal right
        symbols, layout = torch.randint(8, (64, 10)), Layout([10] * 64)
        x = nn.functional.one_hot(symbols.flatten(), 8).float()
        for cell in layers:
            x, state = scan(cell, x, cell.start_state(64), layout)
        logits = output(state[0])
        right = 0.9 * right + 0.1 * (logits.argmax(1) == symbols[:, 0]).float().mean().item()
        return nn.functional.cross_entropy(logits, symbols[:, 0])

    trained(nn.ModuleList([*layers, output]), loss, updates)
    assert right >= 0.95, f"only {right:.0%} of first symbols remembered after {updates} updates"


LAWS = (
    *_modules.LAWS,
    _modules.parts_are_the_whole,
    _modules.what_comes_later_changes_nothing,
    stepwise_equals_whole,
    both_directions_mirror,
    gates_are_shares,
)
"""The laws that hold for a cell with any options."""


def checks(member: Member) -> list[Check]:
    """Every law of `LAWS`, and the law of options; ConfigError where the options are refused."""
    (case,) = _modules.taken(Reading, [(member,)])
    return all_checks(
        member, [(law, case) for law in LAWS], lambda other: _modules.fingerprint([Reading(other)]), TRIED
    )
