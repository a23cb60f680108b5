"""What searches share: log-probabilities, the best of many, forgetting what is done, saying one symbol after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from pydantic import Field, Strict
from torch import Tensor

from ostinato.errors import BundleError, ConfigError
from ostinato.heads.contract import ANSWERED, Decoding, Generator
from ostinato.layers.attend import Memory

Whole = Annotated[int, Field(ge=0)]
"""A whole number from 0 up."""
StopTexts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Strict(False)]
"""Texts that end an answer."""
Choose = Callable[[Tensor, Tensor, int], Tensor]
"""(scores (R, V) log-probabilities with -inf where a symbol may not be said, numbers (R,) of the rows, step) -> symbols (R,)."""


def check_lengths(kind: str, min_length: int, max_length: int | None) -> None:
    if max_length is not None and min_length > max_length:
        raise ConfigError(
            f"search ({kind}): min_length {min_length} is above max_length {max_length}; lower the first or raise the second"
        )


def bounds(max_length: Tensor, own_max: int | None, own_min: int) -> tuple[Tensor, Tensor]:
    """(most, least) symbols of each example; where the example's own maximum is below the minimum, the maximum holds."""
    most = max_length if own_max is None else max_length.clamp(max=own_max)
    return most, most.clamp(max=own_min)


def log_probabilities(logits: Tensor) -> Tensor:
    """(R, V) in float32 or float64, a new tensor. On CPUs torch's log_softmax is twice as fast as its logsumexp (R 320, V 6,000).

    Errors:
        BundleError: a row is not a distribution.
    """
    scores = torch.log_softmax(logits if logits.dtype in (torch.float32, torch.float64) else logits.float(), 1)
    if not bool(torch.isfinite(scores.amax(1)).all()):
        raise BundleError(
            "the model's scores for the next symbol are not numbers (NaN or infinite): its weights are damaged or its training "
            "diverged; take an earlier checkpoint, or train again with a lower learning rate"
        )
    return scores


def best(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` highest of each row (R, V) and their places, from the highest down; of equals the lower place first."""
    size = scores.shape[1]
    if count >= size:
        values, places = scores.sort(dim=1, descending=True, stable=True)
        return values, places
    values, places = scores.topk(count + 1, 1)
    equal = (values[:, 1:] == values[:, :-1]) & (values[:, 1:] > -torch.inf)
    if bool(equal.any()):  # topk gives equals in any order, and any of those that stand at its end
        places, order = places.sort(1)
        values, order = values.gather(1, order).sort(dim=1, descending=True, stable=True)
        places = places.gather(1, order)
        cut = equal[:, count - 1].nonzero().squeeze(1)
        if len(cut):
            whole, whole_places = scores.index_select(0, cut).sort(dim=1, descending=True, stable=True)
            values[cut], places[cut] = whole[:, : count + 1], whole_places[:, : count + 1]
    return values[:, :count], places[:, :count]


def attended(state: Decoding) -> Memory | None:
    """The first memory of a state that is attended to, the one behind `state.attention[0]`."""
    return next((entry for entry in _entries(state.memory) if isinstance(entry, Memory)), None)


def source_lengths(state: Decoding) -> list[int] | None:
    memory = attended(state)
    return None if memory is None else memory.layout.lengths[state.rows.cpu()].tolist()


def forget(state: Decoding) -> Decoding:
    """The state without the examples that no hypothesis reads, so that stragglers do not drag the whole batch along.

    A memory of a kind that cannot be cut stays whole; hypotheses then go on reading it by their rows.
    """
    examples, rows = torch.unique(state.rows, return_inverse=True)
    if not all(entry is None or isinstance(entry, (Memory, Tensor)) for entry in _entries(state.memory)):
        return state
    return replace(state, memory=_taken(state.memory, examples), rows=rows)


def _entries(memory: Any) -> Iterator[Any]:
    """What a memory holds; an ensemble's holds a tuple for each member."""
    if type(memory) is tuple:
        for entry in memory:
            yield from _entries(entry)
    else:
        yield memory


def _taken(memory: Any, examples: Tensor) -> Any:
    if type(memory) is tuple:
        return tuple(_taken(entry, examples) for entry in memory)
    if isinstance(memory, Memory):
        return memory.take(examples)
    return None if memory is None else memory.index_select(0, examples)


def answered(state: Decoding, step: int) -> Tensor:
    """(R,) how many of the `step` symbols that each hypothesis has said are of its answer, -1 where it has yet to begin."""
    return state.values.get(ANSWERED, torch.full_like(state.rows, step))


def first_symbols(generator: Generator, state: Decoding, first: Tensor | None) -> Tensor:
    return torch.full_like(state.rows, generator.begin) if first is None else first.to(state.rows)


@dataclass(frozen=True)
class Unrolled:
    """Rows said one symbol after another, on the CPU.

    Shapes:
        symbols (R, T); lengths, log_probability, finished (R,); attention (R, T + 1, S) or None
    """

    symbols: Tensor
    lengths: Tensor
    log_probability: Tensor
    finished: Tensor
    attention: Tensor | None


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
) -> Unrolled:
    """Says what `choose` chooses until each row has said its end. `copies` rows of an example stand one after the other."""
    device, end = state.rows.device, generator.end
    said = first_symbols(generator, state, first)
    if copies > 1:
        repeat = torch.arange(len(said), device=device).repeat_interleave(copies)
        state, said = state.reorder(repeat), said[repeat]
    most, least = (bound.to(device).repeat_interleave(copies) for bound in (most, least))
    num_rows = len(said)
    totals = torch.zeros(num_rows, dtype=torch.float64, device=device)
    lengths = torch.zeros_like(said)
    finished = torch.zeros_like(said, dtype=torch.bool)
    alive = torch.ones_like(finished)
    numbers = torch.arange(num_rows, device=device)
    longest_least = int(least.max()) if num_rows else 0
    symbols, weights = [], []
    step = 0
    while len(numbers):
        logits, state = generator.step(said, state)
        scores = log_probabilities(logits)
        end_scores = scores[:, end].clone()
        if generator.begin != end:
            scores[:, generator.begin] = -torch.inf
        length = answered(state, step)
        if step < longest_least or ANSWERED in state.values:
            scores[:, end].masked_fill_(length < least, -torch.inf)
            stuck = scores.amax(1) == -torch.inf
            scores[:, end] = torch.where(stuck, end_scores, scores[:, end])
            wanted = torch.where(stuck, end, choose(scores, numbers, step))
        else:
            wanted = choose(scores, numbers, step)
        said = torch.where(length >= most, end, wanted)
        ended = said == end
        now = torch.where(ended, end_scores, scores.gather(1, said.unsqueeze(1)).squeeze(1)).double()
        totals[numbers] += torch.where(alive, now, 0)
        finished[numbers] = torch.where(alive & ended, wanted == end, finished[numbers])
        lengths[numbers] = torch.where(alive & ended, step, lengths[numbers])
        symbols.append(torch.full_like(lengths, end).index_copy(0, numbers, said))
        if attention and state.attention:
            source = state.attention[0]
            weights.append(source.new_zeros(num_rows, source.shape[1]).index_copy(0, numbers, source))
        alive = alive & ~ended
        step += 1
        going = alive.view(-1, copies).any(1)
        num_going = int(going.sum())
        if num_going * 4 <= len(going) * 3:
            keep = going.repeat_interleave(copies).nonzero().squeeze(1)
            numbers, alive, said, most, least = (one[keep] for one in (numbers, alive, said, most, least))
            state = forget(state.reorder(keep))
    return Unrolled(
        torch.stack(symbols, 1).cpu() if symbols else lengths.cpu()[:, None],
        lengths.cpu(),
        totals.cpu(),
        finished.cpu(),
        torch.stack(weights, 1).cpu() if weights else None,
    )


def cut_weights(
    weights: Tensor | None, row: int, length: int, sources: list[int] | None, example: int
) -> Tensor | None:
    """(length + 1, S): the weights of one answer over its own source steps; a copy, so that it does not keep the batch."""
    if weights is None:
        return None
    return weights[row, : length + 1, : weights.shape[2] if sources is None else sources[example]].clone()
