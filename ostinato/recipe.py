"""Recipes: YAML or Python arguments to checked settings, every mistake reported at once with its line and the nearest word."""

from __future__ import annotations

import functools
import json
import re
import shlex
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationError, create_model
from torch import nn

from ostinato import fitting, vectors
from ostinato.data.read import is_data
from ostinato.errors import ConfigError, nearest
from ostinato.mistakes import explained, kind
from ostinato.model import input_settings, output_settings
from ostinato.registry import Room, SameAs, Settings, build, component, derive, keyword_only, names, open_slots
from ostinato.yaml_text import dump_yaml, line_numbers, parse_yaml

VERSION = 1
_TAKEN = frozenset(dir(nn.ModuleDict()))

Source = str | list[str] | dict[str, str | list[str]]
"""A file, several files one after the other, or one text file per column; of these several too."""


def _as_text(value: Any) -> Any:
    """A date of Python's own is written out."""
    return str(value) if isinstance(value, date) else value


Moment = Annotated[Annotated[int, Field(ge=1)] | str | None, BeforeValidator(_as_text)]


class Ends(Settings):
    """Where the splits of series begin: a date, or a whole number for so many steps at the end of each series, test's after valid's."""

    valid: Moment = None
    test: Moment = None


class Data(Settings):
    """Where the rows come from; paths are relative to the recipe, then to the data root.

    Args:
        fraction: the share of the training rows that is kept, drawn by seed; a smaller share is part of a larger one.
        time: of series with a row per step: the column of their dates, or of whole numbers that count the steps.
        series: of several series: the column that names the one to which a row belongs.
        split: of series: where valid and test begin.
        season: of series: steps of a season, for the seasonal rival and the scale of errors; from the dates where nothing is said.
    """

    train: Source | None = None
    valid: Source | None = None
    test: Source | None = None
    file: Source | None = None
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    time: str | None = None
    series: str | None = None
    split: Ends | None = None
    season: Annotated[int, Field(ge=1)] | None = None


@functools.cache
def _columns(direction: str) -> Any:
    """The type of an input or output: a modality's name, or a mapping with its type."""
    made = {"inputs": input_settings, "outputs": output_settings}[direction]
    members = tuple(Annotated[made(name), Tag(name)] for name in names("modalities"))
    union = Annotated[Union[members], Discriminator(_type_of)]
    return Annotated[union, BeforeValidator(_with_head if direction == "outputs" else _opened)]


def _opened(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


def _with_head(value: Any) -> Any:
    """An output whose head is not chosen gets the one that its modality has for its alignment."""
    value = _opened(value)
    if not isinstance(value, dict) or value.get("type") not in names("modalities"):
        return value
    head = value.get("head")
    if isinstance(head, str) or (isinstance(head, Mapping) and "type" in head) or not isinstance(head, Mapping | None):
        return value
    cls = component("modalities", value["type"])
    default = cls.default_head.get(value.get("align"), cls.default_head.get(cls.default_align))
    return value if default is None else {**value, "head": {"type": default, **(head or {})}}


def _type_of(value: Any) -> str | None:
    return value.get("type") if isinstance(value, dict) else getattr(value, "type", None)


@functools.cache
def recipe_class() -> type[Settings]:
    """The settings class of a whole recipe."""
    from ostinato.training.loop import Training

    training = derive(Training, {})
    search = open_slots(Annotated[Settings, Room("searches")], "beam")
    return create_model(
        "Recipe",
        __base__=Settings,
        version=(Literal[1], VERSION),
        data=(Data, Field(default_factory=Data)),
        inputs=(Annotated[dict[str, _columns("inputs")], Field(min_length=1)], ...),
        outputs=(Annotated[dict[str, _columns("outputs")], Field(min_length=1)], ...),
        search=(search, Field(default="beam", validate_default=True)),
        training=(training, Field(default_factory=training)),
    )


def schema() -> dict:
    """The JSON schema of a recipe, in short form: a bare name may stand for `{type: name}` wherever a type is chosen."""
    made = recipe_class().model_json_schema()
    _allow_names(made, made["$defs"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Ostinato recipe", **made}


def _allow_names(node: Any, definitions: Mapping[str, Any]) -> None:
    """Opens each union of typed settings to its members' bare names, and to `none` where nothing may stand."""
    if isinstance(node, list):
        for child in node:
            _allow_names(child, definitions)
    if not isinstance(node, dict):
        return
    for child in list(node.values()):
        _allow_names(child, definitions)
    if "properties" in node and "type" in node["properties"]:
        node["properties"]["type"].pop("default", None)
    if "oneOf" in node and all("$ref" in option for option in node["oneOf"]):
        members = node.pop("oneOf")
        node.pop("discriminator", None)
        properties = [definitions[member["$ref"].rpartition("/")[2]]["properties"] for member in members]
        node["anyOf"] = [*members, {"enum": [one["type"]["const"] for one in properties if "type" in one]}]
    elif {"type": "null"} in node.get("anyOf", ()) and any("enum" in one for part in node["anyOf"] for one in part.get("anyOf", ())):
        node["anyOf"].append({"const": "none"})


@dataclass
class Recipe:
    """A checked recipe and where it came from.

    Args:
        settings: the whole recipe as settings.
        given: what the user wrote, as plain values: what is not in it may be chosen from the data.
        base: the folder that its paths are relative to.
        origin: its file's name for messages.
    """

    settings: Settings
    given: dict[str, Any]
    base: Path
    origin: str
    reasons: dict[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Every setting written out."""
        plain = self.settings.plain()
        if not _generates(self.settings):
            del plain["search"]
        return plain

    def at(self, path: str) -> Any:
        """The plain value at `a.b.c`."""
        return at_path(self.plain(), path)

    def with_chosen(self, chosen: Mapping[str, tuple[Any, str]]) -> Recipe:
        """The recipe with values chosen from the data where the user gave none: path -> (value, reason)."""
        given = _copied(self.given)
        for path, (value, _) in chosen.items():
            set_path(given, path, value, self.settings)
        reasons = self.reasons | {path: reason for path, (_, reason) in chosen.items()}
        return Recipe(check(given, self.origin, to_train=True), given, self.base, self.origin, reasons)

    def yaml(self, *, reasons: bool = True) -> str:
        """The recipe as YAML, with the reason behind each value that was chosen from the data."""
        written = _written(self.settings)
        if not _generates(self.settings):
            del written["search"]
        lines = dump_yaml(written)
        told = sorted(self.reasons.items()) if reasons else ()
        return lines + "".join(f"# {path}: {' '.join(why.split())}\n" for path, why in told)


def load(path: str | Path, sets: Sequence[str] = ()) -> Recipe:
    """Reads a recipe file and applies `path=value` overrides.

    Errors:
        ConfigError: every mistake of the file, each with its line.
    """
    path = Path(path)
    if is_data(str(path)) and path.is_file():
        asked = shlex.join(["ostinato", "init", str(path), "--recipe", f"{path.name.split('.')[0]}.yaml"])
        raise ConfigError(f"{path}: by its name this is a table or text, and a recipe is needed; `{asked}` looks at it and writes one")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        beside = [one.name for one in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        raise ConfigError(f"there is no recipe {path}{nearest(path.name, beside) or '; give the path of a YAML file'}") from None
    except OSError as why:
        raise ConfigError(f"{path}: cannot be read ({why.strerror}); check its permissions") from None
    except UnicodeDecodeError as why:
        raise ConfigError(f"{path}: not UTF-8 ({why.reason} at byte {why.start}); save it as UTF-8") from None
    plain = parse_yaml(text, str(path))
    if not isinstance(plain, dict):
        raise ConfigError(f"{path}: a recipe is a mapping with inputs and outputs, this is {kind(plain)}")
    origin = " ".join([str(path), *(f"--set {one}" for one in sets)])
    set_all(plain, sets, origin)
    return Recipe(check(plain, origin, text, to_train=True), plain, path.parent, origin)


def parse_set(text: str) -> tuple[str, Any]:
    """The path and the value of `path=value`, the value read as YAML.

    Errors:
        ConfigError: it has not this form.
    """
    path, sign, value = text.partition("=")
    if not sign or not all(path.split(".")):
        raise ConfigError(f"--set {text}: write PATH=VALUE, such as training.epochs=5")
    return path, parse_yaml(value, f"--set {text}")


def set_all(plain: dict[str, Any], sets: Sequence[str], origin: str, settings: Settings | None = None) -> None:
    """Applies `path=value` overrides in turn.

    Errors:
        ConfigError: one has not this form, or sets something of an input or output that there is not.
    """
    known = {side: list(one) if isinstance(one := plain.get(side), dict) else [] for side in ("inputs", "outputs")}
    pairs = [parse_set(one) for one in sets]
    for path, value in pairs:
        set_path(plain, path, value, settings)
    for side, name, *rest in (path.split(".") for path, _ in pairs if "." in path):
        # A new input or output may be set word by word: its type is one of them.
        if rest and name not in known.get(side, (name,)) and not {"type", "of"} & set(plain[side][name]):
            raise ConfigError(f"{origin}: {side}.{name}: there is no {side.removesuffix('s')} '{name}'{nearest(name, known[side])}")


def from_arguments(
    inputs: Mapping[str, Any], outputs: Mapping[str, Any], *, data: Any = None, search: Any = None, training: Any = None
) -> Recipe:
    """The same words as Python arguments: names, mappings, or classes of `ostinato.settings`."""
    plain: dict[str, Any] = {"inputs": {k: _plain(v) for k, v in inputs.items()}, "outputs": {k: _plain(v) for k, v in outputs.items()}}
    for name, value in {"data": data, "search": search, "training": training}.items():
        if value is not None:
            plain[name] = _plain(value)
    return Recipe(check(plain, "arguments", to_train=True), plain, Path.cwd(), "arguments")


def _with_next(plain: dict[str, Any]) -> dict[str, Any]:
    """The recipe with what follows from `of`: an output that an input goes on to is of its type, column and vocabulary, and its
    encoder reads one way. What cannot be made sense of is left as it is, for its own mistake."""
    inputs, outputs = plain.get("inputs"), plain.get("outputs")
    if not isinstance(inputs, dict) or not isinstance(outputs, dict):
        return plain
    inputs = {name: _opened(one) for name, one in inputs.items()}
    data = plain.get("data")
    if isinstance(data, dict) and isinstance(data.get("time"), str):
        dated = lambda one: isinstance(one, dict) and one.get("type") == "calendar" and "column" not in one  # noqa: E731
        inputs = {name: {**one, "column": data["time"]} if dated(one) else one for name, one in inputs.items()}
    made, read = dict(outputs), set()
    for name, value in outputs.items():
        one = _opened(value)
        if not isinstance(one, dict) or not (("of" in one and "type" not in one) or one.get("align") == "next"):
            continue
        alike = [
            key
            for key, source in inputs.items()
            if isinstance(source, dict) and source.get("type") == one.get("type") and source.get("known", "past") == "past"
        ]
        of = one.get("of", alike[0] if len(alike) == 1 else None)
        source = inputs.get(of) if isinstance(of, str) else None
        if not isinstance(source, dict) or source.get("type") not in names("modalities"):
            continue
        own = {parameter.name for parameter in keyword_only(component("modalities", source["type"]))}
        shared = {key: value for key, value in source.items() if key in own}
        if "tokenizer" in own:
            shared["tokenizer"] = {"same_as": of}
        made[name] = {"type": source["type"], "align": "next", "of": of, "column": source.get("column", of), **shared, **one}
        read.add(of)
    return {**plain, "inputs": {name: _one_way(one) if name in read else one for name, one in inputs.items()}, "outputs": made}


def _one_way(source: dict[str, Any]) -> dict[str, Any]:
    encoder = source.get("encoder", component("modalities", source["type"]).default_encoder)
    encoder = dict(encoder) if isinstance(encoder, Mapping) else {"type": encoder}
    kind = encoder.get("type", component("modalities", source["type"]).default_encoder)
    if "same_as" in encoder or kind not in names("encoders"):
        return source
    if not any(parameter.name == "both_ways" for parameter in keyword_only(component("encoders", kind))):
        return source
    return {**source, "encoder": {"type": kind, "both_ways": False, **encoder}}


def restore(plain: dict[str, Any], origin: str) -> Recipe:
    """A full recipe that was saved with a model."""
    return Recipe(check(plain, origin), plain, Path.cwd(), origin)


def _plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return {"type": value.type, **value.plain(full=False)} if "type" in type(value).model_fields else value.plain(full=False)
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def _copied(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {key: _copied(value) for key, value in plain.items()}
    return [_copied(value) for value in plain] if isinstance(plain, list) else plain


def at_path(plain: Mapping[str, Any], path: str) -> Any:
    """The value at `a.b.c` of nested mappings.

    Errors:
        KeyError: there is none.
    """
    value: Any = plain
    for key in path.split("."):
        value = value[key]
    return value


def set_path(plain: dict[str, Any], path: str, value: Any, settings: Settings | None = None) -> None:
    """Sets `a.b.c`; a bare name on the way opens to `{type: name}`, and a slot that nobody wrote takes the type it has in `settings`."""
    *parents, last = path.split(".")
    for key in parents:
        child = plain.get(key)
        settings = settings.get(key) if isinstance(settings, dict) else getattr(settings, key, None)
        if isinstance(child, str):
            child = {"type": child}
        elif not isinstance(child, dict):
            child = {"type": settings.type} if isinstance(settings, Settings) and "type" in type(settings).model_fields else {}
        plain[key] = child
        plain = child
    plain[last] = value


def _written(settings: Any) -> Any:
    """Settings as a person writes them: no line for what is not set by default either, a bare name for what holds only a type."""
    if isinstance(settings, Settings):
        fields = {name: (getattr(settings, name), field.default) for name, field in type(settings).model_fields.items()}
        kept = {name: _written(value) for name, (value, default) in fields.items() if value is not None or default is not None}
        return kept["type"] if list(kept) == ["type"] else kept
    if isinstance(settings, SameAs):
        return settings.model_dump()
    if isinstance(settings, Mapping):
        return {key: _written(value) for key, value in settings.items()}
    return [_written(one) for one in settings] if isinstance(settings, (list, tuple)) else settings


def _generates(settings: Settings) -> bool:
    heads = (output.head for output in settings.outputs.values())
    return any(component("heads", head.type).generates for head in heads if head is not None)


def check(plain: dict[str, Any], origin: str, text: str | None = None, *, to_train: bool = False) -> Settings:
    """Plain values to settings.

    Args:
        plain: the whole recipe.
        origin: its name for messages.
        text: as it was written, for the lines of mistakes.
        to_train: whether a model shall be made of it: what is shared is then filled in, and what differs there refused. Of settings
            that were saved with a model all are said, also those that never counted.

    Errors:
        ConfigError: all mistakes together, a line each.
    """
    if isinstance(plain.get("version"), int) and not isinstance(plain["version"], bool) and plain["version"] > VERSION:
        raise ConfigError(f"{origin}: written for recipe version {plain['version']}, this Ostinato knows up to {VERSION}; update Ostinato")
    try:
        settings = recipe_class().model_validate(_with_next(plain))
    except ValidationError as why:
        mistakes = [explained(error, plain, recipe_class()) for error in why.errors(include_url=False)]
    else:
        mistakes = list(_impossible(settings)) or list(_refused(settings)) or (list(_sharing_mistakes(settings)) if to_train else [])
        if not mistakes:
            return _shared(settings) if to_train else settings
    marks = line_numbers(text) if text else {}
    shown = []
    for path, message in dict.fromkeys(mistakes):
        parts = path.split(".")
        line = next((marks[".".join(parts[:cut])] for cut in range(len(parts), 0, -1) if ".".join(parts[:cut]) in marks), None)
        shown.append(f"{f'line {line}, ' if line else ''}{path}: {message}")
    head = f"{origin}: " if len(shown) == 1 else f"{origin}: {len(shown)} mistakes\n  "
    raise ConfigError(head + "\n  ".join(shown))


def _impossible(recipe: Settings) -> typing.Iterator[tuple[str, str]]:
    """What is well spelt but cannot be: alignments, references and searches that do not fit together."""
    for name, one in recipe.inputs.items():
        yield from _dangling(f"inputs.{name}.encoder.same_as", one.encoder, recipe.inputs, "input")
    tokenizers = {**recipe.inputs, **recipe.outputs}
    for direction in ("inputs", "outputs"):
        for name, one in getattr(recipe, direction).items():
            if "tokenizer" in type(one).model_fields:
                yield from _dangling(f"{direction}.{name}.tokenizer.same_as", one.tokenizer, tokenizers, "input or output")
    have_labels = {labelled(one, recipe) for one in recipe.outputs.values()}
    for name, one in recipe.inputs.items():
        if fitting.by_words(one) and name not in have_labels:
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
            yield f"{where}.head", f"'{one.head.type}' does not serve align '{align}'; it serves: {', '.join(sorted(head.aligns))}"
        if one.reads is not None and not one.reads:
            yield f"{where}.reads", f"an output must read an input; inputs: {', '.join(recipe.inputs)}"
        for read in one.reads or ():
            if read not in recipe.inputs:
                yield f"{where}.reads", f"there is no input '{read}'{nearest(read, recipe.inputs)}"
        if align == "each" and len(one.reads or recipe.inputs) > 1 and (one.join is None or one.join.type != "attend"):
            yield f"{where}.join", "align 'each' labels the steps of one input; say which in `reads`, or `join: attend` to look at the others"
        # A `next` output that says nothing has both from its input, whose own mistake they are then.
        source = None
        if align == "next":
            yield from _next_mistakes(where, one, recipe)
            source = recipe.inputs.get(one.of)
        if getattr(one, "characters", False) and not getattr(source, "characters", False):
            yield f"{where}.characters", "an output says symbols, and their spelling with them; characters belong to an input, leave them out"
        if fitting.by_words(one) and not fitting.by_words(source):
            yield f"{where}.subword_pooling", "belongs to an input whose words have labels; leave it out"
        if one.type != "series":
            for word in ("lookback", "stride"):
                if getattr(one, word) is not None:
                    yield f"{where}.{word}", f"`{word}` belongs to the forecast of a series; leave it out"
            if one.horizon != 1 and align == "next":
                yield f"{where}.horizon", "what is said symbol by symbol has no horizon; leave it out"
        if one.of is not None and align != "next":
            yield f"{where}.of", f"`of` belongs to align 'next', this output's is '{align}'; say `align: next`, or leave it out"
        if one.horizon != 1 and align != "next":
            yield f"{where}.horizon", f"`horizon` belongs to align 'next', this output's is '{align}'; leave it out"
        if len(set(one.reads or ())) < len(one.reads or ()):
            yield f"{where}.reads", f"names an input twice; inputs: {', '.join(recipe.inputs)}"
    if "search" in recipe.model_fields_set and not _generates(recipe):
        yield "search", f"'{recipe.search.type}' searches what a model generates, and no output here is generated; leave it out"
    if recipe.training.watch not in watchable(recipe):
        yield "training.watch", f"'{recipe.training.watch}' is not measured{nearest(recipe.training.watch, watchable(recipe))}"
    yield from _forecast_mistakes(recipe)
    if recipe.training.tbptt is not None:
        yield from _stream_mistakes(recipe)
    if recipe.data.file is not None and recipe.data.train is not None:
        yield "data.file", "give `file` or `train`, not both"
    if recipe.data.fraction < 1 and forecasts(recipe):
        yield "data.fraction", "keeps a share of the rows, and here they are windows of series; leave it out, or give fewer or shorter series"
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
        told = f"there is no input '{one.of}'{nearest(one.of, recipe.inputs)}" if one.of else "say in `of` which input it goes on from"
        yield f"{where}.of", f"{told}; inputs: {', '.join(recipe.inputs)}"
        return
    source = recipe.inputs[one.of]
    if source.type != one.type:
        yield f"{where}.type", f"'{one.of}' is {source.type} and what follows it is {one.type}; leave the type out"
    if one.reads is not None and one.of not in one.reads:
        yield f"{where}.reads", f"must name '{one.of}', the input that it goes on from"
    for word in ("both_ways", "reversed_source"):
        if getattr(source.encoder, word, False):
            place = f"inputs.{one.of}.encoder.{word}"
            yield place, f"true shows it the steps that {where} must predict; leave it out: under align 'next' it is read one way"
    if getattr(source, "characters", False):
        told = f"{where} goes on from what it said itself, symbol by symbol, and no spelling stands beside that; leave characters out"
        yield f"inputs.{one.of}.characters", told
    if fitting.by_words(source):
        yield f"inputs.{one.of}.subword_pooling", f"{where} goes on from pieces, and this input is read by words; set none, or name another input"
    if one.join is not None:
        yield f"{where}.join", "an output of align 'next' has the summaries of other inputs beside each step; leave the join out"


def _stream_mistakes(recipe: Settings) -> typing.Iterator[tuple[str, str]]:
    """What cannot be read in chunks that go on from a state."""
    said, of = "training.tbptt", streamed(recipe)
    for name, one in recipe.outputs.items():
        align, where = align_of(one), f"outputs.{name}"
        if align != "next" or one.type == "series":
            told = "windows of a series" if one.type == "series" and align == "next" else f"of align '{align}'"
            yield said, f"cuts what goes on symbol by symbol (align 'next'), and {where} is {told}; leave tbptt out, or train it apart"
        elif one.of != of:
            yield said, f"all outputs must go on from one input, and {where} goes on from '{one.of}', another from '{of}'; train them apart"
        elif one.of in recipe.inputs and (one.column or name) != (recipe.inputs[of].column or of):
            yield said, f"{where} reads the column '{one.column or name}' and not that of '{of}'; leave its `column` out, or leave tbptt out"


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
                yield f"data.{word}", "belongs to a forecast, an output of align 'next' that goes on from a series; leave it out"
        for name, one in recipe.inputs.items():
            if one.type == "calendar" or getattr(one, "known", "past") == "ahead":
                yield f"inputs.{name}", "is known ahead, and nothing here looks ahead; give an output with `of` a series and a `horizon`"
            if isinstance(one.column, list):
                yield f"inputs.{name}.column", "several columns make the channels of a series that is forecast; name one"
        return
    spans = {(one.horizon, one.lookback, one.stride) for one in recipe.outputs.values()}
    others = [name for name, one in recipe.outputs.items() if one.type != "series"]
    if others:
        yield f"outputs.{others[0]}", "stands beside the forecast of a series, whose rows are windows; train it by itself"
    elif len(spans) > 1:
        yield "outputs", "all forecasts of a recipe have one horizon, lookback and stride; train them apart, or give all the same"
    for name, one in recipe.inputs.items():
        where = f"inputs.{name}"
        if one.type == "calendar" and (data.time is None or one.column != data.time):
            yield where, "a calendar reads the column of dates that data.time names; name it there, and leave `column` out"
        if isinstance(one.column, list) and (one.type != "series" or data.time is None or not one.column):
            yield f"{where}.column", "several columns are the channels of a series in a table with a row per step (data.time); name one column"
    for name, one in recipe.outputs.items():
        source = recipe.inputs.get(one.of)
        if source is not None and source.type == "series":
            if source.known == "ahead":
                yield f"outputs.{name}.of", f"'{one.of}' is known ahead, so there is nothing to forecast; name a series of the past"
            if one.column != (source.column or one.of):
                yield f"outputs.{name}.column", f"is what '{one.of}' reads; leave it out"
            if (one.scale, one.known) != (source.scale, source.known) or source.scale == "row":
                told = "row scales each series by itself, and what it was is then not known" if source.scale == "row" else "must be that of its input"
                yield f"outputs.{name}.scale", f"{told}; leave it out, or set the input's scale to dataset and head.normalize to window"
    if recipe.training.max_steps is not None:
        yield "training.max_steps", "all windows of a forecast are equally long; leave it out"
    if data.split is not None and (data.valid is not None or data.test is not None):
        yield "data.split", "divides one file by time, and `valid` or `test` names another file; give one of them"


def _refused(recipe: Settings) -> typing.Iterator[tuple[str, str]]:
    """What a component says against its own settings when it is built, before any data is read."""
    from ostinato.training.loop import Training

    refused = False
    builds: dict[str, typing.Callable[[], object]] = {
        "search": lambda: build(recipe.search, "searches"),
        "training": lambda: Training(**recipe.training.arguments()),
        "training.optimizer": lambda: build(recipe.training.optimizer, "optimizers"),
        "training.schedule": lambda: build(recipe.training.schedule, "schedules"),
        "recipe": lambda: fitting.build(recipe),
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
        yield from vectors.mistakes(recipe)
        yield from _spelling_mistakes(recipe)


def _spelling_mistakes(recipe: Settings) -> typing.Iterator[tuple[str, str]]:
    """Words that are spelt beside words that are not, of one vocabulary or one encoder."""
    columns, spelt = dict(fitting.places(recipe)), lambda one: getattr(one, "characters", False)
    for place, owner in fitting.vocabulary_owners(recipe).items():
        one, other = columns[place], columns[owner]
        one_encoder = place.startswith("inputs.") and isinstance(one.encoder, SameAs)
        if spelt(one) and not spelt(other):
            way = "set it there too" if owner.startswith("inputs.") else f"let {owner} share the vocabulary of {place}"
            yield f"{place}.characters", f"true, and {owner}, which has the vocabulary, has no spelling; {way}, or give {place} its own"
        elif spelt(other) and not spelt(one) and one_encoder:
            yield f"{place}.characters", f"false, and {owner}, whose encoder reads it, is true; set it here too, or give {place} its own"


def _sharing_mistakes(recipe: Settings) -> typing.Iterator[tuple[str, str]]:
    """Settings of a vocabulary that were given to an input which uses another's, and are not that one's."""
    columns, owners = dict(fitting.places(recipe)), fitting.vocabulary_owners(recipe)
    for place, owner in owners.items():
        one, encoder = columns[place], getattr(columns[place], "encoder", None)
        if not isinstance(encoder, SameAs):
            continue
        read_by = f"inputs.{encoder.same_as}"
        if owners[read_by] != owner:
            told = f"the vocabulary of {owner}, and the encoder of {read_by} reads by that of {owners[read_by]}; leave it out"
            yield f"{place}.tokenizer.same_as", f"{told}, or give {place} an encoder of its own"
            continue
        for word in fitting.of_vocabulary(one.type):
            given = getattr(one, word)
            if word not in one.model_fields_set or isinstance(given, SameAs):
                continue
            differing = _differing(word, given, getattr(columns[owner], word))
            if differing is not None:
                path, ours, theirs = differing
                told = f"{json.dumps(ours)}, and {owner}, whose vocabulary is read here too (same_as), has {json.dumps(theirs)}"
                yield f"{place}.{path}", f"{told}; leave it out, set it in {owner}, or give {place} an encoder of its own"


def _differing(path: str, given: Any, other: Any) -> tuple[str, Any, Any] | None:
    """The first setting that was given and is not the other's: its path and both values."""
    if not isinstance(given, Settings) or not isinstance(other, Settings):
        return None if given == other else (path, given, other)
    if type(given) is not type(other):
        return path, given.type, other.type
    found = (_differing(f"{path}.{name}", getattr(given, name), getattr(other, name)) for name in sorted(given.model_fields_set))
    return next(filter(None, found), None)


def _shared(recipe: Settings) -> Settings:
    """The recipe in which inputs that read by another's vocabulary, and outputs that go on from them, say what that is."""
    columns, made, outputs = dict(fitting.places(recipe)), {}, dict(recipe.outputs)
    for place, owner in fitting.vocabulary_owners(recipe).items():
        one = columns[place]
        if place != owner and isinstance(getattr(one, "encoder", None), SameAs):
            taken = {word: getattr(columns[owner], word) for word in fitting.of_vocabulary(one.type)}
            if "tokenizer" in taken:
                taken["tokenizer"] = SameAs(same_as=one.encoder.same_as)
            name = place.partition(".")[2]
            made[name] = one.model_copy(update=taken)
            own = {word: value for word, value in taken.items() if word != "tokenizer"}
            outputs |= {key: other.model_copy(update=own) for key, other in outputs.items() if other.of == name}
    return recipe.model_copy(update={"inputs": {**recipe.inputs, **made}, "outputs": outputs}) if made else recipe


def _dangling(path: str, reference: Any, allowed: Mapping[str, Any], what: str) -> typing.Iterator[tuple[str, str]]:
    if isinstance(reference, SameAs) and reference.same_as not in allowed:
        yield path, f"there is no {what} '{reference.same_as}'{nearest(reference.same_as, allowed)}"


def watchable(recipe: Settings) -> dict[str, bool]:
    """What validation measures, as `training.watch` names it, and whether higher is better."""
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
