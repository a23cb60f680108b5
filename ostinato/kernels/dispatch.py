"""Which way a recurrence is computed, and the one door through which everybody computes it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import torch
from torch import Tensor

from ostinato.errors import KernelError, nearest
from ostinato.kernels import cudnn as vendor
from ostinato.kernels import native, operators, reference
from ostinato.kernels.contract import Kernel, Recurrence, State
from ostinato.kernels.native_library import library, why_not
from ostinato.steps import Layout

VARIABLE = "OSTINATO_KERNEL"
"""The environment variable that forces a way; it is read at each call."""

KNOWN = ("reference", "native", "library")
"""Plain torch; C++ on the CPU; cuDNN through torch."""

_SCANS: dict[str, Kernel] = {"reference": reference.scan, "native": native.scan, "library": vendor.scan}

_forced: ContextVar[str] = ContextVar("forced", default="")

log = logging.getLogger("ostinato.kernels")


@contextmanager
def forced(name: str) -> Iterator[None]:
    """Takes this way inside a `with`, whatever the environment says."""
    token = _forced.set(name)
    try:
        yield
    finally:
        _forced.reset(token)


def _asked() -> str:
    return _forced.get() or os.environ.get(VARIABLE, "")


@cache
def available() -> tuple[str, ...]:
    """The ways that this installation has."""
    return ("reference", "native", "library") if library() is not None else ("reference", "library")


def chosen(cell: Recurrence, x: Tensor) -> str:
    """The name of the way that `scan` takes for this cell and input.

    Errors:
        KernelError: the forced way is unknown, or cannot be honoured.
    """
    asked = _asked()
    if not asked:
        if x.device.type == "cuda" and vendor.obstacle(cell) is None:
            return "library"
        if "native" not in available():
            return "reference"
        obstacle = _obstacle(cell, x)
        if obstacle is None:
            return "native"
        if x.device.type == "cpu":
            _tell(obstacle)
        return "reference"
    if asked not in KNOWN:
        raise KernelError(f"{VARIABLE}={asked}: no kernel has this name{nearest(asked, KNOWN)}")
    why = (
        None
        if asked in available()
        else f"this build has no {asked} kernel{'; ' + why_not() if asked == 'native' else ''}"
    )
    if asked == "native" and why is None:
        why = _obstacle(cell, x)
    if asked == "library":
        why = vendor.obstacle(cell)
    if why is not None:
        raise KernelError(
            f"{VARIABLE}={asked}: {type(cell).__name__} cannot be computed so: {why}; "
            f"available: {', '.join(available())}. Unset {VARIABLE}, or set it to one of these"
        )
    return asked


def native_is_allowed(tensors: Sequence[Tensor]) -> bool:
    """Whether the native library may compute with these tensors: all on the CPU, of one type that it has."""
    kind = tensors[0].dtype
    for one in tensors:
        if not one.is_cpu or one.dtype is not kind:
            return False
    return kind in native.DTYPES and not torch.is_autocast_enabled("cpu") and _native_is_chosen()


def way(cell: Recurrence, x: Tensor) -> str:
    """As `chosen`, with the reason where it is not the native kernel: what a log says."""
    name = chosen(cell, x)
    why = why_not() or (_obstacle(cell, x) if name == "reference" else None)
    return f"{name} ({why})" if why and name == "reference" and not _asked() else name


def _obstacle(cell: Recurrence, x: Tensor) -> str | None:
    """Why the native kernel cannot compute this, or None."""
    if x.device.type != "cpu":
        return f"its input is on {x.device}, the native kernel works on the CPU"
    if x.dtype not in native.DTYPES or cell.weight_h.dtype != x.dtype:
        return (
            f"its input is {x.dtype} and its weights {cell.weight_h.dtype}; the native kernel has float32 and float64"
        )
    if torch.is_autocast_enabled("cpu"):
        return "autocast asks for 16 bits, the native kernel has 32"
    own = cell.native()
    return f"{type(cell).__name__}: {own}" if isinstance(own, str) else None


@cache
def _tell(obstacle: str) -> None:
    # Cached, so that each obstacle is named once and not at every batch.
    log.info("a recurrence leaves the native path: %s", obstacle)


def _native_is_chosen() -> bool:
    return "native" in available() and _asked() in ("", "native")


# What torch.compiler.assume_constant_result does; it would import the compiler, which takes a second.
_native_is_chosen._dynamo_marked_constant = True


def _has_operator(cell: Recurrence, x: Tensor) -> bool:
    """Whether a traced scan becomes one operator; it casts by itself under autocast."""
    if not _native_is_chosen() or x.device.type != "cpu" or isinstance(cell.native(), str):
        return False
    return torch.is_autocast_enabled("cpu") or (x.dtype in native.DTYPES and cell.weight_h.dtype == x.dtype)


def scan(
    cell: Recurrence,
    x: Tensor,
    state: State,
    layout: Layout,
    *,
    reverse: bool = False,
    state_mask: Tensor | None = None,
) -> tuple[Tensor, State]:
    """The hidden states of all steps and the state after the last step of each sequence; see `Kernel`."""
    if operators.is_traced(x) and _has_operator(cell, x):
        return operators.scan(cell, x, state, layout, reverse=reverse, state_mask=state_mask)
    name = chosen(cell, x)
    if name == "library" and state_mask is not None and not _asked():
        name = "reference"  # torch's functions have no recurrent dropout
    return _SCANS[name](cell, x, state, layout, reverse=reverse, state_mask=state_mask)


def scan_both(
    cells: Sequence[Recurrence],
    x: Tensor,
    states: Sequence[State],
    layout: Layout,
    *,
    state_masks: Sequence[Tensor | None] = (None, None),
) -> tuple[Tensor, tuple[State, State]]:
    """The two directions of a layer, the second cell from the last step on: hidden (N, 2 H) beside each other, and the states."""
    if not operators.is_traced(x) and all(chosen(cell, x) == "native" for cell in cells) and native.are_alike(cells):
        return native.scan_both(cells, x, states, layout, state_masks)
    both = [
        scan(cell, x, state, layout, reverse=reverse, state_mask=mask)
        for cell, state, mask, reverse in zip(cells, states, state_masks, (False, True))
    ]
    return torch.cat([hidden for hidden, _ in both], 1), (both[0][1], both[1][1])
