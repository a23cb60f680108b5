"""What the law suites share: members made as a recipe makes them, values for their options, and numbers that are near
enough."""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import torch
from pydantic import BaseModel, TypeAdapter, ValidationError
from torch import Tensor, nn

from ostinato import registry
from ostinato.errors import ConfigError

TOLERANCE = 1e-5
"""Of the largest value, in float32: a matrix product of one row differs from the same row among others by about
1e-6."""

NUMBERS = (1, 2, 3, 0, 0.5, 0.25, 0.75, 0.9)
"""Tried after the neighbours of a number's default; the first that its type allows."""
TEXTS = ("_", "lower", "a")
"""Tried for an option that is a text."""

Tried = Mapping[str, Sequence[Any]]
"""Values of options, by their names."""
NOTHING: Tried = MappingProxyType({})

Check = tuple[str, Callable[[], None]]
"""The name of a law and of what it is tried on, and the trial itself."""


@dataclass(frozen=True, repr=False)
class Member:
    """A member of a room with some settings; a call makes it as a recipe does, from what goes in by position.

    Args:
        cls: the member's class, of Ostinato or of another package.
        options: its settings, those that are not at their defaults.
        tried: other values of some options, where the neighbour of a default tells nothing.
    """

    cls: type
    options: dict[str, Any] = field(default_factory=dict)
    tried: Tried = field(default_factory=dict)

    @staticmethod
    def of(room: str, member: type | str, options: dict[str, Any] | None = None, tried: Tried = NOTHING) -> Member:
        return Member(registry.component(room, member) if isinstance(member, str) else member, options or {}, tried)

    def settings(self) -> registry.Settings:
        """The options, checked as in a recipe, and the defaults of all others."""
        try:
            return _settings_of(self.cls).model_validate(self.options)
        except ValidationError as why:
            raise ConfigError(f"{self}: {why}") from None

    def __call__(self, *positional: Any) -> Any:
        return self.cls(*positional, **self.settings().arguments())

    def __repr__(self) -> str:
        options = ", ".join(f"{name}: {value}" for name, value in self.options.items())
        return f"{self.cls.__name__.lower()} {{{options}}}"

    def given(self, options: dict[str, Any]) -> Member:
        """The same with those of these options that it has; its own go before them."""
        names = {parameter.name for parameter in registry.keyword_only(self.cls)}
        return replace(self, options={name: options[name] for name in options if name in names} | self.options)

    def others(self, tried: Tried) -> Iterator[Member]:
        """The member with one more option at another value than its default, for each option that is free and each
        value.

        Args:
            tried: as its own, which go before them.
        """
        tried = {**tried, **self.tried}
        for parameter in registry.keyword_only(self.cls):
            if parameter.name in self.options:
                continue
            values = tried.get(parameter.name) or list(other_values(parameter.annotation, parameter.default))
            if not values and not _rooms(parameter.annotation):
                raise TypeError(f"{self}: no value of {parameter.name} to try beside {parameter.default!r}")
            for value in values:
                yield replace(self, options={**self.options, parameter.name: value})


@functools.cache
def _settings_of(cls: type) -> type[registry.Settings]:
    """Deriving took most of the time of the law of options."""
    return registry.derive(cls, {})


def _rooms(annotation: Any) -> list[str]:
    return [mark.name for mark in get_args(annotation) if isinstance(mark, registry.Room)]


def other_values(annotation: Any, default: Any) -> Iterator[Any]:
    """Values that a parameter's type allows, other than its default: all of a Literal and all members of a slot, one
    number."""
    bare = annotation
    while get_origin(bare) is Annotated:
        bare = get_args(bare)[0]
    parts = get_args(bare)
    if rooms := _rooms(annotation):
        yield from (name for name in registry.names(rooms[0]) if name != default)
    elif get_origin(bare) in (Union, types.UnionType):
        for part in parts:
            if not (part is type(None) and default is None):
                yield from other_values(part, default)
    elif bare is type(None):
        yield None
    elif get_origin(bare) is Literal:
        yield from (value for value in parts if value != default)
    elif get_origin(bare) in (list, tuple):
        yield from ([value] for value in other_values(parts[0], None) if [value] != default)
    elif isinstance(bare, type) and issubclass(bare, BaseModel):
        return  # a mapping of its own, which a suite tries by hand
    elif bare is bool:
        yield not default
    elif bare in (int, float):
        number = default if isinstance(default, (int, float)) else 0
        halves = (number / 2, number * 2) if bare is float else ()
        near = (*halves, number + 1, number // 2, number - 1, *NUMBERS)
        yield from [bare(value) for value in near if value != default and _takes(annotation, bare(value))][:1]
    elif bare is str:
        yield from [value for value in TEXTS if value != default][:1]


def _takes(annotation: Any, value: Any) -> bool:
    try:
        TypeAdapter(annotation).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def all_checks(
    member: Member,
    trials: Iterable[tuple[Callable[[Any], None], Any]],
    fingerprint: Callable[[Member], Sequence[Any]],
    tried: Tried,
) -> list[Check]:
    """What `laws.run` runs.

    Args:
        member: whose laws these are.
        trials: laws, each with the case of the member that it is tried on.
        fingerprint: all that an option of the member may change; ConfigError where it is refused.
        tried: values of some options, as `Member.others` takes them.
    """
    laws: list[Check] = [(f"{law.__name__}, {case}", partial(law, case)) for law, case in trials]
    return [*laws, ("options_matter", partial(options_matter, member, fingerprint, tried))]


def options_matter(member: Member, fingerprint: Callable[[Member], Sequence[Any]], tried: Tried) -> None:
    """Law g: each value of each option changes the fingerprint, or is refused by ConfigError."""
    standard = fingerprint(member)
    for other in member.others(tried):
        try:
            changed = fingerprint(other)
        except ConfigError:
            continue
        assert not same(changed, standard), f"{other}: the last option changes nothing"


def same(actual: Sequence[Any], expected: Sequence[Any]) -> bool:
    """Whether two lists of tensors and plain values are equal to the bit."""
    return len(actual) == len(expected) and all(
        isinstance(other, Tensor) and value.shape == other.shape and torch.equal(value, other)
        if isinstance(value, Tensor)
        else not isinstance(other, Tensor) and value == other
        for value, other in zip(actual, expected)
    )


def near(actual: Tensor, expected: Tensor, what: str, *, floor: float = 1e-3) -> None:
    """Equal to `TOLERANCE` of the largest value, which counts as `floor` at least."""
    assert actual.shape == expected.shape, f"{what}: shapes {tuple(actual.shape)} and {tuple(expected.shape)}"
    if not expected.numel():
        return
    largest = max(floor, expected.double().abs().max().item())
    apart = (actual.double() - expected.double()).abs().max().item()
    assert math.isfinite(apart) and apart <= TOLERANCE * largest, (
        f"{what}: {apart:.2g} apart, values up to {largest:.2g}"
    )


def seeded(make: Callable[[], Any], dtype: torch.dtype = torch.float32, seed: int = 0) -> Any:
    """A module made by one seed, out of training; what starts at zero is moved away from it, so that a law can see
    it."""
    torch.manual_seed(seed)
    module = make().to(dtype).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            if not parameter.any():
                parameter.uniform_(-0.5, 0.5)
    return module


def trained(model: nn.Module, loss: Callable[[], Tensor], updates: int) -> None:
    """Trains a model in place; `loss` draws a batch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(updates):
        optimizer.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def drawn(seed: int, dtype: torch.dtype = torch.float32) -> Callable[..., Tensor]:
    """Draws normal numbers of a shape; the same for each type, up to its rounding."""
    random = torch.Generator().manual_seed(seed)

    def draw(*size: int) -> Tensor:
        return torch.randn(*size, generator=random, dtype=torch.float64).to(dtype)

    return draw
