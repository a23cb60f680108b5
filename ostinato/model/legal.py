"""A generator that generates what a grammar allows."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.decoders.contract import Decoding
from ostinato.distributions.categorical import Categorical
from ostinato.distributions.contract import Distribution
from ostinato.heads.contract import Adapted, Generator
from ostinato.modalities.contract import Grammar

LEAST_LOG = -1e4
"""So that a score stays a number."""
PLACE = "legal"
"""The name of the value in a state: the number of each hypothesis' state of the grammar."""


class Legal(Adapted):
    """A generator of symbols that follows a grammar.

        p(v) = 0 where the grammar does not allow v; the others' p divided by their sum, or left as they are

    Left as they are, of two legal answers the likelier under the model stays ahead, and a symbol that the model thinks
    impossible where nothing else is legal has a log-probability of LEAST_LOG.

    Args:
        generator: of symbols.
        grammar: what may follow what; what is copied beyond its symbols never may.
        prompts: the symbols that each example begins with; None: nothing.
        divided: whether what is left is divided by its sum.
    """

    def __init__(
        self,
        generator: Generator,
        grammar: Grammar,
        prompts: Sequence[Iterable[Any]] | None = None,
        divided: bool = True,
    ):
        super().__init__(generator)
        self.grammar, self.divided = grammar, divided
        self._states: dict[Hashable, int] = {}
        self._known: list[Hashable] = []
        self._allowed: list[np.ndarray] = []
        self._after: dict[tuple[int, int], int] = {}
        self._starts = None
        if prompts is not None:
            self._starts = [self._number(grammar.after_prompt(list(map(int, prompt)))) for prompt in prompts]

    def _number(self, state: Hashable) -> int:
        if state not in self._states:
            self._states[state] = len(self._known)
            self._known.append(state)
            self._allowed.append(self.grammar.allowed(state))
        return self._states[state]

    def _next(self, place: int, symbol: int) -> int:
        if (place, symbol) not in self._after:
            self._after[place, symbol] = self._number(self.grammar.advance(self._known[place], symbol))
        return self._after[place, symbol]

    def step(self, steps: Tensor, state: Decoding) -> tuple[Distribution, Decoding]:
        values = dict(state.values)
        before = values.pop(PLACE, None)
        distribution, after = self.generator.step(steps, replace(state, values=values))
        if before is not None:
            places = [self._next(place, symbol) for place, symbol in zip(before.tolist(), steps.tolist())]
        elif self._starts is not None:
            places = [self._starts[example] for example in state.rows.tolist()]
        else:
            places = [self._number(self.grammar.start())] * len(steps)
        logs = distribution.by_symbol(self.num_symbols)
        allowed = logs.new_zeros(logs.shape, dtype=torch.bool)
        if places:
            legal = np.stack([self._allowed[place] for place in places])
            allowed[:, : legal.shape[1]] = torch.from_numpy(legal).to(logs.device)
        numbers = torch.tensor(places, dtype=torch.int64, device=steps.device)
        scores = (logs if self.divided else logs.clamp(min=LEAST_LOG)).masked_fill(~allowed, -torch.inf)
        return Categorical(scores, normalized=not self.divided), replace(after, values=after.values | {PLACE: numbers})
