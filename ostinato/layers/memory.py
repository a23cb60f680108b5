"""Models that fit into memory: their weights are counted while they are made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from ostinato.errors import ConfigError


@contextmanager
def within_memory() -> Iterator[None]:
    """Ends what makes weights once they need more memory than the machine has, before values are drawn for them.

    Errors:
        ConfigError: they need more.
    """
    room, needed = memory(), 0

    def count(module: nn.Module, name: str, weight: Any) -> None:
        nonlocal needed
        needed += weight.nbytes if isinstance(weight, nn.Parameter) else 0
        if needed > room:
            raise MemoryError

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    except (RuntimeError, MemoryError) as why:
        # Torch's allocator has no class of its own for this.
        if not isinstance(why, MemoryError) and "allocate memory" not in str(why):
            raise
        raise ConfigError(
            f"its weights need more memory than this machine has ({room / 1e9:,.0f} GB); lower hidden_size, layers or"
            " the size of the tokenizer"
        ) from None
    finally:
        hook.remove()


def memory() -> float:
    """Bytes of memory of this machine, where the system tells."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return float("inf")
