"""Gradients held to a size: by value, by norm, and their norm measured."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


@torch.no_grad()
def clip(parameters: Sequence[nn.Parameter], *, norm: float | None, value: float | None) -> Tensor:
    """Clips the gradients in place and gives their norm as it was before.

        g = max(-value, min(value, g))                   each number on its own, first
        g = g * min(1, norm / (|g| + 1e-6))              |g| the Euclidean norm of all gradients together

    To the bit what torch.nn.utils computes, by the same operators: its functions cost several times them at each
    update.

    Args:
        parameters: those without a gradient are passed over.
        norm: the greatest norm, or None. On a CPU gradients whose norm is not finite are left as they are.
        value: the greatest size of a number, or None.

    Source: norm: Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063, algorithm 1; 1e-6 is added to |g|, as torch does.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    plain = len({(gradient.device, gradient.dtype, gradient.layout) for gradient in gradients}) == 1
    before = _norm(gradients, plain)
    # What is not finite stops the run, and its cause is sought in the gradients as they arose. On a GPU asking would
    # wait for it.
    if before.is_cpu and not bool(before.isfinite()):
        return before
    if value is not None:
        torch.nn.utils.clip_grad_value_(parameters, value)
    if norm is not None:
        now = before if value is None else _norm(gradients, plain)
        # Torch multiplies by 1 where nothing is too large: a pass over all gradients.
        if not now.is_cpu or not bool(now <= norm):
            if plain:
                torch._foreach_mul_(gradients, torch.clamp(norm / (now + 1e-6), max=1.0))
            else:
                torch.nn.utils.clip_grads_with_norm_(parameters, norm, now)
    return before


def _norm(gradients: Sequence[Tensor], plain: bool) -> Tensor:
    if not plain:
        return torch.nn.utils.get_total_norm(gradients)
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
