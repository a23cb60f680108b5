"""Products with weights: torch's own, or oneDNN's where torch's stay far below what the processor can do."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import torch
from torch import Tensor, nn

from ostinato.errors import KernelError, nearest

VARIABLE = "OSTINATO_PRODUCTS"
"""The environment variable that forces a library; it is read at the first product of a process."""
KNOWN = ("torch", "onednn")
SMALL = 1 << 18
"""Multiplications below which torch is always called: oneDNN's call costs 10 us against 2, and 2**18 take about 5 us."""


@functools.cache
def chosen() -> str:
    """The library that multiplies float32 matrices on the CPU.

    torch's CPU builds multiply float32 through Intel's MKL, which on AMD's processors leaves half of the vector unit idle:
    105 against 215 GFLOP/s on one core of an EPYC with AVX-512, for (64, 512) x (512, 1536) and its two gradients. There oneDNN,
    which is part of torch, is called instead; elsewhere torch chooses. Which one is a function of the processor alone, so that a
    run resumes to the same bits on the same machine.

    Errors:
        KernelError: the forced library is unknown, or is not in this torch.
    """
    forced = os.environ.get(VARIABLE)
    if forced and forced not in KNOWN:
        raise KernelError(f"{VARIABLE}={forced}: no library has this name{nearest(forced, KNOWN)}")
    if forced == "onednn" and _onednn() is None:
        raise KernelError(f"{VARIABLE}=onednn: this torch ({torch.__version__}) was built without it; unset {VARIABLE}")
    if forced:
        return forced
    return "onednn" if torch.backends.mkl.is_available() and _onednn() is not None and _is_amd() else "torch"


@functools.cache
def _onednn():
    """oneDNN's product as torch's own compiler calls it; None where this torch has none."""
    try:
        return torch.ops.mkldnn._linear_pointwise.default if torch.backends.mkldnn.is_available() else None
    except AttributeError:
        return None


def _is_amd() -> bool:
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")[:4096]
    except OSError:
        return False


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x W^T + b, as torch.nn.functional.linear, with gradients of any order.

    Shapes:
        x (..., I); weight (O, I); bias (O,) or None; returns (..., O)
    """
    if not _fits(x, weight):
        return torch.nn.functional.linear(x, weight, bias)
    flat = x.reshape(-1, x.shape[-1])
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)):
        y = _Linear.apply(flat, weight, bias)
    else:
        y = _onednn()(flat, weight, bias, "none", [], "")
    return y.view(*x.shape[:-1], weight.shape[0])


def _fits(x: Tensor, weight: Tensor) -> bool:
    return (
        x.dtype is torch.float32
        and weight.dtype is torch.float32
        and x.device.type == "cpu"
        and x.numel() * weight.shape[0] >= SMALL
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and chosen() == "onednn"
    )


class Linear(nn.Linear):
    """torch.nn.Linear in all but the library that multiplies: y = W x + b.

    Shapes:
        x (..., I); weight (O, I); returns (..., O)
    """

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


class _Linear(torch.autograd.Function):
    """Its gradients are products too: dx = dy W, dW = dy^T x, db = sum of dy."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _onednn()(x, weight, bias, "none", [], "")

    @staticmethod
    def backward(ctx, dy: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        wanted_x, wanted_weight, wanted_bias = ctx.needs_input_grad
        return (
            linear(dy, weight.t()) if wanted_x else None,
            linear(dy.t(), x.t()) if wanted_weight else None,
            dy.sum(0) if wanted_bias else None,
        )
