"""Greedy search."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ostinato.decoders.contract import Decoding
from ostinato.distributions.contract import Distribution
from ostinato.heads.contract import Generator
from ostinato.registry import Count, Whole
from ostinato.searches._common import StopTexts, bounds, check_lengths, unroll, unroll_values
from ostinato.searches.contract import Hypothesis, Search


class Greedy(Search):
    """Takes the most probable symbol at each step, or the mode where steps are vectors.

        y[t] = argmax over v of log p(v | y[<t])      the lower symbol where two are equal
        score = log p(y)

    Args:
        max_length: the most symbols of an answer; without it the model's own maximum holds.
        min_length: the answer does not end before so many symbols.
        stop: texts that end an answer as soon as it holds one, and are no part of it; the model's end is then certain.

    Errors:
        ConfigError: min_length is above max_length.
    """

    random: ClassVar[bool] = False
    one_path: ClassVar[bool] = True

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
        if not generator.num_symbols:
            return unroll_values(generator, state, most, _mode, copies=1, first=first)
        return unroll(generator, state, most, least, _likeliest, attention=attention, first=first)


def _likeliest(scores: Tensor, numbers: Tensor, step: int) -> Tensor:
    return scores.argmax(1)


def _mode(distribution: Distribution, numbers: Tensor, step: int) -> Tensor:
    return distribution.mode()
