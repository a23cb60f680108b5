"""Which embeddings of a recipe start from a file of word vectors, and which cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ostinato.errors import ConfigError
from ostinato.layers.embedding import Vectors
from ostinato.modalities.contract import Modality, Worded
from ostinato.model.columns import encoder_owner
from ostinato.recipe.columns import vocabulary_owners
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
            continue
        if vectors.extend and (others := _without_vectors(recipe, name)):
            sharing = ", ".join(others)
            yield (
                f"{place}.extend",
                f"the vocabulary of {sharing} is that of inputs.{name}, whose encoder alone has vectors for added"
                f" words; leave extend out, or give {sharing} an own vocabulary",
            )


def _without_vectors(recipe: Settings, name: str) -> list[str]:
    """The places with the vocabulary of this input whose steps its embedding does not read, outputs that continue it
    among them."""
    owners = vocabulary_owners(recipe)
    sharing = {place for place, owner in owners.items() if owner == owners[f"inputs.{name}"]}
    sharing |= {f"outputs.{output}" for output, settings in recipe.outputs.items() if settings.of == name}
    read = {f"inputs.{other}" for other in recipe.inputs if encoder_owner(other, recipe.inputs) == name}
    return sorted(sharing - read)
