"""How an output lines up with time: five alignments, and everything that depends on which one an output has.

The room is closed: a head or a modality lists the names that it serves, and no other package adds one. Code asks `of(output)` for an
attribute and never compares the name.

| alignment | an output is | its targets |
|---|---|---|
| summary | one answer for the whole row | one |
| each | a label for each step of one input | one per step |
| next | the continuation of an input, step by step | one per step: what follows it |
| free | a sequence of its own | any number |
| ahead | the next `horizon` steps of a series | windows, whose length the recipe gives |
"""

from __future__ import annotations

from dataclasses import dataclass

from ostinato.errors import ConfigError, nearest
from ostinato.registry import Settings, component


@dataclass(frozen=True)
class Alignment:
    """How the targets of an output line up with the steps of its inputs.

    Args:
        name: as a recipe names it.
        target: what one target is called in a message.
        continues: whether the output continues one input, which the recipe names in `of`; that input is read first, and its encoder
            must be causal: a step is read without those after it.
        labels_steps: whether each target labels a step of one input, seen with all the others. A text that is read in pieces then has
            a step per word.
        windows: whether rows are windows of series: `lookback` steps read, `horizon` steps predicted, splits by time.
        streams: whether rows can be cut into chunks that continue from a state (`training.tbptt`).
    """

    name: str
    target: str
    continues: bool = False
    labels_steps: bool = False
    windows: bool = False
    streams: bool = False

    @property
    def per_step(self) -> bool:
        """Whether there is one target for each step of the first input that the output reads."""
        return self.labels_steps or self.streams

    def targets_allowed(self, source_length: int) -> tuple[int, int | None]:
        """The fewest and the most targets of a row whose source has so many steps; None: any number. A head may narrow it."""
        if self.per_step:
            return source_length, source_length
        return (1, 1) if self is summary else (0, None)


summary = Alignment("summary", "answer")
each = Alignment("each", "label", labels_steps=True)
next = Alignment("next", "symbol", continues=True, streams=True)
free = Alignment("free", "symbol")
ahead = Alignment("ahead", "value", continues=True, windows=True)

ALIGNMENTS = {alignment.name: alignment for alignment in (summary, each, next, free, ahead)}


def named(name: str) -> Alignment:
    """The alignment of this name.

    Errors:
        ConfigError: there is none.
    """
    if name not in ALIGNMENTS:
        raise ConfigError(f"there is no alignment '{name}'{nearest(name, ALIGNMENTS)}")
    return ALIGNMENTS[name]


def of(output: Settings) -> Alignment:
    """The alignment of an output: the one that the recipe gives, or its modality's default."""
    alignment = named(output.align or component("modalities", output.type).default_align)
    return ahead if alignment is next and output.type == "series" else alignment  # until recipes have the word
