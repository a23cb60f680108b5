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

PLACE = "legal"
"""The name of the value in a state: the number of each hypothesis' state of the grammar."""


class Legal(Adapted):
    """A generator of symbols that follows a grammar.

        p(v) = 0 where the grammar does not allow v; the others' p divided by their sum

    Args:
        generator: of symbols.
        grammar: what may follow what.
        prompts: the symbols that each example begins with.
    """

    def __init__(self, generator: Generator, grammar: Grammar, prompts: Sequence[Iterable[Any]]):
        super().__init__(generator)
        self.grammar = grammar
        self._states: dict[Hashable, int] = {}
        self._allowed: list[np.ndarray] = []
        self._starts = [self._number(grammar.after_prompt([int(symbol) for symbol in prompt])) for prompt in prompts]

    def _number(self, state: Hashable) -> int:
        if state not in self._states:
            self._states[state] = len(self._states)
            self._allowed.append(self.grammar.allowed(state))
        return self._states[state]

    def step(self, steps: Tensor, state: Decoding) -> tuple[Distribution, Decoding]:
        values = dict(state.values)
        before = values.pop(PLACE, None)
        distribution, after = self.generator.step(steps, replace(state, values=values))
        if before is None:
            places = [self._starts[example] for example in state.rows.tolist()]
        else:
            known = list(self._states)
            pairs = zip(before.tolist(), steps.tolist())
            places = [self._number(self.grammar.advance(known[place], symbol)) for place, symbol in pairs]
        logs = distribution.by_symbol(self.num_symbols)
        allowed = torch.from_numpy(np.stack([self._allowed[place] for place in places])).to(logs.device)
        numbers = torch.tensor(places, device=steps.device)
        legal = Categorical(logs.masked_fill(~allowed, -torch.inf))
        return legal, replace(after, values=after.values | {PLACE: numbers})
