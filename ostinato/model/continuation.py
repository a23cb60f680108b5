"""An input that goes on: a causal encoder and the head above it as one generator, and what is said again of a prompt."""

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

from ostinato.encoders.contract import Encoded, Encoder
from ostinato.heads._symbols import of_parts, parts
from ostinato.heads.contract import ANSWERED, Decoding, Generator, Scored
from ostinato.heads.next_step import NextStep
from ostinato.modalities.contract import Modality
from ostinato.steps import Layout, Steps

MOST_RESAID = 8
"""Pieces at the end of a prompt that are said again at most: a cut word has few, and a text without spaces has no end."""
PART = 4096
"""Steps of a sequence that are scored at a time. A row of a million through an LSTM of 128 on one core: 47 s and 0.4 GB; at once 55 s
and 3.1 GB."""
RESAID = "resaid"
"""The name of the value in a state: the example of each hypothesis, and how many characters it has said again."""
KEPT = "resaid, kept"
"""The name of the value in a state: the logarithm of what was left, at its last step, of the model's probability."""


class Continuation(Generator):
    """A `next` output together with its encoder, which keeps in its state what was said.

    What other inputs say stands beside each step, from first to last.

    Args:
        encoder: a causal one.
        head: what it predicts with.
    """

    def __init__(self, encoder: Encoder, head: NextStep):
        self.encoder, self.head = encoder, head
        self.begin, self.end, self.num_symbols = head.begin, head.end, head.num_symbols

    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        """One hypothesis per example, its prompt heard; what follows goes on from the state of the first of `encoded`."""
        first, *others = encoded
        values = {f"state.{k}": one for k, one in enumerate(first.state)}
        rows = torch.arange(len(first.steps.layout), device=first.steps.values.device)
        return Decoding(tuple(one.summary for one in others), rows, values)

    def extend(self, steps: Steps, state: Decoding) -> tuple[Tensor, Decoding]:
        if not steps.layout.total:
            return steps.values.new_zeros(0, self.num_symbols, dtype=next(self.head.output.parameters()).dtype), state
        read = self.encoder.encode(steps, tuple(state.values[f"state.{k}"] for k in range(len(state.values))))
        beside = None
        if state.memory:
            rows = state.rows.index_select(0, read.steps.layout.rows)
            beside = torch.cat([one.index_select(0, rows) for one in state.memory], 1)
        logits = self.head.logits(read.steps.values, beside, state.packed)
        after = {f"state.{k}": one for k, one in enumerate(read.state)}
        return logits, Decoding(state.memory, state.rows, after, (), state.packed)

    def step(self, symbols: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        return self.extend(Steps(symbols, Layout.equal(len(symbols), 1, symbols.device)), state)


def score(encoder: Encoder, head: NextStep, heard: Steps, others: Sequence[Encoded], targets: Steps) -> Scored:
    """What is said of given sequences, an example each, part after part: the encoder goes on from its state.

    Args:
        encoder: a causal one.
        head: what it predicts with.
        heard: the begin symbol and each sequence.
        others: what the other inputs say, whose summaries stand beside each step.
        targets: each sequence.
    """
    truth, state, found = targets.appended(head.end), None, []
    for part, places in parts(heard.layout, PART):
        read = encoder.encode(Steps(heard.values[places], part), state)
        scored = head.piece_score([read, *others], Steps(truth.values[places], part))
        state = read.state
        found.append((places, scored.by_step.values))
    return of_parts(found, truth.layout)


class Pieces:
    """The texts of a modality's symbols, and which of them may be said where a text is given.

    Args:
        modality: a fitted one of text.
    """

    def __init__(self, modality: Modality):
        self._modality = weakref.proxy(modality)  # which these are kept for, and no longer
        self.texts = [modality.decode(np.array([number])) for number in range(modality.spec.size)]
        self.lengths = torch.tensor([len(text) for text in self.texts])
        self.cross_words = any(len(text) > 1 and text[0].isspace() for text in self.texts)
        self._numbers: defaultdict[str, list[int]] = defaultdict(list)
        for number, text in enumerate(self.texts):
            self._numbers[text].append(number)
        self._sorted = sorted(self._numbers)

    def cut(self, prompt: np.ndarray) -> tuple[np.ndarray, str]:
        """A prompt without the pieces that may be the beginning of another one, and their text.

        Where pieces begin with the space before a word, "The c" ends with " c", after which " cat" is never said as "at". A
        text whose pieces never reach over the border of a word is left as it is, and so is one that whole characters cannot
        spell.
        """
        if not self.cross_words or not len(prompt):
            return prompt, ""
        count = 1
        while count < min(len(prompt), MOST_RESAID) and not self.texts[prompt[-count]][:1].isspace():
            count += 1
        head = prompt[: len(prompt) - count]
        before, whole = self._modality.decode(head), self._modality.decode(prompt)
        rest = whole[len(before) :]
        if not whole.startswith(before) or not rest or not self.allowed(rest):
            return prompt, ""
        return head, rest

    def allowed(self, rest: str) -> list[int]:
        """The symbols that begin this text, so that others can say what is left, or that begin with it; rising."""
        sayable, texts = [False] * len(rest), []
        for start in reversed(range(len(rest))):
            parts = (rest[start:end] for end in range(start + 1, len(rest)) if sayable[end])
            texts = [part for part in parts if part in self._numbers]
            sayable[start] = bool(texts) or next(self._beginning_with(rest[start:]), None) is not None
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


class Resuming(Generator):
    """A generator that first says again, in any pieces, the text that was cut off its prompts; the last may go beyond it.

        p(v) = 0 where v neither begins what is left of the text nor begins with it; the others' p divided by their sum

    Its states tell what is `ANSWERED`: a symbol that goes beyond the text is the first of the answer.

    Args:
        generator: whose prompts were cut.
        pieces: the texts of its symbols.
        rests: what was cut off the prompt of each example; may be empty.
    """

    def __init__(self, generator: Generator, pieces: Pieces, rests: Sequence[str]):
        self.generator, self.pieces, self.rests = generator, pieces, rests
        self._allowed: dict[str, Tensor] = {}
        self.begin, self.end, self.num_symbols = generator.begin, generator.end, generator.num_symbols

    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        return self.generator.start(encoded)

    def extend(self, steps: Steps, state: Decoding) -> tuple[Tensor, Decoding]:
        """A prompt, of which nothing is said again."""
        return self.generator.extend(steps, state)

    def step(self, symbols: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        values = dict(state.values)
        resaid, answered = values.pop(RESAID, None), values.pop(ANSWERED, torch.full_like(state.rows, -1))
        values.pop(KEPT, None)
        logits, after = self.generator.step(symbols, replace(state, values=values))
        if resaid is None:
            resaid = torch.stack([state.rows, torch.zeros_like(state.rows)], 1)
        else:
            resaid = torch.stack([resaid[:, 0], resaid[:, 1] + self.pieces.lengths.to(symbols.device)[symbols]], 1)
        listed = resaid.tolist()
        left = [self.rests[example][said:] for example, said in listed]
        beyond = torch.tensor([said - len(self.rests[example]) for example, said in listed], device=symbols.device)
        answered = torch.where(answered < 0, beyond.clamp(-1, 1), answered + 1)
        kept = logits.new_zeros(len(logits))
        open_rows = [row for row, rest in enumerate(left) if rest]
        if open_rows:
            logits, rows = logits.log_softmax(1), torch.tensor(open_rows, device=logits.device)
            masked = logits[rows].masked_fill(
                ~self._fitting([left[row] for row in open_rows], logits.device), -torch.inf
            )
            kept = kept.index_copy(0, rows, masked.logsumexp(1))
            logits = logits.index_copy(0, rows, masked)
        return logits, replace(after, values=after.values | {RESAID: resaid, KEPT: kept, ANSWERED: answered})

    def _fitting(self, rests: Sequence[str], device: torch.device) -> Tensor:
        """(len(rests), V) which symbols may be said where each of these is left; what was asked is kept while this searches."""
        place = {rest: place for place, rest in enumerate(dict.fromkeys(rests))}
        fits = torch.zeros(len(place), self.num_symbols, dtype=torch.bool)
        for rest, row in place.items():
            if rest not in self._allowed:
                self._allowed[rest] = torch.tensor(self.pieces.allowed(rest))
            fits[row, self._allowed[rest]] = True
        return fits[[place[rest] for rest in rests]].to(device)
