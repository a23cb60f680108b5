"""Texts that end an answer before the model does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.decoders.contract import Decoding
from ostinato.distributions.categorical import Categorical
from ostinato.distributions.contract import Distribution
from ostinato.errors import ConfigError
from ostinato.heads.contract import Adapted, Generator
from ostinato.modalities.contract import Modality
from ostinato.model.continuation import pieces_of

WORD = re.compile(r"\w+")
LAST = "last generated"
"""The name of the value in a state: the example of each hypothesis and its last symbols, -1 where there are fewer."""


class Stops:
    """The texts that end an answer and are no part of it; of an output of symbols, one symbol or several in a row.

    The answer alone is searched: a text that begins in the prompt is not seen.

    Args:
        texts: as a user gives them.
        modality: of the output, which turns symbols into what is searched.
        copies: whether the output also generates symbols that the modality lacks.

    Errors:
        ConfigError: one can never be generated.
    """

    def __init__(self, texts: Sequence[str], modality: Modality, copies: bool = False):
        self.modality, self.copies = modality, copies
        self.texts = [self._checked(text, modality.parse(text)) for text in texts]
        # Each symbol has at least a byte of text, so a stop that ends within the last symbol begins within so many.
        self.reach = max((len(one.encode() if isinstance(one, str) else one) for one in self.texts), default=0) + 1

    def _checked(self, text: str, parsed: Any) -> Any:
        if not parsed:
            raise ConfigError(f"stop: {text!r} holds no symbol of this output; give one, or leave it out")
        if self.copies or self.modality.decode(self.modality.encode(parsed)) == parsed:
            return parsed
        size = self.modality.spec.size
        pieces = pieces_of(self.modality) if isinstance(parsed, str) else None
        every = pieces.texts if pieces else [self.modality.decode(np.array([number])) for number in range(size)]
        known = {part for symbol in every for part in symbol}
        # A text has spaces between its pieces, whatever these are.
        never = [part for part in parsed if part not in known and not (isinstance(parsed, str) and part == " ")]
        if pieces and not never and pieces.apart:
            # Of words with blanks between them none is made of two.
            never = [word for word in WORD.findall(parsed) if not any(word in symbol for symbol in every)]
        if never:
            lacking = ", ".join(map(repr, dict.fromkeys(never)))
            raise ConfigError(
                f"stop: {text!r} would end no answer, since this output never generates {lacking}: the model knows "
                "what it "
                "has seen in training alone, in its modality's spelling; give another stop, or leave it out"
            )
        return parsed

    def over(self, generator: Generator, rests: Sequence[str] = (), modalities: Sequence[Modality] = ()) -> Generator:
        """The generator that ends after a stop; itself where there are none.

        Args:
            generator: that is searched.
            rests: of each example the text that it generates first and that is no part of the answer; none by default.
            modalities: of each example what turns its symbols into text (`Run.modality`); by default that of the
                output.
        """
        return _Stopping(generator, self, rests, modalities) if self.texts else generator

    def cut(self, value: Any) -> Any:
        """A raw value, up to the first stop."""
        return value[: min(self._places(value), default=len(value))] if self.texts else value

    def sure(self, value: Any) -> Any:
        """A raw value, up to the first stop, or to where one may have begun that is not whole yet."""
        cut = self.cut(value)
        if len(cut) < len(value):
            return cut
        begun = (size for text in self.texts for size in range(1, len(text)) if value[-size:] == text[:size])
        return value[: len(value) - max(begun, default=0)]

    def in_last(self, last: Sequence[int], rest: str = "", modality: Modality | None = None) -> bool:
        """Whether the last symbols generated, -1 before the first, hold a stop after the end of the prompt that they
        begin with; `modality` spells them, by default that of the output."""
        from_first = last[0] < 0
        symbols = [symbol for symbol in last if symbol >= 0] if from_first else last[-self.reach :]
        text = (modality or self.modality).decode(np.array(symbols, np.int64))
        return bool(self._places(text[len(rest) :] if from_first else text))

    def _places(self, value: Any) -> list[int]:
        return [place for place in (_first(value, text) for text in self.texts) if place >= 0]


class _Stopping(Adapted):
    """A generator that can generate nothing but its end once a hypothesis holds a stop, for any search.

    p(end | y) = 1 where y holds a stop, so that log p of an answer is that of its symbols, the stop's among them
    """

    def __init__(self, generator: Generator, stops: Stops, rests: Sequence[str], modalities: Sequence[Modality]):
        super().__init__(generator)
        self.stops, self.rests, self.modalities = stops, rests, modalities
        # What is generated again has a character in each symbol: beyond so many the last `reach` are of the answer
        # alone.
        self.size = stops.reach + max(map(len, rests), default=0) + 1

    def step(self, steps: Tensor, state: Decoding) -> tuple[Distribution, Decoding]:
        values = dict(state.values)
        last = values.pop(LAST, None)
        distribution, after = self.generator.step(steps, replace(state, values=values))
        if last is None:  # the begin symbol, or the last of a prompt: nothing of the answer
            last = torch.cat([state.rows.unsqueeze(1), steps.new_full((len(steps), self.size), -1)], 1)
        else:
            last = torch.cat([last[:, :1], last[:, 2:], steps.unsqueeze(1)], 1)
            held = [self._holds(example, row) for example, *row in last.tolist()]
            if any(held):
                logs = distribution.by_symbol(self.num_symbols)
                only_end = torch.full_like(logs[:1], -torch.inf)
                only_end[:, self.end] = 0
                ended = torch.tensor(held, device=logs.device).unsqueeze(1)
                distribution = Categorical(torch.where(ended, only_end, logs), normalized=True)
        return distribution, replace(after, values=after.values | {LAST: last})

    def _holds(self, example: int, last: Sequence[int]) -> bool:
        modality = self.modalities[example] if self.modalities else None
        return self.stops.in_last(last, self.rests[example] if self.rests else "", modality)


def _first(value: Any, part: Any) -> int:
    """The first place of a part in a text or list; -1 where it has none."""
    if isinstance(value, str):
        return value.find(part)
    return next((place for place in range(len(value) - len(part) + 1) if value[place : place + len(part)] == part), -1)
