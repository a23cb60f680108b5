"""From a recipe to what training needs: splits opened, modalities fitted, sizes chosen, examples encoded once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ostinato.alignments import forecasts
from ostinato.data.examples import Examples
from ostinato.data.read import existing
from ostinato.errors import ConfigError, placed
from ostinato.files import cache_folder
from ostinato.modalities.contract import Modality
from ostinato.notes import Detail
from ostinato.preprocessing import counted, embeddings
from ostinato.preprocessing import fit as preprocessing_fit
from ostinato.preprocessing import sizes as planning
from ostinato.preprocessing.checks import COUNTED_ROWS
from ostinato.preprocessing.forecasting import SeriesSplits
from ostinato.preprocessing.joins import joins
from ostinato.preprocessing.leaks import flaws, repeated
from ostinato.preprocessing.rates import learning_rate
from ostinato.preprocessing.splits import Say
from ostinato.preprocessing.tables import TableSplits
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe import vectors as recipe_vectors
from ostinato.recipe.read import Recipe
from ostinato.registry import Settings, component


@dataclass
class Prepared:
    """What training needs.

    Args:
        recipe: full, with all that was chosen from the data.
        modalities: fitted, by place.
        splits: train and valid.
        lengths: longest training target of each output, in steps.
        sources: split -> where its examples came from, for the bundle.
        notes: what was done that the user did not ask for.
        starts: the first values of embeddings, by input; empty where none is read from a file.
    """

    recipe: Recipe
    modalities: dict[str, Modality]
    splits: dict[str, Examples]
    lengths: dict[str, int]
    sources: dict[str, dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    starts: dict[str, embeddings.Start] = field(default_factory=dict)


def prepare(
    recipe: Recipe,
    *,
    roots: Sequence[Path] = (),
    data: Mapping[str, Any] | None = None,
    facts: Mapping[str, dict] | None = None,
    known: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    begun: Collection[str] = (),
    folder: Path | None = None,
    start: bool = True,
    say: Say = lambda _: None,
) -> Prepared:
    """Reads, splits, fits, chooses and encodes.

    Args:
        recipe: as the user gave it.
        roots: folders where paths are looked for after the recipe's own.
        data: tables in memory or other sources by split, in place of the recipe's.
        facts: of modalities fitted before, to resume from; None fits them.
        known: facts of an earlier run that the training rows extend, by place.
        begun: inputs whose embeddings are those of the earlier run.
        folder: of the cache; the user's cache by default.
        start: whether files of vectors are read: not where trained weights will take their place.
        say: receives a line of progress.
    """
    for note in recipe.notes:
        say(f"note: {note}")
    if facts is None:
        recipe = recipe.with_chosen(_settled(recipe, roots))
    splits = (SeriesSplits if forecasts(recipe.settings) else TableSplits)(
        recipe, roots, data or {}, say, to_fit=facts is None
    )
    modalities = splits.modalities
    if facts is None:
        splits.fit()
        for place, earlier in known.items():
            modalities[place].restore(modalities[place].extended(earlier, modalities[place].facts()))
    else:
        preprocessing_fit.restore(modalities, facts)
    starts = _starts(splits.recipe, modalities, known, begun, roots, say) if start else {}
    embeddings.add_words(starts, modalities, recipe_columns.vocabulary_owners(splits.recipe.settings))
    examples = splits.encoded(folder or cache_folder())
    recipe, train = splits.recipe, examples["train"]
    recipe = recipe.with_chosen(planning.widths({name: first.table.shape[1] for name, first in starts.items()}))
    amount = splits.amount(train)
    recipe = recipe.with_chosen(joins(recipe, modalities, amount))
    recipe = recipe.with_chosen(counted.sizes(recipe, amount))
    recipe = recipe.with_chosen(planning.sizes(recipe, amount))
    recipe = recipe.with_chosen(learning_rate(recipe, amount.rules))
    recipe = recipe.with_chosen(planning.cutoffs(recipe, partial(_counted, train, modalities)))
    lengths = {name: int(train.lengths(f"outputs.{name}").max()) for name in recipe.settings.outputs}
    inputs = [f"inputs.{name}" for name in recipe.settings.inputs]
    notes = [
        *splits.notes,
        *(first.note for first in starts.values()),
        *flaws(train, examples["valid"], recipe.settings, modalities),
    ]
    notes += repeated(train, examples["valid"], "valid", inputs)
    recipe = recipe.checked(modalities)
    return Prepared(recipe, modalities, examples, lengths, splits.sources(examples), notes, starts)


def _settled(recipe: Recipe, roots: Sequence[Path]) -> planning.Chosen:
    """What encoders settle from the folders that they name; what the recipe gives holds."""
    chosen: planning.Chosen = {}
    for name, column in recipe.settings.inputs.items():
        if isinstance(column.encoder, Settings):
            cls = component("encoders", column.encoder.type)
            with placed(f"inputs.{name}.encoder"):
                find = partial(existing, base=recipe.base, data_root=roots)
                settled = cls.settled(column.encoder, column, find)
            chosen |= {f"inputs.{name}.{path}": choice for path, choice in settled.items()}
    return {path: choice for path, choice in chosen.items() if not recipe.gives(path)}


def _starts(
    recipe: Recipe,
    modalities: Mapping[str, Modality],
    known: Mapping[str, Mapping[str, Any]],
    begun: Collection[str],
    roots: Sequence[Path],
    say: Say,
) -> dict[str, embeddings.Start]:
    every = recipe_vectors.asked(recipe.settings)
    asked = {name: vectors for name, vectors in every.items() if name not in begun}
    for name in [name for name in every if f"inputs.{name}" in known]:
        if every[name].extend and not modalities[f"inputs.{name}"].spec.added:
            raise ConfigError(
                f"inputs.{name}.encoder.embedding.extend: its vocabulary is that of the run that `from` names, to which"
                " no words were added; leave extend out, or train that run with it"
            )
    if not asked:
        return {}
    say(Detail("reading the vectors of words"))
    sizes = {name: recipe.settings.inputs[name].encoder.embedding_size for name in asked}
    widths = {name: size for name, size in sizes.items() if size is not None}
    return embeddings.starts(
        asked, recipe.settings.training.seed, modalities, base=recipe.base, roots=roots, sizes=widths
    )


def _counted(train: Examples, modalities: Mapping[str, Modality], place: str) -> np.ndarray:
    """How often each symbol of an output is a target, the end once in each example; what is copied though the
    vocabulary lacks it is none of these."""
    spec = modalities[place].spec
    counts = np.zeros(spec.size, np.int64)
    for part in np.array_split(np.arange(len(train)), -(-len(train) // COUNTED_ROWS)):
        counts += np.bincount(train.steps(place, part).values, minlength=spec.size)[: spec.size]
    counts[spec.end] += len(train)
    return counts
