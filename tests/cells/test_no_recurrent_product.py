"""A cell of gates of x alone, computed for all steps at once: one file, no weights between hidden states, used
everywhere."""

from typing import Literal

import pytest
import torch

from ostinato import registry
from ostinato.cells.contract import Cell
from ostinato.errors import ConfigError
from ostinato.kernels import dispatch
from ostinato.layers.recurrent import RecurrentStack
from ostinato.steps import Layout, Steps
from ostinato.testing import cells, laws


class MinGRU(Cell):
    """h[t] = (1 - z[t]) h[t-1] + z[t] n[t], where z and n are of x[t] alone (Feng 2024, arXiv:2410.01201).

    Args:
        rate: an option below 1, as many have: the least share of the candidate.
    """

    num_gates = 2
    num_states = 2

    def __init__(self, input_size, hidden_size, parallel=True, *, rate: registry.Rate = 0.0):
        super().__init__(input_size, hidden_size)
        self.rate = rate
        self.parallel = parallel
        self.state_sizes = (hidden_size, hidden_size + 3)  # the second, wider, counts steps
        self.new_weights(1, recurrent=False)

    def keeps_and_adds(self, gates_x):
        z, n = gates_x.chunk(2, 1)
        z = self.rate + (1 - self.rate) * torch.sigmoid(z)
        return 1 - z, z * n

    def pointwise(self, gates_x, gates_h, state):
        keep, add = self.keeps_and_adds(gates_x)
        return keep * state[0] + add, state[1] + 1

    def whole(self, gates_x, state, layout):
        keep, add = (Steps(part, layout).padded() for part in self.keeps_and_adds(gates_x))
        step = 1
        while step < layout.longest:
            # Hillis and Steele's scan: after k rounds each step has composed 2^k of them.
            add = torch.cat([add[:, :step], add[:, step:] + keep[:, step:] * add[:, :-step]], 1)
            keep = torch.cat([keep[:, :step], keep[:, step:] * keep[:, :-step]], 1)
            step *= 2
        hidden = Steps.from_padded(keep * state[0].unsqueeze(1) + add, layout).values
        lengths = layout.lengths[:, None]
        ends = torch.cat([hidden, state[0]])[
            torch.where(layout.lengths > 0, layout.offsets[1:] - 1, len(hidden) + torch.arange(len(layout)))
        ]
        return hidden, (ends, state[1] + lengths)


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("law", cells.LAWS, ids=lambda law: law.__name__)
def test_law(law, parallel):
    law(cells.Reading(lambda *sizes: MinGRU(*sizes, parallel=parallel)))


def test_all_steps_at_once_are_step_by_step():
    torch.manual_seed(0)
    fast = MinGRU(3, 5)
    slow = MinGRU(3, 5, parallel=False)
    slow.load_state_dict(fast.state_dict())
    layout = Layout([4, 0, 9, 1])
    x = torch.randn(14, 3)
    state = tuple(torch.randn(4, size) for size in fast.state_sizes)
    for reverse in (False, True):
        for found, expected in zip(*(dispatch.scan(cell, x, state, layout, reverse=reverse) for cell in (fast, slow))):
            torch.testing.assert_close(found, expected)


def test_the_dispatcher_asks_the_cell_and_names_the_reason():
    cell = MinGRU(3, 5)
    assert dispatch.chosen(cell) == "reference"
    assert dispatch.backend(cell) == "reference (MinGRU: MinGRU has no native step)"


@pytest.fixture
def stack(monkeypatch):
    """Makes a stack of these cells, as if a recipe had named them."""
    component = registry.component
    monkeypatch.setattr(registry, "component", lambda room, name: MinGRU if name == "mingru" else component(room, name))
    settings = registry.derive(MinGRU, {"type": (Literal["mingru"], "mingru")})
    return lambda **options: RecurrentStack(settings(), 3, [5, 5], **options)


@pytest.mark.parametrize("reads", ["forward", "both"])
def test_a_stack_reads_with_it_and_its_gradient_reaches_every_weight(stack, reads):
    made = stack(reads=reads, learnt_start=True)
    steps, state = made(Steps(torch.randn(7, 3), Layout([4, 0, 3])))
    assert steps.values.shape == (7, made.output_size)
    assert [part.shape[1] for part in state] == list(made.state_sizes) == [5, 8] * len(made.cells)
    (steps.values.sum() + sum(part.sum() for part in state)).backward()
    assert all(weight.grad is not None for weight in made.parameters())


@pytest.mark.parametrize("option", ["recurrent_dropout", "weight_drop"])
def test_what_would_drop_nothing_is_refused(stack, option):
    with pytest.raises(ConfigError, match=f"{option}: cell mingru has no weights between hidden states"):
        stack(**{option: 0.1})


def test_it_keeps_the_laws_of_cells():
    laws.run("cells", MinGRU)
