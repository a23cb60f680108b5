"""Weights as the native library reads them, kept between the steps of a search."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ostinato.kernels.library import library


class Packed:
    """Room for packed weights, made again when one of them has changed.

    A copy or a pickle of it is empty. Several threads may use it at once: each packs into room of its own until one is done.
    """

    def __init__(self):
        self._key: object = None
        self._room: Tensor | None = None

    def room(self, weights: Sequence[Tensor | None], size: Callable[[], int]) -> tuple[Tensor, bool, object]:
        """Where to pack, whether these weights are packed there already, and what to give to `done` after the call.

        Args:
            weights: on which the packed form depends.
            size: tells the bytes that it takes.
        """
        key = (library().instruction_set, *(None if one is None else _identity(one) for one in weights))
        if key == self._key and self._room is not None:
            return self._room, True, key
        return torch.empty(size(), dtype=torch.uint8), False, key

    def done(self, room: Tensor, key: object) -> None:
        """The weights are packed in this room."""
        self._room, self._key = room, key

    def __deepcopy__(self, memo: dict) -> Packed:
        return Packed()

    def __reduce__(self) -> tuple:
        return Packed, ()


def _identity(weight: Tensor) -> tuple:
    # an inference tensor has no version, and may not be changed where it would count
    return weight.data_ptr(), 0 if weight.is_inference() else weight._version, weight.shape, weight.stride()
