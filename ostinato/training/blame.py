"""Where a number that is not finite arose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree


def first_not_finite(model: nn.Module, compute: Callable[[Any], Any], batch: Any) -> str | None:
    """The first layer of a forward pass whose weights or output are not finite, with its type; None where all are."""
    for name, weight in model.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            return f"{name}, whose weights are not finite"
    found: list[str] = []
    names = {module: name for name, module in model.named_modules() if module is not model}

    def look(module: nn.Module, given: Any, output: Any) -> None:
        tensors = [
            leaf for leaf in _pytree.tree_leaves(output) if isinstance(leaf, Tensor) and leaf.is_floating_point()
        ]
        if not found and not all(bool(torch.isfinite(tensor).all()) for tensor in tensors):
            found.append(f"{names[module]} ({type(module).__name__})")

    hooks = [module.register_forward_hook(look) for module in names]
    try:
        compute(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else None
