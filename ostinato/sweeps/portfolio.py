"""The candidates of a portfolio: a recipe with what its members propose in place of their defaults."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any, NamedTuple

from ostinato import alignments
from ostinato.alignments import forecasts
from ostinato.errors import ConfigError
from ostinato.preprocessing.duration import patience
from ostinato.preprocessing.tables import seed_of_rows
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe.paths import set_path
from ostinato.recipe.read import Recipe, check
from ostinato.registry import Settings, component, room_of
from ostinato.sweeps.sweep import word_of

DEFAULT, COUNTED, LONGER = "default", "counted", "longer"
LONGER_BY = 3
"""So many times its epochs a default run is trained again that was still learning at its end."""
SEED, ROWS_SEED, EPOCHS = "training.seed", "data.seed", "training.epochs"

Changes = Mapping[str, Any]
"""Settings by path."""


class Candidate(NamedTuple):
    """A recipe that is worth a trial.

    Args:
        name: of its folder.
        changes: in what it differs from the default run.
        recipe: checked.
        shares: of the time; others have one.
    """

    name: str
    changes: Changes
    recipe: Recipe
    shares: int = 1


def candidates(recipe: Recipe, default: Recipe, most: int, learning: bool = False) -> list[Candidate]:
    """Up to so many recipes beside the default one, the most promising first.

    First what only counts, and the default run for longer where it was still learning; then in turn the variants of
    each modality, encoder, head and optimizer; then two of all these at a time. What the recipe gives is not varied,
    nor the symbols of answers, so that all can be compared and averaged.

    Args:
        recipe: as the user gave it.
        default: with all that was chosen from the data.
        most: how many.
        learning: whether the default run was still learning at its end.
    """
    base = _with_readings(recipe, default)
    alone = list(_alone(recipe, default))
    pairs = ({**first, **second} for first, second in itertools.combinations(alone, 2) if not first.keys() & second)
    listed: list[Candidate] = []
    known = [recipe.plain(), base.plain()]
    first = (
        (COUNTED, recipe, _counted(recipe), 1),
        (LONGER, base, _longer(recipe, default) if learning else {}, LONGER_BY),
    )
    for name, of, changes, shares in (*first, *((_name(changes), base, changes, 1) for changes in (*alone, *pairs))):
        if len(listed) == most:
            break
        if not changes or all(_holds(default, path, value) for path, value in changes.items()):
            continue
        try:
            candidate = Candidate(name, changes, changed(of, changes), shares)
        except ConfigError:
            continue  # Members propose without a look at the rest of the recipe.
        plain = candidate.recipe.plain()
        if plain not in known:
            known.append(plain)
            listed.append(candidate)
    return listed


def changed(recipe: Recipe, changes: Changes) -> Recipe:
    """The recipe with other settings.

    Errors:
        ConfigError: they are not legal.
    """
    plain = deepcopy(recipe.given)
    for path, value in changes.items():
        set_path(plain, path, deepcopy(value), recipe.settings)
    return replace(recipe, settings=check(plain, recipe.origin, to_train=True), given=plain, reasons={})


def reseeded(settings: Settings, seed: int) -> dict[str, Any]:
    """The changes to another seed, for which the same rows are set aside and kept."""
    drawn = not forecasts(settings) and (settings.data.valid is None or settings.data.fraction < 1)
    return {SEED: seed, **({ROWS_SEED: seed_of_rows(settings)} if drawn else {})}


def _with_readings(recipe: Recipe, default: Recipe) -> Recipe:
    """The recipe with the inputs that are counted too, and who reads them, as they were chosen for the default."""
    added = [path for path in default.reasons if path.startswith("inputs.") and path.count(".") == 1]
    reads = [path for path in default.reasons if added and path.startswith("outputs.") and path.endswith(".reads")]
    plain = deepcopy(recipe.given)
    for path in (*added, *reads):
        set_path(plain, path, deepcopy(default.at(path)), recipe.settings)
    return replace(recipe, given=plain, settings=check(plain, recipe.origin, to_train=True))


def _counted(recipe: Recipe) -> dict[str, Any]:
    """Each input by counting alone, where its modality has such a reading for all outputs and the recipe gives no
    encoder."""
    changes: dict[str, Any] = {}
    outputs = recipe.settings.outputs.values()
    kinds = {alignments.of(output).name for output in outputs}
    if len(kinds) > 1 or not all(component("heads", output.head.type).takes_scores for output in outputs):
        return changes
    for name, settings in recipe.settings.inputs.items():
        reading = component("modalities", settings.type).counted_readings.get(*kinds)
        if reading is not None and not recipe.gives(f"inputs.{name}.encoder"):
            at = {f"inputs.{name}.{key}": value for key, value in reading.items()}
            changes |= {path: value for path, value in at.items() if not recipe.gives(path)}
    return changes


def _longer(recipe: Recipe, default: Recipe) -> dict[str, Any]:
    """More epochs, and a patience as it is chosen for so many, where the recipe gives neither how long to train."""
    training = default.settings.training
    if any(map(recipe.gives, (EPOCHS, "training.max_updates", "training.patience"))):
        return {}
    epochs = LONGER_BY * training.epochs
    return {EPOCHS: epochs, "training.patience": patience(epochs, training.validate_every)}


def _alone(recipe: Recipe, default: Recipe) -> Iterator[dict[str, Any]]:
    """What each member proposes, in turn: the first of each, then the second; those of one kind vary together."""
    by_member: dict[tuple[str, str], list[dict[str, Any]]] = {}
    continued = {f"inputs.{output.of}" for output in recipe.settings.outputs.values() if output.of is not None}
    for place, settings in _members(recipe, default):
        room = room_of(settings) if not _is_column(place) else "modalities"
        proposals = getattr(component(room, settings.type), "variants", ())
        own = by_member.setdefault((room, settings.type), [{} for _ in proposals])
        for changes, proposal in zip(own, proposals):
            at = {f"{place}.{name}": value for name, value in proposal.items()}
            legal = proposal.keys() <= type(settings).model_fields.keys()
            if legal and "head" in proposal and component("heads", proposal["head"]).alone:
                at[f"{place}.reads"] = [settings.of]
            if room == "modalities" and (place in continued or place.startswith("outputs.")):
                legal = legal and proposal.keys() <= {"encoder", "head"}
            changes |= {path: value for path, value in at.items() if legal and not recipe.gives(path)}
    for in_turn in itertools.zip_longest(*by_member.values(), fillvalue={}):
        yield from (changes for changes in in_turn if changes)


def _members(recipe: Recipe, default: Recipe) -> Iterator[tuple[str, Settings]]:
    """The columns of a recipe, their encoders and heads, and the optimizer, each by its path."""
    for place, _ in recipe_columns.places(recipe.settings):
        direction, _, name = place.partition(".")
        column = getattr(default.settings, direction)[name]
        yield place, column
        part = "encoder" if direction == "inputs" else "head"
        if isinstance(getattr(column, part), Settings):
            yield f"{place}.{part}", getattr(column, part)
    yield "training.optimizer", default.settings.training.optimizer


def _is_column(path: str) -> bool:
    return path.count(".") == 1 and not path.startswith("training.")


def _holds(recipe: Recipe, path: str, value: Any) -> bool:
    """Whether a recipe has this value at a path already."""
    try:
        return _contains(recipe.at(path), value)
    except (KeyError, TypeError):
        return False


def _contains(there: Any, value: Any) -> bool:
    if isinstance(there, Mapping):
        wanted = {"type": value} if isinstance(value, str) else value
        return all(key in there and _contains(there[key], item) for key, item in wanted.items())
    if isinstance(value, Mapping):
        return value == {"type": there}
    return there == value


def _name(changes: Changes) -> str:
    """Of a folder: each setting, without its column, and its value, each once."""
    parts = []
    for path, value in changes.items():
        if isinstance(value, list):
            continue  # What a head reads follows from the head.
        setting = path.split(".", 2 - path.startswith("training."))[-1]
        shown = value.get("type", "") if isinstance(value, Mapping) else value
        parts.append(f"{setting}-{word_of(str(shown).replace('_', '-'))}")
    return "_".join(dict.fromkeys(parts))
