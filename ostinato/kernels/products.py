"""Linear maps by the native library's own matrix product, where it is there and the tensors suit it."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor
from torch.nn import functional

from ostinato.kernels.dispatch import native_is_allowed
from ostinato.kernels.library import library
from ostinato.kernels.native import DTYPES, refuse_second_derivative

NT, NN, TN = range(3)
"""left * right^T, left * right, left^T * right: the kinds of `OstinatoProduct`."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x W^T + b, as torch.nn.functional.linear.

    Each row's sum runs over the inputs in order, so it does not depend on the rows beside it or on the number of threads.

    Shapes:
        x (..., I); weight (O, I); bias (O,) or None; y (..., O)
    """
    tensors = (x, weight) if bias is None else (x, weight, bias)
    if not native_is_allowed(tensors) or weight.stride(1) != 1 or not x.numel():
        return functional.linear(x, weight, bias)
    flat = x.reshape(-1, x.shape[-1])
    if flat.stride(1) != 1:
        flat = flat.contiguous()
    if torch.is_grad_enabled() and any(one.requires_grad for one in tensors):
        y = _Linear.apply(flat, weight, bias)
    else:
        y = multiply(NT, flat, weight, bias)
    return y.view(*x.shape[:-1], len(weight))


def multiply(kind: int, left: Tensor, right: Tensor, bias: Tensor | None = None, sums: Tensor | None = None) -> Tensor:
    """A product of two matrices whose rows are contiguous.

    Args:
        kind: NT, NN or TN.
        left: the left matrix, as it lies in memory.
        right: the right one.
        bias: added to every row.
        sums: with TN, takes the sums of the left's columns.
    """
    rows = left.shape[1] if kind == TN else left.shape[0]
    depth = left.shape[0] if kind == TN else left.shape[1]
    columns = right.shape[0] if kind == NT else right.shape[1]
    if depth != right.shape[1 if kind == NT else 0]:
        raise ValueError(f"matrices of shapes {tuple(left.shape)} and {tuple(right.shape)} cannot be multiplied")
    out = left.new_empty(rows, columns)
    words = (
        kind, DTYPES[left.dtype], rows, columns, depth, left.data_ptr(), _stride(left), right.data_ptr(), _stride(right),
        0 if bias is None else bias.data_ptr(), 0 if sums is None else sums.data_ptr(), out.data_ptr(), columns,
    )  # fmt: skip
    library().call("multiply", (ctypes.c_int64 * len(words))(*words))
    return out


def _stride(matrix: Tensor) -> int:
    return max(matrix.stride(0), matrix.shape[1]) if matrix.shape[0] > 1 else matrix.shape[1]


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return multiply(NT, x, weight, bias)

    @staticmethod
    def backward(ctx, d_y: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        x, weight = ctx.saved_tensors
        if d_y.stride(1) != 1:
            d_y = d_y.contiguous()
        d_x = multiply(NN, d_y, weight) if ctx.needs_input_grad[0] else None
        d_bias = d_y.new_empty(len(weight)) if ctx.needs_input_grad[2] else None
        d_weight = None
        if ctx.needs_input_grad[1]:
            d_weight = multiply(TN, d_y, x, sums=d_bias)
        elif d_bias is not None:
            torch.sum(d_y, 0, out=d_bias)
        return d_x, d_weight, d_bias
