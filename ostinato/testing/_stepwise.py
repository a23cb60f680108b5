"""Laws of what generates a target step by step beside encoded inputs: decoders, and heads with a `Generator`."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from ostinato.decoders.contract import Decoding
from ostinato.steps import Steps
from ostinato.testing import _modules
from ostinato.testing._modules import ROWS, Sequential
from ostinato.testing._tools import near

TARGETS = (4, 2, 0, 7, 4)
"""Steps of the targets."""


class Stepwise(Sequential):
    """A case of what has `start`, `extend` and `step`; it reads encoded inputs and a target."""

    @abstractmethod
    def outputs(self, result: Any, rows: int) -> Tensor:
        """The first result of `extend` and `step` as numbers, a row for each step."""

    def resume(self, module: Any, steps: Steps, state: Decoding | None, *read: Any) -> tuple[Tensor, Decoding]:
        result, after = module.extend(steps, module.start(read[0]) if state is None else state)
        return self.outputs(result, steps.layout.total), after


@torch.no_grad()
def steps_are_the_whole(case: Stepwise) -> None:
    """Law a: a target read step by step gives what it gives at once, and the same state. Hypotheses in any order and
    number, whether those that ended are forgotten or not, read their own examples."""
    module, (encoded, steps) = case.made()
    start = module.start(encoded)
    result, after = module.extend(steps, start)
    whole = steps.with_values(case.outputs(result, steps.layout.total)).split()
    symbols, lengths = steps.split(), steps.layout.lengths.tolist()
    for hypotheses in (*([row] for row in ROWS), [4, 2, 2, 0, 1, 4], [3, 1]):
        rows, state = hypotheses, start.reorder(torch.tensor(hypotheses))
        for place in range(max(lengths) + 1):
            for number, row in enumerate(rows):
                if lengths[row] == place:
                    now, expected = state.reorder(torch.tensor([number])), after.reorder(torch.tensor([row]))
                    _check_states(now, expected, f"after row {row} of hypotheses {hypotheses}")
            going = [number for number, row in enumerate(rows) if lengths[row] > place]
            if not going:
                break
            rows, state = [rows[number] for number in going], state.reorder(torch.tensor(going), forget=place % 2 == 0)
            result, state = module.step(torch.stack([symbols[row][place] for row in rows]), state)
            expected = torch.stack([whole[row][place] for row in rows])
            near(case.outputs(result, len(rows)), expected, f"step {place} of hypotheses {hypotheses}")


def _check_states(actual: Decoding, expected: Decoding, what: str) -> None:
    """Without a step there are no weights yet, which count as zero."""
    no_weights = tuple(map(torch.zeros_like, expected.attention))
    weights = actual.attention or no_weights
    _modules.near_trees((actual.values, weights), (expected.values, expected.attention), what)


LAWS = (
    *_modules.LAWS,
    _modules.every_input_is_read,
    _modules.parts_are_the_whole,
    _modules.what_comes_later_changes_nothing,
    steps_are_the_whole,
)
