"""Two runs on the same examples: each metric's difference with its interval, and whether it is real."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ostinato.errors import DataError
from ostinato.evaluation.intervals import Compared, paired
from ostinato.evaluation.measured import estimates
from ostinato.evaluation.predictions import SplitPredictions, metrics_of, predict_all
from ostinato.evaluation.report import Comparison
from ostinato.run import rows as row_sources
from ostinato.run.run import Run


def compare(
    first: Run, second: Run, *, split: str | None = None, data: Any = None, roots: Sequence[Path] = ()
) -> Comparison:
    """Both runs on the same rows, every metric that both have.

    Args:
        first: a run.
        second: the run that the difference is in favour of where it is above 0.
        split: valid or test; test by default where there is one.
        data: other rows with the same columns.
        roots: folders of data sets.

    Errors:
        ConfigError: the runs do not have the same split.
        DataError: the rows cannot be read, the runs share no output, or nothing of it can be paired.
    """
    split = row_sources.default_split(first, split, data)
    if data is None:
        row_sources.refuse_other_rows(first, [second], split)
        row_sources.refuse_other_rows(second, [first], split)
    predictions, notes = [], []
    for run in (first, second):
        examples = row_sources.of_split(run, split, data, roots)
        predictions.append(predict_all([run], examples))
        notes += row_sources.trained_on([run], examples) if data is not None else []
    return compared(first, second, (predictions[0], predictions[1]), split, list(dict.fromkeys(notes)))


def compared(
    first: Run,
    second: Run,
    predictions: tuple[SplitPredictions, SplitPredictions],
    split: str,
    notes: Sequence[str] = (),
) -> Comparison:
    """Each metric that both runs have; what cannot be paired is left out with a note.

    Errors:
        DataError: the runs share no output, or nothing of it can be paired.
    """
    shared = [output for output in first.outputs if output in second.outputs]
    if not shared:
        outputs = (f"{run.folder} gives {', '.join(run.outputs)}" for run in (first, second))
        raise DataError(f"{', '.join(outputs)}: none in common; compare runs of one task")
    differences: dict[str, dict[str, Compared]] = {}
    method, left_out = "", []
    for output in shared:
        both = [side.outputs[output] for side in predictions]
        keys_of_second = metrics_of(second, output)
        differences[output] = {}
        for key, metric in metrics_of(first, output).items():
            lacks = [metric.lacks(known) for known in both]
            if key not in keys_of_second or all(lacks):
                continue
            if any(lacks):
                run, needed = (first, lacks[0]) if lacks[0] else (second, lacks[1])
                left_out.append(
                    f"{output}.{key} is left out: {metric.name}: {run.folder} gives no {' and '.join(needed)}, which"
                    " it is made"
                    " from; compare by the others"
                )
                continue
            try:
                difference = paired(metric, *both)
            except DataError as why:
                left_out.append(f"{output}.{key} is left out: {why}")
                continue
            method, differences[output][key] = difference.method, difference
        for run in (first, second):
            left_out += [f"{run.folder}: {note}" for note in estimates(run, output, differences[output])]
    if not any(differences.values()):
        raise DataError(
            left_out[0]
            if left_out
            else f"{', '.join(shared)}: the runs have no metric in common; compare runs of one task"
        )
    return Comparison(split, predictions[0].examples, differences, method, [*left_out, *notes])
