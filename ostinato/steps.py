"""The batch: a Layout maps steps to sequences, Steps holds the values of the real steps and nothing
else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import FrozenInstanceError, dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.utils import _pytree


class Layout:
    """How the steps of B sequences lie one after the other: made once per batch, shared by all that has these lengths.

    Every map is an index tensor, made at its first use and kept. Lengths and offsets stay on the CPU; maps live on
    `device`. A layout never changes: nothing can be assigned to it, and it keeps its own copy of the lengths.

    Shapes:
        lengths       (B,)    steps of each sequence
        offsets       (B+1,)  first step of each sequence in the packed order; the last entry is N
        total         N       real steps of the batch
        longest       T       steps of the longest sequence
        rows          (N,)    the sequence that a packed step belongs to
        positions     (N,)    the place of a packed step in its sequence
        padded_index  (N,)    row * T + position: where a packed step lies in a padded (B*T) batch
        mask          (B, T)  True on real steps
        order         (B,)    sequences from longest to shortest, ties in the given order
        alive         T ints  how many sequences have a step t: the widths of the time-major order
        time_major    (N,)    packed index of each step of the time-major order: step 0 of all in `order`, then step 1
        packed        (N,)    the inverse of `time_major`
        reversed      (N,)    packed index of the step that mirrors this one in its sequence
    """

    lengths: Tensor
    device: torch.device
    offsets: Tensor
    total: int
    longest: int

    def __init__(self, lengths: Tensor | list[int], device: torch.device | str = "cpu"):
        own = torch.as_tensor(lengths, dtype=torch.int64, device="cpu").clone()
        if own.ndim != 1 or bool((own < 0).any()):
            raise ValueError(f"lengths must be one row of numbers >= 0, got shape {tuple(own.shape)}: {lengths}")
        offsets = torch.zeros(len(own) + 1, dtype=torch.int64)
        torch.cumsum(own, 0, out=offsets[1:])
        longest = int(own.max()) if len(own) else 0
        vars(self).update(
            lengths=own, device=torch.device(device), offsets=offsets, total=int(offsets[-1]), longest=longest
        )

    def cut(self, longest: int) -> Iterator[tuple[Layout, Tensor]]:
        """Every sequence cut into parts of at most so many steps, first parts first: the layout of each and the places
        of its steps.

        A sequence that has ended has no step in a part.
        """
        starts = self.offsets[:-1].to(self.device)
        for start in range(0, max(1, self.longest), longest):
            part = Layout((self.lengths - start).clamp(0, longest), self.device)
            yield part, starts[part.rows] + start + part.positions

    @staticmethod
    def equal(rows: int, steps: int, device: torch.device | str = "cpu") -> Layout:
        """The layout of `rows` sequences of `steps` steps each; made without a look at data, so that a compiler can
        follow."""
        if rows < 0 or steps < 0:
            raise ValueError(f"a layout has no less than 0 sequences of 0 steps, got {rows} of {steps}")
        layout = object.__new__(Layout)
        vars(layout).update(
            lengths=torch.full((rows,), steps, dtype=torch.int64, device="cpu"),
            device=torch.device(device),
            offsets=torch.arange(rows + 1, device="cpu") * steps,
            total=rows * steps,
            longest=steps if rows else 0,
            full=True,
        )
        return layout

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"a layout never changes: cannot assign {name}; make a new one")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"a layout never changes: cannot delete {name}")

    def __len__(self) -> int:
        return len(self.lengths)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and torch.equal(self.lengths, other.lengths)

    def __hash__(self) -> int:
        return hash(tuple(self.lengths.tolist()))

    def __repr__(self) -> str:
        if not isinstance(self.lengths, Tensor):
            return f"Layout({self.lengths!r})"
        return f"Layout(B={len(self)}, N={self.total}, T={self.longest})"

    def to(self, device: torch.device | str) -> Layout:
        return self if torch.device(device) == self.device else Layout(self.lengths, device)

    @cached_property
    def _rows(self) -> Tensor:
        return torch.repeat_interleave(torch.arange(len(self)), self.lengths)

    @cached_property
    def _positions(self) -> Tensor:
        return torch.arange(self.total) - self.offsets[:-1][self._rows]

    @cached_property
    def rows(self) -> Tensor:
        return self._rows.to(self.device)

    @cached_property
    def positions(self) -> Tensor:
        return self._positions.to(self.device)

    @cached_property
    def padded_index(self) -> Tensor:
        return (self._rows * self.longest + self._positions).to(self.device)

    @cached_property
    def full(self) -> bool:
        """Whether all sequences are of one length, so that packed and padded are the same memory."""
        return self.total == len(self) * self.longest

    @cached_property
    def mask(self) -> Tensor:
        return (torch.arange(self.longest) < self.lengths[:, None]).to(self.device)

    @cached_property
    def order(self) -> Tensor:
        return torch.argsort(self.lengths, descending=True, stable=True).to(self.device)

    @cached_property
    def alive(self) -> tuple[int, ...]:
        ended = torch.bincount(self.lengths, minlength=self.longest + 1)
        return tuple((len(self) - torch.cumsum(ended, 0))[: self.longest].tolist())

    @cached_property
    def time_major(self) -> Tensor:
        rank = torch.empty(len(self), dtype=torch.int64)
        rank[self.order.cpu()] = torch.arange(len(self))
        return torch.argsort(self._positions * max(1, len(self)) + rank[self._rows], stable=True).to(self.device)

    @cached_property
    def packed(self) -> Tensor:
        inverse = torch.empty(self.total, dtype=torch.int64)
        inverse[self.time_major.cpu()] = torch.arange(self.total)
        return inverse.to(self.device)

    @cached_property
    def reversed(self) -> Tensor:
        last = (self.offsets[1:] - 1)[self._rows]
        return (last - self._positions).to(self.device)

    def sums(self, values: Tensor) -> Tensor:
        """The sum over the steps of each sequence, (N,) to (B,); of real numbers in float64, since a sequence may have
        millions."""
        exact = values.double() if values.is_floating_point() else values
        return exact.new_zeros(len(self)).index_add(0, self.rows, exact).to(values.dtype)

    def grow(self, steps: int) -> Layout:
        """The layout of the same sequences with `steps` more (or, below zero, fewer) steps each; none falls below
        zero."""
        return Layout((self.lengths + steps).clamp(min=0), self.device)


@dataclass(frozen=True, eq=False)
class Steps:
    """Values of the real steps, sequence after sequence, and the layout of these.

    Shapes:
        values  (N, ...)
    """

    values: Tensor
    layout: Layout

    def __post_init__(self) -> None:
        shape = getattr(self.values, "shape", None)
        if isinstance(self.values, Tensor) and (not shape or shape[0] != self.layout.total):
            raise ValueError(
                f"values of shape {tuple(shape or ())} do not fit a layout of {self.layout.total} steps {self.layout}"
            )

    @staticmethod
    def of(sequences: list[Tensor]) -> Steps:
        """The batch of these sequences, each (T_b, ...)."""
        return Steps(torch.cat(sequences), Layout([len(one) for one in sequences], sequences[0].device))

    @staticmethod
    def from_padded(values: Tensor, layout: Layout) -> Steps:
        """Takes the real steps out of a padded (B, T, ...) batch; T may exceed the longest sequence."""
        if values.shape[0] != len(layout) or values.shape[1] < layout.longest:
            raise ValueError(f"a padded batch of shape {tuple(values.shape)} does not hold {layout}")
        if layout.full and values.shape[1] == layout.longest:
            return Steps(values.flatten(0, 1), layout)
        index = (
            layout.padded_index
            if values.shape[1] == layout.longest
            else layout.rows * values.shape[1] + layout.positions
        )
        return Steps(values.flatten(0, 1).index_select(0, index), layout)

    def padded(self, fill: float = 0.0) -> Tensor:
        """The batch as (B, T, ...), with `fill` where a sequence has ended."""
        size = (len(self.layout), self.layout.longest)
        if self.layout.full:
            return (
                self.values.unflatten(0, size)
                if self.layout.total
                else self.values.new_empty(size + self.values.shape[1:])
            )
        flat = self.values.new_full((size[0] * size[1], *self.values.shape[1:]), fill)
        return flat.index_copy(0, self.layout.padded_index, self.values).unflatten(0, size)

    def reversed(self) -> Steps:
        """Each sequence from its last step to its first."""
        return Steps(self.values.index_select(0, self.layout.reversed), self.layout)

    def with_values(self, values: Tensor) -> Steps:
        return Steps(values, self.layout)

    def prepended(self, value: float, rows: Tensor | None = None) -> Steps:
        """Each sequence with a step of `value` before its first; with `rows` (B,), on the CPU, those alone where it is
        true."""
        more = torch.ones_like(self.layout.lengths) if rows is None else rows.long()
        return self._grown(value, more, more.cumsum(0))

    def appended(self, value: float, rows: Tensor | None = None) -> Steps:
        """Each sequence with a step of `value` after its last; with `rows` (B,), on the CPU, those alone where it is
        true."""
        more = torch.ones_like(self.layout.lengths) if rows is None else rows.long()
        return self._grown(value, more, more.cumsum(0) - more)

    def without_first(self) -> Steps:
        """Each sequence but its first step; one without steps stays so."""
        less = (self.layout.lengths > 0).long()
        return self._shrunk(less.cumsum(0))

    def without_last(self) -> Steps:
        """Each sequence but its last step; one without steps stays so."""
        less = (self.layout.lengths > 0).long()
        return self._shrunk(less.cumsum(0) - less)

    def _grown(self, value: float, more: Tensor, shift: Tensor) -> Steps:
        """With `more` (B,) steps of `value` in each sequence, whose own steps move on by `shift` (B,)."""
        layout = Layout(self.layout.lengths + more, self.layout.device)
        places = torch.arange(self.layout.total) + shift[self.layout._rows]
        grown = self.values.new_full((layout.total, *self.values.shape[1:]), value)
        return Steps(grown.index_copy(0, places.to(self.values.device), self.values), layout)

    def _shrunk(self, shift: Tensor) -> Steps:
        """With a step less in each sequence that has one; the steps that stay move back by `shift` (B,)."""
        layout = self.layout.grow(-1)
        places = torch.arange(layout.total) + shift[layout._rows]
        return Steps(self.values.index_select(0, places.to(self.values.device)), layout)

    def select(self, rows: Tensor) -> Steps:
        """These sequences alone, in this order; `rows` (R,) may name one twice."""
        chosen = rows.cpu()
        layout = Layout(self.layout.lengths[chosen], self.layout.device)
        index = self.layout.offsets[:-1][chosen][layout._rows] + layout._positions
        return Steps(self.values.index_select(0, index.to(self.values.device)), layout)

    def split(self) -> list[Tensor]:
        """One tensor (T_b, ...) per sequence."""
        return list(self.values.split(self.layout.lengths.tolist()))

    def to(self, device: torch.device | str) -> Steps:
        return Steps(self.values.to(device), self.layout.to(device))


_pytree.register_pytree_node(
    Layout,
    lambda layout: ([layout.lengths], layout.device),
    lambda children, device: _rebuilt(next(iter(children)), device),
    serialized_type_name="ostinato.Layout",
)
_pytree.register_pytree_node(
    Steps,
    lambda steps: ([steps.values, steps.layout], None),
    lambda children, _: Steps(*children),
    serialized_type_name="ostinato.Steps",
)


def _rebuilt(lengths: object, device: torch.device) -> Layout:
    """A layout from a pytree's leaf, which need not be a tensor while a tree is only being mapped."""
    if isinstance(lengths, Tensor):
        return Layout(lengths, device)
    layout = object.__new__(Layout)
    vars(layout).update(lengths=lengths, device=device, offsets=None, total=0, longest=0)
    return layout
