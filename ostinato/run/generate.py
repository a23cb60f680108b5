"""Answers from a code alone: drawn from the prior, or on the way between two inputs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import torch
from torch import Tensor

from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.run.predict import Answer, encodings, gathered
from ostinato.run.run import Row, Run
from ostinato.searches.contract import Search


def generated(run: Run, number: int, search: Search, *, seed: int = 0) -> list[Answer]:
    """Answers to codes that are drawn from the standard normal, a function of the seed.

    Errors:
        ConfigError: the run has no output of one that is generated from a code.
    """
    output = _output(run)
    size = run.graph.joins[output].summary_size
    codes = torch.randn(number, size, generator=torch.Generator().manual_seed(seed))
    return _answers(run, output, codes, search, seed)


def between(run: Run, rows: Sequence[Row], number: int, search: Search, *, seed: int = 0) -> list[Answer]:
    """Answers to codes on the straight line from that of one row to that of another, both ends among them; the seed is
    of a search that samples."""
    output = _output(run)
    with torch.inference_mode():
        columns = encodings([run], rows, lambda row: f"end {row + 1}", output)[run]
        inputs = {name: gathered(column, range(2), run.device) for name, column in columns.items()}
        first, last = run.graph.read(output, inputs)[0].summary
    shares = torch.linspace(0, 1, number, device=run.device).unsqueeze(1)
    return _answers(run, output, first * (1 - shares) + last * shares, search, seed)


def _output(run: Run) -> str:
    drawn = [name for name in run.outputs if name in run.graph.joins and run.graph.joins[name].draws_codes]
    if len(run.outputs) != 1 or not drawn or not run.graph.heads[drawn[0]].generates:
        folder = shlex.quote(str(run.folder))
        raise ConfigError(
            f"{run.folder}: generate needs a run of one output that is generated through `join: latent`; add that to"
            f' its recipe and train again, or draw answers with `ostinato predict {folder} "" --set search=sample'
            " --n-best 20`"
        )
    return drawn[0]


def _answers(run: Run, output: str, codes: Tensor, search: Search, seed: int) -> list[Answer]:
    modality, generator = run.modalities[f"outputs.{output}"], run.graph.generator(output)
    longest, seeds = torch.full((len(codes),), run.bundle.lengths[output]), torch.arange(len(codes)) + seed
    with torch.inference_mode():
        state = generator.start([Encoded(None, codes.to(run.device), None)])
        listed = search.search(generator, state, longest, seeds, attention=False)
    values = [modality.decode(best.symbols) for best, *_ in listed]
    return [
        Answer(value, modality.write(value), best.score, best.log_probability, best.finished)
        for value, (best, *_) in zip(values, listed)
    ]
