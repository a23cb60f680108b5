"""A recipe that was guessed: its columns with their reasons, as lines, as settings, as commented YAML."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ostinato.data.contract import PLAIN, Dialect
from ostinato.data.read import as_columns
from ostinato.data.time_columns import TimeColumns
from ostinato.raw.numbers import Numerals
from ostinato.recipe import first_rows
from ostinato.recipe.column_types import (
    Guess,
)
from ostinato.recipe.read import Recipe, from_arguments
from ostinato.recipe.rules import can_be_name
from ostinato.recipe.yaml_text import dump_yaml, listed


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
                lines.append(f"{side} {name}: {type_shown(guess.settings)} ({guess})")
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
        rows = f"the first {self.rows:,} rows" if self.rows == first_rows.LOOKED_AT else f"{self.rows:,} rows"
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


def type_shown(settings: Any) -> str:
    return settings if isinstance(settings, str) else listed(settings)


def nameable(guessed: Guessed) -> Guessed:
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
        guessed: what was guessed.
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
