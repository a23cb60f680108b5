"""YAML 1.2 to plain values and back, with the guards that a recipe needs and the line of every key."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

from ostinato.errors import ConfigError

MOST_LETTERS, MOST_WORDS = 1 << 20, 20_000
"""A recipe that is longer is something else, or a generated one whose files belong into a folder or a table."""


def parse_yaml(text: str, origin: str) -> Any:
    """YAML 1.2 to plain values; aliases and unknown tags are refused, duplicate keys too. A date is a text, as 1.2
    has it."""
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import SafeConstructor
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.events import AliasEvent

    class Undated(SafeConstructor):
        """ruamel makes dates of what looks like them in 1.2 too, whose core schema knows none."""

    Undated.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: node.value)
    try:
        for number, event in enumerate(YAML(typ="safe", pure=True).parse(text[: MOST_LETTERS + 1])):
            if number > MOST_WORDS or len(text) > MOST_LETTERS:
                raise ConfigError(
                    f"{origin}: longer than a recipe may be, {MOST_WORDS:,} words and {MOST_LETTERS:,} characters;"
                    " where it names many files, put their rows into one, or name a folder with a manifest"
                )
            if isinstance(event, AliasEvent):
                raise ConfigError(
                    f"{origin}: line {event.start_mark.line + 1}: aliases (*{event.anchor}) are not allowed; write it"
                    " out"
                )
        loader = YAML(typ="safe", pure=True)
        loader.Constructor = Undated
        return loader.load(text)
    except MarkedYAMLError as why:
        mark = why.problem_mark or why.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = (why.problem or why.context or "not YAML").strip().split("\n")[0]
        begin = re.match(r"\s*", text.splitlines()[mark.line]) if mark and mark.line < len(text.splitlines()) else None
        if begin is not None and "\t" in begin[0]:
            problem = "the line is indented by a tab, which YAML does not allow; write spaces in its place"
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


def listed(plain: Mapping[str, Any]) -> str:
    """The entries of a mapping in one line."""
    return ", ".join(dump_yaml(dict(plain)).strip().splitlines())


def flow(plain: Any) -> str:
    """A value in one line, a mapping as YAML has it between braces."""
    return f"{{{listed(plain)}}}" if isinstance(plain, Mapping) else str(plain)


def line_numbers(text: str) -> dict[str, int]:
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
