"""Written language."""

from __future__ import annotations

import copy
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Strict

from ostinato.errors import ConfigError, DataError, shown
from ostinato.modalities._fields import is_missing, one_line, strings
from ostinato.modalities._spelling import BEGIN, END, FIRST, SPECIAL, UNKNOWN, UNKNOWN_RATE, Spelling, numbers
from ostinato.modalities.contract import (
    Array,
    Choices,
    Features,
    Modality,
    Subwords,
    Symbols,
    Tokenized,
    Traits,
    Worded,
)
from ostinato.raw.words import Words, pattern
from ostinato.registry import Room, SameAs, Settings, build
from ostinato.tokenizers.contract import Spelt, Tokenizer
from ostinato.tokenizers.word import Word

MOST_UNKNOWN = 0.1
"""The share of validation words that training lacks up to which a text is read by whole words: of reviews 5 %, of news
titles in a few thousand rows 17 %, of names nearly all. In validation, beside n-grams, whole words gave 81.4 % (pieces
79.6) of the sentences of SST, 78.6 % (n-grams alone 77.3) of MR, 71.7 % (68.8) of the pairs of MRPC, and 87.4 % (87.7)
of 1,520 news."""

LOOKED, SINGLE, LONGEST = 1000, 1.5, 40
"""Texts that are looked at; words and characters of each on average up to which they are single words."""
Marks = Literal["none", "begin", "end", "both"]
SPELLING_METRICS = ["exact_match", "character_error_rate", "token_accuracy", "perplexity"]
"""Of an output of single words: n-grams of words say nothing of them."""
BLEU = (
    "bleu",
    {"type": "bleu", "lowercase": True},
    {"type": "bleu", "lowercase": True, "tokenize": "moses"},
)
OTHERS = ("token_accuracy", "perplexity", "character_error_rate", "length_ratio", "repeated_ngrams")
COUNTED, MOSTLY = 4, 0.5
"""Words that BLEU counts together at most, without which in any answer it is 0; and the share of shorter answers above
which whole answers are compared before all else."""


class Text(Modality, Tokenized, Worded):
    """A text, as the pieces that a tokenizer finds in it.

        prepared = normalize(lowercase(text)) without stop words
        ids      = 3 + piece; 0 begins, 1 ends, 2 is what the tokenizer does not know

    Special symbols are numbers that no text can produce: a typed `<s>` is three characters of text. Unless
    lower-casing, normalisation or stop words change it, or the tokenizer is `word` or `char`, a text comes back exactly
    as it went in.

    With `characters` a step is a word and its spelling, as for `tokens`, so that unknown words still
    differ by their letters; the spelling is that of the prepared text.

    With `marks` the encoder of an input reads the symbols that begin or end an output too, around the text:

        steps = [0] ids [1]

    With `subword_pooling` the text is a list of words, or a field that white space divides, and what has a label for
    each word sees one step per word. A word's pieces are those that it has after a space, wherever it occurs:

        step = piece, and 1 where a word begins, else 0

    Args:
        tokenizer: what the pieces are; `{same_as: NAME}` shares the vocabulary of another input or output.
        lowercase: whether the model sees (and generates) lower case only.
        normalize: Unicode's form to bring each text into, such as NFC for composed characters; null leaves it alone.
        stop_words: words to leave out, in any case; a word is as for the tokenizer `word`, without white space or
            punctuation.
        characters: whether each word comes with its spelling: for an input whose tokenizer is `word`.
        marks: which of the symbols that begin and end an output stand around the text of an input.
        subword_pooling: which of a word's pieces represents it where words have labels, or their mean; none: pieces are
            steps.

    Shapes:
        encoded (T,), T with the marks, with `characters` (T, 1 + L), with `subword_pooling` one wider

    Errors:
        ConfigError: a stop word is not one word, or occurs beside `subword_pooling`; a shared tokenizer's owner was not
            looked up; `characters` of pieces of words; or `marks` beside `characters` or `subword_pooling`.
        DataError: a value is no text (or no list of words) or holds half of a surrogate pair; or the training split
            holds no text at all.
    """

    counted_readings = {
        "summary": {
            "tokenizer": "char",
            "lowercase": True,
            "characters": False,
            "subword_pooling": "none",
            "encoder": "ngrams",
        }
    }
    variants = (
        {"tokenizer": "word"},
        {"encoder": {"type": "convolutional", "bidirectional": True}},
        {"tokenizer": "bpe"},
        {"tokenizer": "char"},
    )
    aligns = frozenset({"free", "next"})
    one_text = True
    default_align = "free"
    default_encoder = "recurrent"
    default_head = {"free": "autoregressive", "next": "next_step"}
    metrics = {
        "next": ("perplexity", "bits_per_character", "token_accuracy"),
        "free": (*BLEU, "chrf", "exact_match", *OTHERS),
    }

    def __init__(
        self,
        *,
        tokenizer: Annotated[Settings | SameAs, Room("tokenizers", shared=True)] = "bpe",
        lowercase: bool = False,
        normalize: Literal["NFC", "NFKC", "NFD", "NFKD"] | None = None,
        stop_words: Annotated[tuple[str, ...], Strict(False)] = (),
        characters: bool = False,
        marks: Marks = "none",
        subword_pooling: Subwords = "none",
    ):
        if isinstance(tokenizer, SameAs):
            raise ConfigError(
                f"tokenizer: the reference same_as: {tokenizer.same_as} was not looked up; "
                "give this text the settings of that tokenizer, or build it as part of a recipe"
            )
        self._lowercase = lowercase
        self._normalize = normalize
        self._stop_words = frozenset(self._spelling(word).casefold() for word in stop_words)
        for word in stop_words:
            match = pattern().fullmatch(word)
            if match is None or match[1] is None:
                raise ConfigError(
                    f"stop_words: {word!r} is not one word; give words without white space or punctuation around"
                )
        self.tokenizer: Tokenizer = build(tokenizer, "tokenizers")
        self._characters = Spelling() if characters else None
        if characters and not isinstance(self.tokenizer, Spelt):
            raise ConfigError(f"characters: true: {self._not_words()}, or leave characters out")
        if stop_words and subword_pooling != "none":
            raise ConfigError("stop_words: every word has a label where words have labels; leave stop_words out")
        if marks != "none" and (characters or subword_pooling != "none"):
            other = "characters" if characters else "subword_pooling"
            raise ConfigError(
                f"marks: {marks}: each step is a word here, and marks are none; leave out marks or {other}"
            )
        self._begins, self._ends = marks in ("begin", "both"), marks in ("end", "both")
        self._pooling = subword_pooling
        self._labels: list[str] | None = None

    @staticmethod
    def traits(settings: Any) -> Traits:
        return Traits(
            by_words=settings.subword_pooling != "none",
            characters=settings.characters,
            marked=settings.marks != "none",
        )

    def _spelling(self, text: str) -> str:
        if self._normalize is not None:
            text = unicodedata.normalize(self._normalize, text)
        if self._lowercase:
            text = text.lower()
            # Lower-casing can leave the form: one capital may become a letter and a mark.
            text = text if self._normalize is None else unicodedata.normalize(self._normalize, text)
        return text

    def prepared(self, raw: Any) -> str:
        """The text that the tokenizer sees; of a list of words with blanks between them."""
        if isinstance(raw, list):
            raw = " ".join(strings(raw, "word"))
        if not isinstance(raw, str):
            raise DataError(f"a text is needed, not {shown(raw)}")
        try:
            raw.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DataError(
                f"character {error.start + 1} of the text {ascii(raw[error.start])} is half of a surrogate pair, no "
                "text; read the file as UTF-8, or leave that character out"
            ) from None
        text = self._spelling(raw)
        return self._without_stop_words(text) if self._stop_words else text

    def _without_stop_words(self, text: str) -> str:
        kept, start = [], 0
        for match in pattern().finditer(text):
            if match[1] is not None and match[1].casefold() in self._stop_words:
                kept.append(text[start : match.start()])
                start = match.end()
                # The space after it goes too, and what is left at either end of the text.
                while start < len(text) and text[start].isspace():
                    start += 1
        if not kept:
            return text
        kept.append(text[start:])
        return "".join(kept) if text[start:] else "".join(kept).rstrip()

    def choices(
        self, train: Iterable[Any], valid: Iterable[Any], gives: Callable[[str], bool], summarized: bool
    ) -> Choices:
        """Characters where a text is a single word; whole answers before n-grams where most have too few words for
        these; whole words where a text has one answer and training knows nearly all words of validation."""
        looked = list(islice((text for text in self.texts(train)), LOOKED))
        words = sum(len(text.split()) for text in looked) / max(1, len(looked))
        if words <= SINGLE and not self._by_words and self._characters is None:
            if sum(map(len, looked)) > LONGEST * len(looked):
                return {}
            why = f"{words:.1f} words each"
            return {"tokenizer.type": ("char", f"{why}: its letters are read"), "metrics": (SPELLING_METRICS, why)}
        chosen = self.tokenizer if isinstance(self.tokenizer, Spelt) else Word()
        if not summarized:
            return self._metrics_of_short(looked)
        if self._by_words or (chosen is not self.tokenizer and gives("tokenizer.type")):
            return {}
        known = {piece for text in self.texts(train) for piece in chosen.spellings(text)}
        seen = [piece in known for text in self.texts(valid) for piece in chosen.spellings(text)]
        unknown = 1 - sum(seen) / max(1, len(seen))
        if unknown > MOST_UNKNOWN:
            return {}
        share = f"{100 * unknown:.1f} % of the validation words do not occur in training"
        return {
            "tokenizer.type": ("word", f"{share}: a whole word says more than its pieces"),
            "encoder.rare_word_dropout": (UNKNOWN_RATE, f"{share}; it reads rare ones as unknown now and then"),
        }

    @staticmethod
    def _metrics_of_short(texts: Sequence[str]) -> Choices:
        """BLEU stays where some texts are long enough for it."""
        short = sum(len(text.split()) < COUNTED and len(text) <= LONGEST for text in texts)
        if short <= MOSTLY * len(texts):
            return {}
        share = f"{100 * short / len(texts):.0f} % of the answers"
        why = f"{share} have fewer than the {COUNTED} words that BLEU counts together"
        return {"metrics": (["exact_match", *(BLEU if short < len(texts) else ()), "chrf", *OTHERS], why)}

    def fit(self, column: Iterable[Any]) -> None:
        self.learn(self.texts(column))

    def learn(self, texts: Iterable[str]) -> None:
        texts = iter(texts)
        first = next(texts, None)
        if first is None:
            raise DataError(
                "nothing to learn: every text of the training split is empty; "
                "check that this is the right column, or leave it out of the recipe"
            )
        words: set[str] = set()
        self.tokenizer.fit(self._listened(chain((first,), texts), words))
        if self._characters is not None:
            self._characters.fit(words)
        self._labels = None

    def _listened(self, texts: Iterable[str], words: set[str]) -> Iterator[str]:
        """The texts; the words in them are kept where their spelling counts."""
        for text in texts:
            if self._characters is not None:
                words.update(self._spelt().spellings(text))
            yield text

    def texts(self, column: Iterable[Any]) -> Iterator[str]:
        present = (raw for raw in column if raw is not None)
        return filter(None, ("".join(self._words(raw)) if self._by_words else self.prepared(raw) for raw in present))

    @property
    def _by_words(self) -> bool:
        return self._pooling != "none"

    def _words(self, raw: Any) -> list[str]:
        """Each word as the tokenizer sees it, with a space in front."""
        return [f" {self.prepared(word)}" for word in self._listed(raw)]

    def _listed(self, raw: Any) -> list[str]:
        return raw.split() if isinstance(raw, str) else strings(raw, "word")

    def unseen(self, raw: Any) -> list[str]:
        words = self._words(raw) if self._by_words else self.prepared(raw).split()
        return [word.strip() for word in words if None in self.tokenizer.encode(word)]

    def unknown_symbols(self, raw: Any) -> list[str]:
        texts = self._words(raw) if self._by_words else (self.prepared(raw),)
        return list(dict.fromkeys(piece for text in texts for piece in self.tokenizer.unknown(text)))

    def knowing(self, symbols: Sequence[str]) -> Text:
        if not symbols:
            return self
        other = copy.copy(self)
        other.tokenizer, other._labels = self.tokenizer.knowing(symbols), None
        return other

    def words_of(self, raw: Any) -> Words | None:
        """The words that have labels, where steps are words: with `subword_pooling`."""
        words = self._listed(raw) if self._by_words else None
        return None if words is None else Words.of(raw if isinstance(raw, str) else " ".join(words), words)

    def encode(self, raw: Any) -> np.ndarray:
        ids: list[int | None] = []
        begins: list[int] = []
        spellings: list[str] = []
        for text in self._words(raw) if self._by_words else (self.prepared(raw),):
            pieces = self.tokenizer.encode(text)
            if self._by_words:
                # What a tokenizer finds nothing in has a label too: one unknown piece.
                pieces = pieces or [None]
                begins += [1, *[0] * (len(pieces) - 1)]
            if self._characters is not None:
                spellings += self._spelt().spellings(text) or [""] * len(pieces)
            ids += pieces
        if None in ids:
            ids = [UNKNOWN - FIRST if piece is None else piece for piece in ids]
        if self._begins:
            ids = [BEGIN - FIRST, *ids]
        if self._ends:
            ids = [*ids, END - FIRST]
        encoded = np.array(ids, dtype=np.int32) + np.int32(FIRST)
        if self._characters is not None:
            encoded = self._characters.beside(encoded, spellings)
        return np.column_stack([encoded, np.array(begins, np.int32)]) if self._by_words else encoded

    def decode(self, array: Array) -> str | list[str]:
        """The text; with `subword_pooling` the list of words."""
        if not self._by_words:
            return self._said(numbers(array))
        steps = np.asarray(array).reshape(-1, *self.spec.stored[1])
        firsts = np.flatnonzero(steps[:, -1]).tolist()
        ids = numbers(steps)
        return [self._said(ids[first:after]).removeprefix(" ") for first, after in zip(firsts, [*firsts[1:], len(ids)])]

    def _said(self, ids: list[int]) -> str:
        known = range(FIRST, FIRST + self.tokenizer.size + len(self.tokenizer.beyond))
        return self.tokenizer.decode(
            [number - FIRST if number in known else None for number in ids if number not in (BEGIN, END)]
        )

    def labels(self, array: Array) -> list[str]:
        if self._labels is None:
            self._labels = [*SPECIAL, *self.tokenizer.pieces()]
        known = range(len(self._labels))
        return [self._labels[number if number in known else UNKNOWN] for number in numbers(array)]

    @property
    def spec(self) -> Symbols:
        spelling = self._characters
        size = self.tokenizer.size + FIRST
        beside: dict[str, Any] = {}
        if spelling is not None:
            beside = {"characters": spelling.size, "longest": spelling.longest, "kinds": spelling.kinds}
        own = self.tokenizer.separators()
        separators = None if own is None else tuple(number + FIRST for number in own)
        if isinstance(self.tokenizer, Spelt):
            counts = self.tokenizer.counts()
            beside |= {"counts": (*[0] * FIRST, *counts) if counts else (), "added": self.tokenizer.num_added}
        return Symbols(size, BEGIN, END, UNKNOWN, **beside, pooling=self._pooling, separators=separators)

    def words(self) -> list[str | None]:
        return [None] * FIRST + self._spelt().words()

    def add_words(self, words: Sequence[str]) -> None:
        self._spelt().add_words(words)
        self._labels = None

    def _spelt(self) -> Spelt:
        """The tokenizer, whose pieces must be words."""
        if not isinstance(self.tokenizer, Spelt):
            raise ConfigError(self._not_words())
        return self.tokenizer

    def _not_words(self) -> str:
        return f"the pieces of {type(self.tokenizer).__name__.lower()} are parts of words; set tokenizer: word"

    def features(self, cells: Sequence[Any]) -> Features:
        """The text."""
        return Features("text", [" ".join(raw) if isinstance(raw, list) else raw or "" for raw in cells])

    def facts(self) -> dict:
        return {
            "tokenizer": self.tokenizer.facts(),
            **(self._characters.facts() if self._characters is not None else {}),
        }

    def extended(self, earlier: Mapping[str, Any], fitted: Mapping[str, Any]) -> Mapping[str, Any]:
        spelling = {} if self._characters is None else self._characters.extended(earlier, fitted)
        return {"tokenizer": self.tokenizer.extended(earlier["tokenizer"], fitted["tokenizer"]), **spelling}

    def restore(self, facts: dict) -> None:
        self.tokenizer.restore(facts["tokenizer"])
        if self._characters is not None:
            self._characters.restore(facts)
        self._labels = None

    def parse(self, field: str) -> str | list[str]:
        return self._listed(field) if self._by_words else field

    def take(self, raw: Any) -> Any:
        if is_missing(raw):
            return None
        return self._listed(raw) if self._by_words else raw

    def write(self, raw: str | list[str]) -> str:
        """The text with tabs and line breaks escaped, for output of one example a line; `parse` does not undo that,
        since what people type is plain text, in which a backslash is a backslash."""
        return one_line(raw if isinstance(raw, str) and not self._by_words else " ".join(self._listed(raw)))
