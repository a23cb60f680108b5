"""Dotted paths into a recipe: values read, set and overridden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ostinato.errors import ConfigError, nearest
from ostinato.recipe.migrate import migrate
from ostinato.recipe.yaml_text import parse_yaml
from ostinato.registry import Settings


def parse_set(text: str) -> tuple[str, Any]:
    """The path and the value of `path=value`, the value read as YAML.

    Errors:
        ConfigError: it has not this form.
    """
    path, sign, value = text.partition("=")
    if not sign or not all(path.split(".")):
        raise ConfigError(f"--set {text}: write PATH=VALUE, such as training.epochs=5")
    return path, parse_yaml(value, f"--set {text}")


def set_all(plain: dict[str, Any], sets: Sequence[str], origin: str, settings: Settings | None = None) -> list[str]:
    """Applies `path=value` overrides in turn; a note for each old word among them.

    Errors:
        ConfigError: one has not this form, or sets something of an input or output that there is not.
    """
    known = {
        side: list(columns) if isinstance(columns := plain.get(side), dict) else [] for side in ("inputs", "outputs")
    }
    pairs = [parse_set(assignment) for assignment in sets]
    notes: list[str] = []
    for path, value in pairs:
        set_path(plain, path, value, settings)
        moved, replaced = migrate(plain, always=True)
        plain.clear()
        plain.update(moved)
        notes += replaced
    for side, name, *rest in (path.split(".") for path, _ in pairs if "." in path):
        # A new input or output may be set word by word: its type is one of them.
        if rest and name not in known.get(side, (name,)) and not {"type", "of"} & set(plain[side][name]):
            raise ConfigError(
                f"{origin}: {side}.{name}: there is no {side.removesuffix('s')} '{name}'{nearest(name, known[side])}"
            )
    return notes


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
    """Sets `a.b.c`; a bare name on the way opens to `{type: name}`, and a slot that nobody wrote takes the type it
    has in `settings`."""
    *parents, last = path.split(".")
    for key in parents:
        child = plain.get(key)
        settings = settings.get(key) if isinstance(settings, dict) else getattr(settings, key, None)
        if isinstance(child, str):
            child = {"type": child}
        elif not isinstance(child, dict):
            child = (
                {"type": settings.type}
                if isinstance(settings, Settings) and "type" in type(settings).model_fields
                else {}
            )
        plain[key] = child
        plain = child
    plain[last] = value
