"""Hidden vectors and weights of attention made visible: while a probe watches, every recurrence, every layer and every
attention shows its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from ostinato.kernels.contract import State
from ostinato.steps import Layout


class Shown(NamedTuple):
    """The vectors of one layer, or of one direction of it, over a batch.

    Args:
        by: the module that they belong to: a cell, or a layer without a recurrence.
        added: zeros (N, S) that were added to the vectors, whose gradient is therefore that of the vectors; of a
            recurrence S counts all numbers that it hands from step to step (an LSTM's h and c).
        layout: of the steps.
        is_input: whether they are embedded inputs, which no layer has read yet.
        reverse: whether a recurrence reads from the last step to the first; None: there is none.
    """

    by: Any
    added: Tensor
    layout: Layout
    is_input: bool
    reverse: bool | None


Change = Callable[[Any, Tensor, Layout], Tensor]
"""From who embeds an input, the vectors (N, E) and the layout of its steps to what is read in their place."""


class Watch:
    """What was shown since it began, from the input up.

    Args:
        change: of embedded inputs; None: they stay as they are.
    """

    def __init__(self, change: Change | None = None) -> None:
        self.shown: list[Shown] = []
        self._change = change

    def show(self, by: Any, values: Tensor, layout: Layout, is_input: bool) -> Tensor:
        """The vectors (N, S) of a layer, to go on with in their place."""
        if is_input:
            values = self.changed(by, values, layout)
        return values + self._zeros(by, values, values.shape[1], layout, is_input, None)

    @property
    def changes(self) -> bool:
        """Whether embedded inputs are changed."""
        return self._change is not None

    def changed(self, by: Any, values: Tensor, layout: Layout) -> Tensor:
        """Embedded steps (N, E) of an input, or what is read in their place."""
        return values if self._change is None else self._change(by, values, layout)

    def show_states(
        self, by: Any, state: State, layout: Layout, reverse: bool, time_major: Tensor
    ) -> tuple[tuple[Tensor, ...], ...]:
        """What is to be added to the states of a recurrence after each of its steps.

        Args:
            by: the cell.
            state: before the first step.
            layout: of the steps.
            reverse: whether it reads from the last step to the first.
            time_major: the packed index of each step in the order in which it reads.
        """
        sizes = [part.shape[1] for part in state]
        added = self._zeros(by, state[0], sum(sizes), layout, False, reverse)
        return tuple(part.split(sizes, 1) for part in added.index_select(0, time_major).split(layout.alive))

    def _zeros(self, by: Any, like: Tensor, size: int, layout: Layout, is_input: bool, reverse: bool | None) -> Tensor:
        added = like.new_zeros(layout.total, size, requires_grad=True)
        self.shown.append(Shown(by, added, layout, is_input, reverse))
        return added


_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


def watching() -> Watch | None:
    """Who watches, or None."""
    return _watch.get()


@contextmanager
def watched(change: Change | None = None) -> Iterator[Watch]:
    """Watches what is computed inside a `with`, and changes embedded inputs there.

    Recurrences show their states where the reference kernel computes them (`dispatch.forced`).
    """
    token = _watch.set(watch := Watch(change))
    try:
        yield watch
    finally:
        _watch.reset(token)


def goes_unseen(module: nn.Module) -> bool:
    """Whether a module may be computed without its parts: no gradient, no training, nobody who watches."""
    return not (module.training or torch.is_grad_enabled() or watching() is not None)


def changing() -> bool:
    """Whether who watches changes embedded inputs."""
    watch = _watch.get()
    return watch is not None and watch.changes


def changed(by: Any, values: Tensor, layout: Layout) -> Tensor:
    """Vectors (N, S) of the steps of an input, whose sum is all that is read of it, as who watches changes them."""
    watch = _watch.get()
    return values if watch is None else watch.changed(by, values, layout)


def shown(by: Any, values: Tensor, layout: Layout, *, is_input: bool = False) -> Tensor:
    """The vectors (N, S) of a layer; through who watches, if somebody does."""
    watch = _watch.get()
    return values if watch is None else watch.show(by, values, layout, is_input)


class Attended(NamedTuple):
    """The weights of one attention over a batch of whole sequences.

    Shapes:
        weights (N, A, S): of each packed query and head over the steps of its own sequence of keys, S at least the
        longest; their sum is 1, and 0 where there are no steps; 0 on what a query does not see and on padding

    Args:
        by: the module that attends; of several in one part of a model, layer by layer.
        weights: as above; with one head A is 1.
        queries: the layout of the N queries.
        keys: that of the steps attended to, of as many sequences.
        kind: whether a sequence attends to its own steps or to those of an input, is pooled into a vector, or copies
            steps of an input.
        source: which of the inputs that this part of a model reads, by position; of no meaning where a sequence attends
            to itself.
    """

    by: Any
    weights: Tensor
    queries: Layout
    keys: Layout
    kind: Literal["self-attention", "cross-attention", "pooling", "copying"]
    source: int = 0


_attended: ContextVar[list[Attended] | None] = ContextVar("attended", default=None)


@contextmanager
def attention_watched() -> Iterator[list[Attended]]:
    """What attends while whole sequences are read inside a `with`, in this order.

    A decoder's native loop shows nothing; the reference kernel takes its place by `dispatch.forced`.
    """
    token = _attended.set(seen := [])
    try:
        yield seen
    finally:
        _attended.reset(token)


def show_attention(make: Callable[[], Attended]) -> None:
    """Shows weights, made for who watches alone."""
    seen = _attended.get()
    if seen is not None:
        seen.append(make())
