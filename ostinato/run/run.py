"""A trained model with everything that it needs, loaded from its folder."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.data.cache import encode_values, unknown_symbols
from ostinato.errors import BundleError, ConfigError, DataError
from ostinato.modalities.contract import Modality
from ostinato.model.ensemble import Member
from ostinato.model.graph import Graph
from ostinato.preprocessing import fit as preprocessing_fit
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe.migrate import in_one_line, tensor_names
from ostinato.recipe.read import Recipe, restore
from ostinato.registry import Settings
from ostinato.run import bundle as bundles
from ostinato.training.checkpoints import Checkpoints, restore_model

Row = Mapping[str, Any]
"""Raw values by place, as each modality reads them, or by column, as Python gives them."""
Place = Callable[[int], str]
"""Where a row is, by its number among those given: for messages."""


def row_number(row: int) -> str:
    return f"row {row}"


def described(*sides: Mapping[str, Settings]) -> str:
    """Inputs and outputs by name and type, such as `de (text) -> en (text)`."""
    return " -> ".join(", ".join(f"{name} ({column.type})" for name, column in side.items()) for side in sides)


class Run:
    """A trained model with everything that it needs: recipe, fitted modalities, weights.

    Args:
        recipe: the full recipe.
        bundle: what is kept beside the weights.
        graph: the network, in evaluation mode.
        folder: of the run, or None while it is only in memory.
        members: the runs that answer together in its place, one that weighs more several times; itself by default. The
            first one's recipe, modalities and network are its own.
    """

    def __init__(
        self,
        recipe: Recipe,
        bundle: bundles.Bundle,
        modalities: dict,
        graph: Graph,
        folder: Path | None = None,
        members: Sequence[Run] = (),
    ):
        self.recipe, self.bundle, self.modalities, self.graph, self.folder = recipe, bundle, modalities, graph, folder
        self.members = list(members) or [self]
        self._read_before = recipe_columns.second_readings(recipe.settings)
        self._numbered = recipe_columns.numbered(recipe.settings)

    @staticmethod
    def load(folder: str | Path, device: str = "cpu") -> Run:
        """Loads a run folder; of a run whose training has not ended the weights that its newest checkpoint would keep.

        Errors:
            BundleError: it is missing, damaged or newer than this Ostinato.
        """
        folder = Path(folder)
        bundle = bundles.load(folder)
        if bundle.members:
            members = [
                member
                for name, count in bundle.members.items()
                for member in [Run.load(folder / bundles.MEMBERS / name, device)] * count
            ]
            lead = members[0]
            return Run(lead.recipe, bundle, lead.modalities, lead.graph, folder, members)
        try:
            recipe = restore(bundle.recipe, str(folder))
        except ConfigError as why:
            raise BundleError(
                f"{folder}: damaged, or trained with components that are not here: {why}; restore"
                f" {bundles.DESCRIPTION}, or install what brings them"
            ) from None
        if bundle.renamed:
            recipe.notes.append(f"{folder} was made by an earlier version; today {in_one_line(bundle.renamed)}")
        modalities = recipe_columns.build(recipe.settings)
        lacking = [
            *(modalities.keys() - bundle.modalities.keys()),
            *(recipe.settings.outputs.keys() - bundle.lengths.keys()),
        ]
        if lacking:
            names = ", ".join(sorted(lacking))
            raise BundleError(
                f"{folder}: damaged, nothing is known of {names}; restore {bundles.DESCRIPTION} or train again"
            )
        preprocessing_fit.restore(modalities, bundle.modalities)
        graph = Graph(recipe.settings.inputs, recipe.settings.outputs, modalities)
        restore_model(graph, _weights(folder, recipe), folder)
        for output, temperature in bundle.temperatures.items():
            graph.heads[output].temperature = temperature
        return Run(recipe, bundle, modalities, graph.to(device).eval(), folder)

    def __repr__(self) -> str:
        return f"<Run {self.described()}>"

    def _repr_html_(self) -> str:
        """For notebooks: what it is, and its learning curve where there is one."""
        curve = Path(self.folder or "") / "learning_curve.png"
        data = base64.b64encode(curve.read_bytes()).decode() if self.folder and curve.is_file() else None
        picture = f'<br><img src="data:image/png;base64,{data}" alt="learning curve">' if data else ""
        return f"<code>{escape(repr(self))}</code>{picture}"

    def described(self) -> str:
        """Inputs, outputs, size and folder in a line."""
        numbers = sum(parameter.numel() for parameter in self.graph.parameters())
        state = "in memory"
        if self.folder is not None:
            how = "trained" if bundles.has_weights(self.folder) else "training has not ended"
            state = f"{how}, {numbers:,} parameters, in {self.folder}"
        return f"{described(self.inputs, self.outputs)}; {state}"

    def member(self) -> Member:
        """What has to agree between the runs of an ensemble."""
        return Member(
            str(self.folder or "this model"), self.modalities, dict(recipe_columns.places(self.recipe.settings))
        )

    @property
    def inputs(self) -> dict[str, Settings]:
        return self.recipe.settings.inputs

    @property
    def outputs(self) -> dict[str, Settings]:
        return self.recipe.settings.outputs

    @property
    def device(self) -> torch.device:
        return next(self.graph.parameters()).device

    def raw(self, row: Row, place: str) -> Any:
        """The raw value of a row at this place.

        Errors:
            DataError: the row has no such column.
        """
        if place in row:
            return row[place]
        direction, _, name = place.partition(".")
        column = recipe_columns.column_of(place, getattr(self, direction)[name])
        if column not in row:
            for other, settings in recipe_columns.places(self.recipe.settings):
                if other in row and other.startswith(direction) and recipe_columns.column_of(other, settings) == column:
                    return row[other]
            raise DataError(f"a row has no '{column}' for {place}; it has: {', '.join(map(str, row)) or 'nothing'}")
        return row[column]

    def _split(self, row: Row, place: str) -> Any:
        """The raw value of a row at this place; a text that nobody has split, read again, has the words of its first
        reading."""
        raw, first = self.raw(row, place), self._read_before.get(place)
        words = self.modalities[first].words_of(raw) if first is not None and isinstance(raw, str) else None
        return raw if words is None else words.words

    def modality(self, row: Row, place: str) -> Modality:
        """What reads and spells the symbols of a row at this place: where an output copies, also those of the row's
        source that the vocabulary lacks."""
        source = self._numbered.get(place)
        if source is None:
            return self.modalities[place]
        (unknown,) = unknown_symbols(self.modalities[source], [self._split(row, source)])
        return self.modalities[place].knowing(unknown)

    def copies(self, output: str) -> bool:
        """Whether an output generates symbols of a row's source that the vocabulary lacks."""
        return f"outputs.{output}" in self._numbered

    def lacks(self, row: Row) -> str | None:
        """The first input that is missing in a row, unless its encoder reads a sequence, which may be empty."""
        places = (f"inputs.{name}" for name in self.inputs if not self.graph.encoder(name).reads_sequences)
        return next((place for place in places if self.raw(row, place) is None), None)

    def encoded(self, rows: Sequence[Row], place: str, where: Place) -> list[np.ndarray]:
        """The steps of one column of these rows, each row's own.

        Errors:
            DataError: a value cannot be encoded, or is missing where only a sequence could be empty.
        """
        raws, source, unknown = (self._split(row, place) for row in rows), self._numbered.get(place), None
        if source is not None:
            unknown = unknown_symbols(self.modalities[source], (self._split(row, source) for row in rows))
        values, lengths = encode_values(self.modalities[place], raws, lambda row: f"{where(row)}, {place}", unknown)
        direction, _, name = place.partition(".")
        if direction == "inputs" and not self.graph.encoder(name).reads_sequences and not lengths.all():
            others = int((lengths == 0).sum()) - 1
            so = f", in {others:,} more row{'s' * (others > 1)} too" if others else ""
            raise DataError(
                f"{where(int(lengths.argmin()))}, {place}: is missing{so}, and only a sequence can be empty;"
                " fill it in, or leave the row out"
            )
        return np.split(values, np.cumsum(lengths)[:-1]) if len(lengths) else []


def _weights(folder: Path, recipe: Recipe) -> dict[str, Tensor]:
    """The weights of a run, or those that it would keep if its training ended at its newest checkpoint, with a note."""
    renamed = tensor_names(recipe.settings)
    checkpoints = Checkpoints(folder / bundles.CHECKPOINTS, renamed)
    saved = None if bundles.has_weights(folder) else checkpoints.so_far(recipe.settings.training.keep_best)
    if saved is None:
        return {renamed(name): tensor for name, tensor in bundles.load_weights(folder).items()}
    place = saved.state["place"]
    is_best = recipe.settings.training.keep_best and place["best_epoch"] is not None
    kept = f"epoch {place['best_epoch']}, the best so far" if is_best else f"update {place['updates']:,}"
    recipe.notes.append(f"training of {folder} has not ended; its weights are those of {kept}")
    return saved.tensors["model"]
