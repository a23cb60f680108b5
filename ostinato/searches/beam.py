"""Beam search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ostinato.decoders.contract import Decoding
from ostinato.errors import ConfigError
from ostinato.heads.contract import Generator
from ostinato.registry import Count, NonNegative, Positive, Whole
from ostinato.searches._common import (
    StopTexts,
    best,
    bounds,
    check_lengths,
    counted,
    cut_weights,
    demand_symbols,
    first_steps,
    forbid,
    log_probabilities,
)
from ostinato.searches.contract import Hypothesis, Search

# Stands for log 0 where an answer must end though its model gives the end no probability: below any other, above -inf,
# which marks what is not there.
_IMPOSSIBLE = -1e30


class Beam(Search):
    """Extends the `width` most probable beginnings at once and keeps the best answers.

        score(y) = log p(y) / n(|y|)^alpha + coverage_penalty * sum_s log(min(sum_t weights[t, s], 1))
        n(|y|) = 1 for none; |y| for average; (5 + |y|) / 6 for gnmt;   |y| counts the end

    At each step all beginnings grow by one symbol, and those that grew are ranked by log p. What has ended among the
    first `width` is an answer, kept from then on unless n_best others score higher; the first `width` of the rest
    continue. An example is done when none of these can still pass the last of its n_best answers: growing only lowers
    log p, so no score can be above log p / n(longest)^alpha. With `patience` it is done earlier, once so many answers
    have ended. Symbols that only generate the end of a prompt again count in no length.

    A width of 1 without normalization is greedy search; with it, a beginning is extended past its end while a longer
    answer could have the higher score. Of equals the one that grew from the better beginning comes first, then the
    lower symbol.

    Args:
        width: beginnings kept at each step.
        n_best: answers per example, the best first.
        normalization: what log p is divided by.
        patience: an example is done once patience * width answers have ended (rounded, at least n_best). 1 is what
            other tools do, and takes half the time or less where averages rank; without it none is given up.
        alpha: exponent of the divisor: 0 leaves log p as it is, 1 is the whole average.
        coverage_penalty: weight of the penalty for source steps that were attended to less than once in all; reads the
            first input that is attended to.
        max_length: the most symbols of an answer; without it the model's own maximum holds.
        min_length: the answer does not end before so many symbols.
        stop: texts that end an answer as soon as it holds one, and are no part of it; the model's end is then certain.
        no_repeat_ngrams: no sequence of so many symbols comes twice in an answer; 0 allows all.

    Errors:
        ConfigError: n_best is above width; min_length above max_length; alpha without normalization; coverage_penalty
            without attention.

    Source: normalization gnmt and coverage: Wu et al., 2016, arXiv:1609.08144, equation 14, there over the answers'
        symbols;
    the end of a search: Huang, Zhao and Ma, 2017, arXiv:1809.00069; patience: Kasai et al., 2022, arXiv:2204.05424.
    """

    random: ClassVar[bool] = False

    def __init__(
        self,
        *,
        width: Count = 5,
        n_best: Count = 1,
        normalization: Literal["none", "average", "gnmt"] = "average",
        patience: Positive | None = None,
        alpha: NonNegative = 1.0,
        coverage_penalty: NonNegative = 0.0,
        max_length: Count | None = None,
        min_length: Whole = 0,
        stop: StopTexts = (),
        no_repeat_ngrams: Whole = 0,
    ):
        check_lengths("beam", min_length, max_length)
        if n_best > width:
            raise ConfigError(
                f"search (beam): n_best {n_best} is above width {width}; a beam gives at most width answers: "
                f"set width: {n_best} or lower n_best"
            )
        if normalization == "none" and alpha != 1.0:
            raise ConfigError(
                f"search (beam): alpha {alpha} has no meaning with normalization: none; leave alpha out, or take "
                "average or gnmt"
            )
        self.width = width
        self.n_best = n_best
        self.normalization = normalization
        self.patience = patience
        self.alpha = alpha
        self.coverage_penalty = coverage_penalty
        self.max_length = max_length
        self.min_length = min_length
        self.stop = stop
        self.no_repeat_ngrams = no_repeat_ngrams

    def divisor(self, length: Tensor | int) -> Tensor | float:
        """What log p of an answer of `length` symbols, the end included, is divided by."""
        if self.normalization == "none":
            return 1.0
        return (length if self.normalization == "average" else (5 + length) / 6) ** self.alpha

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
        demand_symbols("beam", generator)
        num_examples, device, end = len(state.rows), state.rows.device, generator.end
        most, least = (bound.to(device) for bound in bounds(max_length, self.max_length, self.min_length))
        highest = torch.as_tensor(self.divisor((most + 1).double()), device=device).expand(num_examples)
        longest_least = int(least.max()) if num_examples else 0
        sources = state.source_lengths
        answers = _Answers(num_examples, self.n_best, device)
        enough = None if self.patience is None else max(self.n_best, round(self.patience * self.width))
        trace: list[_Moment] = []

        examples = torch.arange(num_examples, device=device)
        alive = torch.zeros(num_examples, 1, dtype=torch.float64, device=device)
        steps = first_steps(generator, state, first)
        history = steps.new_empty(num_examples, 0)
        covered = None
        num_left = num_examples
        step = 0
        while num_left:
            slots = alive.shape[1]
            distribution, state = generator.step(steps, state)
            scores, length = log_probabilities(distribution, generator.num_symbols), counted(state, step)
            end_scores = scores[:, end].clone()
            forbid(scores, generator)
            if self.no_repeat_ngrams:
                _forbid_repeats(scores, history, step - length, self.no_repeat_ngrams)
            cut = length >= most[examples].repeat_interleave(slots)
            forced = cut
            if step < longest_least or state.counted is not None:
                scores[:, end].masked_fill_(length < least[examples].repeat_interleave(slots), -torch.inf)
                forced = cut | (scores.amax(1) == -torch.inf)

            # width + 1 symbols of each beginning: whether or not the end is one of them, `width` others can continue
            values, symbols = best(scores, self.width + 1)
            natural = ~cut | (symbols[:, 0] == end)
            values[:, 0] = torch.where(forced, end_scores.clamp(min=_IMPOSSIBLE), values[:, 0])
            values[:, 1:].masked_fill_(forced.unsqueeze(1), -torch.inf)
            symbols[:, 0].masked_fill_(forced, end)
            totals = (alive.unsqueeze(2) + values.double().unflatten(0, alive.shape)).flatten(1)
            ranked, places = best(totals, 2 * self.width)
            parents = places.div(values.shape[1], rounding_mode="floor")
            symbols = symbols.reshape(len(examples), -1).gather(1, places)

            if self.coverage_penalty:
                weights = _first_weights(state)
                covered = weights if covered is None else covered + weights
            is_end = symbols == end
            enters = is_end & (ranked > -torch.inf)
            enters[:, self.width :] = False
            if bool(enters.any()):
                answer_scores = ranked / self.divisor((length + 1).double().view(-1, slots).gather(1, parents))
                if covered is not None:
                    answer_scores = answer_scores + self._coverage(covered, state).view(-1, slots).gather(1, parents)
                natural = natural.view(-1, slots).gather(1, parents)
                answers.take_in(examples, enters, answer_scores, ranked, parents, natural, step)

            going = is_end.to(torch.int8).argsort(dim=1, stable=True)[:, : self.width]
            alive = ranked.masked_fill(is_end, -torch.inf).gather(1, going)
            parents, symbols = parents.gather(1, going), symbols.gather(1, going)
            source = state.attention[0].unflatten(0, (-1, slots)) if attention and state.attention else None
            trace.append(_Moment(examples, symbols, parents, source))

            done = alive[:, 0] / highest[examples] <= answers.scores[examples, -1]
            if enough is not None:
                done |= answers.ended[examples] >= enough
            # what is done may stay in the batch for a while: nothing may come of it, not even by rounding
            alive = alive.masked_fill(done.unsqueeze(1), -torch.inf)
            rows = torch.arange(len(examples), device=device).unsqueeze(1) * slots + parents
            num_left = len(examples) - int(done.sum())
            shrinks = num_left * 4 <= len(examples) * 3
            if shrinks:
                left = (~done).nonzero().squeeze(1)
                examples, alive, rows, symbols = (one[left] for one in (examples, alive, rows, symbols))
            rows, steps = rows.flatten(), symbols.flatten()
            state = state.reorder(rows, forget=shrinks)
            covered = None if covered is None else covered[rows]
            if self.no_repeat_ngrams:
                history = torch.cat([history[rows], steps.unsqueeze(1)], 1)
            step += 1
        return answers.traced(trace, sources)

    def _coverage(self, covered: Tensor, state: Decoding) -> Tensor:
        """(R,) the penalty, at most 0, for what each hypothesis has attended to in all, (R, S)."""
        # a step that was never looked at would cost infinitely much, and all such answers alike
        missing = covered.clamp(min=torch.finfo(covered.dtype).tiny, max=1).log()
        lengths = state.source_lengths.to(missing.device)
        missing = missing.masked_fill(torch.arange(missing.shape[1], device=missing.device) >= lengths[:, None], 0)
        return self.coverage_penalty * missing.sum(1, dtype=torch.float64)


def _first_weights(state: Decoding) -> Tensor:
    if not state.attention or state.source_lengths is None:
        raise ConfigError(
            "search (beam): coverage_penalty needs an attention over an input, and this output has none; leave "
            "coverage_penalty out, or give the output's head an attention"
        )
    return state.attention[0]


def _forbid_repeats(scores: Tensor, history: Tensor, before: Tensor, size: int) -> None:
    """Sets to -inf, in place, each symbol that would end a sequence of `size` symbols that the row's history (R, t)
    holds.

    The first `before` (R,) symbols of a history are no part of the answer.
    """
    length = history.shape[1]
    if length < size:
        return
    windows = history.unfold(1, size, 1)
    last = history[:, length - size + 1 :]
    own = torch.arange(windows.shape[1], device=before.device) >= before.unsqueeze(1)
    rows, places = ((windows[..., :-1] == last.unsqueeze(1)).all(2) & own).nonzero(as_tuple=True)
    scores[rows, windows[rows, places, -1]] = -torch.inf


@dataclass(frozen=True)
class _Moment:
    """One step of the search: (E, slots) the symbols generated, and from which slot of the step before; (E, slots
    before, S) weights."""

    examples: Tensor
    symbols: Tensor
    parents: Tensor
    weights: Tensor | None


class _Answers:
    """The n best answers of each example so far, each known by the step and the slot that it ended in."""

    def __init__(self, num_examples: int, n_best: int, device: torch.device):
        size = (num_examples, n_best)
        self.scores = torch.full(size, -torch.inf, dtype=torch.float64, device=device)
        self.totals = self.scores.clone()
        self.steps = torch.zeros(size, dtype=torch.int64, device=device)
        self.slots = self.steps.clone()
        self.finished = torch.zeros(size, dtype=torch.bool, device=device)
        self.ended = torch.zeros(num_examples, dtype=torch.int64, device=device)

    def take_in(
        self,
        examples: Tensor,
        enters: Tensor,
        scores: Tensor,
        totals: Tensor,
        slots: Tensor,
        finished: Tensor,
        step: int,
    ) -> None:
        """Keeps the best of what is there and what enters, all (E, candidates); of equals what is there."""
        self.ended[examples] += enters.sum(1)
        merged = torch.cat([self.scores[examples], scores.masked_fill(~enters, -torch.inf)], 1)
        kept, order = merged.sort(dim=1, descending=True, stable=True)
        self.scores[examples] = kept[:, : self.scores.shape[1]]
        order = order[:, : self.scores.shape[1]]
        steps = torch.full_like(slots, step)
        for old, new in ((self.totals, totals), (self.steps, steps), (self.slots, slots), (self.finished, finished)):
            old[examples] = torch.cat([old[examples], new], 1).gather(1, order)

    def traced(self, trace: list[_Moment], sources: Tensor | None) -> list[list[Hypothesis]]:
        """The answers, traced from their last slot back to the first step."""
        num_examples, n_best = self.scores.shape
        if not num_examples:
            return []
        symbols = self.slots.new_zeros(num_examples, n_best, len(trace))
        weights = None
        if trace[0].weights is not None:
            weights = trace[0].weights.new_zeros(num_examples, n_best, len(trace), trace[0].weights.shape[2])
        slots = self.slots
        for step in reversed(range(len(trace))):
            moment = trace[step]
            places = self.slots.new_zeros(num_examples, 1)
            places[moment.examples, 0] = torch.arange(len(moment.examples), device=places.device)
            within = step < self.steps
            symbols[:, :, step] = moment.symbols[places, slots]
            slots = torch.where(within, moment.parents[places, slots], slots)
            if weights is not None:
                weights[:, :, step] = moment.weights[places, slots]
        symbols, lengths, finished = symbols.tolist(), self.steps.tolist(), self.finished.tolist()
        scores, totals = self.scores.tolist(), self.totals.tolist()
        weights = None if weights is None else weights.cpu().flatten(0, 1)
        answers = []
        for example in range(num_examples):
            found = []
            for rank in range(n_best):
                impossible = totals[example][rank] <= _IMPOSSIBLE / 10
                if scores[example][rank] == -torch.inf or (found and impossible):
                    break
                length = lengths[example][rank]
                found.append(
                    Hypothesis(
                        symbols[example][rank][:length],
                        -torch.inf if impossible else scores[example][rank],
                        -torch.inf if impossible else totals[example][rank],
                        finished[example][rank],
                        cut_weights(weights, example * n_best + rank, length, sources, example),
                    )
                )
            answers.append(found)
        return answers
