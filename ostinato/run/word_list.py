"""Answers of listed words alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ostinato.decoders.contract import Decoding
from ostinato.distributions.categorical import Categorical
from ostinato.errors import ConfigError, DataError
from ostinato.heads.contract import Adapted, Generator
from ostinato.modalities.contract import Modality, Tokenized
from ostinato.model.continuation import pieces_of
from ostinato.run.fusion import Adapt
from ostinato.run.run import Run

ROOT = 0
"""The node between two words."""
PLACE = "listed"
"""The name of the value in a state: the node of each hypothesis."""
LEAST_LOG = -1e4
"""Of what the model thinks impossible and the list demands, so that a score stays a number."""
SHOWN = 3


class _Moves(NamedTuple):
    """What may follow a node, (V,) each: whether a symbol may, and the node after it."""

    allowed: Tensor
    after: Tensor


class Listed(Adapted):
    """A generator whose answers hold words of a list alone.

        score(v) = log p(v | y) where the text of y and v is listed words and the beginning of one; none elsewhere
        end:       after a whole word, or nothing

    Scores are not divided by the sum of what is left, so that of two answers the likelier under the model stays ahead.
    Where no symbol goes on with a word, the answer ends.

    Args:
        generator: of symbols.
        texts: (V,) of its symbols.
        words: the list.
        apart: whether a symbol is a word, with blanks between one and the next.

    Source: a tree of spellings: Ortmanns, Ney and Eiden 1996, doi:10.1109/ICSLP.1996.607215; of CTC: Scheidl, Fiel and
        Sablatnig 2018, doi:10.1109/ICFHR-2018.2018.00052, word beam search in its mode of words.
    """

    def __init__(self, generator: Generator, texts: Sequence[str], words: Iterable[str], apart: bool):
        super().__init__(generator)
        self.texts, self.apart = texts, apart
        self.words = frozenset(words)
        self._letters: list[dict[str, int]] = [{}]
        self._whole = [True]
        self._known: dict[int, _Moves] = {}
        for word in sorted(self.words) if not apart else ():
            node = ROOT
            for letter in word:
                if letter not in self._letters[node]:
                    self._letters[node][letter] = len(self._letters)
                    self._letters.append({})
                    self._whole.append(False)
                node = self._letters[node][letter]
            self._whole[node] = True

    def spells(self) -> bool:
        """Whether a symbol begins a word."""
        moves = self._moves(ROOT)
        return any(moves.allowed[number] for number, text in enumerate(self.texts) if text.strip())

    def step(self, steps: Tensor, state: Decoding) -> tuple[Categorical, Decoding]:
        values = dict(state.values)
        before = values.pop(PLACE, None)
        distribution, after = self.generator.step(steps, replace(state, values=values))
        nodes = [ROOT] * len(steps)
        if before is not None:
            pairs = zip(before.tolist(), steps.tolist())
            nodes = [int(self._moves(node).after[symbol]) for node, symbol in pairs]
        logs = distribution.by_symbol(self.num_symbols)
        allowed = logs.new_zeros(logs.shape, dtype=torch.bool)  # what is copied beyond the vocabulary is not listed
        if nodes:
            allowed[:, : len(self.texts)] = torch.stack([self._moves(node).allowed for node in nodes]).to(logs.device)
        scores = logs.clamp(min=LEAST_LOG).masked_fill(~allowed, -torch.inf)
        place = torch.tensor(nodes, dtype=torch.int64, device=steps.device)
        return Categorical(scores, normalized=True), replace(after, values=after.values | {PLACE: place})

    def _moves(self, node: int) -> _Moves:
        if node not in self._known:
            nodes = [self._walked(node, text) if text else None for text in self.texts]
            is_stuck = all(place is None for place in nodes)
            nodes[int(self.end)] = node if self._whole[node] or is_stuck else None
            allowed = torch.tensor([place is not None for place in nodes])
            self._known[node] = _Moves(allowed, torch.tensor([ROOT if place is None else place for place in nodes]))
        return self._known[node]

    def _walked(self, node: int, text: str) -> int | None:
        """The node after a text, or None where it leads out of the list."""
        if self.apart:
            return ROOT if text in self.words else None
        for letter in text:
            if letter.isspace():
                if not self._whole[node]:
                    return None
                node = ROOT
            elif letter in self._letters[node]:
                node = self._letters[node][letter]
            else:
                return None
        return node


def listed_words(path: Path, run: Run) -> Adapt:
    """Keeps the answers of a run to the words of a file, which blanks or line ends divide.

    Errors:
        ConfigError: an output is no text, or continues one; its symbols spell none of the words.
        DataError: there is no such file, or it holds no word.
    """
    try:
        words = path.read_text(encoding="utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as why:
        raise DataError(f"--words: {path} cannot be read ({why}); give a text file in UTF-8, a word a line") from None
    if not words:
        raise DataError(f"--words: {path} holds no word; write one a line")
    no_text = ConfigError("--words: keeps generated texts to listed words, and this output is none; leave it out")
    if not any(head.generates for head in run.graph.heads.values()):
        raise no_text
    if run.graph.continues:
        raise ConfigError("--words: an answer that continues a text may begin within a word; leave it out")

    def adapt(modality: Modality, generator: Generator) -> Generator:
        if not isinstance(modality, Tokenized) or not generator.num_symbols:
            raise no_text
        pieces = pieces_of(modality)
        listed = Listed(generator, pieces.texts, words, pieces.apart)
        if not listed.spells():
            shown = ", ".join(map(repr, [text for text in pieces.texts if text.strip()][:SHOWN]))
            raise ConfigError(
                f"--words: the symbols of this output ({shown} ...) spell none of the {len(words):,} words of {path};"
                " give the words as the answers have them"
            )
        return listed

    return adapt
