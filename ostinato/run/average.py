"""One run from the mean of weights: of the checkpoints of a run, or of several runs that agree in all but them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ostinato.errors import ConfigError
from ostinato.model.columns import column_parts
from ostinato.recipe.migrate import tensor_names
from ostinato.run import bundle as bundles
from ostinato.run.run import Run
from ostinato.run.train import claim, clear, publish
from ostinato.training.averages import mean
from ostinato.training.checkpoints import Checkpoints, flat, model_tensors, restore_model


def average(runs: Sequence[Run], folder: Path, *, last: int | None = None, overwrite: bool = False) -> Run:
    """A run whose weights are the mean of others, not measured yet.

        w = 1/n sum_i w[i]

    Args:
        runs: one, whose checkpoints are averaged; or several with the same settings and vocabularies.
        folder: of the new run.
        last: of one run: so many of its newest checkpoints; None: all.
        overwrite: whether to delete the run that the folder holds.

    Errors:
        ConfigError: there is only one set of weights, runs that differ in more than their weights, or the folder holds
            a run already.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 6.1, for checkpoints; Wortsman et al. 2022, arXiv:2203.05482,
        for runs (uniform soup).
    """
    lead = runs[0]
    if len(runs) == 1:
        kept = Checkpoints(lead.folder / bundles.CHECKPOINTS, tensor_names(lead.recipe.settings)).models()
        parts = dict(list(kept.items())[-(last or 0) :])
        advice = "a run keeps so many as training.keep_checkpoints says; or name several runs"
        if len(parts) < (last or 2):
            raise ConfigError(f"{lead.folder}: {len(kept)} checkpoints are there, {last or 2} are needed; {advice}")
    else:
        if last is not None:
            raise ConfigError("--last counts the checkpoints of one run, and several are named; leave it out")
        parts = {str(run.folder): _weights(lead, run) for run in runs}
    claim(folder, None, overwrite)
    if overwrite:
        clear(folder)
    restore_model(lead.graph, mean(parts.values()), folder, whole=False)
    bundle = replace(lead.bundle, metrics={}, data={**lead.bundle.data, "averaged": list(parts)})
    run = Run(lead.recipe, bundle, lead.modalities, lead.graph, folder)
    publish(folder, run)
    bundles.save_weights(folder, model_tensors(run.graph))
    return run


def _differing(lead: Run, run: Run) -> list[str]:
    """What of their parts is not the same, and no share such as dropout, which is of training alone."""
    parts = tuple(f"{part}." for part in column_parts(lead.recipe.settings))
    known = [flat(other.recipe.plain()) for other in (lead, run)]
    pairs = ((path, *(plain.get(path) for plain in known)) for path in dict.fromkeys([*known[0], *known[1]]))
    return [
        f"{path} {theirs} and {ours}"
        for path, ours, theirs in pairs
        if path.startswith(parts) and ours != theirs and not (isinstance(ours, float) and isinstance(theirs, float))
    ]


def _weights(lead: Run, run: Run) -> dict[str, Tensor]:
    """The weights of a run that may be averaged with those of another.

    Errors:
        ConfigError: they mean something else.
    """
    differing = _differing(lead, run)
    if differing:
        raise ConfigError(
            f"{run.folder} and {lead.folder} compute different things, {differing[0]}; average runs of one recipe, or"
            f" let them answer together: ostinato predict {lead.folder} {run.folder}"
        )
    own, others = model_tensors(lead.graph), model_tensors(run.graph)
    alike = {name: tensor.shape for name, tensor in own.items()} == {name: own.shape for name, own in others.items()}
    if len(run.members) > 1 or len(lead.members) > 1 or not alike or run.bundle.modalities != lead.bundle.modalities:
        raise ConfigError(
            f"{run.folder} and {lead.folder} differ in more than their weights (sizes, or vocabularies and labels);"
            " average runs of one recipe on the same data, started from one run (--from RUN); or let them answer"
            f" together: ostinato predict {lead.folder} {run.folder}"
        )
    return others
