"""A run made of a model that another tool trained."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch

from ostinato.errors import BundleError, ConfigError, DataError
from ostinato.importers.contract import Imported, Importer
from ostinato.model.graph import Graph
from ostinato.preprocessing import fit as preprocessing_fit
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe.read import from_plain
from ostinato.registry import component, names
from ostinato.run import bundle as bundles
from ostinato.run.run import Run
from ostinato.run.train import claim, clear, publish
from ostinato.training.checkpoints import model_tensors, restore_model

SHOWN = 12
"""Names of a folder's files in a message."""


def import_model(
    source: Path, folder: Path, *, format: str | None = None, overwrite: bool = False, say: Callable[[str], None]
) -> Run:
    """Writes the run folder of a model of another tool; its outputs are equal to 1e-5.

    Args:
        source: the folder of the model.
        folder: of the new run.
        format: the importer to read it with; None: the one that recognises it.
        overwrite: whether to delete the run that the folder holds.
        say: told what a person has to know of the model.

    Errors:
        ConfigError: no importer recognises it, or what it holds is not supported.
        DataError: a file of it is missing, damaged, or would run code.
    """
    name = _format(source) if format is None else format
    importer: Importer = component("importers", name)()
    model = importer.read(source)
    recipe = from_plain(dict(model.recipe), str(source))
    modalities = recipe_columns.build(recipe.settings)
    owners = recipe_columns.vocabulary_owners(recipe.settings)
    preprocessing_fit.restore(modalities, {place: model.facts[owner] for place, owner in owners.items()})
    with torch.random.fork_rng(devices=[]):
        graph = Graph(recipe.settings.inputs, recipe.settings.outputs, modalities)
    try:
        restore_model(graph, model.weights, source)
    except BundleError:
        raise DataError(_misfit(source, model, graph)) from None
    claim(folder, None, overwrite)
    if overwrite:
        clear(folder)
    notes = [f"imported from {importer.tool}: {', '.join(model.source)}", *model.notes]
    bundle = bundles.Bundle(
        recipe=recipe.plain(),
        modalities={place: modality.facts() for place, modality in modalities.items()},
        lengths=dict(model.lengths),
        data={"base": str(source.resolve()), "roots": [], "splits": {}, "notes": notes},
        versions=bundles.versions(),
    )
    run = Run(recipe, bundle, modalities, graph.eval(), folder)
    publish(folder, run)
    bundles.save_weights(folder, model_tensors(graph))
    for line in notes:
        say(line)
    return run


def _format(source: Path) -> str:
    """The importer that recognises a folder."""
    if not os.path.isdir(source):
        what = "is a file" if os.path.exists(source) else "does not exist"
        raise ConfigError(f"{source}: {what}; give the folder of a model that another tool trained")
    every = {name: component("importers", name)() for name in names("importers")}
    found = [name for name, importer in every.items() if importer.recognise(source)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"{source}: {' and '.join(found)} all recognise it; name one, as --format {found[0]}")
    inside = sorted(path.name + "/" * path.is_dir() for path in source.iterdir())
    more = f" and {len(inside) - SHOWN} more" if len(inside) > SHOWN else ""
    looked = "".join(f"\n  {name} ({importer.tool}): {importer.looks_for}" for name, importer in every.items())
    advice = "; `ostinato evaluate` and all others take this run as it is" if bundles.exists(source) else ""
    raise ConfigError(
        f"{source}: no model of a tool that is known here{advice}. It holds"
        f" {', '.join(inside[:SHOWN]) or 'nothing'}{more}. Looked for:{looked}\n"
        "Give the folder that has these files, or name a tool by --format"
    )


def _misfit(source: Path, model: Imported, graph: Graph) -> str:
    """What does not fit between the weights that were read and the network of their settings."""
    own = {name: tuple(tensor.shape) for name, tensor in model_tensors(graph).items()}
    given = {name: tuple(tensor.shape) for name, tensor in model.weights.items()}
    name = next(name for name in {**own, **given} if own.get(name) != given.get(name))
    return (
        f"{source}: {name} is a tensor of {given.get(name)}, and by the settings it is one of {own.get(name)}; give"
        " the files of one training"
    )
