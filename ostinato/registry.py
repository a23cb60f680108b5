"""Rooms and their members: a room is a folder, a component a file, its name the file's name; settings come from
constructors."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
import types
import typing
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, create_model

from ostinato.errors import ConfigError, nearest

ROOMS = {
    "modalities": "ostinato.modalities",
    "tokenizers": "ostinato.tokenizers",
    "metrics": "ostinato.metrics",
    "cells": "ostinato.cells",
    "attentions": "ostinato.attentions",
    "encoders": "ostinato.encoders",
    "joins": "ostinato.joins",
    "decoders": "ostinato.decoders",
    "distributions": "ostinato.distributions",
    "heads": "ostinato.heads",
    "searches": "ostinato.searches",
    "optimizers": "ostinato.training.optimizers",
    "schedules": "ostinato.training.schedules",
    "importers": "ostinato.importers",
    "probes": "ostinato.probes.kinds",
}

CONTRACT = "contract"
"""The file of a room that holds its abstract class, and no member."""

MOST = 2**31 - 1
"""The largest whole number of a recipe: torch, numpy and the kernels hold it in 32 bits."""
Count = Annotated[int, Field(ge=1, le=MOST)]
"""A whole number from 1 up: sizes, layers, widths."""
Whole = Annotated[int, Field(ge=0, le=MOST)]
"""A whole number from 0 up."""
Rate = Annotated[float, Field(ge=0, lt=1)]
"""A probability below 1: dropout, smoothing, momentum."""
Share = Annotated[float, Field(ge=0, le=1)]
"""A share from 0 to 1."""
NonNegative = Annotated[float, Field(ge=0)]
"""A real number from 0 up."""
Positive = Annotated[float, Field(gt=0)]
"""A real number above 0."""


class Settings(BaseModel):
    """Frozen settings of one component, derived from its constructor's keyword-only parameters."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    def model_post_init(self, _: Any) -> None:
        # Which member it is counts as set: a GRU without options must not turn into its slot's default.
        if "type" in type(self).model_fields:
            self.__pydantic_fields_set__.add("type")

    if typing.TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Fields come from constructors, so that no type checker knows them."""

    def arguments(self) -> dict[str, Any]:
        """The constructor's keyword arguments."""
        return {name: getattr(self, name) for name in type(self).model_fields if name != "type"}

    def plain(self, *, full: bool = True) -> dict[str, Any]:
        """The settings as numbers, strings, lists and dicts; without `full` only what was set."""
        return self.model_dump(mode="json", exclude_unset=not full)


class SameAs(BaseModel):
    """A reference to the component that another input or output owns."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    same_as: str


@dataclass(frozen=True)
class Room:
    """Marks a constructor's parameter as a slot: `cell: Annotated[Settings, Room("cells")] = "lstm"`.

    Args:
        name: the room whose members the slot may hold.
        shared: whether the slot may hold `{same_as: NAME}` too.
        inner: whether it is a slot of a member of the same room: it holds no member that has such a slot itself.
    """

    name: str
    shared: bool = False
    inner: bool = False


def folder(room: str) -> Path:
    if room not in ROOMS:
        raise ConfigError(f"no room is called '{room}'{nearest(room, ROOMS)}")
    spec = importlib.util.find_spec(ROOMS[room])
    assert spec is not None and spec.submodule_search_locations is not None, f"{ROOMS[room]} is no package"
    return Path(spec.submodule_search_locations[0])


@functools.cache
def _points() -> Any:
    """Entry points of all packages: each call reads a file of each of them."""
    import importlib.metadata

    return importlib.metadata.entry_points()


def _outside(room: str) -> dict[str, importlib.metadata.EntryPoint]:
    """Members that other packages bring by the entry point `ostinato.<room>`: name = module."""
    return {point.name: point for point in _points().select(group=f"ostinato.{room}")}


@functools.cache
def names(room: str) -> tuple[str, ...]:
    """The members of a room, in alphabetical order; imports none of them."""
    own = {path.stem for path in folder(room).glob("*.py") if not path.stem.startswith("_") and path.stem != CONTRACT}
    outside = _outside(room)
    for name in sorted(own & set(outside)):
        raise ConfigError(
            f"the installed module {outside[name].module} brings {room} a '{name}', which Ostinato has itself;"
            f" give it another name in its entry point ostinato.{room}, or uninstall it"
        )
    return tuple(sorted(own | set(outside)))


def summaries(room: str) -> dict[str, str]:
    """Each member's first docstring line, read from the source so that nothing heavy is imported."""
    lines = {}
    for name in names(room):
        path = folder(room) / f"{name}.py"
        if path.exists():
            tree = ast.parse(path.read_text(encoding="utf-8"))
            classes = [
                node for node in tree.body if isinstance(node, ast.ClassDef) and _names_file(node.name, name, room)
            ]
            text = ast.get_docstring(classes[0]) if classes else ast.get_docstring(tree)
        else:
            text = inspect.getdoc(component(room, name))
        lines[name] = (text or "").split("\n")[0]
    return lines


def _names_file(class_name: str, file_name: str, room: str) -> bool:
    """Whether a class is called as its file, or as that and its room: decoders/recurrent.py has `RecurrentDecoder`."""
    stem = file_name.replace("_", "")
    return class_name.lower() in (stem, stem + room.removesuffix("s"))


@functools.cache
def component(room: str, name: str) -> type[Any]:
    """The class of a member: the one in its file whose name is the file's, or the file's and the room's."""
    if name not in names(room):
        raise ConfigError(f"{room} has no '{name}'{nearest(name, names(room))}")
    outside = _outside(room)
    module = importlib.import_module(outside[name].module if name in outside else f"{ROOMS[room]}.{name}")
    for key, value in vars(module).items():
        if inspect.isclass(value) and value.__module__ == module.__name__ and _names_file(key, name, room):
            return value
    raise TypeError(f"{module.__name__} defines no class named like its file")


@functools.cache
def settings_class(room: str, name: str) -> type[Settings]:
    """The frozen settings of a member, of the same name as its class."""
    return derive(component(room, name), {"type": (Literal[name], name)})


def room_of(settings: Settings) -> str:
    """The room of the member that these settings describe."""
    return next(
        room for room in ROOMS if settings.type in names(room) and type(settings) is settings_class(room, settings.type)
    )


def derive(cls: type, extra: dict[str, Any], base: type[Settings] = Settings) -> type[Settings]:
    """A settings class from a constructor's keyword-only parameters, with the fields of `extra` in front.

    Errors:
        TypeError: a keyword-only parameter has no annotation, or the constructor takes **kwargs.
    """
    fields = dict(extra)
    for parameter in keyword_only(cls):
        fields[parameter.name] = field(parameter.annotation, parameter.default)
    with warnings.catch_warnings():
        # pydantic's own `copy` is deprecated, and nobody here calls it: a setting may have the name.
        warnings.filterwarnings("ignore", 'Field name "copy"', UserWarning)
        derived = create_model(cls.__name__, __base__=base, **fields)
    derived.__doc__ = (inspect.getdoc(cls) or "").split("\n")[0]
    return derived


def keyword_only(cls: type) -> list[inspect.Parameter]:
    """The parameters of a constructor that are the user's settings."""
    chosen = []
    constructor = inspect.getattr_static(cls, "__init__")
    for parameter in inspect.signature(constructor, eval_str=True).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            raise TypeError(f"{cls.__name__}.__init__ takes **{parameter.name}: name every setting")
        if parameter.kind is not parameter.KEYWORD_ONLY:
            continue
        if parameter.annotation is parameter.empty:
            raise TypeError(f"{cls.__name__}.__init__: {parameter.name} has no annotation")
        chosen.append(parameter)
    return chosen


def field(annotation: Any, default: Any = inspect.Parameter.empty) -> tuple[Any, Any]:
    """A pydantic field for a parameter, its slots opened to the settings of their room's members."""
    opened = open_slots(annotation, default if isinstance(default, str) else None)
    if default is inspect.Parameter.empty:
        return opened, ...
    return opened, Field(default=default, validate_default=True)


def open_slots(annotation: Any, default: str | None) -> Any:
    """Replaces `Annotated[Settings, Room(...)]`, at any depth, by the union of that room's settings."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        rooms = [mark for mark in arguments[1:] if isinstance(mark, Room)]
        if rooms:
            return slot(rooms[0], default)
        return Annotated[(open_slots(arguments[0], default), *arguments[1:])]
    if origin in (Union, types.UnionType):
        opened = [open_slots(part, default) for part in arguments]
        field = union(opened)
        is_slot = any(part is not before for part, before in zip(opened, arguments))
        if is_slot and type(None) in arguments:
            return Annotated[field, BeforeValidator(lambda value: None if value == "none" else value)]
        return field
    if origin in (list, tuple, dict) and arguments:
        return origin[tuple(open_slots(part, default) for part in arguments)]
    return annotation


def union(parts: Iterable[Any]) -> Any:
    """The union of types that are known only at run time."""
    return Union[tuple(parts)]  # noqa: UP007


def slot(room: Room, default: str | None) -> Any:
    """The type of a slot: a bare name, a mapping with `type` (or without: the default's), settings, or a reference."""
    members = [
        Annotated[settings_class(room.name, name), Tag(name)]
        for name in names(room.name)
        if not (room.inner and _wraps(component(room.name, name)))
    ]
    if room.shared:
        members.append(Annotated[SameAs, Tag("same_as")])

    def written_out(value: Any) -> Any:
        if isinstance(value, str):
            return {"type": value}
        if isinstance(value, dict) and "type" not in value and "same_as" not in value and default is not None:
            return {"type": default, **value}
        return value

    opened: Any = union(members)
    return Annotated[opened, Discriminator(_tag), BeforeValidator(written_out)]


def _wraps(cls: type) -> bool:
    """Whether a member has a slot for another one of its room."""
    marks = (mark for parameter in keyword_only(cls) for mark in typing.get_args(parameter.annotation))
    return any(isinstance(mark, Room) and mark.inner for mark in marks)


def _tag(value: Any) -> str | None:
    if isinstance(value, SameAs) or (isinstance(value, dict) and "same_as" in value and "type" not in value):
        return "same_as"
    return value.get("type") if isinstance(value, dict) else getattr(value, "type", None)


def build(settings: Settings, room: str, *positional: Any) -> Any:
    """The component that these settings describe; sizes and facts go in by position."""
    return component(room, vars(settings)["type"])(*positional, **settings.arguments())


def make(room: str, name: str, positional: Iterable[Any] = (), options: dict[str, Any] | None = None) -> Any:
    """A component by name, its options checked as in a recipe:
    `make("cells", "gru", (32, 64), {"reset": "before"})`."""
    return build(settings_class(room, name).model_validate({"type": name, **(options or {})}), room, *positional)
