"""Rows that can be trained on: what is left out is counted, what cannot be is refused."""

from __future__ import annotations

import numpy as np
import torch

from ostinato import alignments
from ostinato.data.cache import Dataset
from ostinato.data.variation import Demand
from ostinato.errors import DataError
from ostinato.layers.pooling import words_of
from ostinato.model.columns import counts, encoder_owner, traits_of
from ostinato.recipe import columns as recipe_columns
from ostinato.registry import Settings, component
from ostinato.tokenizers.contract import Spelt

MANY_STEPS, TIMES_MEDIAN = 50_000, 100
"""A row of more steps than both these and so many times the median may need more memory than there is."""
COUNTED_ROWS = 10_000
"""Rows whose symbols are counted at a time: memory must not grow with the data."""


def usable_rows(
    recipe: Settings, dataset: Dataset, rows: np.ndarray | None, limit: int | None, split: str, notes: list[str]
) -> np.ndarray:
    """The rows of a split that can be trained on; what is left out is counted and noted."""
    inputs, outputs = ([f"{way}.{name}" for name in getattr(recipe, way)] for way in ("inputs", "outputs"))
    unread = [f"inputs.{name}" for name in recipe.inputs if counts(name, recipe.inputs)]
    # An empty text, of which there are others to read, is a value; a step that has labels or is continued is not.
    read = {f"inputs.{name}" for name in recipe.inputs if _may_be_empty(recipe, name)}
    may_be_empty = [place for place in inputs if place in read]
    some = [inputs] if may_be_empty else []
    needed = [place for place in inputs if place not in may_be_empty] + (outputs if len(outputs) == 1 else [])
    any_of = outputs if len(outputs) > 1 else []
    groups = [*some, *([any_of] if any_of else [])]
    usable, left_out = dataset.usable(needed, any_of=groups, rows=rows, max_steps=limit, of_any_length=unread)
    for reason, dropped in left_out.items():
        name = (dropped.missing or "").removeprefix("inputs.")
        may_be_text = dropped.missing in inputs and dropped.missing not in read and len(recipe.inputs) > 1
        may_be_text = may_be_text and not component("modalities", recipe.inputs[name].type).numeric
        way = "; as text it may be empty" * may_be_text
        rows = f"{dropped.count:,} row{'s' * (dropped.count > 1)}"
        notes.append(f"{split}: {rows} left out, {reason} (the first: {dropped.first}){way}")
    if not len(usable):
        reasons = (
            f"{dropped.count:,} rows: {reason} (the first: {dropped.first})" for reason, dropped in left_out.items()
        )
        raise DataError(
            f"data.{split}: no row can be used: {'; '.join(reasons) or 'there are none'}; give rows that hold every "
            "column"
        )
    for place in may_be_empty:
        # What counts beside another input reads the same cells.
        if place not in unread and (count := int((~dataset.present(place, usable)).sum())):
            notes.append(
                f"{split}: {count:,} rows have an empty {place}, read as such; data.missing: drop leaves them out"
            )
    for place in any_of:
        if count := int((~dataset.present(place, usable)).sum()):
            notes.append(f"{split}: {count:,} rows have no {place}; they count for the other outputs alone")
        if count == len(usable):
            raise DataError(f"data.{split}: no row has {place}; give it in some rows, or leave this output out")
    _demand_allowed_targets(recipe, dataset, usable)
    if limit is None and split == "train":
        notes += (note for place in inputs if place not in unread for note in _extreme(dataset, place, usable))
    return usable


def _extreme(dataset: Dataset, place: str, rows: np.ndarray) -> list[str]:
    """A note on a row that is far longer than the others: a mistake of the file, or too much for the memory."""
    lengths = dataset.lengths[place][rows]
    longest, median = int(lengths.max()), int(np.median(lengths))
    if longest < max(MANY_STEPS, TIMES_MEDIAN * median):
        return []
    most, where = TIMES_MEDIAN * max(1, median), dataset.table.place(int(rows[lengths.argmax()]))
    return [
        f"train: {where} has {longest:,} steps in {place}, and half of the rows {median:,} or fewer; memory and time"
        f" grow with them: set training.max_steps={most} to train without such rows"
    ]


def _may_be_empty(recipe: Settings, name: str) -> bool:
    """Whether a row without this input is read all the same: another column is there, and no output has its steps."""
    columns = {recipe_columns.column_of(f"inputs.{other}", column) for other, column in recipe.inputs.items()}
    encoder = recipe.inputs[encoder_owner(name, recipe.inputs)].encoder
    per_step = any(
        alignments.of(output).per_step and alignments.of(output).source(output, recipe.inputs) == name
        for output in recipe.outputs.values()
    )
    is_sequence = component("encoders", encoder.type).reads_sequences
    return recipe.data.missing == "empty" and len(columns) > 1 and is_sequence and not per_step


def _demand_allowed_targets(recipe: Settings, dataset: Dataset, rows: np.ndarray) -> None:
    """As many targets as the alignment demands, and such as the head can learn."""
    for name, output in recipe.outputs.items():
        place, alignment = f"outputs.{name}", alignments.of(output)
        there = rows[dataset.present(place, rows)]
        if alignment.per_step:
            source = alignment.source(output, recipe.inputs)
            by_words = alignment.labels_steps and traits_of(recipe.inputs[source]).by_words
            lengths = (
                _words(dataset, f"inputs.{source}", there) if by_words else dataset.lengths[f"inputs.{source}"][there]
            )
            targets = dataset.lengths[place][there]
            least, most = alignment.targets_allowed(lengths)
            bad = np.flatnonzero((targets < least) | (targets > most))
            if len(bad):
                unit, number = (
                    "word" if by_words else "step",
                    f"{targets[bad[0]]} {{}} and inputs.{source} {lengths[bad[0]]}",
                )
                if alignment.labels_steps:
                    message = f"{place} has {number.format('labels')} {unit}s"
                    other = _other_unit(recipe, source)
                    advice = f"needs one label per {unit}: mend or leave out what has another number{other}"
                else:
                    message = f"{place} has {number.format('steps')}"
                    advice = f"predicts what follows each step; leave {place}.column out, or set align: free"
                raise _refused(dataset, there[bad], message, f"align: {alignment.name} {advice}")
    for demand in demands(recipe):
        place, kind = f"outputs.{demand.output}", recipe.outputs[demand.output].head.type
        there = rows[dataset.present(place, rows)]
        bad = ~_allowed(demand, dataset, there)
        if bad.any():
            message = f"{place} has a target that {kind} cannot learn: {demand.head.targets_rule}"
            raise _refused(dataset, there[bad], message, "mend or leave out such rows")


def demands(recipe: Settings) -> list[Demand]:
    """Of each output whose head cannot learn every target."""
    made = []
    for name, output in recipe.outputs.items():
        head = component("heads", output.head.type)
        if head.targets_rule:
            source = (output.reads or list(recipe.inputs))[0]
            encoder = recipe.inputs[encoder_owner(source, recipe.inputs)].encoder
            made.append(Demand(name, head, source, component("encoders", encoder.type).reduction_of(encoder)))
    return made


def _allowed(demand: Demand, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Which of these rows have a target that the head can learn from its source, as the encoder gives it."""
    lengths, place = torch.from_numpy(dataset.lengths[f"inputs.{demand.source}"]), f"outputs.{demand.output}"
    parts = np.array_split(rows, max(1, -(-len(rows) // COUNTED_ROWS)))
    return np.concatenate(
        [demand.allows(lengths[torch.from_numpy(part)], dataset.steps(place, part)).numpy() for part in parts]
    )


def _refused(dataset: Dataset, rows: np.ndarray, message: str, advice: str) -> DataError:
    """What is wrong with the first of these rows, how many are like it, and what to do."""
    number = "one row" if len(rows) == 1 else f"{len(rows):,} rows"
    return DataError(f"{dataset.table.place(int(rows[0]))}: {message} ({number} like this); {advice}")


def _other_unit(recipe: Settings, source: str) -> str:
    """What to set where a text's labels are of words and not of its pieces, or the other way round."""
    owner = recipe_columns.vocabulary_owners(recipe)[f"inputs.{source}"]
    tokenizer = getattr(dict(recipe_columns.places(recipe))[owner], "tokenizer", None)
    by_words, place = traits_of(recipe.inputs[source]).by_words, f"inputs.{source}.subword_pooling"
    if tokenizer is None:
        return ""
    if by_words:
        return f"; where each piece that {tokenizer.type} finds has one, set {place}: none"
    if issubclass(component("tokenizers", tokenizer.type), Spelt):
        return ""
    # An output that continues the input generates its pieces, and refuses a text that is pooled.
    if any(output.of == source for output in recipe.outputs.values()):
        return f"; where each word has one, set {owner}.tokenizer: word"
    return f"; where each word has one, set {place}: mean"


def _words(dataset: Dataset, place: str, rows: np.ndarray) -> np.ndarray:
    """How many words each of these rows has in a column of pieces."""
    parts = (dataset.steps(place, part) for part in np.array_split(rows, max(1, -(-len(rows) // COUNTED_ROWS))))
    return np.concatenate([words_of(piece.values[:, -1], piece.layout)[1].lengths.numpy() for piece in parts])
