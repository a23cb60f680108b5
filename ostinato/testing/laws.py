"""The laws of every room that takes plug-ins, by one entry.

from ostinato.testing import laws
laws.run("cells", "gru", {"reset": "before"})
laws.run("joins", MyJoin)

A room's suite is the module of this package that has its name; its `checks` are called here. A law fails by
AssertionError, which names the law, what it was tried on, and the reason. What is tried besides the laws is every other
option of the member, one at a time: each value must change something, or be refused by ConfigError.
"""

from __future__ import annotations

import importlib
from typing import Any

from ostinato import registry
from ostinato.errors import ConfigError
from ostinato.testing._tools import NOTHING, Member, Tried


def run(room: str, member: type | str, options: dict[str, Any] | None = None, tried: Tried = NOTHING) -> None:
    """Every law of a room, for a member with these options.

    Args:
        room: as `registry.ROOMS` calls it.
        member: its class, or its name where it is installed.
        options: its settings; what is not given has its default.
        tried: other values of some options, where the neighbour of a default tells nothing: a limit far above the few
            examples of a law.
    """
    for name, check in suite(room).checks(Member.of(room, member, options, tried)):
        try:
            check()
        except AssertionError as why:
            raise AssertionError(f"{name}: {why}") from why


def variants(room: str, member: type | str, options: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The options to run the laws with: these, and these with each further option at each other value that is not
    refused."""
    accepted, standard = [], Member.of(room, member, options)
    for variant in (standard, *standard.others(suite(room).TRIED)):
        try:
            suite(room).checks(variant)
        except ConfigError:
            continue
        accepted.append(variant.options)
    return accepted


def suite(room: str) -> Any:
    if room not in registry.ROOMS:
        raise ConfigError(f"no room is called '{room}'; rooms: {', '.join(registry.ROOMS)}")
    return importlib.import_module(f"ostinato.testing.{room}")
