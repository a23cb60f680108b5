"""Modalities fitted once per vocabulary on the training columns, and restored from their facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any

from ostinato.errors import DataError
from ostinato.modalities.contract import Modality, Tokenized
from ostinato.recipe.columns import columns_of, own_settings, places, vocabulary_owners
from ostinato.registry import Settings

Column = Callable[[], Iterable[Any]]
"""The raw training values of one column, readable again and again."""


def fit(recipe: Settings, modalities: Mapping[str, Modality], columns: Mapping[str, Column]) -> None:
    """Fits each vocabulary once, on all the columns that use it, and gives all of them the same facts.

    Those who share a vocabulary may read otherwise, one a text and one a list of words: each tells what its own values
    say. What several read in one way, as an output reads the input that it continues, is counted once.
    """
    owners, own = vocabulary_owners(recipe), own_settings(recipe)
    read = {
        place: (columns_of(place, column), column.type, own[place] | {"tokenizer": None})
        for place, column in places(recipe)
    }
    for owner in dict.fromkeys(owners.values()):
        sharing = [place for place, its in owners.items() if its == owner]
        distinct = [
            place for k, place in enumerate(sharing) if read[place] not in [read[other] for other in sharing[:k]]
        ]
        try:
            if isinstance(modalities[owner], Tokenized):
                texts = (modalities[place].texts(columns[place]()) for place in distinct)
                modalities[owner].learn(chain.from_iterable(texts))
            else:
                modalities[owner].fit(chain.from_iterable(columns[place]() for place in distinct))
        except DataError as why:
            raise DataError(f"{', '.join(sharing)}: {why}") from None
        for place in sharing:
            if place != owner:
                modalities[place].restore(modalities[owner].facts())


def restore(modalities: Mapping[str, Modality], facts: Mapping[str, dict]) -> None:
    for place, modality in modalities.items():
        modality.restore(facts[place])
