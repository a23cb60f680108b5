"""The best of several answers that are drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ostinato.contracts import Count, Decoding, Generator, Hypothesis, Search, Whole


class BestOf(Search):
    """Draws `count` answers symbol by symbol, and keeps the one that the model finds most probable.

    Args:
        count: how many are drawn.
        max_length: the most symbols of an answer; without it the model's own maximum holds.
        seed: of the draws.
    """

    random: ClassVar[bool] = True

    def __init__(self, *, count: Count = 4, max_length: Count | None = None, seed: Whole = 0):
        self.n_best, self.count, self.max_length, self.seed = 1, count, max_length, seed

    @torch.no_grad()
    def search(
        self,
        generator: Generator,
        state: Decoding,
        max_length: Tensor,
        seeds: Tensor,
        *,
        attention: bool,
        first: Tensor | None = None,
    ) -> list[list[Hypothesis]]:
        answers = []
        for row, longest in enumerate(max_length.tolist()):
            random = torch.Generator().manual_seed(hash((self.seed, int(seeds[row]))) % 2**63)
            longest = min(longest, self.max_length or longest)
            begin = generator.begin if first is None else int(first[row])
            drawn = [
                self._draw(generator, state.reorder(torch.tensor([row])), begin, longest, random, attention)
                for _ in range(self.count)
            ]
            answers.append([max(drawn, key=lambda answer: answer.score)])
        return answers

    def _draw(
        self, generator: Generator, state: Decoding, symbol: int, longest: int, random: torch.Generator, attention: bool
    ) -> Hypothesis:
        symbols: list[int] = []
        weights: Sequence[Tensor] = []
        total, finished = 0.0, True
        while True:
            distribution, state = generator.step(torch.tensor([symbol]), state)
            scores = distribution.by_symbol(generator.num_symbols)[0].double()
            if attention and state.attention:
                weights = [*weights, state.attention[0][:, : int(state.source_lengths[0])]]
            allowed = scores.exp()
            allowed[[symbol for symbol in (generator.begin, generator.unsaid) if symbol is not None]] = 0
            symbol = int(torch.multinomial(allowed, 1, generator=random))
            if len(symbols) == longest:
                finished, symbol = symbol == generator.end, generator.end
            total += float(scores[symbol])
            if symbol == generator.end:
                break
            symbols.append(symbol)
        return Hypothesis(symbols, total, total, finished, torch.cat(list(weights)) if weights else None)
