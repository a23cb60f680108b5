"""A language model of words beside a model that generates letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ostinato.decoders.contract import Decoding
from ostinato.distributions.categorical import Categorical
from ostinato.encoders.contract import Encoded
from ostinato.heads.contract import Adapted, Generator

ROOT, OUTSIDE = 0, 1
"""Nodes of the tree of spellings: before the first letter, and after letters that begin no word."""
NODE, WORDS = "letters so far", "following words"
"""The names of what a state has beside that of the words: a node, and the logarithms of what may follow."""
LEAST_LOG = -60.0
"""Of what is as good as impossible."""


class Spelled(Adapted):
    """A language model of words as one of the letters that spell them.

        q(l | letters)     = q(words that begin with the letters and l) / q(words that begin with the letters)
        q(space | letters) = q(word) / q(words that begin with the letters) (1 - q(end | words)),   end: q(end | words)

    A letter that leads out of the vocabulary has the probability of the unknown word, shared by all S symbols; each
    further one has 1 / S.

    Args:
        language: of words; its states start from nothing.
        unknown: its number of an unknown word.
        words: the texts of its symbols.
        letters: the texts of the symbols here, single characters and a blank among them.
        begin: the number here of what begins a text.
        end: of what ends it.

    Source: look-ahead over a tree of spellings: Ortmanns, Ney and Eiden 1996, doi:10.1109/ICSLP.1996.607215.
    """

    def __init__(
        self, language: Generator, unknown: int, words: Sequence[str], letters: Sequence[str], begin: int, end: int
    ):
        super().__init__(language)
        self.unknown, self.space, self.num_symbols = unknown, letters.index(" "), len(letters)
        self.begin, self.end = begin, end
        places = {letter: place for place, letter in enumerate(letters) if letter}
        known = sorted((word, number) for number, word in enumerate(words) if word and set(word) <= places.keys())
        children = [[OUTSIDE] * len(letters) for _ in (ROOT, OUTSIDE)]
        spans, ending = [[0, len(known)], [0, 0]], [unknown, unknown]
        for place, (word, number) in enumerate(known):
            node = ROOT
            for letter in word:
                if children[node][places[letter]] == OUTSIDE:
                    children[node][places[letter]] = len(children)
                    children.append([OUTSIDE] * len(letters))
                    spans.append([place, place])
                    ending.append(unknown)
                node = children[node][places[letter]]
                spans[node][1] = place + 1
            ending[node] = number
        self.order, self.children = torch.tensor([number for _, number in known]), torch.tensor(children)
        self.spans, self.ending = torch.tensor(spans), torch.tensor(ending)

    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        state = self.generator.start(encoded)
        nothing = torch.zeros(len(state.rows), self.generator.num_symbols, device=state.rows.device)
        return replace(state, values={**state.values, NODE: torch.zeros_like(state.rows), WORDS: nothing})

    def step(self, steps: Tensor, state: Decoding) -> tuple[Categorical, Decoding]:
        values = dict(state.values)
        node, logs = values.pop(NODE), values.pop(WORDS)
        begins = steps == self.begin
        closed = (begins | (steps == self.space)).nonzero().squeeze(1)
        if len(closed):
            word = torch.where(begins, int(self.generator.begin), self.ending.to(node)[node])
            following, after = self._read(closed, word, replace(state, values=values))
            logs = logs.index_copy(0, closed, following)
            values = {name: value.index_copy(0, closed, after[name]) for name, value in values.items()}
        node = self.children.to(node)[node, steps.long()].index_fill(0, closed, ROOT)
        scores = self._scores(node, logs, replace(state, values=values))
        return Categorical(scores, normalized=True), replace(state, values=values | {NODE: node, WORDS: logs})

    def _read(self, rows: Tensor, words: Tensor, state: Decoding) -> tuple[Tensor, dict[str, Tensor]]:
        """The logarithms of what follows after these rows have read their words, and their state then."""
        distribution, after = self.generator.step(words[rows], state.reorder(rows))
        return distribution.by_symbol(self.generator.num_symbols), after.values

    def _scores(self, node: Tensor, logs: Tensor, state: Decoding) -> Tensor:
        outside, spread = node == OUTSIDE, torch.tensor(float(self.num_symbols)).log()
        sums = torch.nn.functional.pad(logs[:, self.order.to(node)].double().exp().cumsum(1), (1, 0))

        def mass(nodes: Tensor) -> Tensor:
            first, last = self.spans.to(node)[nodes].unbind(-1)
            return (sums.gather(1, last) - sums.gather(1, first)).log().clamp(min=LEAST_LOG).to(logs)

        # After a blank, and in a text at all, the end does not follow.
        ended = logs[:, int(self.generator.end)].clone()
        children, whole = self.children.to(node)[node], mass(node.unsqueeze(1))
        whole[node == ROOT, 0] = _rest(ended[node == ROOT])
        leaving = torch.where(outside, 0.0, logs[:, self.unknown]) - spread
        scores = torch.where(children == OUTSIDE, leaving.unsqueeze(1), mass(children) - whole)
        word = self.ending.to(node)[node]
        inside = (node != ROOT).nonzero().squeeze(1)
        if len(inside):
            ended[inside] = self._read(inside, word, state)[0][:, int(self.generator.end)]
        known = logs.gather(1, word.unsqueeze(1)).squeeze(1) - whole.squeeze(1)
        closing = torch.where(word == self.unknown, leaving, known)
        scores[:, self.space] = torch.where(node == ROOT, leaving, closing + _rest(ended))
        scores[:, self.end] = torch.where(node == ROOT, LEAST_LOG, closing + ended)
        return scores


def _rest(logs: Tensor) -> Tensor:
    """log(1 - p) of the logarithms of p."""
    return torch.log1p(-logs.exp()).clamp(min=LEAST_LOG)
