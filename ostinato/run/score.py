"""The log-probability of given outputs, by one run or by several as an ensemble."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from ostinato import alignments
from ostinato.errors import DataError
from ostinato.heads.contract import Scored, scored
from ostinato.model.batch import Batch
from ostinato.model.columns import traits_of
from ostinato.model.ensemble import refuse_unlike
from ostinato.model.ensemble import score as score_generated
from ostinato.run.predict import (
    Inputs,
    batches_of,
    columns_of,
    distribution_of,
    encodings,
    gathered,
    members_of,
    prompted,
)
from ostinato.run.run import Place, Row, Run, row_number
from ostinato.steps import Layout, Steps

ENSEMBLE_ROWS = 8
"""Rows of targets that several runs score at once."""
TARGET = (None, "")
"""Stands beside the inputs of runs."""


def _demand_one_each(
    run: Run, output: str, columns: Mapping[tuple[Run | None, str], list[np.ndarray]], place: Place
) -> None:
    read = run.graph.reads[output][0]
    by_words = traits_of(run.inputs[read]).by_words
    unit = "word" if by_words else "step"
    for row, (steps, labels) in enumerate(zip(columns[run, read], columns[TARGET])):
        number = int(steps[:, -1].sum()) if by_words else len(steps)
        if number != len(labels):
            alignment = alignments.of(run.outputs[output])
            noun = alignment.target
            raise DataError(
                f"{place(row)}: outputs.{output} has {len(labels)} {noun}s and inputs.{read} {number} {unit}s;"
                f" align: {alignment.name} needs one {noun} per {unit}"
            )


class Given(NamedTuple):
    """The scores of the outputs that rows have.

    Args:
        rows: which of the rows have the output, in order.
        scored: a number for each of these.
        by_step: for each the log-probability of every step, whether it scored best and how many targets it has,
            (steps, 3), where the head gives them.
    """

    rows: list[int]
    scored: Scored
    by_step: list[np.ndarray] | None


def scores(
    runs: Sequence[Run],
    rows: Sequence[Row],
    *,
    batch_rows: int = 64,
    outputs: Iterable[str] | None = None,
    place: Place = row_number,
) -> dict[str, Given]:
    """The log-probability of each row's own outputs, by output; a row that lacks an output is left out there.

    Args:
        runs: one, or several that score as the ensemble that they answer as.
        rows: raw values by place or column.
        batch_rows: rows computed at once, fewer where they are long.
        outputs: only these.
        place: of a row, for messages.

    Errors:
        ConfigError: an ensemble of runs whose symbols, labels or scales differ.
    """
    members = members_of(runs)
    refuse_unlike([member.member() for member in dict.fromkeys(members)])
    run = members[0]
    outputs = list(run.outputs if outputs is None else outputs)
    inputs = columns_of(encodings(members, rows, place)) if outputs else {}
    found = {}
    for output in outputs:
        given = [row for row, one in enumerate(rows) if run.raw(one, f"outputs.{output}") is not None]
        targets = run.encoded(
            [rows[row] for row in given], f"outputs.{output}", lambda at, given=given: place(given[at])
        )
        columns = {name: [column[row] for row in given] for name, column in inputs.items()} | {TARGET: targets}
        if alignments.of(run.outputs[output]).per_step:
            _demand_one_each(run, output, columns, lambda at, given=given: place(given[at]))
        # Each run of an ensemble gives the scores of all symbols at every step.
        at_once = batch_rows if len(set(members)) == 1 else min(batch_rows, ENSEMBLE_ROWS)
        batches = list(batches_of(columns, at_once))
        back = torch.argsort(torch.tensor([row for batch in batches for row in batch], dtype=torch.int64))
        parts: list[Scored] = []
        for rows_now in batches:
            steps = {name: gathered(column, rows_now, run.device) for name, column in columns.items()}
            target = steps.pop(TARGET)
            with torch.inference_mode():
                read = {member: {name: steps[member, name] for name in member.inputs} for member in members}
                parts.append(_scored(members, output, read, target))
        fields = ("log_probability", "num_targets", "num_right")
        nothing = torch.zeros(0)
        whole = Scored(*(torch.cat([nothing, *(getattr(one, name).cpu() for one in parts)])[back] for name in fields))
        by_step = None
        if all(one.by_step is not None for one in parts):
            steps = [each.cpu().numpy() for one in parts for each in one.by_step.split()]
            by_step = [steps[at] for at in back.tolist()]
        found[output] = Given(given, whole, by_step)
    return found


def _scored(runs: Sequence[Run], output: str, inputs: Inputs, targets: Steps) -> Scored:
    graph = runs[0].graph
    if not graph.heads[output].generates:
        return scored(distribution_of(runs, output, inputs, targets), targets)
    if len(inputs) == 1:
        return graph.score(output, Batch(inputs[runs[0]], {output: targets}))
    of = graph.continues.get(output)
    read = targets if of is None else inputs[runs[0]][of]
    if of is not None:
        # Nothing is read before the beginning, which `extend` reads.
        nothing = Steps(read.values[:0], Layout.equal(len(read.layout), 0, read.layout.device))
        inputs = {run: {**own, of: nothing} for run, own in inputs.items()}
    generator, state, _ = prompted(runs, output, inputs)
    return score_generated(generator, state, read.prepended(generator.begin), targets.appended(generator.end).values)
