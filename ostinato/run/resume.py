"""Resuming a run: its recipe as it began, its data unchanged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ostinato.errors import ConfigError, DataError
from ostinato.preprocessing.prepare import Prepared
from ostinato.recipe.paths import at_path
from ostinato.recipe.read import Recipe, check, restore
from ostinato.run import bundle as bundles
from ostinato.training.checkpoints import flat, refuse_changes
from ostinato.training.loop import FREE

SOURCES = ("train", "valid", "test", "file")
"""Settings of data that name files; their content matters, not their place."""


def as_it_began(recipe: Recipe, began: bundles.Bundle, folder: Path) -> Recipe:
    """The recipe with all settings that the run began with, so that nothing is chosen anew.

    Errors:
        ConfigError: a changed setting would make the earlier updates invalid.
    """
    # What was chosen for a column that is no longer there is left out: the comparison names it.
    kept = {path: why for path, why in began.reasons.items() if not recipe.gives(path) and _has(recipe, began, path)}
    chosen = {path: (at_path(began.recipe, path), why) for path, why in kept.items()}
    chosen = _schedule(recipe, began) | chosen
    now = recipe.with_chosen(chosen).plain()
    # The files may have moved; their content is compared once they are read.
    before = filled(began.recipe)
    now = {**now, "data": {**now["data"], **{name: before["data"][name] for name in SOURCES}}}
    refuse_changes(before, now, (*FREE, "search", "calibration"), folder)
    given = {**now, "data": {**now["data"], **{name: recipe.plain()["data"][name] for name in SOURCES}}}
    settings = check(given, recipe.origin, to_train=True)
    return replace(
        recipe, settings=settings, given=given, reasons=recipe.reasons | {p: why for p, (_, why) in chosen.items()}
    )


def _has(recipe: Recipe, began: bundles.Bundle, path: str) -> bool:
    """Whether the column that a setting is of is in the recipe, or was itself chosen."""
    side, name, *_ = [*path.split("."), ""]
    columns = getattr(recipe.settings, side) if side in ("inputs", "outputs") else [name]
    return name in columns or f"{side}.{name}" in began.reasons


def named_alike(recipe: Recipe, began: bundles.Bundle) -> bool:
    """Whether a recipe names its data as the run does: the same names below the same folder."""
    now, before = recipe.plain()["data"], filled(began.recipe)["data"]
    return now == before and (
        all(now[name] is None for name in SOURCES) or str(recipe.base.resolve()) == began.data["base"]
    )


def filled(plain: dict[str, Any]) -> dict[str, Any]:
    """A full recipe of an earlier version, with the settings added since, whose defaults change nothing."""
    try:
        return restore(plain, "kept").plain()
    except ConfigError:
        return plain  # The comparison names what is no longer known.


def _schedule(recipe: Recipe, began: bundles.Bundle) -> dict[str, tuple[Any, str]]:
    """The schedule that was the default when the run began, where the recipe leaves it open and another one is now."""
    before = began.recipe["training"]["schedule"]
    if recipe.gives("training.schedule") or before["type"] == recipe.settings.training.schedule.type:
        return {}
    return {path: (value, "as the run began") for path, value in flat(before, "training.schedule.").items()}


def demand_same_data(began: bundles.Bundle, prepared: Prepared, folder: Path) -> None:
    for split, source in prepared.sources.items():
        known = began.data["splits"].get(split, {}).get("digest")
        if known != source["digest"]:
            raise DataError(
                f"data.{split}: {source['source']} is not what {folder} was trained on (its content changed since);"
                " bring the old file back, or start anew with --overwrite"
            )
    for name, vectors in prepared.starts.items():
        if began.data["vectors"][name] != vectors.digest:
            raise DataError(
                f"inputs.{name}.encoder.embedding: the vectors are not those that {folder} began with"
                " (the file's content changed); bring the old file back, or start anew with --overwrite"
            )
