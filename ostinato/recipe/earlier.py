"""The columns of the run that training starts from, as those of a table that names none of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ostinato.recipe.column_types import Guess
from ostinato.recipe.columns import OF_THE_TASK
from ostinato.recipe.first_rows import Look
from ostinato.recipe.guessed import Guessed
from ostinato.recipe.schema import opened

OF_A_COLUMN = ("type", "column", "alternatives", "align", "of", "reads", *sorted(OF_THE_TASK))
"""What a column is, and not how it is modelled: that is taken over with the parts of the run."""
SLOTS = ("encoder", "join", "head")
"""Of these the type alone: parts of other types are not taken over."""
PLAIN = {"subword_pooling": "none"}
"""What says nothing."""


@dataclass(frozen=True)
class Earlier:
    """The columns of an earlier run.

    Args:
        run: what it is called in messages.
        inputs, outputs: their settings by name, as the run's recipe has them, with all defaults.
        counted: inputs that count what another reads, of which no part is taken over.
        forecasts: whether its rows are steps in time.
    """

    run: str
    inputs: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Mapping[str, Any]]
    counted: Collection[str] = ()
    forecasts: bool = False

    def whole(self, columns: Collection[str]) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The inputs and outputs as a recipe has them; None where the table lacks one of their columns, rows are steps
        in time, or the run only continues its inputs and the table has labels too, say."""
        if self.forecasts:
            return None
        read, said = (
            {column for name, settings in side.items() for column in column_names(name, settings)}
            for side in (self.inputs, self.outputs)
        )
        if not read | said <= set(columns) or (said <= read and set(columns) != read):
            return None
        inputs = {
            name: dict(settings) if name in self.counted else _short(settings) for name, settings in self.inputs.items()
        }
        return inputs, {name: _short(settings) for name, settings in self.outputs.items()}

    def named(self, side: str, column: str) -> tuple[str, dict[str, Any]] | None:
        """The name and settings of what reads a column alone, or predicts it; None where nothing does.

        Args:
            side: `inputs` or `outputs`.
            column: of the table.
        """
        for name, settings in getattr(self, side).items():
            if column_names(name, settings) == [column] and settings.get("of") is None:
                return name, _short(settings)
        return None


def column_names(name: str, settings: Mapping[str, Any]) -> list[str]:
    """The columns of the table; none of its own, of an output that continues an input."""
    column = settings.get("column")
    if column is None:
        return [] if settings.get("of") is not None else [name]
    return [column] if isinstance(column, str) else list(column)


def _short(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Without what says nothing."""
    words = {word: settings[word] for word in OF_A_COLUMN if settings.get(word) not in (None, PLAIN.get(word))}
    words |= {slot: settings[slot]["type"] for slot in SLOTS if settings.get(slot) is not None}
    # A vocabulary that is another column's is no setting of a part.
    words |= {word: value for word, value in settings.items() if isinstance(value, Mapping) and "same_as" in value}
    return words


def as_earlier(look: Look, earlier: Earlier, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Guessed:
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


def with_earlier(guessed: Guessed, earlier: Earlier, untold: Collection[str]) -> Guessed:
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
