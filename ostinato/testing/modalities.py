"""The laws of modalities: each takes a `Column`, a way to make the modality and raw values, and fails by
AssertionError."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ostinato.errors import ConfigError, DataError
from ostinato.modalities.contract import Labels, Modality, Symbols, Tokenized, Worded
from ostinato.testing._tools import Check, Member, all_checks

COLUMNS: dict[str, list[Any]] = {
    "texts": [
        "The cat sat; the cat slept.",
        "a Cat and a dog",
        "the cafe\u0301, the ﬁrst café",
        "dogs ran and ran",
        "cat",
    ],
    "words": [["the", "cat", "sat"], ["A", "dog", "ran"], ["cat", "cat"], ["the", "dog"]],
    "labels": ["red", "blue", "blue", "Green", "red"],
    "several labels": [["red", "blue"], ["blue"], [], ["green", "red"]],
    "tags of spans": [["B-PER", "I-PER", "O"], ["O", "B-LOC"], ["B-PER", "B-PER", "O"], ["O"]],
    "tags of the first scheme": [["I-PER", "I-PER", "O", "I-LOC"], ["I-PER", "B-PER", "O"]],
    "numbers": [1.5, -0.25, 3.0, 12.125, 0.0],
    "series": [[1.0, 2.5, 4.0], [0.5, 1.0], [3.0, 3.0, 2.0, 1.0]],
    "channels": [[[1.0, 5.0], [2.0, None]], [[0.5, 4.0], [1.5, 3.0], [2.5, 1.0]]],
    "dates": [["2024-01-31 14:00", "2024-02-01 09:30"], ["2023-07-15 00:00"]],
}
"""Raw values of many kinds: a member is tried on those that it takes."""
FIELDS = (
    "the cat",
    "THE DOG",
    "red",
    "red|blue",
    "purple",
    "B-PER I-PER",
    "I-PER O",
    "B-ORG O",
    "I-ORG",
    "1 2 3",
    "1.5",
    "_ O",
    "a_b",
    "",
)
"""Fields of text, some of them new to what was fitted."""
TRIED = {
    "size": (4,),
    "channels": (1,),
    "stop_words": (["cat"],),
    "ordinal": (["red", "blue", "Green"],),
    "separator": ("_",),
    "width": (3,),
    # Between the ends of a stroke: points that are laid anew along a bend are not laid there a second time.
    "spacing": (1000.0,),
}
"""Values of options that a type tells little of."""


@dataclass(frozen=True)
class Column:
    """Raw values, how the modality is made that reads them, and whether its traits say that training varies them."""

    make: Callable[[], Modality]
    name: str
    cells: Sequence[Any] = dataclasses.field(repr=False)
    varies: bool = False

    def fitted(self) -> Modality:
        modality = self.make()
        modality.fit(iter(self.cells))
        return modality

    def taken(self) -> bool:
        try:
            modality = self.fitted()
            for raw in self.cells:
                modality.encode(raw)
        except DataError:
            return False
        return True


def steps_are_what_spec_says(column: Column) -> None:
    """Encoded values have the type and shape of `spec`, symbols and labels are in range, and each step has a label to
    read."""
    modality = column.fitted()
    spec = modality.spec
    kind, shape = spec.stored
    for raw in column.cells:
        array = modality.encode(raw)
        assert array.dtype == kind and array.shape[1:] == shape, f"{raw!r} is {array.dtype} {array.shape}, not {spec}"
        assert len(modality.labels(array)) == len(array), f"{raw!r}: one label for each step"
        if isinstance(spec, Symbols) or (isinstance(spec, Labels) and not spec.multilabel):
            first = array[:, 0] if array.ndim == 2 else array
            assert not len(first) or -1 <= first.min() <= first.max() < spec.size, f"{raw!r} is out of range"
        else:
            assert not np.isinf(array).any(), f"{raw!r}"


def values_come_back(column: Column) -> None:
    """Law h: a decoded value is read as the encoded one was; and so is what `write` makes of it, parsed again."""
    modality = column.fitted()
    if not modality.aligns:
        return  # what is never an output need not be generated again
    for raw in column.cells:
        array = modality.encode(raw)
        back = modality.decode(array)
        _near(modality.encode(back), array, f"{raw!r} comes back as {back!r}")
        field = modality.write(back)
        assert "\n" not in field and "\t" not in field, f"{field!r} is no field of one line"
        _near(modality.encode(modality.parse(field)), array, f"{back!r} is written as {field!r}")


def varied_steps_are_like_encoded_ones(column: Column) -> None:
    """What training reads in place of an example has the type and shape of `spec`, depends on the generator alone, and
    is the example itself without a change."""
    modality = column.fitted()
    kind, shape = modality.spec.stored
    for raw in column.cells:
        array = modality.encode(raw)
        first, again = (modality.varied(array, np.random.default_rng(1)) for _ in range(2))
        assert first.dtype == kind and first.shape[1:] == shape, f"{raw!r} varied is {first.dtype} {first.shape}"
        assert np.array_equal(first, again, equal_nan=kind.startswith("float")), f"{raw!r}: one seed, two examples"
        assert len(first) or not len(array), f"{raw!r}: nothing is left"
        if not column.varies:
            _near(first, array, f"{raw!r} does not vary")


def facts_are_all(column: Column) -> None:
    """Law f: facts are JSON, and a modality that takes them up is the one that was fitted."""
    modality, other = column.fitted(), column.make()
    other.restore(json.loads(json.dumps(modality.facts())))
    assert other.spec == modality.spec, f"{other.spec} after restoring, {modality.spec} before"
    assert json.dumps(other.facts()) == json.dumps(modality.facts())
    for raw in column.cells:
        array = modality.encode(raw)
        assert np.array_equal(other.encode(raw), array, equal_nan=array.dtype.kind == "f"), f"{raw!r}"
        assert other.labels(array) == modality.labels(array)


def what_is_missing_is_none(column: Column) -> None:
    """A missing value stays one, and values that are missing do not change what is fitted."""
    modality, other = column.fitted(), column.make()
    assert modality.take(None) is None
    other.fit(iter([None, *column.cells, None]))
    assert other.spec == modality.spec


def baselines_can_read_it(column: Column) -> None:
    """What it gives to baselines has an entry for each row, in the form of its kind, missing rows too."""
    features = column.fitted().features([*column.cells, None])
    if features is not None:
        form = {"text": str, "symbols": list, "label": str, "numbers": np.ndarray}[features.kind]
        assert len(features.values) == len(column.cells) + 1 and all(
            isinstance(value, form) for value in features.values
        )


def what_has_words_names_them(column: Column) -> None:
    """Where symbols are words, each has its own, and words that are added stand behind them; a modality of texts learns
    from what `texts` gives."""
    modality = column.fitted()
    if isinstance(modality, Tokenized):
        other = column.make()
        other.learn(other.texts(column.cells))
        assert other.spec == modality.spec and other.tokenizer.size == modality.tokenizer.size
    if isinstance(modality, Worded):
        with contextlib.suppress(ConfigError):  # where its symbols are pieces of words
            known = modality.words()
            assert len(known) == modality.spec.size and not modality.spec.added
            before = [modality.encode(raw) for raw in column.cells]
            for words in (["zyxwv", "zyxwvu"], ["zyxwv"]):
                modality.add_words(words)
                assert modality.words() == [*known, *words] and modality.spec.added == len(words)
                assert modality.spec.size == len(known) + len(words), "what was added before is not taken out"
            after = [modality.encode(raw) for raw in column.cells]
            assert all(map(np.array_equal, before, after)), "a known word is another symbol once words are added"


def unknown_symbols_are_numbered_behind_the_known(column: Column) -> None:
    """What it names as unknown in a value has the numbers behind the vocabulary, once it is told, in the order of the
    value, and a spelling; to itself such a number is unknown."""
    modality = column.make()
    with contextlib.suppress(DataError):  # of one value no vocabulary is made, or another cannot be read
        modality.fit(iter(column.cells[:1]))
        for raw in column.cells:
            _near(modality.knowing([]).encode(raw), modality.encode(raw), f"{raw!r}")
            unknown, spec = modality.unknown_symbols(raw), modality.spec
            if not unknown:
                continue
            assert isinstance(spec, Symbols), f"{raw!r} has unknown symbols, and {spec} has none"
            told = modality.knowing(unknown)
            steps = told.encode(raw)
            symbols = steps if steps.ndim == 1 else steps[:, 0]
            beyond = symbols[symbols >= spec.size].tolist()
            assert list(dict.fromkeys(beyond)) == list(range(spec.size, spec.size + len(unknown))), f"{raw!r}"
            known = steps.copy()
            (known if steps.ndim == 1 else known[:, 0])[symbols >= spec.size] = spec.unknown
            assert np.array_equal(known, modality.encode(raw)), f"{raw!r}: a known symbol is another one"
            assert told.spec == spec and told.facts() == modality.facts() and not told.unknown_symbols(raw)
            assert told.labels(steps) != modality.labels(steps) == modality.labels(known), f"{raw!r}"
            assert modality.decode(steps) == modality.decode(known), f"{raw!r}"
            if modality.aligns:
                _near(told.encode(told.decode(steps)), steps, f"{raw!r} comes back as {told.decode(steps)!r}")


LAWS = (
    steps_are_what_spec_says,
    values_come_back,
    varied_steps_are_like_encoded_ones,
    facts_are_all,
    what_is_missing_is_none,
    baselines_can_read_it,
    what_has_words_names_them,
    unknown_symbols_are_numbered_behind_the_known,
)


def checks(member: Member) -> list[Check]:
    """Every law of `LAWS` on each column that it takes, its own `examples` among them, and the law of options;
    ConfigError where the options are refused."""
    member()
    taken = [column for column in _columns(member) if column.taken()]
    if len(taken) > 1:
        taken = [column for column in taken if column.name != "dates"]  # a text to most, and one with a space in it
    assert taken, f"{member} takes none of the columns {', '.join(COLUMNS)}; give it `examples`"
    return all_checks(member, [(law, column) for column in taken for law in LAWS], _fingerprint, TRIED)


def _columns(member: Member) -> list[Column]:
    cls: Any = member.cls
    varies = cls.traits(member.settings()).varies
    return [
        Column(member, name, cells, varies)
        for name, cells in (COLUMNS | {"its examples": cls.examples}).items()
        if cells
    ]


def _near(actual: np.ndarray, expected: np.ndarray, what: str) -> None:
    alike = actual.shape == expected.shape and (
        np.allclose(actual, expected, rtol=1e-5, atol=1e-5, equal_nan=True)
        if expected.dtype.kind == "f"
        else np.array_equal(actual, expected)
    )
    assert alike, f"{what}, and is read otherwise"


def _fingerprint(member: Member) -> list[Any]:
    """All that it makes of all columns and fields, what it refuses too."""
    results: list[Any] = [member.cls.traits(member.settings())]

    def tried(*steps: Callable[[Any], Any], on: Any) -> None:
        for step in steps:
            try:
                on = step(on)
            except DataError as why:
                results.append(str(why))
                return
            results.append(repr(on.tolist() if isinstance(on, np.ndarray) else on))

    for column in _columns(member):
        try:
            modality = column.fitted()
        except DataError as why:
            results.append(str(why))
            continue
        results += [repr(modality.spec), json.dumps(modality.facts()), repr(type(modality.grammar()))]
        for raw in column.cells:
            tried(modality.encode, modality.decode, modality.write, on=raw)
            tried(modality.encode, partial(modality.varied, chance=np.random.default_rng(2)), on=raw)
            tried(modality.encode, modality.labels, on=raw)
        for field in FIELDS:
            tried(modality.parse, modality.encode, on=field)
    return results
