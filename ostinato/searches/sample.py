"""Sampling."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ostinato.decoders.contract import Decoding
from ostinato.distributions.contract import Distribution
from ostinato.errors import ConfigError
from ostinato.heads.contract import Generator
from ostinato.registry import Count, NonNegative, Positive, Share, Whole
from ostinato.searches._common import StopTexts, best, bounds, check_lengths, first_steps, unroll, unroll_values
from ostinato.searches.contract import Hypothesis, Search

_GOLDEN = 0x9E3779B97F4A7C15


class Sample(Search):
    """Draws each step by its probability: a symbol, or a vector from its density.

        p(v) = softmax over v of log p(v | y[<t]) / temperature
        top_k keeps the k most probable symbols; of these
        top_p keeps the fewest, most probable first, whose share of what top_k kept reaches top_p, and at least one; of
        these min_p keeps those with p >= min_p * max p
        y[t] = the first v with P(v) > u * P(last), P the running sum of what was kept, u uniform in [0, 1)
        score = log p(y), the model's own

    Of equal symbols the lower is kept first. Each u is a function of (seed, the example's number, the sample's number,
    t), so that neither company nor order nor n_best changes a sample. P runs in the order of the symbols: any order
    gives the same distribution, and this one needs no sort and does not jump where two symbols are nearly equal.

    Args:
        temperature: below 1 sharpens, above 1 flattens.
        top_k: how many symbols may be drawn; all without it.
        top_p: the share of probability that may be drawn (nucleus).
        min_p: the least probability that may be drawn, as a share of the highest.
        bias: of steps that are vectors of a mixture: how much deviations shrink, by exp(-bias), and how much the
            likeliest components gain; frames have a length of the middle exp(-bias) of theirs.
        n_best: samples per example, the most probable first; one may come twice.
        max_length: the most symbols of an answer; without it the model's own maximum holds.
        min_length: the end is not drawn before so many symbols.
        stop: texts that end an answer as soon as it holds one, and are no part of it; the model's end is then certain.
        seed: another seed gives other samples.

    Errors:
        ConfigError: min_length is above max_length; temperature, top_k, top_p or min_p where steps are vectors, a bias
            where they are symbols.

    Source: top-k Fan et al., 2018, arXiv:1805.04833; top-p Holtzman et al., 2020, arXiv:1904.09751; min-p Nguyen
    et al., 2024, arXiv:2407.01082; bias Graves, 2013, arXiv:1308.0850, equations 61 and 62; u by
    SplitMix64, Steele et al., 2014, 10.1145/2660193.2660195.
    """

    random: ClassVar[bool] = True
    one_path: ClassVar[bool] = True

    def __init__(
        self,
        *,
        temperature: Positive = 1.0,
        top_k: Count | None = None,
        top_p: Share = 1.0,
        min_p: Share = 0.0,
        bias: NonNegative = 0.0,
        n_best: Count = 1,
        max_length: Count | None = None,
        min_length: Whole = 0,
        stop: StopTexts = (),
        seed: Whole = 0,
    ):
        check_lengths("sample", min_length, max_length)
        self.temperature = temperature
        self.top_k = top_k
        self.top_p = top_p
        self.min_p = min_p
        self.bias = bias
        self.n_best = n_best
        self.max_length = max_length
        self.min_length = min_length
        self.stop = stop
        self.seed = seed

    def kept(self, scores: Tensor) -> Tensor:
        """(R, V) log-probabilities to what may be drawn: probabilities at this temperature as shares of the highest, or
        zero."""
        scaled = (scores - scores.amax(1, keepdim=True)) / self.temperature
        if self.top_k is not None and self.top_k < scaled.shape[1]:
            values, symbols = best(scaled, self.top_k)
            scaled = torch.full_like(scaled, -torch.inf).scatter(1, symbols, values)
        shares = scaled.exp()
        if self.top_p < 1:
            shares = _nucleus(shares, self.top_p)
        return shares.masked_fill(shares < self.min_p, 0) if self.min_p > 0 else shares

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
        keys, start = _keys(self.seed, seeds, self.n_best), first_steps(generator, state, first)

        def draw_symbol(scores: Tensor, numbers: Tensor, step: int) -> Tensor:
            uniform = torch.from_numpy(_uniform(keys[numbers.cpu().numpy()], step)).to(scores.device)
            return _draw(self.kept(scores), uniform)

        def draw_value(distribution: Distribution, numbers: Tensor, step: int) -> Tensor:
            shape = (*start.shape[1:], *((distribution.draws,) if distribution.draws > 1 else ()))
            uniform = _uniforms(keys[numbers.cpu().numpy()], step, math.prod(shape))
            narrowed = distribution.biased(self.bias) if self.bias else distribution
            return narrowed.sample(torch.from_numpy(uniform).to(start.device).unflatten(1, shape))

        if generator.num_symbols and self.bias:
            raise ConfigError(
                "search (sample): bias narrows densities, and a step of this output is a symbol; leave bias out, or set"
                " temperature below 1"
            )
        if generator.num_symbols:
            return unroll(
                generator, state, most, least, draw_symbol, copies=self.n_best, attention=attention, first=first
            )
        if (self.temperature, self.top_k, self.top_p, self.min_p) != (1.0, None, 1.0, 0.0):
            raise ConfigError(
                "search (sample): temperature, top_k, top_p and min_p change the probabilities of symbols, and a step "
                "of this output is a vector; leave them out"
            )
        return unroll_values(generator, state, most, draw_value, copies=self.n_best, first=start)


def _nucleus(shares: Tensor, top_p: float) -> Tensor:
    """Zero but for the fewest highest of each row whose sum reaches top_p of the whole; sorts no more than it needs."""
    enough = shares.sum(1, dtype=torch.float64) * top_p
    count = 64
    while True:
        values, symbols = best(shares, count)
        sums = values.cumsum(1, dtype=torch.float64)
        if count >= shares.shape[1] or bool((sums[:, -1] >= enough).all()):
            break
        count = count * 8 if count * 16 < shares.shape[1] else shares.shape[1]
    before = sums - values
    values = values.masked_fill(before >= enough.unsqueeze(1), 0)
    values[:, 0] = 1  # the highest share is 1 by definition; top_p 0 keeps it alone
    return torch.zeros_like(shares).scatter(1, symbols, values)


def _draw(shares: Tensor, uniform: Tensor) -> Tensor:
    """The symbol (R,) where the running sum of each row passes its uniform number; a share of zero is never drawn."""
    sums = shares.cumsum(1, dtype=torch.float64)
    # u is at most 1 - 2**-53, and no float64 times that rounds back to itself: the place is always below the whole sum
    return torch.searchsorted(sums, uniform.unsqueeze(1) * sums[:, -1:], right=True).squeeze(1)


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """SplitMix64's finalizer: every bit of the result depends on every bit of a uint64."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _keys(seed: int, seeds: Tensor, copies: int) -> np.ndarray:
    """(B * copies,) uint64: a number for each sample of each example."""
    key = _mixed(np.full(len(seeds), (seed * _GOLDEN + _GOLDEN) % 2**64, dtype=np.uint64))
    key = _mixed(key ^ _mixed(seeds.cpu().numpy().astype(np.int64).view(np.uint64)))
    sample = np.arange(copies, dtype=np.uint64) * np.uint64(_GOLDEN)
    return _mixed(key[:, None] + sample).reshape(-1)


def _uniform(keys: np.ndarray, step: int) -> np.ndarray:
    """(R,) float64 in [0, 1), from the 53 high bits."""
    mixed = _mixed(keys + np.uint64((step + 1) * _GOLDEN % 2**64))
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _uniforms(keys: np.ndarray, step: int, count: int) -> np.ndarray:
    """(R, count) float64 in [0, 1)."""
    own = _mixed(keys + np.uint64((step + 1) * _GOLDEN % 2**64))
    return _uniform((own[:, None] + np.arange(count, dtype=np.uint64) * np.uint64(_GOLDEN)).reshape(-1), 0).reshape(
        -1, count
    )
