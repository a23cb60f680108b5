"""Which backend computes a recurrence, and the one door through which everybody computes it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import torch
from torch import Tensor

from ostinato.errors import KernelError, nearest
from ostinato.kernels import cudnn, native, operators, reference
from ostinato.kernels.contract import Kernel, Recurrence, State
from ostinato.kernels.native_library import library, why_not
from ostinato.steps import Layout

VARIABLE = "OSTINATO_KERNEL"
"""The environment variable that forces a backend; it is read at each call."""

KNOWN = ("reference", "native", "cudnn")
"""Plain torch; C++ on the CPU; cuDNN through torch."""

_RENAMED = {"library": "cudnn"}
"""Values of the variable that were valid once, and what each is called now."""

_SCANS: dict[str, Kernel] = {"reference": reference.scan, "native": native.scan, "cudnn": cudnn.scan}

_forced: ContextVar[str] = ContextVar("forced", default="")

log = logging.getLogger("ostinato.kernels")


@contextmanager
def forced(name: str) -> Iterator[None]:
    """Takes this backend inside a `with`, whatever the environment asks for."""
    token = _forced.set(name)
    try:
        yield
    finally:
        _forced.reset(token)


def _asked() -> str:
    return _forced.get() or os.environ.get(VARIABLE, "")


@cache
def available() -> tuple[str, ...]:
    """The backends of this installation."""
    return tuple(name for name in KNOWN if name != "native" or library() is not None)


def chosen(cell: Recurrence, x: Tensor | None = None) -> str:
    """The name of the backend that `scan` takes for this cell and input; without x, for an input like its weights.

    Errors:
        KernelError: the forced backend is unknown, or cannot be honoured.
    """
    x = cell.weight_x if x is None else x
    asked = _asked()
    if not asked:
        if x.device.type == "cuda" and cudnn.obstacle(cell) is None:
            return "cudnn"
        if "native" not in available():
            return "reference"
        obstacle = _obstacle(cell, x)
        if obstacle is None:
            return "native"
        if x.device.type == "cpu":
            _log_once(obstacle)
        return "reference"
    if asked not in KNOWN:
        hint = f"; it is called {_RENAMED[asked]} now" if asked in _RENAMED else nearest(asked, KNOWN)
        raise KernelError(f"{VARIABLE}={asked}: no kernel has this name{hint}")
    why = _why_not(asked, cell, x)
    if why is not None:
        others = ", ".join(name for name in available() if _why_not(name, cell, x) is None)
        raise KernelError(
            f"{VARIABLE}={asked}: {type(cell).__name__} cannot be computed so: {why}; "
            f"available: {others}. Unset {VARIABLE}, or set it to one of these"
        )
    return asked


def _why_not(name: str, cell: Recurrence, x: Tensor) -> str | None:
    """Why a backend cannot compute this cell; None where it can."""
    if name not in available():
        return f"this build has no {name} kernel; {why_not()}"
    if name == "native":
        return _obstacle(cell, x)
    return cudnn.obstacle(cell) if name == "cudnn" else None


def native_is_allowed(tensors: Sequence[Tensor]) -> bool:
    """Whether the native library may compute with these tensors: all on the CPU, of one type that it has, and watched
    by nobody who must see operators."""
    if operators.is_traced(tensors[0]):
        return False
    kind = tensors[0].dtype
    for tensor in tensors:
        if not tensor.is_cpu or tensor.dtype is not kind:
            return False
    return kind in native.DTYPES and not torch.is_autocast_enabled("cpu") and _native_is_chosen()


def backend(cell: Recurrence, x: Tensor | None = None) -> str:
    """As `chosen`, with the reason where it is not the native kernel, for a log."""
    x = cell.weight_x if x is None else x
    name = chosen(cell, x)
    if name != "reference" or _asked():
        return name
    why = why_not() or _obstacle(cell, x)
    return f"{name} ({why})" if why else name


def _obstacle(cell: Recurrence, x: Tensor) -> str | None:
    """Why the native kernel cannot compute this, or None."""
    if x.device.type != "cpu":
        return f"its input is on {x.device}, the native kernel works on the CPU"
    if x.dtype not in native.DTYPES or cell.weight_x.dtype != x.dtype:
        return (
            f"its input is {x.dtype} and its weights {cell.weight_x.dtype}; the native kernel has float32 and float64"
        )
    if torch.is_autocast_enabled("cpu"):
        return "autocast asks for 16 bits, the native kernel has 32"
    own = cell.native()
    if isinstance(own, str):
        return f"{type(cell).__name__}: {own}"
    if not _is_built(own.cell):
        return f"{type(cell).__name__}: the native library was built before it had {own.cell}: install Ostinato again"
    return None


@cache
def _log_once(obstacle: str) -> None:
    # Cached, so that each obstacle is named once and not at every batch.
    log.info("a recurrence leaves the native path: %s", obstacle)


def _native_is_chosen() -> bool:
    return "native" in available() and _asked() in ("", "native")


def _is_built(cell: str) -> bool:
    """Whether the library has this cell: one that was built earlier may lack it."""
    return cell in library().cells


# What torch.compiler.assume_constant_result does; it would import the compiler, which takes a second.
_native_is_chosen._dynamo_marked_constant = True
_is_built._dynamo_marked_constant = True


def _has_operator(cell: Recurrence, x: Tensor) -> bool:
    """Whether a traced scan becomes one operator; it casts by itself under autocast."""
    if not _native_is_chosen() or x.device.type != "cpu":
        return False
    own = cell.native()
    if isinstance(own, str) or not _is_built(own.cell):
        return False
    return torch.is_autocast_enabled("cpu") or (x.dtype in native.DTYPES and cell.weight_x.dtype == x.dtype)


def kernel(cell: Recurrence, x: Tensor, *, masked: bool = False) -> Kernel:
    """The kernel that computes this cell over this input, to be called at once.

    Args:
        cell: the recurrence.
        x: its input.
        masked: whether it will be called with a `state_mask`.
    """
    if operators.is_traced(x) and _has_operator(cell, x):
        return operators.scan
    name = chosen(cell, x)
    if name == "cudnn" and masked and not _asked():
        name = "reference"  # torch's functions have no recurrent dropout
    return _SCANS[name]


BothKernel = Callable[
    [Sequence[Recurrence], Tensor, Sequence[State], Layout, Sequence[Tensor | None]], tuple[Tensor, tuple[State, State]]
]


def kernel_of_both(cells: Sequence[Recurrence], x: Tensor) -> BothKernel:
    """The kernel of a layer's two directions, the second cell from the last step on: hidden (N, 2 H) side by side."""
    if not operators.is_traced(x) and all(chosen(cell, x) == "native" for cell in cells) and native.are_alike(cells):
        return native.scan_both
    return _one_after_the_other


def _one_after_the_other(
    cells: Sequence[Recurrence],
    x: Tensor,
    states: Sequence[State],
    layout: Layout,
    state_masks: Sequence[Tensor | None],
) -> tuple[Tensor, tuple[State, State]]:
    both = [
        scan(cell, x, state, layout, reverse=reverse, state_mask=mask)
        for cell, state, mask, reverse in zip(cells, states, state_masks, (False, True))
    ]
    return torch.cat([hidden for hidden, _ in both], 1), (both[0][1], both[1][1])


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
    chosen_scan = kernel(cell, x, masked=state_mask is not None)
    return chosen_scan(cell, x, state, layout, reverse=reverse, state_mask=state_mask)
