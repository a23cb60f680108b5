"""Answers as files: a table of predictions, or a picture of what was generated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ostinato import files
from ostinato.data.contract import PLAIN
from ostinato.data.write import told, write_table
from ostinato.run import prediction_table
from ostinato.run import rows as row_sources
from ostinato.run.predictions import Prediction
from ostinato.run.run import Run


def write_predictions(
    run: Run,
    predictions: Iterable[Prediction],
    file: Path,
    *,
    probabilities: bool = False,
    source: str | None = None,
) -> str:
    """Writes predictions into a table (csv, jsonl, parquet or xlsx by its ending); tells how many rows it has.

    Args:
        run: that predicted, the first of an ensemble.
        predictions: as `predict` gives them, with `cells`.
        file: of the table.
        probabilities: whether every label has a column.
        source: the table that was read: csv has the signs between its fields and before decimals.

    Errors:
        ConfigError: the ending is none of a table.
        DataError: a column of the rows has the name of one of the answers.
    """
    is_csv = file.suffix.lower() == ".csv"
    records = prediction_table.records(run, predictions, probabilities=probabilities, fields=is_csv)
    dialect = row_sources.csv_dialect(run, source) if is_csv else PLAIN
    first = next(records, None)
    like = first or prediction_table.like(run, row_sources.columns_read(run, source), probabilities=probabilities)
    count = write_table(file, records if first is None else chain([first], records), csv_dialect=dialect, like=like)
    return told(file, count, dialect, source or "")


def picture_endings(run: Run) -> tuple[str, ...]:
    """The endings of files in which the answers of a run of one output can be shown."""
    endings = [run.modalities[f"outputs.{output}"].render_endings for output in run.outputs]
    return endings[0] if len(endings) == 1 else ()


def pictured(run: Run, file: Path) -> bool:
    """Whether the answers of a run can be shown in a file with this ending."""
    return file.suffix.lower() in picture_endings(run)


def write_picture(run: Run, predictions: Iterable[Prediction], file: Path) -> str:
    """Writes all answers, each after the prompt that it continues, into one picture; tells how many it shows.

    Args:
        run: of one output, for which `pictured` holds of this file.
        predictions: as `predict` gives them.
        file: of the picture.
    """
    (output,) = run.outputs
    modality, of = run.modalities[f"outputs.{output}"], run.graph.continues.get(output)
    shown = []
    for prediction in predictions:
        prompt = [] if of is None or modality.continues_whole else [modality.encode(prediction.inputs[of])]
        for answer in prediction.outputs[output]:
            shown.append(modality.decode(np.concatenate([*prompt, modality.encode(answer.value)])))
    return write_answers(run, shown, file)


def write_answers(run: Run, shown: Sequence[Any], file: Path) -> str:
    """Writes answers, the raw values of a run's one output, into one picture; tells how many it shows."""
    (modality,) = (run.modalities[f"outputs.{output}"] for output in run.outputs)
    files.write(file, modality.render(shown, file.suffix.lower()))
    return f"{file}: {len(shown):,} answer{'s' * (len(shown) != 1)}"
