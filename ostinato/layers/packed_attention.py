"""Attention of packed sequences on a GPU, without padding: the flash kernels of torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from ostinato.steps import Layout

WIDEST = 256
"""Numbers of a head that the kernels allow, a multiple of 8."""
CAPABILITY = (8, 0)
"""Of the oldest GPU that the kernels run on: Ampere."""


@cache
def _function() -> Callable[..., Tensor] | None:
    """torch's function, from 2.10 on."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn


@cache
def _has_windows() -> bool:
    """Whether it takes a window, of which `causal` is one, as from 2.11 on."""
    function = _function()
    return function is not None and "window_size" in inspect.signature(function).parameters


def kind(query: Tensor) -> torch.dtype:
    """The type that products of it are computed in: autocast's, where that is on."""
    device = query.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else query.dtype


def obstacle(
    query: Tensor, queries: Layout, keys: Layout, *, causal: bool, window: int | None, slopes: bool, dropout: float
) -> str | None:
    """Why torch's kernels cannot attend here, or None.

    Args:
        query: (N, A, D).
        queries: the layout of the queries.
        keys: that of the keys.
        causal: whether a query sees no later key.
        window: it sees keys less than so many steps away.
        slopes: whether scores fall with the distance.
        dropout: of the weights.
    """
    if query.device.type != "cuda":
        return f"the kernels run on CUDA, this is on {query.device.type}"
    if _function() is None:
        return f"torch {torch.__version__} has no torch.nn.attention.varlen; 2.10 has it"
    if kind(query) not in (torch.bfloat16, torch.float16):
        return f"the kernels have 16 bits, this is {kind(query)}"
    if query.shape[2] % 8 or query.shape[2] > WIDEST:
        return f"a head has {query.shape[2]} numbers; the kernels take multiples of 8 up to {WIDEST}"
    if torch.cuda.get_device_capability(query.device) < CAPABILITY:
        return f"{torch.cuda.get_device_name(query.device)} is older than the kernels"
    if slopes or dropout:
        return f"the kernels have no {'slopes' if slopes else 'dropout of weights'}"
    if window is not None and not _has_windows():
        return f"torch {torch.__version__} has no windows in torch.nn.attention.varlen; 2.11 has them"
    if (causal or window is not None) and queries != keys:
        return "the kernels count places of a causal query from the end"
    if not queries.total or not bool((keys.lengths > 0).all()):
        return "a sequence has no keys"
    return None


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bounds: tuple[Tensor, Tensor],
    longest: tuple[int, int],
    *,
    causal: bool,
    window: int | None,
) -> Tensor:
    """Contexts (N, A, D) of the packed queries (N, A, D), of packed keys and values (M, K, D), in 16 bits.

        context[i] = sum_j softmax_j(q[i] . k[j] / sqrt(D)) v[j]      j: the keys that i sees in its own sequence

    Args:
        bounds: (B + 1,), where sequences begin among the queries and among the keys, int32 on the device.
        longest: steps of the longest sequence of each.
        causal: whether a query sees no later key.
        window: it sees keys less than so many steps away, itself included.
    """
    function, sight = _function(), {}
    assert function is not None
    if _has_windows():
        sight["window_size"] = (-1 if window is None else window - 1, _ahead(causal, window))
    else:
        sight["is_causal"] = causal
    if key.shape[1] != query.shape[1]:
        key, value = (part.repeat_interleave(query.shape[1] // part.shape[1], 1) for part in (key, value))
    query, key, value = (part.to(kind(query)) for part in (query, key, value))
    return function(query, key, value, *bounds, *longest, **sight)


def _ahead(causal: bool, window: int | None) -> int:
    return 0 if causal else -1 if window is None else window - 1


def repeatable(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """`function` of tensors; its gradient is the same to the bit each time, where that is asked for.

    Where torch is told to warn of what is not deterministic (`torch.use_deterministic_algorithms(True,
    warn_only=True)`), attention's kernels take the fast way and warn. They have another, which is asked for here, for
    this gradient alone.
    """
    if torch.get_deterministic_debug_mode() != 1 or not any(part.requires_grad for part in tensors):
        return function(*tensors)
    return _Repeatable.apply(function, *tensors)


class _Repeatable(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        with torch.enable_grad():
            ctx.inputs = [part.detach().requires_grad_(part.requires_grad) for part in tensors]
            ctx.result = function(*ctx.inputs)
        return ctx.result.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        asked = [part for part in ctx.inputs if part.requires_grad]
        torch.set_deterministic_debug_mode(2)
        try:
            parts = iter(torch.autograd.grad(ctx.result, asked, gradients, retain_graph=True))
        finally:
            torch.set_deterministic_debug_mode(1)
        return None, *(next(parts) if part.requires_grad else None for part in ctx.inputs)
