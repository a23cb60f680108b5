"""Gradients held to a size: by value, by norm, and their norm measured."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def clip(parameters: Sequence[nn.Parameter], *, norm: float | None, value: float | None) -> Tensor:
    """Clips the gradients in place and gives their norm as it was before.

        g = max(-value, min(value, g))                   each number on its own, first
        g = g * min(1, norm / |g|)                       |g| the Euclidean norm of all gradients together

    Args:
        parameters: those without a gradient are passed over.
        norm: the greatest norm, or None. On a CPU gradients whose norm is not finite are left as they are.
        value: the greatest size of a number, or None.

    Source: norm: Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063, algorithm 1; 1e-6 is added to |g|, as torch does.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    before = torch.nn.utils.get_total_norm(gradients)
    # What is not finite stops the run, and who looks for its cause finds it as it arose. On a GPU the question would wait for it.
    if before.device.type == "cpu" and not bool(before.isfinite()):
        return before
    if value is not None:
        torch.nn.utils.clip_grad_value_(parameters, value)
    if norm is not None:
        now = before if value is None else torch.nn.utils.get_total_norm(gradients)
        # Torch multiplies by 1 where nothing is too large: a pass over all gradients.
        if now.device.type != "cpu" or not bool(now <= norm):
            torch.nn.utils.clip_grads_with_norm_(parameters, norm, now)
    return before
