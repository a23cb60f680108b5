"""Batches as torch.nn takes them (padded, packed, one sequence) to steps and back, with the least copying."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ostinato.kernels import operators
from ostinato.steps import Layout, Steps

Sequences = Tensor | PackedSequence | Steps
"""What a drop-in module reads, and gives back in the same form."""

Lengths = Tensor | Sequence[int]


class Batch(NamedTuple):
    """The real steps of what a caller gave, and the way back.

    Shapes:
        values (N, I); order, inverse (B,) or None

    Args:
        values: the steps, sequence after sequence.
        layout: whose they are.
        back: hidden states (N, H) in the form in which the steps came.
        order: the caller's sequences in the order of the layout; None where that is the caller's own.
        inverse: the way back from `order`.
        single: whether it is one sequence without a batch dimension.
    """

    values: Tensor
    layout: Layout
    back: Callable[[Tensor], Sequences]
    order: Tensor | None = None
    inverse: Tensor | None = None
    single: bool = False


def of_steps(steps: Steps) -> Batch:
    return Batch(steps.values, steps.layout, steps.with_values)


def of_packed(packed: PackedSequence) -> Batch:
    """Torch's packed batch is time-major, longest sequence first: the layout is that of the sorted sequences.

    Errors:
        RuntimeError: the batch sizes do not add up to the steps.
    """
    data, sizes, order, inverse = packed
    # How many sequences end after each step; from the shortest to the longest, turned round.
    ended = sizes - torch.cat([sizes[1:], sizes.new_zeros(1)])
    layout = Layout(torch.repeat_interleave(torch.arange(1, len(sizes) + 1), ended).flip(0), data.device)
    if layout.total != len(data):
        raise RuntimeError(
            f"a PackedSequence has data of shape {tuple(data.shape)}, and its batch_sizes add up to {layout.total}"
            " steps"
        )

    def back(hidden: Tensor) -> PackedSequence:
        return PackedSequence(hidden.index_select(0, layout.time_major), sizes, order, inverse)

    return Batch(data.index_select(0, layout.packed), layout, back, order, inverse)


def of_single(sequence: Tensor) -> Batch:
    """One sequence, (T, I)."""
    return Batch(sequence, _full(1, sequence.shape[0], sequence), lambda hidden: hidden, single=True)


def of_padded(padded: Tensor, batch_first: bool, lengths: Lengths | None) -> Batch:
    """A batch (T, B, I), or (B, T, I) with `batch_first`; without lengths every step is a real one.

    The hidden states come back as long as the input, whatever the longest sequence is, and zero after each one's end.

    Errors:
        TypeError: lengths that are not whole numbers.
        ValueError: as many lengths as there are sequences are needed, each from 0 to T.
    """
    rows, steps = padded.shape[:2] if batch_first else (padded.shape[1], padded.shape[0])
    layout = _full(rows, steps, padded) if lengths is None else _ragged(lengths, rows, steps, padded)
    if lengths is None or layout.total == rows * steps:
        if batch_first or rows == 1 or steps == 1:
            return Batch(padded.flatten(0, 1), layout, lambda hidden: hidden.view(*padded.shape[:2], hidden.shape[1]))
        # Contiguous, as torch's is: callers call view next.
        return Batch(
            padded.transpose(0, 1).flatten(0, 1),
            layout,
            lambda hidden: hidden.view(rows, steps, hidden.shape[1]).transpose(0, 1).contiguous(),
        )
    index = layout.rows * steps + layout.positions if batch_first else layout.positions * rows + layout.rows

    def back(hidden: Tensor) -> Tensor:
        flat = hidden.new_zeros(rows * steps, hidden.shape[1]).index_copy_(0, index, hidden)
        return flat.view(*padded.shape[:2], hidden.shape[1])

    return Batch(padded.flatten(0, 1).index_select(0, index), layout, back)


def _full(rows: int, steps: int, values: Tensor) -> Layout:
    # What is traced is no layout for later calls.
    return (Layout.equal if operators.is_traced(values) else _kept)(rows, steps, values.device)


@functools.lru_cache(maxsize=8)
def _kept(rows: int, steps: int, device: torch.device) -> Layout:
    # Kept, so that a model that steps through a stream makes its maps once.
    return Layout.equal(rows, steps, device)


def _ragged(lengths: Lengths, rows: int, steps: int, padded: Tensor) -> Layout:
    counts = torch.as_tensor(lengths)
    if counts.numel() and (counts.is_floating_point() or counts.is_complex() or counts.dtype == torch.bool):
        raise TypeError(f"lengths must be whole numbers, got {counts.dtype}")
    shape = tuple(padded.shape)
    if counts.shape != (rows,):
        counts = tuple(counts.shape)
        raise ValueError(f"lengths must be one number per sequence, ({rows},) for input {shape}, got shape {counts}")
    if rows and not 0 <= int(counts.min()) <= int(counts.max()) <= steps:
        raise ValueError(f"lengths must lie between 0 and {steps} for input of shape {shape}, got {counts.tolist()}")
    return Layout(counts, padded.device)
