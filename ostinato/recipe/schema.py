"""The settings of a whole recipe, and its JSON schema."""

from __future__ import annotations

import codecs
import functools
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, Union

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, create_model

from ostinato.model.columns import input_settings, output_settings
from ostinato.recipe.migrate import VERSION
from ostinato.registry import Count, Room, Settings, Whole, component, derive, names, open_slots

Source = str | list[str] | dict[str, str | list[str]]
"""A file, several files one after the other, or one text file per column; of these several too."""


def _as_text(value: Any) -> Any:
    """A date of Python's own is written out."""
    return str(value) if isinstance(value, date) else value


def _known_encoding(name: Any) -> Any:
    if isinstance(name, str):
        try:
            codecs.lookup(name)
        except LookupError:
            raise ValueError("no encoding that Python knows; such as utf-8, cp1252, cp1251, utf-16, gb18030") from None
    return name


Share = Annotated[float, Field(gt=0, lt=1)]
Moment = Annotated[Count | Share | str | None, BeforeValidator(_as_text)]


class Ends(Settings):
    """Where the splits of series begin: a date, or a whole number for so many steps at the end of each series,
    test's after valid's. Of a text: a share below 1, for so much at its end, likewise."""

    valid: Moment = None
    test: Moment = None


class Data(Settings):
    """Where the rows come from; paths are relative to the recipe, then to the data root.

    Args:
        fraction: the share of the training rows that is kept, drawn by seed; a smaller share is part of a larger one.
        seed: what the rows set aside for validation, and the share that is kept, are drawn by; training.seed by
            default. With one data.seed, runs of several training seeds have the same rows.
        time: of series with a row per step: the column of their dates, or of whole numbers that count the steps.
        series: of several series: the column that names the one to which a row belongs.
        split: of series and of one text: where valid and test begin.
        season: of series: steps of a season, for the seasonal naive baseline and the scale of errors; from the dates by
            default.
        delimiter: what divides the fields of csv and tsv, and of text that is a table; by default commas and tabs, or
            what the header shows.
        encoding: of files of text; UTF-8 by default, or what their first bytes show.
        header: the line of csv and tsv, or the row of a sheet, that names the columns; the first by default. What comes
            before it, such as a title, is not read.
        decimal: what stands before the decimals of numbers in files of text; a point by default.
        thousands: what stands between groups of three digits; by default nothing. A blank means any space.
        rows: what a row of a text file is: each of its `lines`, what lies between `blank` lines, or the `file`. By
            default a line, and the file where all outputs continue it.
        passage: of one text that outputs continue: the characters of a passage, which ends with a line. Streams of
            `training.tbptt` read passages; validation is the last of them. Chosen by the size of the file.
        valid_rows: how many rows are set aside for validation where `valid` is not given; by default a tenth, at most
            2,000, and of fewer than 40 rows more than that.
        missing: what an empty cell among several inputs is: an `empty` text or sequence, or a reason to `drop` the row.
    """

    train: Source | None = None
    valid: Source | None = None
    test: Source | None = None
    file: Source | None = None
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Whole | None = None
    time: str | None = None
    series: str | None = None
    split: Ends | None = None
    season: Count | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    encoding: Annotated[str | None, AfterValidator(_known_encoding)] = None
    decimal: Literal[".", ","] | None = None
    thousands: Literal[".", ",", " ", "'"] | None = None
    rows: Literal["lines", "blank", "file"] | None = None
    passage: Count | None = None
    header: Count | None = None
    valid_rows: Count | None = None
    missing: Literal["empty", "drop"] = "empty"


class From(Settings):
    """An earlier run to start from: its settings where the recipe leaves them open, its vocabularies, extended by what
    is new, and its weights. The new run needs nothing of it later.

    Args:
        run: its folder, relative to the recipe, then to the current folder.
        parts: what to take over, by place: `[inputs.text.encoder]`; or from the place here to the one there:
            `{inputs.review.encoder: inputs.text.encoder}`; by default all whose types agree.
    """

    run: str
    parts: Annotated[list[str], Field(min_length=1)] | Annotated[dict[str, str], Field(min_length=1)] | None = None


@functools.cache
def _columns(direction: str) -> Any:
    """The type of an input or output: a modality's name, or a mapping with its type."""
    fields = {"inputs": input_settings, "outputs": output_settings}[direction]
    members = tuple(Annotated[fields(name), Tag(name)] for name in names("modalities"))
    union: Any = Annotated[Union[members], Discriminator(_type_of)]  # noqa: UP007
    return Annotated[union, BeforeValidator(_with_head if direction == "outputs" else opened)]


def opened(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


def _with_head(value: Any) -> Any:
    """An output whose head is not chosen gets the one that its modality has for its alignment."""
    value = opened(value)
    if not isinstance(value, dict) or value.get("type") not in names("modalities"):
        return value
    head = value.get("head")
    if isinstance(head, str) or (isinstance(head, Mapping) and "type" in head) or not isinstance(head, Mapping | None):
        return value
    cls = component("modalities", value["type"])
    align = value.get("align")
    default = cls.default_head.get(align if align in cls.aligns else cls.default_align)
    return value if default is None else {**value, "head": {"type": default, **(head or {})}}


def _type_of(value: Any) -> str | None:
    return value.get("type") if isinstance(value, dict) else getattr(value, "type", None)


@functools.cache
def recipe_class() -> type[Settings]:
    """The settings class of a whole recipe."""
    from ostinato.training.loop import Training

    training = derive(Training, {})
    search = open_slots(Annotated[Settings, Room("searches")], "beam")
    columns = {name: dict.__class_getitem__((str, _columns(name))) for name in ("inputs", "outputs")}
    fields: dict[str, Any] = {
        "version": (Literal[3], VERSION),
        "data": (Data, Field(default_factory=Data)),
        "from": (From | None, None),
        **{name: (column, Field(min_length=1)) for name, column in columns.items()},
        "search": (search, Field(default="beam", validate_default=True)),
        "calibration": (Literal["none", "temperature"], "none"),
        "training": (training, Field(default_factory=training)),
    }
    return create_model("Recipe", __base__=Settings, **fields)


def schema() -> dict[str, Any]:
    """The JSON schema of a recipe, in short form: a bare name is short for `{type: name}` wherever a type is
    chosen."""
    whole = recipe_class().model_json_schema()
    _allow_names(whole, whole["$defs"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Ostinato recipe", **whole}


def _allow_names(node: Any, definitions: Mapping[str, Any]) -> None:
    """Opens each union of typed settings to its members' bare names, and to `none` where nothing may be set."""
    if isinstance(node, list):
        for child in node:
            _allow_names(child, definitions)
    if not isinstance(node, dict):
        return
    for child in list(node.values()):
        _allow_names(child, definitions)
    if "properties" in node and "type" in node["properties"]:
        node["properties"]["type"].pop("default", None)
    if "oneOf" in node and all("$ref" in option for option in node["oneOf"]):
        members = node.pop("oneOf")
        node.pop("discriminator", None)
        properties = [definitions[member["$ref"].rpartition("/")[2]]["properties"] for member in members]
        node["anyOf"] = [*members, {"enum": [branch["type"]["const"] for branch in properties if "type" in branch]}]
    elif {"type": "null"} in node.get("anyOf", ()) and any(
        "enum" in branch for part in node["anyOf"] for branch in part.get("anyOf", ())
    ):
        node["anyOf"].append({"const": "none"})
