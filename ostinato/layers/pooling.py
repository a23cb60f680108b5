"""One vector for a sequence, from what its encoder gives."""

from __future__ import annotations

from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from ostinato.kernels.watch import Attended, show_attention
from ostinato.steps import Layout, Steps

BLOCK = 64
"""Steps that are added one to the other: the sums of so many are added in turn, or in float32 thousands of steps would
lose digits."""

Pool = Literal["last", "mean", "max", "attention", "concatenated"]


class Read(Protocol):
    """What is pooled: the part of an encoder's `Encoded` that is read here, whose room is above this one."""

    @property
    def steps(self) -> Steps | None: ...

    @property
    def summary(self) -> Tensor | None: ...


class Pooling(nn.Module):
    """One vector per sequence.

        last        p = summary                     the encoder's own: of a recurrent one its last states
        mean        p = sum_t h[t] / T
        max         p = max_t h[t]                  of each number on its own
        attention   p = sum_t a[t] h[t]             a = softmax_t (v . tanh(W h[t] + b))
        concatenated p = [last; max; mean]

    A sequence without steps is summed up by zeros, save by `last`.

    Shapes:
        steps (N, size), or for `last` a summary (B, size); for `concatenated` both, together S + 2 H = size wide; gives
        (B, size)

    Args:
        kind: how.
        size: the width of what it gives.

    Errors:
        ValueError: the input has no steps, or for `last` no summary.

    Source: attention: Yang et al. 2016, aclanthology.org/N16-1174, equations 5 to 7, v being their u_w; concatenated:
        Howard and Ruder 2018, arXiv:1801.06146, section 3.3.
    """

    def __init__(self, kind: Pool, size: int):
        super().__init__()
        self.kind = kind
        self.size = size
        self.hidden = self.energy = None
        if kind == "attention":
            self.hidden = nn.Linear(size, size)
            self.energy = nn.Linear(size, 1, bias=False)

    def forward(self, encoded: Read, source: int = 0) -> Tensor:
        """One vector (B, size) for each sequence of an input, the one in this place of those that are read."""
        if self.kind in ("last", "concatenated"):
            if encoded.summary is None:
                raise ValueError(f"pooling: {self.kind}: this input gives no summary; choose mean, max or attention")
            if self.kind == "last":
                return encoded.summary
        if encoded.steps is None:
            raise ValueError(f"pooling: {self.kind}: this input gives no steps; choose last")
        if self.kind == "mean":
            return mean(encoded.steps)
        if self.kind == "concatenated":
            return torch.cat([encoded.summary, largest(encoded.steps), mean(encoded.steps)], 1)
        return largest(encoded.steps) if self.kind == "max" else self._attended(encoded.steps, source)

    def _attended(self, steps: Steps, source: int) -> Tensor:
        scores = self.energy(torch.tanh(self.hidden(steps.values)))
        if not steps.layout.longest:
            return _none(steps)
        # A sequence without steps has equal weights on padding, which is zero; elsewhere padding has weight zero.
        weights = steps.with_values(scores).padded(torch.finfo(scores.dtype).min).softmax(1)
        weights, layout = weights.transpose(1, 2), steps.layout

        def make() -> Attended:
            shares = weights * layout.mask.unsqueeze(1).to(weights.device)
            return Attended(self, shares, Layout.equal(len(layout), 1, layout.device), layout, "pooling", source)

        show_attention(make)
        return (weights.to(steps.values.dtype) @ steps.padded()).squeeze(1)

    def extra_repr(self) -> str:
        return self.kind


def mean(steps: Steps) -> Tensor:
    """The mean over the steps of each sequence, (B, H); zeros where there are none."""
    total = _total(steps)
    return (total / steps.layout.lengths.clamp(min=1).to(total).unsqueeze(1)).to(steps.values.dtype)


def largest(steps: Steps) -> Tensor:
    """The largest of each number over the steps of each sequence, (B, H); zeros where there are none."""
    if not steps.layout.longest:
        return _none(steps)
    highest = steps.padded(torch.finfo(steps.values.dtype).min).max(1).values
    empty = (steps.layout.lengths == 0).to(highest.device)
    return highest.masked_fill(empty.unsqueeze(1), 0)


def last(steps: Steps) -> Tensor:
    """The last step of each sequence, (B, H); zeros where there are none."""
    values, layout = steps.values, steps.layout
    ends = torch.where(layout.lengths > 0, layout.offsets[1:] - 1, layout.total)
    return torch.cat([values, values.new_zeros(1, values.shape[1])]).index_select(0, ends.to(values.device))


def words_of(begins: Tensor, layout: Layout) -> tuple[Layout, Layout]:
    """The layout of the pieces of each word, words being sequences, and that of the words of each sequence.

    Args:
        begins: (N,), 1 at a word's first piece, else 0; a sequence begins with one.
        layout: of the pieces.
    """
    marks = begins.cpu() != 0
    so_far = torch.cat([torch.zeros(1, dtype=torch.int64), marks.cumsum(0)])
    first = marks.nonzero().squeeze(1)
    pieces = torch.diff(first, append=torch.tensor([len(marks)]))
    return Layout(pieces, layout.device), Layout(torch.diff(so_far[layout.offsets]), layout.device)


def by_words(kind: Literal["first", "last", "mean"], steps: Steps, begins: Tensor) -> Steps:
    """One step per word: its first piece, its last, or the mean of its pieces.

    Shapes:
        steps (N, H); begins (N,), 1 at a word's first piece, else 0; returns (W, H)

    Source: Ács, Kádár and Kornai 2021, arXiv:2102.10864, section 3.
    """
    pieces, words = words_of(begins, steps.layout)
    if kind == "first":
        return Steps(steps.values.index_select(0, pieces.offsets[:-1].to(steps.values.device)), words)
    each = Steps(steps.values, pieces)
    return Steps(last(each) if kind == "last" else mean(each), words)


def sum_up(
    kind: Literal["last", "mean", "max"], steps: Steps, before: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor]:
    """The last step of each sequence, or the mean or the largest of all, and how many there were.

    Shapes:
        steps (N, H); before and returned: (B, H), zeros where there was no step, and (B, 1)
    """
    count = steps.layout.lengths.to(steps.values).unsqueeze(1)
    pooled = {"last": last, "mean": mean, "max": largest}[kind](steps)
    if before is None:
        return pooled, count
    earlier, seen = before
    if kind == "mean":
        together = (earlier * seen + pooled * count) / (seen + count).clamp(min=1)
    else:
        together = torch.maximum(earlier, pooled) if kind == "max" else pooled
    together = torch.where(count == 0, earlier, torch.where(seen == 0, pooled, together))
    return together, seen + count


def _total(steps: Steps) -> Tensor:
    """The sum over the steps of each sequence, (B, H), in float32 or float64; nothing is padded."""
    values, layout = steps.values, steps.layout
    values = values if values.dtype in (torch.float32, torch.float64) else values.float()
    while layout.longest > BLOCK:
        blocks = Layout(-(-layout.lengths // BLOCK), layout.device)
        index = blocks.offsets[:-1].to(layout.device)[layout.rows] + layout.positions // BLOCK
        values, layout = values.new_zeros(blocks.total, values.shape[1]).index_add(0, index, values), blocks
    return values.new_zeros(len(layout), values.shape[1]).index_add(0, layout.rows, values)


def _none(steps: Steps) -> Tensor:
    return steps.values.new_zeros(len(steps.layout), *steps.values.shape[1:])
