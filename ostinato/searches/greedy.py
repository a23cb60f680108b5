"""Greedy search."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ostinato.decoders.contract import Decoding
from ostinato.distributions.contract import Distribution
from ostinato.errors import ConfigError
from ostinato.heads.contract import Generator
from ostinato.registry import Count, Whole
from ostinato.searches._common import StopTexts, bounds, check_lengths, likeliest, unroll, unroll_values
from ostinato.searches.contract import Hypothesis, Search
from ostinato.steps import Layout, Steps


class Greedy(Search):
    """Takes the most probable symbol at each step, or the mode where steps are vectors.

        y[t] = argmax over v of log p(v | y[<t])      the lower symbol where two are equal
        score = log p(y)

    With `path` it takes the best label at each step of the source instead, by a head that labels these (ctc): repeated
    labels and blanks say nothing. That is an answer as soon as the source is read so far (`ostinato predict RUN -`),
    and its score is the sum of the labels' logarithms.

    Args:
        max_length: the most symbols of an answer; without it the model's own maximum holds.
        min_length: the answer does not end before so many symbols.
        stop: texts that end an answer as soon as it holds one, and are no part of it; the model's end is then certain.
        path: whether the best label of each step of the source is taken (best path decoding).

    Errors:
        ConfigError: min_length is above max_length; `path` with one of the others, or of a head that labels no steps.

    Source: path: Graves et al. 2006 (ICML), section 3.2.
    """

    random: ClassVar[bool] = False
    one_path: ClassVar[bool] = True

    def __init__(
        self, *, max_length: Count | None = None, min_length: Whole = 0, stop: StopTexts = (), path: bool = False
    ):
        check_lengths("greedy", min_length, max_length)
        if path and (max_length is not None or min_length or stop):
            raise ConfigError("search (greedy): a path ends with its source; leave out path, or the other settings")
        self.n_best = 1
        self.max_length = max_length
        self.min_length = min_length
        self.stop = stop
        self.path = self.along_source = path

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
        if self.path:
            return _by_paths(generator, state)
        most, least = bounds(max_length, self.max_length, self.min_length)
        if not generator.num_symbols:
            return unroll_values(generator, state, most, _mode, copies=1, first=first)
        return unroll(generator, state, most, least, _likeliest, attention=attention, first=first)


def _by_paths(generator: Generator, state: Decoding) -> list[list[Hypothesis]]:
    paths = generator.paths(state)
    if paths is None:
        raise ConfigError(
            "search (greedy): path: true follows the labels of the steps of the source, which this output has none of;"
            " set head: ctc, without a language model and in no ensemble, or leave path out"
        )
    layout = Layout([len(path.symbols) for path in paths], state.rows.device)
    symbols = torch.tensor([symbol for path in paths for symbol in path.symbols], dtype=torch.int64)
    targets = Steps(symbols.to(state.rows.device), layout)
    truth = targets.appended(generator.end)
    distribution, _ = generator.extend(targets.prepended(generator.begin), state)
    totals = truth.layout.sums(distribution.score(truth.values)).tolist()
    return [[Hypothesis(path.symbols, path.score, total, True)] for path, total in zip(paths, totals)]


def _likeliest(scores: Tensor, numbers: Tensor, step: int) -> Tensor:
    return likeliest(scores)


def _mode(distribution: Distribution, numbers: Tensor, step: int) -> Tensor:
    return distribution.mode()
