"""A text file that outputs continue: one text, cut into passages that streams read one after the other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ostinato import alignments
from ostinato.data.read import as_columns, existing, is_table
from ostinato.preprocessing.sizes import Chosen
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe import rules
from ostinato.recipe.read import Recipe
from ostinato.registry import component

PARTS = 320
"""Passages of a text: ten for each of 32 streams, and 32 of the tenth that validates, enough for its interval."""
CHARACTERS, MOST_CHARACTERS = 1_000, 20_000
"""A passage is cut off from what stands before it, which a shorter one would show, and a longer one takes more memory
when it is evaluated. Passages of what is read whole in training have the first length."""
FEWEST = 10
"""Passages that a short text has all the same."""
CHUNK = 100
"""Steps through which a gradient goes back."""


def passages(recipe: Recipe, source: Any, roots: Sequence[Path]) -> Chosen:
    """That a text file is one text where all outputs continue the only column that is read, the length of its passages,
    and the chunks of streams; nothing where an example is something else.

    Args:
        recipe: as the user gave it.
        source: what holds the training rows.
        roots: folders where paths are looked for after the recipe's own.
    """
    chosen: Chosen = {}
    settings = recipe.settings
    read = {recipe_columns.column_of(place, column) for place, column in recipe_columns.places(settings)}
    of = alignments.streamed(settings)
    continued = len(read) == 1 and all(alignments.of(output).streams for output in settings.outputs.values())
    if not continued or not component("modalities", settings.inputs[of].type).one_text:
        return chosen
    paths = _files(recipe, source, roots)
    if not paths or recipe.gives("data.delimiter"):
        return chosen
    if not recipe.gives("data.rows"):
        why = "outputs continue it, so that each file is one text; lines or blank make an example of less"
        chosen["data.rows"] = ("file", why)
    elif settings.data.rows != "file":
        return chosen
    training = settings.training
    in_chunks = training.tbptt is not None or (
        component("encoders", settings.inputs[of].encoder.type).streams
        and not any(map(recipe.gives, ("training.tbptt", "training.batch_steps")))
        and not list(rules.check_streams(settings))
    )
    if in_chunks and training.tbptt is None:
        chosen["training.tbptt"] = (CHUNK, "passages are long: a gradient goes back so far, the state goes on")
    if not recipe.gives("data.passage"):
        size = sum(path.stat().st_size for path in paths)
        least = min(CHARACTERS, max(1, size // FEWEST))
        length = min(MOST_CHARACTERS, max(least, size // PARTS)) if in_chunks else least
        chosen["data.passage"] = (length, f"{size:,} bytes of text")
    return chosen


def _files(recipe: Recipe, source: Any, roots: Sequence[Path]) -> list[Path]:
    """The text files that a source names; none where it is anything else."""
    source = as_columns(source)
    if isinstance(source, Mapping) and len(source) == 1:
        (source,) = source.values()
    names = source if isinstance(source, (list, tuple)) else [source]
    if not all(isinstance(name, (str, Path)) and not is_table(os.fspath(name)) for name in names):
        return []
    paths = [existing(os.fspath(name), recipe.base, roots) for name in names]
    return [path for path in paths if path is not None and path.is_file()]
