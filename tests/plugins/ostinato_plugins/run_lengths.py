"""A line of gray pixels from a file `.run`: pairs of bytes, how many pixels are equal and how bright they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ostinato.contracts import DataError, Modality, Values


class RunLengths(Modality):
    """A line of gray pixels, a step for each run of equal ones.

        step = length / 255, brightness / 255

    A raw value is the bytes of a file: length, brightness, length, brightness and so on. On the command line they are
    written in hexadecimal.

    Args:
        inverted: whether 0 is white.

    Shapes:
        encoded (T, 2)

    Errors:
        DataError: a value is no bytes, ends within a pair, or has a run of length 0.
    """

    aligns = frozenset()
    default_align = "summary"
    default_encoder = "recurrent"
    default_head = {}
    metrics = {}
    file_endings = (".run",)
    examples = (bytes([3, 0, 200, 255]), bytes([1, 17]), b"")

    def __init__(self, *, inverted: bool = False):
        self.inverted = inverted

    def fit(self, column: Iterable[Any]) -> None:
        """Nothing is learnt; every value is checked."""
        for raw in column:
            if raw is not None:
                self.encode(raw)

    def encode(self, raw: Any) -> np.ndarray:
        if not isinstance(raw, bytes):
            raise DataError(f"the bytes of a file .run are needed, not {type(raw).__name__} {raw!r:.40}")
        if len(raw) % 2:
            raise DataError(f"{len(raw)} bytes end within a pair of length and brightness; write the file again")
        pairs = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 2)
        if not pairs[:, 0].all():
            raise DataError(f"run {int((pairs[:, 0] == 0).argmax()) + 1} has length 0; leave it out")
        steps = pairs.astype(np.float32) / 255
        return np.stack([steps[:, 0], 1 - steps[:, 1] if self.inverted else steps[:, 1]], 1)

    def decode(self, array: Sequence[int] | np.ndarray) -> bytes:
        steps = np.array(array, dtype=np.float64).reshape(-1, 2)
        if self.inverted:
            steps[:, 1] = 1 - steps[:, 1]
        return (steps * 255).round().astype(np.uint8).tobytes()

    def labels(self, array: Sequence[int] | np.ndarray) -> list[str]:
        raw = self.decode(array)
        return [f"{length} of {brightness}" for length, brightness in zip(raw[::2], raw[1::2])]

    @property
    def spec(self) -> Values:
        return Values(2, unscaled=True)

    def facts(self) -> dict[str, Any]:
        return {}

    def restore(self, facts: dict[str, Any]) -> None:
        """There are none."""

    def parse(self, field: str) -> bytes:
        try:
            return bytes.fromhex(field)
        except ValueError as why:
            raise DataError(f"bytes in hexadecimal are needed, such as 03ff: {why}") from None

    def take(self, raw: Any) -> Any:
        return raw

    def write(self, raw: Any) -> str:
        return raw.hex()
