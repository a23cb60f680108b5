"""From a recipe to what training needs: rows split, modalities fitted, sizes chosen, examples encoded once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.alignments import forecasts, streamed
from ostinato.data.cache import Dataset, encode
from ostinato.data.examples import Examples, RowExamples, StreamExamples, WindowExamples
from ostinato.data.read import Table, open_table
from ostinato.data.split import set_aside, share_of
from ostinato.data.windows import check_training
from ostinato.errors import ConfigError, DataError
from ostinato.modalities.contract import Modality
from ostinato.preprocessing import embeddings, forecasting
from ostinato.preprocessing import fit as preprocessing_fit
from ostinato.preprocessing import sizes as planning
from ostinato.preprocessing.checks import COUNTED_ROWS, usable_rows
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe import vectors as recipe_vectors
from ostinato.recipe.read import Recipe
from ostinato.registry import Settings

CACHE_VARIABLE = "OSTINATO_CACHE"


@dataclass
class Prepared:
    """What training needs.

    Args:
        recipe: full, with all that was chosen from the data.
        modalities: fitted, by place.
        splits: train and valid.
        lengths: longest training target of each output, in steps.
        sources: split -> where its rows came from, for the bundle.
        notes: what was done that the user did not ask for.
        starts: what the embeddings of inputs start from; empty where nothing starts.
    """

    recipe: Recipe
    modalities: dict[str, Modality]
    splits: dict[str, Examples]
    lengths: dict[str, int]
    sources: dict[str, dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    starts: dict[str, embeddings.Start] = field(default_factory=dict)


def cache_folder() -> Path:
    """Where encoded examples are kept: OSTINATO_CACHE, or `ostinato` in the user's cache folder."""
    given = os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ostinato"


def columns_of(recipe: Settings) -> dict[str, str]:
    """The column that stands at each place."""
    return {place: recipe_columns.column_of(place, settings) for place, settings in recipe_columns.places(recipe)}


def source_of(recipe: Settings, split: str) -> Any:
    """What the recipe names for a split, or None."""
    return (recipe.data.train or recipe.data.file) if split == "train" else getattr(recipe.data, split)


def open_split(
    recipe: Recipe, split: str, roots: Sequence[Path], data: Mapping[str, Any], extra: Sequence[str] = ()
) -> Table:
    """The table of a split, from the recipe or from `data`.

    Errors:
        ConfigError: the recipe names no such split.
        DataError: its files are not there, or are not what they should be.
    """
    source = data.get(split) if data.get(split) is not None else source_of(recipe.settings, split)
    if source is None:
        raise ConfigError(f"{recipe.origin}: data.{split} is not given; name the file there, or give --data FILE")
    columns = list(dict.fromkeys([*columns_of(recipe.settings).values(), *extra]))
    return open_table(source, columns=columns, base=recipe.base, data_root=roots, where=f"data.{split}")


def prepare(
    recipe: Recipe,
    *,
    roots: Sequence[Path] = (),
    data: Mapping[str, Any] | None = None,
    facts: Mapping[str, dict] | None = None,
    folder: Path | None = None,
    start: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Prepared:
    """Reads, splits, fits, chooses and encodes.

    Args:
        recipe: as the user gave it.
        roots: folders where paths are looked for after the recipe's own.
        data: tables in memory or other sources by split, in place of the recipe's.
        facts: of modalities fitted before, to resume from; None fits them.
        folder: of the cache; the user's cache by default.
        start: whether files of vectors are read: not where trained weights will take their place.
        say: hears what is going on.
    """
    data = data or {}
    if forecasts(recipe.settings):
        return _windows(recipe, roots, data, facts, folder or cache_folder(), say)
    notes: list[str] = []
    table = open_split(recipe, "train", roots, data)
    say("counting and checking the training rows")
    rows = np.arange(table.num_rows)
    valid_table, valid_rows = None, None
    if data.get("valid") is None and source_of(recipe.settings, "valid") is None:
        rows, valid_rows = set_aside(len(rows), seed=recipe.settings.training.seed)
        valid_table = table
        notes.append(
            f"no valid split given: {len(valid_rows):,} of {table.num_rows:,} rows set aside by seed for validation"
        )
    else:
        valid_table = open_split(recipe, "valid", roots, data)
    notes += table.notes
    all_rows, fraction = rows, recipe.settings.data.fraction
    if fraction < 1:
        rows = share_of(rows, fraction, seed=recipe.settings.training.seed)
        notes.append(
            f"data.fraction {fraction:g}: {len(rows):,} of {len(all_rows):,} training rows kept, drawn by seed"
        )

    columns = columns_of(recipe.settings)
    if facts is None:
        recipe = recipe.with_chosen(planning.words(recipe))
    characters = _characters(table, columns, rows)
    recipe = recipe.with_chosen(planning.tokenizers(recipe, planning.Amount(len(rows), characters, {})))
    modalities = recipe_columns.build(recipe.settings)
    if facts is None:
        say("fitting the vocabularies")
        at: list[int] = []
        readers = {
            place: partial(
                _present,
                table,
                column,
                modalities[place],
                all_rows if modalities[place].labels_beyond_fraction else rows,
                at,
            )
            for place, column in columns.items()
        }
        try:
            preprocessing_fit.fit(recipe.settings, modalities, readers)
        except DataError as why:
            if not at:
                raise
            raise DataError(f"{table.place(at[0])}, {why}") from None
    else:
        preprocessing_fit.restore(modalities, facts)

    say("encoding the examples")
    folder = folder or cache_folder()
    limit = recipe.settings.training.max_steps
    own = recipe_columns.own_settings(recipe.settings)
    dataset = encode(table, modalities, columns, folder, settings=own)
    valid_dataset = dataset if valid_table is table else encode(valid_table, modalities, columns, folder, settings=own)
    train = usable_rows(recipe.settings, dataset, rows, limit, "train", notes)
    valid = usable_rows(recipe.settings, valid_dataset, valid_rows, limit, "valid", notes)
    steps = {place: int(dataset.lengths[place][train].sum()) for place in columns}
    starts = _starts(recipe, modalities, roots, say) if start else {}
    recipe = recipe.with_chosen(planning.widths({name: one.table.shape[1] for name, one in starts.items()}))
    notes += [one.note for one in starts.values()]
    recipe = recipe.with_chosen(planning.sizes(recipe, planning.Amount(len(train), characters, steps)))
    recipe = recipe.with_chosen(planning.cutoffs(recipe, partial(_counted, dataset, modalities, train)))
    lengths = {name: int(dataset.lengths[f"outputs.{name}"][train].max()) for name in recipe.settings.outputs}
    sources = {
        split: {
            "source": _named(data.get(split), source_of(recipe.settings, split)),
            "rows": len(part),
            "digest": one.digest(),
        }
        for split, part, one in (("train", train, table), ("valid", valid, valid_table))
    }
    if valid_table is table:
        sources["valid"]["source"] = f"set aside from {sources['train']['source']}"
    splits: dict[str, Examples] = {
        "train": RowExamples(table, columns, modalities, train, dataset=dataset),
        "valid": RowExamples(valid_table, columns, modalities, valid, dataset=valid_dataset),
    }
    if recipe.settings.training.tbptt is not None:
        of = f"inputs.{streamed(recipe.settings)}"
        splits = {split: StreamExamples(examples, of) for split, examples in splits.items()}
    return Prepared(recipe.checked(modalities), modalities, splits, lengths, sources, notes, starts)


def _starts(
    recipe: Recipe, modalities: Mapping[str, Modality], roots: Sequence[Path], say: Callable[[str], None]
) -> dict[str, embeddings.Start]:
    if not recipe_vectors.asked(recipe.settings):
        return {}
    say("reading the vectors of words")
    inputs = recipe.settings.inputs
    given = {name: inputs[name].encoder.embedding_size for name in recipe_vectors.asked(recipe.settings)}
    given = {name: size for name, size in given.items() if size is not None}
    return embeddings.starts(recipe.settings, modalities, base=recipe.base, roots=roots, given=given)


def _windows(
    recipe: Recipe,
    roots: Sequence[Path],
    data: Mapping[str, Any],
    facts: Mapping[str, dict] | None,
    folder: Path,
    say: Callable[[str], None],
) -> Prepared:
    """What `prepare` does where series are forecast: the splits are times, and the rows are windows."""
    say("reading the series")
    modalities = recipe_columns.build(recipe.settings)
    read = lambda split, source: forecasting.gather(  # noqa: E731
        recipe.settings, modalities, source, base=recipe.base, roots=roots, where=f"data.{split}"
    )
    divided = forecasting.divide(recipe.settings, read, data)
    notes, whole, border = list(divided.notes), divided.series["train"], divided.borders["train"]
    recipe = forecasting.with_lookback(recipe, whole, border)
    columns, reach = forecasting.places(recipe.settings)
    if facts is None:
        say("fitting the scales")
        readers = {
            place: partial(forecasting.training_part, whole, border, columns[place], reach[place]) for place in columns
        }
        preprocessing_fit.fit(recipe.settings, modalities, readers)
    else:
        preprocessing_fit.restore(modalities, facts)

    say("encoding the series")
    own, splits = recipe_columns.own_settings(recipe.settings), {}
    for split in ("train", "valid"):
        series, where = divided.series[split], f"data.{split}"
        dataset = encode(forecasting.table_of(series, where), modalities, columns, folder, settings=own)
        windows = forecasting.windows(recipe.settings, series, divided.borders[split], where)
        forecasting.demand_whole(recipe.settings, windows, dataset)
        if split == "train":
            check_training(windows)
        rows = windows.with_target()
        if len(rows) < windows.num_rows:
            notes.append(f"{split}: {windows.num_rows - len(rows):,} windows left out, their target is missing")
        if not len(rows):
            raise DataError(
                f"data.{split}: there is no window with a target; lookback + horizon must fit into the series, and horizon into the split"
            )
        if split == "valid" and len(windows.empty):
            notes.append(
                f"valid: {len(windows.empty):,} series have no window (the first: {windows.told(int(windows.empty[0]))})"
            )
        splits[split] = WindowExamples(windows, rows, dataset=dataset)
    train, valid = splits["train"], splits["valid"]
    apart = -(-len(valid) // forecasting.VALID_WINDOWS)
    if apart > 1:
        notes.append(f"validation looks at one in {apart} of {len(valid):,} windows; evaluate measures all")
        splits["valid"] = valid.pick(np.arange(0, len(valid), apart))
    recipe = forecasting.with_stride(recipe, len(train))
    train.stride = next(iter(recipe.settings.outputs.values())).stride
    seen = len(train) // train.stride
    steps = {place: seen * int(train.lengths(place)[0]) for place in columns}
    amount = planning.Amount(seen, dict.fromkeys(columns, 0), steps, distinct=int(border.ends.sum()))
    recipe = recipe.with_chosen(planning.sizes(recipe, amount))
    sources = {
        split: {
            "source": _named(data.get(split), source_of(recipe.settings, split) or source_of(recipe.settings, "train")),
            "rows": splits[split].windows.num_rows,
            "digest": splits[split].digest(),
        }
        for split in splits
    }
    sources["train"]["frequency"] = None if whole.frequency is None else str(whole.frequency)
    lengths = {name: settings.horizon for name, settings in recipe.settings.outputs.items()}
    return Prepared(recipe.checked(modalities), modalities, splits, lengths, sources, notes)


def _named(given: Any, written: Any) -> str:
    return (
        f"{type(given).__name__} in memory"
        if given is not None and not isinstance(given, (str, Path))
        else str(given or written)
    )


def _present(table: Table, column: str, modality: Modality, rows: np.ndarray, at: list[int]) -> Iterator[Any]:
    """The values of these rows that are not missing; while one is looked at, `at` holds its row."""
    for row, value in zip(rows.tolist(), table.values(column, modality, rows)):
        if value is not None:
            at.append(row)
            yield value
            at.clear()


def _counted(dataset: Dataset, modalities: Mapping[str, Modality], rows: np.ndarray, place: str) -> np.ndarray:
    """How often each symbol of an output is a target in these rows, the end once in each."""
    spec = modalities[place].spec
    counts = np.zeros(spec.size, np.int64)
    for part in np.array_split(rows, -(-len(rows) // COUNTED_ROWS)):
        counts += np.bincount(dataset.steps(place, part).values, minlength=spec.size)
    counts[spec.end] += len(rows)
    return counts


def _characters(table: Table, columns: Mapping[str, str], rows: np.ndarray) -> dict[str, int]:
    """Characters of text in the training rows of each column, lists of words included; what is not text counts nothing."""
    used = np.zeros(table.num_rows, dtype=bool)
    used[rows] = True
    counts = dict.fromkeys(columns.values(), 0)
    start = 0
    for block in table.blocks():
        here = used[start : start + len(block)]
        for column in counts:
            counts[column] += sum(_length(cell) for cell, use in zip(block.columns[column], here) if use)
        start += len(block)
    return {place: counts[column] for place, column in columns.items()}


def _length(cell: Any) -> int:
    if isinstance(cell, (list, tuple)):
        return sum(len(one) + 1 for one in cell if isinstance(one, str))
    return len(cell) if isinstance(cell, str) else 0
