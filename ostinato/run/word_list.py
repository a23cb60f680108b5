"""Answers of listed words alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from pathlib import Path

import numpy as np

from ostinato.errors import ConfigError, DataError
from ostinato.heads.contract import Generator
from ostinato.modalities.contract import Grammar, Modality, Tokenized
from ostinato.model.continuation import pieces_of
from ostinato.model.legal import Legal
from ostinato.run.fusion import Adapt
from ostinato.run.run import Run

ROOT = 0
"""The node between two words."""
SHOWN = 3


class Words(Grammar):
    """Texts that hold words of a list alone, with blanks between them: a state is a node of the tree of spellings.

    A symbol is legal where the text with it is listed words and the beginning of one, the end after a whole word or
    nothing. Where no symbol goes on with a word, the text may end as well.

    Args:
        texts: (V,) of the symbols.
        words: the list.
        end: the symbol that ends a text.
        apart: whether a symbol is a word, with blanks between one and the next.

    Source: a tree of spellings: Ortmanns, Ney and Eiden 1996, doi:10.1109/ICSLP.1996.607215; of CTC: Scheidl, Fiel and
        Sablatnig 2018, doi:10.1109/ICFHR-2018.2018.00052, word beam search in its mode of words.
    """

    def __init__(self, texts: Sequence[str], words: Iterable[str], end: int, apart: bool):
        self.texts, self.end, self.apart = texts, end, apart
        self.words = frozenset(words)
        self._letters: list[dict[str, int]] = [{}]
        self._whole = [True]
        for word in sorted(self.words) if not apart else ():
            node = ROOT
            for letter in word:
                if letter not in self._letters[node]:
                    self._letters[node][letter] = len(self._letters)
                    self._letters.append({})
                    self._whole.append(False)
                node = self._letters[node][letter]
            self._whole[node] = True

    def start(self) -> int:
        return ROOT

    def advance(self, state: int, symbol: int) -> int:
        after = self._walked(state, self.texts[symbol]) if symbol < len(self.texts) else None
        return ROOT if after is None else after

    def allowed(self, state: int) -> np.ndarray:
        legal = np.array([bool(text) and self._walked(state, text) is not None for text in self.texts])
        legal[self.end] = self._whole[state] or not legal.any()
        return legal

    def unspelt(self) -> list[str]:
        """The words that no symbols spell, in order."""
        texts = set(self.texts) - {""}
        if self.apart:
            return sorted(self.words - texts)
        begins, ends = {text.lstrip() for text in texts}, {text.rstrip() for text in texts}
        return [word for word in sorted(self.words) if not _is_spelt(word, texts, begins, ends)]

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


def _is_spelt(word: str, texts: Set[str], begins: Set[str], ends: Set[str]) -> bool:
    """Whether a word falls into pieces of these texts; what begins or ends it may hold blanks outside it."""
    reached = [True, *[False] * len(word)]
    for end in range(1, len(word) + 1):
        for start in range(end):
            at_end, at_start = end == len(word), start == 0
            piece = word[start:end]
            known = piece in texts or (at_start and piece in begins) or (at_end and piece in ends)
            reached[end] = reached[end] or (reached[start] and known)
    return reached[-1]


def listed_words(path: Path, run: Run, say: Callable[[str], None]) -> Adapt:
    """Keeps the answers of a run to the words of a file, which blanks or line ends divide.

    Args:
        path: of the list.
        run: that answers.
        say: told of words that an output cannot spell, once.

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

    known: dict[Modality, Words] = {}

    def adapt(modality: Modality, generator: Generator) -> Generator:
        if not isinstance(modality, Tokenized) or not generator.num_symbols:
            raise no_text
        if modality not in known:
            pieces = pieces_of(modality)
            listed = known[modality] = Words(pieces.texts, words, int(generator.end), pieces.apart)
            unspelt, number = listed.unspelt(), len(listed.words)
            if len(unspelt) == number:
                shown = ", ".join(map(repr, [text for text in pieces.texts if text.strip()][:SHOWN]))
                raise ConfigError(
                    f"--words: the symbols of this output ({shown} ...) spell none of the {number:,} words of {path};"
                    " give the words as the answers have them"
                )
            if unspelt:
                shown = ", ".join(map(repr, unspelt[:SHOWN])) + (" ..." if len(unspelt) > SHOWN else "")
                say(
                    f"note: --words: {len(unspelt):,} of {number:,} words of {path} are never answered, since the"
                    f" output's symbols cannot spell them: {shown}"
                )
        return Legal(generator, known[modality], divided=False)

    return adapt
