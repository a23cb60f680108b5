"""A recipe's parts as parameters with scikit-learn's names: `training__epochs` is `training.epochs`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ostinato.errors import ConfigError, nearest
from ostinato.recipe.paths import set_path
from ostinato.recipe.read import plain_of
from ostinato.registry import Settings

WITHIN = "__"
"""Between the names of a path."""


def within(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, and each setting within them under its path."""
    return dict(_each(parameters, ""))


def _each(settings: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        yield f"{prefix}{name}", value
        plain = plain_of(value)
        if isinstance(plain, Mapping):
            yield from _each(plain, f"{prefix}{name}{WITHIN}")


def changed(parameters: Mapping[str, Any], values: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The parameters with other values.

    Args:
        parameters: by name.
        values: by name, or by the path of a setting within one.
        settings: of the recipe that the parameters make: a setting that nobody wrote has its type there.

    Errors:
        ConfigError: there is no such parameter.
    """
    new, opened = dict(parameters), set()
    for path, value in values.items():
        name, *rest = path.split(WITHIN)
        if name not in new:
            raise ConfigError(
                f"set_params: no parameter {path}{nearest(name, new)}; a setting within one is written with two"
                " underscores, such as training__epochs=3"
            )
        if rest and name not in opened:
            new[name] = plain_of(new[name])
            opened.add(name)
        if rest:
            set_path(new, ".".join([name, *rest]), value, settings)
        else:
            new[name] = value
    return new
