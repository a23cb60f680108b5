"""A recipe from a look at a file: which columns go in and out, of what kind they are, each guess with its reason."""

from __future__ import annotations

import itertools
import os
import shlex
import statistics
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.clocks import Clock, clock_of
from ostinato.data.read import Roots, is_table, open_table
from ostinato.data.series import times_of
from ostinato.errors import ConfigError, DataError, nearest
from ostinato.modalities._numbers import as_number
from ostinato.recipe import Recipe, can_be_name, check, from_arguments, set_all
from ostinato.registry import names
from ostinato.yaml_text import dump_yaml

LOOKED_AT = 5000
"""Rows that are looked at: enough to know a column's kind, few enough to be read at once."""
EACH_LABEL = 5
"""A label is seen so often on average; text and measurements mostly differ from row to row."""
MOST_LABELS = 200
MOST_RATINGS = 10
SURE_ROWS = 50
"""Fewer rows than these make no guess a sure one."""
EACH_SYMBOL = 20
"""Symbols of a small closed vocabulary are seen so often on average."""
MOST_LETTERS = 26
LONG_WORD = 12
HORIZON = 10
"""Steps that are forecast where times have no season."""
LINES = "text"
"""The column of a file that names none."""


@dataclass(frozen=True)
class Guess:
    """What a column is taken for.

    Args:
        settings: a modality's name, or a mapping as in a recipe.
        reason: what was seen.
        instead: what to write where the guess is wrong; None where it is sure or was told.
    """

    settings: Any
    reason: str
    instead: str | None = None

    def __str__(self) -> str:
        return self.reason if self.instead is None else f"{self.reason}; NOT SURE: {self.instead}"


@dataclass(frozen=True)
class Guessed:
    """A recipe that was guessed.

    Args:
        source: the file as it was named.
        rows: how many rows were looked at.
        inputs, outputs: the columns by name.
        choice: why these columns; None where all were told.
        left_out: columns that stand on neither side, and why.
        clock: of a forecast, how its rows follow one another.
    """

    source: str
    rows: int
    inputs: dict[str, Guess]
    outputs: dict[str, Guess]
    choice: str | None
    left_out: dict[str, str]
    clock: Clock | None = None

    def data(self, path: str) -> dict[str, Any]:
        """What the recipe says of its data, with this path."""
        clock = {} if self.clock is None else {"time": self.clock.time} | ({"series": self.clock.series} if self.clock.series else {})
        return {"train": path, **clock}

    def plain(self) -> dict[str, Any]:
        sides = {"inputs": self.inputs, "outputs": self.outputs}
        return {side: {name: one.settings for name, one in columns.items()} for side, columns in sides.items()}

    def recipe(self) -> Recipe:
        """Checked, its paths relative to the working folder.

        Errors:
            ConfigError: what was told or guessed cannot be together.
        """
        plain = self.plain()
        return from_arguments(plain["inputs"], plain["outputs"], data=self.data(self.source))

    def told(self) -> list[str]:
        """The guesses, a line each."""
        lines = [] if self.choice is None else [self.choice]
        if self.clock is not None:
            lines.append(str(self.clock))
        for side, columns in (("input", self.inputs), ("output", self.outputs)):
            for name, one in columns.items():
                lines.append(f"{side} {name}: {_kind(one.settings)} ({one})")
        return [*lines, *(f"left out: {name} ({why})" for name, why in self.left_out.items())]

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
        if self.clock is not None:
            lines.append(f"# {_comment(str(self.clock))}")
        lines += ["", _entry({"data": self.data(path)})]
        if any("horizon" in one.settings for one in self.outputs.values() if isinstance(one.settings, dict)):
            lines.append("# The end is set aside for valid. To choose, and for a test: split: {valid: 2013-01-01, test: 2014-01-01}, or steps.")
        else:
            lines.append("# No rows are named for valid: a tenth is set aside. With files of your own: valid: FILE, test: FILE.")
        for side, columns in (("inputs", self.inputs), ("outputs", self.outputs)):
            lines += ["", f"{side}:"]
            for name, one in columns.items():
                lines += [f"  # {_comment(str(one))}", *(f"  {line}" for line in _entry({name: one.settings}).splitlines())]
        lines += [""] * bool(self.left_out) + [f"# left out: {_comment(f'{name} ({why})')}" for name, why in self.left_out.items()]
        return "\n".join([*lines, ""])


def _entry(plain: Mapping[str, Any]) -> str:
    """One key with its value, as a line that others may follow."""
    text = dump_yaml(dict(plain)).rstrip("\n")
    return text[1:-1] if text.startswith("{") else text


def _comment(text: str) -> str:
    """One printable line: cells may hold anything."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _kind(settings: Any) -> str:
    return settings if isinstance(settings, str) else dump_yaml(dict(settings)).strip().replace("\n", ", ")


def guess(
    source: str, inputs: Sequence[str], outputs: Sequence[str], *, base: Path | None = None, data_root: Roots = None
) -> Guessed:
    """Looks at a file and says what a recipe for it would be.

    Args:
        source: the file.
        inputs: `COLUMN` or `COLUMN:TYPE`, or several with commas between; with none, all columns that are no output.
        outputs: likewise; with none, the last column that is no input, or with a single column what goes on from it. A column of
            numbers that is told to be a `series`, or is an input too, is forecast.
        base: the folder that the path is relative to; the working folder by default.
        data_root: further folders.

    Errors:
        ConfigError: a column or a type that there is not, or a column told twice.
        DataError: the file cannot be read, or one of its columns holds nothing.
    """
    columns = None if is_table(source) else [LINES]
    table = open_table(source, columns=columns, base=base or Path.cwd(), data_root=data_root, where="DATA")
    cells: dict[str, list[Any]] = {name: [] for name in table.columns}
    for block in table.blocks():
        for name in cells:
            looked_at = block.columns[name][: LOOKED_AT - len(cells[name])]
            cells[name] += [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in looked_at]
        if len(cells[table.columns[0]]) == LOOKED_AT:
            break
    rows = len(cells[table.columns[0]])
    told_inputs, told_outputs = _told("--in", inputs, table.columns), _told("--out", outputs, table.columns)
    ahead = [name for name, kind in told_outputs.items() if name in told_inputs or kind == "series"]
    if ahead:
        return _forecast(source, rows, told_inputs, told_outputs, ahead[0], cells, table.place)
    if len(table.columns) == 1 and not told_outputs:
        return _going_on(source, rows, table.columns[0], told_inputs, cells)
    if not told_outputs and not told_inputs and (clock := clock_of(cells)) is not None and clock.dates:
        free = [name for name in table.columns if name not in (clock.time, clock.series)]
        if free and all(_is_series(_present(cells[name]), False) for name in free):
            choice = f"NOT SURE: rows of numbers by date are forecast, here {free[-1]}, the last column; say --out COLUMN:series for another"
            return _forecast(source, rows, {}, {free[-1]: None}, free[-1], cells, table.place, choice)
    choice, left_out = None, {}
    if not told_outputs:
        free = [name for name in table.columns if name not in told_inputs]
        if not free:
            raise ConfigError(f"--out: every column is an input ({', '.join(told_inputs)}); say which one is the output")
        told_outputs = {free[-1]: None}
        choice = f"NOT SURE: {free[-1]} is the output because it is the last column; say --out COLUMN for another"
    if not told_inputs:
        for name in table.columns:
            if name not in told_outputs:
                if _is_numbering(_present(cells[name])) and len(table.columns) - len(told_outputs) > 1:
                    left_out[name] = "it only numbers the rows; say --in for each input to read it"
                elif _is_dates(_present(cells[name])):
                    left_out[name] = "dates, which say little as words; say --in for each input to read them"
                else:
                    told_inputs[name] = None
        if not told_inputs and left_out:
            way = "".join(f"for a forecast write --out {name}:series; " for name in told_outputs if _is_series(_present(cells[name]), False))
            told = f"--in: what is no output is left out: {'; '.join(f'{name} ({why})' for name, why in left_out.items())}"
            raise ConfigError(f"{told}; {way}say --in COLUMN for what is read")
        if not told_inputs:
            raise ConfigError(f"--in: every column is an output ({', '.join(told_outputs)}); say which one is the input")
        others = f"the inputs are all other columns ({', '.join(told_inputs)})"
        choice = f"{choice}; {others}" if choice else f"NOT SURE: {others}; say --in COLUMN for some of them"
    left_out |= {name: "neither in --in nor in --out" for name in table.columns if name not in {**told_inputs, **told_outputs, **left_out}}
    for name in (*told_inputs, *told_outputs):
        if not _present(cells[name]):
            raise DataError(f"DATA: the column '{name}' of {source} holds nothing in the first {rows:,} rows; leave it out, or name another")
    made_inputs = {name: _input(kind, _present(cells[name]), rows) for name, kind in told_inputs.items()}
    made_outputs: dict[str, Guess] = {}
    for name, kind in told_outputs.items():
        labels = None if kind is not None else _tags(name, told_inputs, cells)
        if labels is None:
            made_outputs[name] = _output(kind, _present(cells[name]), rows)
            if kind is None and made_outputs[name].settings == "number" and (clock := clock_of(cells, {name})) is not None and clock.dates:
                made_outputs[name] = replace(made_outputs[name], instead=f"for a forecast by {clock.time} write --out {name}:series")
            continue
        made_outputs[name], read, settings = labels
        if told_inputs[read] is None:
            made_inputs[read] = Guess(settings, f"one step for each label of {name}", None)
    return Guessed(source, rows, made_inputs, made_outputs, choice, left_out)


def guess_aloud(
    source: str, inputs: Sequence[str], outputs: Sequence[str], *, roots: Sequence[Path], say: Callable[[str], None]
) -> Guessed:
    """As `guess`, each guess said with its reason; its columns can be one recipe."""
    found = _nameable(guess(source, inputs, outputs, data_root=roots))
    found.recipe()
    for line in found.told():
        say(line)
    return found


def _nameable(found: Guessed) -> Guessed:
    """The guess with names that a recipe can have; a column that is called otherwise is named beside."""
    there = [*found.inputs, *found.outputs]
    names_of: dict[str, str] = {}
    for column in there:
        name = column.replace(".", "_")
        while not can_be_name(name) or (name != column and (name in there or name in names_of.values())):
            name += "_"
        names_of[column] = name

    def named(columns: Mapping[str, Guess]) -> dict[str, Guess]:
        made = {}
        for column, one in columns.items():
            plain = {"type": one.settings} if isinstance(one.settings, str) else dict(one.settings)
            if names_of.get(plain.get("of")) not in (None, plain.get("of")):
                made[names_of[column]] = replace(one, settings={**plain, "of": names_of[plain["of"]]})
            elif names_of[column] != column and "of" not in plain:
                made[names_of[column]] = replace(one, settings={**plain, "column": column})
            else:
                made[names_of[column]] = one
        return made

    return replace(found, inputs=named(found.inputs), outputs=named(found.outputs))


def text_of(found: Guessed, inputs: Sequence[str], outputs: Sequence[str], file: Path | None) -> str:
    """The recipe as `init` prints it, or writes it to `file`.

    Args:
        found: what was guessed.
        inputs, outputs: what was told.
        file: paths are relative to it.
    """
    path = Path(found.source)
    if file is not None and path.exists() and not path.is_absolute():
        path = Path(os.path.relpath(path, file.parent))
    flags = [word for option, given in (("--in", inputs), ("--out", outputs)) for one in given for word in (option, one)]
    return found.yaml(path.as_posix(), shlex.join(["ostinato", "init", found.source, *flags]))


def recipe_of(
    data: str,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    *,
    sets: Sequence[str] = (),
    roots: Sequence[Path] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Recipe:
    """The recipe that `init` would write, with `PATH=VALUE` settings; its arguments and errors."""
    recipe = guess_aloud(data, inputs, outputs, roots=roots, say=say).recipe()
    plain = {**recipe.given}
    origin = " ".join([data, *(f"--set {one}" for one in sets)])
    set_all(plain, sets, origin, recipe.settings)
    return replace(recipe, settings=check(plain, origin, to_train=True), given=plain, origin=origin)


def _told(option: str, given: Sequence[str], columns: Sequence[str]) -> dict[str, str | None]:
    """Column -> type or None."""
    found: dict[str, str | None] = {}
    is_one = lambda one: one in columns or one.rpartition(":")[0] in columns  # noqa: E731
    for one in itertools.chain.from_iterable([one] if is_one(one) else one.split(",") for one in given):
        name, sign, kind = one.rpartition(":")
        if one in columns or not sign:
            name, kind = one, ""
        if name not in columns:
            folder = "; with a table --out names an output, and --folder DIR the run's folder" if option == "--out" else ""
            raise ConfigError(f"{option} {one}: there is no column '{name}'{nearest(name, columns)}{folder}")
        if sign and name != one and kind not in names("modalities"):
            raise ConfigError(f"{option} {one}: there is no type '{kind}'{nearest(kind, names('modalities'))}")
        if name in found:
            raise ConfigError(f"{option} {one}: '{name}' is named twice")
        found[name] = kind or None
    return found


def _going_on(source: str, rows: int, column: str, told: Mapping[str, str | None], cells: Mapping[str, list[Any]]) -> Guessed:
    """A single column: a model of what goes on from it."""
    present = _present(cells[column])
    if not present:
        raise DataError(f"DATA: {source} holds nothing in its first {rows:,} rows")
    one = _input(told.get(column), present, rows)
    if _kind(one.settings) in ("category", "number"):
        raise ConfigError(f"DATA: {source} has one column, {column}, and it is a {_kind(one.settings)}: nothing goes on from it; give a table")
    output = Guess({"of": column, "align": "next"}, "what follows each step of the only column")
    return Guessed(source, rows, {column: one}, {"going_on": output}, f"one column, {column}: a model of what goes on from it", {})


def _forecast(
    source: str,
    rows: int,
    told_inputs: Mapping[str, str | None],
    told_outputs: Mapping[str, str | None],
    target: str,
    cells: Mapping[str, list[Any]],
    place: Callable[[int], str],
    choice: str | None = None,
) -> Guessed:
    """What goes on from a column of numbers, a row a step or a list of them in each row."""
    whole = _present(cells[target])
    in_lists = bool(whole) and all(isinstance(cell, (list, tuple)) for cell in whole)
    if not in_lists and (not whole or _numbers(whole) is None):
        first = next(((row, why) for row, cell in enumerate(cells[target]) if (why := _no_number(cell))), None)
        seen = f"'{target}' holds nothing" if first is None else f"{place(first[0])}, column '{target}': {first[1]}"
        raise ConfigError(
            f"--out {target}: '{target}' is an input too; a model would only copy it. Only what goes on from numbers is forecast, and these"
            f" are none ({seen}); name another column, or write a recipe"
            if target in told_inputs
            else f"--out {target}:series: a series is of numbers, and {seen}; name another column or another type where these are no numbers"
        )
    if len(told_outputs) > 1:
        listed = ", ".join(told_outputs)
        raise ConfigError(
            f"--out: {listed}: one column is forecast at a time; for several at once write a recipe, such as"
            f" {target}: {{type: series, column: [{listed}]}}"
        )
    if told_inputs.get(target) not in (None, "series"):
        raise ConfigError(f"--in {target}:{told_inputs[target]}: what is forecast is read as a series; write --in {target}")
    clock = None if in_lists else clock_of(cells, {target, *told_inputs})
    if clock is None and not in_lists:
        # Whoever names the dates among the inputs means the time, which is read as a calendar.
        named = clock_of(cells, {target, *(name for name, kind in told_inputs.items() if kind is not None)})
        clock = named if named is not None and named.dates else None
    if clock is None and not in_lists:
        raise ConfigError(
            f"--out {target}: a forecast needs the order of the rows, and no column of {source} has times that rise from row to row, or within"
            " each series: dates such as 2013-01-31 14:00 (without a zone), or whole numbers; sort the rows by time, or add the column"
        )
    steps = {clock.time, clock.series} if clock is not None else set()
    left_out, reads = {}, {name: kind for name, kind in told_inputs.items() if clock is None or name != clock.time}
    if not told_inputs:
        for name in cells:
            if name in {target, *steps}:
                continue
            if _is_series(_present(cells[name]), in_lists):
                reads[name] = None
            else:
                left_out[name] = "it is no series; say --in for what is one value for a whole series"
    read = {target: Guess("series", "what is forecast")}
    past = Guess("series", "numbers, of which the past is read", "for what is known ahead write {type: series, known: ahead}")
    for name, kind in reads.items():
        if name != target:
            is_series = kind is None and _is_series(_present(cells[name]), in_lists)
            read[name] = past if is_series else _input(kind, _present(cells[name]), rows)
    if clock is not None and clock.dates:
        read[_free("when", cells)] = Guess("calendar", f"hour, weekday and day of the year of {clock.time}")
    season = None if clock is None else clock.frequency.season
    horizon, why = (season, "a season") if clock is not None and season else (HORIZON, "a few")
    output = Guess({"of": target, "align": "next", "horizon": horizon}, f"{horizon} steps ahead, {why}", "horizon: as many as you need")
    left_out |= {name: "neither in --in nor in --out" for name in cells if name not in {**reads, **left_out, target: None} and name not in steps}
    return Guessed(source, rows, read, {_free("forecast", cells): output}, choice, left_out, clock)


def _is_series(cells: Sequence[Any], in_lists: bool) -> bool:
    if in_lists:
        return bool(cells) and all(isinstance(cell, (list, tuple)) for cell in cells) and _of_lists(cells).settings == "series"
    return bool(cells) and _numbers(cells) is not None


def _free(name: str, columns: Collection[str]) -> str:
    """A name that no column has."""
    return name if name not in columns else _free(f"{name}_", columns)


def _present(cells: Sequence[Any]) -> list[Any]:
    """The cells that hold something; among numbers and nothing else words such as NA hold nothing, elsewhere they may be labels."""
    there = [cell for cell in cells if cell is not None and not (isinstance(cell, str) and not cell.strip())]
    return there if _numbers(there) is None else [cell for cell in there if as_number(cell) is not None]


def _input(kind: str | None, cells: Sequence[Any], rows: int) -> Guess:
    return Guess(kind, "as told") if kind is not None else _guessed(cells, rows)


def _output(kind: str | None, cells: Sequence[Any], rows: int) -> Guess:
    made = _input(kind, cells, rows)
    if made.settings == "series":
        return Guess("tokens", made.reason, "lists of numbers are forecast where you say --out COLUMN:series")
    return made


def _guessed(cells: Sequence[Any], rows: int) -> Guess:
    """The kind of a column from its cells, none of them missing."""
    if all(isinstance(cell, bool) for cell in cells):
        return Guess("category", "true or false")
    if any(isinstance(cell, (list, tuple)) for cell in cells):
        return _of_lists([list(cell) for cell in cells if isinstance(cell, (list, tuple))])
    if (numbers := _numbers(cells)) is not None:
        return _of_numbers(numbers)
    texts = [str(cell) for cell in cells]
    different = Counter(text.strip() for text in texts)
    share = f"{len(different):,} different values in {len(texts):,} rows"
    if len(different) * EACH_LABEL <= len(texts) and len(different) <= MOST_LABELS:
        shown = ", ".join(_short(label) for label, _ in different.most_common(3))
        is_sure = len(texts) >= SURE_ROWS and len(different) * 2 * EACH_LABEL <= len(texts) and max(map(len, different)) <= 60
        return Guess("category", f"{share}, such as {shown}", None if is_sure else "for free text write text")
    words = [text.split() for text in texts]
    letters = set("".join(texts))
    mean = statistics.fmean(map(len, words))
    if max(map(len, words)) == 1 and len(letters) <= MOST_LETTERS and statistics.fmean(map(len, texts)) >= LONG_WORD:
        reason = f"no blanks and {len(letters)} different letters, as in DNA and protein: each letter is a step"
        return Guess({"type": "tokens", "separator": ""}, reason, "for words write text")
    vocabulary = Counter(word for row in words for word in row)
    if mean >= 2 and len(vocabulary) * EACH_SYMBOL <= sum(vocabulary.values()) and not _is_prose(vocabulary):
        reason = f"{len(vocabulary):,} different words over and over in {len(texts):,} rows"
        return Guess("tokens", reason, "for sentences write text, whose pieces also cover words never seen")
    return Guess("text", f"{share}, {mean:.1f} words each")


def _of_lists(lists: Sequence[list[Any]]) -> Guess:
    items = [item for one in lists for item in one if item is not None]
    if items and all(isinstance(item, (int, float, list)) and not isinstance(item, bool) for item in items):
        if any(isinstance(item, (float, list)) for item in items):
            return Guess("series", "lists of numbers")
        return Guess("tokens", "lists of whole numbers", "for measurements write series")
    return Guess("tokens", "lists of symbols")


def _numbers(cells: Sequence[Any]) -> list[float] | None:
    """The numbers among cells that are numbers or say that one is missing, as the modality reads them; None where one is neither."""
    try:
        return [number for cell in cells if (number := as_number(cell)) is not None]
    except DataError:
        return None


def _no_number(cell: Any) -> str:
    """Why a cell cannot be read as a number or as a missing one; nothing where it can."""
    try:
        as_number(cell)
    except DataError as why:
        return str(why)
    return ""


def _of_numbers(numbers: Sequence[float]) -> Guess:
    different = sorted(set(numbers))
    few = len(different) * EACH_LABEL <= len(numbers) and len(different) <= MOST_RATINGS
    if few and all(number.is_integer() for number in different):
        shown = [int(number) for number in different]
        if len(different) <= 2 and set(different) <= {0.0, 1.0}:
            return Guess("category", "0 or 1")
        ordered = f"{{type: category, ordered: [{', '.join(map(str, shown))}]}}"
        instead = f"for ratings write {ordered}, for amounts number"
        return Guess("category", f"few whole numbers: {', '.join(map(str, shown))}", instead)
    reason = f"numbers from {different[0]:g} to {different[-1]:g}"
    if all(number.is_integer() for number in numbers) and len(different) * EACH_LABEL <= len(numbers):
        return Guess("number", reason, f"{len(different):,} different whole numbers; for codes write category")
    return Guess("number", reason)


def _is_numbering(cells: Sequence[Any]) -> bool:
    """Whether a column counts the rows."""
    numbers = _numbers(cells)
    return bool(numbers) and len(numbers) > 1 and all(after - before == 1 for before, after in zip(numbers, numbers[1:]))


def _is_dates(cells: Sequence[Any]) -> bool:
    """Whether a column holds dates alone."""
    times = times_of(cells) if cells else None
    return times is not None and times.dtype.kind == "M"


def _is_prose(vocabulary: Counter[str]) -> bool:
    """Whether words end with the marks of sentences."""
    return any(word[-1] in ".,;:!?" for word in vocabulary if len(word) > 1)


def _tags(output: str, inputs: Mapping[str, str | None], cells: Mapping[str, list[Any]]) -> tuple[Guess, str, Any] | None:
    """Where the output has as many labels as an input has steps in every row: the labels, that input, and its settings."""
    whole = [str(cell) for cell in _present(cells[output])]
    few = len(set(whole)) * EACH_LABEL <= len(whole)
    for name, kind in inputs.items():
        if kind not in (None, "tokens", "text"):
            continue
        pairs = [(given, wanted) for given, wanted in zip(cells[name], cells[output]) if given is not None and wanted is not None]
        for separator, settings in ((" ", "tokens"), ("", {"type": "tokens", "separator": ""})):
            both = [(_cut(given, separator), _cut(wanted, separator)) for given, wanted in pairs]
            if not both or any(len(given) != len(wanted) for given, wanted in both) or max(len(given) for given, _ in both) < 2:
                continue
            labels = Counter(label for _, wanted in both for label in wanted)
            # Rows of one length prove nothing, nor do letters of a few labels of whole rows.
            if not separator and (few or len({len(given) for given, _ in both}) == 1):
                continue
            if few and len({len(given) for given, _ in both}) == 1:
                continue
            if len(labels) * EACH_LABEL > sum(labels.values()):
                continue
            type_ = "tags" if separator else {"type": "tags", "separator": ""}
            shown = ", ".join(_short(str(label)) for label, _ in labels.most_common(3))
            unit = "words" if separator else "letters"
            reason = f"as many labels as {name} has {unit} in every row, {len(labels)} different, such as {shown}"
            spans = "" if not any(str(label).startswith("B-") for label in labels) else "; for spans write {type: tags, scheme: bioes}"
            told = "" if kind != "text" else f"; {name} must have one step per label: write tokens"
            instead = f"where it is not one label per step write tokens{told}{spans}"
            is_sure = len(both) >= SURE_ROWS and kind != "text" and not spans
            return Guess(type_, reason, None if is_sure else instead), name, settings
    return None


def _cut(cell: Any, separator: str) -> list[Any]:
    if isinstance(cell, (list, tuple)):
        return list(cell)
    return str(cell).split() if separator else list(str(cell))


def _short(text: str) -> str:
    return text if len(text) <= 24 else text[:23] + "\u2026"
