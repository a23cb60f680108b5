"""A word for each step that an encoder gives."""

from __future__ import annotations

import numpy as np

from ostinato.modalities.contract import Modality


def symbols_of(modality: Modality, steps: np.ndarray, count: int) -> list[str]:
    """The words of one example's steps as they were encoded: what a head puts before them is `begin`; where an encoder
    gives fewer steps than it reads, their numbers.

    Args:
        modality: of the input.
        steps: of the example.
        count: how many the encoder gives.
    """
    words = modality.labels(steps)
    before = count - len(words)
    return ["begin"] * before + words if before >= 0 else [str(step + 1) for step in range(count)]
