"""From a recipe that forecasts to its series and their windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ostinato.data.cache import Dataset
from ostinato.data.memory import is_frame
from ostinato.data.read import Table, open_table
from ostinato.data.series import Gathered, long_table, whole_series
from ostinato.data.time_columns import clock_of
from ostinato.data.windows import Border, Reach, Windows, borders
from ostinato.errors import DataError
from ostinato.modalities.contract import Modality
from ostinato.model.columns import traits_of
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe.read import Recipe
from ostinato.registry import Settings, component

WINDOWS_AN_EPOCH = 20_000
"""Windows of one series overlap: more of them in an epoch cost more than they teach."""
VALID_WINDOWS = 4_000
LOOKED_AT = 100_000
"""Rows among which the column that tells series apart is looked for, where nothing names it and times do not rise."""


class Places(NamedTuple):
    """What a recipe that forecasts reads.

    Args:
        columns: place -> its column, the joined names of several.
        reach: place -> which steps a window holds of it.
    """

    columns: dict[str, str]
    reach: dict[str, Reach]


def places(recipe: Settings) -> Places:
    columns, reach = {}, {}
    for place, settings in recipe_columns.places(recipe):
        columns[place] = recipe_columns.column_of(place, settings)
        if place.startswith("outputs."):
            reach[place] = "target"
        else:
            reach[place] = (
                "ahead" if traits_of(settings).known_future else "past" if settings.type == "series" else "whole"
            )
    return Places(columns, reach)


def gather(
    recipe: Settings,
    modalities: Mapping[str, Modality],
    source: Any,
    *,
    base: Path,
    roots: Sequence[Path],
    where: str,
    extra: Sequence[str] = (),
) -> Gathered:
    """The series of a source, in the order of time.

    Args:
        recipe: whose columns are read.
        modalities: of each place; they need not be fitted.
        source: as `open_table` takes it.
        extra: further columns, with one value for a whole series.

    Errors:
        DataError: what `long_table` or `whole_series` refuses.
    """
    data = recipe.data
    numbers, constants, times = {}, [], []
    for place, settings in recipe_columns.places(recipe):
        column = recipe_columns.column_of(place, settings)
        if settings.type == "series":
            numbers[column] = recipe_columns.columns_of(place, settings)
        elif settings.type == "calendar":
            times.append(column)
        else:
            constants.append(column)
    constants = list(dict.fromkeys([*constants, *extra]))
    named = [one for one in (data.time, data.series) if one is not None]
    read = list(dict.fromkeys([*named, *(one for channels in numbers.values() for one in channels), *constants]))
    opened = partial(open_table, source, base=base, data_root=roots, where=where)
    _demand_no_index(source, data.time, where)
    table = opened(columns=read)
    by_column = {column: modalities[place] for place, column in places(recipe).columns.items()}
    if data.time is not None:
        several = (lambda: _several(opened, source, data.time)) if data.series is None else (lambda: "")
        found = long_table(
            table,
            time=data.time,
            series=data.series,
            numbers=numbers,
            constants=constants,
            times=times,
            several=several,
        )
        for column in constants:
            if column in by_column:
                parse, take = by_column[column].parse, by_column[column].take
                found.cells[column] = [parse(one) if isinstance(one, str) else take(one) for one in found.cells[column]]
        return found
    values: dict[str, Any] = {column: table.values(column, modality) for column, modality in by_column.items()}
    values |= {column: iter(table.column(column)) for column in extra if column not in by_column}
    ahead = [
        recipe_columns.column_of(place, settings)
        for place, settings in recipe_columns.places(recipe)
        if traits_of(settings).known_future
    ]
    return whole_series(table, values, series=data.series, numbers=list(numbers), ahead=ahead)


def _demand_no_index(source: Any, time: str | None, where: str) -> None:
    """Names the step that brings the dates of a pandas frame from its index into a column."""
    index = getattr(source, "index", None) if is_frame(source) else None
    if index is None or time is None or time in source.columns:
        return
    if time in index.names or np.dtype(index.dtype).kind == "M":
        advice = "frame.reset_index()" if time in index.names else f"frame.reset_index(names={time!r})"
        raise DataError(
            f"{where}: the times stand in the frame's index, and the column '{time}' is needed; give {advice}"
        )


def _several(opened: Callable[..., Table], source: Any, time: str) -> str:
    """What to do if rows are of several series; with the column that tells them apart, where one does."""
    advice, clock = "; rows of several series need data.series, the column that tells them apart", None
    if not isinstance(source, Iterator):
        clock = clock_of(opened(columns=None).first(LOOKED_AT))
    return (
        f"{advice}: {clock.series}" if clock is not None and clock.time == time and clock.series is not None else advice
    )


class Divided(NamedTuple):
    """Series and where the splits of them lie.

    Args:
        series: of each split; one and the same where one file is divided.
        borders: of each split.
        notes: what was chosen.
    """

    series: dict[str, Gathered]
    borders: dict[str, Border]
    notes: list[str]


def divide(
    recipe: Settings,
    read: Callable[[str, Any], Gathered],
    given: Mapping[str, Any],
    wanted: Sequence[str] = ("train", "valid"),
) -> Divided:
    """The splits of a recipe: parts of one file by time, or a file each.

    Args:
        recipe: whose data they are.
        read: a split's name and its source to series.
        given: sources in place of the recipe's, by split.
        wanted: the splits that are read where each has a file.

    Errors:
        DataError: the steps of one file are not as far apart as those of training.
    """
    source = lambda split: given.get(split) if given.get(split) is not None else getattr(recipe.data, split)  # noqa: E731
    whole = read(
        "train", given.get("train") if given.get("train") is not None else recipe.data.train or recipe.data.file
    )
    targets = [recipe_columns.column_of(f"outputs.{name}", one) for name, one in recipe.outputs.items()]
    horizon = next(iter(recipe.outputs.values())).horizon
    found = {"train": whole}
    if source("valid") is not None:
        limits, notes = {"train": entire(whole, targets)}, []
    else:
        split = recipe.data.split
        limits, notes = borders(whole, targets, {} if split is None else split.plain(), horizon=horizon)
        found |= dict.fromkeys(limits, whole)
    for name in wanted:
        if name != "train" and source(name) is not None:
            found[name] = read(name, source(name))
            _demand_frequency(name, found[name], whole)
            limits[name] = entire(found[name], targets)
    return Divided(found, limits, notes)


def _demand_frequency(split: str, series: Gathered, train: Gathered) -> None:
    if not series.goes_by(train.frequency):
        raise DataError(
            f"data.{split}: {series.name}: one step is one {series.frequency}, and one {train.frequency} in data.train; give steps as far"
            " apart as those"
        )


def entire(series: Gathered, columns: Sequence[str]) -> Border:
    """Every step of each series."""
    ends = np.array([len(one) for one in series.cells[columns[0]]], dtype=np.int64)
    return Border(np.zeros_like(ends), ends)


def season(recipe: Settings, series: Gathered) -> int:
    """Steps of a season: as the recipe says, or as usual for the distance of the dates; 1 where neither tells."""
    usual = series.frequency.season if series.frequency is not None else None
    return recipe.data.season or usual or 1


def windows(recipe: Settings, series: Gathered, border: Border, where: str) -> Windows:
    """The windows of a split of a full recipe."""
    output = next(iter(recipe.outputs.values()))
    found = places(recipe)
    return Windows(
        series,
        found.reach,
        found.columns,
        border,
        lookback=output.lookback,
        horizon=output.horizon,
        season=season(recipe, series),
        where=where,
    )


def demand_whole(recipe: Settings, windows: Windows, dataset: Dataset) -> None:
    """Errors:
    DataError: a series lacks an input that is no sequence.
    """
    for place, settings in recipe_columns.places(recipe):
        bad = np.flatnonzero(dataset.lengths[place] == 0)
        if len(bad) and component("modalities", settings.type).default_encoder == "feed_forward":
            raise DataError(
                f"{windows.told(int(bad[0]))}: {place} is missing ({len(bad):,} series like this); fill it in, or leave the series out"
            )


def with_lookback(recipe: Recipe, series: Gathered, train: Border) -> Recipe:
    """The recipe with a lookback where it gives none: two horizons or two seasons, whichever is longer, as far as series reach."""
    output = next(iter(recipe.settings.outputs.values()))
    if output.lookback is not None:
        return recipe
    long = season(recipe.settings, series)
    wanted = max(2 * output.horizon, 2 * long)
    most = max(1, int(train.ends.min()) - output.horizon)
    why = (
        f"twice the longer of the horizon ({output.horizon}) and a season ({long})"
        if wanted <= most
        else "as far as the shortest series reaches"
    )
    return recipe.with_chosen(
        {f"outputs.{name}.lookback": (min(wanted, most), why) for name in recipe.settings.outputs}
    )


def with_stride(recipe: Recipe, count: int) -> Recipe:
    """The recipe with a stride where it gives none: so that an epoch has about 20,000 of `count` windows."""
    if next(iter(recipe.settings.outputs.values())).stride is not None:
        return recipe
    stride = max(1, count // WINDOWS_AN_EPOCH)
    why = f"{count:,} windows, about {count // stride:,} of them an epoch, others the next"
    return recipe.with_chosen({f"outputs.{name}.stride": (stride, why) for name in recipe.settings.outputs})


def table_of(series: Gathered, where: str) -> Table:
    return Table([series], series.columns, where)


def training_part(series: Gathered, border: Border, column: str, reach: Reach) -> Iterator[Any]:
    """What a modality is fitted on: the steps of each series before the border, or its one value."""
    for cell, end in zip(series.cells[column], border.ends.tolist()):
        if cell is not None:
            yield cell if reach == "whole" else cell[:end]
