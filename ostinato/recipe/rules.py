"""Which recipes are legal: alignments, references and searches that fit together."""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Mapping
from typing import Any

from torch import nn

from ostinato.errors import ConfigError, nearest
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe import vectors as recipe_vectors
from ostinato.registry import SameAs, Settings, build, component

_TAKEN = frozenset(dir(nn.ModuleDict()))


def generates(settings: Settings) -> bool:
    heads = (output.head for output in settings.outputs.values())
    return any(component("heads", head.type).generates for head in heads if head is not None)


def impossible(recipe: Settings) -> typing.Iterator[tuple[str, str]]:
    """What is well spelt but cannot be: alignments, references and searches that do not fit together."""
    for name, one in recipe.inputs.items():
        yield from _dangling(f"inputs.{name}.encoder.same_as", one.encoder, recipe.inputs, "input")
    tokenizers = {**recipe.inputs, **recipe.outputs}
    for direction in ("inputs", "outputs"):
        for name, one in getattr(recipe, direction).items():
            if "tokenizer" in type(one).model_fields:
                yield from _dangling(
                    f"{direction}.{name}.tokenizer.same_as", one.tokenizer, tokenizers, "input or output"
                )
    have_labels = {labelled(one, recipe) for one in recipe.outputs.values()}
    for name, one in recipe.inputs.items():
        if recipe_columns.by_words(one) and name not in have_labels:
            told = "pools what words are read in, for their labels, and no output labels them; leave it out, or add one of align 'each'"
            yield f"inputs.{name}.subword_pooling", told
    both = set(recipe.inputs) & set(recipe.outputs)
    for name in sorted(both):
        yield f"outputs.{name}", f"'{name}' is an input too; give the output another name and say `column: {name}`"
    for name, one in recipe.outputs.items():
        cls, where = component("modalities", one.type), f"outputs.{name}"
        align = align_of(one)
        if align not in cls.aligns:
            allowed = ", ".join(sorted(cls.aligns)) or f"none, {one.type} can only be an input"
            yield f"{where}.align", f"'{align}' is not possible for {one.type}; allowed here: {allowed}"
            continue
        head = component("heads", one.head.type)
        if align not in head.aligns:
            yield (
                f"{where}.head",
                f"'{one.head.type}' does not serve align '{align}'; it serves: {', '.join(sorted(head.aligns))}",
            )
        if one.reads is not None and not one.reads:
            yield f"{where}.reads", f"an output must read an input; inputs: {', '.join(recipe.inputs)}"
        for read in one.reads or ():
            if read not in recipe.inputs:
                yield f"{where}.reads", f"there is no input '{read}'{nearest(read, recipe.inputs)}"
        if align == "each" and len(one.reads or recipe.inputs) > 1 and (one.join is None or one.join.type != "attend"):
            yield (
                f"{where}.join",
                "align 'each' labels the steps of one input; say which in `reads`, or `join: attend` to look at the others",
            )
        # A `next` output that says nothing has both from its input, whose own mistake they are then.
        source = None
        if align == "next":
            yield from _next_mistakes(where, one, recipe)
            source = recipe.inputs.get(one.of)
        if getattr(one, "characters", False) and not getattr(source, "characters", False):
            yield (
                f"{where}.characters",
                "an output says symbols, and their spelling with them; characters belong to an input, leave them out",
            )
        if recipe_columns.by_words(one) and not recipe_columns.by_words(source):
            yield f"{where}.subword_pooling", "belongs to an input whose words have labels; leave it out"
        if one.type != "series":
            for word in ("lookback", "stride"):
                if getattr(one, word) is not None:
                    yield f"{where}.{word}", f"`{word}` belongs to the forecast of a series; leave it out"
            if one.horizon != 1 and align == "next":
                yield f"{where}.horizon", "what is said symbol by symbol has no horizon; leave it out"
        if one.of is not None and align != "next":
            yield (
                f"{where}.of",
                f"`of` belongs to align 'next', this output's is '{align}'; say `align: next`, or leave it out",
            )
        if one.horizon != 1 and align != "next":
            yield f"{where}.horizon", f"`horizon` belongs to align 'next', this output's is '{align}'; leave it out"
        if len(set(one.reads or ())) < len(one.reads or ()):
            yield f"{where}.reads", f"names an input twice; inputs: {', '.join(recipe.inputs)}"
    if "search" in recipe.model_fields_set and not generates(recipe):
        yield (
            "search",
            f"'{recipe.search.type}' searches what a model generates, and no output here is generated; leave it out",
        )
    if recipe.training.monitor not in monitorable(recipe):
        yield (
            "training.monitor",
            f"'{recipe.training.monitor}' is not measured{nearest(recipe.training.monitor, monitorable(recipe))}",
        )
    yield from _forecast_mistakes(recipe)
    if recipe.training.tbptt is not None:
        yield from _stream_mistakes(recipe)
    if recipe.data.file is not None and recipe.data.train is not None:
        yield "data.file", "give `file` or `train`, not both"
    if recipe.data.fraction < 1 and forecasts(recipe):
        yield (
            "data.fraction",
            "keeps a share of the rows, and here they are windows of series; leave it out, or give fewer or shorter series",
        )
    for direction in ("inputs", "outputs"):
        for name in getattr(recipe, direction):
            if not can_be_name(name):
                yield f"{direction}.{name}", f"'{name}' cannot be a name here; choose another and say `column: {name}`"


def can_be_name(name: str) -> bool:
    """Whether an input or output can be called so: names become names of torch modules, which have no dots and keep their own words."""
    return bool(name) and "." not in name and name not in _TAKEN


def _next_mistakes(where: str, one: Settings, recipe: Settings) -> typing.Iterator[tuple[str, str]]:
    """What cannot be under `next`."""
    if one.of not in recipe.inputs:
        told = (
            f"there is no input '{one.of}'{nearest(one.of, recipe.inputs)}"
            if one.of
            else "say in `of` which input it goes on from"
        )
        yield f"{where}.of", f"{told}; inputs: {', '.join(recipe.inputs)}"
        return
    source = recipe.inputs[one.of]
    if source.type != one.type:
        yield f"{where}.type", f"'{one.of}' is {source.type} and what follows it is {one.type}; leave the type out"
    if one.reads is not None and one.of not in one.reads:
        yield f"{where}.reads", f"must name '{one.of}', the input that it goes on from"
    for word in ("bidirectional", "reversed_source"):
        if getattr(source.encoder, word, False):
            place = f"inputs.{one.of}.encoder.{word}"
            yield (
                place,
                f"true shows it the steps that {where} must predict; leave it out: under align 'next' it is read one way",
            )
    if getattr(source, "characters", False):
        told = f"{where} goes on from what it said itself, symbol by symbol, and no spelling stands beside that; leave characters out"
        yield f"inputs.{one.of}.characters", told
    if recipe_columns.by_words(source):
        yield (
            f"inputs.{one.of}.subword_pooling",
            f"{where} goes on from pieces, and this input is read by words; set none, or name another input",
        )
    if one.join is not None:
        yield (
            f"{where}.join",
            "an output of align 'next' has the summaries of other inputs beside each step; leave the join out",
        )


def _stream_mistakes(recipe: Settings) -> typing.Iterator[tuple[str, str]]:
    """What cannot be read in chunks that go on from a state."""
    said, of = "training.tbptt", streamed(recipe)
    for name, one in recipe.outputs.items():
        align, where = align_of(one), f"outputs.{name}"
        if align != "next" or one.type == "series":
            told = "windows of a series" if one.type == "series" and align == "next" else f"of align '{align}'"
            yield (
                said,
                f"cuts what goes on symbol by symbol (align 'next'), and {where} is {told}; leave tbptt out, or train it apart",
            )
        elif one.of != of:
            yield (
                said,
                f"all outputs must go on from one input, and {where} goes on from '{one.of}', another from '{of}'; train them apart",
            )
        elif one.of in recipe.inputs and (one.column or name) != (recipe.inputs[of].column or of):
            yield (
                said,
                f"{where} reads the column '{one.column or name}' and not that of '{of}'; leave its `column` out, or leave tbptt out",
            )


def streamed(recipe: Settings) -> str | None:
    """The input that outputs go on from symbol by symbol; the first of them."""
    return next((one.of for one in recipe.outputs.values() if align_of(one) == "next" and one.type != "series"), None)


def labelled(output: Settings, recipe: Settings) -> str | None:
    """The input whose steps an output labels, or None where it labels none."""
    return (output.reads or list(recipe.inputs))[0] if align_of(output) == "each" else None


def forecasts(recipe: Settings) -> bool:
    """Whether its outputs say how series go on."""
    return any(one.type == "series" and align_of(one) == "next" for one in recipe.outputs.values())


def _forecast_mistakes(recipe: Settings) -> typing.Iterator[tuple[str, str]]:
    """What fits only where series are forecast, and what does not fit there."""
    data = recipe.data
    if not forecasts(recipe):
        for word in ("time", "series", "split", "season"):
            if getattr(data, word) is not None:
                yield (
                    f"data.{word}",
                    "belongs to a forecast, an output of align 'next' that goes on from a series; leave it out",
                )
        for name, one in recipe.inputs.items():
            if one.type == "calendar" or getattr(one, "known", "past") == "ahead":
                yield (
                    f"inputs.{name}",
                    "is known ahead, and nothing here looks ahead; give an output with `of` a series and a `horizon`",
                )
            if isinstance(one.column, list):
                yield (
                    f"inputs.{name}.column",
                    "several columns make the channels of a series that is forecast; name one",
                )
        return
    spans = {(one.horizon, one.lookback, one.stride) for one in recipe.outputs.values()}
    others = [name for name, one in recipe.outputs.items() if one.type != "series"]
    if others:
        yield (
            f"outputs.{others[0]}",
            "stands beside the forecast of a series, whose rows are windows; train it by itself",
        )
    elif len(spans) > 1:
        yield (
            "outputs",
            "all forecasts of a recipe have one horizon, lookback and stride; train them apart, or give all the same",
        )
    for name, one in recipe.inputs.items():
        where = f"inputs.{name}"
        if one.type == "calendar" and (data.time is None or one.column != data.time):
            yield (
                where,
                "a calendar reads the column of dates that data.time names; name it there, and leave `column` out",
            )
        if isinstance(one.column, list) and (one.type != "series" or data.time is None or not one.column):
            yield (
                f"{where}.column",
                "several columns are the channels of a series in a table with a row per step (data.time); name one column",
            )
    for name, one in recipe.outputs.items():
        source = recipe.inputs.get(one.of)
        if source is not None and source.type == "series":
            if source.known == "ahead":
                yield (
                    f"outputs.{name}.of",
                    f"'{one.of}' is known ahead, so there is nothing to forecast; name a series of the past",
                )
            if one.column != (source.column or one.of):
                yield f"outputs.{name}.column", f"is what '{one.of}' reads; leave it out"
            if (one.scale, one.known) != (source.scale, source.known) or source.scale == "row":
                told = (
                    "row scales each series by itself, and what it was is then not known"
                    if source.scale == "row"
                    else "must be that of its input"
                )
                yield (
                    f"outputs.{name}.scale",
                    f"{told}; leave it out, or set the input's scale to dataset and head.normalize to window",
                )
    if recipe.training.max_steps is not None:
        yield "training.max_steps", "all windows of a forecast are equally long; leave it out"
    if data.split is not None and (data.valid is not None or data.test is not None):
        yield "data.split", "divides one file by time, and `valid` or `test` names another file; give one of them"


def refused(recipe: Settings) -> typing.Iterator[tuple[str, str]]:
    """What a component says against its own settings when it is built, before any data is read."""
    from ostinato.training.loop import Training

    refused = False
    builds: dict[str, typing.Callable[[], object]] = {
        "search": lambda: build(recipe.search, "searches"),
        "training": lambda: Training(**recipe.training.arguments()),
        "training.optimizer": lambda: build(recipe.training.optimizer, "optimizers"),
        "training.schedule": lambda: build(recipe.training.schedule, "schedules"),
        "recipe": lambda: recipe_columns.build(recipe),
    }
    for path, make in builds.items():
        try:
            make()
        except ConfigError as why:
            refused = True
            place = re.match(r"(?:inputs|outputs)\.[^:]+(?=: )", str(why)) if path == "recipe" else None
            path = place[0] if place else path
            yield path, re.sub(rf"^{re.escape(path)}(?: \(\w+\))?: ", "", str(why))
    if not refused:
        yield from recipe_vectors.mistakes(recipe)
        yield from _spelling_mistakes(recipe)


def _spelling_mistakes(recipe: Settings) -> typing.Iterator[tuple[str, str]]:
    """Words that are spelt beside words that are not, of one vocabulary or one encoder."""
    columns, spelt = dict(recipe_columns.places(recipe)), lambda one: getattr(one, "characters", False)
    for place, owner in recipe_columns.vocabulary_owners(recipe).items():
        one, other = columns[place], columns[owner]
        one_encoder = place.startswith("inputs.") and isinstance(one.encoder, SameAs)
        if spelt(one) and not spelt(other):
            way = "set it there too" if owner.startswith("inputs.") else f"let {owner} share the vocabulary of {place}"
            yield (
                f"{place}.characters",
                f"true, and {owner}, which has the vocabulary, has no spelling; {way}, or give {place} its own",
            )
        elif spelt(other) and not spelt(one) and one_encoder:
            yield (
                f"{place}.characters",
                f"false, and {owner}, whose encoder reads it, is true; set it here too, or give {place} its own",
            )


def sharing_mistakes(recipe: Settings) -> typing.Iterator[tuple[str, str]]:
    """Settings of a vocabulary that were given to an input which uses another's, and are not that one's."""
    columns, owners = dict(recipe_columns.places(recipe)), recipe_columns.vocabulary_owners(recipe)
    for place, owner in owners.items():
        one, encoder = columns[place], getattr(columns[place], "encoder", None)
        if not isinstance(encoder, SameAs):
            continue
        read_by = f"inputs.{encoder.same_as}"
        if owners[read_by] != owner:
            told = f"the vocabulary of {owner}, and the encoder of {read_by} reads by that of {owners[read_by]}; leave it out"
            yield f"{place}.tokenizer.same_as", f"{told}, or give {place} an encoder of its own"
            continue
        for word in recipe_columns.of_vocabulary(one.type):
            given = getattr(one, word)
            if word not in one.model_fields_set or isinstance(given, SameAs):
                continue
            differing = _differing(word, given, getattr(columns[owner], word))
            if differing is not None:
                path, ours, theirs = differing
                told = f"{json.dumps(ours)}, and {owner}, whose vocabulary is read here too (same_as), has {json.dumps(theirs)}"
                yield (
                    f"{place}.{path}",
                    f"{told}; leave it out, set it in {owner}, or give {place} an encoder of its own",
                )


def _differing(path: str, given: Any, other: Any) -> tuple[str, Any, Any] | None:
    """The first setting that was given and is not the other's: its path and both values."""
    if not isinstance(given, Settings) or not isinstance(other, Settings):
        return None if given == other else (path, given, other)
    if type(given) is not type(other):
        return path, given.type, other.type
    found = (
        _differing(f"{path}.{name}", getattr(given, name), getattr(other, name))
        for name in sorted(given.model_fields_set)
    )
    return next(filter(None, found), None)


def _dangling(path: str, reference: Any, allowed: Mapping[str, Any], what: str) -> typing.Iterator[tuple[str, str]]:
    if isinstance(reference, SameAs) and reference.same_as not in allowed:
        yield path, f"there is no {what} '{reference.same_as}'{nearest(reference.same_as, allowed)}"


def monitorable(recipe: Settings) -> dict[str, bool]:
    """What validation measures, as `training.monitor` names it, and whether higher is better."""
    found = {"loss": False}
    for output, settings in recipe.outputs.items():
        found[f"{output}.loss"] = False
        for name in component("modalities", settings.type).metrics.get(align_of(settings), ()):
            higher = component("metrics", name).higher_is_better
            if higher is not None:
                found[f"{output}.{name}"] = higher
    return found


def align_of(output: Settings) -> str:
    """The alignment of an output: what it says, or its modality's default."""
    return output.align or component("modalities", output.type).default_align
