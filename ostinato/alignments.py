"""How an output lines up with time: five alignments, and everything that depends on which one an output has.

The room is closed: a head or a modality lists the names that it serves, and no other package adds one. Code asks
`of(output)` for an attribute and never compares the name.

| alignment | an output is | its targets |
|---|---|---|
| summary | one answer for the whole row | one |
| each | a label for each step of one input | one per step |
| next | the continuation of an input, step by step | one per step: what follows it |
| free | a sequence of its own | any number |
| ahead | the next `horizon` steps of a series | windows, whose length the recipe gives |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ostinato.errors import ConfigError, nearest
from ostinato.registry import Settings, component

Message = tuple[str, str]
"""A place in the recipe and what is wrong there."""


@dataclass(frozen=True)
class Alignment:
    """How the targets of an output line up with the steps of its inputs.

    Args:
        name: as a recipe names it.
        target: what one target is called in a message.
        meaning: what an output is, in words.
        continues: whether the output continues one input, which the recipe names in `of`. That input is read first,
            and its encoder must be causal: a step is read without those after it.
        labels_steps: whether each target labels a step of one input, seen with all the others. A text that is read in
            pieces then has a step per word.
        windows: whether rows are windows of series: `lookback` steps read, `horizon` steps predicted, splits by time.
        streams: whether rows can be cut into chunks that continue from a state (`training.tbptt`).
    """

    name: str
    target: str
    meaning: str
    continues: bool = False
    labels_steps: bool = False
    windows: bool = False
    streams: bool = False

    @property
    def per_step(self) -> bool:
        """Whether there is one target for each step of one input, see `source`."""
        return self.labels_steps or self.streams

    def targets_allowed(self, source_length: int) -> tuple[int, int | None]:
        """The fewest and the most targets of a row whose source has so many steps; None: any number.
        `Head.targets_allowed` may narrow it. Lengths of many rows may be an array."""
        if self.per_step:
            return source_length, source_length
        return (1, 1) if self is summary else (0, None)

    def source(self, output: Settings, inputs: Iterable[str]) -> str | None:
        """The input whose steps the targets line up with; None where there is none."""
        if self.continues:
            return output.of
        return (output.reads or list(inputs))[0] if self.labels_steps else None

    def check(self, name: str, output: Settings, recipe: Settings) -> Iterator[Message]:
        """What the alignment forbids in an output and in the input that it lines up with."""
        where = f"outputs.{name}"
        if self.labels_steps and len(_read(output, recipe)) > 1 and not _keeps_steps(output):
            yield (
                f"{where}.join",
                f"align '{self.name}' labels the steps of one input; name it in `reads`, or `join: attend` to look"
                " at the others",
            )
        source = recipe.inputs.get(self.source(output, recipe.inputs) or "")
        if source is not None and component("modalities", source.type).traits(source).marked:
            yield (
                f"inputs.{self.source(output, recipe.inputs)}.marks",
                f"{where} has a target for each step of the text, and marks are steps without one; leave marks out",
            )
        if self.continues:
            yield from self._check_source(where, output, recipe)
        elif output.of is not None:
            yield (
                f"{where}.of",
                f"`of` belongs to align 'next' or 'ahead', this output's is '{self.name}'; set `align: next`, or"
                " leave it out",
            )
        if not self.windows:
            for word in ("lookback", "stride"):
                if getattr(output, word) is not None:
                    yield f"{where}.{word}", f"`{word}` belongs to the forecast of a series; leave it out"
            if output.horizon != 1:
                yield (
                    f"{where}.horizon",
                    f"`horizon` belongs to align 'ahead', this output's is '{self.name}'; leave it out",
                )

    def _check_source(self, where: str, output: Settings, recipe: Settings) -> Iterator[Message]:
        of = output.of
        if of not in recipe.inputs:
            message = (
                f"there is no input '{of}'{nearest(of, recipe.inputs)}"
                if of
                else "name in `of` the input that it continues"
            )
            yield f"{where}.of", f"{message}; inputs: {', '.join(recipe.inputs)}"
            return
        source = recipe.inputs[of]
        if source.type != output.type:
            yield (
                f"{where}.type",
                f"'{of}' is {source.type} and what follows it is {output.type}; leave the type out",
            )
        if output.reads is not None and of not in output.reads:
            yield f"{where}.reads", f"must name '{of}', the input that it continues"
        encoder = source.encoder
        for word in component("encoders", encoder.type).sees_ahead if isinstance(encoder, Settings) else ():
            if getattr(encoder, word):
                yield (
                    f"inputs.{of}.encoder.{word}",
                    f"true shows it the steps that {where} must predict; leave it out: align '{self.name}' needs a"
                    " causal encoder",
                )
        traits = component("modalities", source.type).traits(source)
        if traits.characters:
            yield (
                f"inputs.{of}.characters",
                f"{where} continues from its own symbols, which come without characters; leave characters out",
            )
        if traits.by_words:
            yield (
                f"inputs.{of}.subword_pooling",
                f"{where} continues from pieces, and this input is read by words; set none, or name another input",
            )
        if output.join is not None:
            yield (
                f"{where}.join",
                f"an output of align '{self.name}' has the summaries of other inputs beside each step; leave the join"
                " out",
            )


summary = Alignment("summary", "answer", "one answer for the whole row")
each = Alignment("each", "label", "a label for each step", labels_steps=True)
next = Alignment("next", "symbol", "what follows, step by step", continues=True, streams=True)
free = Alignment("free", "symbol", "a sequence of its own")
ahead = Alignment("ahead", "value", "the next steps of a series", continues=True, windows=True)

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
    return named(output.align or component("modalities", output.type).default_align)


def continuing(modality: str) -> Alignment | None:
    """The alignment of an output of this modality that continues an input, where the recipe gives `of` alone."""
    cls = component("modalities", modality)
    served = [alignment for alignment in map(named, sorted(cls.aligns)) if alignment.continues]
    return served[0] if served else None


def labelled(output: Settings, recipe: Settings) -> str | None:
    """The input whose steps an output labels, or None where it labels none."""
    alignment = of(output)
    return alignment.source(output, recipe.inputs) if alignment.labels_steps else None


def streamed(recipe: Settings) -> str | None:
    """The input that outputs continue step by step; the first of them."""
    sources = (output.of for output in recipe.outputs.values() if of(output).streams)
    return [*sources, None][0]


def forecasts(recipe: Settings) -> bool:
    """Whether the rows of a recipe are windows of series."""
    return any(of(output).windows for output in recipe.outputs.values())


def _read(output: Settings, recipe: Settings) -> list[str]:
    """The inputs that an output reads, without those that may give it scores."""
    takes_scores = output.head is not None and component("heads", output.head.type).takes_scores
    encoders = {name: column.encoder for name, column in recipe.inputs.items()}
    return [
        name
        for name in output.reads or recipe.inputs
        if not (
            takes_scores
            and isinstance(encoders.get(name), Settings)
            and component("encoders", encoders[name].type).counts_steps
        )
    ]


def _keeps_steps(output: Settings) -> bool:
    return output.join is not None and component("joins", output.join.type).keeps_steps
