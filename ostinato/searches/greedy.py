"""Greedy search."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ostinato.heads.contract import Decoding, Generator
from ostinato.registry import Count
from ostinato.searches._common import StopTexts, Whole, bounds, check_lengths, cut_weights, source_lengths, unroll
from ostinato.searches.contract import Hypothesis, Search


class Greedy(Search):
    """Says the most probable symbol at each step.

        y[t] = argmax over v of log p(v | y[<t])      the lower symbol where two are equal
        score = log p(y)

    Args:
        max_length: the most symbols of an answer; without it the model's own maximum holds.
        min_length: the end is not said before so many symbols.
        stop: texts that end an answer as soon as it says one, and are no part of it; the model's end is then certain.

    Errors:
        ConfigError: min_length is above max_length.
    """

    random: ClassVar[bool] = False

    def __init__(self, *, max_length: Count | None = None, min_length: Whole = 0, stop: StopTexts = ()):
        check_lengths("greedy", min_length, max_length)
        self.n_best = 1
        self.max_length = max_length
        self.min_length = min_length
        self.stop = stop

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
        most, least = bounds(max_length, self.max_length, self.min_length)
        sources = source_lengths(state)
        said = unroll(
            generator, state, most, least, lambda scores, *_: scores.argmax(1), attention=attention, first=first
        )
        symbols, lengths = said.symbols.tolist(), said.lengths.tolist()
        totals, finished = said.log_probability.tolist(), said.finished.tolist()
        return [
            [
                Hypothesis(
                    symbols[row][: lengths[row]],
                    totals[row],
                    totals[row],
                    finished[row],
                    cut_weights(said.attention, row, lengths[row], sources, row),
                )
            ]
            for row in range(len(lengths))
        ]
