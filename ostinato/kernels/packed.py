"""Weights as the native library reads them, kept between the steps of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ostinato.kernels.library import library


class Packed:
    """Room for packed weights, made again when one of them has changed.

    A copy or a pickle of it is empty. Several threads may use it at once: each packs into room of its own until one is done.
    """

    def __init__(self):
        self._key: object = None
        self._room: Tensor | None = None
        self.beside: Any = None
        """What the caller keeps with the room, of the same weights."""

    def room(self, weights: Sequence[Tensor | None]) -> tuple[Tensor | None, object]:
        """Where these weights are packed already, or None; and the key to give to `done` once they are."""
        key = (library().instruction_set, *[None if one is None else _identity(one) for one in weights])
        return (self._room if key == self._key else None), key

    def done(self, room: Tensor, key: object, beside: Any = None) -> None:
        """The weights are packed in this room."""
        self._room, self.beside, self._key = room, beside, key

    def __deepcopy__(self, memo: dict) -> Packed:
        return Packed()

    def __reduce__(self) -> tuple:
        return Packed, ()


def _identity(weight: Tensor) -> tuple:
    # an inference tensor has no version, and may not be changed where it would count
    return weight.data_ptr(), 0 if weight.is_inference() else weight._version, weight.shape
