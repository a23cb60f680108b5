"""Products in bfloat16 on the CPU: where the native library has them, in place of torch's autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, Token

import torch

from ostinato.kernels.native_library import library

_asked: ContextVar[bool] = ContextVar("half", default=False)


class HalfProducts(AbstractContextManager):
    """Inside it, native products of float32 of which a gradient is recorded round both sides to bfloat16.

        y = sum over k of round(a[k]) round(b[k])       sums in float32; rounded to the nearest, ties to even

    All else stays float32: weights, states, what lies between the layers, gradients, and the products in the loop of a
    decoder. One of 8,000 x 192 by 192 x 512 takes three fifths of the time of float32 on AMD's processors, and with AMX
    one of 2,048 x 2,048 by 2,048 x 2,048 a fifth. Where no gradient is recorded nothing is rounded: a model answers as
    it will be asked.
    """

    def __init__(self):
        self._tokens: list[Token[bool]] = []

    def __enter__(self) -> None:
        self._tokens.append(_asked.set(True))

    def __exit__(self, *_: object) -> None:
        _asked.reset(self._tokens.pop())


def halved(kind: torch.dtype) -> bool:
    """Whether a product of numbers of this type, of which a gradient is recorded, is one of bfloat16 now."""
    return _asked.get() and kind is torch.float32 and has_half()


def has_half() -> bool:
    """Whether the native library is there and its instruction set multiplies bfloat16."""
    loaded = library()
    return loaded is not None and loaded.has_half()


def products(device: torch.device, bfloat16: bool) -> AbstractContextManager:
    """Inside what products on this device are computed: with bfloat16 on CPUs `HalfProducts` where there are such, else
    torch's autocast."""
    if not bfloat16:
        return nullcontext()
    if device.type == "cpu" and has_half():
        return HalfProducts()
    return torch.autocast(device.type, torch.bfloat16)
