"""Answers while the input arrives, or is read: a causal encoder reads part after part, and its state is carried."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ostinato.errors import ConfigError, DataError
from ostinato.modalities.contract import Modality
from ostinato.registry import Settings, build
from ostinato.run.predict import Answer, shown
from ostinato.run.run import Row, Run
from ostinato.steps import Layout, Steps

TAIL = 256
"""Symbols before new ones that decide how these are spelled."""


def arriving(run: Run) -> bool:
    """Whether a run has one input, whose raw values may arrive in parts, or as bytes of standard input."""
    return len(run.inputs) == 1 and _reader(run).streams


def arrived(run: Run, read: Callable[[], bytes]) -> Row:
    """The row of such an input once it has ended."""
    return {_place(run): _reader(run).arrived(b"".join(iter(read, b"")))}


def _place(run: Run) -> str:
    return f"inputs.{next(iter(run.inputs))}"


def _reader(run: Run) -> Modality:
    return run.modalities[_place(run)]


def obstacle(run: Run) -> str | None:
    """Why a run cannot answer before its input has ended; None where it can."""
    name, output = next(iter(run.inputs)), next(iter(run.outputs))
    if len(run.outputs) != 1 or len(run.members) != 1 or run.graph.joins:
        return "it has several outputs or members, or a join"
    if not run.graph.heads[output].generates or not run.graph.heads[output].labels_source:
        return f"the head of outputs.{output} labels no steps of its input; head: ctc does"
    if not run.graph.encoder(name).causal:
        return f"the encoder of inputs.{name} reads later steps before; bidirectional: false makes it causal"
    return _reader(run).needs_whole()


def reads_along(runs: Sequence[Run], row: Row, search: Settings, place: str, *, whole: bool = False) -> bool:
    """Whether a row is answered while it is read (`followed`): it is long, the runs can, and nobody asked for more.

    Args:
        runs: that answer together.
        row: raw values by place or column.
        search: the run's own, or another one that was asked for.
        place: of the row, for messages.
        whole: whether more is wanted than an answer: what was attended to, or the judgement of a language model.

    Errors:
        DataError: it is too long, and the runs answer after the whole input alone: why.
    """
    run, reader = runs[0], _reader(runs[0])
    raw = run.raw(row, _place(run)) if arriving(run) else None
    if raw is None or not _is_long(reader, raw):
        return False
    along = build(search, "searches").along_source
    why = "several runs answer together" if len(runs) > 1 else obstacle(run)
    if why is None and (whole or not (along or search == run.recipe.settings.search)):
        why = "another search, attention and a language model need the whole recording; leave them out"
    if why is not None and (excess := reader.excess(raw)) is not None:
        raise DataError(f"{place}, {_place(run)}: {excess}; it is not answered while it is read: {why}")
    return why is None


def long_text(run: Run, text: str) -> bool:
    """Whether a text names what is answered while it is read.

    Errors:
        DataError: it is too long, and the run answers after the whole input alone: why.
    """
    if not arriving(run):
        return False
    try:
        raw = _reader(run).parse(text)
    except DataError:  # named where all rows are read
        return False
    return reads_along([run], {_place(run): raw}, run.recipe.settings.search, text)


def _is_long(reader: Modality, raw: Any) -> bool:
    try:
        return reader.is_long(raw)
    except DataError:  # named where it is encoded
        return False


def note_on(search: Settings, place: str, *, arrives: bool = False) -> str | None:
    """What is said of a row that `reads_along`, or of what `arrives`; None: the answer is that of the search."""
    if build(search, "searches").along_source:
        return None
    read = "answered while it arrives" if arrives else "long, so it is answered while it is read"
    return f"note: {place} is {read}: by search: {{type: greedy, path: true}} in place of the run's own"


def parts_of(run: Run, row: Row) -> Iterator[np.ndarray]:
    """The encoded steps of a row, part after part."""
    return _reader(run).parts(run.raw(row, _place(run)))


def parts_arriving(run: Run, read: Callable[[], bytes]) -> Iterator[np.ndarray]:
    """The encoded steps of what `read` gives until that is nothing, part after part."""
    return _reader(run).arriving(read)


def followed(
    run: Run,
    parts: Callable[[], Iterator[np.ndarray]],
    hear: Callable[[str], None] | None = None,
    *,
    times: bool = False,
) -> Answer:
    """The answer to an input that comes in parts: that of `search: {type: greedy, path: true}` to the whole, whose
    log-probability, over all paths, is not known (NaN).

    Args:
        run: a causal one.
        parts: gives the encoded steps.
        hear: gets its text as soon as it is final.
        times: whether it carries `symbol_times`.

    Errors:
        ConfigError: the run answers after its whole input alone: why.
    """
    if (why := obstacle(run)) is not None:
        raise ConfigError(f"{run.folder}: answers after the whole input alone: {why}")
    output, encoder = next(iter(run.outputs)), run.graph.encoder(next(iter(run.inputs)))
    modality, head = run.modalities[f"outputs.{output}"], run.graph.heads[output]
    symbols: list[int] = []
    spans: list[tuple[int, int]] = []
    state, last, done, score = None, None, 0, 0.0
    with torch.inference_mode():
        for part in _whole(parts(), encoder.reduction):
            steps = Steps(torch.from_numpy(part).to(run.device), Layout([len(part)], run.device))
            encoded = encoder.encode(steps, state)
            (path,) = head.paths(head.start([encoded]), last)
            state, last, score = encoded.state, path.last, score + path.score
            if hear is not None and path.symbols:
                # A few symbols before decide how the new ones are spelled: all of them would be decoded ever again.
                before = symbols[-TAIL:]
                text = shown(modality, modality.decode([*before, *path.symbols]))
                hear(text.removeprefix(shown(modality, modality.decode(before))))
            symbols += path.symbols
            if times:
                if path.continued:
                    spans[-1] = (spans[-1][0], done + path.continued)
                spans += [(done + begin, done + end) for begin, end in path.spans]
                done += encoded.steps.layout.total
    value = modality.decode(symbols)
    timed = None
    if times:
        unit = encoder.reduction * (_reader(run).step_seconds or 1)
        timed = [(word, begin * unit, end * unit) for word, (begin, end) in zip(modality.labels(symbols), spans)]
    return Answer(value, modality.write(value), score, math.nan, symbol_times=timed)


def _whole(parts: Iterable[np.ndarray], unit: int) -> Iterator[np.ndarray]:
    """The same steps in parts of a multiple of `unit`, but for the last one."""
    rest: np.ndarray | None = None
    for part in parts:
        rest = part if rest is None else np.concatenate([rest, part])
        if count := len(rest) // unit * unit:
            yield rest[:count]
            rest = rest[count:]
    if rest is not None and len(rest):
        yield rest
