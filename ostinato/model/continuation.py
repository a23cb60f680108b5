"""A `next` output as a generator: a causal encoder and the head above it; and prompts whose end is generated again."""

from __future__ import annotations

import bisect
import itertools
import weakref
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ostinato.decoders.contract import Decoding
from ostinato.distributions.categorical import Categorical
from ostinato.distributions.contract import Distribution
from ostinato.encoders.contract import Encoded, Encoder
from ostinato.heads.contract import Adapted, Generator, NextHead, Scored
from ostinato.kernels.watch import goes_unseen
from ostinato.modalities.contract import Modality
from ostinato.steps import Layout, Steps

MOST_PIECES = 8
"""Pieces at the end of a prompt that are generated again at most: a cut word has few, and a text without spaces has no
end."""
PART = 4096
"""Steps of a sequence that are scored at a time. A row of a million through an LSTM of 128 on one core: 47 s and 0.4
GB; at once 55 s and 3.1 GB."""
ONE_STEP = "one step"
"""The name of what reads a single step of each row, among what a generation keeps by reference."""
PROGRESS = "resumed"
"""The name of the value in a state: the example of each hypothesis, and how many characters of its text it has
generated again."""
KEPT = "resumed, kept"
"""The name of the value in a state: the logarithm of the model's probability of what was allowed at its last step."""


class Continuation(Generator):
    """A `next` output together with its encoder, whose state follows the steps generated so far.

    The summaries of other inputs are read beside each step, from first to last.

    Args:
        encoder: a causal one.
        head: what it predicts with.
    """

    def __init__(self, encoder: Encoder, head: NextHead):
        self.encoder, self.head = encoder, head
        self.begin, self.end, self.unsaid, self.num_symbols = head.begin, head.end, head.unsaid, head.num_symbols

    def ended(self, steps: Tensor) -> Tensor:
        return self.head.ended(steps)

    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        """One hypothesis per example; the first of `encoded` is the prompt, from whose state it continues."""
        first, *others = encoded
        values = self.encoder.kept(first.state)
        rows = torch.arange(len(first.steps.layout), device=first.steps.values.device)
        return Decoding(tuple(other.summary for other in others), rows, values)

    def extend(self, steps: Steps, state: Decoding) -> tuple[Distribution, Decoding]:
        beside = self._beside(state, steps.layout.rows)
        if not steps.layout.total:
            nothing = next(self.head.parameters()).new_zeros(0, self.encoder.steps_size)
            return self.head.predict_next(nothing, beside, state.packed), state
        read = self.encoder.encode(steps, self.encoder.resumed(state.values))
        distribution = self.head.predict_next(read.steps.values, beside, state.packed)
        return distribution, self._after(state, self.encoder.kept(read.state))

    def step(self, steps: Tensor, state: Decoding) -> tuple[Distribution, Decoding]:
        read = state.once(ONE_STEP, self.encoder.one_step) if goes_unseen(self.encoder) else None
        if read is None or not len(steps) or not read.takes(state.values):
            return self.extend(Steps(steps, Layout.equal(len(steps), 1, steps.device)), state)
        features, kept = read(steps, state.values)
        return self.head.predict_next(features, self._beside(state), state.packed), self._after(state, kept)

    @staticmethod
    def _beside(state: Decoding, steps: Tensor | None = None) -> Tensor | None:
        """The summaries of the other inputs, beside steps of these hypotheses or, without `steps`, one of each."""
        if not state.memory:
            return None
        rows = state.rows if steps is None else state.rows.index_select(0, steps)
        return torch.cat([summary.index_select(0, rows) for summary in state.memory], 1)

    @staticmethod
    def _after(state: Decoding, kept: dict[str, Tensor]) -> Decoding:
        return Decoding(state.memory, state.rows, kept, (), state.packed)


def score(encoder: Encoder, head: NextHead, prompt: Steps, others: Sequence[Encoded], targets: Steps) -> Scored:
    """The score of given sequences, an example each, part after part, each from the state of the encoder after the one
    before.

    Args:
        encoder: a causal one.
        head: what it predicts with.
        prompt: the begin symbol and each sequence.
        others: the other inputs, whose summaries are read beside each step.
        targets: each sequence.
    """
    truth, state, by_step, places = targets.appended(head.end), None, [], []
    for part, own in prompt.layout.cut(PART):
        read = encoder.encode(Steps(prompt.values[own], part), state)
        by_step.append(head.scores([read, *others], truth.values[own]))
        state = read.state
        places.append(own)
    return scored_in_parts(by_step, places, truth.layout)


def scored_in_parts(by_step: Sequence[Tensor], places: Sequence[Tensor], layout: Layout) -> Scored:
    """The scores of whole sequences from `by_step` of each part and the places of its steps."""
    every = torch.cat(tuple(by_step))
    return Scored.of_steps(torch.empty_like(every).index_copy(0, torch.cat(tuple(places)), every), layout)


class Pieces:
    """The texts of a modality's symbols, which of them may begin a given text, and whether blanks lie between them.

    Args:
        modality: a fitted one of text.
    """

    def __init__(self, modality: Modality):
        self._modality = weakref.proxy(modality)  # which these are kept for, and no longer
        self.texts = [modality.decode(np.array([number])) for number in range(modality.spec.size)]
        self.lengths = torch.tensor([len(text) for text in self.texts])
        self.cross_words = any(len(text) > 1 and text[0].isspace() for text in self.texts)
        spelt = [number for number, text in enumerate(self.texts) if text][-2:]
        together = modality.decode(np.array(spelt, dtype=np.int64))
        self.apart = len(spelt) == 2 and together == " ".join(self.texts[number] for number in spelt)
        self._numbers: defaultdict[str, list[int]] = defaultdict(list)
        for number, text in enumerate(self.texts):
            self._numbers[text].append(number)
        self._sorted = sorted(self._numbers)

    def cut(self, prompt: np.ndarray) -> tuple[np.ndarray, str]:
        """A prompt without the pieces that may be the beginning of another one, and their text.

        Where pieces begin with the space before a word, "The c" ends with " c", after which " cat" is never generated
        as "at". A text whose pieces never reach over the border of a word is left as it is, and so is one that whole
        characters cannot spell.
        """
        if not self.cross_words or not len(prompt):
            return prompt, ""
        count = 1
        while count < min(len(prompt), MOST_PIECES) and not self.texts[prompt[-count]][:1].isspace():
            count += 1
        head = prompt[: len(prompt) - count]
        before, whole = self._modality.decode(head), self._modality.decode(prompt)
        rest = whole[len(before) :]
        if not whole.startswith(before) or not rest or not self.allowed(rest):
            return prompt, ""
        return head, rest

    def allowed(self, rest: str) -> list[int]:
        """The symbols that begin this text, so that others can say what is left, or that begin with it; rising."""
        spelt, texts = [False] * len(rest), []
        for start in reversed(range(len(rest))):
            parts = (rest[start:end] for end in range(start + 1, len(rest)) if spelt[end])
            texts = [part for part in parts if part in self._numbers]
            spelt[start] = bool(texts) or next(self._beginning_with(rest[start:]), None) is not None
        texts += self._beginning_with(rest) if rest else ()
        return sorted(number for text in texts for number in self._numbers[text])

    def _beginning_with(self, text: str) -> Iterator[str]:
        after = (self._sorted[place] for place in range(bisect.bisect_left(self._sorted, text), len(self._sorted)))
        return itertools.takewhile(lambda one: one.startswith(text), after)


_PIECES: weakref.WeakKeyDictionary[Modality, Pieces] = weakref.WeakKeyDictionary()


def pieces_of(modality: Modality) -> Pieces:
    """Made once for a fitted modality, and kept as long as it is: the texts of a large vocabulary take a moment."""
    if modality not in _PIECES:
        _PIECES[modality] = Pieces(modality)
    return _PIECES[modality]


class Resuming(Adapted):
    """A generator that first generates the text again that was cut off its prompts, in any pieces; the last may exceed
    it.

        p(v) = 0 where v neither begins what is left of the text nor begins with it; the others' p divided by their sum

    Its states count the symbols of the answer (`counted`): one that exceeds the text is the first of the answer.

    Args:
        generator: whose prompts were cut.
        pieces: the texts of its symbols.
        rests: what was cut off the prompt of each example; may be empty.
    """

    def __init__(self, generator: Generator, pieces: Pieces, rests: Sequence[str]):
        super().__init__(generator)
        self.pieces, self.rests = pieces, rests
        self._allowed: dict[str, Tensor] = {}

    def step(self, steps: Tensor, state: Decoding) -> tuple[Distribution, Decoding]:
        values = dict(state.values)
        progress = values.pop(PROGRESS, None)
        values.pop(KEPT, None)
        distribution, after = self.generator.step(steps, replace(state, values=values))
        counted = torch.full_like(state.rows, -1) if state.counted is None else state.counted
        if progress is None:
            progress = torch.stack([state.rows, torch.zeros_like(state.rows)], 1)
        else:
            progress = torch.stack([progress[:, 0], progress[:, 1] + self.pieces.lengths.to(steps.device)[steps]], 1)
        listed = progress.tolist()
        left = [self.rests[example][length:] for example, length in listed]
        beyond = torch.tensor([length - len(self.rests[example]) for example, length in listed], device=steps.device)
        counted = torch.where(counted < 0, beyond.clamp(-1, 1), counted + 1)
        open_rows = [row for row, rest in enumerate(left) if rest]
        kept = torch.zeros(len(left), device=steps.device)
        if open_rows:
            logs, rows = distribution.by_symbol(self.num_symbols), torch.tensor(open_rows, device=steps.device)
            fitting = self._fitting([left[row] for row in open_rows], steps.device)
            masked = logs[rows].masked_fill(~fitting, -torch.inf)
            kept = logs.new_zeros(len(left)).index_copy(0, rows, masked.logsumexp(1))
            distribution = Categorical(logs.index_copy(0, rows, masked))
        values = after.values | {PROGRESS: progress, KEPT: kept}
        return distribution, replace(after, values=values, counted=counted)

    def kept(self, state: Decoding) -> Tensor:
        """(R,) the logarithm of the model's probability of the symbols that were allowed at the last step."""
        return state.values[KEPT]

    def _fitting(self, rests: Sequence[str], device: torch.device) -> Tensor:
        """(len(rests), V) which symbols are allowed where each of these is left, kept as long as this generator
        lives."""
        place = {rest: place for place, rest in enumerate(dict.fromkeys(rests))}
        fits = torch.zeros(len(place), self.num_symbols, dtype=torch.bool)
        for rest, row in place.items():
            if rest not in self._allowed:
                self._allowed[rest] = torch.tensor(self.pieces.allowed(rest))
            fits[row, self._allowed[rest]] = True
        return fits[[place[rest] for rest in rests]].to(device)
