"""What an input and an output of a recipe have beside the settings of their modality."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Annotated, Any, Literal

from annotated_types import Len

from ostinato.errors import ConfigError
from ostinato.modalities.contract import Traits
from ostinato.registry import Count, NonNegative, Room, SameAs, Settings, component, derive, field, keyword_only

Align = Literal["summary", "each", "next", "free", "ahead"]


class InputFields:
    """What an input has beside its modality's settings.

    Args:
        column: the column it reads; by default the one of its own name. A series may read several, one channel each.
        encoder: how it is read; `{same_as: INPUT}` shares another input's encoder, embedding and vocabulary.
    """

    def __init__(
        self,
        *,
        column: str | list[str] | None = None,
        encoder: Annotated[Settings | SameAs, Room("encoders", shared=True)] = "recurrent",
    ):
        raise TypeError("a declaration of settings, never built")


class OutputFields:
    """What an output has beside its modality's settings.

    Args:
        column: the column it is learnt from; by default the one of its own name.
        alternatives: a column with further right answers, separated by ` | `; measured against, never trained on.
        align: how it lines up with time: summary, each, next, free or ahead.
        of: the input that a `next` or `ahead` output continues.
        horizon: how many steps an `ahead` output predicts.
        lookback: how many steps of a series its forecast is made from; chosen from the data where nothing is said.
        stride: steps from one training window of a series to the next, the first drawn for each epoch; chosen from the
            data where nothing is said.
        reads: the inputs it reads; by default all of them.
        join: how several inputs are made into one; by default the head takes each of them.
        head: how it is predicted; by default that of its modality for this alignment.
        weight: the factor of its loss among several outputs.
        metrics: what is measured; by default what fits its modality, alignment and head.
    """

    def __init__(
        self,
        *,
        column: str | list[str] | None = None,
        alternatives: str | None = None,
        align: Align | None = None,
        of: str | None = None,
        horizon: Count = 1,
        lookback: Count | None = None,
        stride: Count | None = None,
        reads: list[str] | None = None,
        join: Annotated[Settings, Room("joins")] | None = None,
        head: Annotated[Settings, Room("heads")] | None = None,
        weight: NonNegative = 1.0,
        metrics: Annotated[list[Annotated[Settings, Room("metrics")]], Len(min_length=1)] | None = None,
    ):
        raise TypeError("a declaration of settings, never built")


def input_settings(modality: str) -> type[Settings]:
    """The settings of an input of this modality."""
    return _with_fields(modality, (InputFields,))


def output_settings(modality: str) -> type[Settings]:
    """The settings of an output of this modality."""
    return _with_fields(modality, (OutputFields,))


def column_settings(modality: str) -> type[Settings]:
    """The settings of a column wherever it stands: what `ostinato.settings.Text(...)` takes; the recipe says which
    belong where."""
    return _with_fields(modality, (InputFields, OutputFields))


@functools.cache
def _with_fields(modality: str, declarations: tuple[type, ...]) -> type[Settings]:
    cls = component("modalities", modality)
    fields: dict[str, Any] = {"type": (Literal[modality], modality)}
    own = {parameter.name for parameter in keyword_only(cls)}
    for declared in declarations:
        for parameter in keyword_only(declared):
            if parameter.name in own:
                raise TypeError(
                    f"{cls.__name__}: its setting {parameter.name} has the name of one that every input or output has"
                )
            default = cls.default_encoder if parameter.name == "encoder" else parameter.default
            fields.setdefault(parameter.name, field(parameter.annotation, default))
    return derive(cls, fields)


def traits_of(settings: Settings) -> Traits:
    """What the settings of a column decide before anything is fitted."""
    return component("modalities", settings.type).traits(settings)


def reads_of(output: Settings, inputs: Iterable[str]) -> list[str]:
    """The inputs that an output reads, in its order: the one that it continues first."""
    return sorted(output.reads or inputs, key=lambda read: read != output.of)


def copied(output: Settings, inputs: Iterable[str]) -> str | None:
    """The input of which an output can predict symbols that the vocabulary lacks; None: none."""
    if output.head is None or output.join is not None:
        return None
    return reads_of(output, inputs)[0] if component("heads", output.head.type).copies(output.head) else None


def column_parts(recipe: Settings) -> dict[str, Settings]:
    """The encoders, joins and heads of a recipe, by place; an encoder that is shared is its owner's."""
    parts = {f"inputs.{name}.encoder": column.encoder for name, column in recipe.inputs.items()}
    parts |= {f"outputs.{name}.join": column.join for name, column in recipe.outputs.items()}
    parts |= {f"outputs.{name}.head": column.head for name, column in recipe.outputs.items()}
    return {place: part for place, part in parts.items() if isinstance(part, Settings)}


def owner_of(place: str, columns: Mapping[str, Settings], reference: Callable[[str], str | None]) -> str:
    """The place that references from this one to the next end at.

    Errors:
        ConfigError: references go in a circle, or join columns that are not of one type.
    """
    seen = [place]
    while (following := reference(seen[-1])) is not None:
        if following in seen:
            raise ConfigError(
                f"{place}: same_as goes in a circle: {' -> '.join([*seen, following])}; give one of them its own"
            )
        seen.append(following)
    owner = seen[-1]
    if columns[owner].type != columns[place].type:
        raise ConfigError(
            f"{place}: same_as joins {columns[place].type} and {columns[owner].type}; both must be of one type"
        )
    return owner


def shared_encoder(columns: Mapping[str, Settings], place: str) -> str | None:
    """The input whose encoder this input shares."""
    encoder = columns[place].encoder
    return f"inputs.{encoder.same_as}" if isinstance(encoder, SameAs) else None


def counts(name: str, inputs: Mapping[str, Settings]) -> bool:
    """Whether the encoder of an input counts, so that training need not read it."""
    return component("encoders", inputs[encoder_owner(name, inputs)].encoder.type).counts


def encoder_owner(name: str, inputs: Mapping[str, Settings]) -> str:
    """The input that owns the encoder of this one, through `same_as`."""
    columns = {f"inputs.{other}": settings for other, settings in inputs.items()}
    return owner_of(f"inputs.{name}", columns, partial(shared_encoder, columns)).removeprefix("inputs.")
