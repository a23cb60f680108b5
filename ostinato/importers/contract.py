"""What an importer is: it knows the files of one other tool, and says in Ostinato's words what model they hold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor


@dataclass(frozen=True)
class Imported:
    """A model of another tool in Ostinato's words.

    Args:
        recipe: as a recipe file has it, `inputs` and `outputs` at least.
        facts: what each modality is restored from, by its place (`inputs.de`); what shares a vocabulary needs none.
        weights: the tensors of the network (`Graph`) by their names there; of tied ones the first.
        lengths: the longest target of each output, in steps.
        notes: what a person has to know: what the texts look like that it reads, what differs in training.
        source: the files that were read.
    """

    recipe: Mapping[str, Any]
    facts: Mapping[str, dict[str, Any]]
    weights: Mapping[str, Tensor]
    lengths: Mapping[str, int]
    notes: list[str] = field(default_factory=list)
    source: list[str] = field(default_factory=list)


class Importer(ABC):
    """Reads the models that one other tool wrote.

    The run that is made of what it reads has equal outputs: log-probabilities, hidden states and scores of labels to
    1e-5. What Ostinato computes otherwise is refused by its name, with what is supported.

    Nothing is unpickled: `files.tensors` reads tensors and plain values, and refuses all else.
    """

    tool: ClassVar[str]
    """The tool as its people write it."""
    looks_for: ClassVar[str]
    """The files that it knows a folder by, in words."""

    def __init__(self) -> None:
        """An importer has no settings."""
        super().__init__()

    @abstractmethod
    def recognise(self, folder: Path) -> bool:
        """Whether a folder holds a model of the tool, by its names and its small files of text alone."""

    @abstractmethod
    def read(self, folder: Path) -> Imported:
        """The model of a folder.

        Errors:
            DataError: a file is missing, damaged, or holds more than tensors and plain values.
            ConfigError: the model is of a kind that is not supported.
        """
