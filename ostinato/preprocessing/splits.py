"""What preprocessing asks of the data of a recipe, whether its splits are rows of tables or times of series."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ostinato.data.examples import Examples
from ostinato.modalities.contract import Modality
from ostinato.preprocessing.sizes import Amount
from ostinato.recipe.read import Recipe
from ostinato.registry import Settings

Say = Callable[[str], None]


class Splits(ABC):
    """The training and the validation split of a recipe, opened and divided, to be fitted on and encoded.

    Args:
        recipe: as the user gave it.
        roots: folders where paths are looked for after the recipe's own.
        data: sources in place of the recipe's, by split.
        say: receives a line of progress.
        to_fit: whether the modalities will be fitted; otherwise they will be restored, and how words are read is
            settled.

    Errors:
        ConfigError: no training data are named.
        DataError: a file is missing, or cannot be read or divided.
    """

    recipe: Recipe
    """With all that has been chosen from the data so far."""
    modalities: dict[str, Modality]
    """By place; fitted by `fit`, or restored by the caller."""
    notes: list[str]
    """What was done that the user did not ask for."""

    @abstractmethod
    def __init__(
        self, recipe: Recipe, roots: Sequence[Path], data: Mapping[str, Any], say: Say, *, to_fit: bool = True
    ): ...

    @abstractmethod
    def fit(self) -> None:
        """Fits the modalities on the training split.

        Errors:
            DataError: there is nothing to learn from, or a value cannot be used, with its place where it has one.
        """

    @abstractmethod
    def encoded(self, folder: Path) -> dict[str, Examples]:
        """The examples that can be used, by split, encoded into the cache `folder`.

        Errors:
            DataError: a split has no usable example, or one that can neither be used nor left out.
        """

    @abstractmethod
    def amount(self, train: Examples) -> Amount:
        """What sizes are chosen from."""

    @abstractmethod
    def sources(self, examples: Mapping[str, Examples]) -> dict[str, dict[str, Any]]:
        """Where each split comes from, as JSON values for the run folder."""


def source_of(recipe: Settings, split: str, data: Mapping[str, Any]) -> Any:
    """The source of a split: from `data` where it is given, else as the recipe names it, else None."""
    if data.get(split) is not None:
        return data[split]
    return (recipe.data.train or recipe.data.file) if split == "train" else getattr(recipe.data, split)


def named(recipe: Settings, split: str, data: Mapping[str, Any]) -> str:
    """The source of a split as a run folder keeps it: the name of a file, or the kind of an object in memory."""
    source = source_of(recipe, split, data)
    in_memory = data.get(split) is not None and not isinstance(source, (str, Path))
    return f"{type(source).__name__} in memory" if in_memory else str(source)
