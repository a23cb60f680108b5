"""The recurrence in plain torch: the meaning that every faster kernel must match, on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from ostinato.kernels.contract import Product, Recurrence, State
from ostinato.kernels.watch import watching
from ostinato.steps import Layout


def scan(
    cell: Recurrence,
    x: Tensor,
    state: State,
    layout: Layout,
    *,
    reverse: bool = False,
    state_mask: Tensor | None = None,
) -> tuple[Tensor, State]:
    """A whole ragged batch, sequences from longest to shortest, each step over those still alive; see `Kernel`.

    The input's products are made for all steps at once, and so are the weights' gradients (`DeferredLinear`). A cell
    that computes all steps at once (`Cell.parallel`) does so, unless its states are watched.
    """
    if not layout.longest:
        return state[0].new_zeros(0, state[0].shape[1]), state
    watch = watching()
    if cell.parallel and watch is None:
        return _whole(cell, x, state, layout, reverse)
    order = layout.order
    state = tuple(part.index_select(0, order) for part in state)
    into, back = layout.time_major, layout.packed
    if reverse:
        into, back = layout.reversed.index_select(0, into), back.index_select(0, layout.reversed)
    gates = cell.input_gates(_Permuted.apply(x, into, back)).to(state[0].dtype).split(layout.alive)
    products = step_products = cell.products()
    mask = None if state_mask is None else state_mask.index_select(0, order)
    ended: list[State] = []
    hidden = []
    width = len(layout)
    added = None if watch is None else watch.show_states(cell, state, layout, reverse, into)
    for number, gates_x in enumerate(gates):
        if (alive := len(gates_x)) < width:
            ended.append(tuple(part[alive:] for part in state))
            state = tuple(part[:alive] for part in state)
        if mask is not None and (alive < width or not hidden):
            step_products = _masked(products, mask[:alive])
        width = alive
        state = cell.step(gates_x, state, step_products)
        if added is not None:
            state = tuple(part + zeros for part, zeros in zip(state, added[number]))
        hidden.append(state[0])
    last = tuple(torch.cat([parts[k] for parts in (state, *reversed(ended))]) for k in range(len(state)))
    return _Permuted.apply(torch.cat(hidden), back, into), _unsorted(last, order)


def _whole(cell: Recurrence, x: Tensor, state: State, layout: Layout, reverse: bool) -> tuple[Tensor, State]:
    gates = cell.input_gates(x).to(state[0].dtype)
    if not reverse:
        return cell.whole(gates, state, layout)
    mirror = layout.reversed
    hidden, last = cell.whole(_Permuted.apply(gates, mirror, mirror), state, layout)
    return _Permuted.apply(hidden, mirror, mirror), last


def _masked(products: tuple[Product, ...], mask: Tensor) -> tuple[Product, ...]:
    return tuple(lambda h, product=product: product(h * mask) for product in products)


def _unsorted(state: State, order: Tensor) -> State:
    back = torch.argsort(order)
    return tuple(part.index_select(0, back) for part in state)


class _Permuted(torch.autograd.Function):
    """Rows in another order; the gradient is gathered by the inverse, many times faster than index_select's scatter."""

    @staticmethod
    def forward(ctx, values: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(index, inverse)
        return values.index_select(0, index)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        index, inverse = ctx.saved_tensors
        return _Permuted.apply(gradient, inverse, index), None, None
