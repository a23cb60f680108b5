"""Weights as the native library reads them, kept between the steps of one generation."""

from __future__ import annotations

from torch import Tensor


class Packed:
    """Room for the packed form of weights that do not change while it lives.

    Make one per generation, never one for all: whether a weight has changed cannot be seen. Torch counts versions, but
    its fused optimizers change weights without counting (seen with torch 2.13: AdamW and SGD, fused=True).
    """

    def __init__(self):
        self.room: Tensor | None = None
