"""Splits that are rows of tables: opened, divided by seed where the recipe names no validation, fitted on and
encoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.alignments import streamed
from ostinato.data.cache import encode
from ostinato.data.contract import Dialect
from ostinato.data.examples import Examples, RowExamples
from ostinato.data.read import Table, open_table
from ostinato.data.split import enough, in_order, set_aside, share_of, tenth
from ostinato.errors import ConfigError, DataError
from ostinato.modalities.contract import Labels
from ostinato.model.columns import counts
from ostinato.notes import Detail
from ostinato.preprocessing import choices, counted, fit
from ostinato.preprocessing import sizes as planning
from ostinato.preprocessing.checks import usable_rows
from ostinato.preprocessing.passages import passages
from ostinato.preprocessing.rules import made_by_rules
from ostinato.preprocessing.splits import Say, Splits, named, source_of
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe.read import Recipe
from ostinato.registry import Settings


class TableSplits(Splits):
    """The rows of one table, or of one for each split."""

    def __init__(
        self, recipe: Recipe, roots: Sequence[Path], data: Mapping[str, Any], say: Say, *, to_fit: bool = True
    ):
        self.data, self.say = data, say
        if to_fit:
            recipe = recipe.with_chosen(passages(recipe, source_of(recipe.settings, "train", data), roots))
            self._uncounted, self._counted = recipe, counted.readings(recipe)
            recipe = recipe.with_chosen(self._counted)
        settings, self.columns = recipe.settings, columns_of(recipe.settings)
        if settings.data.split is not None and settings.data.passage is None:
            raise ConfigError(
                f"{recipe.origin}: data.split: divides series by time, and one text that outputs continue; here"
                " examples are rows: name files by data.valid and data.test"
            )
        train = self._open(recipe, "train", roots)
        say(Detail("counting and checking the training rows"))
        num_rows = train.num_rows
        self.aside = source_of(settings, "valid", data) is None
        if self.aside:
            is_small = settings.data.passage is None and enough(num_rows) > tenth(num_rows)
            if to_fit and is_small and not recipe.gives("data.valid_rows"):
                why = f"a tenth of {num_rows:,} rows would be {tenth(num_rows)}"
                recipe = recipe.with_chosen({"data.valid_rows": (enough(num_rows), why)})
                settings = recipe.settings
            parts = parts_of(settings, num_rows)
            self.all_rows, valid_rows = parts["train"], parts["valid"]
            aside = f"{len(valid_rows):,} of {num_rows:,} rows set aside by seed for validation"
            if settings.data.passage is not None:
                aside = f"the last {len(valid_rows):,} of {num_rows:,} passages validate"
            if "test" in parts:
                aside = f"{aside.replace('the last ', '')}, and the last {len(parts['test']):,} test"
            self.tables, self.notes = {"train": train, "valid": train}, [f"no valid split given: {aside}"]
        else:
            self.all_rows, valid_rows = np.arange(num_rows), None
            self.tables, self.notes = {"train": train, "valid": self._open(recipe, "valid", roots)}, []
        self.notes += train.notes
        if "data.passage" in recipe.reasons:
            self.notes.append(
                f"{named(settings, 'train', data)} is one text, in passages of {settings.data.passage:,} characters;"
                " data.rows=lines (or blank) makes an example of each line (or paragraph)"
            )
        rows = kept(settings, self.all_rows)
        if settings.data.fraction < 1:
            self.notes.append(
                f"data.fraction {settings.data.fraction:g}: {len(rows):,} of {len(self.all_rows):,} training rows kept,"
                " drawn by seed"
            )
        self.rows = {"train": rows, "valid": valid_rows}
        if to_fit:
            recipe = recipe.with_chosen(planning.words(recipe))
        amount = planning.Amount(len(rows), _characters(train, self.columns, rows), {})
        pieces = planning.tokenizers(recipe, amount)
        self.recipe = recipe.with_chosen(pieces)
        self.modalities = recipe_columns.build(self.recipe.settings)
        if to_fit:
            chosen = choices.choose(recipe, self.modalities, self._look("train"), self._look("valid"))
            # A tokenizer that was chosen has no size that was chosen for another.
            recipe = recipe.with_chosen(chosen)
            self.recipe = recipe.with_chosen(planning.tokenizers(recipe, amount))
            changed = {place for place in self.modalities if any(path.startswith(f"{place}.") for path in chosen)}
            self.modalities |= recipe_columns.build(self.recipe.settings, changed)

    def _look(self, split: str) -> choices.Look:
        """The raw values of a split by place, none of them missing."""

        def values(place: str) -> Iterator[Any]:
            column, modality = self.columns[place], self.modalities[place]
            rows = self.all_rows if split == "train" and modality.labels_beyond_fraction else self.rows[split]
            return (raw for raw in self.tables[split].values(column, modality, rows) if raw is not None)

        return values

    def _open(self, recipe: Recipe, split: str, roots: Sequence[Path]) -> Table:
        source = source_of(recipe.settings, split, self.data)
        if source is None:
            raise ConfigError(
                f"{recipe.origin}: data.{split} is not given; name the file there, such as --set data.{split}=FILE"
            )
        judges = split == "valid" or source_of(recipe.settings, "valid", self.data) is None
        columns = list(dict.fromkeys([*self.columns.values(), *(alternatives_of(recipe.settings) if judges else ())]))
        dialect, where = Dialect.of(recipe.settings.data), f"data.{split}"
        return open_table(source, columns=columns, base=recipe.base, data_root=roots, where=where, dialect=dialect)

    def fit(self) -> None:
        self.say(Detail("fitting the vocabularies"))
        at: list[int] = []
        readers = {}
        # A label that occurs once may stand in a row that was set aside: it is known all the same.
        every = np.arange(self.tables["train"].num_rows)
        for place, modality in self.modalities.items():
            rows = every if modality.labels_beyond_fraction else self.rows["train"]
            readers[place] = partial(self._present, place, rows, at)
        try:
            fit.fit(self.recipe.settings, self.modalities, readers)
        except DataError as why:
            if not at:
                raise
            raise DataError(f"{self.tables['train'].place(at[0])}, {why}") from None
        if self._rules is not None:
            self.recipe = counted.left_out(self.recipe, self._uncounted, self._counted)
            self.columns = columns_of(self.recipe.settings)
            for place in self.modalities.keys() - self.columns.keys():
                del self.modalities[place]

    @cached_property
    def _rules(self) -> str | None:
        """Why the texts are made by rules, once the modalities are fitted; None where they are not."""
        return made_by_rules(self.recipe.settings, self.modalities)

    def _present(self, place: str, rows: np.ndarray, at: list[int]) -> Iterator[Any]:
        """The values of these rows that are not missing; while one is looked at, `at` holds its row."""
        values = self.tables["train"].values(self.columns[place], self.modalities[place], rows)
        for row, value in zip(rows.tolist(), values):
            if value is not None:
                at.append(row)
                yield value
                at.clear()

    def encoded(self, folder: Path) -> dict[str, Examples]:
        self.say(Detail("encoding the examples"))
        settings = self.recipe.settings
        own, numbered = recipe_columns.own_settings(settings), recipe_columns.numbered(settings)
        datasets = {
            table: encode(table, self.modalities, self.columns, folder, settings=own, numbered=numbered)
            for table in dict.fromkeys(self.tables.values())
        }
        for dataset in datasets.values():
            self.notes += dataset.remarks()
        by_split: dict[str, Examples] = {}
        for split, table in self.tables.items():
            dataset = datasets[table]
            rows = usable_rows(settings, dataset, self.rows[split], settings.training.max_steps, split, self.notes)
            place = None if settings.training.tbptt is None else f"inputs.{streamed(settings)}"
            unread = [f"inputs.{name}" for name in settings.inputs if counts(name, settings.inputs)]
            facts = {"rows": rows, "dataset": dataset, "streamed": place, "unread": unread}
            judged_by = alternatives_of(settings) if split == "valid" else ()
            by_split[split] = RowExamples(table, self.columns, self.modalities, alternatives=judged_by, **facts)
        return by_split

    def amount(self, train: Examples) -> planning.Amount:
        labels = {
            place.removeprefix("outputs."): modality.spec.size
            for place, modality in self.modalities.items()
            if isinstance(modality.spec, Labels) and place.startswith("outputs.")
        }
        steps = {place: int(train.lengths(place).sum()) for place in train.places}
        return planning.Amount(len(train), {}, steps, labels=labels, rules=self._rules)

    def sources(self, examples: Mapping[str, Examples]) -> dict[str, dict[str, Any]]:
        sources = {}
        for split, part in examples.items():
            source = named(self.recipe.settings, split, self.data)
            sources[split] = {"source": source, "rows": len(part), "digest": part.digest()}
        if self.aside:
            sources["valid"]["source"] = f"set aside from {sources['train']['source']}"
        return sources


def columns_of(recipe: Settings) -> dict[str, str]:
    """The column of each place."""
    return {place: recipe_columns.column_of(place, settings) for place, settings in recipe_columns.places(recipe)}


def alternatives_of(recipe: Settings) -> list[str]:
    """The columns with further right answers."""
    return [output.alternatives for output in recipe.outputs.values() if output.alternatives]


def kept(recipe: Settings, rows: np.ndarray) -> np.ndarray:
    """Of the training rows those that are trained on: all, or the share that `data.fraction` keeps."""
    fraction = recipe.data.fraction
    return share_of(rows, fraction, seed=seed_of_rows(recipe)) if fraction < 1 else rows


def is_part(recipe: Settings, split: str) -> bool:
    """Whether a split is a part of the training source."""
    data = recipe.data
    if split == "test":
        return data.test is None and data.passage is not None and data.split is not None and data.split.test is not None
    return split == "train" or data.valid is None


def parts_of(recipe: Settings, num_rows: int) -> dict[str, np.ndarray]:
    """The rows of each split that is a part of the training source, which validation is: drawn by seed, of a text that
    is continued its end.

    Errors:
        DataError: too few rows.
    """
    data = recipe.data
    if data.passage is None:
        return dict(zip(("train", "valid"), set_aside(num_rows, seed=seed_of_rows(recipe), size=data.valid_rows)))
    shares = {} if data.split is None else data.split.plain()
    valid, test = (round(num_rows * shares[name]) if shares.get(name) else None for name in ("valid", "test"))
    parts = in_order(num_rows, max(1, valid or data.valid_rows or tenth(num_rows)), test or 0)
    return {split: rows for split, rows in parts.items() if is_part(recipe, split)}


def seed_of_rows(recipe: Settings) -> int:
    """What rows are set aside and kept by."""
    return recipe.training.seed if recipe.data.seed is None else recipe.data.seed


def _characters(table: Table, columns: Mapping[str, str], rows: np.ndarray) -> dict[str, int]:
    """Characters of text in the training rows of each place, lists of words included; what is not text counts
    nothing."""
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
        return sum(len(word) + 1 for word in cell if isinstance(word, str))
    return len(cell) if isinstance(cell, str) else 0
