"""Errors of pydantic in words for the user: the path as written, what is wrong there, the nearest
right word."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Tag

from ostinato.errors import nearest
from ostinato.recipe.migrate import new_word
from ostinato.recipe.other_tools import advice, own_places
from ostinato.registry import Settings

SHOWN_LETTERS = 60
MOST_PLACES = 4
"""More places of one setting help nobody."""

EXAMPLES = {"inputs": "{subject: text}", "outputs": "{label: category}"}


def explain(
    error: Mapping[str, Any], plain: Any, recipe: type[Settings], settings: Settings | None = None
) -> tuple[str, str]:
    """The path as written in the file, and what is wrong there.

    Args:
        error: pydantic's.
        plain: the recipe.
        recipe: its class.
        settings: the recipe without its unknown settings, where that is valid.
    """
    path, cls = located(error, plain, recipe)
    where, sort, value = ".".join(map(str, path)) or "recipe", error["type"], error.get("input")
    fields = getattr(cls, "model_fields", {})
    if sort == "extra_forbidden":
        parent = recipe
        for place in error["loc"][:-1]:
            parent = _members(parent).get(place) or _step(parent, place)
        fields = getattr(parent, "model_fields", {})
        name = str(error["loc"][-1])
        new = new_word(tuple(map(str, path)), plain)
        if new is not None:
            return where, f"unknown setting; it is {new} now"
        places = own_places(name, settings) if settings is not None else []
        if 0 < len(places) <= MOST_PLACES:
            return where, f"unknown setting here; it is {' or '.join(places)}"
        if (words := advice(name, error.get("input"), plain)) is not None:
            return where, f"unknown setting; '{name}' of other tools is {words}"
        return where, f"unknown setting{nearest(name, fields)}{_elsewhere(name, error['loc'], recipe)}"
    if sort == "union_tag_invalid":
        tag = str(error["ctx"]["tag"])
        return f"{where}.type" if isinstance(
            value, dict
        ) else where, f"'{tag}' is not known{nearest(tag, _members(cls))}"
    if sort == "union_tag_not_found":
        return where, f"choose one by a name or a `type`; allowed here: {', '.join(sorted(map(str, _members(cls))))}"
    if sort == "missing":
        return where, "is needed and missing"
    if sort in ("dict_type", "model_type", "too_short") and where in EXAMPLES:
        return where, f"name at least one column and its type, such as {EXAMPLES[where]}, got {kind(value)}"
    if sort in ("dict_type", "model_type"):
        return where, f"give settings by their names, such as {{NAME: VALUE}}, got {kind(value)}"
    if sort in ("tuple_type", "list_type"):
        example = value if isinstance(value, str | int | float) else "VALUE"
        return where, f"give a list, such as [{example}], got {kind(value)}"
    if sort == "too_short":
        return where, "name at least one, or leave it out; this is empty"
    message = error["msg"][0].lower() + error["msg"][1:]
    return where, f"{message.removeprefix('value error, ')}, got {kind(value)}"


def located(error: Mapping[str, Any], plain: Any, recipe: type[Settings]) -> tuple[list[Any], Any]:
    """The keys of a recipe that lead to an error of pydantic's, and the class behind them."""
    path, here, cls = [], plain, recipe
    for place in error["loc"]:
        members = _members(cls)
        if (
            isinstance(here, dict)
            and place in here
            and not (place in members and place not in getattr(cls, "model_fields", {}))
        ):
            cls = _step(cls, place)
            path.append(place)
            here = here[place]
        elif isinstance(here, list) and isinstance(place, int) and place < len(here):
            cls = _step(cls, place)
            path.append(place)
            here = here[place]
        elif place in members:
            cls = members[place]
        elif error["type"] in ("missing", "extra_forbidden") and place == error["loc"][-1]:
            path.append(place)
    return path, cls


def _elsewhere(name: str, places: Sequence[Any], recipe: type[Settings]) -> str:
    """A hint where another member of the same slot has this setting."""
    slot: Any = recipe
    for place in places[:-2]:
        slot = _members(slot).get(place) or _step(slot, place)
    members = _members(slot)
    having = [
        str(tag) for tag, member in members.items() if tag != places[-2] and name in getattr(member, "model_fields", {})
    ]
    return (
        f"; '{name}' belongs to type: {' or '.join(having)}"
        if having and len(places) > 1 and places[-2] in members
        else ""
    )


def kind(value: Any) -> str:
    """What a value is, for a message: a text by its first letters, since a whole file may have been taken for one."""
    if isinstance(value, str):
        short = " ".join(value[:SHOWN_LETTERS].split()) + "\u2026"
        return f"the text '{value if len(value) <= SHOWN_LETTERS else short}'"
    names_of = {dict: "a mapping", list: "a list", type(None): "nothing", bool: str(value).lower()}
    return names_of.get(type(value), repr(value))


def _step(cls: Any, place: Any) -> Any:
    """The type behind a field of a settings class, a key of a mapping type or a place of a list type."""
    fields = getattr(cls, "model_fields", {})
    if place in fields:
        return fields[place].annotation
    if typing.get_origin(cls) is Annotated:
        return _step(typing.get_args(cls)[0], place)
    if typing.get_origin(cls) is dict:
        return typing.get_args(cls)[1]
    if isinstance(place, int):
        if typing.get_origin(cls) is list:
            return typing.get_args(cls)[0]
        return next(filter(None, (_step(part, place) for part in typing.get_args(cls))), None)
    return None


def _members(annotation: Any) -> dict[Any, Any]:
    """Tags of a union of settings and the classes behind them, however deep it is wrapped."""
    members: dict[Any, Any] = {}
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        tags = [mark.tag for mark in arguments[1:] if isinstance(mark, Tag)]
        if tags:
            return {tags[0]: arguments[0]}
        return _members(arguments[0])
    if origin in (dict, list, tuple):
        return {}
    for part in arguments:
        members |= _members(part)
    return members
