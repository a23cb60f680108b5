"""The columns of a recipe by place: their settings, their vocabularies, their modalities."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Any

from ostinato import alignments
from ostinato.errors import placed
from ostinato.modalities.contract import Modality, Tokenized
from ostinato.model.columns import copied, counts, owner_of, shared_encoder
from ostinato.registry import SameAs, Settings, component, keyword_only

OWN_READING = frozenset({"separator", "missing", "unknown", "lenient", "known_future", "unit", "characters"})
"""Settings of how a column's own values are read and shown; columns that share a vocabulary may differ in them."""

OF_THE_TASK = frozenset({"subword_pooling"})
"""Settings that follow from what is predicted, not from what is read."""


def places(recipe: Settings) -> Iterator[tuple[str, Settings]]:
    """Each column of a recipe by its place: `inputs.de`, `outputs.en`."""
    for direction in ("inputs", "outputs"):
        for name, settings in getattr(recipe, direction).items():
            yield f"{direction}.{name}", settings


def column_of(place: str, settings: Settings) -> str:
    """The column of the data at this place; of several the names joined."""
    return ", ".join(columns_of(place, settings))


def columns_of(place: str, settings: Settings) -> list[str]:
    """The columns of the data at this place: one, or one for each channel of a series."""
    column = settings.column or place.partition(".")[2]
    return [column] if isinstance(column, str) else list(column)


def continued(recipe: Settings) -> dict[str, str]:
    """Outputs whose targets are the steps of the input that they continue, by name -> that input."""
    return {
        name: output.of
        for name, output in recipe.outputs.items()
        if alignments.of(output).streams
        and output.of in recipe.inputs
        and column_of(f"outputs.{name}", output) == column_of(f"inputs.{output.of}", recipe.inputs[output.of])
    }


def numbered(recipe: Settings) -> dict[str, str]:
    """The places at which unknown symbols of an input have numbers of their own (`Head.copies`) -> that input: outputs
    that copy from it, and itself."""
    sources = {name: copied(output, recipe.inputs) for name, output in recipe.outputs.items()}
    numbered = {f"outputs.{name}": f"inputs.{source}" for name, source in sources.items() if source in recipe.inputs}
    return numbered | {source: source for source in numbered.values()}


def second_readings(recipe: Settings) -> dict[str, str]:
    """The inputs that only count what an input before them reads too: place -> that other's. Of several of one column
    it is the one whose settings are most alike.
    """
    before: dict[str, list[str]] = {}
    again: dict[str, str] = {}
    for name, settings in recipe.inputs.items():
        place = f"inputs.{name}"
        others = before.setdefault(column_of(place, settings), [])
        if others and counts(name, recipe.inputs):
            alike = [_num_equal(settings.plain(), recipe.inputs[other].plain()) for other in others]
            again[place] = f"inputs.{others[alike.index(max(alike))]}"
        others.append(name)
    return again


def _num_equal(first: Mapping[str, Any], second: Mapping[str, Any]) -> int:
    return sum(key in second and second[key] == value for key, value in first.items())


def own_settings(recipe: Settings) -> dict[str, dict[str, Any]]:
    """The modality's own settings at each place, as plain values: with its facts, all that decides what it makes of
    a raw value."""
    own = {}
    for place, settings in places(recipe):
        plain = settings.plain()
        own[place] = {
            parameter.name: plain[parameter.name] for parameter in keyword_only(component("modalities", settings.type))
        }
    return own


def build(recipe: Settings, only: Collection[str] | None = None) -> dict[str, Modality]:
    """The modalities of all columns, or of those at some places, not fitted yet; a tokenizer that is shared has its
    owner's settings."""
    modalities = {}
    owners = vocabulary_owners(recipe)
    columns = dict(places(recipe))
    for place, settings in columns.items():
        if only is not None and place not in only:
            continue
        cls = component("modalities", settings.type)
        arguments = {parameter.name: getattr(settings, parameter.name) for parameter in keyword_only(cls)}
        if owners[place] != place and "tokenizer" in arguments:
            arguments["tokenizer"] = columns[owners[place]].tokenizer
        with placed(place):
            modalities[place] = cls(**arguments)
    return modalities


def vocabulary_owners(recipe: Settings) -> dict[str, str]:
    """For each column, the one whose fitted vocabulary it uses: its own, a tokenizer's owner's or a shared encoder's.

    Errors:
        ConfigError: references go in a circle, or join columns that are not both of one type.
    """
    columns = dict(places(recipe))
    return {place: owner_of(place, columns, partial(_reference, columns)) for place in columns}


def of_vocabulary(kind: str) -> tuple[str, ...]:
    """The settings of a modality that decide what its symbols or numbers are, which all who share a vocabulary have
    in common."""
    cls = component("modalities", kind)
    own = [parameter.name for parameter in keyword_only(cls)]
    return ("tokenizer",) if issubclass(cls, Tokenized) else tuple(name for name in own if name not in OWN_READING)


def taken_over(kind: str) -> list[str]:
    """The settings of a modality that a new run has from an earlier one, together with its vocabulary."""
    own = keyword_only(component("modalities", kind))
    return [parameter.name for parameter in own if parameter.name not in OF_THE_TASK]


def _reference(columns: Mapping[str, Settings], place: str) -> str | None:
    tokenizer = getattr(columns[place], "tokenizer", None)
    if isinstance(tokenizer, SameAs):
        return next(
            f"{way}.{tokenizer.same_as}" for way in ("inputs", "outputs") if f"{way}.{tokenizer.same_as}" in columns
        )
    return shared_encoder(columns, place) if place.startswith("inputs.") else None
