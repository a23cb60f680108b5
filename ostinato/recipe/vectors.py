"""Which embeddings of a recipe start from a file of word vectors, and which cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ostinato.errors import ConfigError
from ostinato.layers.embedding import Vectors
from ostinato.modalities.contract import Modality, Worded
from ostinato.registry import Settings


def asked(recipe: Settings) -> dict[str, Vectors]:
    """The inputs whose own embedding starts from a file."""
    embeddings = {name: getattr(settings.encoder, "embedding", None) for name, settings in recipe.inputs.items()}
    return {name: embedding for name, embedding in embeddings.items() if isinstance(embedding, Vectors)}


def check(recipe: Settings, modalities: Mapping[str, Modality]) -> Iterator[tuple[str, str]]:
    """What has no words to look up: the place in the recipe, and why."""
    for name, vectors in asked(recipe).items():
        modality, place = modalities[f"inputs.{name}"], f"inputs.{name}.encoder.embedding"
        if not isinstance(modality, Worded):
            yield (
                place,
                f"{vectors.file} holds vectors of words, and {recipe.inputs[name].type} has none; use them for text or"
                " tokens",
            )
            continue
        try:
            modality.words()
        except ConfigError as why:
            yield place, f"{vectors.file} holds vectors of words, and {why}"
