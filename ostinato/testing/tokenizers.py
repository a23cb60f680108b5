"""The laws of tokenizers, as plain functions: each takes a way to make the tokenizer, and fails by AssertionError."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ostinato.testing._tools import Member, options_matter
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
UNSEEN = ("the cat, unseen: Quixotry — 北京!", "", " ", "zzz", "sat")
"""What it has not learnt from, in part."""


def build(member: Member) -> Tokenizer:
    """One of these options, or ConfigError."""
    return member()


def run(member: Member) -> None:
    """Every law of `LAWS`, and the law of options."""
    for law in LAWS:
        law(member)
    options_matter(member, _fingerprint, TRIED)


def numbers_are_pieces(make: Make) -> None:
    """Numbers run from 0 to size - 1, each with a text that a person can read; None is a piece that it does not
    know."""
    tokenizer = fitted(make)
    pieces = tokenizer.pieces()
    assert len(pieces) == tokenizer.size > 0 and all(isinstance(piece, str) and piece for piece in pieces)
    for text in (*TEXTS, *UNSEEN):
        ids = tokenizer.encode(text)
        assert all(number is None or 0 <= number < tokenizer.size for number in ids), f"{text!r} gives {ids}"
        assert None not in ids or not tokenizer.exact, f"{text!r}: an exact tokenizer knows every text"


def texts_come_back(make: Make) -> None:
    """Law h: where it is exact every text comes back; elsewhere what comes back is read as the same pieces."""
    tokenizer = fitted(make)
    for text in (*TEXTS, *UNSEEN):
        ids = tokenizer.encode(text)
        again = tokenizer.decode(ids)
        assert not tokenizer.exact or again == text, f"{text!r} comes back as {again!r}"
        assert None in ids or tokenizer.encode(again) == ids, f"{again!r} is not read as {text!r} is"
    assert "\ufffd" in tokenizer.decode([None])


def facts_are_all(make: Make) -> None:
    """Law f: facts are JSON, and a tokenizer that takes them up is the one that was fitted."""
    tokenizer, other = fitted(make), make()
    facts = json.loads(json.dumps(tokenizer.facts()))
    other.restore(facts)
    assert other.facts() == tokenizer.facts() and other.size == tokenizer.size and other.pieces() == tokenizer.pieces()
    for text in (*TEXTS, *UNSEEN):
        assert other.encode(text) == tokenizer.encode(text), f"{text!r} is read otherwise after restoring"


def texts_are_read_once(make: Make) -> None:
    """Fitting reads its texts once, one after the other."""
    first, other = make(), make()
    first.fit(iter(TEXTS))
    other.fit(list(TEXTS))
    assert first.size == other.size


def spellings_stand_beside_pieces(make: Make) -> None:
    """Where pieces are words, each has its spelling, known or not."""
    tokenizer = fitted(make)
    if isinstance(tokenizer, Spelt):
        assert len(tokenizer.words()) == tokenizer.size
        for text in (*TEXTS, *UNSEEN):
            assert len(tokenizer.spellings(text)) == len(tokenizer.encode(text)), f"{text!r}"


LAWS = (
    numbers_are_pieces,
    texts_come_back,
    facts_are_all,
    texts_are_read_once,
    spellings_stand_beside_pieces,
)
"""What `run` runs."""


def fitted(make: Make) -> Tokenizer:
    tokenizer = make()
    tokenizer.fit(TEXTS)
    return tokenizer


def _fingerprint(make: Make) -> list[Any]:
    tokenizer = fitted(make)
    return [tokenizer.size, tokenizer.facts(), *map(tokenizer.encode, (*TEXTS, *UNSEEN))]
