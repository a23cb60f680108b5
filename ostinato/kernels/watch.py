"""Hidden vectors made visible: while a probe watches, every recurrence and every layer shows its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from torch import Tensor

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
        if is_input and self._change is not None:
            values = self._change(by, values, layout)
        return values + self._zeros(by, values, values.shape[1], layout, is_input, None)

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


def shown(by: Any, values: Tensor, layout: Layout, *, is_input: bool = False) -> Tensor:
    """The vectors (N, S) of a layer; through who watches, if somebody does."""
    watch = _watch.get()
    return values if watch is None else watch.show(by, values, layout, is_input)
