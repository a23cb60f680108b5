"""What a probe is: a look into a model, which it leaves as it was."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ostinato.alignments import Alignment
from ostinato.modalities.contract import Modality
from ostinato.model.batch import Batch
from ostinato.model.graph import Graph


@dataclass(frozen=True)
class Subject:
    """A model under a probe, and what it reads.

    Args:
        graph: a copy of the network in evaluation mode, whose weights ask for no gradient. A probe may do with it what
            it likes.
        batch: examples that have all inputs and outputs.
        alignments: of each output.
        modalities: of each input (`inputs.NAME`) and output (`outputs.NAME`).
        columns: what the examples have in the columns of the table that the probe asks for.
        cut: the examples that are read up to some step, whose end is therefore no target.
    """

    graph: Graph
    batch: Batch
    alignments: Mapping[str, Alignment]
    modalities: Mapping[str, Modality]
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    cut: frozenset[int] = frozenset()


class Finding(ABC):
    """What a probe saw."""

    @property
    @abstractmethod
    def title(self) -> str:
        """The finding, in a sentence."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """All of it as plain values, under `title` the sentence."""

    @abstractmethod
    def lines(self) -> list[str]:
        """What a terminal shows: the sentence, then a table."""

    @abstractmethod
    def draw(self, path: Path) -> None:
        """Writes a picture whose title is the sentence.

        Errors:
            DataError: it cannot be written.
        """


class Probe(ABC):
    """Looks into a model. What is random in it is a function of its settings alone.

    Settings are the keyword-only parameters of the constructor; the command `probe` has an option for each.
    """

    rows: ClassVar[int] = 32
    """How many examples it reads where nobody says."""
    columns: Sequence[str] = ()
    """Columns of the table that it asks for beside those that the model reads."""

    @abstractmethod
    def look(self, subject: Subject) -> Finding:
        """What there is to see.

        Errors:
            ConfigError: a model of this kind has nothing to see.
        """
