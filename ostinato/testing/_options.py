"""Values of a member's options, made from their types and constraints."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from ostinato import registry


def other_values(settings: type[registry.Settings]) -> Iterator[tuple[str, Any]]:
    """Every option with every value but the default; for numbers one other value that its constraints allow."""
    for option, info in settings.model_fields.items():
        if option != "type":
            yield from ((option, value) for value in _others(option, info))


def _others(option: str, info: FieldInfo) -> list[Any]:
    kinds = [info.annotation]
    if get_origin(info.annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(info.annotation) if kind is not type(None)]
        if len(kinds) < len(get_args(info.annotation)) and info.default is not None:
            return [None]
    kind = kinds[0]
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return [value for value in get_args(kind) if value != info.default]
    if kind is bool:
        return [not info.default]
    if kind not in (int, float):
        raise TypeError(f"{option}: the law of options has no other value for {info.annotation}")
    default = info.default or kind(0)
    allowed = TypeAdapter(Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation)
    for value in (default + kind(1), kind(default / 2), default - kind(1), kind(0.25), kind(0.5), kind(1)):
        if value != info.default and _is_allowed(allowed, value):
            return [value]
    raise TypeError(f"{option}: no number but its default {info.default} fits {info.annotation}")


def _is_allowed(adapter: TypeAdapter, value: Any) -> bool:
    try:
        adapter.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True
