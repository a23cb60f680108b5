"""What a run was trained and measured on: rows, lengths, labels, duplicates, unknown words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from ostinato.data.examples import Examples
from ostinato.data.split import evenly
from ostinato.errors import ConfigError, DataError
from ostinato.evaluation.look import column_look
from ostinato.modalities.contract import Labels, Symbols
from ostinato.preprocessing.leaks import repeated
from ostinato.recipe import columns as recipe_columns
from ostinato.reporting.page import items, paragraph, table
from ostinato.run import rows as row_sources
from ostinato.run.run import Row, Run

MOST_ROWS = 20_000
"""Rows of a split that are looked at."""
MOST_LABELS = 30


def data_card(run: Run, roots: Sequence[Path]) -> list[str]:
    """The card as HTML: a row for each split, a row for each of its columns, labels, and what is repeated."""
    splits = {name: examples for name in ("train", "valid", "test") if (examples := _examples(run, name, roots))}
    if not splits:
        return [paragraph("The rows that the model was trained on are not there any more.")]
    rows = [("split", "column", "rows", "missing", "different", "shortest / median / longest", "unknown symbols")]
    notes = [note for name in splits if name != "train" for note in _repeated(run, splits, name)]
    for name, examples in splits.items():
        read = list(islice(examples.raw(), MOST_ROWS))
        notes += [f"{name}: the first {len(read):,} of {len(examples):,} rows are looked at"] * (
            len(read) < len(examples)
        )
        for place, settings in recipe_columns.places(run.recipe.settings):
            held = [row[place] for row in read if row[place] is not None]
            look = column_look(settings.type, held, missing=len(read) - len(held))
            lengths = " / ".join(f"{length:,}" for length in look.lengths)
            cells = (name, f"{place} ({look.type})", f"{len(examples):,}", f"{look.missing:,}", f"{look.different:,}")
            rows.append((*cells, lengths, _unknown(run, place, [row for row in read if row[place] is not None])))
    return [table("splits and columns", rows), items(notes), *_labels(run)]


def _examples(run: Run, split: str, roots: Sequence[Path]) -> Examples | None:
    try:
        return row_sources.of_split(run, split, None, roots)
    except (ConfigError, DataError):
        return None


def _repeated(run: Run, splits: dict[str, Examples], name: str) -> list[str]:
    inputs = [f"inputs.{column}" for column in run.inputs]
    return repeated(splits["train"], splits[name], name, inputs) if "train" in splits else []


def _unknown(run: Run, place: str, held: Sequence[Row]) -> str:
    """The share of symbols that the vocabulary lacks; empty where there is none."""
    spec = run.modalities[place].spec
    if not isinstance(spec, Symbols) or not held:
        return ""
    some = [held[number] for number in evenly(len(held), 1000)]
    encoded = run.encoded(some, place, lambda row: f"row {row + 1}")
    symbols = [steps if steps.ndim == 1 else steps[:, 0] for steps in encoded]
    total = sum(map(len, symbols))
    # What a head can copy though the vocabulary lacks it has a number beyond the vocabulary.
    lacking = sum(int(((part == spec.unknown) | (part >= spec.size)).sum()) for part in symbols)
    return f"{lacking / max(1, total):.2%}"


def _labels(run: Run) -> list[str]:
    """How often each label occurs in training."""
    parts = []
    for output in run.outputs:
        modality = run.modalities[f"outputs.{output}"]
        spec = modality.spec
        if isinstance(spec, Labels) and not spec.multilabel and len(spec.counts) == spec.size:
            counted = sorted(zip(spec.counts, modality.labels(range(spec.size))), key=lambda pair: -pair[0])
            total = max(1, sum(spec.counts))
            rows = [(label, f"{count:,}", f"{count / total:.1%}") for count, label in counted[:MOST_LABELS]]
            parts.append(table(f"labels of {output} in training", [(output, "in training", "share"), *rows]))
            if len(counted) > MOST_LABELS:
                parts.append(paragraph(f"and {len(counted) - MOST_LABELS:,} rarer labels of {output}", note=True))
    return parts
