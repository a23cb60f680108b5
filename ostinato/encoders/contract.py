"""What an encoder is: the steps of one input to a vector per step and one for the whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from ostinato.encoders._keys import UNUSED
from ostinato.kernels.watch import changed, changing
from ostinato.modalities.contract import Choices, Labels, Symbols, Values
from ostinato.registry import Settings
from ostinato.steps import Layout, Steps


class Source(NamedTuple):
    """Where an encoded input came from: for a head that copies its symbols, or continues it and needs its values, or
    reads its own predictions.

    Args:
        values: the input as its modality encoded it.
        encoder: that read it, and can continue from the state.
    """

    values: Steps
    encoder: Encoder


class Encoded(NamedTuple):
    """What an encoder read.

    Args:
        steps: a vector per step, (N, steps_size); the layout may differ from the input's (sub-sampling); None if the
            input has no steps.
        summary: a vector for the whole, (B, summary_size), or None.
        state: the last states, a tuple of tensors with B rows each, or None; a causal encoder resumes from them. One
            of steps that were kept is (B, T, C), with zeros after the last of a row.
        source: of one input as it was before its encoder read it; None where a join put several together.
        penalties: what is added to the loss of a whole batch, by name: a sum, and the count that divides it; None, of a
            join: the number of targets, as of the loss.
    """

    steps: Steps | None
    summary: Tensor | None
    state: tuple[Tensor, ...] | None
    source: Source | None = None
    penalties: Mapping[str, tuple[Tensor, int | None]] = {}

    def select(self, rows: Tensor) -> Encoded:
        """These examples alone, in this order, without penalties."""
        steps = None if self.steps is None else self.steps.select(rows)
        summary = None if self.summary is None else self.summary.index_select(0, rows)
        state = None if self.state is None else tuple(part.index_select(0, rows) for part in self.state)
        source = None if self.source is None else self.source._replace(values=self.source.values.select(rows))
        return Encoded(steps, summary, state, source)


class Sizes(NamedTuple):
    """What one encoded input brings to a head or decoder: widths of its steps, its summary and the tensors of its last
    state; and whether its encoder is a `BagEncoder`, whose summary or steps may be solved for."""

    steps: int | None
    summary: int | None
    state: tuple[int, ...] = ()
    counted: bool = False


class OneStep(Protocol):
    """Reads a single step of each row, (R, ...), from what a generation keeps, with less ado than `Encoder.encode`: no
    gradient, no dropout, nobody who watches. It gives the features (R, steps_size) and what is kept afterwards."""

    def takes(self, kept: Mapping[str, Tensor]) -> bool:
        """Whether it can go on from this."""
        ...

    def __call__(self, steps: Tensor, kept: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]: ...


class Encoder(nn.Module, ABC):
    """Reads one input; owns its embedding.

    Args:
        spec: what one step of the input is, by position.

    Errors:
        ValueError: a state is given to an encoder that is not causal.
    """

    takes: ClassVar[tuple[type, ...]] = (Symbols, Values, Labels)
    """The kinds of step that it can read."""
    sees_ahead: ClassVar[tuple[str, ...]] = ()
    """Its settings that, where true, show a step what comes after it: an output that continues the input needs them
    off."""
    reads_characters: ClassVar[bool] = False
    """Whether it reads the characters of words beside their numbers, so that they may be chosen from the data."""
    counts: ClassVar[bool] = False
    """Whether it is a `BagEncoder`: what it reads costs training nothing."""
    variants: ClassVar[Sequence[Mapping[str, Any]]] = ()
    """Settings that are worth a trial in place of the defaults, as `Modality.variants`."""
    of_rules: ClassVar[Mapping[str, Any]] = {}
    """Settings that suit texts made by rules (few words, over and over) in place of the defaults."""
    counts_steps: ClassVar[bool] = False
    """Whether it counts what each step has, and not the row: it then gives steps and no summary."""
    reads_sequences: ClassVar[bool] = True
    """Whether it reads sequences, which may be empty; otherwise one step of each row."""
    streams: ClassVar[bool] = False
    """Whether its state has one size however much was read, so that a long text is read in chunks by default."""
    directions_beside: ClassVar[bool] = False
    """Whether a step's vector holds each direction beside the other, so that `bidirectional` doubles its width."""

    reduction: int = 1
    """How many steps it reads for each that it gives, the last ones possibly fewer."""
    grid_height: int = 1
    """How many steps it gives in place of each of these: the rows of a grid over a picture, from top to bottom."""

    causal: bool
    """Whether a step is read without those that come more than `look_ahead` later, so that reading can resume from a
    state, after a multiple of `reduction` steps."""
    steps_size: int | None
    summary_size: int | None
    state_sizes: tuple[int, ...] = ()
    """Widths of the tensors of `Encoded.state`: what a head may start from; () where the state sums nothing up, so that
    a head starts from the summary."""
    penalties: tuple[str, ...] = ()
    """The names of what it adds to the loss, in `Encoded.penalties`; in evaluation mode too, where it is only
    counted."""
    look_ahead: int | None
    """Steps to wait before the first answer; None: the whole sequence."""

    @classmethod
    def reduction_of(cls, settings: Settings) -> int:
        """`reduction` by the settings of an encoder that is not built yet."""
        return 1

    @staticmethod
    def settled(settings: Settings, column: Settings, find: Callable[[str], Path | None]) -> Choices:
        """Settings that follow from a folder which these name: `encoder.X`, or X of the column that it reads.

        Args:
            settings: of the encoder.
            column: of the input that it reads.
            find: where a file or folder of this name lies; None: nowhere.
        """
        return {}

    def start(self, find: Callable[[str], Path | None]) -> None:
        """Takes up the weights that it starts from, once, before training; later they are in the run folder."""

    @abstractmethod
    def encode(self, steps: Steps, state: tuple[Tensor, ...] | None = None) -> Encoded:
        """Reads a batch, from `state` if there is one."""

    def encode_parts(self, steps: Steps, owners: Tensor) -> Encoded:
        """Reads parts of examples, such as the frames of videos, as examples of their own; what it changes of them in
        training it changes alike in all parts of one example.

        Args:
            steps: of the parts.
            owners: (B,) the number of the example that each is a part of, rising.
        """
        return self.encode(steps)

    def kept(self, state: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """A state as a generation keeps it, by name, each (R, ...); `resumed` gives it back."""
        return {f"state.{number}": part for number, part in enumerate(state)}

    def resumed(self, kept: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        return tuple(kept[f"state.{number}"] for number in range(len(kept)))

    def one_step(self) -> OneStep | None:
        """What reads a single step of each row in place of `encode`, made once per generation; None: nothing does."""
        return None

    def layers(self) -> Sequence[Iterable[nn.Module]]:
        """The modules of each layer above the embedding, from the bottom up, for rates and unfreezing by layer; what is
        in none belongs to the embedding's layer."""
        return ()


class Bag(NamedTuple):
    """Which features rows have, or steps where an encoder counts steps: row `rows[k]` has the feature `numbers[k]`, of
    this weight; each pair once.

    Shapes:
        rows, numbers, weights (K,)
    """

    rows: Tensor
    numbers: Tensor
    weights: Tensor


class BagEncoder(Encoder):
    """An encoder whose summary, or each of whose steps, is linear in features that are counted and not learnt.

        summary = sum_f x[f] E[f] + b

    So the best E and b for given targets can be solved for, which a head may ask for (`Head.scored`).
    """

    counts = True
    causal = False
    look_ahead = None
    called: ClassVar[str]
    """What an input that it reads beside a net is called, after the name of the other reading."""
    features_per_step: ClassVar[float]
    """How many different features a step of the training rows brings, about."""

    keys: Tensor
    """(F,) the features that are known, each by a number of 64 bits, in order; `UNUSED` after them."""

    def __init__(self, size: int | None, features: int):
        """Args:
        size: of the summary, or of each step.
        features: the most to know, F.
        """
        super().__init__()
        size = size or 64
        self.steps_size, self.summary_size = (size, None) if self.counts_steps else (None, size)
        self.table = nn.Parameter(torch.randn(features, size))  # E
        self.bias = nn.Parameter(torch.zeros(size))  # b
        self.register_buffer("keys", torch.full((features,), UNUSED))

    def rows_of(self, layout: Layout) -> int:
        """How many rows a bag of such a batch has."""
        return layout.total if self.counts_steps else len(layout)

    @abstractmethod
    def count(self, blocks: Iterable[Steps]) -> None:
        """Counts the training rows, once, before the first update."""

    @abstractmethod
    def bag(self, steps: Steps) -> Bag:
        """The features of a batch."""

    def by_step(self, steps: Steps) -> Tensor | None:
        """(N, summary_size) what each step adds to the summary, whose sum over a row is summary - b; None: features are
        not made of steps that could share them."""
        return None

    def blank(self) -> Tensor:
        """(summary_size,) what a step adds that tells nothing."""
        return torch.zeros_like(self.bias)

    def encode(self, steps: Steps, state: tuple[Tensor, ...] | None = None) -> Encoded:
        if state is not None:
            raise ValueError("this encoder reads whole inputs, so it cannot resume from a state: give none")
        if changing() and (parts := self.by_step(steps)) is not None:
            empty = parts.new_zeros(len(steps.layout), len(self.bias))
            sums = empty.index_add(0, steps.layout.rows, changed(self, parts, steps.layout)) + self.bias
            return Encoded(None, sums, None)
        bag = self.bag(steps)
        values = self.table.index_select(0, bag.numbers) * bag.weights.unsqueeze(1)
        empty = values.new_zeros(self.rows_of(steps.layout), len(self.bias))
        sums = empty.index_add(0, bag.rows, values) + self.bias
        return Encoded(steps.with_values(sums), None, None) if self.counts_steps else Encoded(None, sums, None)
