"""Which recipes are legal: alignments, references and searches that fit together."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import nn

from ostinato import alignments
from ostinato.alignments import Message
from ostinato.errors import ConfigError, nearest
from ostinato.modalities.contract import Modality, Traits
from ostinato.model.columns import traits_of
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe import vectors as recipe_vectors
from ostinato.recipe.metrics import check as check_metrics
from ostinato.recipe.metrics import settings_of as metric_settings
from ostinato.registry import SameAs, Settings, build, component

_TAKEN = frozenset(dir(nn.ModuleDict()))


def unused(settings: Settings) -> list[str]:
    """What of a recipe no output asks for: a search where nothing is generated, a calibration where no labels are
    predicted at once."""
    heads = [component("heads", output.head.type) for output in settings.outputs.values() if output.head is not None]
    used = {
        "search": any(head.generates for head in heads),
        "calibration": any(head.temperature is not None for head in heads),
    }
    return [name for name, is_used in used.items() if not is_used]


def check(recipe: Settings) -> Iterator[Message]:
    """What is well spelt and cannot be: alignments, references and searches that do not fit together."""
    tokenizers = {**recipe.inputs, **recipe.outputs}
    for place, column in recipe_columns.places(recipe):
        if place.startswith("inputs."):
            yield from _dangling(f"{place}.encoder.same_as", column.encoder, recipe.inputs, "input")
        if "tokenizer" in type(column).model_fields:
            yield from _dangling(f"{place}.tokenizer.same_as", column.tokenizer, tokenizers, "input or output")
    labelled = {alignments.labelled(output, recipe) for output in recipe.outputs.values()}
    for name, column in recipe.inputs.items():
        if traits_of(column).by_words and name not in labelled:
            yield (
                f"inputs.{name}.subword_pooling",
                "pools the pieces of words for their labels, and no output labels them; leave it out, or add one of"
                " align 'each'",
            )
    yield from _check_varied(recipe)
    for name in sorted(set(recipe.inputs) & set(recipe.outputs)):
        yield f"outputs.{name}", f"'{name}' is an input too; give the output another name and set `column: {name}`"
    for name, output in recipe.outputs.items():
        yield from _check_output(name, output, recipe)
    if "search" in recipe.model_fields_set and "search" in unused(recipe):
        yield (
            "search",
            f"'{recipe.search.type}' searches what a model generates, and no output here is generated; leave it out",
        )
    if recipe.calibration != "none" and "calibration" in unused(recipe):
        yield (
            "calibration",
            f"'{recipe.calibration}' makes probabilities of labels more or less sure, and no output here has any that "
            "are predicted at once; leave it out",
        )
    if recipe.training.monitor not in monitorable(recipe):
        yield (
            "training.monitor",
            f"'{recipe.training.monitor}' is not measured{nearest(recipe.training.monitor, monitorable(recipe))}",
        )
    yield from _check_windows(recipe) if alignments.forecasts(recipe) else _check_no_windows(recipe)
    if recipe.training.tbptt is not None:
        yield from check_streams(recipe)
    if recipe.data.file is not None and recipe.data.train is not None:
        yield "data.file", "give `file` or `train`, not both"
    if recipe.data.fraction < 1 and alignments.forecasts(recipe):
        yield (
            "data.fraction",
            "keeps a share of the rows, and here they are windows of series; leave it out, or give fewer or shorter"
            " series",
        )
    if recipe.data.seed is not None and (
        alignments.forecasts(recipe) or (recipe.data.valid is not None and recipe.data.fraction == 1)
    ):
        yield "data.seed", "draws rows that are set aside or kept, and here none are; leave it out"
    for place, _ in recipe_columns.places(recipe):
        name = place.partition(".")[2]
        if not can_be_name(name):
            yield place, f"'{name}' cannot be a name here; choose another and set `column: {name}`"


def _check_varied(recipe: Settings) -> Iterator[Message]:
    """What training changes of examples is an input without a target for each of its steps, but for targets that are
    those steps."""
    copies = recipe_columns.continued(recipe)
    for name, output in recipe.outputs.items():
        if name in copies:
            continue
        source = alignments.of(output).source(output, recipe.inputs)
        # An output has the settings of the input that it continues, whose message it is then.
        if source in recipe.inputs and traits_of(recipe.inputs[source]).varies:
            yield (
                f"inputs.{source}",
                f"training would change its steps, and outputs.{name} has a target for each; leave the changes out",
            )
        elif traits_of(output).varies:
            yield f"outputs.{name}", "training changes examples of inputs alone; leave the changes of this output out"


def can_be_name(name: str) -> bool:
    """Whether an input or output can have this name: names of torch modules have no dots, and torch has names of its
    own."""
    return bool(name) and "." not in name and name not in _TAKEN


def _check_output(name: str, output: Settings, recipe: Settings) -> Iterator[Message]:
    cls, where, alignment = component("modalities", output.type), f"outputs.{name}", alignments.of(output)
    if alignment.name not in cls.aligns:
        allowed = ", ".join(sorted(cls.aligns)) or f"none, {output.type} can only be an input"
        yield f"{where}.align", f"'{alignment.name}' is not possible for {output.type}; allowed here: {allowed}"
        return
    if output.head is None:
        yield (
            f"{where}.head",
            f"{output.type} has no head of its own for align '{alignment.name}'; name one that serves it",
        )
        return
    head = component("heads", output.head.type)
    if alignment.name not in head.aligns:
        yield (
            f"{where}.head",
            f"'{output.head.type}' does not serve align '{alignment.name}'; it serves:"
            f" {', '.join(sorted(head.aligns))}",
        )
    reads = output.reads or ()
    if output.reads is not None and not reads:
        yield f"{where}.reads", f"an output must read an input; inputs: {', '.join(recipe.inputs)}"
    for read in reads:
        if read not in recipe.inputs:
            yield f"{where}.reads", f"there is no input '{read}'{nearest(read, recipe.inputs)}"
    if len(set(reads)) < len(reads):
        yield f"{where}.reads", f"names an input twice; inputs: {', '.join(recipe.inputs)}"
    yield from alignment.check(name, output, recipe)
    yield from check_metrics(where, output)
    # An output that gives neither has both from the input that it continues, whose own message they are then.
    source = traits_of(recipe.inputs[output.of]) if alignment.continues and output.of in recipe.inputs else Traits()
    if traits_of(output).characters and not source.characters:
        yield (
            f"{where}.characters",
            "an output has symbols without their characters; characters belong to an input, leave them out",
        )
    if traits_of(output).marked and not source.marked:
        yield f"{where}.marks", "an output begins and ends with its marks in any case; leave marks out"
    if traits_of(output).by_words and not source.by_words:
        yield f"{where}.subword_pooling", "belongs to an input whose words have labels; leave it out"


def check_streams(recipe: Settings) -> Iterator[Message]:
    """What cannot be read in chunks that continue from a state."""
    place, of = "training.tbptt", alignments.streamed(recipe)
    for name, output in recipe.outputs.items():
        alignment, where = alignments.of(output), f"outputs.{name}"
        if not alignment.streams:
            kind = "windows of a series" if alignment.windows else f"of align '{alignment.name}'"
            yield (
                place,
                f"cuts what continues step by step (align 'next'), and {where} is {kind}; leave tbptt out, or train"
                " it apart",
            )
        elif output.of != of:
            yield (
                place,
                f"all outputs must continue one input, and {where} continues '{output.of}', another '{of}'; train"
                " them apart",
            )
        elif of in recipe.inputs and (output.column or name) != (recipe.inputs[of].column or of):
            yield (
                place,
                f"{where} reads the column '{output.column or name}' and not that of '{of}'; leave its `column` out,"
                " or leave tbptt out",
            )


def _check_no_windows(recipe: Settings) -> Iterator[Message]:
    """What fits only where series are forecast."""
    is_text = alignments.streamed(recipe) is not None and recipe.data.rows in (None, "file")
    for word in ("time", "series", "split", "season"):
        if getattr(recipe.data, word) is not None and not (word == "split" and is_text):
            also = ", or to one text that outputs continue (rows: file)" * (word == "split")
            yield (
                f"data.{word}",
                f"belongs to a forecast, an output of align 'ahead' that continues a series{also}; leave it out",
            )
    for name, column in recipe.inputs.items():
        if traits_of(column).known_future:
            yield (
                f"inputs.{name}",
                "is known ahead, and no output looks ahead; give an output with `of` a series and a `horizon`",
            )
        if isinstance(column.column, list):
            yield (
                f"inputs.{name}.column",
                "several columns make the channels of a series that is forecast; name one",
            )


def _check_windows(recipe: Settings) -> Iterator[Message]:
    """What does not fit where series are forecast."""
    data = recipe.data
    spans = {(output.horizon, output.lookback, output.stride) for output in recipe.outputs.values()}
    others = [name for name, output in recipe.outputs.items() if not alignments.of(output).windows]
    if others:
        yield (
            f"outputs.{others[0]}",
            "is beside the forecast of a series, whose rows are windows; train it by itself",
        )
    elif len(spans) > 1:
        yield (
            "outputs",
            "all forecasts of a recipe have one horizon, lookback and stride; train them apart, or give all the same",
        )
    for name, column in recipe.inputs.items():
        where, cls = f"inputs.{name}", component("modalities", column.type)
        if cls.over_time == "dates" and (data.time is None or column.column != data.time):
            yield (
                where,
                f"a {column.type} reads the column of dates that data.time names; name it there, and leave `column`"
                " out",
            )
        if isinstance(column.column, list) and (cls.over_time != "channels" or data.time is None or not column.column):
            yield (
                f"{where}.column",
                "several columns are the channels of a series in a table with a row per step (data.time); name one"
                " column",
            )
    for name, output in recipe.outputs.items():
        source = recipe.inputs.get(output.of)
        if source is None or not alignments.of(output).windows or source.type != output.type:
            continue
        if traits_of(source).known_future:
            yield (
                f"outputs.{name}.of",
                f"'{output.of}' is known ahead, so there is nothing to forecast; name a series of the past",
            )
        if output.column != (source.column or output.of):
            yield f"outputs.{name}.column", f"is what '{output.of}' reads; leave it out"
        if (output.scale, output.known_future) != (source.scale, source.known_future) or source.scale == "row":
            why = (
                "row scales each series by itself, and what it was is then not known"
                if source.scale == "row"
                else "must be that of its input"
            )
            yield (
                f"outputs.{name}.scale",
                f"{why}; leave it out, or set the input's scale to dataset and head.normalize to window",
            )
    if recipe.training.max_steps is not None:
        yield "training.max_steps", "all windows of a forecast are equally long; leave it out"
    if data.split is not None and (data.valid is not None or data.test is not None):
        yield "data.split", "divides one file by time, and `valid` or `test` names another file; give one of them"


def check_components(recipe: Settings, modalities: Mapping[str, Modality] | None = None) -> Iterator[Message]:
    """What a component refuses of its own settings when it is built, before any data is read."""
    from ostinato.training.loop import Training

    is_refused, built = False, dict(modalities or {})
    builds: dict[str, Callable[[], object]] = {
        "search": lambda: build(recipe.search, "searches"),
        "training": lambda: Training(**recipe.training.arguments()),
        "training.optimizer": lambda: build(recipe.training.optimizer, "optimizers"),
        "training.schedule": lambda: build(recipe.training.schedule, "schedules"),
        "recipe": lambda: built or built.update(recipe_columns.build(recipe)),
    }
    for path, make in builds.items():
        try:
            make()
        except ConfigError as why:
            is_refused = True
            place = re.match(r"(?:inputs|outputs)\.[^:]+(?=: )", str(why)) if path == "recipe" else None
            path = place[0] if place else path
            yield path, re.sub(rf"^{re.escape(path)}(?: \(\w+\))?: ", "", str(why))
    if not is_refused:
        # What an earlier run leaves to be known, such as a tokenizer, is known once its parts are taken over.
        if modalities is not None or getattr(recipe, "from") is None:
            yield from recipe_vectors.check(recipe, built)
        yield from _check_characters(recipe)


def _check_characters(recipe: Settings) -> Iterator[Message]:
    """Words with characters beside words without, of one vocabulary or one encoder."""
    columns = dict(recipe_columns.places(recipe))
    for place, owner in recipe_columns.vocabulary_owners(recipe).items():
        own, others = traits_of(columns[place]).characters, traits_of(columns[owner]).characters
        if own and not others:
            advice = (
                "set it there too" if owner.startswith("inputs.") else f"let {owner} share the vocabulary of {place}"
            )
            yield (
                f"{place}.characters",
                f"true, and {owner}, which has the vocabulary, has no characters; {advice}, or give {place} its own",
            )
        elif others and not own and place.startswith("inputs.") and isinstance(columns[place].encoder, SameAs):
            yield (
                f"{place}.characters",
                f"false, and {owner}, whose encoder reads it, is true; set it here too, or give {place} its own",
            )


def check_sharing(recipe: Settings) -> Iterator[Message]:
    """Settings of a vocabulary that were given to an input which uses another's, and are not that one's."""
    columns, owners = dict(recipe_columns.places(recipe)), recipe_columns.vocabulary_owners(recipe)
    for place, owner in owners.items():
        column, encoder = columns[place], getattr(columns[place], "encoder", None)
        if not isinstance(encoder, SameAs):
            continue
        read_by = f"inputs.{encoder.same_as}"
        if owners[read_by] != owner:
            yield (
                f"{place}.tokenizer.same_as",
                f"the vocabulary of {owner}, and the encoder of {read_by} reads by that of {owners[read_by]};"
                f" leave it out, or give {place} an encoder of its own",
            )
            continue
        for word in recipe_columns.of_vocabulary(column.type):
            own = getattr(column, word)
            if word not in column.model_fields_set or isinstance(own, SameAs):
                continue
            differing = _differing(word, own, getattr(columns[owner], word))
            if differing is not None:
                path, ours, theirs = differing
                yield (
                    f"{place}.{path}",
                    f"{json.dumps(ours)}, and {owner}, whose vocabulary is read here too (same_as), has"
                    f" {json.dumps(theirs)};"
                    f" leave it out, set it in {owner}, or give {place} an encoder of its own",
                )


def _differing(path: str, own: Any, other: Any) -> tuple[str, Any, Any] | None:
    """The first setting that was given and is not the other's: its path and both values."""
    if not isinstance(own, Settings) or not isinstance(other, Settings):
        return None if own == other else (path, own, other)
    if type(own) is not type(other):
        return path, own.type, other.type
    names = sorted(own.model_fields_set)
    differing = (_differing(f"{path}.{name}", getattr(own, name), getattr(other, name)) for name in names)
    return next(filter(None, differing), None)


def _dangling(path: str, reference: Any, allowed: Mapping[str, Any], what: str) -> Iterator[Message]:
    if isinstance(reference, SameAs) and reference.same_as not in allowed:
        yield path, f"there is no {what} '{reference.same_as}'{nearest(reference.same_as, allowed)}"


def monitorable(recipe: Settings) -> dict[str, bool]:
    """What validation measures, as `training.monitor` names it, and whether higher is better."""
    metrics = {"loss": False}
    for output, settings in recipe.outputs.items():
        metrics[f"{output}.loss"] = False
        for key, metric in metric_settings(settings).items():
            higher = component("metrics", metric.type).higher_is_better
            if higher is not None:
                metrics[f"{output}.{key}"] = higher
    return metrics
