"""A probe is put to a model: a copy of it, and a few examples that it reads."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from ostinato import alignments
from ostinato.data.examples import Examples
from ostinato.data.split import evenly
from ostinato.errors import ConfigError, DataError
from ostinato.model.batch import Batch
from ostinato.probes.kinds.contract import Finding, Probe, Subject
from ostinato.recipe import columns as recipe_columns
from ostinato.registry import build, settings_class
from ostinato.run.predict import gathered
from ostinato.run.run import Run
from ostinato.steps import Steps

MORE = 8
"""Examples that are looked at for each that is read."""


def made(name: str, options: Mapping[str, Any]) -> Probe:
    """The probe of this name.

    Errors:
        ConfigError: there is none, or one of its settings is refused.
    """
    settings = settings_class("probes", name)
    try:
        return build(settings.model_validate({"type": name, **options}), "probes")
    except ValidationError as why:
        first = why.errors()[0]
        place = ".".join(map(str, first["loc"])) or "settings"
        raise ConfigError(
            f"probe {name}: {place}: {first['input']!r}: {first['msg']}; its settings: "
            f"{', '.join(key for key in settings.model_fields if key != 'type')}"
        ) from None


def probe(run: Run, examples: Examples, kind: Probe, *, rows: int, steps: int, say: Callable[[str], None]) -> Finding:
    """What a probe sees of a model, which stays as it is.

    Args:
        run: whose model it is.
        examples: of one of its splits.
        kind: the probe.
        rows: how many examples it reads, evenly spread over those that have all columns.
        steps: the longest that is read whole; what an output continues is cut there, other examples are left out.
        say: receives notes.

    Errors:
        ConfigError: the model has nothing to see.
        DataError: no example can be read.
    """
    if len(run.members) > 1:
        say(f"note: the first of {len(run.members)} members is probed")
    # Where most examples are too long, some that are not are found among more of them.
    some = examples.pick(evenly(len(examples), MORE * rows))
    return kind.look(subject_of(run, some, rows=rows, steps=steps, columns=kind.columns, say=say))


def subject_of(
    run: Run,
    examples: Examples,
    *,
    rows: int,
    steps: int,
    columns: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Subject:
    """A copy of a model, some of these examples and their cells in further columns; the rest as of `probe`."""
    graph = copy.deepcopy(run.graph).eval().requires_grad_(False)
    aligned = {name: alignments.of(settings) for name, settings in run.outputs.items()}
    batch, numbers, shortened = _batch(run, examples, rows, steps, say)
    cells = {name: examples.pick(numbers).column(name) for name in columns}
    return Subject(graph, batch, aligned, run.modalities, cells, shortened)


def _batch(
    run: Run, some: Examples, rows: int, steps: int, say: Callable[[str], None]
) -> tuple[Batch, list[int], frozenset[int]]:
    places = [place for place, _ in recipe_columns.places(run.recipe.settings)]
    cut = {f"inputs.{of}" for of in run.graph.continues.values()} | {f"outputs.{name}" for name in run.graph.continues}
    if any(alignments.of(settings).windows for settings in run.outputs.values()):
        cut = set()
    whole: list[tuple[int, dict[str, np.ndarray]]] = []
    long = 0
    for number, row in enumerate(some.raw()):
        if any(row[place] is None for place in places):
            continue
        encoded = {place: run.encoded([row], place, lambda _, at=number: some.place(at))[0] for place in places}
        if any(len(part) > steps for place, part in encoded.items() if place not in cut):
            long += 1
        else:
            whole.append((number, encoded))
    if not whole:
        why = f"all of {long:,} have more than {steps} steps; raise --steps" if long else "none has all columns"
        raise DataError(f"{some.where}: no example can be probed: {why}")
    numbers, chosen = zip(*(whole[at] for at in evenly(len(whole), rows)))
    shortened = frozenset(
        at for at, encoded in enumerate(chosen) if any(len(part) > steps for part in encoded.values())
    )
    if shortened:
        say(f"note: {len(shortened):,} of {len(chosen):,} examples are read up to their step {steps} (--steps)")
    if long:
        say(f"note: {long:,} examples of more than {steps} steps are left out (--steps)")
    sides: dict[str, dict[str, Steps]] = {"inputs": {}, "outputs": {}}
    for place in places:
        side, _, name = place.partition(".")
        column = [encoded[place][:steps] for encoded in chosen]
        sides[side][name] = gathered(column, range(len(chosen)), run.device)
    return Batch(sides["inputs"], sides["outputs"]), list(numbers), shortened
