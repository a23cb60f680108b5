"""Answers while the input arrives: a causal encoder reads part after part, and its state is carried."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch

from ostinato.errors import ConfigError
from ostinato.run.predict import shown
from ostinato.run.run import Row, Run
from ostinato.steps import Layout, Steps


def arriving(run: Run) -> bool:
    """Whether a run has one input, whose raw values may arrive as bytes of standard input."""
    return len(run.inputs) == 1 and _reader(run).streams


def arrived(run: Run, read: Callable[[], bytes]) -> Row:
    """The row of such an input once it has ended."""
    return {f"inputs.{next(iter(run.inputs))}": _reader(run).arrived(b"".join(iter(read, b"")))}


def _reader(run: Run) -> Any:
    return run.modalities[f"inputs.{next(iter(run.inputs))}"]


def obstacle(run: Run) -> str | None:
    """Why a run cannot answer before its input has ended; None where it can."""
    name, output = next(iter(run.inputs)), next(iter(run.outputs))
    if len(run.outputs) != 1 or len(run.members) != 1 or run.graph.joins:
        return "it has several outputs or members, or a join"
    if not run.graph.heads[output].generates or not run.graph.heads[output].labels_source:
        return f"the head of outputs.{output} labels no steps of its input; head: ctc does"
    if not run.graph.encoder(name).causal:
        return f"the encoder of inputs.{name} reads later steps before; bidirectional: false makes it causal"
    return None


def followed(run: Run, read: Callable[[], bytes], hear: Callable[[str], None]) -> str:
    """The answer to what `read` gives until that is nothing, its text passed on as soon as it is final; returns the
    whole, which is the answer of `search: {type: greedy, path: true}` to the whole input.

    Errors:
        ConfigError: the run answers after its whole input alone: why.
    """
    if (why := obstacle(run)) is not None:
        raise ConfigError(f"{run.folder}: answers after the whole input alone: {why}")
    output, encoder = next(iter(run.outputs)), run.graph.encoder(next(iter(run.inputs)))
    modality, head = run.modalities[f"outputs.{output}"], run.graph.heads[output]
    symbols: list[int] = []
    text, state, last = "", None, None
    with torch.inference_mode():
        for part in _whole(_reader(run).arriving(read), encoder.reduction):
            steps = Steps(torch.from_numpy(part).to(run.device), Layout([len(part)], run.device))
            encoded = encoder.encode(steps, state)
            ((more, _, last),) = head.paths(head.start([encoded]), last)
            state, symbols = encoded.state, symbols + more
            if more:
                before, text = text, shown(modality, modality.decode(symbols))
                hear(text.removeprefix(before))
    return text


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
