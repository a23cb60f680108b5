"""Linear recurrences: natively step by step, in torch of all steps at once, without a loop over time."""

from __future__ import annotations

import torch
from torch import Tensor

from ostinato.kernels.dispatch import native_is_allowed
from ostinato.kernels.native import DTYPES, wants_gradient
from ostinato.kernels.native_library import library
from ostinato.kernels.structures import LinearScan
from ostinato.steps import Layout


def linear_scan(keep: Tensor, add: Tensor, start: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """The states of a recurrence that is linear in them, number by number.

        h[t] = keep[t] * h[t-1] + add[t]                 h[-1] = start of the sequence

    The native library goes through each sequence once; complex numbers, and what is not on a CPU, are computed by
    torch. There the sequences lie one after the other and are computed as one, in which the first step of each keeps
    nothing: no padding is computed. That one is cut into about sqrt(N) pieces of as many steps, all of which are
    computed side by side from 0, then piece after piece gets the state after the one before:

        h[t] = local[t] + (product of keep from the piece's start to t) * h[before the piece]

    which takes 2 sqrt(N) operations in place of N. Nothing is divided, so no product that falls to 0 does harm. The
    gradient is the same recurrence backwards.

    Shapes:
        keep, add (N, H), real or complex; start (B, H); returns (N, H), and the state after each last step (B, H)

    Source: Blelloch 1990, Prefix sums and their applications, CMU-CS-90-190, section 1.4; Martin and Cundy 2018,
        arXiv:1709.04057, section 2.
    """
    tensors = (keep, add, start)
    if native_is_allowed(tensors):
        given = (*(tensor.contiguous() for tensor in tensors), layout.offsets)
        hidden = _Native.apply(*given) if wants_gradient(tensors) else _natively(*given)
    else:
        hidden = _at_once(*tensors, layout.offsets)
    return hidden, at_ends(hidden, start, layout)


def at_ends(hidden: Tensor, start: Tensor, layout: Layout) -> Tensor:
    """The vector of the last step of each sequence, from those of all steps (N, H); its start (B, H) where it has
    none."""
    if bool((layout.lengths > 0).all()):
        return hidden.index_select(0, (layout.offsets[1:] - 1).to(hidden.device))
    rows = torch.arange(len(layout)) + len(hidden)
    ends = torch.where(layout.lengths > 0, layout.offsets[1:] - 1, rows).to(hidden.device)
    return torch.cat([hidden, start]).index_select(0, ends)


def _structure(keep: Tensor, start: Tensor, offsets: Tensor, hidden: Tensor) -> LinearScan:
    return LinearScan(
        is_double=DTYPES[keep.dtype],
        B=len(start),
        N=len(keep),
        H=keep.shape[1],
        offsets=offsets.data_ptr(),
        keep=keep.data_ptr(),
        start=start.data_ptr(),
        hidden=hidden.data_ptr(),
    )


def _natively(keep: Tensor, add: Tensor, start: Tensor, offsets: Tensor) -> Tensor:
    hidden = torch.empty_like(add)
    given = _structure(keep, start, offsets, hidden)
    given.add = add.data_ptr()
    library().linear_scan_forward(given)
    return hidden


class _Native(torch.autograd.Function):
    @staticmethod
    def forward(ctx, keep: Tensor, add: Tensor, start: Tensor, offsets: Tensor) -> Tensor:
        hidden = _natively(keep, add, start, offsets)
        ctx.save_for_backward(keep, add, start, offsets, hidden)
        return hidden

    @staticmethod
    def backward(ctx, d_hidden: Tensor) -> tuple[Tensor | None, ...]:
        keep, add, start, offsets, hidden = ctx.saved_tensors
        if torch.is_grad_enabled():
            # Itself recorded: torch's own way has every further derivative.
            wanted = [tensor for tensor, asked in zip((keep, add, start), ctx.needs_input_grad) if asked]
            again = _at_once(keep, add, start, offsets)
            found = iter(torch.autograd.grad(again, wanted, d_hidden, create_graph=True))
            return *(next(found) if asked else None for asked in ctx.needs_input_grad[:3]), None
        d_hidden = d_hidden.contiguous()
        d_keep, d_add, d_start = (torch.empty_like(tensor) for tensor in (keep, add, start))
        given = _structure(keep, start, offsets, hidden)
        given.d_hidden, given.d_keep = d_hidden.data_ptr(), d_keep.data_ptr()
        given.d_add, given.d_start = d_add.data_ptr(), d_start.data_ptr()
        library().linear_scan_backward(given)
        return d_keep, d_add, d_start, None


def _at_once(keep: Tensor, add: Tensor, start: Tensor, offsets: Tensor) -> Tensor:
    begun = (offsets.diff() > 0).nonzero().squeeze(1).to(keep.device)
    first = offsets[:-1].to(keep.device)[begun]
    add = add.index_add(0, first, keep.index_select(0, first) * start.index_select(0, begun))
    return _Scan.apply(keep.index_fill(0, first, 0), add)


class _Scan(torch.autograd.Function):
    """h[t] = a[t] h[t-1] + b[t] from h = 0."""

    @staticmethod
    def forward(ctx, a: Tensor, b: Tensor) -> Tensor:
        h = _scan(a, b)
        ctx.save_for_backward(a, h)
        return h

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        # g[t] = dh[t] + conj(a[t+1]) g[t+1]: the same from the last step to the first.
        a, h = ctx.saved_tensors
        before = torch.cat([h.new_zeros(1, h.shape[1]), h[:-1]])
        following = torch.cat([a[1:], a.new_zeros(1, a.shape[1])]).conj()
        db = _Scan.apply(following.flip(0), gradient.flip(0)).flip(0)
        return db * before.conj(), db


SHORT = 16
"""Steps up to which one after the other takes no more operations."""


def _scan(a: Tensor, b: Tensor) -> Tensor:
    steps = len(b)
    if steps <= SHORT:
        return torch.cat(_one_by_one(a, b)) if steps else b
    length = int(steps**0.5)
    pieces = -(-steps // length)
    padding = (0, 0, 0, pieces * length - steps)
    # (length, pieces, H): what is computed side by side lies side by side.
    a, b = (
        torch.nn.functional.pad(part, padding).unflatten(0, (pieces, length)).transpose(0, 1).contiguous()
        for part in (a, b)
    )
    for step in range(1, length):
        b[step].addcmul_(a[step], b[step - 1])
        a[step] *= a[step - 1]
    after = _scan(a[-1], b[-1])
    before = torch.cat([after.new_zeros(1, after.shape[1]), after[:-1]])
    return b.addcmul_(a, before).transpose(0, 1).flatten(0, 1)[:steps]


def _one_by_one(a: Tensor, b: Tensor) -> list[Tensor]:
    states = [b[:1]]
    for step in range(1, len(b)):
        states.append(torch.addcmul(b[step : step + 1], a[step : step + 1], states[-1]))
    return states
