"""What a modality is: the way between a column's raw values and tensors, with the facts fitted on the training
split."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from ostinato.raw.schemes import Legal, Span
from ostinato.raw.words import Words
from ostinato.tokenizers.contract import Tokenizer

MISSING = -1
"""A step of `Labels` that nobody gave a label; losses and metrics leave it out. In values it is NaN."""


Array = Sequence[int] | np.ndarray
"""The steps of an encoded example, or some of them."""


Subwords = Literal["none", "first", "last", "mean"]
"""Which of a word's pieces represents it where words have labels; none: pieces are steps of their own."""


@dataclass(frozen=True)
class Symbols:
    """Each step is one of `size` symbols; values are (N,) int64. `begin` and `end` never occur in encoded examples:
    heads add them.

    With `characters` each step is a word with its spelling: values are (N, 1 + longest), the word's number, then its
    characters from 1 up, 0 after the last; `characters` is the number of different ones, 0 included.

    With `pooling` each step is a piece of a word: its values end in one number more, 1 where a word
    begins, else 0. Encoders never see that number; what has a label for each word sees one step per word, its first or
    last piece's or their mean.

    `counts` holds how often each symbol occurred in the training split, () where nobody counted; it changes no step.

    The last `added` symbols are words that training lacks, whose vectors a file has: only inputs have such, and
    `counts` leaves them out.

    `separators` are the symbols that divide words: white space where symbols are characters, None where they are more.

    `kinds` holds for each number of a character what it is: 1 a letter, 2 a capital letter, 3 a digit, 0 anything else;
    () where nobody knows.
    """

    size: int
    begin: int
    end: int
    unknown: int
    characters: int = 0
    longest: int = 0
    pooling: Subwords = "none"
    counts: tuple[int, ...] = field(default=(), compare=False, repr=False)
    separators: tuple[int, ...] | None = None
    kinds: tuple[int, ...] = field(default=(), compare=False, repr=False)
    added: int = 0

    @property
    def stored(self) -> tuple[str, tuple[int, ...]]:
        """The type and shape of one encoded step."""
        beside = (self.longest if self.characters else 0) + (self.pooling != "none")
        return "int32", (1 + beside,) if self.characters or self.pooling != "none" else ()


@dataclass(frozen=True)
class Values:
    """Each step is a vector of `size` real numbers; values are (N, size) float32, NaN where a number is missing.

    The last `signs` of them are signs of gaps, 1 where a number before them is missing: read, and never predicted. The
    numbers are in units of their spread over the data set, or the row, save those that are `unscaled`.
    """

    pooling: ClassVar[Subwords] = "none"

    size: int
    signs: int = 0
    unscaled: bool = False

    @property
    def channels(self) -> int:
        """The numbers that are measured."""
        return self.size - self.signs

    @property
    def stored(self) -> tuple[str, tuple[int, ...]]:
        """The type and shape of one encoded step."""
        return "float32", (self.size,)


@dataclass(frozen=True)
class Pixels(Values):
    """Each step is a picture: of an image one of its columns (`width` 1), of a video a frame.

    Its numbers are column after column, in each from top to bottom, for each pixel the channels:
    (width, height, channels) flattened.
    """

    height: int = 1
    width: int = 1

    @property
    def colors(self) -> int:
        """The channels of a pixel."""
        return self.size // (self.height * self.width)

    @property
    def stored(self) -> tuple[str, tuple[int, ...]]:
        """The type and shape of one encoded step: half the bytes, and finer than the 256 levels of a file."""
        return "float16", (self.size,)


@dataclass(frozen=True)
class Labels:
    """Each step has one of `size` labels, or with `multilabel` any number of them.

    Values are (N,) int64, MISSING where nobody gave a label; with `multilabel` (N, size) float32 of 0 and 1, NaN where
    nobody did.

    Args:
        size: how many labels there are.
        multilabel: whether a step may have any number of them.
        ordinal: whether they have an order, such as ratings.
        counts: how often each stood in the training split.
        legal: what may follow what; None: anything.
    """

    pooling: ClassVar[Subwords] = "none"

    size: int
    multilabel: bool = False
    ordinal: bool = False
    counts: tuple[int, ...] = ()
    legal: Legal | None = None

    @property
    def stored(self) -> tuple[str, tuple[int, ...]]:
        """The type and shape of one encoded step."""
        return ("float32", (self.size,)) if self.multilabel else ("int32", ())


Spec = Symbols | Values | Labels
"""What one step of a column is."""


class Features(NamedTuple):
    """What a baseline reads of a column, an entry per row.

    Args:
        kind: text: n-grams of words and of characters are counted; symbols: n-grams of symbols; label: one column each;
            numbers: a vector, scaled.
        values: a string of each row, a list of strings, a string, or an array of numbers.
    """

    kind: Literal["text", "symbols", "label", "numbers"]
    values: Sequence[Any]


@dataclass(frozen=True)
class Traits:
    """What the settings of a column decide before anything is fitted.

    Args:
        by_words: whether words are read in pieces and have labels, so that a step of what labels them is a word.
        characters: whether each word is read with its characters.
        known_future: whether its steps are known through the horizon of a forecast.
        marked: whether the symbols that begin or end a sequence are among its steps.
        varies: whether training reads each example in another way in each epoch (`Modality.varied`).
    """

    by_words: bool = False
    characters: bool = False
    known_future: bool = False
    marked: bool = False
    varies: bool = False


Choices = dict[str, tuple[Any, str]]
"""Settings of a column, of its encoder (`encoder.X`) or its head (`head.X`), each a value and the reason for it."""


class Grammar(ABC):
    """What may follow what in a sequence that is generated; a state is what came before, as far as it matters."""

    @abstractmethod
    def start(self) -> Hashable:
        """The state before the first symbol."""

    @abstractmethod
    def advance(self, state: Any, symbol: int) -> Hashable:
        """The state after one symbol more."""

    def after_prompt(self, symbols: Sequence[int]) -> Hashable:
        """The state after a prompt, in which several symbols may spell one that the vocabulary lacks."""
        return functools.reduce(self.advance, symbols, self.start())

    @abstractmethod
    def allowed(self, state: Any) -> np.ndarray:
        """(V,) which symbols may follow, the end among them; at least one."""


class Modality(ABC):
    """Raw values of one column <-> arrays of steps.

    Fitted on the training split only; `facts` and `restore` carry what was fitted into a bundle, and nothing else does.
    """

    aligns: ClassVar[frozenset[str]]
    """The alignments that an output of this modality may have; the first word of `default_align` is taken if none is
    given."""
    default_align: ClassVar[str]
    default_encoder: ClassVar[str]
    default_head: ClassVar[dict[str, str]]
    """Alignment -> the head's name."""
    metrics: ClassVar[dict[str, tuple[str | dict[str, Any], ...]]]
    """Alignment -> an output's metrics by default, each a name, or a mapping with its `type` and options; those that
    its head gives nothing for are left out."""
    single_score: ClassVar[str | None] = None
    """The metric that alone scores such an output where scikit-learn's habit has one; None: its main metric."""

    over_time: ClassVar[Literal["channels", "dates", "constant"]] = "constant"
    """What a table with a row per time step holds: numbers, one channel per column; the dates themselves; or one value
    for the whole series."""
    is_sequence: ClassVar[bool] = True
    """Whether a raw value is a sequence of steps, which may be empty; otherwise it is one step, which may only be
    missing."""
    numeric: ClassVar[bool] = False
    """Whether a field of text is one number, which `data.decimal` and `data.thousands` say how to read."""
    labels_beyond_fraction: ClassVar[bool] = False
    """Whether it is fitted on every training row, also where `data.fraction` keeps a share: the set of labels is known
    however few rows are trained on."""

    counted_readings: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Alignment of an output of labels -> settings of an input that is read by counting for it, its encoder among
    them."""

    variants: ClassVar[Sequence[Mapping[str, Any]]] = ()
    """Settings of a column that are worth a trial in place of the defaults, the most promising first: candidates of
    `train --effort`. Those that a column lacks, or that its recipe gives, are passed over."""

    file_endings: ClassVar[tuple[str, ...]] = ()
    """The endings, each with its dot, of files whose bytes are a raw value: what a manifest gives where it names such a
    file."""
    reads_folders: ClassVar[bool] = False
    """Whether the path of a folder of such files is a raw value too."""
    array_endings: ClassVar[tuple[str, ...]] = ()
    """Likewise of files of arrays, which tell no modality: several read them."""
    another_reading: ClassVar[bool] = False
    """Whether it reads the files of another modality in a way of its own: where nothing is said that one is guessed."""
    file_settings: ClassVar[Mapping[str, Any]] = {}
    """Settings of a column of such files whose bytes are no text."""
    file_rows: ClassVar[Mapping[str, str]] = {}
    """By the endings of files of text that hold several raw values: what divides these, as `data.rows` has it."""
    render_endings: ClassVar[tuple[str, ...]] = ()
    """The endings, each with its dot, of files that `render` writes."""
    one_text: ClassVar[bool] = False
    """Whether a file of text is one example where outputs continue it, read in passages; otherwise each line is one."""
    continues_whole: ClassVar[bool] = False
    """Whether what continues an example is decoded together with it, since it means nothing alone, as notes do without
    the meter and the key before them."""
    step_seconds: float | None = None
    """How long a step lasts; None: it has no length in time."""
    streams: ClassVar[bool] = False
    """Whether a raw value may arrive as bytes of standard input: `arriving` and `arrived`."""
    examples: ClassVar[Sequence[Any]] = ()
    """A few raw values for its laws, where they are of a form of its own."""

    def latency(self, steps: int) -> float | None:
        """Seconds from the beginning of a step until `steps` more are known; None: steps have no length in time."""
        return None if self.step_seconds is None else (steps + 1) * self.step_seconds

    def arriving(self, read: Callable[[], bytes]) -> Iterator[np.ndarray]:
        """The encoded steps of a raw value that `read` gives as bytes, part after part until there are none: each part
        as soon as its steps are known. Together they are `encode` of `arrived`.

        Errors:
            ConfigError: a setting needs the whole value.
        """
        raise NotImplementedError(f"{type(self).__name__} does not arrive in parts")

    def arrived(self, content: bytes) -> Any:
        """The raw value of all these bytes."""
        raise NotImplementedError(f"{type(self).__name__} does not arrive in parts")

    @staticmethod
    def by_path(path: Path) -> bool:
        """Whether the raw value of a file is its path, since its content may be too long to be held in memory."""
        return False

    def is_long(self, raw: Any) -> bool:
        """Whether a raw value is so long that what can answer while it is read does so: by its `parts`."""
        return False

    def excess(self, raw: Any) -> str | None:
        """Why a raw value is too long for `encode`, and what to do; None: it is not."""
        return None

    def needs_whole(self) -> str | None:
        """Why there are no `parts` and nothing is `arriving`: a setting, and what to do; None: there are."""
        return None

    def parts(self, raw: Any) -> Iterator[np.ndarray]:
        """The encoded steps of a raw value, part after part, in memory that does not grow with its length. Together
        they are `encode` of it.

        Errors:
            ConfigError: a setting needs the whole value.
        """
        yield self.encode(raw)

    def varied(self, steps: np.ndarray, chance: np.random.Generator) -> np.ndarray:
        """An encoded example as training reads it in one epoch (augmentation), where its traits are `varies`: like
        `encode`, of as many steps or of others, and all that is random from `chance`."""
        return steps

    def features(self, cells: Sequence[Any]) -> Features | None:
        """What a baseline reads of these raw values, None where one is missing; None as a whole: baselines leave the
        input out."""
        return None

    @staticmethod
    def main_metric(settings: Any) -> str | None:
        """The key of the metric that sums up an output with these settings; None: its first one."""
        return None

    @staticmethod
    def traits(settings: Any) -> Traits:
        """What these settings of a column decide before anything is fitted."""
        return Traits()

    def choices(
        self, train: Iterable[Any], valid: Iterable[Any], gives: Callable[[str], bool], summarized: bool
    ) -> Choices:
        """Settings that suit these raw values, before anything is fitted; each is taken where the recipe gives none.

        Args:
            train: raw training values, none of them missing (read once).
            valid: likewise of the validation split.
            gives: whether the recipe gives a setting of the column; such a choice would not be taken.
            summarized: whether it is an input, and each output that reads it has one answer for the whole row.
        """
        return {}

    @abstractmethod
    def fit(self, column: Iterable[Any]) -> None:
        """Learns the facts from the raw training values (read once)."""

    @abstractmethod
    def encode(self, raw: Any) -> np.ndarray:
        """One raw value as (T, ...) in the type and shape of `spec.stored`; T = 1 where it is no sequence."""

    @abstractmethod
    def decode(self, array: Array) -> Any:
        """The raw value of one encoded example; what is not a step of the modality (begin, end) does not appear in
        it."""

    def as_given(self, value: Any) -> Any:
        """A decoded value in the type that training rows had it in: Python's own answer to rows of Python."""
        return value

    @abstractmethod
    def labels(self, array: Array) -> list[str]:
        """One word per step, as a person would read it: for the axes of a picture."""

    def picture(self, array: Array) -> np.ndarray | None:
        """An encoded example as one sees it, (height, width, 3) from 0 to 1; None: it is no picture."""
        return None

    @property
    @abstractmethod
    def spec(self) -> Spec:
        """What one step is."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """All that was fitted, as JSON values."""

    @abstractmethod
    def restore(self, facts: dict[str, Any]) -> None:
        """Takes up facts that were saved, in place of fitting."""

    def extended(self, earlier: Mapping[str, Any], fitted: Mapping[str, Any]) -> Mapping[str, Any]:
        """The facts of an earlier run with the symbols of these facts that it lacks at their end; scales stay."""
        return earlier

    @abstractmethod
    def parse(self, field: str) -> Any:
        """The raw value of a table's text field, a line of a file or an argument on the command line."""

    @abstractmethod
    def take(self, raw: Any) -> Any:
        """What `parse` would give for a value that a table holds as it is (JSON, parquet, memory): None where it is
        missing, also within a list."""

    def words_of(self, raw: Any) -> Words | None:
        """The words of a raw value, one for each step, and where they stand in its text; None: steps are no words.

        Also of a text that nobody has split, which `encode` then reads in these words.
        """
        return None

    def spans_of(self, raw: Any) -> list[Span] | None:
        """The spans that the labels of a raw value mark, such as entities; None: they mark none."""
        return None

    def remark(self, raw: Any) -> str | None:
        """What is said of a raw value that is read: what is changed of one that is unlike those of training, or what
        it shows by itself where that costs little; None: nothing."""
        return None

    def flaw(self, raw: Any) -> str | None:
        """What a raw value shows by itself, before training, as an end of "it ...": of a recording that it has no
        sound; None: nothing.

        Errors:
            DataError: it cannot be read.
        """
        return None

    def unseen(self, raw: Any) -> list[str]:
        """The labels of a raw value that training lacks, or its symbols, of a text its words that hold one."""
        return []

    def unknown_symbols(self, raw: Any) -> list[str]:
        """The symbols of a raw value that its vocabulary lacks, each once, in the order in which they first occur;
        empty where symbols have no spelling of their own."""
        return []

    def knowing(self, symbols: Sequence[str]) -> "Modality":
        """The same modality with symbols that `unknown_symbols` gave behind its own, for one example: `encode` numbers
        them from the size of the vocabulary on, and `decode` and `labels` spell them, to which they are unknown
        otherwise. `spec` and `facts` are those without them. Itself where there are none."""
        return self

    def grammar(self) -> Grammar | None:
        """What may follow what where an output is generated; None: anything."""
        return None

    def render(self, raws: Sequence[Any], ending: str) -> bytes:
        """Raw values as one file for a person, such as a picture of several side by side, with one of `render_endings`.

        Errors:
            ConfigError: there are several, and the file holds one.
        """
        raise NotImplementedError(f"{type(self).__name__} writes no file that ends in {ending}")

    def closing(self) -> str:
        """How the text that `write` gives ends after the last step, such as the bracket of a list: a text that is
        passed on step by step is without it until the end."""
        return ""

    @abstractmethod
    def write(self, raw: Any) -> str:
        """The raw value as one field of one line; parse(write(x)) == x, save that text and tokens escape tabs and line
        breaks."""


class Tokenized(ABC):
    """A modality that learns from texts, whose vocabulary others of its type may share though each reads raw values in
    its own way.

    fit(column) is learn(texts(column)). Its symbols are pieces of a text, so that several may be needed for a word.
    """

    tokenizer: Tokenizer
    """What cuts the texts."""

    @abstractmethod
    def prepared(self, raw: Any) -> str:
        """The text that the tokenizer reads of a raw value."""

    @abstractmethod
    def texts(self, column: Iterable[Any]) -> Iterator[str]:
        """What a tokenizer reads of these raw training values."""

    @abstractmethod
    def learn(self, texts: Iterable[str]) -> None:
        """Learns the facts from such texts, of its own column and of those that share them (read once)."""


class Worded(ABC):
    """A modality whose symbols can be words: what has a spelling, and may have a vector in a file."""

    @abstractmethod
    def words(self) -> list[str | None]:
        """The word that each symbol is, as others spell it; None where it is none.

        Errors:
            ConfigError: the symbols are pieces of words.
        """

    @abstractmethod
    def add_words(self, words: Sequence[str]) -> None:
        """Takes words that training lacks as symbols behind the others, in place of those that were added before; a
        symbol of a raw value that is no known one is that of these words, else that of its lower case."""
