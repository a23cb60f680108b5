"""Rows that can be trained on: what is left out is counted, what cannot be is refused."""

from __future__ import annotations

import numpy as np

from ostinato import alignments
from ostinato.data.cache import Dataset
from ostinato.errors import DataError
from ostinato.layers.pooling import words_of
from ostinato.model.columns import traits_of
from ostinato.recipe import columns as recipe_columns
from ostinato.registry import Settings

COUNTED_ROWS = 10_000
"""Rows whose symbols are counted at a time: memory must not grow with the data."""


def usable_rows(
    recipe: Settings, dataset: Dataset, rows: np.ndarray | None, limit: int | None, split: str, notes: list[str]
) -> np.ndarray:
    """The rows of a split that can be trained on; what is left out is counted and noted."""
    inputs, outputs = ([f"{way}.{name}" for name in getattr(recipe, way)] for way in ("inputs", "outputs"))
    needed, any_of = (inputs, outputs) if len(outputs) > 1 else (inputs + outputs, [])
    usable, left_out = dataset.usable(needed, any_of=any_of, rows=rows, max_steps=limit)
    for reason, found in left_out.items():
        notes.append(f"{split}: {found.count:,} rows left out, {reason} (the first: {found.first})")
    if not len(usable):
        told = (f"{found.count:,} rows: {reason} (the first: {found.first})" for reason, found in left_out.items())
        raise DataError(
            f"data.{split}: no row can be used: {'; '.join(told) or 'there are none'}; give rows that hold every column"
        )
    for place in any_of:
        if count := int((~dataset.present(place, usable)).sum()):
            notes.append(f"{split}: {count:,} rows have no {place}; they count for the other outputs alone")
        if count == len(usable):
            raise DataError(f"data.{split}: no row has {place}; give it in some rows, or leave this output out")
    _demand_one_label_per_step(recipe, dataset, usable)
    _demand_one_symbol_per_step(recipe, dataset, usable)
    return usable


def _demand_one_label_per_step(recipe: Settings, dataset: Dataset, rows: np.ndarray) -> None:
    for name, settings in recipe.outputs.items():
        read = alignments.labelled(settings, recipe)
        if read is None:
            continue
        by_words = traits_of(recipe.inputs[read]).by_words
        unit = "word" if by_words else "step"
        labels = dataset.lengths[f"outputs.{name}"][rows]
        steps = _words(dataset, f"inputs.{read}", rows) if by_words else dataset.lengths[f"inputs.{read}"][rows]
        bad = np.flatnonzero((labels > 0) & (labels != steps))
        if len(bad):
            told = f"outputs.{name} has {labels[bad[0]]} labels and inputs.{read} {steps[bad[0]]} {unit}s"
            way = f"align: each needs one label per {unit}: mend or leave out what has another number{_other_unit(recipe, read)}"
            raise _refused(dataset, rows[bad], told, way)


def _demand_one_symbol_per_step(recipe: Settings, dataset: Dataset, rows: np.ndarray) -> None:
    """What goes on from an input may stand in a column of its own, step beside step."""
    for name, settings in recipe.outputs.items():
        if not alignments.of(settings).streams:
            continue
        there = rows[dataset.present(f"outputs.{name}", rows)]
        said, heard = (dataset.lengths[place][there] for place in (f"outputs.{name}", f"inputs.{settings.of}"))
        bad = np.flatnonzero(said != heard)
        if len(bad):
            told = f"outputs.{name} has {said[bad[0]]} steps and inputs.{settings.of} {heard[bad[0]]}"
            way = f"align: next says what follows each step; leave outputs.{name}.column out, or set align: free"
            raise _refused(dataset, there[bad], told, way)


def _refused(dataset: Dataset, rows: np.ndarray, told: str, way: str) -> DataError:
    """What is wrong with the first of these rows, how many are like it, and what to do."""
    number = "one row" if len(rows) == 1 else f"{len(rows):,} rows"
    return DataError(f"{dataset.table.place(int(rows[0]))}: {told} ({number} like this); {way}")


def _other_unit(recipe: Settings, read: str) -> str:
    """What to set where a text's labels are of words and not of its pieces, or the other way round."""
    owner = recipe_columns.vocabulary_owners(recipe)[f"inputs.{read}"]
    tokenizer = getattr(dict(recipe_columns.places(recipe))[owner], "tokenizer", None)
    if tokenizer is None or (tokenizer.type == "word" and not traits_of(recipe.inputs[read]).by_words):
        return ""
    where, kind = f"inputs.{read}.subword_pooling", tokenizer.type
    if traits_of(recipe.inputs[read]).by_words:
        return f"; where each piece that {kind} finds has one, set {where}: none"
    if any(
        output.of == read for output in recipe.outputs.values()
    ):  # which says pieces, and refuses a text that is pooled
        return f"; where each word has one, set {owner}.tokenizer: word"
    return f"; where each word has one, set {where}: mean"


def _words(dataset: Dataset, place: str, rows: np.ndarray) -> np.ndarray:
    """How many words each of these rows has in a column of pieces."""
    parts = (dataset.steps(place, part) for part in np.array_split(rows, -(-len(rows) // COUNTED_ROWS)))
    return np.concatenate([words_of(one.values[:, -1], one.layout)[1].lengths.numpy() for one in parts])
