"""What the options of the recurrent decoder need: of each other, and of the inputs."""

from __future__ import annotations

from collections.abc import Sequence

from ostinato.encoders.contract import Sizes
from ostinato.errors import ConfigError
from ostinato.registry import Settings


def check_options(
    attended: list[int],
    widths: list[int],
    attention: Settings | None,
    context: str,
    input_feeding: bool,
    bridge: bool | str,
) -> None:
    """Refuses options that exclude each other.

    Args:
        attended: the places of the inputs that are attended to.
        widths: of what each input brings to the bridge, 0 where it brings nothing.
        attention, context, input_feeding, bridge: the decoder's options.

    Errors:
        ConfigError: nothing would reach the decoder, or two options exclude each other.
    """
    if attention is not None and not attended:
        raise ConfigError(
            "attention: no input that this output reads has steps to attend to; read one as text, such as"
            " --in NAME:text, or set decoder.attention: none"
        )
    for place, width in enumerate(widths):
        if place not in attended and not (bridge and width):
            which = f"input {place + 1} of {len(widths)} in `reads`" if len(widths) > 1 else "the input"
            raise ConfigError(
                f"bridge: nothing of {which} would reach the output, which has neither attention to its steps nor a "
                "bridge from its last state; set bridge: true, or an attention where it has steps"
            )
    if input_feeding and context == "before":
        raise ConfigError(
            "input_feeding: needs context: after; with the context before the cell it enters the cell already"
        )
    if input_feeding and attention is None:
        raise ConfigError("input_feeding: feeds back what attention found; set an attention, or input_feeding: false")
    if attention is None and context == "before":
        raise ConfigError("context: there is no context without attention; leave it out")


def copied_states(sizes: Sequence[Sizes], wanted: Sequence[int], num_states: int) -> list[list[int]]:
    """The places in the encoder's state of what each of the decoder's states is a copy of: one, or two directions.

    Args:
        sizes: of what the decoder reads.
        wanted: widths of its states, layer by layer.
        num_states: of a cell.

    Errors:
        ConfigError: the encoder's states are others.
    """
    widths = sizes[0].state if len(sizes) == 1 else ()
    directions = len(widths) // len(wanted)
    places = [
        [(layer * directions + direction) * num_states + k for direction in range(directions)]
        for layer in range(len(wanted) // num_states)
        for k in range(num_states)
    ]
    if len(widths) != directions * len(wanted) or [sum(widths[k] for k in part) for part in places] != list(wanted):
        given = f"its widths are {', '.join(map(str, widths)) or 'none'}" if len(sizes) == 1 else "here are several"
        raise ConfigError(
            f"bridge copies the last state of one input, of widths {', '.join(map(str, wanted))}, and {given};"
            " give encoder and decoder the same cell and layers, the decoder as many units as both directions have, or"
            " set bridge: true"
        )
    return places
