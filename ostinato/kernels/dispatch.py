"""Which way a recurrence is computed, and the one door through which everybody computes it."""

from __future__ import annotations

import os

from torch import Tensor

from ostinato.errors import KernelError, nearest
from ostinato.kernels import reference
from ostinato.kernels._contract import Kernel, Recurrence, State
from ostinato.steps import Layout

VARIABLE = "OSTINATO_KERNEL"
"""The environment variable that forces a way; it is read at each call."""

KERNELS: dict[str, Kernel] = {"reference": reference.scan}
"""What this build can do, by name."""

KNOWN = ("reference", "native", "library")
"""Plain torch; C++ on the CPU; cuDNN through torch."""


def chosen(cell: Recurrence) -> str:
    """The name of the way that `scan` takes for this cell.

    Errors:
        KernelError: the forced way is unknown, or cannot be honoured.
    """
    forced = os.environ.get(VARIABLE)
    if not forced:
        return "reference"
    if forced not in KNOWN:
        raise KernelError(f"{VARIABLE}={forced}: no kernel has this name{nearest(forced, KNOWN)}")
    if forced not in KERNELS:
        raise KernelError(
            f"{VARIABLE}={forced}: this build has no {forced} kernel for {type(cell).__name__}; "
            f"available: {', '.join(KERNELS)}. Unset {VARIABLE}, or set it to one of these"
        )
    return forced


def scan(
    cell: Recurrence, x: Tensor, state: State, layout: Layout, *, reverse: bool = False, state_mask: Tensor | None = None
) -> tuple[Tensor, State]:
    """The hidden states of all steps and the state after the last step of each sequence; see `Kernel`."""
    return KERNELS[chosen(cell)](cell, x, state, layout, reverse=reverse, state_mask=state_mask)
