"""The log-probability of given outputs, by one run or by several as an ensemble."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ostinato import alignments
from ostinato.errors import DataError
from ostinato.heads.contract import Scored, scored
from ostinato.model.columns import traits_of
from ostinato.model.ensemble import refuse_unlike
from ostinato.model.ensemble import score as score_generated
from ostinato.run.predict import (
    Readings,
    batches_of,
    columns_of,
    distribution_of,
    encodings,
    gathered,
    members_of,
    part_of,
    prompted,
)
from ostinato.run.run import Place, Row, Run, row_number
from ostinato.steps import Layout, Steps

ENSEMBLE_ROWS = 8
"""Rows of targets that several runs score at once."""
NOTHING = np.zeros(0)
"""The steps of an output that a row lacks."""


def _demand_one_each(
    run: Run, output: str, inputs: Sequence[np.ndarray], targets: Mapping[int, np.ndarray], place: Place
) -> None:
    read = run.graph.reads[output][0]
    by_words = traits_of(run.inputs[read]).by_words
    unit = "word" if by_words else "step"
    for row, labels in targets.items():
        number = int(inputs[row][:, -1].sum()) if by_words else len(inputs[row])
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
    if not outputs:
        return {}
    inputs = encodings(members, rows, place)
    given = {
        output: [row for row, cells in enumerate(rows) if run.raw(cells, f"outputs.{output}") is not None]
        for output in outputs
    }
    targets = {output: _targets(run, output, rows, given[output], inputs[run], place) for output in outputs}
    some = [row for row in range(len(rows)) if any(row in own for own in targets.values())]
    beside = {(None, output): [own.get(row, NOTHING) for row in some] for output, own in targets.items()}
    columns = {key: [column[row] for row in some] for key, column in columns_of(inputs).items()} | beside
    # Each run of an ensemble gives the scores of all symbols at every step.
    at_once = batch_rows if len(set(members)) == 1 else min(batch_rows, ENSEMBLE_ROWS)
    order: dict[str, list[int]] = {output: [] for output in outputs}
    parts: dict[str, list[Scored]] = {output: [] for output in outputs}
    for places in batches_of(columns, at_once):
        numbers = [some[at] for at in places]
        readings = part_of(inputs, numbers).readings
        for output, own in targets.items():
            present = [at for at, row in enumerate(numbers) if row in own]
            if not present:
                continue
            having = [numbers[at] for at in present]
            chosen = None if len(present) == len(numbers) else torch.tensor(present, device=run.device)
            target = gathered(own, having, run.device)
            with torch.inference_mode():
                parts[output].append(_scored(members, output, readings, target, chosen))
            order[output] += having
    return {output: Given(given[output], *_in_order(parts[output], order[output])) for output in outputs}


def _targets(
    run: Run,
    output: str,
    rows: Sequence[Row],
    given: Sequence[int],
    inputs: Mapping[str, list[np.ndarray]],
    place: Place,
) -> dict[int, np.ndarray]:
    """The encoded targets of the rows that have an output, by row."""

    def where(at: int) -> str:
        return place(given[at])

    targets = dict(zip(given, run.encoded([rows[row] for row in given], f"outputs.{output}", where)))
    if alignments.of(run.outputs[output]).per_step:
        _demand_one_each(run, output, inputs[run.graph.reads[output][0]], targets, place)
    return targets


def _in_order(parts: Sequence[Scored], rows: Sequence[int]) -> tuple[Scored, list[np.ndarray] | None]:
    """The scores of all batches, and those of each step where all have them, in the order of the rows.

    Args:
        parts: of the batches.
        rows: the row of each score.
    """
    back = torch.argsort(torch.tensor(rows, dtype=torch.int64))
    fields = ["log_probability", "num_targets", "num_right"]
    fields += ["distance"] if parts and all(part.distance is not None for part in parts) else []
    nothing = torch.zeros(0)
    whole = Scored(
        **{name: torch.cat([nothing, *(getattr(part, name).cpu() for part in parts)])[back] for name in fields}
    )
    if any(part.by_step is None for part in parts):
        return whole, None
    steps = [each.cpu().numpy() for part in parts for each in part.by_step.split()]
    return whole, [steps[at] for at in back.tolist()]


def _scored(runs: Sequence[Run], output: str, readings: Readings, targets: Steps, rows: Tensor | None) -> Scored:
    own = readings[runs[0]]
    if not own.graph.heads[output].generates:
        return scored(distribution_of(runs, output, readings, targets, rows), targets)
    if len(readings) == 1:
        return own.score(output, targets, rows)
    of, read, nothing = own.graph.continues.get(output), targets, None
    if of is not None:
        read = own.inputs[of]
        # Nothing is read before the beginning, which `extend` reads.
        nothing = Steps(read.values[:0], Layout.equal(len(read.layout), 0, read.layout.device))
        read = read if rows is None else read.select(rows)
    generator, state, _ = prompted(runs, output, readings, nothing, rows)
    return score_generated(generator, state, read.prepended(generator.begin), targets.appended(generator.end).values)
