"""What a modality is: the way between a column's raw values and tensors, with the facts fitted on the training split."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np


@dataclass(frozen=True)
class Symbols:
    """Each step is one of `size` symbols; values are (N,) int64. `begin` and `end` never stand in encoded examples: heads add them."""

    size: int
    begin: int
    end: int
    unknown: int


@dataclass(frozen=True)
class Values:
    """Each step is a vector of `size` real numbers; values are (N, size) float32."""

    size: int


class Modality(ABC):
    """Raw values of one column <-> arrays of steps.

    Fitted on the training split only; `facts` and `restore` carry what was fitted into a bundle, and nothing else does.
    """

    aligns: ClassVar[frozenset[str]]
    """The alignments that an output of this modality may have; the first word of `default_align` is taken if none is given."""
    default_align: ClassVar[str]
    default_encoder: ClassVar[str]
    default_head: ClassVar[dict[str, str]]
    """Alignment -> the head's name."""
    metrics: ClassVar[dict[str, tuple[str, ...]]]
    """Alignment -> names of the metrics that judge an output."""

    @abstractmethod
    def fit(self, column: Iterable[Any]) -> None:
        """Learns the facts from the raw training values (read once)."""

    @abstractmethod
    def encode(self, raw: Any) -> np.ndarray:
        """One raw value as (T,) int32 or (T, C) float32."""

    @abstractmethod
    def decode(self, array: Sequence[int] | np.ndarray) -> Any:
        """The raw value of one encoded example; what is not a step of the modality (begin, end) does not appear in it."""

    @abstractmethod
    def labels(self, array: Sequence[int] | np.ndarray) -> list[str]:
        """One word per step, as a person would read it: for the axes of a picture."""

    @property
    @abstractmethod
    def spec(self) -> Symbols | Values:
        """What one step is."""

    @abstractmethod
    def facts(self) -> dict:
        """All that was fitted, as JSON values."""

    @abstractmethod
    def restore(self, facts: dict) -> None:
        """Takes up facts that were saved, in place of fitting."""

    @abstractmethod
    def parse(self, field: str) -> Any:
        """The raw value that a table's text field, a line of a file or an argument on the command line stands for."""

    @abstractmethod
    def write(self, raw: Any) -> str:
        """The raw value as one field of one line; parse(write(x)) == x, save that text and tokens escape tabs and line breaks."""
