"""The laws of joins: each takes a `Joining`, a join and what it puts together, and fails by AssertionError."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ostinato.encoders.contract import Encoded
from ostinato.joins.contract import Join
from ostinato.testing import _inputs, _modules
from ostinato.testing._inputs import Input
from ostinato.testing._modules import Case
from ostinato.testing._tools import Check, Member, all_checks

TRIED: dict[str, Any] = {"annealing": [4]}
SHORT, LONG = (2, 0, 3, 1, 1), (1, 4, 0, 6, 2)
"""Unequal lengths, in each one row without steps."""
KINDS = {
    "two with steps": (Input(SHORT, 4, 4), Input(LONG, 4, 4)),
    "steps and a row": (Input(SHORT, 4, 4), Input(None, None, 3)),
    "a row and steps": (Input(None, None, 3), Input(LONG, 5, 4)),
    "two rows": (Input(None, None, 4), Input(None, None, 4)),
    "three with steps": (Input(SHORT, 4, 4), Input(LONG, 4, 4), Input(SHORT, 4, 4)),
    "three of different widths": (Input(SHORT, 4, 4), Input(None, None, 3), Input(None, None, 5)),
}
"""Several inputs."""


@dataclass(frozen=True)
class Joining(Case):
    """A join of inputs of one kind."""

    make: Callable[[Sequence[int | None], Sequence[int | None]], Join]
    kind: str

    def read(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[list[Encoded]]:
        return (_inputs.read(KINDS[self.kind], seed, dtype),)

    def build(self, *_: Any) -> Join:
        _, steps, summaries, _ = map(list, zip(*KINDS[self.kind]))
        return self.make(steps, summaries)

    def run(self, join: Join, encoded: list[Encoded]) -> Encoded:
        return join.join(encoded)

    def losses(self, join: Join, encoded: list[Encoded]) -> tuple[Any, ...]:
        joined = join.join(encoded)
        weights = join.penalty_weights(1)
        return joined, {name: weights.get(name, 1.0) * total for name, (total, _) in joined.penalties.items()}


LAWS = (*_modules.LAWS, _modules.sizes_are_what_it_says, _modules.every_input_is_read)
"""The laws that hold for a join with any options."""


def cases(member: Member) -> list[Joining]:
    """One for all inputs that the join takes; others it must refuse by ConfigError."""
    return _modules.taken(Joining, [(member, kind) for kind in KINDS])


def checks(member: Member) -> list[Check]:
    """Every law of `LAWS`, and the law of options; ConfigError where the options are refused."""
    trials = [(law, case) for case in cases(member) for law in LAWS]
    return all_checks(member, trials, lambda other: _modules.fingerprint(cases(other)), TRIED)
