"""Writes docs/reference.md: every member of every room, its settings, their types, defaults and meaning, from the
constructors.

python tools/reference.py            writes the page
python tools/reference.py --check    says whether the page is up to date; exit code 1 if it is not
"""

from __future__ import annotations

import argparse
import inspect
import itertools
import json
import re
import sys
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from ostinato.errors import ConfigError
from ostinato.files import write
from ostinato.metrics.contract import key_of
from ostinato.model.columns import InputFields, OutputFields
from ostinato.preprocessing import sizes as planning
from ostinato.recipe.read import from_arguments
from ostinato.recipe.schema import Data, From, recipe_class
from ostinato.registry import ROOMS, Room, Settings, component, keyword_only, names, settings_class
from ostinato.training.loop import Training

HOME = Path(__file__).resolve().parent.parent
PAGE = HOME / "docs" / "reference.md"

ABOUT = {
    "modalities": "The `type` of an input or output. Every input also has [these settings](#every-input), every output"
    " [these](#every-output).",
    "tokenizers": "`tokenizer` of a text.",
    "metrics": "What `evaluate` measures. `metrics` of an output lists them, names or mappings with a `type`; by "
    "default they"
    " are those of its modality and head. `training.monitor: OUTPUT.METRIC` monitors one, under its name in reports.",
    "cells": "`cell` of an encoder or decoder.",
    "attentions": "`attention` of a decoder.",
    "encoders": "`encoder` of an input.",
    "joins": "`join` of an output.",
    "decoders": "`decoder` of an autoregressive head.",
    "distributions": "What a head predicts; chosen by the head, for plug-ins.",
    "heads": "`head` of an output.",
    "searches": "`search` of the recipe, or `--set search...` of `evaluate` and `predict`.",
    "optimizers": "`training.optimizer`.",
    "schedules": "`training.schedule`: the factor of the learning rate.",
    "importers": "`ostinato import FOLDER --format NAME`; no part of a recipe. [Import](import.md).",
    "probes": "A member is a command, as in `ostinato probe gradients RUN`, and its settings are options; no part of a"
    " recipe.",
}
"""Where a recipe names a room's members."""

BOUNDS = {"ge": "{} or more", "gt": "above {}", "le": "at most {}", "lt": "below {}"}
KINDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}
SECTIONS = re.compile(r"^(Shapes|Units|Args|Errors|Source)\b.*:", re.MULTILINE)


def sections(text: str) -> dict[str, str]:
    """A docstring by its parts: `line`, `body`, then `Shapes`, `Units`, `Args`, `Errors`, `Source` as far as they are
    there."""
    line, _, rest = text.partition("\n")
    marks = list(SECTIONS.finditer(rest))
    found = {"line": line, "body": rest[: marks[0].start() if marks else None].strip("\n")}
    for mark, following in zip(marks, [*marks[1:], None]):
        begin = mark.start() + len(mark[1]) + 1
        found[mark[1]] = rest[begin : following.start() if following else None].strip()
    return found


def meanings(cls: type) -> dict[str, str]:
    """What the `Args:` lines of a class say of each name; names with one line in common have it each."""
    found: dict[str, str] = {}
    last: list[str] = []
    for line in sections(inspect.getdoc(cls) or "").get("Args", "").splitlines():
        entry = re.match(r"\s{0,4}([a-z_0-9]+(?:, [a-z_0-9]+)*): (.*)", line)
        if entry:
            last = entry[1].split(", ")
            found |= dict.fromkeys(last, entry[2])
        else:
            found |= {name: f"{found[name]} {line.strip()}" for name in last}
    return found


def kind(annotation: Any) -> str:
    """A type as a person says it."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        rooms = [mark for mark in arguments[1:] if isinstance(mark, Room)]
        if rooms:
            return f"one of [{rooms[0].name}](#{rooms[0].name})" + (", or `{same_as: NAME}`" if rooms[0].shared else "")
        limits = [mark for outer in arguments[1:] for mark in getattr(outer, "metadata", [outer])]
        said = [
            BOUNDS[key].format(f"{getattr(limit, key):g}") for limit in limits for key in BOUNDS if hasattr(limit, key)
        ]
        return ", ".join([kind(arguments[0]), " and ".join(said)] if said else [kind(arguments[0])])
    if origin in (Union, types.UnionType):
        said = list(dict.fromkeys("none" if part is type(None) else kind(part) for part in arguments))
        return ("; or " if any(", " in part for part in said) else " or ").join(said)
    if origin is Literal:
        return ", ".join(f"`{_written(value)}`" for value in arguments)
    if origin in (list, tuple):
        return f"list of {kind(arguments[0])}"
    if origin is dict:
        return "mapping" if arguments[1] is Any else "mapping from column to text"
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return f"mapping with {' and '.join(f'`{name}`' for name in annotation.model_fields)}"
    return KINDS[annotation]


def _written(value: Any) -> str:
    """A value as YAML writes it."""
    return value if isinstance(value, str) and value.isprintable() and value.strip() else json.dumps(value)


HEADED = {
    "text": ({"type": "text"}, {"type": "category"}, {"type": "number"}, {"of": "read", "align": "next"}),
    "tokens": ({"type": "tags"},),
    "series": ({"of": "read", "align": "next", "horizon": 2, "lookback": 2},),
}
"""Outputs beside an input that each head serves one of."""


def chosen_from_data() -> dict[type, set[str]]:
    """The settings that are chosen from the data where a recipe leaves them out, by the class that has them."""
    found: dict[type, set[str]] = {}
    text = {"type": "text"}
    pairs = {
        "tokenizers": ("tokenizer", [(text, text)]),
        "encoders": ("encoder", [(text, text)]),
        "heads": ("head", [({"type": read}, said) for read, outputs in HEADED.items() for said in outputs]),
    }
    for room, (slot, served) in pairs.items():
        for name, (read, said) in itertools.product(names(room), served):
            given = {slot: name}
            try:
                recipe = from_arguments(
                    {"read": read if slot == "head" else read | given},
                    {"said": said if slot == "encoder" else said | given},
                )
            except ConfigError:
                continue  # This member cannot stand there; what is chosen for it is chosen for the others.
            counted = dict.fromkeys(("inputs.read", "outputs.said"), 10**6)
            amount = planning.Amount(10**4, counted, counted)
            for path in (*planning.tokenizers(recipe, amount), *planning.sizes(recipe, amount)):
                *place, setting = path.split(".")
                owners = {"training": Training, slot: component(room, name)}
                owners["decoder"] = component("decoders", "recurrent")
                owner = owners.get(place[-1])
                if owner is not None:
                    found.setdefault(owner, set()).add(setting)
    return found


def settings_table(
    cls: type, chosen: Mapping[type, set[str]], *, defaults: Mapping[str, str] | None = None
) -> list[str]:
    """The settings of a class: name, type, default, meaning."""
    parameters, said = keyword_only(cls), meanings(cls)
    if not parameters:
        return ["No settings."]
    lines = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    for one in parameters:
        default = (defaults or {}).get(one.name) or ("needed" if one.default is one.empty else _default(one.default))
        if one.name in chosen.get(cls, ()):
            default = "from the data"
        lines.append(f"| `{one.name}` | {_cell(kind(one.annotation))} | {_cell(default)} | {_cell(said[one.name])} |")
    return lines


def _default(value: Any) -> str:
    if value is None:
        return "none"
    return f"`{_written(list(value) if isinstance(value, tuple) else value)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def member(room: str, name: str, chosen: Mapping[type, set[str]]) -> list[str]:
    """One member: its line, its equations, its settings, its source."""
    cls = component(room, name)
    parts = sections(inspect.getdoc(cls) or "")
    lines = [f"### {room}: {name}", "", parts["line"], ""]
    if parts["body"]:
        lines += [_spaced(parts["body"]), ""]
    if room == "modalities":
        aligns = ", ".join(f"`{align}`" for align in sorted(cls.aligns & _served()))
        lines += [
            f"As an output: align {aligns}; metrics {', '.join(_metrics(cls))}." if aligns else "An input alone.",
            "",
        ]
    lines += [*settings_table(cls, chosen), ""]
    if "Source" in parts:
        lines += [f"Source: {' '.join(parts['Source'].split())}", ""]
    return lines


def _served() -> frozenset[str]:
    """The alignments that some head serves."""
    return frozenset().union(*(component("heads", name).aligns for name in names("heads")))


def _metrics(cls: type) -> list[str]:
    every = (
        entry if isinstance(entry, dict) else {"type": entry} for listed in cls.metrics.values() for entry in listed
    )
    settings = {key_of(one): one for one in (settings_class("metrics", entry["type"])(**entry) for entry in every)}
    return [f"[{key}](#metrics-{one.type})" for key, one in settings.items()]


def _spaced(body: str) -> str:
    """A docstring's body with a blank line around each indented part, which Markdown then leaves as it is."""
    lines: list[str] = []
    for line in body.splitlines():
        indented = line.startswith("    ")
        if lines and line and lines[-1] and indented != lines[-1].startswith("    "):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)


def page() -> str:
    """docs/reference.md."""
    chosen = chosen_from_data()
    lines = [
        "# Reference",
        "",
        "Every setting of a recipe, written by `tools/reference.py` from the constructors; a test keeps it up to date.",
        "[recipes.md](recipes.md) explains how they fit together. *From the data*: chosen from the training rows where "
        "the recipe",
        "leaves it out, and printed with its reason. A bare name stands for `{type: name}`. None: leave it out, or "
        "write `null`.",
        "",
        "[The recipe](#the-recipe) · [every input](#every-input) · [every output](#every-output) · "
        "[training](#training) · " + " · ".join(f"[{room}](#{room})" for room in ROOMS),
        "",
        "## The recipe",
        "",
        "| key | default | meaning |",
        "|---|---|---|",
        "| `version` | `1` | version of the grammar |",
        "| `data` | none | [where the rows come from](#data) |",
        "| `from` | none | [an earlier run to start from](#from) |",
        "| `inputs` | needed | name: modality, or a mapping with its `type` and settings |",
        "| `outputs` | needed | the same |",
        "| `calibration` | `none` | `none`, `temperature`: of probabilities of labels, fitted on valid in the end |",
        f"| `search` | `{recipe_class().model_fields['search'].default}` | one of [searches](#searches) |",
        "| `training` | defaults | [how the model is trained](#training) |",
        "",
        "### Data",
        "",
        f"{' '.join((inspect.getdoc(Data) or '').split())}",
        f"Each of {', '.join(f'`{name}`' for name in Data.model_fields)} is a file,",
        "a list of files (their rows one after the other), or one text file per column: `{de: train.de.gz, en: "
        "train.en.gz}`.",
        "`file` names one table in place of `train`.",
        "",
        "### From",
        "",
        f"{' '.join((inspect.getdoc(From) or '').split())} [transfer.md](transfer.md) has examples.",
        "",
        "## Every input",
        "",
        *settings_table(InputFields, chosen, defaults={"encoder": "the modality's"}),
        "",
        "## Every output",
        "",
        *settings_table(OutputFields, chosen, defaults={"align": "the modality's", "reads": "all inputs"}),
        "",
        f"Alignments that a head serves today: {', '.join(f'`{align}`' for align in sorted(_served()))}."
        " The others are refused, and so are `of` and `horizon`, which belong to `next`.",
        "",
        "## Training",
        "",
        *settings_table(Training, chosen),
        "",
    ]
    for room in ROOMS:
        lines += [f"## {room}", "", ABOUT[room], ""]
        for name in names(room):
            lines += member(room, name, chosen)
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is not up to date")
    if parser.parse_args().check:
        fresh = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page()
        print(f"{PAGE.relative_to(HOME)}: {'up to date' if fresh else 'not up to date; run python tools/reference.py'}")
        return 0 if fresh else 1
    write(PAGE, page())
    print(PAGE.relative_to(HOME))
    return 0


if __name__ == "__main__":
    sys.exit(main())
