"""Linear maps by the native library's own matrix product, where it is there and the tensors suit it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ostinato.kernels.deferred import refuse_second_derivative
from ostinato.kernels.dispatch import native_is_allowed
from ostinato.kernels.half import halved
from ostinato.kernels.native import DTYPES, dense_rows, has_dense_rows, pointer, row_stride, wants_gradient
from ostinato.kernels.native_library import library
from ostinato.kernels.packed import Packed
from ostinato.kernels.structures import Product

NT, NN, TN = range(3)
"""left * right^T, left * right, left^T * right: the kinds of `OstinatoProduct`."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, packed: Packed | None = None) -> Tensor:
    """y = x W^T + b, as torch.nn.functional.linear.

    Each row's sum runs over the inputs in order, so it does not depend on the rows beside it or on the number of
    threads.

    Shapes:
        x (..., I); weight (O, I); bias (O,) or None; y (..., O)

    Args:
        x: the inputs.
        weight: W.
        bias: b.
        packed: where no gradient is recorded, keeps W as the kernel reads it for the next call with the same W.
    """
    tensors = (x, weight) if bias is None else (x, weight, bias)
    fits = (
        weight.ndim == 2
        and has_dense_rows(weight)
        and (bias is None or (bias.is_contiguous() and bias.shape == weight.shape[:1]))
    )
    if not fits or not x.numel() or not native_is_allowed(tensors):
        return functional.linear(x, weight, bias)
    flat = dense_rows(x.reshape(-1, x.shape[-1]))
    if wants_gradient(tensors):
        y = _Linear.apply(flat, weight, bias)
    else:
        y = multiply(NT, flat, weight, bias, packed=packed)
    return y.view(*x.shape[:-1], len(weight))


FEW = 128
"""Rows for which torch's product takes less time than the native one, which reads the weights anew at each call: of one
row by 768 x 256 weights 17 and 126 us, of 80 rows 209 and 346."""


def quickest_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """As `linear` of steps (N, I), by whichever product is faster for so many: torch's for few of which no gradient is
    recorded."""
    few = len(x) <= FEW and not torch.is_grad_enabled()
    return (functional.linear if few else linear)(x, weight, bias)


def multiply(
    kind: int,
    left: Tensor,
    right: Tensor,
    bias: Tensor | None = None,
    *,
    sums: Tensor | None = None,
    packed: Packed | None = None,
    half: bool = False,
) -> Tensor:
    """A product of two matrices whose rows are contiguous.

    Args:
        kind: NT, NN or TN.
        left: the left matrix, as it lies in memory.
        right: the right one.
        bias: added to every row.
        sums: with TN, takes the sums of the left's columns.
        packed: keeps the right matrix as it is read, for the next call; not with TN.
        half: rounds both to bfloat16; see `HalfProducts`.
    """
    rows = left.shape[1] if kind == TN else left.shape[0]
    depth = left.shape[0] if kind == TN else left.shape[1]
    columns = right.shape[0] if kind == NT else right.shape[1]
    if depth != right.shape[1 if kind == NT else 0]:
        raise ValueError(f"matrices of shapes {tuple(left.shape)} and {tuple(right.shape)} cannot be multiplied")
    out = left.new_empty(rows, columns)
    product = Product(
        kind=kind,
        is_double=DTYPES[left.dtype],
        M=rows,
        N=columns,
        K=depth,
        left=left.data_ptr(),
        left_stride=row_stride(left),
        right=right.data_ptr(),
        right_stride=row_stride(right),
        bias=pointer(bias),
        sums=pointer(sums),
        out=out.data_ptr(),
        out_stride=columns,
        half=half,
    )
    if packed is None:
        library().multiply(product)
        return out
    room = packed.room
    product.packed_ready = room is not None
    if room is None:
        room = torch.empty(library().packed_size(product), dtype=torch.uint8)
    product.packed = room.data_ptr()
    library().multiply(product)
    packed.room = room
    return out


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.half = halved(x.dtype)
        return multiply(NT, x, weight, bias, half=ctx.half)

    @staticmethod
    def backward(ctx, d_y: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        x, weight = ctx.saved_tensors
        d_y = dense_rows(d_y)
        d_x = multiply(NN, d_y, weight, half=ctx.half) if ctx.needs_input_grad[0] else None
        d_bias = d_y.new_empty(len(weight)) if ctx.needs_input_grad[2] else None
        d_weight = None
        if ctx.needs_input_grad[1]:
            d_weight = multiply(TN, d_y, x, sums=d_bias, half=ctx.half)
        elif d_bias is not None:
            torch.sum(d_y, 0, out=d_bias)
        return d_x, d_weight, d_bias
