"""Symbols that the data already separate."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ostinato.errors import DataError
from ostinato.modalities._fields import TEXT, WHOLE, Digits, as_kind, is_missing, one_line, strings
from ostinato.modalities._spelling import BEGIN, END, FIRST, SPECIAL, UNKNOWN, UNKNOWN_RATE, Spelling, numbers
from ostinato.modalities.contract import Array, Choices, Features, Modality, Symbols, Traits, Worded
from ostinato.raw.vocabulary import AddedWords, extended, most_frequent
from ostinato.raw.words import Words, are_words, split_like
from ostinato.registry import Count

NO_BREAK_SPACE = "\u00a0"
MOST_UNKNOWN = 0.02
"""The share of validation symbols that training lacks from which on words come with their characters: below it a
spelling has little to add."""
CHARACTER_FILTERS = 100, "as many endings and beginnings as a few thousand sentences tell apart"
CHARACTER_WIDTH = 5, "an ending of four characters and what follows the last, seen at once"
"""Of French parts of speech (UD Sequoia, validation, 4 of 8 epochs at a rate of 0.001) 100 filters of width 5 gave
93.3 %, 30 of width 3 91.7 %."""
EMBEDDING_INIT = "uniform", "words that are seldom seen begin near zero"
"""Of entities (wikiann German, 4,000 sentences, validation, 6 epochs at a rate of 0.004) it gave a span F1 of 72.8,
normal 69.2."""


class Tokens(Modality, Worded):
    """A list of symbols: commands, phonemes, bases of DNA, codes; one step each, the most frequent numbered first.

        ids = 3 + symbol; 0 begins, 1 ends, 2 is a symbol that training did not know

    A raw value is a list of strings, or a field of text that the separator splits; whole numbers in a list count as
    their digits. Separators in a row count as one, and around the ends as none, so that no symbol is empty. In a list a
    symbol may hold spaces, such as the French `1 000`; in a field these are no-break spaces (U+00A0).

    With `characters` a step is the symbol and its spelling, so that unknown symbols still differ by their
    letters:

        step = symbol, then the numbers of its first L characters, 0 after the last; 1 is a character that training did
               not know
        L    = half as long again as the longest symbol of the training split, since a new one may be longer; at most 20

    Args:
        separator: the text between two symbols of a field; empty: each character is a symbol.
        size: the most symbols to know; null: all.
        min_count: how often a symbol must occur in the training split to be known; from 2 up, training sees unknown
            ones too.
        lowercase: whether symbols that differ only in case are one; their spelling keeps its case.
        characters: whether each symbol comes with its spelling: for words that an input reads.

    Shapes:
        encoded (T,), with `characters` (T, 1 + L)

    Errors:
        DataError: a value is no list of symbols, a symbol is empty or holds a separator that is no space, or no symbol
            is left to know.
    """

    counted_readings = {
        "summary": {"characters": False, "encoder": "ngrams"},
        "each": {"characters": True, "encoder": "local_features"},
    }
    variants = ({"encoder": {"type": "convolutional", "bidirectional": True}},)
    aligns = frozenset({"free", "next"})
    default_align = "free"
    default_encoder = "recurrent"
    default_head = {"free": "autoregressive", "next": "next_step"}
    metrics = {
        "free": (
            "exact_match",
            "sequence_error",
            {"type": "sequence_error", "first": True},
            "token_error_rate",
            "token_accuracy",
            "perplexity",
        ),
        "next": ("perplexity", "token_accuracy"),
    }

    def __init__(
        self,
        *,
        separator: str = " ",
        size: Count | None = None,
        min_count: Count = 1,
        lowercase: bool = False,
        characters: bool = False,
    ):
        self._separator = separator
        self._limit = size
        self._min_count = min_count
        self._lowercase = lowercase
        self._spelling = Spelling() if characters else None
        self._beyond: dict[str, int] = {}
        self._set({})

    @staticmethod
    def traits(settings: Any) -> Traits:
        return Traits(characters=settings.characters)

    def _set(self, counts: Mapping[str, int], added: AddedWords | None = None, kind: str = TEXT) -> None:
        self._added, self._kind = added or AddedWords(), kind
        self._symbols, self._counts = [*counts, *self._added.words], (*[0] * FIRST, *counts.values())
        self._number = {symbol: number for number, symbol in enumerate(counts, FIRST)}

    def _read(self, raw: Any) -> list[str]:
        return self.parse(raw) if isinstance(raw, str) else strings(raw, "symbol")

    def _cased(self, symbols: list[str]) -> list[str]:
        return [symbol.lower() for symbol in symbols] if self._lowercase else symbols

    def choices(
        self, train: Iterable[Any], valid: Iterable[Any], gives: Callable[[str], bool], summarized: bool
    ) -> Choices:
        """The places of n-grams where all rows are equally long; unknown symbols in training where validation has some
        that training lacks, and where these are many, and words, their characters too."""
        lengths: set[int] = set()
        counts: Counter[str] = Counter()
        for raw in train:
            symbols = self._cased(self._read(raw))
            lengths.add(len(symbols))
            counts.update(symbols)
        choices: Choices = {}
        if len(lengths) == 1 and max(lengths) > 1:
            choices["encoder.places"] = True, f"every row has {max(lengths)} steps: what stands where may count"
        known = {symbol for symbol, count in counts.items() if count >= self._min_count}
        seen = Counter(symbol for raw in valid for symbol in self._cased(self._read(raw)))
        unknown = sum(count for symbol, count in seen.items() if symbol not in known) / max(1, seen.total())
        if not unknown:
            return choices
        share = f"{100 * unknown:.1f} % of the validation symbols do not occur in training"
        reason = f"{share}; it reads rare ones as unknown now and then"
        choices["encoder.rare_word_dropout"] = UNKNOWN_RATE, reason
        if unknown <= MOST_UNKNOWN or not are_words(counts):
            return choices
        choices["characters"] = True, f"{share}; their characters tell them apart"
        if not gives("encoder.embedding"):
            choices["encoder.embedding_init"] = EMBEDDING_INIT
        if self._spelling is not None or not gives("characters"):
            choices["encoder.character_size"] = CHARACTER_FILTERS
            choices["encoder.character_width"] = CHARACTER_WIDTH
        return choices

    def fit(self, column: Iterable[Any]) -> None:
        spellings: set[str] = set()
        whole = True

        def rows() -> Iterator[list[str]]:
            nonlocal whole
            for raw in column:
                if raw is not None:
                    symbols = self._read(raw)
                    whole = whole and all(isinstance(symbol, Digits) for symbol in symbols)
                    if self._spelling is not None:
                        spellings.update(symbols)
                    yield self._cased(symbols)

        counts = most_frequent(rows(), self._limit, self._min_count, "symbol")
        for symbol in counts:
            if self.parse(self._as_field(symbol)) != [self._as_field(symbol)]:
                if not symbol:
                    raise DataError("a symbol is empty; name it, or leave it out of the list")
                raise DataError(
                    f"the symbol {symbol!r} cannot be separated from its neighbours with separator: "
                    f"{self._separator!r}; choose a separator that occurs in no symbol"
                )
        self._set({str(symbol): count for symbol, count in counts.items()}, kind=WHOLE if whole else TEXT)
        if self._spelling is not None:
            self._spelling.fit(spellings)

    def words_of(self, raw: Any) -> Words:
        if not isinstance(raw, str):
            words = self._read(raw)
            return Words.of(self._separator.join(words), words)
        return Words.of(raw, split_like(raw, self._knows) if self._separator == " " else self.parse(raw))

    def _knows(self, symbol: str) -> bool:
        return (symbol.lower() if self._lowercase else symbol) in self._number

    def encode(self, raw: Any) -> np.ndarray:
        symbols = self.words_of(raw).words if isinstance(raw, str) else self._read(raw)
        ids = [self._find(symbol) for symbol in self._cased(symbols)]
        return np.array(ids, dtype=np.int32) if self._spelling is None else self._spelling.beside(ids, symbols)

    def _find(self, symbol: str) -> int:
        number = self._number.get(symbol, UNKNOWN)
        place = self._added.find(symbol) if number == UNKNOWN and self._added.words else None
        number = number if place is None else FIRST + len(self._number) + place
        return self._beyond.get(symbol, number) if number == UNKNOWN else number

    def unseen(self, raw: Any) -> list[str]:
        return [symbol for symbol in self._read(raw) if self._find(self._cased([symbol])[0]) == UNKNOWN]

    def unknown_symbols(self, raw: Any) -> list[str]:
        symbols = self.words_of(raw).words if isinstance(raw, str) else self._read(raw)
        return [symbol for symbol in dict.fromkeys(self._cased(symbols)) if self._find(symbol) == UNKNOWN]

    def knowing(self, symbols: Sequence[str]) -> Tokens:
        if not symbols:
            return self
        other = copy.copy(self)
        other._beyond = {symbol: number for number, symbol in enumerate(symbols, FIRST + len(self._symbols))}
        return other

    def decode(self, array: Array) -> list[str]:
        return self._spelt([number for number in numbers(array) if number not in (BEGIN, END)], "\ufffd")

    def as_given(self, value: Any) -> Any:
        return [as_kind(symbol, self._kind) for symbol in value]

    def labels(self, array: Array) -> list[str]:
        return self._spelt(numbers(array), SPECIAL[UNKNOWN])

    def _spelt(self, ids: Sequence[int], unknown: str) -> list[str]:
        """The symbols of these numbers; a number that there is no symbol for is unknown."""
        symbols = [*SPECIAL[:UNKNOWN], unknown, *self._symbols, *self._beyond]
        known = range(len(symbols))
        return [symbols[number if number in known else UNKNOWN] for number in ids]

    @property
    def spec(self) -> Symbols:
        size = len(self._symbols) + FIRST
        spelling = self._spelling
        beside: dict[str, Any] = {}
        if spelling is not None:
            beside = {"characters": spelling.size, "longest": spelling.longest, "kinds": spelling.kinds}
        return Symbols(size, BEGIN, END, UNKNOWN, **beside, counts=self._counts, added=len(self._added.words))

    def words(self) -> list[str | None]:
        return [None] * FIRST + self._symbols

    def add_words(self, words: Sequence[str]) -> None:
        self._set(dict(zip(self._number, self._counts[FIRST:])), AddedWords(words), self._kind)

    def features(self, cells: Sequence[Any]) -> Features:
        """The symbols."""
        return Features("symbols", [[] if raw is None else list(map(str, raw)) for raw in cells])

    def facts(self) -> dict:
        counts = list(self._counts[FIRST:])
        spelling = self._spelling.facts() if self._spelling is not None else {}
        kind = {} if self._kind == TEXT else {"kind": self._kind}
        return {"symbols": list(self._number), "counts": counts, **kind, **self._added.facts(), **spelling}

    def extended(self, earlier: Mapping[str, Any], fitted: Mapping[str, Any]) -> Mapping[str, Any]:
        spelling = {} if self._spelling is None else self._spelling.extended(earlier, fitted)
        return extended(earlier, fitted, "symbols") | spelling

    def restore(self, facts: dict) -> None:
        symbols = list(facts["symbols"])
        # Runs of before counts were kept have none.
        counts = dict(zip(symbols, facts.get("counts", [0] * len(symbols))))
        self._set(counts, AddedWords.of(facts), facts.get("kind", TEXT))
        if self._spelling is not None:
            self._spelling.restore(facts)

    def parse(self, field: str) -> list[str]:
        return [symbol for symbol in field.split(self._separator) if symbol] if self._separator else list(field)

    def take(self, raw: Any) -> list[str] | None:
        return None if is_missing(raw) else self._read(raw)

    def write(self, raw: list[str] | str) -> str:
        """The symbols with the separator between them; a space within one becomes a no-break space, and a tab or line
        break is escaped, neither of which `parse` undoes. A text that nobody has split stays what it is."""
        if isinstance(raw, str):
            return one_line(raw)
        return one_line(self._separator.join(map(self._as_field, raw)))

    def _as_field(self, symbol: str) -> str:
        """A symbol of a list as a field may hold it, where the separator is a space."""
        return symbol.replace(" ", NO_BREAK_SPACE) if self._separator == " " else symbol
