"""From a recipe that forecasts to its series and their windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ostinato.data.cache import Dataset, encode
from ostinato.data.contract import Dialect
from ostinato.data.examples import Examples, WindowExamples
from ostinato.data.memory import is_frame
from ostinato.data.read import Table, open_table
from ostinato.data.seasons import season_of
from ostinato.data.series import Gathered, long_table, whole_series
from ostinato.data.time_columns import time_columns_of
from ostinato.data.windows import Border, Reach, Windows, borders, check_training
from ostinato.errors import DataError
from ostinato.heads.contract import Outlook, Pairs, Span
from ostinato.modalities.contract import Modality
from ostinato.model.columns import traits_of
from ostinato.notes import Detail
from ostinato.preprocessing import fit
from ostinato.preprocessing.sizes import Amount
from ostinato.preprocessing.splits import Say, Splits, named, source_of
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe.read import Recipe
from ostinato.registry import Settings, component

WINDOWS_AN_EPOCH = 20_000
"""Windows of one series overlap: more of them in an epoch cost more than they teach."""
LEAST_LOOKBACK, MOST_LOOKBACK = 60, 400
"""Steps that are read by default. Linear maps, mean error on validation parts: daily temperatures 10 days ahead 0.529
from 20 days, 0.525 from 60, 0.489 from 365; fine dust 24 hours ahead 0.609 from 48 hours, 0.599 from a week; ETTh1 24
and 96 hours ahead nearly alike from 48, 168, 192 and 336."""
VALID_WINDOWS = 4_000
WARM_STEPS, WARM_WINDOWS, WARM_BATCH = 4_000_000, 4_000, 256
"""Numbers, and windows, that a closed form is fitted on at most: more hardly move it."""
LOOKED_AT = 100_000
"""Rows among which the column that tells series apart is looked for, where nothing names it and times do not rise."""


class SeriesSplits(Splits):
    """Windows of series, divided by time or a file for each split."""

    def __init__(
        self, recipe: Recipe, roots: Sequence[Path], data: Mapping[str, Any], say: Say, *, to_fit: bool = True
    ):
        self.data, self.say = data, say
        say(Detail("reading the series"))
        self.modalities = recipe_columns.build(recipe.settings)
        self.divided = divide(recipe.settings, self.modalities, data, base=recipe.base, roots=roots)
        self.notes = list(self.divided.notes)
        series, train = self.divided.series["train"], self.divided.borders["train"]
        self.recipe = with_lookback(with_season(recipe, series, train), series, train)

    def fit(self) -> None:
        self.say(Detail("fitting the scales"))
        columns, reach = places(self.recipe.settings)
        readers = {place: partial(self._training_part, column, reach[place]) for place, column in columns.items()}
        fit.fit(self.recipe.settings, self.modalities, readers)

    def _training_part(self, column: str, reach: Reach) -> Iterator[Any]:
        """The steps of each series before validation begins, or its one value."""
        ends = self.divided.borders["train"].ends.tolist()
        for cell, end in zip(self.divided.series["train"].cells[column], ends):
            if cell is not None:
                yield cell if reach == "whole" else cell[:end]

    def encoded(self, folder: Path) -> dict[str, Examples]:
        self.say(Detail("encoding the series"))
        settings = self.recipe.settings
        own, examples = recipe_columns.own_settings(settings), {}
        for split in ("train", "valid"):
            series, where = self.divided.series[split], f"data.{split}"
            table = Table([series], series.columns, where)
            dataset = encode(table, self.modalities, places(settings).columns, folder, settings=own)
            windows = windows_of(settings, series, self.divided.borders[split], where)
            _demand_whole(settings, windows, dataset)
            if split == "train":
                check_training(windows)
            rows = windows.with_target()
            if len(rows) < windows.num_rows:
                self.notes.append(
                    f"{split}: {windows.num_rows - len(rows):,} windows left out, their target is missing"
                )
            if not len(rows):
                raise DataError(
                    f"data.{split}: there is no window with a target; lookback + horizon must fit into the series, and"
                    " horizon into the split"
                )
            if split == "valid" and len(windows.empty):
                self.notes.append(
                    f"valid: {len(windows.empty):,} series have no window (the first:"
                    f" {windows.series.title(int(windows.empty[0]))})"
                )
            examples[split] = WindowExamples(windows, rows=rows, dataset=dataset)
        train, valid = examples["train"], examples["valid"]
        self.recipe = self._with_heads(train)
        apart = -(-len(valid) // VALID_WINDOWS)
        if apart > 1:
            self.notes.append(f"validation looks at one in {apart} of {len(valid):,} windows; evaluate measures all")
            examples["valid"] = valid.pick(np.arange(0, len(valid), apart))
        self.recipe = with_stride(self.recipe, len(train))
        train.stride = _window(self.recipe.settings).stride
        return examples

    def _with_heads(self, train: Examples) -> Recipe:
        """The recipe with settings of its heads that it gives none of, chosen from the training windows."""
        settings, series, chosen = self.recipe.settings, self.divided.series["train"], {}
        for name, output in settings.outputs.items():
            source, target, head = f"inputs.{output.of}", f"outputs.{name}", output.head
            reads = output.reads or list(settings.inputs)
            ahead = tuple(traits_of(settings.inputs[read]).known_future for read in reads)
            outlook = Outlook(
                self.modalities[target].spec,
                Span(output.lookback, output.horizon, ahead),
                season(settings, series),
                len(series),
                partial(warm_windows, train, source, target),
            )
            for word, choice in component("heads", head.type).choose(head, outlook).items():
                if word not in head.model_fields_set:
                    chosen[f"{target}.head.{word}"] = choice
        return self.recipe.with_chosen(chosen)

    def amount(self, train: Examples) -> Amount:
        seen = len(train) // train.stride
        steps = {place: seen * int(train.lengths(place)[0]) for place in train.places}
        return Amount(seen, {}, steps, distinct=int(self.divided.borders["train"].ends.sum()))

    def sources(self, examples: Mapping[str, Examples]) -> dict[str, dict[str, Any]]:
        settings, sources = self.recipe.settings, {}
        for split, part in examples.items():
            own = split if source_of(settings, split, self.data) is not None else "train"
            source = named(settings, own, self.data)
            sources[split] = {"source": source, "rows": part.windows.num_rows, "digest": part.digest()}
            sources[split]["times"] = part.windows.series.times_digest()
        series = self.divided.series["train"]
        sources["train"]["frequency"] = None if series.frequency is None else str(series.frequency)
        sources["train"]["form"] = series.form
        return sources


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
        elif traits_of(settings).known_future:
            reach[place] = "ahead"
        else:
            reach[place] = "past" if _over_time(settings) == "channels" else "whole"
    return Places(columns, reach)


def _over_time(settings: Settings) -> str:
    return component("modalities", settings.type).over_time


def _window(recipe: Settings) -> Settings:
    """The output whose lookback, horizon and stride all outputs share."""
    return next(iter(recipe.outputs.values()))


def gather(
    recipe: Settings,
    modalities: Mapping[str, Modality],
    source: Any,
    *,
    base: Path,
    roots: Sequence[Path],
    where: str,
    extra: Sequence[str] = (),
    form: str | None = None,
) -> Gathered:
    """The series of a source, in the order of time.

    Args:
        recipe: whose columns are read.
        modalities: of each place; they need not be fitted.
        source: as `open_table` takes it.
        extra: further columns, with one value for a whole series.
        form: how times are written, where that may be meant in several ways.

    Errors:
        DataError: what `long_table` or `whole_series` refuses.
    """
    data = recipe.data
    numbers, constants, times = {}, [], []
    for place, settings in recipe_columns.places(recipe):
        column = recipe_columns.column_of(place, settings)
        over_time = _over_time(settings)
        if over_time == "channels":
            numbers[column] = recipe_columns.columns_of(place, settings)
        else:
            (times if over_time == "dates" else constants).append(column)
    constants = list(dict.fromkeys([*constants, *extra]))
    named = [name for name in (data.time, data.series) if name is not None]
    read = list(
        dict.fromkeys([*named, *(channel for channels in numbers.values() for channel in channels), *constants])
    )
    opened = partial(open_table, source, base=base, data_root=roots, where=where, dialect=Dialect.of(data))
    _demand_no_index(source, data.time, where)
    table = opened(columns=read)
    by_column = {column: modalities[place] for place, column in places(recipe).columns.items()}
    if data.time is not None:
        gathered = long_table(
            table,
            time=data.time,
            series=data.series,
            numbers=numbers,
            constants=constants,
            times=times,
            several=partial(_several, opened, source, data.time) if data.series is None else str,
            form=form,
        )
        gathered.notes.extend(table.notes)
        for column in constants:
            if column in by_column:
                parse, take = by_column[column].parse, by_column[column].take
                gathered.cells[column] = [
                    parse(cell) if isinstance(cell, str) else take(cell) for cell in gathered.cells[column]
                ]
        return gathered
    values: dict[str, Any] = {column: table.values(column, modality) for column, modality in by_column.items()}
    values |= {column: table.cells(column) for column in extra if column not in by_column}
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
            f"{where}: the times are in the frame's index, and the column '{time}' is needed; give {advice}"
        )


def _several(opened: Callable[..., Table], source: Any, time: str) -> str:
    """What to do if the rows belong to several series; names the column that tells them apart, where there is one."""
    advice = "; rows of several series need data.series, the column that tells them apart"
    columns = None if isinstance(source, Iterator) else time_columns_of(opened(columns=None).first(LOOKED_AT))
    return (
        advice if columns is None or columns.time != time or columns.series is None else f"{advice}: {columns.series}"
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
    modalities: Mapping[str, Modality],
    data: Mapping[str, Any],
    wanted: Sequence[str] = ("train", "valid"),
    *,
    base: Path,
    roots: Sequence[Path],
    extra: Sequence[str] = (),
) -> Divided:
    """The splits of a recipe: parts of one file by time, or a file each.

    Args:
        recipe: whose data they are.
        modalities: of each place; they need not be fitted.
        data: sources in place of the recipe's, by split.
        wanted: the splits that are read where each has a file.
        base, roots, extra: as `gather` takes them.

    Errors:
        DataError: the steps of one file are not as far apart as those of training.
    """

    def read(split: str) -> Gathered:
        source, where = source_of(recipe, split, data), f"data.{split}"
        return gather(recipe, modalities, source, base=base, roots=roots, where=where, extra=extra)

    whole = read("train")
    targets = [recipe_columns.column_of(f"outputs.{name}", output) for name, output in recipe.outputs.items()]
    series = {"train": whole}
    if source_of(recipe, "valid", data) is not None:
        limits, notes = {"train": entire(whole, targets)}, []
    else:
        split = recipe.data.split
        horizon = _window(recipe).horizon
        limits, notes = borders(whole, targets, {} if split is None else split.plain(), horizon=horizon)
        series |= dict.fromkeys(limits, whole)
    for name in wanted:
        if name != "train" and source_of(recipe, name, data) is not None:
            series[name] = read(name)
            _demand_frequency(name, series[name], whole)
            limits[name] = entire(series[name], targets)
    gaps = [note for part in {id(part): part for part in series.values()}.values() for note in part.notes]
    return Divided(series, limits, [*gaps, *notes])


def _demand_frequency(split: str, series: Gathered, train: Gathered) -> None:
    if not series.has_frequency(train.frequency):
        raise DataError(
            f"data.{split}: {series.name}: one step is one {series.frequency}, and one {train.frequency} in "
            "data.train; give steps as far apart as those"
        )


def entire(series: Gathered, columns: Sequence[str]) -> Border:
    """Every step of each series."""
    ends = np.array([len(cells) for cells in series.cells[columns[0]]], dtype=np.int64)
    return Border(np.zeros_like(ends), ends)


def season(recipe: Settings, series: Gathered) -> int:
    """Steps of a season: from the recipe, or as usual for the distance of the dates; 1 where neither tells."""
    usual = series.frequency.season if series.frequency is not None else None
    return recipe.data.season or usual or 1


def windows_of(recipe: Settings, series: Gathered, border: Border, where: str) -> Windows:
    """The windows of a split of a full recipe."""
    output = _window(recipe)
    columns, reach = places(recipe)
    size = {"lookback": output.lookback, "horizon": output.horizon, "season": season(recipe, series)}
    return Windows(series, reach, columns, border, **size, where=where)


def _demand_whole(recipe: Settings, windows: Windows, dataset: Dataset) -> None:
    """Errors:
    DataError: a series lacks an input that is no sequence.
    """
    for place, settings in recipe_columns.places(recipe):
        bad = np.flatnonzero(dataset.lengths[place] == 0)
        if len(bad) and not component("modalities", settings.type).is_sequence:
            raise DataError(
                f"{windows.series.title(int(bad[0]))}: {place} is missing ({len(bad):,} series like this); fill it in, "
                "or leave the series out"
            )


def warm_windows(train: Examples, source: str, target: str) -> tuple[Pairs, Pairs]:
    """Some windows of the training split and what follows each, in batches: those that end before the last fifth of
    their series, and those that begin in it.

    Args:
        train: windows.
        source: the place of the input that is continued.
        target: the place of the output.
    """
    parts = train.by_time()
    assert parts is not None, "only heads of windows ask"
    numbers = train.steps(source, [0]).values.numel()
    most = max(WARM_BATCH, min(WARM_WINDOWS, WARM_STEPS // numbers))
    random = np.random.default_rng(0)  # every n-th one would meet a season at one phase alone
    early, late = (
        np.sort(random.choice(part, share, replace=False)) if len(part) > (share := round(most * size)) else part
        for part, size in zip(parts, (0.8, 0.2))
    )
    batches = [np.array_split(part, -(-len(part) // WARM_BATCH)) if len(part) else [] for part in (early, late)]
    first, then = ([(train.steps(source, own), train.steps(target, own)) for own in part] for part in batches)
    return first, then


def with_season(recipe: Recipe, series: Gathered, train: Border) -> Recipe:
    """The recipe with a season where neither it nor the distance of the dates tells one, and the series repeat."""
    if "season" in recipe.settings.data.model_fields_set or season(recipe.settings, series) > 1:
        return recipe
    name, output = next(iter(recipe.settings.outputs.items()))
    column = recipe_columns.column_of(f"outputs.{name}", output)
    found = season_of([cells[:end] for cells, end in zip(series.cells[column], train.ends.tolist())])
    if found is None:
        return recipe
    why = f"so the series repeat: their steps have an autocorrelation of {found.autocorrelation:.2f} at this distance"
    return recipe.with_chosen({"data.season": (found.steps, why)})


def with_lookback(recipe: Recipe, series: Gathered, train: Border) -> Recipe:
    """The recipe with a lookback where it gives none.

        wanted   = max(3 horizons, 7 seasons, LEAST_LOOKBACK), at most MOST_LOOKBACK
        lookback = wanted, at most max(2 horizons, 2 seasons, a third of the shortest series)
        windows  = steps of the shortest series - lookback - horizon + 1, at least a third of these steps

    Where that leaves nothing to read, half of what the shortest series reaches is read. A day of hours repeats by the
    week. A linear map gains from a long window where there is a season beyond `season`; without one it loses little.
    """
    output = _window(recipe.settings)
    if output.lookback is not None:
        return recipe
    long, shortest = season(recipe.settings, series), int(train.ends.min())
    wanted = min(MOST_LOOKBACK, max(3 * output.horizon, 7 * long, LEAST_LOOKBACK))
    wanted = max(2 * output.horizon, 2 * long, min(wanted, shortest // 3))
    reach = shortest - output.horizon
    most = max(1, reach // 2, reach + 1 - -(-shortest // 3))
    why = (
        f"for a horizon of {output.horizon}, a season of {long} and series of at least {shortest:,} steps"
        if wanted <= most
        else f"so that the shortest series, {shortest:,} steps, gives {max(0, reach + 1 - most):,} windows"
    )
    return recipe.with_chosen(
        {f"outputs.{name}.lookback": (min(wanted, most), why) for name in recipe.settings.outputs}
    )


def with_stride(recipe: Recipe, count: int) -> Recipe:
    """The recipe with a stride where it gives none: so that an epoch has about 20,000 of `count` windows."""
    if _window(recipe.settings).stride is not None:
        return recipe
    stride = max(1, count // WINDOWS_AN_EPOCH)
    why = f"{count:,} windows, about {count // stride:,} of them an epoch, others the next"
    return recipe.with_chosen({f"outputs.{name}.stride": (stride, why) for name in recipe.settings.outputs})
