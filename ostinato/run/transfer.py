"""Parts of an earlier run as the start of a new one: settings, vocabularies and weights, copied so that the new run
needs nothing of the old one later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ostinato import alignments
from ostinato.data.lines import file_digest
from ostinato.errors import ConfigError, DataError, nearest
from ostinato.modalities.contract import Modality, Symbols, Values, Worded
from ostinato.model.columns import column_parts
from ostinato.model.graph import Graph, below, path_of
from ostinato.preprocessing import fit as preprocessing_fit
from ostinato.preprocessing.counted import readings
from ostinato.preprocessing.sizes import Chosen
from ostinato.raw.vocabulary import AddedWords
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe import vectors as recipe_vectors
from ostinato.recipe.earlier import Earlier
from ostinato.recipe.migrate import tensor_names
from ostinato.recipe.read import Recipe, check, restore
from ostinato.recipe.schema import opened
from ostinato.registry import Settings, component
from ostinato.run import bundle as bundles
from ostinato.training.checkpoints import model_tensors

Facts = Mapping[str, Mapping[str, Any]]
ADDED = ".embedding.added"
"""How the path of the vectors of added words ends."""


@dataclass(frozen=True)
class Transfer:
    """What a run takes over of an earlier one.

    Args:
        folder: of the earlier run.
        digest: of its weights.
        settings: the earlier recipe.
        bundle: the earlier run's.
        parts: what is taken over, from its path in the new run to its path in the earlier one.
        recipe: the new recipe, with the settings of these parts that it leaves open.
        facts: the vocabularies and scales that are taken over, by the new run's places.
        notes: what was taken over and what was not.
    """

    folder: Path
    digest: str
    settings: Settings
    bundle: bundles.Bundle
    parts: dict[str, str]
    recipe: Recipe
    facts: Facts
    notes: list[str]

    def begins(self, path: str) -> bool:
        """Whether all below a path comes from the earlier run."""
        return any(path == part or path.startswith(f"{part}.") for part in self.parts)

    def record(self) -> dict[str, Any]:
        """What a run folder keeps of it."""
        return {"run": str(self.folder), "parts": self.parts, "weights": self.digest}

    @torch.no_grad()
    def start(self, graph: Graph, modalities: Mapping[str, Modality], say: Callable[[str], None]) -> bool:
        """Copies the weights; of symbols that are new, the mean of the others, or the vector of a word that was added
        to the earlier vocabulary. Whether all weights were copied.

        Args:
            graph: of the new run.
            modalities: likewise.
            say: hears how many symbols are new.

        Errors:
            ConfigError: a part is unknown, or of another shape.
        """
        renamed = tensor_names(self.settings)
        saved = {path_of(renamed(name)): tensor for name, tensor in bundles.load_weights(self.folder).items()}
        saved |= self._heads_today(graph, saved)
        own = {path_of(name): tensor for name, tensor in model_tensors(graph).items()}
        before = recipe_columns.build(self.settings)
        preprocessing_fit.restore(before, self.bundle.modalities)
        copied = set()
        for column, source in {_column(part): _column(source) for part, source in self.parts.items()}.items():
            old, new = before[source].spec, modalities[column].spec
            if isinstance(old, Symbols) and isinstance(new, Symbols) and new.size > old.size:
                say(f"note: {column}: {new.size - old.size:,} symbols beside the {old.size:,} of {self.folder} are new")
        for part, source in self.parts.items():
            grown = _growth(before[_column(source)], modalities[_column(part)])
            paths = {path: source + path.removeprefix(part) for path in below(part, own, "from.parts")}
            lacking = sorted({*paths.values()} ^ {*below(source, saved, f"from.parts: {self.folder}")})
            if lacking:
                raise ConfigError(
                    f"from.parts: {part}: {self.folder} and this recipe differ in {', '.join(lacking[:3])}; leave out"
                    " the settings that differ, or name the parts that agree"
                )
            for path, theirs in paths.items():
                values = _extended(saved[theirs], own[path].shape, grown)
                if values is None:
                    raise ConfigError(
                        f"from.parts: {path} has the shape {tuple(own[path].shape)} here and"
                        f" {tuple(saved[theirs].shape)} in {self.folder}; leave out the settings that differ, or name"
                        " the parts that agree"
                    )
                own[path].copy_(values)
            copied |= paths.keys()
            places = _were_added(before[_column(source)], modalities[_column(part)])
            if places and any(path.endswith(ADDED) for path in paths):
                graph.embedding(part.split(".")[1]).start_as_added(places)
        for path in own:
            column = _column(path)
            if path.endswith(ADDED) and path not in copied and column in self.facts:
                raise ConfigError(
                    f"from.parts: {column} has words that were added to the vocabulary of {self.folder}, and their"
                    f" vectors are in its embedding; name {path.removesuffix('.added')} too"
                )
        return copied >= {path_of(name) for name, _ in graph.named_parameters()}

    def _heads_today(self, graph: Graph, saved: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights of the heads that are taken over, as heads of this version have them."""
        today: dict[str, Tensor] = {}
        for part, source in self.parts.items():
            way, name, slot = part.split(".")[:3]
            head = f"{'.'.join(source.split('.')[:3])}."
            if way == "outputs" and slot == "head":
                theirs = {path.removeprefix(head): saved[path] for path in saved if path.startswith(head)}
                today |= {f"{head}{path}": tensor for path, tensor in graph.heads[name].of_earlier(theirs).items()}
        return today


def transfer_of(
    recipe: Recipe, roots: Sequence[Path], began: bundles.Bundle | None = None, *, start: bool = True
) -> Transfer | None:
    """What a recipe takes over of an earlier run; None where it names none.

    Args:
        recipe: as the user gave it.
        roots: folders where the earlier run is looked for after the recipe's own and the current one.
        began: of a run that is resumed.
        start: whether weights are still to be copied; a run with a checkpoint has all that it took over, and the
            earlier run may be gone.

    Errors:
        ConfigError: there is no such run, a part is unknown, or types differ.
        DataError: the earlier run is not what the resumed one began with.
    """
    asked = getattr(recipe.settings, "from")
    if asked is None:
        return None
    record = {} if began is None else began.data.get("from", {})
    if began is not None and record and not start:
        settled = with_settings(
            recipe, restore(began.recipe, "resumed").plain(), {part: part for part in record["parts"]}
        )
        folder, digest = Path(record["run"]), record["weights"]
        return Transfer(folder, digest, settled.settings, began, record["parts"], settled, {}, [])
    folder, bundle = _whole(_found(asked.run, recipe.base, roots))
    weights = folder / bundles.WEIGHTS
    digest = file_digest(weights) if weights.is_file() else ""
    if digest != record.get("weights", digest):
        raise DataError(f"from.run: the weights of {folder} have changed since; start anew with --overwrite")
    earlier = restore(bundle.recipe, str(folder)).settings
    parts, notes = _parts(recipe, earlier, folder)
    settled = with_settings(recipe, earlier.plain(), parts).with_chosen(_counted(recipe, earlier))
    notes.append(f"from {folder}: {', '.join(parts)}")
    facts = _facts(settled, bundle, parts, folder)
    transfer = Transfer(folder, digest, earlier, bundle, parts, settled, facts, notes)
    _refuse_vectors(transfer)
    return transfer


def _refuse_vectors(transfer: Transfer) -> None:
    """Refuses a file of vectors for an embedding that is taken over.

    Errors:
        ConfigError: the recipe names another one than the earlier run began with; or what is read has no words.
    """
    before = recipe_vectors.asked(transfer.settings)
    for name, vectors in recipe_vectors.asked(transfer.recipe.settings).items():
        encoder = f"inputs.{name}.encoder"
        sources = [source.split(".")[1] for part, source in transfer.parts.items() if part.startswith(encoder)]
        if not transfer.begins(f"{encoder}.embedding") or any(
            source in before and before[source].file == vectors.file for source in sources
        ):
            continue
        raise ConfigError(
            f"{encoder}.embedding.file: this embedding is taken over from {transfer.folder}; leave the file out, or"
            f" name a part without it in from.parts, such as {encoder}.stack"
        )
    settings = transfer.recipe.settings
    for place, why in recipe_vectors.check(settings, recipe_columns.build(settings)):
        raise ConfigError(f"{place}: {why}")


def earlier_columns(run: Path, began: Path | None = None) -> Earlier:
    """The columns of an earlier run.

    Args:
        run: its folder.
        began: that of a run which is resumed; where it is there it has the same columns, and the earlier one may be
            gone.

    Errors:
        ConfigError: there is no such run.
    """
    there = began if began is not None and bundles.exists(began) else _found(str(run), Path(), ())
    folder, bundle = _whole(there)
    settings = restore(bundle.recipe, str(folder)).settings
    counted = {place.partition(".")[2] for place in recipe_columns.second_readings(settings)}
    plain = settings.plain()
    return Earlier(str(run), plain["inputs"], plain["outputs"], counted, alignments.forecasts(settings))


def _whole(folder: Path) -> tuple[Path, bundles.Bundle]:
    """A run with weights: itself, or the first of its members."""
    bundle = bundles.load(folder)
    while bundle.members:
        folder = folder / bundles.MEMBERS / next(iter(bundle.members))
        bundle = bundles.load(folder)
    return folder, bundle


def _counted(recipe: Recipe, earlier: Settings) -> Chosen:
    """What a recipe reads by counting too, as one that starts from nothing, where the earlier run does so."""
    chosen = readings(recipe)
    names = [path.partition(".")[2] for path in chosen if path.startswith("inputs.")]
    return chosen if all(name.partition(".")[0] in earlier.inputs for name in names) else {}


def with_settings(recipe: Recipe, earlier: Mapping[str, Any], parts: Mapping[str, str]) -> Recipe:
    """The recipe with the earlier settings of these parts, and of their columns, where it leaves them open."""
    given: dict[str, Any] = dict(recipe.given)
    for part, source in parts.items():
        way, name, slot = part.split(".")[:3]
        their_way, their_name, their_slot = source.split(".")[:3]
        before = earlier[their_way][their_name]
        column = opened(given[way][name])
        own = {slot: before[their_slot]}
        settings = getattr(recipe.settings, way)[name]
        # What an output continues brings its vocabulary itself.
        if way == "inputs" or settings.of is None:
            words = recipe_columns.taken_over(settings.type)
            own |= {word: before[word] for word in words if not _refers(before[word])}
        given[way] = {**given[way], name: {**column, **{word: _under(column.get(word), own[word]) for word in own}}}
    return replace(recipe, given=given, settings=check(given, recipe.origin, to_train=True))


def _refers(value: Any) -> bool:
    return isinstance(value, Mapping) and "same_as" in value


def _under(given: Any, before: Any) -> Any:
    """What is given, and what it leaves open as it was before; where it is of another type, or another's, that
    alone."""
    if given is None:
        return before
    if _refers(given):
        return given
    given_open = opened(given) if isinstance(before, Mapping) else given
    if (
        not isinstance(before, Mapping)
        or not isinstance(given_open, Mapping)
        or given_open.get("type", before.get("type")) != before.get("type")
    ):
        return given
    return {**before, **{word: _under(value, before.get(word)) for word, value in given_open.items()}}


def _parts(recipe: Recipe, earlier: Settings, folder: Path) -> tuple[dict[str, str], list[str]]:
    """The parts to take over, and notes on those that are not."""
    asked = getattr(recipe.settings, "from").parts
    own, theirs = column_parts(recipe.settings), column_parts(earlier)
    if asked is None:
        differing = {
            part: _difference(recipe, earlier, part, part) if part in theirs else f"is not in {folder}" for part in own
        }
        parts = {part: part for part in own if not differing.get(part)}
        if not parts:
            whys = "; ".join(f"{part} {why}" for part, why in differing.items())
            raise ConfigError(
                f"from: nothing of {folder} fits this recipe: {whys}; name its parts in from.parts, or give"
                " columns the names and types that they have there"
            )
        return parts, [f"{part} starts anew: it {why}" for part, why in differing.items() if why]
    parts = asked if isinstance(asked, Mapping) else {part: part for part in asked}
    for part, source in parts.items():
        for path, known, whose in ((part, own, "here"), (source, theirs, f"in {folder}")):
            if ".".join(path.split(".")[:3]) not in known:
                raise ConfigError(f"from.parts: there is no part '{path}' {whose}{nearest(path, known)}")
        why = _difference(recipe, earlier, part, source)
        if why:
            raise ConfigError(f"from.parts: {part} {why}; the types must agree, name another part")
    return dict(parts), []


def _difference(recipe: Recipe, earlier: Settings, part: str, source: str) -> str:
    """Why a part cannot be taken over; empty where it can."""
    kinds = []
    for settings, path in ((recipe.settings, part), (earlier, source)):
        way, name, slot = path.split(".")[:3]
        column = getattr(settings, way)[name]
        kinds.append([column.type, getattr(column, slot).type])
        if way == "inputs" and component("encoders", column.encoder.type).counts:
            return "counts and is solved for on the training rows"
    here, there = kinds
    if here[0] == there[0] and _is_open_encoder(recipe, part) and source.startswith("inputs."):
        return ""
    return "" if here == there else f"is {' and '.join(here)} here, {' and '.join(there)} there"


def _is_open_encoder(recipe: Recipe, part: str) -> bool:
    """Whether the recipe leaves the type of an encoder open, which is then the earlier one."""
    way, name, slot = part.split(".")[:3]
    given = opened(recipe.given[way][name]).get(slot) if way == "inputs" else {"type": None}
    return given is None or (isinstance(given, Mapping) and not {"type", "same_as"} & set(given))


def _column(path: str) -> str:
    return ".".join(path.split(".")[:2])


def _facts(recipe: Recipe, bundle: bundles.Bundle, parts: Mapping[str, str], folder: Path) -> Facts:
    """The facts that are taken over, of each column and of all that share its vocabulary."""
    owners = recipe_columns.vocabulary_owners(recipe.settings)
    facts: dict[str, Mapping[str, Any]] = {}
    for part, source in parts.items():
        taken = bundle.modalities[_column(source)]
        if facts.setdefault(owners[_column(part)], taken) != taken:
            raise ConfigError(
                f"from.parts: {part} shares its vocabulary with another part, and in {folder} they have two; take over"
                " one of them"
            )
    return {place: facts[owner] for place, owner in owners.items() if owner in facts}


def _found(run: str, base: Path, roots: Sequence[Path]) -> Path:
    folders = [base / run, Path(run), *(root / run for root in roots)]
    for folder in folders:
        if bundles.exists(folder):
            return folder.resolve()
    beside = [path.parent.name for path in (base / run).parent.glob(f"*/{bundles.DESCRIPTION}")]
    raise ConfigError(
        f"from.run: {run} is no run folder{nearest(Path(run).name, beside)}; give the folder that `ostinato train`"
        " prints at its end"
    )


def _were_added(before: Modality, now: Modality) -> dict[int, int]:
    """The symbols of training, by number, that were words added to the earlier vocabulary, each with its place among
    these."""
    if not (isinstance(before, Worded) and isinstance(before.spec, Symbols) and before.spec.added):
        return {}
    words, known = before.words(), before.spec.size - before.spec.added
    added = AddedWords([word or "" for word in words[known:]])
    fresh = now.words()[known : now.spec.size - now.spec.added]
    places = {known + at: added.find(word or "") for at, word in enumerate(fresh)}
    return {number: place for number, place in places.items() if place is not None}


def _growth(before: Modality, now: Modality) -> set[int]:
    """How many symbols, characters or labels are new."""
    old, new = before.spec, now.spec
    growth = {new.size - old.size} if not isinstance(new, Values) else set()
    if isinstance(new, Symbols) and isinstance(old, Symbols):
        growth.add(new.characters - old.characters)
    return {number for number in growth if number > 0}


def _extended(tensor: Tensor, shape: torch.Size, grown: set[int]) -> Tensor | None:
    """The tensor with as many new entries as its column has new symbols, each the mean of the others; None where the
    shapes differ otherwise."""
    if tensor.ndim != len(shape):
        return None
    for axis, size in enumerate(shape):
        more = size - tensor.shape[axis]
        if more and more not in grown:
            return None
        if more:
            mean = tensor.mean(axis, keepdim=True)
            tensor = torch.cat([tensor, mean.repeat_interleave(more, axis)], axis)
    return tensor
