"""What modalities choose of their columns' settings from a look at the raw values, before they are fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from ostinato import alignments
from ostinato.errors import DataError
from ostinato.modalities.contract import Modality
from ostinato.model.columns import traits_of
from ostinato.preprocessing.sizes import Chosen
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe.metrics import measurable, settings_of
from ostinato.recipe.paths import at_path
from ostinato.recipe.read import Recipe
from ostinato.registry import SameAs, Settings, component, room_of, settings_class

METRICS = "metrics"
APART = frozenset({METRICS})
"""Settings that matter to the column alone, whatever it shares with others."""
Look = Callable[[str], Iterable[Any]]
"""The raw values of a split at a place, none of them missing."""


def choose(recipe: Recipe, modalities: Mapping[str, Modality], train: Look, valid: Look) -> Chosen:
    """What suits the columns and was not given: path -> (value, reason).

    A column that an output continues is left alone, and one that shares its vocabulary or its encoder chooses `APART`
    alone: what else one of them chose would have to suit the others.

    Args:
        recipe: as the user gave it.
        modalities: of its columns, not fitted yet.
        train: reads the training split.
        valid: reads the validation split.
    """
    settings, chosen = recipe.settings, {}
    owners = recipe_columns.vocabulary_owners(settings)
    continued = {f"inputs.{output.of}" for output in settings.outputs.values() if output.of is not None}
    for place, column in recipe_columns.places(settings):
        if place in continued or getattr(column, "of", None):
            continue
        shares = list(owners.values()).count(owners[place]) > 1
        try:
            choices = modalities[place].choices(
                train(place), valid(place), partial(_gives, recipe, place), _is_summarized(settings, place)
            )
        except DataError:
            continue  # What cannot be read is refused when it is fitted or encoded, with its place.
        for path, (value, reason) in choices.items():
            if (path in APART or not shares) and _can_be_chosen(recipe, place, column, path, value):
                chosen[f"{place}.{path}"] = _measurable(recipe, place, value) if path == METRICS else value, reason
    return chosen


def _measurable(recipe: Recipe, place: str, metrics: Sequence[Any]) -> list[Any]:
    """Those of an output's metrics that its head gives enough for, and the one that training monitors."""
    name = place.partition(".")[2]
    output, monitored = recipe.settings.outputs[name], recipe.settings.training.monitor
    chosen = measurable(output, metrics)
    before = {key: metric for key, metric in settings_of(output).items() if f"{name}.{key}" == monitored}
    plain = [metric.plain(full=False) for metric in {**chosen, **before}.values()]
    return [metric["type"] if len(metric) == 1 else metric for metric in plain]


def _is_summarized(settings: Settings, place: str) -> bool:
    """Whether the column is an input, and each output that reads it has one answer for the row."""
    way, _, name = place.partition(".")
    readers = [output for output in settings.outputs.values() if name in (output.reads or settings.inputs)]
    return way == "inputs" and all(alignments.of(output) is alignments.summary for output in readers)


def _gives(recipe: Recipe, place: str, path: str) -> bool:
    """Whether the recipe gives this setting of a column; a slot's type also where it gives the slot by a bare name."""
    slot, _, name = path.rpartition(".")
    if recipe.gives(f"{place}.{path}"):
        return True
    return (
        name == "type" and recipe.gives(f"{place}.{slot}") and isinstance(at_path(recipe.given, f"{place}.{slot}"), str)
    )


def _can_be_chosen(recipe: Recipe, place: str, column: Settings, path: str, value: Any) -> bool:
    """Whether there is such a setting, and the recipe does not give it."""
    *slot, name = path.split(".")
    holder = getattr(column, slot[0], None) if slot else column
    if not isinstance(holder, Settings) or name not in type(holder).model_fields or _gives(recipe, place, path):
        return False
    if name == "type":
        # What is given of the slot must be a setting of the other member too.
        given = at_path(recipe.given, f"{place}.{slot[0]}") if recipe.gives(f"{place}.{slot[0]}") else {}
        return set(given) <= settings_class(room_of(holder), value).model_fields.keys()
    if slot or not traits_of(column.model_copy(update={name: value})).characters:
        return True
    encoder = getattr(column, "encoder", None)
    return not isinstance(encoder, SameAs | None) and component("encoders", encoder.type).reads_characters
