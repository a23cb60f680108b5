"""The laws of tokenizers, as plain functions: each takes a way to make the tokenizer, and fails by AssertionError."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ostinato.testing._tools import Check, Member, all_checks
from ostinato.tokenizers.contract import Spelt, Tokenizer

Make = Callable[[], Tokenizer]

TEXTS = (
    "The cat sat on the mat, and the cat sat still.",
    "the dog (a big one) didn't see the cat; the dog ran!",
    "e-mails cost 3.50 and arrive at 12:30",
    "Two  spaces, a\ttab and a\nbreak",
    "naïve cafés: Zürich, Łódź, 東京, हिन्दी, مرحبا, שלום, 🙂🙂",
)
"""What it learns from."""
TRIED = {"size": (4,)}
"""Values of options that show on so few texts."""
READ = (*TEXTS, "the cat, unseen: Quixotry — 北京!", "", " ", "zzz", "sat")
"""What it reads, some of it new."""


def numbers_are_pieces(make: Make) -> None:
    """Numbers run from 0 to size - 1, each with a text that a person can read; None is a piece that it does not
    know."""
    tokenizer = fitted(make)
    pieces = tokenizer.pieces()
    assert len(pieces) == tokenizer.size > 0 and all(isinstance(piece, str) and piece for piece in pieces)
    for text in READ:
        ids = tokenizer.encode(text)
        assert all(number is None or 0 <= number < tokenizer.size for number in ids), f"{text!r} gives {ids}"
        assert None not in ids or not tokenizer.exact, f"{text!r}: an exact tokenizer knows every text"


def texts_come_back(make: Make) -> None:
    """Law h: where it is exact every text comes back; elsewhere what comes back is read as the same pieces."""
    tokenizer = fitted(make)
    for text in READ:
        ids = tokenizer.encode(text)
        again = tokenizer.decode(ids)
        assert not tokenizer.exact or again == text, f"{text!r} comes back as {again!r}"
        assert None in ids or tokenizer.encode(again) == ids, f"{again!r} is not read as {text!r} is"
    assert "\ufffd" in tokenizer.decode([None])


def facts_are_all(make: Make) -> None:
    """Law f: facts are JSON, and a tokenizer that takes them up is the one that was fitted."""
    tokenizer, other = fitted(make), make()
    other.restore(json.loads(json.dumps(tokenizer.facts())))
    assert _reads(other) == _reads(tokenizer) and other.pieces() == tokenizer.pieces(), "after restoring it is another"


def texts_are_read_once(make: Make) -> None:
    """Fitting reads its texts once, one after the other."""
    other = make()
    other.fit(iter(TEXTS))
    assert other.size == fitted(make).size


def spellings_stand_beside_pieces(make: Make) -> None:
    """Where pieces are words, each has its spelling, known or not; words that are added stand behind the known ones,
    and are found by their lower case too."""
    tokenizer = fitted(make)
    if isinstance(tokenizer, Spelt):
        assert len(tokenizer.words()) == tokenizer.size
        for text in READ:
            assert len(tokenizer.spellings(text)) == len(tokenizer.encode(text)), f"{text!r}"
        known, read = tokenizer.words(), [tokenizer.encode(text) for text in TEXTS]
        tokenizer.add_words(["zyxwv"])
        assert tokenizer.words() == [*known, "zyxwv"] and tokenizer.num_added == 1
        assert tokenizer.encode("zyxwv Zyxwv") == [len(known)] * 2
        assert [tokenizer.encode(text) for text in TEXTS] == read
        assert len(tokenizer.counts()) in (0, len(known))


def unknown_pieces_are_numbered_behind_the_known(make: Make) -> None:
    """What it names as unknown in a text has the numbers behind its own, once it is told, in the order of the text, and
    is spelt as the text has it; itself it stays as it was."""
    tokenizer = fitted(make)
    for text in READ:
        read, unknown = tokenizer.encode(text), tokenizer.unknown(text)
        told = tokenizer.knowing(unknown)
        ids = told.encode(text)
        assert tokenizer.encode(text) == read and told.size == tokenizer.size and told.facts() == tokenizer.facts()
        assert [number if number in range(told.size) else None for number in ids] == read, f"{text!r} gives {ids}"
        if unknown:
            beyond = [number for number in ids if number is None or number >= told.size]
            assert list(dict.fromkeys(beyond)) == list(range(told.size, told.size + len(unknown))), f"{text!r}: {ids}"
            assert len(told.pieces()) == told.size + len(unknown)
            assert told.encode(told.decode(ids)) == ids, f"{text!r} comes back as {told.decode(ids)!r}"
            assert told.unknown(text) == []


LAWS = (
    numbers_are_pieces,
    texts_come_back,
    facts_are_all,
    texts_are_read_once,
    spellings_stand_beside_pieces,
    unknown_pieces_are_numbered_behind_the_known,
)


def checks(member: Member) -> list[Check]:
    """Every law of `LAWS`, and the law of options; ConfigError where the options are refused."""
    member()
    return all_checks(member, [(law, member) for law in LAWS], lambda other: _reads(fitted(other)), TRIED)


def fitted(make: Make) -> Tokenizer:
    tokenizer = make()
    tokenizer.fit(TEXTS)
    return tokenizer


def _reads(tokenizer: Tokenizer) -> list[Any]:
    """All that it knows, and how it reads."""
    return [tokenizer.size, tokenizer.facts(), *map(tokenizer.encode, READ)]
