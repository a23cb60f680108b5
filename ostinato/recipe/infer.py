"""A recipe from a look at a file: which columns go in and out, of what kind they are, each guess with its reason."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ostinato.data.contract import PLAIN, Dialect
from ostinato.data.read import Roots
from ostinato.data.time_columns import time_columns_of
from ostinato.errors import ConfigError, DataError, nearest
from ostinato.recipe.column_types import (
    Guess,
    is_dates,
    is_id,
    is_numbering,
    is_series,
    labels_of_steps,
)
from ostinato.recipe.continued import continuation, forecast
from ostinato.recipe.earlier import Earlier, as_earlier, with_earlier
from ostinato.recipe.first_rows import LINES, Look, look_at
from ostinato.recipe.guessed import Guessed, nameable
from ostinato.recipe.paths import set_all
from ostinato.recipe.read import Recipe, check, from_arguments
from ostinato.registry import names

DATES_ALONE = "dates, which say little alone; name each input by --in to read them"


def guess(
    source: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    base: Path | None = None,
    data_root: Roots = None,
    dialect: Dialect = PLAIN,
    earlier: Earlier | None = None,
) -> Guessed:
    """Infers a recipe from a file.

    Args:
        source: the file.
        inputs: `COLUMN` or `COLUMN:TYPE`, or several with commas between; with none, all columns that are no output.
        outputs: likewise; with none, the last column that is no input, or a single column's continuation. A
            column of numbers of type `series`, or is an input too, is forecast.
        base: the folder that the path is relative to; the working folder by default.
        data_root: further folders.
        dialect: how it is written, where that is known.
        earlier: the columns of the run that training starts from: what has no type here is as it was there, and with
            no inputs and outputs named they are that run's.

    Errors:
        ConfigError: a column or a type that there is not, or a column named twice.
        DataError: the file cannot be read, or one of its columns holds nothing.
    """
    look = look_at(source, base=base, data_root=data_root, dialect=dialect)
    columns = list(look.cells)
    if earlier is None:
        guessed = _guess(look, inputs, outputs)
    elif not inputs and not outputs and (sides := earlier.whole(columns)) is not None:
        guessed = as_earlier(look, earlier, *sides)
    else:
        told = {**_named("--in", inputs, columns, look.advice), **_named("--out", outputs, columns, look.advice)}
        untold = {column for column in columns if told.get(column) is None}
        guessed = with_earlier(_guess(look, inputs, outputs), earlier, untold)
    return replace(guessed, numerals=look.numerals, dialect=dialect)


def _guess(look: Look, inputs: Sequence[str], outputs: Sequence[str]) -> Guessed:
    """The columns of a look."""
    columns = list(look.cells)
    named_inputs = _named("--in", inputs, columns, look.advice)
    named_outputs = _named("--out", outputs, columns, look.advice)
    if look.in_columns and not outputs and not any(named_inputs.values()):
        word = shlex.quote(f"{columns[0]}:text")
        raise ConfigError(f"DATA: {look.in_columns}; to read each line as a row name a type: --in {word}")
    ahead = [name for name, kind in named_outputs.items() if name in named_inputs or kind == "series"]
    if ahead:
        return forecast(look, named_inputs, named_outputs, ahead[0])
    if len(columns) == 1 and not named_outputs:
        return continuation(look, columns[0], named_inputs)
    if not named_outputs and not named_inputs and (last := _numbers_by_date(look)) is not None:
        why = f"NOT SURE: rows of numbers by date are forecast, here {last}, the last column"
        return forecast(look, {}, {last: None}, last, f"{why}; use --forecast COLUMN for another")
    choice, left_out = None, dict[str, str]()
    if not named_outputs:
        free = [name for name in columns if name not in named_inputs]
        if not free:
            raise ConfigError(f"--out: every column is an input ({', '.join(named_inputs)}); name the output")
        named_outputs = {free[-1]: None}
        choice = f"NOT SURE: {free[-1]} is the output because it is the last column; use --out COLUMN for another"
    if not named_inputs:
        named_inputs, left_out = _all_others(look, named_outputs)
        others = f"the inputs are all other columns ({', '.join(named_inputs)})"
        choice = f"{choice}; {others}" if choice else f"NOT SURE: {others}; use --in COLUMN for some of them"
    left_out |= {
        name: "neither in --in nor in --out"
        for name in columns
        if name not in {**named_inputs, **named_outputs, **left_out}
    }
    for name in (*named_inputs, *named_outputs):
        if not look.held(name):
            raise DataError(
                f"DATA: the column '{name}' of {look.source} holds nothing in the first {look.rows:,} rows; leave it"
                " out, or name another"
            )
    input_columns, output_columns = _types(look, named_inputs, named_outputs)
    return Guessed(look.source, look.rows, input_columns, output_columns, choice, left_out)


def _numbers_by_date(look: Look) -> str | None:
    """The last column of a table of dates and numbers alone; None of any other."""
    time_columns = time_columns_of(look.cells)
    if time_columns is None or not time_columns.dates:
        return None
    free = [name for name in look.cells if name not in (time_columns.time, time_columns.series)]
    return free[-1] if free and all(is_series(look.held(name)) for name in free) else None


def _all_others(look: Look, outputs: Collection[str]) -> tuple[dict[str, str | None], dict[str, str]]:
    """The columns that are inputs where none is named, and those that are left out, with the reason.

    Errors:
        ConfigError: there is none.
    """
    inputs, left_out = dict[str, str | None](), dict[str, str]()
    several = len(look.cells) - len(outputs) > 1
    for name in look.cells:
        if name in outputs:
            continue
        if several and (why := look.says_nothing(name)):
            left_out[name] = why
        elif name in look.files:
            inputs[name] = None
        elif several and is_numbering(look.held(name)):
            left_out[name] = "it only numbers the rows; name each input by --in to read it"
        elif several and is_id(look.held(name)):
            left_out[name] = "an id, of which nearly every row has its own; name each input by --in to read it"
        elif is_dates(look.held(name)):
            left_out[name] = DATES_ALONE
        else:
            inputs[name] = None
    series = [shlex.quote(name) for name in outputs if is_series(look.held(name))]
    if inputs and not series:
        inputs |= dict.fromkeys(name for name, why in left_out.items() if why == DATES_ALONE)
        left_out = {name: why for name, why in left_out.items() if why != DATES_ALONE}
    if not inputs and left_out:
        way = "".join(f"for a forecast write --forecast {name}; " for name in series)
        problem = (
            f"--in: what is no output is left out: {'; '.join(f'{name} ({why})' for name, why in left_out.items())}"
        )
        raise ConfigError(f"{problem}; {way}name the inputs by --in COLUMN")
    if not inputs:
        raise ConfigError(f"--in: every column is an output ({', '.join(outputs)}); name the input")
    return inputs, left_out


def _types(
    look: Look, inputs: Mapping[str, str | None], outputs: Mapping[str, str | None]
) -> tuple[dict[str, Guess], dict[str, Guess]]:
    """The types of the inputs and of the outputs, by column: those that were named, or that their cells look like."""
    read = {name: look.kind(name, kind) for name, kind in inputs.items()}
    for name, kind in inputs.items():
        if kind is not None or len(inputs) == 1 or read[name].settings != "category":
            continue
        cells = look.held(name)
        empty = look.rows - len(cells)
        if empty and any(re.search(r"[^\W\d_]", str(cell)) for cell in cells):
            reason = f"{read[name].reason}, and {empty:,} empty ones, which a text may be and a category not"
            read[name] = Guess("text", reason, "to leave out rows without it write category")
    answered: dict[str, Guess] = {}
    for name, kind in outputs.items():
        labels = None if kind is not None else labels_of_steps(name, inputs, look.cells)
        if labels is not None:
            answered[name], source, settings = labels
            if inputs[source] is None:
                read[source] = Guess(settings, f"one step for each label of {name}", None)
            continue
        answered[name] = look.output_kind(name, kind)
        is_number = kind is None and answered[name].settings == "number"
        time_columns = time_columns_of(look.cells, {name}) if is_number else None
        if time_columns is not None and time_columns.dates:
            instead = f"for a forecast by {time_columns.time} write --forecast {shlex.quote(name)}"
            answered[name] = replace(answered[name], instead=instead)
    return read, answered


def _named(option: str, words: Sequence[str], columns: Sequence[str], advice: str) -> dict[str, str | None]:
    """Column -> type or None."""
    kinds: dict[str, str | None] = {}
    parts: list[str] = []
    for part in words:
        column, _, kind = part.rpartition(":")
        is_column = part in columns or (column in columns and "," not in kind)
        parts += [part] if is_column else part.split(",")
    for part in parts:
        name, sign, kind = part.rpartition(":")
        if part in columns or not sign:
            name, kind = part, ""
        if name not in columns:
            folder = "; with a table --out names an output, and --run DIR the run's folder" if option == "--out" else ""
            if list(columns) == [LINES]:
                folder = "; a text has one column, 'text'; columns of words and labels are named so: '{word tag: FILE}'"
            raise ConfigError(f"{option} {part}: there is no column '{name}'{nearest(name, columns)}{advice}{folder}")
        if sign and name != part and kind not in names("modalities"):
            raise ConfigError(f"{option} {part}: there is no type '{kind}'{nearest(kind, names('modalities'))}")
        if name in kinds:
            raise ConfigError(f"{option} {part}: '{name}' is named twice")
        kinds[name] = kind or None
    return kinds


def guess_aloud(
    source: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    roots: Sequence[Path],
    say: Callable[[str], None],
    dialect: Dialect = PLAIN,
    earlier: Earlier | None = None,
) -> Guessed:
    """As `guess`, with each guess and its reason as a message; its columns make a legal recipe."""
    guessed = nameable(guess(source, inputs, outputs, data_root=roots, dialect=dialect, earlier=earlier))
    guessed.recipe()
    for line in guessed.lines():
        say(line)
    return guessed


def recipe_of(
    data: str,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    *,
    sets: Sequence[str] = (),
    roots: Sequence[Path] = (),
    say: Callable[[str], None] = lambda _: None,
    earlier: Earlier | None = None,
) -> Recipe:
    """The recipe that `init` would write, with `PATH=VALUE` settings; its arguments and errors."""
    dialect = dialect_of([word for word in sets if _is_of_dialect(word)])
    guessed = guess_aloud(data, inputs, outputs, roots=roots, say=say, dialect=dialect, earlier=earlier)
    recipe = guessed.recipe()
    plain = {**recipe.given}
    origin = " ".join([data, *(f"--set {setting}" for setting in sets)])
    set_all(plain, sets, origin, recipe.settings)
    return replace(recipe, settings=check(plain, origin, to_train=True), given=plain, origin=origin)


def dialect_of(sets: Sequence[str]) -> Dialect:
    """How a file is written, from settings such as `data.header=3`.

    Errors:
        ConfigError: another setting, or a value that it cannot have.
    """
    if wrong := next((word for word in sets if not _is_of_dialect(word)), None):
        listed = ", ".join(f"data.{name}" for name in Dialect._fields)
        raise ConfigError(f"--set {wrong}: a look at a file has no other settings than {listed}; leave it out")
    signs: dict[str, Any] = {}
    set_all(signs, sets, "")
    # Any recipe tells what is wrong with them.
    return Dialect.of(from_arguments({"a": "text"}, {"b": "category"}, **signs).settings.data) if signs else PLAIN


def _is_of_dialect(word: str) -> bool:
    return word.partition("=")[0] in {f"data.{name}" for name in Dialect._fields}
