"""Recipes: YAML or Python arguments to checked settings, every mistake reported at once with its line and the
nearest word."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ostinato import alignments
from ostinato.data.read import is_data
from ostinato.errors import ConfigError, nearest
from ostinato.modalities.contract import Modality
from ostinato.model.columns import input_settings
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe import rules
from ostinato.recipe.messages import explain, kind, located
from ostinato.recipe.migrate import VERSION, migrate
from ostinato.recipe.paths import at_path, set_all, set_path
from ostinato.recipe.rules import unused
from ostinato.recipe.schema import opened, recipe_class
from ostinato.recipe.yaml_text import dump_yaml, line_numbers, parse_yaml
from ostinato.registry import SameAs, Settings, component, keyword_only, names, room_of, settings_class

RUN_FILE, RECIPE_FILE = "bundle.json", "recipe.yaml"
"""Of a run folder: what describes it, and the recipe that it keeps."""


@dataclass
class Recipe:
    """A checked recipe and where it came from.

    Args:
        settings: the whole recipe as settings.
        given: what the user wrote, as plain values: what is not in it may be chosen from the data.
        base: the folder that its paths are relative to.
        origin: its file's name for messages.
        reasons: why a value was chosen from the data, by its path.
        notes: the old words that were replaced.
        roots: further folders that its paths are looked up in.
    """

    settings: Settings
    given: dict[str, Any]
    base: Path
    origin: str
    reasons: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    roots: Sequence[Path] = ()

    def plain(self) -> dict[str, Any]:
        """Every setting written out."""
        return {name: value for name, value in self.settings.plain().items() if name not in unused(self.settings)}

    def at(self, path: str) -> Any:
        """The plain value at `a.b.c`; of several settings together those that the user gave or that were chosen."""
        value = at_path(self.plain(), path)
        several = isinstance(value, Mapping) or (isinstance(value, list) and self.gives(path))
        return at_path(self.given, path) if several else value

    def gives(self, path: str) -> bool:
        """Whether there is a value at `a.b.c` that the user gave or that was chosen."""
        try:
            at_path(self.given, path)
        except (KeyError, TypeError):
            return False
        return True

    def with_chosen(self, chosen: Mapping[str, tuple[Any, str]]) -> Recipe:
        """The recipe with values chosen from the data where the user gave none: path -> (value, reason). Nothing is
        checked."""
        plain, settings = _copied(self.given), self.settings
        for path, (value, _) in chosen.items():
            set_path(plain, path, value, self.settings)
            if path.startswith("inputs.") and path.count(".") == 1:
                value = input_settings(value["type"]).model_validate(value)
            settings = _with_value(settings, path.split("."), value)
        reasons = self.reasons | {path: reason for path, (_, reason) in chosen.items()}
        return replace(self, settings=settings, given=plain, reasons=reasons)

    def checked(self, modalities: Mapping[str, Modality]) -> Recipe:
        """The recipe checked as a whole, once all is chosen.

        Args:
            modalities: as they were built from it, by place.
        """
        return replace(self, settings=check(self.given, self.origin, to_train=True, modalities=modalities))

    def yaml(self, *, reasons: bool = True) -> str:
        """The recipe as YAML, with the reason behind each value that was chosen from the data."""
        written = _written(self.settings)
        lines = dump_yaml({name: value for name, value in written.items() if name not in unused(self.settings)})
        chosen = sorted(self.reasons.items()) if reasons else ()
        return lines + "".join(f"# {path}: {' '.join(why.split())}\n" for path, why in chosen)


def load(path: str | Path, sets: Sequence[str] = ()) -> Recipe:
    """Reads a recipe file and applies `path=value` overrides.

    Errors:
        ConfigError: every mistake of the file, each with its line.
    """
    path = Path(path)
    if is_data(str(path)) and os.path.isfile(path):
        recipe = f"{path.name.split('.')[0]}.yaml"
        asked = shlex.join(["ostinato", "init", str(path), "--recipe", recipe])
        raise ConfigError(
            f"{path}: by its name this is a table or text, and a recipe is needed; `{asked}` looks at it and"
            f" writes one; put {recipe} in its place then"
        )
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise ConfigError(f"{path}: a pipe or a device, and a recipe is read from a file; write it into one")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        beside = [neighbour.name for neighbour in path.parent.glob("*.y*ml")] if os.path.isdir(path.parent) else []
        raise ConfigError(
            f"there is no recipe {path}{nearest(path.name, beside) or '; give the path of a YAML file'}"
        ) from None
    except OSError as why:
        raise ConfigError(f"{path}: cannot be read ({why.strerror}); check its permissions") from None
    except UnicodeDecodeError as why:
        raise ConfigError(f"{path}: not UTF-8 ({why.reason} at byte {why.start}); save it as UTF-8") from None
    plain = parse_yaml(text, str(path))
    if not isinstance(plain, dict):
        raise ConfigError(f"{path}: a recipe is a mapping with inputs and outputs, this is {kind(plain)}")
    origin = " ".join([str(path), *(f"--set {assignment}" for assignment in sets)])
    plain, notes = migrate(plain)
    notes += set_all(plain, sets, origin)
    base, roots = _trained_in(path)
    return Recipe(check(plain, origin, text, to_train=True), plain, base, origin, notes=notes, roots=roots)


def _trained_in(path: Path) -> tuple[Path, list[Path]]:
    """The folder and further ones that the paths of a recipe are relative to: its own, or of one that a run kept those
    of its training, while they are there."""
    try:
        kept = json.loads((path.parent / RUN_FILE).read_text(encoding="utf-8")) if path.name == RECIPE_FILE else {}
        base, roots = Path(kept["data"]["base"]), [Path(root) for root in kept["data"].get("roots", ())]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # no run, or a damaged one
        return path.parent, []
    return (base, roots) if os.path.isdir(base) else (path.parent, roots)


def from_plain(plain: dict[str, Any], origin: str) -> Recipe:
    """A recipe of plain values that no person wrote."""
    return Recipe(check(plain, origin, to_train=True), plain, Path.cwd(), origin)


def from_arguments(
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    *,
    data: Any = None,
    search: Any = None,
    training: Any = None,
    refused: Mapping[str, Any] | None = None,
) -> Recipe:
    """The same words as Python arguments: names, mappings, or classes of `ostinato.settings`; and those that no recipe
    has, for their own message."""
    parts = {"inputs": inputs, "outputs": outputs, "data": data, "search": search, "training": training}
    try:
        plain = {name: plain_of(value) for name, value in parts.items() if value is not None} | dict(refused or {})
    except RecursionError:
        raise ConfigError("arguments: one of them holds itself, or is nested too deeply; write it out") from None
    plain, notes = migrate(plain)
    return Recipe(check(plain, "arguments", to_train=True), plain, Path.cwd(), "arguments", notes=notes)


def _with_continuations(plain: dict[str, Any]) -> dict[str, Any]:
    """The recipe with what follows from `of`: an output that continues an input has its type, column and vocabulary,
    and the input's encoder is causal. What makes no sense is left as it is, for its own message."""
    inputs, outputs = plain.get("inputs"), plain.get("outputs")
    if not isinstance(inputs, dict) or not isinstance(outputs, dict):
        return plain
    data = plain.get("data")
    time = data.get("time") if isinstance(data, dict) else None
    inputs = {name: _dated(opened(column), time) for name, column in inputs.items()}
    completed, read = dict(outputs), set()
    for name, value in outputs.items():
        output = opened(value)
        if not isinstance(output, dict) or not _continues(output):
            continue
        of = output.get("of", _only_alike(output.get("type"), inputs))
        source = inputs.get(of) if isinstance(of, str) else None
        if not isinstance(source, dict) or source.get("type") not in names("modalities"):
            continue
        own = {parameter.name for parameter in keyword_only(component("modalities", source["type"]))}
        alike = output.get("type", source["type"]) == source["type"]
        shared = {key: value for key, value in source.items() if key in own and alike}
        if "tokenizer" in own and alike:
            shared["tokenizer"] = {"same_as": of}
        alignment = alignments.continuing(source["type"]) or alignments.next
        completed[name] = {
            "type": source["type"],
            "align": alignment.name,
            "of": of,
            "column": source.get("column", of),
            **shared,
            **output,
        }
        read.add(of)
    inputs = {name: _causal(column) if name in read else column for name, column in inputs.items()}
    return {**plain, "inputs": inputs, "outputs": completed}


def _continues(output: Mapping[str, Any]) -> bool:
    alignment = alignments.ALIGNMENTS.get(str(output.get("align")))
    return ("of" in output and "type" not in output) or (alignment is not None and alignment.continues)


def _only_alike(kind: Any, inputs: Mapping[str, Any]) -> str | None:
    """The one input of a type that is not known ahead; None where there are none or several."""
    alike = [
        name
        for name, column in inputs.items()
        if isinstance(column, dict) and column.get("type") == kind and not column.get("known_future")
    ]
    return alike[0] if len(alike) == 1 else None


def _dated(column: Any, time: Any) -> Any:
    """An input of dates reads the column of the table's times, where it names none."""
    kind = column.get("type") if isinstance(column, dict) else None
    if not isinstance(time, str) or kind not in names("modalities") or "column" in column:
        return column
    return {**column, "column": time} if component("modalities", kind).over_time == "dates" else column


def _causal(source: dict[str, Any]) -> dict[str, Any]:
    default = component("modalities", source["type"]).default_encoder
    encoder = source.get("encoder", default)
    encoder = dict(encoder) if isinstance(encoder, Mapping) else {"type": encoder}
    kind = encoder.get("type", default)
    if "same_as" in encoder or kind not in names("encoders"):
        return source
    off = dict.fromkeys(component("encoders", kind).sees_ahead, False)
    return {**source, "encoder": {"type": kind, **off, **encoder}} if off else source


def restore(plain: dict[str, Any], origin: str) -> Recipe:
    """A full recipe that was saved with a model."""
    plain, notes = migrate(plain)
    return Recipe(check(plain, origin), plain, Path.cwd(), origin, notes=notes)


def plain_of(value: Any) -> Any:
    """An argument as a recipe holds it: settings as the mapping that says the same."""
    if isinstance(value, Settings):
        return (
            {"type": value.type, **value.plain(full=False)}
            if "type" in type(value).model_fields
            else value.plain(full=False)
        )
    if isinstance(value, Mapping):
        return {key: plain_of(item) for key, item in value.items()}
    return [plain_of(item) for item in value] if isinstance(value, (list, tuple)) else value


def _copied(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {key: _copied(value) for key, value in plain.items()}
    return [_copied(value) for value in plain] if isinstance(plain, list) else plain


def _written(settings: Any) -> Any:
    """Settings as a person writes them: no line for what is not set by default either, a bare name for what holds
    only a type."""
    if isinstance(settings, Settings):
        fields = {name: (getattr(settings, name), field.default) for name, field in type(settings).model_fields.items()}
        kept = {
            name: _written(value)
            for name, (value, default) in fields.items()
            if value is not None or default is not None
        }
        return kept["type"] if list(kept) == ["type"] else kept
    if isinstance(settings, SameAs):
        return settings.model_dump()
    if isinstance(settings, Mapping):
        return {key: _written(value) for key, value in settings.items()}
    return [_written(item) for item in settings] if isinstance(settings, (list, tuple)) else settings


def _with_value(settings: Any, path: Sequence[str], value: Any) -> Any:
    """Settings with another value at a path; another `type` makes the settings of that member, and what was set that it
    has too is kept."""
    name, *rest = path
    if isinstance(settings, Mapping):
        return {**settings, name: _with_value(settings[name], rest, value) if rest else value}
    if name == "type":
        cls = settings_class(room_of(settings), value)
        kept = settings.model_fields_set & cls.model_fields.keys() - {"type"}
        return cls(**{name: getattr(settings, name) for name in kept})
    if not rest and isinstance(value, Mapping) and isinstance(member := getattr(settings, name), Settings):
        value = settings_class(room_of(member), value["type"]).model_validate(value)
    elif not rest and isinstance(value, list):
        value = TypeAdapter(type(settings).model_fields[name].annotation).validate_python(value)
    return settings.model_copy(update={name: _with_value(getattr(settings, name), rest, value) if rest else value})


def check(
    plain: dict[str, Any],
    origin: str,
    text: str | None = None,
    *,
    to_train: bool = False,
    modalities: Mapping[str, Modality] | None = None,
) -> Settings:
    """Plain values to settings.

    Args:
        plain: the whole recipe.
        origin: its name for messages.
        text: as it was written, for the lines of mistakes.
        to_train: whether a model shall be made of it: what is shared is then filled in, and what differs there
            refused. Of settings that were saved with a model all are given, also those that never counted.
        modalities: of each column, where they are built already; their own refusals are then known.

    Errors:
        ConfigError: all mistakes together, a line each.
    """
    if isinstance(plain.get("version"), int) and not isinstance(plain["version"], bool) and plain["version"] > VERSION:
        raise ConfigError(
            f"{origin}: written for recipe version {plain['version']}, this Ostinato knows up to {VERSION}; update"
            " Ostinato"
        )
    recipe, continued = recipe_class(), _with_continuations(plain)
    try:
        settings = recipe.model_validate(continued)
    except ValidationError as why:
        errors = why.errors(include_url=False)
        known = _without(continued, errors)
        messages = [explain(error, plain, recipe, known) for error in errors]
    else:
        messages = (
            list(rules.check(settings))
            or list(rules.check_components(settings, modalities))
            or (list(rules.check_sharing(settings)) if to_train else [])
        )
        if not messages:
            return _shared(settings) if to_train else settings
    marks = line_numbers(text) if text else {}
    shown = []
    for path, message in dict.fromkeys(messages):
        parts = path.split(".")
        line = next(
            (marks[".".join(parts[:cut])] for cut in range(len(parts), 0, -1) if ".".join(parts[:cut]) in marks), None
        )
        shown.append(f"{f'line {line}, ' if line else ''}{path}: {message}")
    head = f"{origin}: " if len(shown) == 1 else f"{origin}: {len(shown)} mistakes\n  "
    raise ConfigError(head + "\n  ".join(shown))


def _without(plain: dict[str, Any], errors: Sequence[Mapping[str, Any]]) -> Settings | None:
    """The settings of a recipe without those that are unknown; None where more is wrong with it."""
    plain = _copied(plain)
    for error in errors:
        if error["type"] != "extra_forbidden":
            return None
        (*parents, last), here = located(error, plain, recipe_class())[0], plain
        for key in parents:
            here = here[key]
        del here[last]
    try:
        return recipe_class().model_validate(plain)
    except ValidationError:
        return None


def _shared(recipe: Settings) -> Settings:
    """The recipe in which inputs that read by another's vocabulary, and outputs that continue them, say what that
    is."""
    columns, shared, outputs = dict(recipe_columns.places(recipe)), {}, dict(recipe.outputs)
    for place, owner in recipe_columns.vocabulary_owners(recipe).items():
        column = columns[place]
        if place != owner and isinstance(getattr(column, "encoder", None), SameAs):
            taken = {word: getattr(columns[owner], word) for word in recipe_columns.of_vocabulary(column.type)}
            if "tokenizer" in taken:
                taken["tokenizer"] = SameAs(same_as=column.encoder.same_as)
            name = place.partition(".")[2]
            shared[name] = column.model_copy(update=taken)
            own = {word: value for word, value in taken.items() if word != "tokenizer"}
            outputs |= {key: other.model_copy(update=own) for key, other in outputs.items() if other.of == name}
    return recipe.model_copy(update={"inputs": {**recipe.inputs, **shared}, "outputs": outputs}) if shared else recipe
