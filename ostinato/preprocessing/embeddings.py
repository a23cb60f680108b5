"""What the embeddings of a recipe start from: word vectors of files, looked up for a fitted vocabulary, and words that
are added to it because a file has their vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ostinato.data.lines import file_digest
from ostinato.data.read import Roots, found_file
from ostinato.data.word_vectors import EXACT, LOWER, read
from ostinato.errors import ConfigError, DataError
from ostinato.layers.embedding import Vectors
from ostinato.modalities.contract import Modality


class Start(NamedTuple):
    """What an embedding starts from.

    Args:
        table: (V, width), a row for each symbol of training.
        digest: of the file.
        note: how many words have a vector there.
        words: that are added to the vocabulary.
        added: (words, width), their vectors; None: none is added.
    """

    table: Tensor
    digest: str
    note: str
    words: list[str]
    added: Tensor | None


def starts(
    asked: Mapping[str, Vectors],
    seed: int,
    modalities: Mapping[str, Modality],
    *,
    base: Path,
    roots: Roots,
    sizes: Mapping[str, int],
) -> dict[str, Start]:
    """What each embedding that a recipe starts from a file starts from, by its input.

    Args:
        asked: the vectors of each input that starts from some.
        seed: of what is drawn for words without a vector.
        modalities: fitted, by place.
        base: the folder that paths are relative to.
        roots: folders where a path is looked for next.
        sizes: the `embedding_size` of the recipe, by input, where it has one.

    Errors:
        ConfigError: the recipe has another width.
        DataError: a file is missing or a line of it is not a word and its numbers; or it has none of the words.
    """
    tables = {}
    for name, vectors in asked.items():
        place = f"inputs.{name}.encoder.embedding"
        path, title = found_file(vectors.file, base, roots, place), f"{place}: {vectors.file}"
        modality = modalities[f"inputs.{name}"]
        words = modality.words()[: modality.spec.size - modality.spec.added]
        most = math.inf if vectors.extend is True else int(vectors.extend)
        table, levels, added, beside = read(path, title, words, seed=seed, most=most)
        if sizes.get(name, table.shape[1]) != table.shape[1]:
            raise ConfigError(
                f"{place}_size: {sizes[name]}, and the vectors of {vectors.file} are {table.shape[1]} wide; leave"
                " embedding_size out"
            )
        total, exact, lower = (
            sum(word is not None for word in words),
            int((levels == EXACT).sum()),
            int((levels == LOWER).sum()),
        )
        if not exact + lower:
            raise DataError(
                f"{title} has a vector for none of the {total:,} words of the vocabulary; give a file of this language"
            )
        note = f"inputs.{name}: {exact + lower:,} of {total:,} words have a vector in {vectors.file}"
        note += f", {lower:,} of them as their lower case" if lower else ""
        note += "; the others are drawn with the file's mean and deviation" if exact + lower < total else ""
        if added:
            note += f"; {len(added):,} words of the file are known beside, by vectors that stay as they are there"
            note += f" ({beside.nbytes / 1e6:,.0f} MB of the run)"
        own = torch.from_numpy(beside) if added else None
        tables[name] = Start(torch.from_numpy(table), file_digest(path), note, added, own)
    return tables


def add_words(tables: Mapping[str, Start], modalities: Mapping[str, Modality], owners: Mapping[str, str]) -> None:
    """Adds the words of files to the vocabularies of the inputs that start from them, and of all who share these.

    Args:
        tables: what each input starts from.
        modalities: fitted, by place.
        owners: the place whose vocabulary each place uses.
    """
    for name, start in tables.items():
        if start.words:
            for place in (place for place, owner in owners.items() if owner == owners[f"inputs.{name}"]):
                modalities[place].add_words(start.words)
