"""Recipes: YAML or Python arguments to checked settings, every mistake reported at once with its line and the nearest word."""

from __future__ import annotations

import functools
import io
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationError, create_model

from ostinato.errors import ConfigError, nearest
from ostinato.model import input_settings, output_settings
from ostinato.registry import Room, SameAs, Settings, component, derive, names, open_slots

VERSION = 1

Source = str | list[str] | dict[str, str]
"""A file, several files one after the other, or one text file per column."""


class Data(Settings):
    """Where the rows come from; paths are relative to the recipe, then to the data root."""

    train: Source | None = None
    valid: Source | None = None
    test: Source | None = None
    file: Source | None = None


@functools.cache
def _columns(direction: str) -> Any:
    """The type of an input or output: a modality's name, or a mapping with its type."""
    made = {"inputs": input_settings, "outputs": output_settings}[direction]
    members = tuple(Annotated[made(name), Tag(name)] for name in names("modalities"))
    union = Annotated[Union[members], Discriminator(lambda value: value.get("type") if isinstance(value, dict) else value.type)]
    return Annotated[union, BeforeValidator(lambda value: {"type": value} if isinstance(value, str) else value)]


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
    _allow_names(made)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Ostinato recipe", **made}


def _allow_names(node: Any) -> None:
    """Opens each union of typed settings to bare names and to mappings without a type."""
    if isinstance(node, list):
        for child in node:
            _allow_names(child)
    if not isinstance(node, dict):
        return
    for child in list(node.values()):
        _allow_names(child)
    if "properties" in node and "type" in node["properties"]:
        node["properties"]["type"].pop("default", None)
    if "oneOf" in node and all("$ref" in option for option in node["oneOf"]):
        members = node.pop("oneOf")
        node.pop("discriminator", None)
        node["anyOf"] = [*members, {"type": "string"}]


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
        return self.settings.plain()

    def with_chosen(self, chosen: Mapping[str, tuple[Any, str]]) -> Recipe:
        """The recipe with values chosen from the data where the user gave none: path -> (value, reason)."""
        given = _copied(self.given)
        for path, (value, _) in chosen.items():
            _set(given, path, value, self.settings)
        reasons = self.reasons | {path: reason for path, (_, reason) in chosen.items()}
        return Recipe(check(given, self.origin), given, self.base, self.origin, reasons)

    def yaml(self, *, reasons: bool = True) -> str:
        """The recipe as YAML, with the reason behind each value that was chosen from the data."""
        lines = dump_yaml(_unwrapped(self.plain()))
        return lines if not reasons else lines + "".join(f"# {path}: {why}\n" for path, why in sorted(self.reasons.items()))


def load(path: str | Path, sets: Sequence[str] = ()) -> Recipe:
    """Reads a recipe file and applies `path=value` overrides.

    Errors:
        ConfigError: every mistake of the file, each with its line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        close = nearest(path.name, [one.name for one in path.parent.glob("*.y*ml")]) if path.parent.is_dir() else ""
        raise ConfigError(f"there is no recipe {path}{close}") from None
    except UnicodeDecodeError as why:
        raise ConfigError(f"{path}: not UTF-8 ({why.reason} at byte {why.start}); save it as UTF-8") from None
    plain = parse_yaml(text, str(path))
    if not isinstance(plain, dict):
        raise ConfigError(f"{path}: a recipe is a mapping with inputs and outputs, this is {_kind(plain)}")
    settings = check(plain, str(path), text) if not sets else None
    for one in sets:
        where, sign, value = one.partition("=")
        if not sign or not where:
            raise ConfigError(f"--set {one}: write PATH=VALUE, such as training.epochs=5")
        _set(plain, where, parse_yaml(value, f"--set {one}"), settings)
    return Recipe(check(plain, str(path), text), plain, path.parent, str(path))


def from_arguments(
    inputs: Mapping[str, Any], outputs: Mapping[str, Any], *, data: Any = None, search: Any = None, training: Any = None
) -> Recipe:
    """The same words as Python arguments: names, mappings, or classes of `ostinato.settings`."""
    plain: dict[str, Any] = {"inputs": {k: _plain(v) for k, v in inputs.items()}, "outputs": {k: _plain(v) for k, v in outputs.items()}}
    for name, value in {"data": data, "search": search, "training": training}.items():
        if value is not None:
            plain[name] = _plain(value)
    return Recipe(check(plain, "arguments"), plain, Path.cwd(), "arguments")


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


def _set(plain: dict[str, Any], path: str, value: Any, settings: Settings | None) -> None:
    """Sets `a.b.c`; a bare name on the way opens to `{type: name}`, and a slot that nobody wrote takes the type that it has."""
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


def parse_yaml(text: str, origin: str) -> Any:
    """YAML 1.2 to plain values; aliases and unknown tags are refused, duplicate keys too."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.events import AliasEvent

    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            if isinstance(event, AliasEvent):
                raise ConfigError(f"{origin}: line {event.start_mark.line + 1}: aliases (*{event.anchor}) are not allowed; write it out")
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as why:
        mark = why.problem_mark or why.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = (why.problem or why.context or "not YAML").strip().split("\n")[0]
        raise ConfigError(f"{origin}: {place}{problem}") from None
    except (YAMLError, ValueError) as why:
        raise ConfigError(f"{origin}: not YAML: {str(why).splitlines()[0]}") from None


def dump_yaml(plain: Any) -> str:
    from ruamel.yaml import YAML

    writer, out = YAML(typ="rt"), io.StringIO()
    writer.default_flow_style = None
    writer.width = 120
    writer.allow_unicode = True
    writer.dump(plain, out)
    return out.getvalue()


def _unwrapped(plain: Any) -> Any:
    """Settings as a person writes them: nothing where nothing is set, and a mapping that holds only a type is its name."""
    if isinstance(plain, dict):
        kept = {key: _unwrapped(value) for key, value in plain.items() if value is not None}
        return kept["type"] if list(kept) == ["type"] else kept
    return [_unwrapped(one) for one in plain] if isinstance(plain, list) else plain


def check(plain: dict[str, Any], origin: str, text: str | None = None) -> Settings:
    """Plain values to settings.

    Errors:
        ConfigError: all mistakes together, a line each.
    """
    if isinstance(plain.get("version"), int) and not isinstance(plain["version"], bool) and plain["version"] > VERSION:
        raise ConfigError(f"{origin}: written for recipe version {plain['version']}, this Ostinato knows up to {VERSION}; update Ostinato")
    try:
        settings = recipe_class().model_validate(plain)
    except ValidationError as why:
        mistakes = [_mistake(error, plain) for error in why.errors(include_url=False)]
    else:
        mistakes = list(_impossible(settings))
        if not mistakes:
            return settings
    marks = _lines(text) if text else {}
    shown = []
    for path, message in dict.fromkeys(mistakes):
        parts = path.split(".")
        line = next((marks[".".join(parts[:cut])] for cut in range(len(parts), 0, -1) if ".".join(parts[:cut]) in marks), None)
        shown.append(f"{f'line {line}, ' if line else ''}{path}: {message}")
    head = f"{origin}: " if len(shown) == 1 else f"{origin}: {len(shown)} mistakes\n  "
    raise ConfigError(head + "\n  ".join(shown))


def _mistake(error: Mapping[str, Any], plain: Any) -> tuple[str, str]:
    """The path as written in the file, and what is wrong there."""
    path, here, cls = [], plain, recipe_class()
    for place in error["loc"]:
        members = _members(cls)
        if isinstance(here, dict) and place in here and not (place in members and place not in getattr(cls, "model_fields", {})):
            cls = _step(cls, place)
            path.append(str(place))
            here = here[place]
        elif isinstance(here, list) and isinstance(place, int) and place < len(here):
            path.append(str(place))
            here = here[place]
        elif place in members:
            cls = members[place]
        elif error["type"] in ("missing", "extra_forbidden") and place == error["loc"][-1]:
            path.append(str(place))
    where, kind, given = ".".join(path) or "recipe", error["type"], error.get("input")
    fields = getattr(cls, "model_fields", {})
    if kind == "extra_forbidden":
        parent = recipe_class()
        for place in error["loc"][:-1]:
            parent = _members(parent).get(place) or _step(parent, place)
        fields = getattr(parent, "model_fields", {})
        return where, f"unknown setting{nearest(str(error['loc'][-1]), fields)}"
    if kind == "union_tag_invalid":
        return f"{where}.type" if isinstance(given, dict) else where, f"'{error['ctx']['tag']}' is not known{nearest(str(error['ctx']['tag']), _members(cls))}"
    if kind == "union_tag_not_found":
        return where, f"say which by a name or a `type`; allowed here: {', '.join(sorted(map(str, _members(cls))))}"
    if kind == "missing":
        return where, "is needed and missing"
    message = error["msg"][0].lower() + error["msg"][1:]
    return where, f"{message.removeprefix('value error, ')}, got {_kind(given)}"


def _kind(value: Any) -> str:
    names_of = {dict: "a mapping", list: "a list", type(None): "nothing", bool: str(value).lower(), str: f"the text '{value}'"}
    return names_of.get(type(value), repr(value))


def _step(cls: Any, place: Any) -> Any:
    """The type behind a field of a settings class, or behind a key of a mapping type."""
    fields = getattr(cls, "model_fields", {})
    if place in fields:
        return fields[place].annotation
    if typing.get_origin(cls) is Annotated:
        return _step(typing.get_args(cls)[0], place)
    if typing.get_origin(cls) is dict:
        return typing.get_args(cls)[1]
    return None


def _members(annotation: Any) -> dict[Any, Any]:
    """Tags of a union of settings and the classes behind them, however deep it is wrapped."""
    found: dict[Any, Any] = {}
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        tags = [mark.tag for mark in arguments[1:] if isinstance(mark, Tag)]
        if tags:
            return {tags[0]: arguments[0]}
        return _members(arguments[0])
    if origin in (dict, list, tuple):
        return {}
    for part in arguments:
        found |= _members(part)
    return found


def _lines(text: str) -> dict[str, int]:
    """The line of every key of a YAML text, by path."""
    from ruamel.yaml import YAML

    lines: dict[str, int] = {}

    def walk(node: Any, path: tuple[str, ...]) -> None:
        if type(node).__name__ == "MappingNode":
            for key, value in node.value:
                lines[".".join((*path, str(key.value)))] = key.start_mark.line + 1
                walk(value, (*path, str(key.value)))
        elif type(node).__name__ == "SequenceNode":
            for place, value in enumerate(node.value):
                lines[".".join((*path, str(place)))] = value.start_mark.line + 1
                walk(value, (*path, str(place)))

    walk(YAML(typ="safe", pure=True).compose(text), ())
    return lines


def _impossible(recipe: Settings) -> typing.Iterator[tuple[str, str]]:
    """What is well spelt but cannot be: alignments, references and searches that do not fit together."""
    for name, one in recipe.inputs.items():
        yield from _dangling(f"inputs.{name}.encoder.same_as", one.encoder, recipe.inputs, "input")
    tokenizers = {**recipe.inputs, **recipe.outputs}
    for direction in ("inputs", "outputs"):
        for name, one in getattr(recipe, direction).items():
            if "tokenizer" in type(one).model_fields:
                yield from _dangling(f"{direction}.{name}.tokenizer.same_as", one.tokenizer, tokenizers, "input or output")
    both = set(recipe.inputs) & set(recipe.outputs)
    for name in sorted(both):
        yield f"outputs.{name}", f"'{name}' is an input too; give the output another name and say `column: {name}`"
    for name, one in recipe.outputs.items():
        cls, where = component("modalities", one.type), f"outputs.{name}"
        align = align_of(one)
        if align not in cls.aligns:
            yield f"{where}.align", f"'{align}' is not possible for {one.type}; allowed here: {', '.join(sorted(cls.aligns))}"
            continue
        head = component("heads", one.head.type)
        if align not in head.aligns:
            yield f"{where}.head", f"'{one.head.type}' does not serve align '{align}'; it serves: {', '.join(sorted(head.aligns))}"
        if "search" in recipe.model_fields_set and not any(component("heads", out.head.type).generates for out in recipe.outputs.values()):
            yield "search", f"'{recipe.search.type}' searches what a model generates, and no output here is generated; leave it out"
        if one.reads is not None and not one.reads:
            yield f"{where}.reads", f"an output must read an input; inputs: {', '.join(recipe.inputs)}"
        for read in one.reads or ():
            if read not in recipe.inputs:
                yield f"{where}.reads", f"there is no input '{read}'{nearest(read, recipe.inputs)}"
        if one.of is not None and align != "next":
            yield f"{where}.of", f"`of` belongs to align 'next', this output's is '{align}'; leave it out"
        if "horizon" in one.model_fields_set and align != "next":
            yield f"{where}.horizon", f"`horizon` belongs to align 'next', this output's is '{align}'; leave it out"
    for way, other in (("file", "train"), ("train", "file")):
        if way == "file" and recipe.data.file is not None and recipe.data.train is not None:
            yield "data.file", f"give `{way}` or `{other}`, not both"


def _dangling(path: str, reference: Any, allowed: Mapping[str, Any], what: str) -> typing.Iterator[tuple[str, str]]:
    if isinstance(reference, SameAs) and reference.same_as not in allowed:
        yield path, f"there is no {what} '{reference.same_as}'{nearest(reference.same_as, allowed)}"


def align_of(output: Settings) -> str:
    """The alignment of an output: what it says, or its modality's default."""
    return output.align or component("modalities", output.type).default_align
