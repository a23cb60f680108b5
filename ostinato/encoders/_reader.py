"""How a model that others have trained reads: what its kinds have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from ostinato.modalities.contract import Spec
from ostinato.registry import Settings
from ostinato.steps import Steps


class Reader(ABC):
    """How a model reads one kind of input, and what it gives for a part that it reads at once.

    Its steps are `leading` ones of the whole part, those of the part's places, and `trailing` ones of the whole.

    Args:
        model: by transformers.
        spec: of the input's steps.
        prefix: symbols before each part.
        suffix: symbols after it.

    After it is made:
        size: numbers of a step.
        grid_height: steps that it gives for each column of a picture, from top to bottom.
        reduction: steps that it reads for each place.
        facts: what its features depend on beside the model.
        summaries: what may represent the whole.
    """

    what: ClassVar[str]
    """What the model reads, in the plural."""
    needs: ClassVar[tuple[str, ...]]
    """The settings of an input that follow from the model."""
    size: int
    leading: int = 0
    trailing: int = 0
    grid_height: int = 1
    reduction: int = 1
    facts: tuple[Any, ...]
    summaries: tuple[str, ...]

    @abstractmethod
    def __init__(self, model: Any, spec: Spec, prefix: list[int], suffix: list[int]): ...

    @staticmethod
    @abstractmethod
    def settled(model: Any, config: Mapping[str, Any], source: Path, column: Settings) -> dict[str, Any]:
        """Settings of the input and, as `encoder.X`, of the encoder that follow from the model.

        Args:
            model: without memory.
            config: of the model.
            source: the folder or file that it lies in.
            column: the settings of the input.

        Errors:
            ConfigError: the folder lacks what says how the model's inputs were made.
        """

    @abstractmethod
    def parts(self, steps: Steps) -> tuple[list[Tensor], list[int]]:
        """What is read at once, and how many such parts each example has."""

    @abstractmethod
    def read(self, parts: list[Tensor]) -> list[Tensor]:
        """The model's last layer for each part, (T, size)."""

    def inside(self, read: Tensor) -> Tensor:
        """The steps of a part's places alone."""
        return read[self.leading : len(read) - self.trailing]
