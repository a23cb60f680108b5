"""What searches share: log-probabilities, the best of many, generating one symbol or vector after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field, Strict
from torch import Tensor

from ostinato.decoders.contract import Decoding
from ostinato.distributions.contract import Distribution
from ostinato.errors import TRAIN_AGAIN, BundleError, ConfigError
from ostinato.heads.contract import Generator
from ostinato.searches.contract import Hypothesis

StopTexts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Strict(False)]
"""Texts that end an answer."""
ChooseValue = Callable[[Distribution, Tensor, int], Tensor]
"""(distribution of R rows, numbers (R,) of the rows, step) -> vectors (R, ...)."""
Choose = Callable[[Tensor, Tensor, int], Tensor]
"""(scores (R, V) log-probabilities with -inf where a symbol is not allowed, numbers (R,) of the rows, step) -> symbols
(R,)."""


def check_lengths(kind: str, min_length: int, max_length: int | None) -> None:
    if max_length is not None and min_length > max_length:
        raise ConfigError(
            f"search ({kind}): min_length {min_length} is above max_length {max_length}; lower the first or raise the "
            "second"
        )


def bounds(max_length: Tensor, own_max: int | None, own_min: int) -> tuple[Tensor, Tensor]:
    """(most, least) symbols of each example; where the example's own maximum is below the minimum, the maximum
    holds."""
    most = max_length if own_max is None else max_length.clamp(max=own_max)
    return most, most.clamp(max=own_min)


def demand_symbols(kind: str, generator: Generator) -> None:
    """
    Errors:
        ConfigError: the steps of the output are no symbols.
    """
    if not generator.num_symbols:
        raise ConfigError(
            f"search ({kind}): ranks the symbols of a vocabulary, and a step of this output is a vector; set search: "
            "sample or search: greedy"
        )


def log_probabilities(distribution: Distribution, size: int) -> Tensor:
    """(R, V) in float32 or float64, a new tensor. On CPUs torch's log_softmax is twice as fast as its logsumexp (R 320,
    V 6,000).

    Errors:
        BundleError: a row is not a distribution.
    """
    scores = distribution.by_symbol(size)
    if not bool(torch.isfinite(scores.amax(1)).all()):
        raise BundleError(
            "the model's scores for the next symbol are not numbers (NaN or infinite): its weights are damaged or its "
            f"training diverged; copy the run again, or {TRAIN_AGAIN}"
        )
    return scores


def forbid(scores: Tensor, generator: Generator) -> None:
    """What no answer says has no chance in scores (R, V): the begin symbol, and what stands for the unknown."""
    for symbol in {generator.begin, generator.unsaid} - {generator.end, None}:
        scores[:, int(symbol)] = -torch.inf


def best(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` highest of each row (R, V) and their places, from the highest down; of equals the lower place
    first."""
    size = scores.shape[1]
    if count >= size:
        values, places = scores.sort(dim=1, descending=True, stable=True)
        return values, places
    values, places = _topk(scores, count + 1)
    equal = (values[:, 1:] == values[:, :-1]) & (values[:, 1:] > -torch.inf)
    if bool(equal.any()):  # topk gives equals in any order, and any of those at its end
        places, order = places.sort(1)
        values, order = values.gather(1, order).sort(dim=1, descending=True, stable=True)
        places = places.gather(1, order)
        cut = equal[:, count - 1].nonzero().squeeze(1)
        if len(cut):
            whole, whole_places = scores.index_select(0, cut).sort(dim=1, descending=True, stable=True)
            values[cut], places[cut] = whole[:, : count + 1], whole_places[:, : count + 1]
    return values[:, :count], places[:, :count]


BLOCK = 16
"""Scores of which the highest is looked at first: the 7 highest of 320 x 8,700 are found in 1.2 ms, by topk of all in
4.1."""
WIDE = 1024
"""Symbols from which on that pays."""


def _topk(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """As torch's topk of each row: of blocks with the highest maxima, which hold them."""
    size = scores.shape[1]
    blocks = size // BLOCK
    if size < WIDE or count * BLOCK >= blocks:
        return scores.topk(count, 1)
    most = scores[:, : blocks * BLOCK].unflatten(1, (BLOCK, blocks)).amax(1).topk(count, 1)[1]
    within = torch.arange(BLOCK, device=scores.device) * blocks
    places = torch.cat([(most.unsqueeze(2) + within).flatten(1), _rest(scores, blocks * BLOCK)], 1)
    values, order = scores.gather(1, places).topk(count, 1)
    return values, places.gather(1, order)


LINE = 64
"""Scores of which the highest is looked at first: torch's argmax of 64 x 8,700 takes 460 us, its maximum 35."""


def likeliest(scores: Tensor) -> Tensor:
    """The place of the highest score of each row (R, V), the lowest of equals."""
    size = scores.shape[1]
    lines = size // LINE
    if size < WIDE:
        return scores.argmax(1)
    first = scores[:, : lines * LINE].unflatten(1, (lines, LINE)).amax(2).argmax(1, keepdim=True) * LINE
    places = torch.cat([first + torch.arange(LINE, device=scores.device), _rest(scores, lines * LINE)], 1)
    return places.gather(1, scores.gather(1, places).argmax(1, keepdim=True)).squeeze(1)


def _rest(scores: Tensor, first: int) -> Tensor:
    """The places from the first on, for each row."""
    return torch.arange(first, scores.shape[1], device=scores.device).expand(len(scores), -1)


def counted(state: Decoding, step: int) -> Tensor:
    """(R,) how many of the `step` steps of each hypothesis are of its answer, -1 where it has yet to begin."""
    return torch.full_like(state.rows, step) if state.counted is None else state.counted


def first_steps(generator: Generator, state: Decoding, first: Tensor | None) -> Tensor:
    """What each hypothesis reads first: (R,) symbols, or (R, C) vectors."""
    if not generator.num_symbols:
        shape = (len(state.rows), generator.num_values)
        return torch.full(shape, generator.begin, device=state.rows.device) if first is None else first
    return torch.full_like(state.rows, generator.begin) if first is None else first.to(state.rows)


def unroll_values(
    generator: Generator, state: Decoding, most: Tensor, choose: ChooseValue, *, copies: int, first: Tensor | None
) -> list[list[Hypothesis]]:
    """As `unroll`, where steps are vectors: each row ends where the generator ends it, or at its maximum length."""
    device, first = state.rows.device, first_steps(generator, state, first)
    repeat = torch.arange(len(first), device=device).repeat_interleave(copies)
    most = most.to(device)[repeat]
    totals = torch.zeros(len(repeat), dtype=torch.float64, device=device)
    finished = torch.zeros_like(repeat, dtype=torch.bool)
    generated: list[list[Tensor]] = [[] for _ in repeat]
    numbers = (most > 0).nonzero().squeeze(1)
    state, steps, step = state.reorder(repeat[numbers]), first[repeat[numbers]], 0
    while len(numbers):
        distribution, state = generator.step(steps, state)
        steps = choose(distribution, numbers, step).to(first)
        totals[numbers] += distribution.score(steps).double()
        finished[numbers] = generator.ended(steps)
        for number, value in zip(numbers.tolist(), steps.cpu()):
            if not value.isnan().all():  # an end that is no step of the target
                generated[number].append(value)
        step += 1
        keep = (~finished[numbers] & (most[numbers] > step)).nonzero().squeeze(1)
        if len(keep) < len(numbers):
            numbers, steps, state = numbers[keep], steps[keep], state.reorder(keep, forget=True)
    nothing = first.new_zeros(0, *first.shape[1:]).cpu()
    answers = [
        Hypothesis(torch.stack(values) if values else nothing, total, total, end)
        for values, total, end in zip(generated, totals.tolist(), finished.tolist())
    ]
    return _best_first(answers, copies)


def _best_first(answers: list[Hypothesis], copies: int) -> list[list[Hypothesis]]:
    every = [answers[start : start + copies] for start in range(0, len(answers), copies)]
    return [sorted(own, key=lambda answer: -answer.score) for own in every]


def unroll(
    generator: Generator,
    state: Decoding,
    most: Tensor,
    least: Tensor,
    choose: Choose,
    *,
    copies: int = 1,
    attention: bool,
    first: Tensor | None,
) -> list[list[Hypothesis]]:
    """Generates the symbols that `choose` chooses until each row has ended; `copies` answers to each example, the best
    first."""
    device, end, sources = state.rows.device, int(generator.end), state.source_lengths
    symbols = first_steps(generator, state, first)
    if copies > 1:
        repeat = torch.arange(len(symbols), device=device).repeat_interleave(copies)
        state, symbols = state.reorder(repeat), symbols[repeat]
    most, least = (bound.to(device).repeat_interleave(copies) for bound in (most, least))
    num_rows = len(symbols)
    totals = torch.zeros(num_rows, dtype=torch.float64, device=device)
    lengths = torch.zeros_like(symbols)
    finished = torch.zeros_like(symbols, dtype=torch.bool)
    alive = torch.ones_like(finished)
    numbers = torch.arange(num_rows, device=device)
    longest_least = int(least.max()) if num_rows else 0
    generated, weights = [], []
    step = 0
    while len(numbers):
        distribution, state = generator.step(symbols, state)
        scores = log_probabilities(distribution, generator.num_symbols)
        end_scores = scores[:, end].clone()
        forbid(scores, generator)
        length = counted(state, step)
        if step < longest_least or state.counted is not None:
            scores[:, end].masked_fill_(length < least, -torch.inf)
            stuck = scores.amax(1) == -torch.inf
            scores[:, end] = torch.where(stuck, end_scores, scores[:, end])
            wanted = torch.where(stuck, end, choose(scores, numbers, step))
        else:
            wanted = choose(scores, numbers, step)
        symbols = torch.where(length >= most, end, wanted)
        ended = symbols == end
        now = torch.where(ended, end_scores, scores.gather(1, symbols.unsqueeze(1)).squeeze(1)).double()
        totals[numbers] += torch.where(alive, now, 0)
        finished[numbers] = torch.where(alive & ended, wanted == end, finished[numbers])
        lengths[numbers] = torch.where(alive & ended, step, lengths[numbers])
        generated.append(torch.full_like(lengths, end).index_copy(0, numbers, symbols))
        if attention and state.attention:
            source = state.attention[0]
            weights.append(source.new_zeros(num_rows, source.shape[1]).index_copy(0, numbers, source))
        alive = alive & ~ended
        step += 1
        going = alive.view(-1, copies).any(1)
        num_going = int(going.sum())
        if num_going * 4 <= len(going) * 3:
            keep = going.repeat_interleave(copies).nonzero().squeeze(1)
            numbers, alive, symbols, most, least = (part[keep] for part in (numbers, alive, symbols, most, least))
            state = state.reorder(keep, forget=True)
    rows = torch.stack(generated, 1).tolist() if generated else [[] for _ in range(num_rows)]
    weights = torch.stack(weights, 1).cpu() if weights else None
    ends = zip(rows, lengths.tolist(), totals.tolist(), finished.tolist())
    answers = [
        Hypothesis(row[:length], total, total, end, cut_weights(weights, number, length, sources, number // copies))
        for number, (row, length, total, end) in enumerate(ends)
    ]
    return _best_first(answers, copies)


def cut_weights(weights: Tensor | None, row: int, length: int, sources: Tensor | None, example: int) -> Tensor | None:
    """(length + 1, S): the weights of one answer over its own source steps; a copy, so that it does not keep the
    batch."""
    if weights is None:
        return None
    return weights[row, : length + 1, : weights.shape[2] if sources is None else int(sources[example])].clone()
