"""Guesses for a column that is continued: what follows each of its steps, or a forecast of its numbers."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace

from ostinato.data.series import disorder
from ostinato.data.time_columns import TimeColumns, time_columns_of
from ostinato.errors import ConfigError, DataError
from ostinato.raw.times import TimeReader, why_no_time
from ostinato.recipe.column_types import (
    Guess,
    is_series,
    numbers_in,
    why_no_number,
)
from ostinato.recipe.first_rows import Look, is_text
from ostinato.recipe.guessed import Guessed, type_shown
from ostinato.recipe.schema import opened
from ostinato.registry import component

HORIZON = 10
"""Steps that are forecast where times have no season."""
SHORT = 8
"""A horizon is chosen that a series has so many times: of 104 weeks the last 52 would leave nothing to learn from."""
SEEMS_TIME = re.compile(r"\d[-/.: ]\d.*[-/.: ]\d|(?<!\d)(19|20)\d\d(?!\d)")
TUNE = re.compile(r"^K:[ ]*[A-Gn]", re.M)
"""The key of a tune in ABC, which no tune lacks."""


def continuation(look: Look, column: str, kinds: Mapping[str, str | None]) -> Guessed:
    """A single column: a model of its continuation."""
    held = look.held(column)
    if not held:
        raise DataError(f"DATA: {look.source} holds nothing in its first {look.rows:,} rows")
    guess = look.kind(column, kinds.get(column))
    if not component("modalities", opened(guess.settings)["type"]).aligns & {"next", "ahead"}:
        quoted = shlex.quote(column)
        kind = type_shown(guess.settings)
        refusal = f"DATA: {look.source} has one column, {column}, of type {kind}, which has no continuation"
        if any(isinstance(cell, bytes) for cell in held):
            raise ConfigError(
                f"{refusal}; give a column to predict too: in a folder sort the files into a subfolder for each label,"
                f" or add a table manifest.csv with the columns {column}:file and, beside it, what to predict"
            )
        if is_series(held):
            raise ConfigError(f"{refusal}; give a column of times beside it and --forecast {quoted}, or one to predict")
        if not all(map(is_text, held)):
            raise ConfigError(f"{refusal}; put a column to predict beside it")
        raise ConfigError(f"{refusal}; give a table, or read it as text: --in {quoted}:text")
    if (
        kinds.get(column) is None
        and column not in look.files
        and all(isinstance(cell, str) and TUNE.search(cell) for cell in held)
    ):
        guess = replace(guess, instead=f"these are tunes in ABC: --in {shlex.quote(column)}:music reads their notes")
    output = Guess({"of": column, "align": "next"}, "what follows each step of the only column")
    return Guessed(
        look.source,
        look.rows,
        {column: guess},
        {"going_on": output},
        f"one column, {column}: a model of its continuation",
        {},
    )


def forecast(
    look: Look,
    named_inputs: Mapping[str, str | None],
    named_outputs: Mapping[str, str | None],
    target: str,
    choice: str | None = None,
) -> Guessed:
    """The continuation of a column of numbers, a row a step or a list of them in each row."""
    whole = look.held(target)
    in_lists = bool(whole) and all(isinstance(cell, (list, tuple)) for cell in whole)
    _demand_one_series(look, named_inputs, named_outputs, target, in_lists)
    time_columns = None if in_lists else _times(look, named_inputs, target)
    steps = {time_columns.time, time_columns.series} if time_columns is not None else set()
    left_out, reads = (
        {},
        {name: kind for name, kind in named_inputs.items() if time_columns is None or name != time_columns.time},
    )
    if not named_inputs:
        for name in look.cells:
            if name in {target, *steps}:
                continue
            if is_series(look.held(name), in_lists):
                reads[name] = None
            else:
                left_out[name] = "it is no series; use --in for one value of a whole series"
    read = {target: Guess("series", "what is forecast")}
    why, instead = (
        "numbers, of which the past is read",
        "for what is known ahead write {type: series, known_future: true}",
    )
    pasts = [
        name for name, kind in reads.items() if name != target and kind is None and is_series(look.held(name), in_lists)
    ]
    if len(pasts) > 1 and not in_lists:
        together = Guess({"type": "series", "column": pasts}, f"{why}, channels of one series", instead)
        read[_free("others", look.cells)] = together
    else:
        read |= dict.fromkeys(pasts, Guess("series", why, instead))
    for name, kind in reads.items():
        if name != target and name not in pasts:
            read[name] = look.kind(name, kind)
    if time_columns is not None and time_columns.dates:
        read[_free("when", look.cells)] = Guess("calendar", f"hour, weekday and day of the year of {time_columns.time}")
    season = None if time_columns is None else time_columns.frequency.season
    horizon, why = (season, "a season") if time_columns is not None and season else (HORIZON, "a few")
    names_series = None if time_columns is None else time_columns.series
    length = look.rows if names_series is None else max(Counter(map(str, look.cells[names_series])).values())
    if not in_lists and horizon > max(1, length // SHORT):
        horizon, why = max(1, length // SHORT), f"an eighth of {length:,} steps, which leaves some to learn from"
    output = Guess(
        {"of": target, "horizon": horizon},
        f"{horizon} step{'s' * (horizon > 1)} ahead, {why}",
        "horizon: as many as you need",
    )
    left_out |= {
        name: "neither in --in nor in --out"
        for name in look.cells
        if name not in {**reads, **left_out, target: None} and name not in steps
    }
    return Guessed(
        look.source, look.rows, read, {_free("forecast", look.cells): output}, choice, left_out, time_columns
    )


def _demand_one_series(
    look: Look,
    named_inputs: Mapping[str, str | None],
    named_outputs: Mapping[str, str | None],
    target: str,
    in_lists: bool,
) -> None:
    """That the column is one of numbers, the only one that is forecast, and read as a series where it is read."""
    whole = look.held(target)
    if not in_lists and (not whole or numbers_in(whole) is None):
        first = next(((row, why) for row, cell in enumerate(look.cells[target]) if (why := why_no_number(cell))), None)
        seen = (
            f"'{target}' holds nothing" if first is None else f"{look.place(first[0])}, column '{target}': {first[1]}"
        )
        raise ConfigError(
            f"--out {target}: '{target}' is an input too; a model would only copy it. Only the continuation of numbers"
            " is forecast, and these"
            f" are none ({seen}); name another column, or write a recipe"
            if target in named_inputs
            else f"--out {target}:series: a series is of numbers, and {seen}; name another column or another type where"
            " these are no numbers"
        )
    if len(named_outputs) > 1:
        listed = ", ".join(named_outputs)
        raise ConfigError(
            f"--out: {listed}: one column is forecast at a time; for several at once write a recipe, such as"
            f" {target}: {{type: series, column: [{listed}]}}"
        )
    if named_inputs.get(target) not in (None, "series"):
        raise ConfigError(
            f"--in {target}:{named_inputs[target]}: what is forecast is read as a series; write --in {target}"
        )


def _times(look: Look, named_inputs: Mapping[str, str | None], target: str) -> TimeColumns:
    """How the rows of a table follow one another.

    Errors:
        ConfigError: no column tells.
    """
    time_columns = time_columns_of(look.cells, {target, *named_inputs})
    if time_columns is None:
        # Whoever names the dates among the inputs means the time, which is read as a calendar.
        named = time_columns_of(
            look.cells, {target, *(name for name, kind in named_inputs.items() if kind is not None)}
        )
        time_columns = named if named is not None and named.dates else None
    if time_columns is None:
        raise ConfigError(
            f"'{target}': a forecast needs the order of the rows, and no column of {look.source} has times that rise"
            " from row to row, or within each series: dates such as 2013-01-31 14:00, or whole numbers; sort the rows"
            f" by time, or add the column{_seeming_time(look, {target, *named_inputs})}"
        )
    return time_columns


def _seeming_time(look: Look, taken: Collection[str]) -> str:
    """The first cell that cannot be read in the first column that looks like one of times."""
    for name, cells in look.cells.items():
        if name in taken or SEEMS_TIME.search(str(next(iter(look.held(name)), ""))) is None:
            continue
        reader = TimeReader()
        if (row := reader.add(cells)) is not None:
            return f"; {look.place(row)}, column '{name}': {why_no_time(cells[row])}"
        try:
            place = disorder(reader.times(), name)
        except DataError as why:
            return f"; column '{name}': {why}"
        if place is not None:
            return f"; {look.place(place[0])}, column '{name}': {place[1]}"
    return ""


def _free(name: str, columns: Collection[str]) -> str:
    """A name that no column has."""
    return name if name not in columns else _free(f"{name}_", columns)
