"""The loss over a vocabulary in pieces: the scores of all steps and all symbols never stand in memory at once."""

from __future__ import annotations

import torch
from torch import Tensor

from ostinato.kernels.deferred import refuse_second_derivative
from ostinato.kernels.dispatch import native_is_allowed
from ostinato.kernels.packed import Packed
from ostinato.kernels.products import NN, NT, TN, multiply

PIECE = 1 << 22
"""Scores at a time: 16 MB of float32, which the products of a few hundred rows hardly notice."""


def cross_entropy(
    x: Tensor, weight: Tensor, bias: Tensor | None, truth: Tensor, *, label_smoothing: float = 0.0, piece: int = PIECE
) -> Tensor:
    """The sum of -log softmax(W x + b) at the true symbols, as torch.nn.functional.cross_entropy of `linear(x, W, b)`.

        s     = W x + b
        loss  = sum over rows of  logsumexp(s) - (1 - e) s[truth] - e mean(s)        e = label smoothing
        ds    = softmax(s) - (1 - e) onehot(truth) - e / V

    Where a gradient is recorded, dx, dW and db are made in the same pass, piece by piece, and only scaled backwards: no score
    is computed twice, and memory grows with N I + V I but not with N V.

    Shapes:
        x (N, I); weight (V, I); bias (V,) or None; truth (N,) whole numbers below V; returns a scalar

    Args:
        x: what the softmax reads.
        weight: W.
        bias: b.
        truth: the true symbols.
        label_smoothing: e (Szegedy 2016, arXiv:1512.00567, section 7).
        piece: the most scores at a time.

    Errors:
        RuntimeError: the gradient of a gradient is asked for.
    """
    tensors = (x, weight) if bias is None else (x, weight, bias)
    if torch.is_autocast_enabled(x.device.type):
        kind = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(kind), weight.to(kind), None if bias is None else bias.to(kind)
    if torch.is_grad_enabled() and any(one.requires_grad for one in tensors):
        return _CrossEntropy.apply(x, weight, bias, truth, label_smoothing, piece)
    return _run(x, weight, bias, truth, label_smoothing, piece, (False, False, False))[0]


def _product(kind: int, left: Tensor, right: Tensor, bias: Tensor | None = None, packed: Packed | None = None) -> Tensor:
    if left.numel() and native_is_allowed((left, right)):
        return multiply(kind, left, right, bias, packed=packed)
    found = (left.t() if kind == TN else left) @ (right.t() if kind == NT else right)
    return found if bias is None else found + bias


def _run(
    x: Tensor, weight: Tensor, bias: Tensor | None, truth: Tensor, smoothing: float, piece: int, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """The loss, and the gradients that are wanted of x, weight and bias."""
    size = len(weight)
    rows = max(1, piece // max(1, size))
    x, weight = x.contiguous(), weight.contiguous()
    exact = torch.float64 if x.dtype == torch.float64 else torch.float32
    total = torch.zeros((), dtype=exact, device=x.device)
    d_x = torch.empty_like(x) if wanted[0] else None
    d_weight = torch.zeros_like(weight, dtype=exact) if wanted[1] else None
    d_bias = torch.zeros(size, dtype=exact, device=x.device) if wanted[2] and bias is not None else None
    forwards, backwards = (Packed(), Packed()) if rows < len(x) else (None, None)
    for start in range(0, len(x), rows):
        part, true = x[start : start + rows], truth[start : start + rows, None]
        scores = _product(NT, part, weight, bias, forwards).to(exact)
        if smoothing:
            total -= smoothing / size * scores.sum()
        total -= (1 - smoothing) * scores.gather(1, true).sum()
        logs = torch.logsumexp(scores, 1, keepdim=True)
        total += logs.sum()
        if not any(wanted):
            continue
        d_scores = scores.sub_(logs).exp_()
        d_scores.scatter_add_(1, true, torch.full_like(d_scores[:, :1], smoothing - 1))
        if smoothing:
            d_scores -= smoothing / size
        if d_bias is not None:
            d_bias += d_scores.sum(0)
        d_scores = d_scores.to(x.dtype)
        if d_x is not None:
            d_x[start : start + rows] = _product(NN, d_scores, weight, packed=backwards)
        if d_weight is not None:
            d_weight += _product(TN, d_scores, part)
    return total, d_x, d_weight, d_bias


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, truth: Tensor, smoothing: float, piece: int) -> Tensor:
        total, *gradients = _run(x, weight, bias, truth, smoothing, piece, ctx.needs_input_grad[:3])
        kinds = [None if one is None else one.dtype for one in (x, weight, bias)]
        ctx.save_for_backward(*(None if one is None else one.to(kind) for one, kind in zip(gradients, kinds)))
        return total

    @staticmethod
    def backward(ctx, d_total: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        scaled = (None if one is None else one * d_total.to(one.dtype) for one in ctx.saved_tensors)
        return *scaled, None, None, None
