"""The verbs that look at a file before anything is trained: look, init."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ostinato import files
from ostinato.data.contract import Dialect
from ostinato.errors import ConfigError
from ostinato.evaluation import look as looking
from ostinato.evaluation.look import DataLook
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe import first_rows, infer
from ostinato.recipe import guessed as guesses
from ostinato.recipe.read import Recipe
from ostinato.registry import component
from ostinato.verbs.runs import silent


def look(data: str, outputs: Sequence[str] = (), *, sets: Sequence[str] = (), roots: Sequence[Path] = ()) -> DataLook:
    """What the first rows of a file show before anything is trained (`evaluation.look`)."""
    return looking.look(data, outputs, roots=roots, dialect=infer.dialect_of(sets))


def label_notes(data: str, recipe: Recipe, *, roots: Sequence[Path] = ()) -> list[str]:
    """What is to know of the labels of a file, and of rows that are none, before they are learnt."""
    kinds = {name: component("modalities", column.type) for name, column in recipe.settings.outputs.items()}
    labels = [
        recipe_columns.column_of(f"outputs.{name}", recipe.settings.outputs[name])
        for name, kind in kinds.items()
        if not kind.is_sequence and not kind.numeric
    ]
    seen = first_rows.look_at(data, data_root=roots, dialect=Dialect.of(recipe.settings.data))
    return [*looking.header_notes(seen), *looking.label_notes(seen, labels)]


def init(
    data: str,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    *,
    sets: Sequence[str] = (),
    file: Path | None = None,
    roots: Sequence[Path] = (),
    say: Callable[[str], None] = silent,
) -> str:
    """A commented recipe inferred from a data file; written to `file` if that is given.

    Args:
        data: a table, or text with one example a line.
        inputs: `COLUMN` or `COLUMN:TYPE`; what is missing is inferred.
        outputs: likewise.
        sets: how the file is written, such as `data.header=3`.
        file: the recipe's file, which must not exist yet.
        roots: folders where the data are looked for after the working folder.
        say: receives each guess with its reason.

    Errors:
        ConfigError: a column or a type does not exist, or the recipe file exists already.
        DataError: the file cannot be read.
    """
    if file is not None and file.exists():
        raise ConfigError(
            f"{file}: exists already, and init overwrites nothing; give another --recipe FILE, or delete it"
        )
    dialect = infer.dialect_of(sets)
    guessed = infer.guess_aloud(data, inputs, outputs, roots=roots, say=say, dialect=dialect)
    text = guesses.text_of(guessed, inputs, outputs, file, sets)
    if file is not None:
        files.write(file, text)
    return text
