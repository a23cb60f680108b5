"""A recipe from a look at a file: which columns go in and out, of what kind they are, each guess with its reason."""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ostinato.data.columns import columns_in
from ostinato.data.contract import PLAIN, Dialect
from ostinato.data.kinds import ending_of
from ostinato.data.manifest import endings, rows_of_file
from ostinato.data.read import Roots, as_columns, is_table, open_table
from ostinato.data.series import disorder
from ostinato.data.time_columns import TimeColumns, time_columns_of
from ostinato.errors import ConfigError, DataError, nearest
from ostinato.raw.numbers import Numerals, numerals_of
from ostinato.raw.times import TimeReader, why_no_time
from ostinato.recipe.column_types import (
    Guess,
    held,
    is_dates,
    is_id,
    is_numbering,
    is_series,
    kind_of,
    kind_of_files,
    labels_of_steps,
    numbers_in,
    output_kind,
    why_no_number,
)
from ostinato.recipe.earlier import Earlier, column_names
from ostinato.recipe.paths import set_all
from ostinato.recipe.read import Recipe, check, from_arguments
from ostinato.recipe.rules import can_be_name
from ostinato.recipe.schema import opened
from ostinato.recipe.yaml_text import dump_yaml, listed
from ostinato.registry import component, names

LOOKED_AT = 5000
"""Rows that are looked at: enough to know a column's kind, few enough to be read at once."""
HORIZON = 10
"""Steps that are forecast where times have no season."""
SHORT = 8
"""A horizon is chosen that a series has so many times: of 104 weeks the last 52 would leave nothing to learn from."""
SEEMS_TIME = re.compile(r"\d[-/.: ]\d.*[-/.: ]\d|(?<!\d)(19|20)\d\d(?!\d)")
TUNE = re.compile(r"^K:[ ]*[A-Gn]", re.M)
"""The key of a tune in ABC, which no tune lacks."""
DATES_ALONE = "dates, which say little alone; name each input by --in to read them"
DATED = Guess("date", "dates: hour, weekday and day of the year, and how late each is")
TSV = (".tsv", ".tsv.gz")
PATHS_ALONE = "to read the paths themselves write text"
FOLDERS = 100
"""Cells that are looked up as folders."""
LINES = "text"
"""The column of a file that names none."""


@dataclass(frozen=True)
class Look:
    """The first rows of a file.

    Args:
        source: the file as it was named.
        cells: of these rows, by column.
        place: the place of a row in its file, by the row's number.
        numerals: how numbers are written, where that was seen in the cells, which hold plain numbers in their place.
        notes: what was detected of the file.
        files: of each column whose cells are the bytes of files or their paths, or that is a file of texts in a
            modality's own form, how these end; of folders of files likewise.
        folders: the columns whose cells are paths of folders.
        in_columns: how to name the columns of a file in CoNLL's form that is called otherwise, and why; else empty.
        labels: the columns that are labels however few rows there are.
        advice: what to do where a column is not there.
    """

    source: str
    cells: Mapping[str, list[Any]]
    place: Callable[[int], str]
    numerals: Numerals | None = None
    notes: Sequence[str] = ()
    files: Mapping[str, Collection[str]] = field(default_factory=dict)
    in_columns: str = ""
    labels: Collection[str] = ()
    advice: str = ""
    folders: Collection[str] = ()
    _held: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return len(next(iter(self.cells.values())))

    def held(self, column: str) -> list[Any]:
        """The cells of a column that hold something."""
        if column not in self._held:
            self._held[column] = held(self.cells[column])
        return self._held[column]

    def kind(self, column: str, told: str | None = None) -> Guess:
        """The kind that the caller named, or that a column's cells look like."""
        cells, guess = self.held(column), self._label(column, told)
        if guess is not None:
            return guess
        if told is None and column in self.files:
            in_rows = column == LINES and rows_of_file(self.source) is not None
            guess = kind_of_files(self.files[column], binary=not in_rows, folders=column in self.folders)
            if guess is not None and column in self.folders:
                guess = replace(guess, reason=f"paths of folders of {guess.reason}", instead=PATHS_ALONE)
            elif guess is not None and not in_rows and not any(isinstance(cell, bytes) for cell in cells):
                guess = _of_paths(guess, cells)
        elif told is None and is_dates(cells):
            guess = DATED
        return kind_of(told, cells) if guess is None else guess

    def output_kind(self, column: str, told: str | None = None) -> Guess:
        """As `kind`, for an output."""
        return self._label(column, told) or output_kind(told, self.held(column))

    def _label(self, column: str, told: str | None) -> Guess | None:
        return Guess("category", "names of subfolders") if told is None and column in self.labels else None


@dataclass(frozen=True)
class Guessed:
    """A recipe that was guessed.

    Args:
        source: the file as it was named.
        rows: how many rows were looked at.
        inputs, outputs: the columns by name.
        choice: why these columns; None where the caller named all.
        left_out: columns on neither side, and why.
        time_columns: of a forecast, how its rows follow one another.
        numerals: how numbers are written, where that was seen.
        dialect: how the file is written, as the caller has it.
    """

    source: str
    rows: int
    inputs: dict[str, Guess]
    outputs: dict[str, Guess]
    choice: str | None
    left_out: dict[str, str]
    time_columns: TimeColumns | None = None
    numerals: Numerals | None = None
    dialect: Dialect = PLAIN

    def data(self, path: str) -> dict[str, Any]:
        """The recipe's `data` section, with this path."""
        named, numerals = self.time_columns, self.numerals
        words = {} if named is None else {"time": named.time, "series": named.series}
        words |= {} if numerals is None else {"decimal": numerals.decimal, "thousands": numerals.thousands}
        words |= {name: value for name, value in self.dialect._asdict().items() if value is not None}
        return {"train": as_columns(path), **{word: value for word, value in words.items() if value is not None}}

    def plain(self) -> dict[str, Any]:
        sides = {"inputs": self.inputs, "outputs": self.outputs}
        return {side: {name: guess.settings for name, guess in columns.items()} for side, columns in sides.items()}

    def recipe(self) -> Recipe:
        """Checked, its paths relative to the working folder.

        Errors:
            ConfigError: the named and guessed columns make no legal recipe.
        """
        plain = self.plain()
        return from_arguments(plain["inputs"], plain["outputs"], data=self.data(self.source))

    def lines(self) -> list[str]:
        """The guesses, a line each."""
        lines = [] if self.choice is None else [self.choice]
        if self.time_columns is not None:
            lines.append(str(self.time_columns))
        if self.numerals is not None:
            lines.append(self._written)
        for side, columns in (("input", self.inputs), ("output", self.outputs)):
            for name, guess in columns.items():
                lines.append(f"{side} {name}: {_kind(guess.settings)} ({guess})")
        by_reason: dict[str, list[str]] = {}
        for name, why in self.left_out.items():
            by_reason.setdefault(why, []).append(name)
        return [*lines, *(f"left out: {', '.join(names)} ({why})" for why, names in by_reason.items())]

    @property
    def _written(self) -> str:
        """How numbers are written."""
        decimal, thousands = self.numerals or ("", "")
        between = f" and {thousands!r} between thousands" if thousands else ""
        return f"numbers have {decimal!r} before their decimals{between}; data.decimal and data.thousands name others"

    def yaml(self, path: str, command: str) -> str:
        """The recipe with a comment to each column.

        Args:
            path: the file as the recipe shall name it.
            command: what made it.
        """
        rows = f"the first {self.rows:,} rows" if self.rows == LOOKED_AT else f"{self.rows:,} rows"
        lines = [
            f"# Made by `{command}` from a look at {rows}.",
            "# `ostinato check RECIPE --full` prints all settings; `ostinato train RECIPE` trains.",
        ]
        if self.choice is not None:
            lines.append(f"# {_comment(self.choice)}")
        if self.time_columns is not None:
            lines.append(f"# {_comment(str(self.time_columns))}")
        if self.numerals is not None:
            lines.append(f"# {_comment(self._written)}")
        lines += ["", _entry({"data": self.data(path)})]
        if any("horizon" in guess.settings for guess in self.outputs.values() if isinstance(guess.settings, dict)):
            lines.append(
                "# The end is set aside for valid. To choose, and for a test: split:"
                " {valid: 2013-01-01, test: 2014-01-01}, or steps."
            )
        else:
            lines.append(
                "# No rows are named for valid: a tenth is set aside. With files of your own: valid: FILE, test: FILE."
            )
        for side, columns in (("inputs", self.inputs), ("outputs", self.outputs)):
            lines += ["", f"{side}:"]
            for name, guess in columns.items():
                lines += [
                    f"  # {_comment(str(guess))}",
                    *(f"  {line}" for line in _entry({name: guess.settings}).splitlines()),
                ]
        lines += [""] * bool(self.left_out) + [
            f"# left out: {_comment(f'{name} ({why})')}" for name, why in self.left_out.items()
        ]
        return "\n".join([*lines, ""])


def _entry(plain: Mapping[str, Any]) -> str:
    """One key with its value, as a line that others may follow."""
    text = dump_yaml(dict(plain)).rstrip("\n")
    return text[1:-1] if text.startswith("{") else text


def _comment(text: str) -> str:
    """One printable line: cells may hold anything."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _kind(settings: Any) -> str:
    return settings if isinstance(settings, str) else listed(settings)


def look_at(source: str, *, base: Path | None = None, data_root: Roots = None, dialect: Dialect = PLAIN) -> Look:
    """The first rows of a file, numbers in digits with a decimal point.

    Args:
        source: the file.
        base: the folder that the path is relative to; the working folder by default.
        data_root: further folders.
        dialect: how it is written, where that is known.
    """
    columns = None if is_table(source) or dialect.delimiter is not None else [LINES]
    opened = partial(open_table, base=base or Path.cwd(), data_root=data_root, where="DATA", dialect=dialect)
    table = opened(source, columns=columns)
    cells = table.first(LOOKED_AT)
    fields = {name: held for name, held in cells.items() if table.is_text and all(map(_is_text, held))}
    numerals = dialect.numerals or numerals_of(list(fields.values()))
    if numerals is not None:
        for name, column in fields.items():
            with suppress(DataError):
                cells[name] = list(map(numerals.plain, column))
    binary = [name for name, column in cells.items() if any(isinstance(cell, bytes) for cell in column)]
    named = table.named().first(LOOKED_AT) if binary else {}
    files = {name: {Path(cell).suffix.lower() for cell in named[name] if cell} for name in binary}
    is_lines = columns is not None and dialect.rows is None
    if is_lines and rows_of_file(str(source)) is not None:
        files[LINES] = {ending_of(Path(source))}
    in_columns = columns_in(cells[LINES]) if is_lines else _in_tabs(cells) if str(source).lower().endswith(TSV) else ""
    if in_columns:
        in_columns = (
            f"every line of {source} has as many words and blank lines divide them, as in CoNLL's form; to read it so"
            f" name its columns in place of the file: '{{{in_columns}: {source}}}'"
        )
    notes = [*table.notes, *([in_columns] if in_columns else [])]
    files |= {name: endings for name, column in cells.items() if name not in files and (endings := _endings(column))}
    folders = {name: seen for name, column in cells.items() if name not in files and (seen := _in_folders(column))}
    numerals = numerals if dialect.numerals is None else None
    files |= folders
    return Look(source, cells, table.place, numerals, notes, files, in_columns, table.labels, table.advice, folders)


def _in_tabs(cells: Mapping[str, Sequence[Any]]) -> str:
    """Names for the columns of a table in CoNLL's form, whose header is the first line of its first row, or names its
    columns."""
    header, *lines = ("\t".join(map(str, row)) for row in (list(cells), *zip(*cells.values())))
    labels = {line.split()[-1] for line in lines if line.strip()}
    names = columns_in([header, *lines])
    return names if header.strip() and (header.split()[-1] in labels or header.split() == names.split()) else ""


def _is_text(cell: Any) -> bool:
    return isinstance(cell, str)


def _endings(cells: Sequence[Any]) -> set[str]:
    """How the files end that all cells name, where a modality reads them; else nothing."""
    there = [cell for cell in cells if cell]
    if not all(map(_is_text, there)):
        return set()
    found = {Path(cell).suffix.lower() for cell in there if "\n" not in cell}
    return found if found and found <= set(endings()) and kind_of_files(found) is not None else set()


def _in_folders(cells: Sequence[Any]) -> set[str]:
    """How the files end in the folders that most of the first cells name, where a modality reads such folders; else
    nothing."""
    named = [cell for cell in cells if cell][:FOLDERS]
    folders = [cell for cell in named if _is_text(cell) and os.path.isdir(cell)]
    if not folders or 2 * len(folders) < len(named):
        return set()
    found = {Path(name).suffix.lower() for name in os.listdir(folders[0])} & set(endings())
    return found if found and kind_of_files(found, folders=True) is not None else set()


def _of_paths(guess: Guess, cells: Sequence[str]) -> Guess:
    """The kind of a column of paths, by the kind of the files."""
    kind = opened(guess.settings)["type"]
    if not Path(cells[0]).is_file():
        away = f"they name {guess.reason}, and there is none such below the working folder; where they are write {kind}"
        return replace(kind_of(None, cells), instead=away)
    return replace(guess, reason=f"paths of {guess.reason}", instead=PATHS_ALONE)


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
        guessed = _as_earlier(look, earlier, *sides)
    else:
        told = {**_named("--in", inputs, columns, look.advice), **_named("--out", outputs, columns, look.advice)}
        untold = {column for column in columns if told.get(column) is None}
        guessed = _with_earlier(_guess(look, inputs, outputs), earlier, untold)
    return replace(guessed, numerals=look.numerals, dialect=dialect)


def _as_earlier(look: Look, earlier: Earlier, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Guessed:
    """The columns of the earlier run, all of which the table has."""
    there = f"as in {earlier.run}"
    read, said = ({name: Guess(settings, there) for name, settings in side.items()} for side in (inputs, outputs))
    used = {
        column
        for side in (inputs, outputs)
        for name, settings in side.items()
        for column in column_names(name, settings)
    }
    left_out = dict.fromkeys(
        (column for column in look.cells if column not in used), f"{earlier.run} has no such column"
    )
    choice = f"inputs and outputs are those of {earlier.run}; use --in and --out for others"
    return Guessed(look.source, look.rows, read, said, choice, left_out)


def _with_earlier(guessed: Guessed, earlier: Earlier, untold: Collection[str]) -> Guessed:
    """The guesses, but columns of the earlier run that have no type here are as they were there, with what it counts of
    them, and nothing of them refers to a column that is not here."""
    there = f"as in {earlier.run}"

    def side(way: str, columns: Mapping[str, Guess]) -> dict[str, Guess]:
        changed: dict[str, Guess] = {}
        for column, guess in columns.items():
            before = earlier.named(way, column) if column in untold else None
            if before is None:
                changed[column] = guess
            else:
                changed[before[0]] = Guess(before[1], there)
        return changed

    inputs, outputs = side("inputs", guessed.inputs), side("outputs", guessed.outputs)
    taken = [column for name, guess in inputs.items() if guess.reason == there for column in _columns(name, guess)]
    reads = [guess.settings.get("reads") for guess in outputs.values() if guess.reason == there]
    for name in earlier.counted:
        is_read = any(listed is None or name in listed for listed in reads)
        if is_read and name not in inputs and set(column_names(name, earlier.inputs[name])) <= set(taken):
            inputs[name] = Guess(dict(earlier.inputs[name]), there)
    known = {*inputs, *outputs}
    return replace(
        guessed,
        inputs={name: _without_others(guess, known) for name, guess in inputs.items()},
        outputs={name: _without_others(guess, known) for name, guess in outputs.items()},
    )


def _columns(name: str, guess: Guess) -> list[str]:
    return column_names(name, opened(guess.settings))


def _without_others(guess: Guess, known: Collection[str]) -> Guess:
    """The guess without the settings that refer to columns that are not known."""
    if isinstance(guess.settings, str):
        return guess
    settings = dict(guess.settings)
    if not set(settings.get("reads") or ()) <= set(known):
        del settings["reads"]
    others = [
        word
        for word, value in settings.items()
        if isinstance(value, Mapping) and "same_as" in value and value["same_as"].rpartition(".")[2] not in known
    ]
    return replace(guess, settings={word: value for word, value in settings.items() if word not in others})


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
        return _forecast(look, named_inputs, named_outputs, ahead[0])
    if len(columns) == 1 and not named_outputs:
        return _going_on(look, columns[0], named_inputs)
    if (
        not named_outputs
        and not named_inputs
        and (time_columns := time_columns_of(look.cells)) is not None
        and time_columns.dates
    ):
        free = [name for name in columns if name not in (time_columns.time, time_columns.series)]
        if free and all(is_series(look.held(name)) for name in free):
            why = f"NOT SURE: rows of numbers by date are forecast, here {free[-1]}, the last column"
            return _forecast(look, {}, {free[-1]: None}, free[-1], f"{why}; use --forecast COLUMN for another")
    choice, left_out = None, dict[str, str]()
    if not named_outputs:
        free = [name for name in columns if name not in named_inputs]
        if not free:
            raise ConfigError(f"--out: every column is an input ({', '.join(named_inputs)}); name the output")
        named_outputs = {free[-1]: None}
        choice = f"NOT SURE: {free[-1]} is the output because it is the last column; use --out COLUMN for another"
    if not named_inputs:
        for name in columns:
            if name not in named_outputs:
                if name in look.files:
                    named_inputs[name] = None
                elif is_numbering(look.held(name)) and len(columns) - len(named_outputs) > 1:
                    left_out[name] = "it only numbers the rows; name each input by --in to read it"
                elif is_id(look.held(name)) and len(columns) - len(named_outputs) > 1:
                    left_out[name] = "an id, of which nearly every row has its own; name each input by --in to read it"
                elif is_dates(look.held(name)):
                    left_out[name] = DATES_ALONE
                else:
                    named_inputs[name] = None
        series = [shlex.quote(name) for name in named_outputs if is_series(look.held(name))]
        if named_inputs and not series:
            named_inputs |= dict.fromkeys(name for name, why in left_out.items() if why == DATES_ALONE)
            left_out = {name: why for name, why in left_out.items() if why != DATES_ALONE}
        if not named_inputs and left_out:
            way = "".join(f"for a forecast write --forecast {name}; " for name in series)
            problem = (
                f"--in: what is no output is left out: {'; '.join(f'{name} ({why})' for name, why in left_out.items())}"
            )
            raise ConfigError(f"{problem}; {way}name the inputs by --in COLUMN")
        if not named_inputs:
            raise ConfigError(f"--in: every column is an output ({', '.join(named_outputs)}); name the input")
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
    input_columns = {name: look.kind(name, kind) for name, kind in named_inputs.items()}
    for name, kind in named_inputs.items():
        if kind is not None or len(named_inputs) == 1 or input_columns[name].settings != "category":
            continue
        cells = look.held(name)
        empty = look.rows - len(cells)
        if empty and any(re.search(r"[^\W\d_]", str(cell)) for cell in cells):
            reason = f"{input_columns[name].reason}, and {empty:,} empty ones, which a text may be and a category not"
            input_columns[name] = Guess("text", reason, "to leave out rows without it write category")
    output_columns: dict[str, Guess] = {}
    for name, kind in named_outputs.items():
        labels = None if kind is not None else labels_of_steps(name, named_inputs, look.cells)
        if labels is None:
            output_columns[name] = look.output_kind(name, kind)
            if (
                kind is None
                and output_columns[name].settings == "number"
                and (time_columns := time_columns_of(look.cells, {name})) is not None
                and time_columns.dates
            ):
                output_columns[name] = replace(
                    output_columns[name],
                    instead=f"for a forecast by {time_columns.time} write --forecast {shlex.quote(name)}",
                )
            continue
        output_columns[name], read, settings = labels
        if named_inputs[read] is None:
            input_columns[read] = Guess(settings, f"one step for each label of {name}", None)
    return Guessed(look.source, look.rows, input_columns, output_columns, choice, left_out)


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
    guessed = _nameable(guess(source, inputs, outputs, data_root=roots, dialect=dialect, earlier=earlier))
    guessed.recipe()
    for line in guessed.lines():
        say(line)
    return guessed


def _nameable(guessed: Guessed) -> Guessed:
    """The guess with names that a recipe can have; a column that is called otherwise is named beside."""
    there = [*guessed.inputs, *guessed.outputs]
    names_of: dict[str, str] = {}
    for column in there:
        name = column.replace(".", "_")
        while not can_be_name(name) or (name != column and (name in there or name in names_of.values())):
            name += "_"
        names_of[column] = name

    def named(columns: Mapping[str, Guess]) -> dict[str, Guess]:
        renamed = {}
        for column, guess in columns.items():
            plain = {"type": guess.settings} if isinstance(guess.settings, str) else dict(guess.settings)
            if names_of.get(str(plain.get("of"))) not in (None, plain.get("of")):
                renamed[names_of[column]] = replace(guess, settings={**plain, "of": names_of[plain["of"]]})
            elif names_of[column] != column and "of" not in plain:
                renamed[names_of[column]] = replace(guess, settings={**plain, "column": column})
            else:
                renamed[names_of[column]] = guess
        return renamed

    return replace(guessed, inputs=named(guessed.inputs), outputs=named(guessed.outputs))


def text_of(
    guessed: Guessed, inputs: Sequence[str], outputs: Sequence[str], file: Path | None, sets: Sequence[str] = ()
) -> str:
    """The recipe as `init` prints it, or writes it to `file`.

    Args:
        found: what was guessed.
        inputs, outputs: the columns that the caller named.
        file: paths are relative to it.
        sets: settings that the caller named.
    """
    path = Path(guessed.source)
    if file is not None and path.exists() and not path.is_absolute():
        path = Path(os.path.relpath(path, file.parent))
    flags = [
        word
        for option, columns in (("--in", inputs), ("--out", outputs), ("--set", sets))
        for column in columns
        for word in (option, column)
    ]
    return guessed.yaml(path.as_posix(), shlex.join(["ostinato", "init", guessed.source, *flags]))


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


def _going_on(look: Look, column: str, kinds: Mapping[str, str | None]) -> Guessed:
    """A single column: a model of its continuation."""
    held = look.held(column)
    if not held:
        raise DataError(f"DATA: {look.source} holds nothing in its first {look.rows:,} rows")
    guess = look.kind(column, kinds.get(column))
    if not component("modalities", opened(guess.settings)["type"]).aligns & {"next", "ahead"}:
        quoted = shlex.quote(column)
        refusal = (
            f"DATA: {look.source} has one column, {column}, of type {_kind(guess.settings)}, which has no continuation"
        )
        if any(isinstance(cell, bytes) for cell in held):
            raise ConfigError(
                f"{refusal}; give a column to predict too: in a folder sort the files into a subfolder for each label,"
                f" or add a table manifest.csv with the columns {column}:file and, beside it, what to predict"
            )
        if is_series(held):
            raise ConfigError(f"{refusal}; give a column of times beside it and --forecast {quoted}, or one to predict")
        if not all(map(_is_text, held)):
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


def _forecast(
    look: Look,
    named_inputs: Mapping[str, str | None],
    named_outputs: Mapping[str, str | None],
    target: str,
    choice: str | None = None,
) -> Guessed:
    """The continuation of a column of numbers, a row a step or a list of them in each row."""
    whole = look.held(target)
    in_lists = bool(whole) and all(isinstance(cell, (list, tuple)) for cell in whole)
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
    time_columns = None if in_lists else time_columns_of(look.cells, {target, *named_inputs})
    if time_columns is None and not in_lists:
        # Whoever names the dates among the inputs means the time, which is read as a calendar.
        named = time_columns_of(
            look.cells, {target, *(name for name, kind in named_inputs.items() if kind is not None)}
        )
        time_columns = named if named is not None and named.dates else None
    if time_columns is None and not in_lists:
        raise ConfigError(
            f"--out {target}: a forecast needs the order of the rows, and no column of {look.source} has times that"
            " rise from row to row, or within"
            " each series: dates such as 2013-01-31 14:00, or whole numbers; sort the rows by time,"
            f" or add the column{_seeming_time(look, {target, *named_inputs})}"
        )
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
